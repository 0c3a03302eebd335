//! Tells the publisher which events have reached all streams that watch them. It is used only where a fixed number of events is in
//! flight, and the publisher posts the next one when an earlier one has been delivered everywhere.

use crate::plan::Plan;
use mio::Waker;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Most events that may be in flight at once. It is a bound on memory, far above what any workload uses.
pub(crate) const SLOTS: usize = 4_096;

/// Counts the deliveries of the events that are in flight. Readers and publisher share it.
pub(crate) struct Board {
    /// How many streams have not received event n yet, at index n modulo [`SLOTS`].
    open: Box<[AtomicU32]>,
    complete: AtomicU64,
    waker: Waker,
}

impl Board {
    /// Creates a board that wakes the publisher by `waker` whenever an event is complete.
    pub(crate) fn new(waker: Waker) -> Self {
        Self { open: (0..SLOTS).map(|_| AtomicU32::new(0)).collect(), complete: AtomicU64::new(0), waker }
    }

    fn slot(&self, number: usize) -> Option<&AtomicU32> {
        self.open.get(number % SLOTS)
    }

    /// Notes that event `number` is about to be posted.
    pub(crate) fn expect(&self, number: usize, plan: &Plan) {
        let watchers = u32::try_from(plan.watchers(number % plan.payments.max(1))).unwrap_or(u32::MAX);
        if let Some(slot) = self.slot(number) {
            slot.store(watchers, Ordering::Relaxed);
        }
        if watchers == 0 {
            self.complete.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that event `number` has reached one stream.
    pub(crate) fn delivered(&self, number: usize) {
        let before = self.slot(number).map(|slot| slot.fetch_sub(1, Ordering::Relaxed));
        if before == Some(1) {
            self.complete.fetch_add(1, Ordering::Release);
            // If waking fails, the publisher notices at its next timer.
            let _ = self.waker.wake();
        }
    }

    /// The number of events that have reached every stream that watches them.
    pub(crate) fn complete(&self) -> u64 {
        self.complete.load(Ordering::Acquire)
    }
}
