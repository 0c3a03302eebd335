//! One look-up of a payment: ask its provider, read the answer, and append what is new to the payment's log.
//!
//! It does not retry and knows nothing of pending confirmations, so an operator's request and a hint share it.

use super::{event, failed::Failed};
use crate::{
    clock,
    limits::Limits,
    live::Live,
    metrics::{ConfirmationOutcome, Metrics},
    outbound::{Outbound, ProviderAnswer},
    payment::{Cursor, Event, Name, Phase, State},
    source::{Api, Source, Unclear},
    store::{Append, Appended, Labels, Log, Parts, Store, StoreError},
};
use bytes::Bytes;
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How long a provider may take for its answer, together with the token that it may want first. Without one, a single request takes less.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(20);

/// The result of a look-up that the provider answered.
pub(super) struct Lookup {
    /// The payment's log as it was before the answer was appended.
    pub(super) log: Log,
    /// What the provider answered, as an event.
    pub(super) event: Event,
    /// The event's place in the log. `None` if the log held it already.
    pub(super) appended: Option<Cursor>,
}

impl Lookup {
    /// The outcome for metrics and logs.
    pub(super) const fn outcome(&self) -> ConfirmationOutcome {
        if self.appended.is_some() { ConfirmationOutcome::Appended } else { ConfirmationOutcome::Same }
    }

    /// Whether the answer may be older than the hint, as one of a provider's replica that lags behind. An answer is certain only if it
    /// is new, nothing newer is known, and it says how a payment ended that was open until then. If the payment had ended or failed
    /// before, a replica that lacks its refund, its dispute or its failure would still report it as captured.
    pub(super) fn is_doubtful(&self) -> bool {
        let mut state = State::fold(self.log.entries.iter().map(|entry| &*entry.event));
        let is_end = |phase| matches!(phase, Phase::Captured | Phase::Canceled | Phase::Expired);
        let was_open = state.phase().is_none_or(|phase| !is_end(phase) && phase != Phase::Failed);
        let is_ended = State::fold([&self.event]).phase().is_some_and(is_end);
        self.appended.is_none() || !was_open || !is_ended || state.apply(&self.event).late
    }
}

/// Looks payments up at their providers. It holds the connections to the providers, for all sources together.
pub(super) struct Lookups {
    store: Arc<dyn Store>,
    parts: Arc<Parts>,
    metrics: Arc<Metrics>,
    limits: Live<Limits>,
    /// Built by the first look-up for which it succeeds, and kept. A machine without root certificates can then still run a gateway
    /// whose sources need no look-ups.
    outbound: OnceLock<Outbound>,
}

impl Lookups {
    /// Ready to look up payments and to append the answers to `store`.
    pub(super) fn new(
        store: Arc<dyn Store>,
        parts: Arc<Parts>,
        metrics: Arc<Metrics>,
        limits: Live<Limits>,
    ) -> Self {
        Self { store, parts, metrics, limits, outbound: OnceLock::new() }
    }

    /// Asks the provider of `source` for a payment, and appends the answer unless it repeats the last one.
    pub(super) async fn look_up(&self, source: &Source, api: &Api, payment: &Name) -> Result<Lookup, Failed> {
        let asked_at = clock::now();
        let body = timeout(MAX_ANSWER_TIME, self.ask(api, payment)).await.unwrap_or_else(|_| {
            Err(Failed::Unavailable { why: "its answer takes too long".to_owned(), retry_after: None })
        })?;
        let received_at = clock::now();
        let answer =
            api.read(payment, &body, received_at, self.limits.get().json_depth).map_err(Failed::reading)?;
        let log = self.store.read(&source.subject(payment)).await?;
        let latest = event::latest(&log, source.name());
        let event = event::following(latest, source, payment, answer, (asked_at, received_at));
        if latest.is_some_and(|latest| latest.digest() == event.digest() && latest.live == event.live) {
            // A crash may have come between the last answer and its labels or parts.
            self.bind(source, &event).await?;
            return Ok(Lookup { log, event, appended: None });
        }
        let append = Append { event: event.clone(), shared_ids: source.shares_ids() };
        let began = Instant::now();
        let appended = self.store.append(append).await;
        self.metrics.append_seconds.observe(began.elapsed().as_secs_f64());
        let appended = match appended? {
            Appended::New { cursor } => Some(cursor),
            // Another node asked at the same time.
            Appended::Duplicate { .. } => None,
            Appended::Conflict(conflict) => {
                return Err(Failed::Unfit(Unclear { code: conflict.code(), at: "log".to_owned() }));
            }
        };
        if appended.is_some_and(|cursor| cursor.seq == 1) {
            self.parts.doubt(&Labels::of(&event));
        }
        self.bind(source, &event).await?;
        Ok(Lookup { log, event, appended })
    }

