//! Failures: since when the deliveries of a source fail by our own fault, and what that leads to at its provider.

use super::retries::Retries;
use crate::payment::Time;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// For how long no failure may have come before a success ends the failures, in milliseconds. While some deliveries fail and others do not, they last.
const CALM_MS: i64 = 60_000;

/// The failures of one source. A delivery that is taken while nothing fails costs one atomic load.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// Whether there is a run.
    are_there: AtomicBool,
    run: Mutex<Option<Run>>,
}

/// A time in which deliveries failed, and perhaps others did not.
#[derive(Clone, Copy, Debug)]
struct Run {
    failing: Failing,
    /// The last failure of a delivery that was proven to be the provider's. Strangers can cause the others, so a success ends those at once.
    last_proven: Option<Time>,
    last_taken: Option<Time>,
    /// Whether the warning was given.
    is_warned: bool,
}

/// How a delivery ended, as far as it says how well the gateway works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryEnd {
    /// It was taken.
    Taken,
    /// It was proven to be the provider's, and failed by our own fault.
    Failed,
    /// It failed by our own fault before it was proven to be the provider's.
    FailedUnproven,
}

/// Deliveries that fail by our own fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failing {
    /// When the first one failed.
    pub since: Time,
    /// When the last one failed.
    pub last: Time,
    /// How many failed since then.
    pub failed: u64,
    /// How many deliveries there were since then, failed or not.
    pub deliveries: u64,
}

impl Failing {
    /// How long deliveries have failed.
    #[must_use]
    pub fn age(&self, now: Time) -> Duration {
        Duration::from_millis(u64::try_from(now.since_ms(self.since)).unwrap_or(0))
    }

    /// The share of deliveries that failed, from 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people: 53 bits are plenty")]
    pub fn share(&self) -> f64 {
        self.failed as f64 / self.deliveries.max(1) as f64
    }
}

impl Run {
    fn begin(now: Time) -> Self {
        let failing = Failing { since: now, last: now, failed: 0, deliveries: 0 };
        Self { failing, last_proven: None, last_taken: None, is_warned: false }
    }

    /// Whether deliveries are taken again.
    fn is_over(&self, now: Time) -> bool {
        match (self.last_taken, self.last_proven) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(taken), Some(failed)) => taken >= failed && now.since_ms(failed) > CALM_MS,
        }
    }
}

impl Failures {
    /// Notes how a delivery ended.
    pub(crate) fn note(&self, end: DeliveryEnd, now: Time) {
        if end == DeliveryEnd::Taken && !self.are_there.load(Ordering::Relaxed) {
            return;
        }
        let mut held = self.current(now);
        if end != DeliveryEnd::Taken {
            self.are_there.store(true, Ordering::Relaxed);
            held.get_or_insert_with(|| Run::begin(now)).failing.failed += 1;
        }
        let Some(run) = &mut *held else { return };
        run.failing.deliveries += 1;
        match end {
            DeliveryEnd::Taken => run.last_taken = Some(now),
            DeliveryEnd::Failed => (run.failing.last, run.last_proven) = (now, Some(now)),
            DeliveryEnd::FailedUnproven => run.failing.last = now,
        }
    }

    /// Returns the deliveries that fail, if any do now.
    pub(crate) fn failing(&self, now: Time) -> Option<Failing> {
        self.current(now).map(|run| run.failing)
    }

    /// Returns, once for each time of failures, those that have used half of the provider's window. Failures that ended long ago are left
    /// out, even if nothing was taken since: the provider's retries may have gone to another node.
    pub(crate) fn half_used(&self, retries: &Retries, now: Time) -> Option<Failing> {
        let window = retries.window()?;
        let mut held = self.current(now);
        let run = held.as_mut().filter(|run| !run.is_warned)?;
        let goes_on = run.failing.age(run.failing.last) >= run.failing.age(now) / 2;
        run.is_warned = goes_on && run.failing.age(now) >= window / 2;
        run.is_warned.then_some(run.failing)
    }

