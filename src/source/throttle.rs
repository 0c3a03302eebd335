//! How many failed signatures one source may have per second. What passes is never held back.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A token bucket that holds one second's worth. It starts full.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    bucket: Mutex<Option<Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In billionths of a token, so that one nanosecond at one per second counts.
    nano_tokens: u64,
    at: Instant,
    /// Refused since the last that was let through.
    refused: u64,
}

/// One too many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Throttled;

const TOKEN: u64 = 1_000_000_000;

impl Throttle {
    /// Lets one through, and says how many were refused since the last; `Err` if this one is refused too.
    pub(crate) fn admit(&self, per_second: u32, now: Instant) -> Result<u64, Throttled> {
        let full = u64::from(per_second) * TOKEN;
        let mut held = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = held.get_or_insert(Bucket { nano_tokens: full, at: now, refused: 0 });
        let past = now.saturating_duration_since(bucket.at).min(Duration::from_secs(1));
        let gained = u64::try_from(past.as_nanos()).unwrap_or(TOKEN) * u64::from(per_second);
        bucket.nano_tokens = bucket.nano_tokens.saturating_add(gained).min(full);
        bucket.at = now;
        if bucket.nano_tokens < TOKEN {
            bucket.refused = bucket.refused.saturating_add(1);
            return Err(Throttled);
        }
        bucket.nano_tokens -= TOKEN;
        Ok(std::mem::take(&mut bucket.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_brings_back_a_second_s_worth() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let through = |tries: usize, at_ms| {
            let now = start + Duration::from_millis(at_ms);
            (0..tries).filter(|_| throttle.admit(3, now).is_ok()).count()
        };
        assert_eq!(through(10, 0), 3);
        assert_eq!(through(10, 334), 1);
        assert_eq!(
            throttle.admit(3, start + Duration::from_secs(60)),
            Ok(9),
            "of the ten before, one passed"
        );
        assert_eq!(through(10, 60_000), 2);
    }
}
