//! Feeds: for each partition, references to the newest events of all of its logs, in commit order.
//!
//! Whoever may have missed a notice reads the feed from the last place that it knows. A feed is bounded: who is further behind than it
//! reaches has to read the logs again.

use crate::payment::{Subject, Tag};
use serde::{Deserialize, Serialize};

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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// Its place in the feed, from 1.
    pub pos: u64,
    /// The tag of the log's entry that it refers to.
    pub tag: Tag,
    /// The subject of that log.
    pub subject: Subject,
    /// The number of the entry in that log.
    pub seq: u64,
}

/// The newest place of a feed; the default one is that of an empty feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// The place, from 1; 0 for an empty feed.
    pub pos: u64,
    /// The tag at that place.
    pub tag: Tag,
}