    /// Asks for a payment, and for a token before that if the API wants one and none is held. Returns the body of the answer.
    async fn ask(&self, api: &Api, payment: &Name) -> Result<Bytes, Failed> {
        // A payment that cannot be asked for costs no request.
        api.request(payment).map_err(Failed::Unfit)?;
        let is_new = self.renew_token(api).await?;
        let answer = self.outbound()?.ask(api.request(payment).map_err(Failed::Unfit)?).await?;
        if answer.status != 401 || !api.forget_token() || is_new {
            return body_of(answer);
        }
        // The provider may revoke a token before it expires.
        self.renew_token(api).await?;
        body_of(self.outbound()?.ask(api.request(payment).map_err(Failed::Unfit)?).await?)
    }

    /// Asks for a token if the API wants one and none is held. Returns whether there is a new one.
    async fn renew_token(&self, api: &Api) -> Result<bool, Failed> {
        let Some(request) = api.token_request(Instant::now()) else { return Ok(false) };
        let answer = self.outbound()?.ask(request).await?;
        // RFC 6749, section 5.2: what is wrong with the credentials is told with 400 or 401.
        let body = match answer.status {
            status @ 400..=403 => return Err(Failed::Denied(status)),
            _ => body_of(answer).map_err(Failed::of_token)?,
        };
        api.keep_token(&body, Instant::now()).map_err(Failed::reading)?;
        Ok(true)
    }

    async fn bind(&self, source: &Source, event: &Event) -> Result<(), StoreError> {
        self.parts.bind(Labels::of(event), Parts::of(event), source.shares_ids()).await
    }

    fn outbound(&self) -> Result<&Outbound, Failed> {
        Ok(built(&self.outbound, Outbound::new)?)
    }
}

/// The value that was built before, or a new one. A failure is not remembered, so the next call tries again: what the machine lacked
/// may be there by then.
fn built<T, E>(place: &OnceLock<T>, build: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    match place.get() {
        Some(built) => Ok(built),
        None => {
            let new = build()?;
            Ok(place.get_or_init(|| new))
        }
    }
}

/// The body of a successful answer; any other status is a failure.
fn body_of(answer: ProviderAnswer) -> Result<Bytes, Failed> {
    let ProviderAnswer { status, retry_after, body } = answer;
    match status {
        200..=299 => Ok(body),
        401 => Err(Failed::Denied(status)),
        429 => Err(Failed::Throttled { retry_after }),
        404 | 410 => Err(Failed::Unknown(status)),
        // A redirection counts as a failure: only the preset and the configuration say which address is asked.
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
            // The log may hold a refund, a chargeback or a failure that the answer lacks.
            (Some(confirmed(Phase::Captured, 1)), confirmed(Phase::Captured, 2), NEW, true),
            (Some(confirmed(Phase::Failed, 1)), confirmed(Phase::Captured, 2), NEW, true),
            // Something newer is known.
            (Some(confirmed(Phase::Captured, 3)), confirmed(Phase::Captured, 2), NEW, true),
        ] {
            let entries = known.map(|event| Entry { tag: Tag::NONE, event: Arc::new(event) });
            let log = Log { entries: entries.into_iter().collect() };
            let case = format!("{log:?} {answer:?}");
            assert_eq!(Lookup { log, event: answer, appended }.is_doubtful(), expected, "{case}");
        }
    }

    #[test]
    fn a_client_that_could_not_be_built_is_tried_again_and_one_that_was_built_is_kept() {
        let place = OnceLock::new();
        let no_roots = || Err::<u8, _>("no root certificates");
        assert_eq!(built(&place, no_roots), Err("no root certificates"));
        assert_eq!(built(&place, || Ok::<_, &str>(1)), Ok(&1));
        assert_eq!(built(&place, no_roots), Ok(&1));
    }
}
