//! When to ask again, and when no more: after a question that was not answered, and after an answer that may be out of date. Pure.

use super::Failed;
use crate::{
    payment::Time,
    store::{Delay, MAX_PAUSE, Owed, Settlement},
};
use std::time::Duration;

/// The pause after the first failure; each further one doubles it.
const LEAST: Duration = Duration::from_secs(1);

/// The longest pause of our own. The spacing of all questions protects the provider; what it is asked again late, a customer waits for.
const MOST: Duration = Duration::from_secs(5 * 60);

/// The longest pause that a provider may ask for.
const MOST_ASKED: Duration = MAX_PAUSE;

/// The longest pause of a whole source that no provider asked for: it is not one payment's to decide.
const MOST_OF_ALL: Duration = Duration::from_secs(30);

/// Bad credentials may lock an account if they are tried too often; a mended key should not wait long.
const DENIED: Duration = Duration::from_secs(60);

/// How long a payment is asked for that the provider does not know, and says so each time. Some send the hint before they can be
/// asked, and one that comes back from an outage may know nothing for a while.
const UNKNOWN: Duration = Duration::from_secs(60 * 60);

/// How long a payment is asked for whose answers are not understood, each time. A gateway before the provider's API may speak JSON
/// while that is out of order, and is mended within minutes; words that the preset does not know stay as they are.
const UNCLEAR: Duration = Duration::from_secs(10 * 60);

/// After this, providers have given up on webhooks too.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// When a doubted answer is asked for again, and then once more. A provider's replicas are behind by a second or two, and by a minute on a
/// bad day.
const DOUBTS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// What became of the debt before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// For how long it is owed, or has been since the last answer.
    pub(super) owed_for: Duration,
    /// Why it was put off last, how often in a row for that, and for how long.
    pub(super) delay: Option<Delay>,
    pub(super) attempts: u32,
    pub(super) delayed_for: Duration,
}

impl Past {
    /// Of a debt, by now.
    pub(super) fn of(owed: &Owed, now: Time) -> Self {
        let until_now = |since| Duration::from_millis(u64::try_from(now.since_ms(since)).unwrap_or_default());
        let (owed_for, delayed_for) = (until_now(owed.since), until_now(owed.delayed_since));
        Self { owed_for, delay: owed.delay, attempts: owed.attempts, delayed_for }
    }

    /// How often in a row it was put off for this very reason.
    fn attempts(self, delay: Delay) -> u32 {
        if self.delay == Some(delay) { self.attempts } else { 0 }
    }
}

/// What becomes of a debt whose answer is in doubt.
pub(super) fn doubt(past: Past) -> Settlement {
    let again = usize::try_from(past.attempts(Delay::Doubted)).ok().and_then(|doubts| DOUBTS.get(doubts));
    again.map_or(Settlement::Done, |after| Settlement::Doubted { after: *after })
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Ask again.
    Again(Settlement),
    /// Ask no more, and keep a record of it.
    Never {
        /// The record's reason.
        code: &'static str,
        /// The word for metrics.
        outcome: &'static str,
    },
}

