//! When to ask again, and when no more: after a question that was not answered, and after an answer that may be out of date. Pure.

use super::Failed;
use crate::store::{MAX_PAUSE, Settlement};
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

/// How long a payment that the provider does not know is asked for. Some send the hint before they can be asked, and one that comes
/// back from an outage may know nothing for a while.
const UNKNOWN: Duration = Duration::from_secs(60 * 60);

/// How long a payment is asked for whose answers are not understood. A gateway before the provider's API may speak JSON while that is
/// out of order, and is mended within minutes; words that the preset does not know stay as they are.
const UNCLEAR: Duration = Duration::from_secs(10 * 60);

/// After this, providers have given up on webhooks too.
const GIVE_UP: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// When a doubted answer is asked for again, and then once more. A provider's replicas are behind by a second or two, and by a minute on a
/// bad day.
const DOUBTS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// What becomes of a debt whose answer is in doubt, after `attempts` in vain before.
pub(super) fn doubt(attempts: u32) -> Settlement {
    let again = usize::try_from(attempts).ok().and_then(|attempts| DOUBTS.get(attempts));
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

/// What to do about a payment that was put off `attempts` times before and is owed for so long. `jitter`, from 0.5 to 1, keeps
/// those that failed together from coming back together.
pub(super) fn verdict(failed: &Failed, attempts: u32, owed_for: Duration, jitter: f64) -> Verdict {
    let pause = LEAST.saturating_mul(1 << attempts.min(12)).min(MOST).mul_f64(jitter);
    let at_least =
        |pause: Duration, wanted: &Option<Duration>| pause.max(wanted.unwrap_or_default().min(MOST_ASKED));
    let settlement = match failed {
        Failed::Unfit(unclear) => return Verdict::Never { code: unclear.code, outcome: "quarantined" },
        Failed::Unclear(unclear) if owed_for >= UNCLEAR => {
            return Verdict::Never { code: unclear.code, outcome: "quarantined" };
        }
        Failed::Unknown(_) if owed_for >= UNKNOWN => {
            return Verdict::Never { code: "unknown_at_provider", outcome: "unknown" };
        }
        _ if owed_for >= GIVE_UP => return Verdict::Never { code: "unconfirmed", outcome: "given_up" },
        Failed::Unclear(_) | Failed::Unknown(_) | Failed::Store(_) => Settlement::Postponed { after: pause },
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
    use crate::{ingest::Unclear, store::StoreError};

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn unavailable(retry_after: Option<Duration>) -> Failed {
        Failed::Unavailable { why: "status 500".into(), retry_after }
    }

    fn postponed(after: Duration) -> Verdict {
        Verdict::Again(Settlement::Postponed { after })
    }

    fn paused(after: Duration) -> Verdict {
        Verdict::Again(Settlement::Paused { after })
    }

    #[test]
    fn a_failure_is_met_with_the_patience_that_it_deserves() {
        let never = |code, outcome| Verdict::Never { code, outcome };
        let unclear = |code| Unclear { code, at: "/id".into() };
        let puzzling = || Failed::Unclear(unclear("other_payment"));
        for (failed, attempts, owed_for, expected) in [
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
            (Failed::Unknown(404), 4, SECOND, postponed(16 * SECOND)),
            (Failed::Unknown(404), 80, HOUR - SECOND, postponed(300 * SECOND)),
            (Failed::Unknown(404), 5, HOUR, never("unknown_at_provider", "unknown")),
            (Failed::Store(StoreError::Overloaded), 0, SECOND, postponed(SECOND)),
            (puzzling(), 0, SECOND, postponed(SECOND)),
            (puzzling(), 9, 600 * SECOND - SECOND, postponed(300 * SECOND)),
            (puzzling(), 9, 600 * SECOND, never("other_payment", "quarantined")),
            (Failed::Unfit(unclear("log_full")), 0, SECOND, never("log_full", "quarantined")),
        ] {
            assert_eq!(verdict(&failed, attempts, owed_for, 1.0), expected, "{failed} {attempts}");
        }
    }

    #[test]
    fn a_doubted_answer_is_asked_for_twice_more_and_failures_count_too() {
        let doubted = |seconds| Settlement::Doubted { after: Duration::from_secs(seconds) };
        for (attempts, expected) in [
            (0, doubted(5)),
            (1, doubted(60)),
            (2, Settlement::Done),
            (3, Settlement::Done),
            (u32::MAX, Settlement::Done),
        ] {
            assert_eq!(doubt(attempts), expected, "{attempts}");
        }
    }

    #[test]
    fn jitter_halves_a_pause_at_the_most_and_never_what_the_provider_asks_for() {
        assert_eq!(verdict(&unavailable(None), 3, SECOND, 0.5), postponed(4 * SECOND));
        let throttled = Failed::Throttled { retry_after: Some(30 * SECOND) };
        assert_eq!(verdict(&throttled, 0, SECOND, 0.5), paused(30 * SECOND));
    }
}
