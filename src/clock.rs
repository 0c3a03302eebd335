//! Wall time. Everything that stamps or compares wall times asks here; what measures spans asks `tokio::time::Instant`,
//! which tests can pause.

use crate::payment::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in UTC.
#[must_use]
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).ok().and_then(|ms| Time::from_unix_ms(ms).ok()).unwrap_or_default()
}
