//! The moment at which a stream decides: the time, and what holds for all streams of the node at that time.

use super::settings::Settings;
use crate::{
    metrics::Metrics,
    payment::{PartitionSet, Time},
};
use std::time::{Duration, Instant};

/// Everything outside a stream that its decisions depend on, read once before each step. One moment may serve many streams.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    /// The monotonic time: deadlines are compared with it.
    pub(super) now: Instant,
    /// The node's first moment.
    pub(super) start: Instant,
    /// The wall time: tokens and payments are dated by it.
    pub(super) wall: Time,
    /// The settings of streams.
    pub(super) settings: Settings,
    /// How long written bytes may wait for a reader that takes none.
    pub(super) stall: Duration,
    /// The shortest delay, in milliseconds, after which a client may come back; the longest is twice as long.
    pub(super) retry_ms: u64,
    /// The partitions for which the store does not answer, so what streams show of them may be out of date.
    pub(super) stale: PartitionSet,
    /// The node drains: streams have to end.
    pub(super) is_draining: bool,
    /// Where resumptions and latencies are counted.
    pub(super) metrics: &'a Metrics,
}

impl Moment<'_> {
    /// A random delay in milliseconds after which one client may come back, so that clients spread their return.
    pub(super) fn draw_retry_ms(&self) -> u64 {
        rand::random_range(self.retry_ms..=2 * self.retry_ms)
    }

    /// The milliseconds from the node's first moment to a time.
    pub(super) fn uptime_ms(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    /// The time that is so many milliseconds after the node's first moment.
    pub(super) fn instant_at(&self, uptime_ms: u64) -> Instant {
        self.start + Duration::from_millis(uptime_ms)
    }

    /// The monotonic time at which the wall clock shows `at`; now, if that is past.
    pub(super) fn instant_of(&self, at: Time) -> Instant {
        self.now + Duration::from_millis(u64::try_from(at.since_ms(self.wall)).unwrap_or(0))
    }
}
