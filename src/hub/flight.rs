//! What the readers of one topic's log share while they read: of many who ask at once, one reads for all who wait.

use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{Mutex, MutexGuard};

/// Shared by the readers of a topic's log, as long as there is one or the topic is warm.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// Held while the log is read. A Tokio mutex, since the read is awaited.
    one_reader: Mutex<()>,
    /// How many reads of the log of the topic's label have begun.
    label_reads: AtomicU32,
    /// The number of the last one that found the label unbound.
    unbound_at: AtomicU32,
}

impl Flight {
    /// Waits until nobody else reads the log.
    pub(super) async fn lock(&self) -> MutexGuard<'_, ()> {
        self.one_reader.lock().await
    }

    /// Whether somebody reads the log.
    pub(super) fn is_locked(&self) -> bool {
        self.one_reader.try_lock().is_err()
    }

    /// How many reads of the label's log have begun.
    pub(super) fn label_reads(&self) -> u32 {
        self.label_reads.load(Ordering::Acquire)
    }

    /// Begins a read of the label's log, and returns its number.
    pub(super) fn begin_label_read(&self) -> u32 {
        self.label_reads.fetch_add(1, Ordering::AcqRel).wrapping_add(1)
    }

    /// Notes that a read of the label's log found it unbound.
    pub(super) fn found_unbound(&self, read: u32) {
        self.unbound_at.fetch_max(read, Ordering::AcqRel);
    }

    /// Whether a read of the label's log found it unbound that began after `asked`, the number of those that had begun.
    pub(super) fn is_unbound_since(&self, asked: u32) -> bool {
        self.unbound_at.load(Ordering::Acquire) > asked
    }
}
