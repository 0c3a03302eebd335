//! A history: a whole log, folded and encoded, for a stream that begins or is further behind than its topic's frames.

use super::frame::{self, Frame};
use crate::{
    payment::{Cursor, Name, Subject, Tag},
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
    /// The id of the payment.
    pub payment: Name,
    /// The id by which the payment was asked for, if that is a label.
    pub asked: Option<Name>,
    log: Arc<Log>,
    /// The frames of all entries, encoded when the first stream asks for some.
    frames: Arc<OnceLock<Vec<Arc<Frame>>>>,
}

impl History {
    pub(super) fn new(subject: &Subject, log: Log, erased: Tag) -> Self {
        let snapshot = frame::snapshot(subject, &log);
        let (payment, asked) = (subject.id.clone(), None);
        Self {
            head: log.head(),
            snapshot,
            erased,
            payment,
            asked,
            log: Arc::new(log),
            frames: Arc::default(),
        }
    }

    /// The same history for those who asked for the payment by a label.
    pub(super) fn led_by(&self, label: &Name) -> Self {
        let Self { head, snapshot, erased, payment, log, frames, .. } = self;
        let (snapshot, payment) = (snapshot.clone(), payment.clone());
        let (log, frames) = (Arc::clone(log), Arc::clone(frames));
        Self { head: *head, snapshot, erased: *erased, payment, asked: Some(label.clone()), log, frames }
    }

    /// Whether the log has an entry.
    pub(super) fn first_is_there(&self) -> bool {
        self.first() != Tag::NONE
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
