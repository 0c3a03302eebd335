//! When to retry a look-up, and when to give it up: after a failure, and after an answer that may be out of date. Pure.

use super::failed::Failed;
use crate::{
    backoff::Backoff,
    metrics::ConfirmationOutcome,
    payment::Time,
    store::{Delay, MAX_PAUSE, Pending, Settlement},
};
use std::time::Duration;

/// The pauses that the gateway chooses itself. Five minutes are enough: the provider is protected by the spacing of all its look-ups,
/// and a longer pause would only keep a customer waiting.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5 * 60));

/// The longest `Retry-After` that the gateway follows.
const MOST_ASKED: Duration = MAX_PAUSE;

/// The longest pause of a whole source without a `Retry-After`. The failures of one payment must not hold up the others for longer.
const MOST_OF_SOURCE: Duration = Duration::from_secs(30);

/// The pause after refused credentials. Frequent attempts with a bad key may lock an account; a corrected key should be used soon.
const DENIED: Duration = Duration::from_secs(60);

/// For how long the provider may answer that it does not know the payment, before the look-up is given up. Some providers send the hint
/// before their API knows the payment, and one that comes back from an outage may lack recent payments for a while.
const UNKNOWN: Duration = Duration::from_secs(60 * 60);

/// For how long answers may not fit the preset, before the look-up is given up. A proxy may answer in JSON while the provider's API is
/// down, which is repaired within minutes; words that the preset does not know stay as they are.
const UNCLEAR: Duration = Duration::from_secs(10 * 60);

/// For how long a confirmation may be pending. After this time, providers give up on webhooks too.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// When a doubtful answer is asked for again, and when once more. A provider's replicas lag by a second or two, and by a minute on a
/// bad day.
const DOUBTS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// What happened to a pending confirmation before this attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// For how long it has been pending, or pending since its last answer.
    pub(super) pending_for: Duration,
    /// The reason for the last delay.
    pub(super) delay: Option<Delay>,
    /// How often in a row it was delayed for that reason.
    pub(super) attempts: u32,
    /// How long ago the first delay of that row began.
    pub(super) delayed_for: Duration,
}

impl Past {
    /// The past of a claimed confirmation, as of `now`.
    pub(super) fn of(pending: &Pending, now: Time) -> Self {
        let until_now = |since| Duration::from_millis(u64::try_from(now.since_ms(since)).unwrap_or_default());
        let (pending_for, delayed_for) = (until_now(pending.since), until_now(pending.delayed_since));
        Self { pending_for, delay: pending.delay, attempts: pending.attempts, delayed_for }
    }

    /// How often in a row it was delayed for this very reason.
    fn attempts(self, delay: Delay) -> u32 {
        if self.delay == Some(delay) { self.attempts } else { 0 }
    }
}

/// How to settle a confirmation whose answer is doubtful.
pub(super) fn after_doubt(past: Past) -> Settlement {
    let again = usize::try_from(past.attempts(Delay::Doubted)).ok().and_then(|doubts| DOUBTS.get(doubts));
    again.map_or(Settlement::Done, |after| Settlement::Doubted { after: *after })
}

/// What to do after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// Retry after the settlement's pause.
    Retry(Settlement),
    /// Do not retry, and keep a record of the confirmation that was given up.
    GiveUp(GiveUpReason),
}

/// Why a confirmation is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GiveUpReason {
    /// The answer does not fit the preset or the payment's log, for the reason with this code.
    Answer(&'static str),
    /// The provider does not know the payment.
    UnknownAtProvider,
    /// The confirmation was pending for too long.
    TooOld,
}

impl GiveUpReason {
    /// The reason code of the record.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Answer(code) => code,
            Self::UnknownAtProvider => "unknown_at_provider",
            Self::TooOld => "unconfirmed",
        }
    }

    /// The outcome for metrics.
    pub(super) const fn outcome(self) -> ConfirmationOutcome {
        match self {
            Self::Answer(_) => ConfirmationOutcome::Quarantined,
            Self::UnknownAtProvider => ConfirmationOutcome::Unknown,
            Self::TooOld => ConfirmationOutcome::GivenUp,
        }
    }
}

