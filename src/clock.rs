//! Wall time: the only place that reads it, for everything that stamps or compares times of day. Durations are measured with
//! `tokio::time::Instant` instead, which tests can pause.

use crate::payment::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time now, in UTC, with milliseconds. A clock before 1970 counts as 1970.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).ok().and_then(|ms| Time::from_unix_ms(ms).ok()).unwrap_or_default()
}
