//! Ingest: from a provider's request to one durable event, and the answer that the provider gets.
//!
//! Raw bytes first: the signature is checked before anything is parsed. Then the source's preset says what the payload
//! means; what leaves is that event and nothing else of the payload, with card data masked (I8). The answer is 2xx only
//! once the event is durable (I1), and every delivery ends in one outcome that metrics, the log line and the source's
//! delivery log agree on (I7).
//!
//! Ingest knows payments and the store. It does not know who watches, and no HTTP server.
//!
//! A delivery goes one way through the files: `delivery` (what came) → this file (verify, read, append) → `outcome` (what came of
//! it, and the acknowledgement rule) → `account` (metrics, the log line, the delivery log) → `reply` (the answer, before it is
//! written as HTTP). What a source is, how it verifies and what its payloads mean, the room `source` knows.

mod account;
mod delivery;
mod outcome;
mod reply;

pub use delivery::Delivery;
pub use outcome::Refusal;
pub use reply::{Reply, ReplyBody};

use crate::{
    limits::{LimitHit, Limits},
    live::Live,
    metrics::Metrics,
    payment::{Event, Name, Time},
    source::{DEBOUNCE, NoKey, Reading, Rejection, Source, Unclear, UnverifiedRequest},
    store::{Append, Appended, RecordLog, Store, StoreError},
};
use account::Account;
use futures_util::future::{join, join_all};
use http::{HeaderMap, header::CONTENT_ENCODING};
use outcome::{Outcome, Taken};
use serde_json::Value;
use std::{net::IpAddr, sync::Arc, time::Instant};
use tokio::sync::{Notify, Semaphore};

/// The way from a delivery into the store.
pub struct Ingest {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    limits: Live<Limits>,
    deliveries: Semaphore,
    /// Notified of each confirmation that is newly pending.
    hints: Arc<Notify>,
    account: Account,
}