/// What to do about a payment that was not confirmed. `jitter`, from 0.5 to 1, keeps those that failed together from coming back
/// together.
pub(super) fn verdict(failed: &Failed, past: Past, jitter: f64) -> Verdict {
    let is_puzzling = matches!(failed, Failed::Unclear(_) | Failed::Unknown(_));
    let attempts = past.attempts(if is_puzzling { Delay::Puzzled } else { Delay::Failed });
    let puzzled_for = if is_puzzling && attempts > 0 { past.delayed_for } else { Duration::ZERO };
    let pause = LEAST.saturating_mul(1 << attempts.min(12)).min(MOST).mul_f64(jitter);
    let at_least =
        |pause: Duration, wanted: &Option<Duration>| pause.max(wanted.unwrap_or_default().min(MOST_ASKED));
    let settlement = match failed {
        Failed::Unfit(unclear) => return Verdict::Never { code: unclear.code, outcome: "quarantined" },
        Failed::Unclear(unclear) if puzzled_for >= UNCLEAR => {
            return Verdict::Never { code: unclear.code, outcome: "quarantined" };
        }
        Failed::Unknown(_) if puzzled_for >= UNKNOWN => {
            return Verdict::Never { code: "unknown_at_provider", outcome: "unknown" };
        }
        _ if past.owed_for >= GIVE_UP => return Verdict::Never { code: "unconfirmed", outcome: "given_up" },
        Failed::Unclear(_) | Failed::Unknown(_) => Settlement::Puzzled { after: pause },
        Failed::Store(_) => Settlement::Postponed { after: pause },
        Failed::Unavailable { retry_after, .. } => {
            Settlement::Postponed { after: at_least(pause, retry_after) }
        }
        Failed::Throttled { retry_after } => {
            Settlement::Paused { after: at_least(pause.min(MOST_OF_ALL), retry_after) }
        }
        Failed::Denied(_) => Settlement::Paused { after: DENIED },
    };
    Verdict::Again(settlement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Unclear, store::StoreError};

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn unavailable(retry_after: Option<Duration>) -> Failed {
        Failed::Unavailable { why: "status 500".into(), retry_after }
    }

    fn postponed(after: Duration) -> Verdict {
        Verdict::Again(Settlement::Postponed { after })
    }

    fn puzzled(after: Duration) -> Verdict {
        Verdict::Again(Settlement::Puzzled { after })
    }

    fn paused(after: Duration) -> Verdict {
        Verdict::Again(Settlement::Paused { after })
    }

    #[test]
    fn a_failure_is_met_with_the_patience_that_it_deserves() {
        let never = |code, outcome| Verdict::Never { code, outcome };
        let unclear = |code| Unclear { code, at: "/id".into() };
        let puzzling = || Failed::Unclear(unclear("other_payment"));
        for (failed, attempts, passed, expected) in [
            (unavailable(None), 0, SECOND, postponed(SECOND)),
            (unavailable(None), 3, SECOND, postponed(8 * SECOND)),
            (unavailable(None), 8, SECOND, postponed(256 * SECOND)),
            (unavailable(None), 9, SECOND, postponed(300 * SECOND)),
            (unavailable(None), u32::MAX, SECOND, postponed(300 * SECOND)),
            (unavailable(Some(7 * SECOND)), 0, SECOND, postponed(7 * SECOND)),
            (unavailable(Some(7 * SECOND)), 4, SECOND, postponed(16 * SECOND)),
            (unavailable(Some(24 * HOUR)), 0, SECOND, postponed(HOUR)),
            (unavailable(None), 80, 72 * HOUR, never("unconfirmed", "given_up")),
            (Failed::Throttled { retry_after: Some(30 * SECOND) }, 0, SECOND, paused(30 * SECOND)),
            (Failed::Throttled { retry_after: None }, 1, SECOND, paused(2 * SECOND)),
            (Failed::Throttled { retry_after: None }, 12, SECOND, paused(30 * SECOND)),
            (Failed::Denied(401), 9, SECOND, paused(60 * SECOND)),
            (Failed::Denied(401), 9, 72 * HOUR, never("unconfirmed", "given_up")),
            (Failed::Unknown(404), 4, SECOND, puzzled(16 * SECOND)),
            (Failed::Unknown(404), 80, HOUR - SECOND, puzzled(300 * SECOND)),
            (Failed::Unknown(404), 5, HOUR, never("unknown_at_provider", "unknown")),
            (Failed::Store(StoreError::Overloaded), 0, SECOND, postponed(SECOND)),
            (puzzling(), 0, SECOND, puzzled(SECOND)),
            (puzzling(), 9, 600 * SECOND - SECOND, puzzled(300 * SECOND)),
            (puzzling(), 9, 600 * SECOND, never("other_payment", "quarantined")),
            (Failed::Unfit(unclear("log_full")), 0, SECOND, never("log_full", "quarantined")),
        ] {
            let delay = match failed {
                Failed::Unclear(_) | Failed::Unknown(_) => Delay::Puzzled,
                _ => Delay::Failed,
            };
            let past = Past { owed_for: passed, delay: Some(delay), attempts, delayed_for: passed };
            assert_eq!(verdict(&failed, past, 1.0), expected, "{failed} {past:?}");
        }
    }

    #[test]
    fn what_was_in_the_way_before_takes_nothing_from_the_patience_with_what_is_now() {
        let after = |delay| Past { owed_for: 5 * HOUR, delay, attempts: 9, delayed_for: 5 * HOUR };
        for delay in [None, Some(Delay::Doubted), Some(Delay::Failed)] {
            for failed in [Failed::Unknown(404), Failed::Unclear(Unclear { code: "x", at: "y".into() })] {
                assert_eq!(verdict(&failed, after(delay), 1.0), puzzled(SECOND), "{failed} {delay:?}");
            }
        }
        assert_eq!(verdict(&unavailable(None), after(Some(Delay::Puzzled)), 1.0), postponed(SECOND));
        assert_eq!(doubt(after(Some(Delay::Failed))), Settlement::Doubted { after: 5 * SECOND });
    }

    #[test]
    fn a_doubted_answer_is_asked_for_twice_more() {
        let doubted = |seconds| Settlement::Doubted { after: Duration::from_secs(seconds) };
        for (attempts, expected) in [
            (0, doubted(5)),
            (1, doubted(60)),
            (2, Settlement::Done),
            (3, Settlement::Done),
            (u32::MAX, Settlement::Done),
        ] {
            let past = Past { owed_for: SECOND, delay: Some(Delay::Doubted), attempts, delayed_for: SECOND };
            assert_eq!(doubt(past), expected, "{attempts}");
        }
    }

    #[test]
    fn jitter_halves_a_pause_at_the_most_and_never_what_the_provider_asks_for() {
        let past =
            |attempts| Past { delay: Some(Delay::Failed), attempts, owed_for: SECOND, delayed_for: SECOND };
        assert_eq!(verdict(&unavailable(None), past(3), 0.5), postponed(4 * SECOND));
        let throttled = Failed::Throttled { retry_after: Some(30 * SECOND) };
        assert_eq!(verdict(&throttled, past(0), 0.5), paused(30 * SECOND));
    }
}
