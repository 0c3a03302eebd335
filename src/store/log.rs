//! The log of a subject: its events in the order in which they were committed.
//!
//! The log is the truth; status, feeds and notices are derived from it. A reader goes on from a cursor, which the log honours only if
//! its entry of that number bears the cursor's tag.

use crate::payment::{Cursor, Event, Tag};
use std::sync::Arc;

/// The most events that one log holds; one more is a [`Conflict::LogFull`](super::Conflict). A real payment has a dozen or two.
pub const MAX_LOG: usize = 512;

/// A subject's events in commit order: entry `i` has `seq` = i + 1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The entries, at most [`MAX_LOG`].
    pub entries: Vec<Entry>,
}

/// One entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Drawn at random when the event was appended.
    pub tag: Tag,
    /// The event that was appended.
    pub event: Arc<Event>,
}

impl Log {
    /// The cursor of the last entry; [`Cursor::START`] if there is none.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.entries
            .last()
            .map_or(Cursor::START, |last| Cursor { tag: last.tag, seq: self.entries.len() as u64 })
    }

    /// The entries after `cursor`, or nothing if the log does not hold the entry that it names.
    #[must_use]
    pub fn after(&self, cursor: Cursor) -> Option<&[Entry]> {
        let seq = usize::try_from(cursor.seq).ok()?;
        let stands = match seq.checked_sub(1) {
            None => cursor == Cursor::START,
            Some(index) => self.entries.get(index)?.tag == cursor.tag,
        };
        if stands { self.entries.get(seq..) } else { None }
    }
}