    /// The run, unless it is over.
    fn current(&self, now: Time) -> MutexGuard<'_, Option<Run>> {
        let mut held = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some_and(|run| run.is_over(now)) {
            *held = None;
            self.are_there.store(false, Ordering::Relaxed);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryEnd::{Failed, FailedUnproven, Taken};

    fn at(s: i64) -> Time {
        Time::from_unix_s(1_790_000_000 + s).unwrap()
    }

    fn window(seconds: u64) -> Retries {
        Retries { lost_after: Some(Duration::from_secs(seconds)), ..Retries::default() }
    }

    fn after(ends: &[(DeliveryEnd, i64)]) -> Failures {
        let failures = Failures::default();
        ends.iter().for_each(|(end, s)| failures.note(*end, at(*s)));
        failures
    }

    #[test]
    fn failures_last_from_the_first_one_until_a_success_after_a_calm_minute() {
        for (ends, now, since) in [
            (&[][..], 0, None),
            (&[(Taken, 0), (Taken, 1)], 2, None),
            (&[(Taken, 0), (Failed, 10)], 20, Some(10)),
            // A quiet source is not forgotten.
            (&[(Failed, 10)], 100_000, Some(10)),
            // One success between failures ends nothing.
            (&[(Failed, 0), (Taken, 30), (Failed, 50), (Taken, 70)], 90, Some(0)),
            // A retry that succeeds at once does so a minute later, without another delivery.
            (&[(Failed, 0), (Taken, 5)], 60, Some(0)),
            (&[(Failed, 0), (Taken, 5)], 61, None),
            (&[(Failed, 0), (Taken, 5), (Failed, 100)], 101, Some(100)),
        ] {
            let failing = after(ends).failing(at(now));
            assert_eq!(failing.map(|failing| failing.since), since.map(at), "{ends:?} at {now}");
        }
    }

    #[test]
    fn the_share_is_of_all_deliveries_since_the_first_failure() {
        let failures = after(&[(Taken, 0), (Failed, 1), (Failed, 2), (Taken, 3), (FailedUnproven, 4)]);
        let failing = failures.failing(at(5)).unwrap();
        assert_eq!((failing.failed, failing.deliveries, failing.last), (3, 4, at(4)));
        assert!((failing.share() - 0.75).abs() < 1e-9 && failing.age(at(5)) == Duration::from_secs(4));
    }

    #[test]
    fn strangers_keep_up_no_failures_while_the_provider_s_deliveries_are_taken() {
        let failures = after(&[(FailedUnproven, 0), (FailedUnproven, 1)]);
        assert!(failures.failing(at(2)).is_some(), "a gateway that is overloaded proves nothing");
        failures.note(Taken, at(3));
        assert!(failures.failing(at(3)).is_none());
        for s in 4..10_000 {
            failures.note(if s % 10 == 0 { Taken } else { FailedUnproven }, at(s));
        }
        assert!(failures.half_used(&window(200), at(10_000)).is_none());
    }

    #[test]
    fn the_warning_comes_once_when_half_of_the_window_is_used() {
        let failures = after(&[(Failed, 0)]);
        let warned = |s| failures.half_used(&window(1000), at(s)).is_some();
        let mut warnings = Vec::new();
        for s in 1..1000 {
            failures.note(Failed, at(s));
            warnings.extend(warned(s).then_some(s));
        }
        assert_eq!(warnings, [500]);
        // The next time of failures is warned of again.
        failures.note(Taken, at(1100));
        assert!(!warned(1200));
        (1300..1900).for_each(|s| failures.note(Failed, at(s)));
        assert!(warned(1900) && !warned(1901));
    }

    #[test]
    fn neither_an_unknown_window_nor_one_failure_long_ago_is_warned_of() {
        let failures = after(&[(Failed, 0), (Failed, 10)]);
        assert!(failures.half_used(&Retries::default(), at(1_000_000)).is_none());
        assert!(failures.half_used(&window(1000), at(900)).is_none(), "nothing has failed for long");
        failures.note(Failed, at(901));
        assert!(failures.half_used(&window(1000), at(902)).is_some());
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_time_negative() {
        let failures = after(&[(Failed, 100)]);
        assert_eq!(failures.failing(at(50)).unwrap().age(at(50)), Duration::ZERO);
        assert!(failures.half_used(&window(1000), at(50)).is_none());
    }
}
