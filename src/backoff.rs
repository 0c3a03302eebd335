//! Exponential backoff with jitter: how long to wait before a retry. Pure but for [`Backoff::random`], which draws the random number.
//!
//! All retries of the gateway use it, so that none is without a bound and none without jitter. It does not sleep and does not count
//! failures: the caller does both.

use std::time::Duration;

/// Delays that double with each failure, up to a bound.
///
/// A delay is random within the upper half of its value ("equal jitter"): callers that failed together do not retry together, and yet
/// none retries at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The delay after the first failure, before jitter.
    first: Duration,
    /// The longest delay.
    longest: Duration,
}

impl Backoff {
    /// Delays from `first`, doubled with each further failure, up to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The delay before a retry. `earlier` is the number of failures in a row before the last one, so 0 after the first failure;
    /// `random` is a number from 0 to 1: 0 gives half of the delay, 1 all of it.
    #[must_use]
    pub fn delay(self, earlier: u32, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(earlier));
        let half = doubled.min(self.longest) / 2;
        half.saturating_add(half.mul_f64(random.clamp(0.0, 1.0)))
    }

    /// As [`delay`](Self::delay), with a random number that is drawn here.
    #[must_use]
    pub fn random(self, earlier: u32) -> Duration {
        self.delay(earlier, rand::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BACKOFF: Backoff = Backoff::new(SECOND, Duration::from_secs(300));

    #[test]
    fn a_delay_doubles_with_each_failure_up_to_its_bound() {
        for (earlier, expected) in [(0, 1), (1, 2), (3, 8), (8, 256), (9, 300), (31, 300), (u32::MAX, 300)] {
            assert_eq!(BACKOFF.delay(earlier, 1.0), expected * SECOND, "{earlier}");
        }
        let endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(endless.delay(u32::MAX, 1.0) > Duration::MAX / 4 * 3, "a delay does not overflow");
    }

    #[test]
    fn jitter_takes_away_half_of_a_delay_at_most() {
        assert_eq!(BACKOFF.delay(3, 0.0), 4 * SECOND);
        assert_eq!(BACKOFF.delay(3, 0.5), 6 * SECOND);
        let drawn: Vec<_> = (0..64).map(|_| BACKOFF.random(3)).collect();
        assert!(drawn.iter().all(|delay| (4 * SECOND..=8 * SECOND).contains(delay)), "{drawn:?}");
        assert!(drawn.iter().any(|delay| *delay != drawn[0]), "delays without jitter: {drawn:?}");
    }
}
