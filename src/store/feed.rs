//! Feeds: for each partition, references to the newest events of all of its logs, in commit order.
//!
//! Whoever may have missed a notice reads the feed from the last place that it knows. A feed is bounded: who is further behind than it
//! reaches has to read the logs again.

use crate::payment::{Kind, Subject, Tag};
use serde::{Deserialize, Serialize, Serializer};

/// References that each partition's feed keeps. A reader that is further behind gets [`Feed::Gone`] and reads the logs that it
/// watches again. 256 partitions × 1 024 references of about 100 bytes are 26 MB.
pub const FEED_LEN: u64 = 1024;

/// The answer to a read of a feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Feed {
    /// The references, in order.
    References(Vec<Reference>),
    /// The feed does not hold the place that was asked for; this is its newest place.
    Gone(Head),
}

/// One reference of a feed.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "Stored<Subject>")]
pub struct Reference {
    /// Its place in the feed, from 1.
    pub pos: u64,
    /// The tag of the log's entry that it refers to or referred to, or of an erasure.
    pub tag: Tag,
    /// What it refers to.
    pub to: Referent,
}

/// What a reference refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Referent {
    /// An entry of a log.
    Entry {
        /// The subject of that log.
        subject: Subject,
        /// The number of the entry in that log.
        seq: u64,
    },
    /// A log that was erased: the reference stands for the erasure, or for an entry that the log had.
    Erased {
        /// The tag that the first entry of the log had; [`Tag::NONE`] if it was not known any more.
        first: Tag,
    },
}

/// The form in which the embedded store keeps a reference.
#[derive(Serialize, Deserialize)]
struct Stored<S> {
    pos: u64,
    tag: Tag,
    subject: S,
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<Tag>,
}

/// A subject that is no payment's, for what reads references but does not know of erasures.
#[derive(Serialize)]
struct Nobody {
    realm: &'static str,
    kind: Kind,
    id: &'static str,
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { pos, tag, to } = self;
        let (pos, tag) = (*pos, *tag);
        match to {
            Referent::Entry { subject, seq } => {
                Stored { pos, tag, subject, seq: *seq, erased: None }.serialize(serializer)
            }
            Referent::Erased { first } => {
                let subject = Nobody { realm: "erased", kind: Kind::Payment, id: "erased" };
                Stored { pos, tag, subject, seq: 0, erased: Some(*first) }.serialize(serializer)
            }
        }
    }
}

impl From<Stored<Subject>> for Reference {
    fn from(stored: Stored<Subject>) -> Self {
        let Stored { pos, tag, subject, seq, erased } = stored;
        let to = match erased {
            Some(first) => Referent::Erased { first },
            None => Referent::Entry { subject, seq },
        };
        Self { pos, tag, to }
    }
}

/// The newest place of a feed; the default one is that of an empty feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The place, from 1; 0 for an empty feed.
    pub pos: u64,
    /// The tag at that place.
    pub tag: Tag,
}
