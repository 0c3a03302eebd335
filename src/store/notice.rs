//! Notices: live messages about appends and erasures, from a store to the hub of each node.
//!
//! A notice is a hint and not the truth. Each one names the tag before it, so a receiver sees that it has missed one and reads the feed.

use crate::payment::{Event, PartitionSet, Subject, Tag};
use bytes::Bytes;
use serde::Deserialize as _;
use std::sync::{Arc, OnceLock};

/// Notices that may wait for the hub. If there are more, the hub is told that it lags, and it heals from the feeds.
pub const NOTICE_BACKLOG: usize = 8192;

/// A message about one append or one erasure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// The partition of the subject.
    pub partition: u8,
    /// The place of the reference in that partition's feed.
    pub pos: u64,
    /// The tag of the feed's reference before it.
    pub previous: Tag,
    /// The tag of the reference. That of an append is the tag of the log's entry too.
    pub tag: Tag,
    /// What happened.
    pub body: NoticeBody,
}

/// What a notice tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoticeBody {
    /// An event was appended.
    Appended {
        /// The number of its entry in its log.
        seq: u64,
        /// The event.
        event: NoticedEvent,
    },
    /// A log was erased.
    Erased {
        /// The tag that the first entry of the log had; [`Tag::NONE`] if it was not known any more.
        first: Tag,
    },
}

/// The event of a notice. Most payments are watched by nobody on a node, so one that comes as JSON is parsed only if somebody asks for it.
#[derive(Clone, Debug)]
pub struct NoticedEvent {
    subject: Subject,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Parsed(Arc<Event>),
    /// The JSON, and what came of it for all who asked.
    Json(Bytes, OnceLock<Option<Arc<Event>>>),
}

impl NoticedEvent {
    /// Takes the JSON of an event. Reads no more than its subject if that is its first member, and all of it otherwise, as versions before
    /// this one wrote it. Returns nothing if what it reads does not fit.
    #[must_use]
    pub fn from_json(json: Bytes) -> Option<Self> {
        let Some(begin) = json.strip_prefix(br#"{"subject":"#) else {
            return serde_json::from_slice(&json).ok().map(Arc::<Event>::new).map(Self::from);
        };
        let subject = Subject::deserialize(&mut serde_json::Deserializer::from_slice(begin)).ok()?;
        Some(Self { subject, content: Content::Json(json, OnceLock::new()) })
    }

    /// The subject of the event.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The event; nothing if its JSON does not fit.
    #[must_use]
    pub fn event(&self) -> Option<Arc<Event>> {
        match &self.content {
            Content::Parsed(event) => Some(Arc::clone(event)),
            Content::Json(json, parsed) => {
                parsed.get_or_init(|| serde_json::from_slice(json).ok().map(Arc::new)).clone()
            }
        }
    }
}

impl From<Arc<Event>> for NoticedEvent {
    fn from(event: Arc<Event>) -> Self {
        Self { subject: event.subject.clone(), content: Content::Parsed(event) }
    }
}

impl PartialEq for NoticedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.subject == other.subject && self.event() == other.event()
    }
}

impl Eq for NoticedEvent {}

/// What a receiver of notices has to catch up on after its subscription was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interruption {
    /// Notices of these partitions may have been lost: compare their heads.
    Missed(PartitionSet),
    /// These partitions are on another server now, or the old one begun anew. What was read from it lately may be lost: read everything
    /// of them that is watched again.
    Elsewhere(PartitionSet),
}
