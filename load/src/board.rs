//! Who tells the publisher that an event has reached all who watch it, when it posts as fast as events are delivered.

use crate::plan::Plan;
use mio::Waker;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Events that may be under way at once; far above what a run allows itself.
pub(crate) const SLOTS: usize = 4_096;

/// Deliveries of the events that are under way.
pub(crate) struct Board {
    /// Streams that are still to get event n, at n modulo their number.
    open: Box<[AtomicU32]>,
    complete: AtomicU64,
    waker: Waker,
}

impl Board {
    /// A board whose news wake the publisher.
    pub(crate) fn new(waker: Waker) -> Self {
        Self { open: (0..SLOTS).map(|_| AtomicU32::new(0)).collect(), complete: AtomicU64::new(0), waker }
    }

    fn slot(&self, number: usize) -> Option<&AtomicU32> {
        self.open.get(number % SLOTS)
    }

    /// Event `number` is about to be posted.
    pub(crate) fn expect(&self, number: usize, plan: &Plan) {
        let watchers = u32::try_from(plan.watchers(number % plan.payments.max(1))).unwrap_or(u32::MAX);
        if let Some(slot) = self.slot(number) {
            slot.store(watchers, Ordering::Relaxed);
        }
        if watchers == 0 {
            self.complete.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Event `number` has reached one stream.
    pub(crate) fn delivered(&self, number: usize) {
        let before = self.slot(number).map(|slot| slot.fetch_sub(1, Ordering::Relaxed));
        if before == Some(1) {
            self.complete.fetch_add(1, Ordering::Release);
            // A publisher that is not woken finds out at its next timer.
            let _ = self.waker.wake();
        }
    }

    /// Events that have reached all who watch them.
    pub(crate) fn complete(&self) -> u64 {
        self.complete.load(Ordering::Acquire)
    }
}
