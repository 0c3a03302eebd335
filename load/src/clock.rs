//! One clock for all processes of a run: the kernel's monotonic clock, in microseconds since the machine started.
//!
//! An event carries the time at which it was due, so that any process which reads it can compute its latency.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// The time now, in microseconds.
pub(crate) fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default() / 1_000
}

/// Converts a duration to microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Converts microseconds to seconds.
#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 microseconds")]
pub(crate) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
