//! The two clocks of the embedded store: wall time, which outlives the process and may be set back, and the steady time of this process.

use crate::payment::Time;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The source of wall time. The program gives the system's clock; a test gives one that it can set.
pub(super) type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// One moment by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Now {
    /// Wall time: for what is shown and what is written to disk.
    pub(super) wall: Time,
    /// Steady time: for delays and leases, so that a wall clock that is set back holds up nothing.
    pub(super) steady: Instant,
}

impl Now {
    /// The present moment.
    pub(super) fn by(clock: &Clock) -> Self {
        Self { wall: clock(), steady: Instant::now() }
    }

    /// The moment `span` from now by the steady clock; now, if that is beyond what the clock can count.
    pub(super) fn after(self, span: Duration) -> Instant {
        self.steady.checked_add(span).unwrap_or(self.steady)
    }

    /// The wall time of a steady moment, as it is written to disk.
    pub(super) fn wall_time_of(self, moment: Instant) -> Time {
        let ms = i64::try_from(moment.duration_since(self.steady).as_millis()).unwrap_or(i64::MAX);
        Time::from_unix_ms(self.wall.unix_ms().saturating_add(ms)).unwrap_or(self.wall)
    }
}
