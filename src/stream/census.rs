//! The census: how many streams are open on this node, and how many clients to expect back after a drain.

use super::reason::Closing;
use crate::metrics::{CloseReason, Metrics};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Counts the open streams of a node. Shared by all of them.
pub(super) struct Census {
    metrics: Arc<Metrics>,
    open: AtomicUsize,
    /// How many streams were open when the drain began: their clients will all reconnect, here or elsewhere.
    leaving: AtomicUsize,
    /// Notified when the last open stream has ended.
    empty: Notify,
}

/// The place of one open stream in the census; dropping it counts the stream as ended. A request takes its seat before
/// anything is awaited, so that neither the limit nor a drain overlooks a stream that is about to open.
pub(super) struct Seat {
    census: Arc<Census>,
    /// Whether the stream began. What ends before that is counted as a refusal, not as a close.
    pub(super) began: bool,
    /// Why the server closed the stream, once it has.
    pub(super) closed: Option<Closing>,
}

impl Census {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let (open, leaving, empty) = (AtomicUsize::new(0), AtomicUsize::new(0), Notify::new());
        Arc::new(Self { metrics, open, leaving, empty })
    }

    /// The number of seats taken.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Remembers how many streams a drain is going to close.
    pub(super) fn begin_drain(&self) {
        self.leaving.store(self.open(), Ordering::Release);
    }

    /// How many clients would come back if every stream ended now: those of the open streams or, during a drain, all that
    /// were there when it began.
    pub(super) fn returning(&self) -> usize {
        self.open.load(Ordering::Relaxed).max(self.leaving.load(Ordering::Relaxed))
    }

    /// Returns once no seat is taken.
    pub(super) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            if self.open() == 0 {
                return;
            }
            empty.await;
        }
    }
}

impl Seat {
    pub(super) fn take(census: &Arc<Census>) -> Self {
        census.open.fetch_add(1, Ordering::AcqRel);
        census.metrics.streams_open.inc();
        Self { census: Arc::clone(census), began: false, closed: None }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Self { census, began, closed } = self;
        if *began {
            census.metrics.closes.count(closed.map_or(CloseReason::Gone, Closing::counted));
        }
        census.metrics.streams_open.dec();
        if census.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            census.empty.notify_waiters();
        }
    }
}
