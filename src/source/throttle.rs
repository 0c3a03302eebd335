//! The rate limit for deliveries without a valid signature, for each source. Deliveries with a valid signature are not limited.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A token bucket that holds the tokens of one second. It starts full.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// The state of the bucket, which is `None` before the first delivery.
    bucket: Mutex<Option<Bucket>>,
}

/// The state of a token bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The number of tokens in billionths, so that one nanosecond at one token per second counts.
    nano_tokens: u64,
    /// When the tokens were last counted.
    at: Instant,
    /// How many deliveries were refused since the last one that was admitted.
    refused: u64,
}

/// A delivery exceeds the rate limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Throttled;

/// One token, in the billionths that [`Bucket::nano_tokens`] counts.
const TOKEN: u64 = 1_000_000_000;

impl Throttle {
    /// Admits one delivery, and returns how many were refused since the last one that was admitted. Fails if this one is refused
    /// too.
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