impl Ingest {
    /// Ready to take deliveries. `hints` is notified of each confirmation that is newly pending.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        limits: Live<Limits>,
        hints: Arc<Notify>,
    ) -> Self {
        let deliveries = Semaphore::new(limits.get().deliveries.min(Semaphore::MAX_PERMITS));
        let account = Account::new(Arc::clone(&store), Arc::clone(&metrics), limits.clone());
        Self { store, metrics, limits, deliveries, hints, account }
    }

    /// Takes one delivery to `source` and says what to answer.
    pub async fn deliver(&self, source: &Source, delivery: Delivery<'_>) -> Reply {
        let started = Instant::now();
        let taken = match self.deliveries.try_acquire() {
            Ok(_permit) => self.take(source, &delivery).await,
            Err(_) => {
                self.metrics.limit_hits.count(LimitHit::Deliveries);
                vec![Outcome::Deferred { reason: "overload" }.into()]
            }
        };
        self.account.close(source, &delivery, taken, started)
    }

    /// Accounts for a delivery that did not get as far as [`deliver`](Self::deliver), and says what to answer.
    pub fn refused(
        &self,
        source: &Source,
        refusal: Refusal,
        received_at: Time,
        peer: Option<IpAddr>,
    ) -> Reply {
        if let Some(limit) = refusal.limit() {
            self.metrics.limit_hits.count(limit);
        }
        let headers = &HeaderMap::new();
        let delivery = Delivery { headers, query: "", body: b"", received_at, peer };
        self.account.close(source, &delivery, vec![Outcome::Refused(refusal).into()], Instant::now())
    }

    /// What comes of each event of a delivery.
    async fn take(&self, source: &Source, delivery: &Delivery<'_>) -> Vec<Taken> {
        let payload = match self.open(source, delivery).await {
            Err(outcome) => return vec![outcome.into()],
            Ok(payload) => payload,
        };
        match payload.as_ref().map_err(Unclear::clone).and_then(|payload| source.events(payload)) {
            Ok([]) => vec![Outcome::Ignored.into()],
            Ok(events) => {
                // All at once, so that a batch waits for one sync of the disk and not for one each.
                join_all(events.iter().map(|event| self.take_event(source, delivery, event))).await
            }
            Err(unclear) => {
                let reading = Reading::default();
                let outcome = self.quarantine(source, delivery, &reading, unclear).await;
                vec![Taken { reading, outcome }]
            }
        }
    }

    async fn take_event(&self, source: &Source, delivery: &Delivery<'_>, payload: &Value) -> Taken {
        let mut reading = Reading::default();
        let around = source.around(delivery.headers, delivery.query);
        let outcome = match source.read(around, payload, &mut reading) {
            Ok(None) => Outcome::Ignored,
            Ok(Some(statement)) => {
                let event = Event {
                    id: statement.id,
                    source: source.shared_name(),
                    provider: source.shared_provider(),
                    kind: Arc::clone(&reading.kind),
                    occurred_at: statement.occurred_at,
                    received_at: delivery.received_at,
                    subject: source.subject(&statement.payment),
                    live: statement.live,
                    trust: source.trust(),
                    facts: statement.facts,
                };
                self.append(source, delivery, &reading, event).await
            }
            Err(unclear) => self.quarantine(source, delivery, &reading, unclear).await,
        };
        Taken { reading, outcome }
    }

    /// Verifies and parses, with a key that is fetched first if the source has none of its own. Whatever is wrong with a
    /// request beside its key is found before that.
    async fn open(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
    ) -> Result<Result<Value, Unclear>, Outcome> {
        let Delivery { headers, body, received_at, peer, .. } = *delivery;
        let is_coded = |coding: &http::HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
        if headers.get_all(CONTENT_ENCODING).iter().any(is_coded) {
            return Err(Outcome::Rejected(Rejection::ContentEncoding));
        }
        let depth = self.limits.get().json_depth;
        let request = UnverifiedRequest {
            around: source.around(headers, delivery.query),
            body,
            received_at,
            key: None,
        };
        let opened = source.open(request, depth);
        if opened.as_ref().err() != Some(&Rejection::UntrustedKey) {
            return opened.map_err(Outcome::Rejected);
        }
        let Some(key) = source.fetched_key(request, peer).await else {
            return opened.map_err(Outcome::Rejected);
        };
        let key = key.inspect_err(|why| {
            if *why == NoKey::TooMany {
                self.metrics.limit_hits.count(LimitHit::KeyFetches);
            }
        })?;
        source.open(UnverifiedRequest { key: Some(&key.public), ..request }, depth).map_err(Outcome::Rejected)
    }

    async fn append(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
        reading: &Reading,
        event: Event,
    ) -> Outcome {
        let started = Instant::now();
        let payment = event.subject.id.clone();
        // Together, so that they wait for one sync of the disk. What is owed without its hint costs a question in vain.
        let append = Append { event, shared_ids: source.shares_ids() };
        let (owed, appended) = join(self.owe(source, &payment), self.store.append(append)).await;
        if let Err(why) = owed {
            return store_failed(source, &why);
        }
        self.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        match appended {
            Ok(Appended::New { cursor, .. }) => Outcome::Accepted(cursor),
            Ok(Appended::Duplicate { cursor }) => Outcome::Duplicate(cursor),
            Ok(Appended::Conflict(conflict)) => {
                let unclear = Unclear { code: conflict.code(), at: "log".to_owned() };
                self.quarantine(source, delivery, reading, unclear).await
            }
            Err(why) => store_failed(source, &why),
        }
    }

    /// Notes that the provider has to be asked, if it can be: what is acknowledged may be a hint and no more. A repeated hint
    /// says that something changed again.
    async fn owe(&self, source: &Source, payment: &Name) -> Result<(), StoreError> {
        if source.api().is_none() {
            return Ok(());
        }
        let owed = self.store.owe(source.name(), payment, DEBOUNCE).await;
        match &owed {
            Ok(()) => self.hints.notify_one(),
            Err(StoreError::TooMuchOwed) => self.metrics.limit_hits.count(LimitHit::Owed),
            Err(_) => {}
        }
        owed
    }

    /// Quarantine is an acknowledgement too, so its record has to be durable first.
    async fn quarantine(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
        reading: &Reading,
        unclear: Unclear,
    ) -> Outcome {
        let outcome = Outcome::Quarantined(unclear);
        let record = account::record(RecordLog::Quarantine, source, delivery, &outcome, reading);
        match self.store.record(record).await {
            Ok(()) => outcome,
            Err(why) => store_failed(source, &why),
        }
    }
}

fn store_failed(source: &Source, why: &StoreError) -> Outcome {
    tracing::warn!(source = source.name(), %why, "the store failed an append");
    Outcome::Deferred { reason: "store" }
}

#[cfg(test)]
pub(crate) mod tests;
