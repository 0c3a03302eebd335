//! One question: ask the provider for a payment, read its answer, append what is new.

use super::{Confirmations, event};
use crate::{
    clock,
    outbound::{Answer, Outbound, OutboundError},
    payment::{Cursor, Event, Name, Phase, State},
    source::{AnswerError, Api, Source, Unclear},
    store::{Append, Appended, Log, StoreError},
};
use bytes::Bytes;
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// What came of a question.
pub(super) struct Step {
    /// The log as it was before.
    pub(super) log: Log,
    /// What the provider says, as an event.
    pub(super) event: Event,
    /// Where it stands in the log, if it is new.
    pub(super) appended: Option<Cursor>,
}

impl Step {
    /// Whether the answer may be older than the hint that it was asked for after, as from a replica of the provider's that lags. Only one is
    /// beyond doubt: it is news, nothing newer is known, and it says how a payment ended that was open until then. Of one that had ended
    /// or failed already, a replica that does not know yet of its refund, its dispute or its failure would say that it is captured.
    pub(super) fn is_doubtful(&self) -> bool {
        let mut state = State::fold(self.log.entries.iter().map(|entry| &*entry.event));
        let is_end = |phase| matches!(phase, Phase::Captured | Phase::Canceled | Phase::Expired);
        let was_open = state.phase().is_none_or(|phase| !is_end(phase) && phase != Phase::Failed);
        let is_ended = State::fold([&self.event]).phase().is_some_and(is_end);
        self.appended.is_none() || !was_open || !is_ended || state.apply(&self.event).late
    }
}

/// Why a question was not answered. Holds nothing of an answer, and no credential.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The provider is out of order, or the way to it.
    #[error("the provider cannot be asked: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// When it wants to be asked again, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider was asked too much.
    #[error("the provider has been asked too much")]
    Throttled {
        /// When it wants to be asked again, if it says so.
        retry_after: Option<Duration>,
    },
    /// It refuses the credentials, by this status.
    #[error("the provider refuses the source's api.key (status {0})")]
    Denied(u16),
    /// It knows no such payment, or none that can be asked for, by this status.
    #[error("the provider does not know the payment (status {0})")]
    Unknown(u16),
    /// What it says is not understood, or not about the payment: perhaps the word of something before its API, or a record half-written.
    #[error("the answer is not understood: {} at {}", .0.code, .0.at)]
    Unclear(Unclear),
    /// The payment cannot be asked for, or what is said of it is in conflict with the log. No further answer mends that.
    #[error("the payment cannot be confirmed: {} at {}", .0.code, .0.at)]
    Unfit(Unclear),
    /// Our own fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failed {
    /// What is no JSON is not the provider's API either, but what stands before it while it is out of order.
    fn reading(error: AnswerError) -> Self {
        match error {
            AnswerError::NotJson => {
                Self::Unavailable { why: "its answer is no JSON".to_owned(), retry_after: None }
            }
            AnswerError::Unclear(unclear) => Self::Unclear(unclear),
        }
    }
}

impl From<OutboundError> for Failed {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::TooLong => Self::Unclear(unclear("answer_too_long", "answer")),
            OutboundError::Unanswered(_) => Self::Unavailable { why: error.to_string(), retry_after: None },
        }
    }
}

fn unclear(code: &'static str, at: &str) -> Unclear {
    Unclear { code, at: at.to_owned() }
}

impl Failed {
    /// The word for metrics.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Throttled { .. } => "throttled",
            Self::Denied(_) => "denied",
            Self::Unknown(_) => "unknown",
            Self::Unclear(_) => "unclear",
            Self::Unfit(_) => "quarantined",
            Self::Store(_) => "store",
        }
    }

    /// Where in the answer, if there.
    pub(super) fn place(&self) -> Option<&str> {
        match self {
            Self::Unclear(unclear) | Self::Unfit(unclear) => Some(&unclear.at),
            _ => None,
        }
    }
}