/// What to do after a look-up that failed. `random`, a number from 0 to 1, is the jitter of a pause that the gateway chooses itself.
pub(super) fn after_failure(failed: &Failed, past: Past, random: f64) -> Decision {
    let is_puzzling = matches!(failed, Failed::Unclear(_) | Failed::Unknown(_));
    let attempts = past.attempts(if is_puzzling { Delay::Puzzled } else { Delay::Failed });
    let puzzled_for = if is_puzzling && attempts > 0 { past.delayed_for } else { Duration::ZERO };
    let pause = BACKOFF.delay(attempts, random);
    let at_least =
        |pause: Duration, asked: &Option<Duration>| pause.max(asked.unwrap_or_default().min(MOST_ASKED));
    let settlement = match failed {
        Failed::Unfit(unclear) => return Decision::GiveUp(GiveUpReason::Answer(unclear.code)),
        Failed::Unclear(unclear) if puzzled_for >= UNCLEAR => {
            return Decision::GiveUp(GiveUpReason::Answer(unclear.code));
        }
        Failed::Unknown(_) if puzzled_for >= UNKNOWN => {
            return Decision::GiveUp(GiveUpReason::UnknownAtProvider);
        }
        _ if past.pending_for >= GIVE_UP => return Decision::GiveUp(GiveUpReason::TooOld),
        Failed::Unclear(_) | Failed::Unknown(_) => Settlement::Puzzled { after: pause },
        Failed::Store(_) => Settlement::Postponed { after: pause },
        Failed::Unavailable { retry_after, .. } => {
            Settlement::Postponed { after: at_least(pause, retry_after) }
        }
        Failed::Throttled { retry_after } => {
            Settlement::Paused { after: at_least(pause.min(MOST_OF_SOURCE), retry_after) }
        }
        Failed::Denied(_) => Settlement::Paused { after: DENIED },
    };
    Decision::Retry(settlement)
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

    fn postponed(after: Duration) -> Decision {
        Decision::Retry(Settlement::Postponed { after })
    }

    fn puzzled(after: Duration) -> Decision {
        Decision::Retry(Settlement::Puzzled { after })
    }

    fn paused(after: Duration) -> Decision {
        Decision::Retry(Settlement::Paused { after })
    }

    #[test]
    fn each_failure_is_retried_by_its_own_rule_and_given_up_in_time() {
        let given_up = Decision::GiveUp;
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
            (unavailable(None), 80, 72 * HOUR, given_up(GiveUpReason::TooOld)),
            (Failed::Throttled { retry_after: Some(30 * SECOND) }, 0, SECOND, paused(30 * SECOND)),
            (Failed::Throttled { retry_after: None }, 1, SECOND, paused(2 * SECOND)),
            (Failed::Throttled { retry_after: None }, 12, SECOND, paused(30 * SECOND)),
            (Failed::Denied(401), 9, SECOND, paused(60 * SECOND)),
            (Failed::Denied(401), 9, 72 * HOUR, given_up(GiveUpReason::TooOld)),
            (Failed::Unknown(404), 4, SECOND, puzzled(16 * SECOND)),
            (Failed::Unknown(404), 80, HOUR - SECOND, puzzled(300 * SECOND)),
            (Failed::Unknown(404), 5, HOUR, given_up(GiveUpReason::UnknownAtProvider)),
            (Failed::Store(StoreError::Overloaded), 0, SECOND, postponed(SECOND)),
            (puzzling(), 0, SECOND, puzzled(SECOND)),
            (puzzling(), 9, 600 * SECOND - SECOND, puzzled(300 * SECOND)),
            (puzzling(), 9, 600 * SECOND, given_up(GiveUpReason::Answer("other_payment"))),
            (Failed::Unfit(unclear("log_full")), 0, SECOND, given_up(GiveUpReason::Answer("log_full"))),
        ] {
            let delay = match failed {
                Failed::Unclear(_) | Failed::Unknown(_) => Delay::Puzzled,
                _ => Delay::Failed,
            };
            let past = Past { pending_for: passed, delay: Some(delay), attempts, delayed_for: passed };
            assert_eq!(after_failure(&failed, past, 1.0), expected, "{failed} {past:?}");
        }
    }

    #[test]
    fn a_confirmation_that_is_given_up_has_a_code_for_its_record_and_an_outcome_for_metrics() {
        for (reason, code, outcome) in [
            (GiveUpReason::Answer("log_full"), "log_full", "quarantined"),
            (GiveUpReason::UnknownAtProvider, "unknown_at_provider", "unknown"),
            (GiveUpReason::TooOld, "unconfirmed", "given_up"),
        ] {
            assert_eq!((reason.code(), reason.outcome().word()), (code, outcome));
        }
    }

    #[test]
    fn a_failure_of_another_kind_begins_its_retries_anew() {
        let after = |delay| Past { pending_for: 5 * HOUR, delay, attempts: 9, delayed_for: 5 * HOUR };
        for delay in [None, Some(Delay::Doubted), Some(Delay::Failed)] {
            for failed in [Failed::Unknown(404), Failed::Unclear(Unclear { code: "x", at: "y".into() })] {
                assert_eq!(after_failure(&failed, after(delay), 1.0), puzzled(SECOND), "{failed} {delay:?}");
            }
        }
        assert_eq!(after_failure(&unavailable(None), after(Some(Delay::Puzzled)), 1.0), postponed(SECOND));
        assert_eq!(after_doubt(after(Some(Delay::Failed))), Settlement::Doubted { after: 5 * SECOND });
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
            let past =
                Past { pending_for: SECOND, delay: Some(Delay::Doubted), attempts, delayed_for: SECOND };
            assert_eq!(after_doubt(past), expected, "{attempts}");
        }
    }

    #[test]
    fn jitter_shortens_a_pause_to_a_half_at_most_and_never_a_retry_after() {
        let past = |attempts| Past {
            delay: Some(Delay::Failed),
            attempts,
            pending_for: SECOND,
            delayed_for: SECOND,
        };
        assert_eq!(after_failure(&unavailable(None), past(3), 0.0), postponed(4 * SECOND));
        let throttled = Failed::Throttled { retry_after: Some(30 * SECOND) };
        assert_eq!(after_failure(&throttled, past(0), 0.0), paused(30 * SECOND));
    }
}
