//! Notices: live messages about appends and erasures, from a store to the hub of each node.
//!
//! A notice is a hint and not the truth. Each one names the tag before it, so a receiver sees that it has missed one and reads the feed.

use crate::payment::{Event, Tag};
use std::sync::Arc;

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
        event: Arc<Event>,
    },
    /// A log was erased.
    Erased {
        /// The tag that the first entry of the log had; [`Tag::NONE`] if it was not known any more.
        first: Tag,
    },
}

/// What a receiver of notices has to catch up on after its subscription was interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interruption {
    /// Notices may have been lost: compare the heads.
    Missed,
    /// The store is another server now, or the old one begun anew. What was read from it lately may be lost: read everything
    /// that is watched again.
    Elsewhere,
}