impl Confirmations {
    /// Asks for a payment and appends what the answer says, unless that is what it said before.
    pub(super) async fn step(&self, source: &Source, api: &Api, payment: &Name) -> Result<Step, Failed> {
        let request = api.request(payment).map_err(Failed::Unfit)?;
        let asked_at = clock::now();
        let body = body_of(self.outbound()?.ask(request).await?)?;
        let received_at = clock::now();
        let answer = api.read(payment, &body, self.limits.get().json_depth).map_err(Failed::reading)?;
        let log = self.store.read(&source.subject(payment)).await?;
        let latest = event::latest(&log, source.name());
        let event = event::following(latest, source, payment, answer, (asked_at, received_at));
        if latest.is_some_and(|latest| latest.digest() == event.digest() && latest.live == event.live) {
            return Ok(Step { log, event, appended: None });
        }
        let append = Append { event: event.clone(), shared_ids: source.shares_ids() };
        let began = Instant::now();
        let appended = self.store.append(append).await;
        self.metrics.append_seconds.observe(began.elapsed().as_secs_f64());
        let appended = match appended? {
            Appended::New { cursor } => Some(cursor),
            // Another node asked at the same time.
            Appended::Duplicate { .. } => None,
            Appended::Conflict(conflict) => return Err(Failed::Unfit(unclear(conflict.code(), "log"))),
        };
        Ok(Step { log, event, appended })
    }

    fn outbound(&self) -> Result<&Outbound, Failed> {
        Ok(made(&self.outbound, Outbound::new)?)
    }
}

/// What was made before, or can be made now. What fails is tried anew the next time: the machine may have got what it lacked.
fn made<T, E>(place: &OnceLock<T>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    match place.get() {
        Some(made) => Ok(made),
        None => {
            let new = make()?;
            Ok(place.get_or_init(|| new))
        }
    }
}

/// The body of an answer that is one.
fn body_of(answer: Answer) -> Result<Bytes, Failed> {
    let Answer { status, retry_after, body } = answer;
    match status {
        200..=299 => Ok(body),
        401 => Err(Failed::Denied(status)),
        429 => Err(Failed::Throttled { retry_after }),
        404 | 410 => Err(Failed::Unknown(status)),
        // A redirection is no answer: the address is the preset's or the source's to say.
        _ => Err(Failed::Unavailable { why: format!("it answers with status {status}"), retry_after }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payment::{Tag, Time, Trust},
        store::{Entry, fake},
    };
    use std::sync::Arc;

    fn confirmed(phase: Phase, second: i64) -> Event {
        let event = fake::event("tr_1", &format!("{phase:?} {second}"), phase);
        Event { trust: Trust::Confirmed, occurred_at: Time::from_unix_s(second).ok(), ..event }
    }

    #[test]
    fn an_answer_is_doubted_unless_it_is_news_and_says_how_an_open_payment_ended() {
        const NEW: Option<Cursor> = Some(Cursor::START);
        for (known, answer, appended, expected) in [
            (None, confirmed(Phase::Captured, 2), NEW, false),
            (None, confirmed(Phase::Canceled, 2), NEW, false),
            (None, confirmed(Phase::Expired, 2), NEW, false),
            (Some(confirmed(Phase::Processing, 1)), confirmed(Phase::Captured, 2), NEW, false),
            (Some(confirmed(Phase::Captured, 1)), confirmed(Phase::Captured, 2), None, true),
            (None, confirmed(Phase::Created, 2), NEW, true),
            (None, confirmed(Phase::RequiresAction, 2), NEW, true),
            (None, confirmed(Phase::Processing, 2), NEW, true),
            (None, confirmed(Phase::Authorized, 2), NEW, true),
            (None, confirmed(Phase::Failed, 2), NEW, true),
            // A refund, a chargeback or a failure may be known that the answer does not know of.
            (Some(confirmed(Phase::Captured, 1)), confirmed(Phase::Captured, 2), NEW, true),
            (Some(confirmed(Phase::Failed, 1)), confirmed(Phase::Captured, 2), NEW, true),
            // Something newer is known.
            (Some(confirmed(Phase::Captured, 3)), confirmed(Phase::Captured, 2), NEW, true),
        ] {
            let entries = known.map(|event| Entry { tag: Tag::NONE, event: Arc::new(event) });
            let log = Log { entries: entries.into_iter().collect() };
            let told = format!("{log:?} {answer:?}");
            assert_eq!(Step { log, event: answer, appended }.is_doubtful(), expected, "{told}");
        }
    }

    #[test]
    fn what_could_not_be_made_is_tried_anew_and_what_was_made_is_kept() {
        let place = OnceLock::new();
        let no_roots = || Err::<u8, _>("no root certificates");
        assert_eq!(made(&place, no_roots), Err("no root certificates"));
        assert_eq!(made(&place, || Ok::<_, &str>(1)), Ok(&1));
        assert_eq!(made(&place, no_roots), Ok(&1));
    }
}
