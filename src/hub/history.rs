//! A history: a whole log, folded and encoded, for a stream that begins or is further behind than its topic's frames.

use super::frame::{self, Frame};
use crate::{
    payment::{Cursor, Subject, Tag},
    store::{Entry, Log},
};
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// A whole log as it was read. Shared by all streams that need it at the same time.
pub struct History {
    /// The log's last entry.
    pub head: Cursor,
    /// The snapshot of the payment at `head`: a JSON object without its closing brace.
    pub snapshot: Bytes,
    /// The tag that the first entry had in a log of the same payment that was erased while it was watched; [`Tag::NONE`] if none was.
    pub erased: Tag,
    log: Log,
    /// The frames of all entries, encoded when the first stream asks for some.
    frames: OnceLock<Vec<Arc<Frame>>>,
}

impl History {
    pub(super) fn new(subject: &Subject, log: Log, erased: Tag) -> Self {
        let snapshot = frame::snapshot(subject, &log);
        Self { head: log.head(), snapshot, erased, log, frames: OnceLock::new() }
    }

    /// The tag of the log's first entry; [`Tag::NONE`] if there is none.
    #[must_use]
    pub fn first(&self) -> Tag {
        self.log.entries.first().map_or(Tag::NONE, |entry| entry.tag)
    }

    /// The log's entries, in order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.log.entries
    }

    /// The frames after `cursor`; `None` if the log does not hold the entry that it names.
    #[must_use]
    pub fn after(&self, cursor: Cursor) -> Option<&[Arc<Frame>]> {
        self.log.after(cursor)?;
        let frames = self.frames.get_or_init(|| Frame::updates(&self.log));
        frames.get(usize::try_from(cursor.seq).ok()?..)
    }
}
