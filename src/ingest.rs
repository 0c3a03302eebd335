//! Ingest: from a provider's request to one durable event, and the answer that the provider gets.
//!
//! Raw bytes first: the signature is checked before anything is parsed. Then the source's preset says what the payload
//! means; what leaves is that event and nothing else of the payload, with card data masked (I8). The answer is 2xx only
//! once the event is durable (I1), and every delivery ends in one outcome that metrics, the log line and the source's
//! delivery log agree on (I7).
//!
//! Ingest knows payments and the store. It does not know who watches, and no HTTP server.
//!
//! | file | noun |
//! |---|---|
//! | `source`    | one endpoint: settings, and what is built from them |
//! | `api`       | how a source asks its provider |
//! | `gate`      | what verifies its deliveries |
//! | `signature` | recipes as data, secrets, verification |
//! | `keys`      | keys that a provider publishes, fetched when a request names them |
//! | `place`     | where in a delivery a text stands |
//! | `payload`   | from verified bytes to the events that they carry |
//! | `sieve`     | which parts of a payload are read at all |
//! | `adapter`   | the providers that no recipe can say |
//! | `preset`    | a provider in one file: loading, checking, mapping to facts |
//! | `confirm`   | asking a provider for a payment: the request, and what the answer says |
//! | `providers/*.toml` | the built-in presets |
//! | `outcome`   | what came of a delivery, and the acknowledgement rule |
//! | `reply`     | the answer to a provider, before it is written as HTTP |
//! | `account`   | telling it: metrics, the log line, the delivery log, the answer |
//! //! | `moment`, `depth`, `xml`, `throttle` | forms of time, nesting of JSON, XML as JSON, failed signatures per second |

mod account;
mod adapter;
mod api;
mod confirm;
mod depth;
mod gate;
mod keys;
mod moment;
mod outcome;
mod payload;
mod place;
mod preset;
mod reply;
mod sieve;
mod signature;
mod source;
mod throttle;
mod xml;

pub use api::{ApiError, ApiSettings};
pub use confirm::{Answer, Confirmation};
pub use outcome::Refusal;
pub use preset::{
    PresetError, ignored_table, mapping::Unclear, pointer::PointerError, preset_table, presets,
};
pub use reply::{Reply, ReplyBody};
pub use signature::SecretError;
pub use source::{Provider, Source, SourceError, SourceSettings};

use crate::{
    limits::Limits,
    live::Live,
    metrics::{CountReason as _, Metrics},
    payment::{Event, Name, Time},
    redact,
    store::{Append, Appended, Record, RecordLog, Store, StoreError},
};
use adapter::Unproven;
use futures_util::future::{join, join_all};
use gate::Gate;
use http::{HeaderMap, header::CONTENT_ENCODING};
use keys::NoKey;
use outcome::Outcome;
use place::Around;
use preset::mapping::Reading;
use serde_json::{Value, json};
use signature::Rejection;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, Semaphore};

/// How long a provider is left alone after a hint: several at once, as when a payment is paid and its order completed, then cost
/// one question, and who waits for the answer does not notice.
pub const DEBOUNCE: Duration = Duration::from_millis(200);

/// One HTTP request to a source.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Which source.
    pub source: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The query of its address, without the question mark.
    pub query: &'a str,
    /// Its body, as it came.
    pub body: &'a [u8],
    /// When it came.
    pub received_at: Time,
    /// Who sent it.
    pub peer: Option<IpAddr>,
}

/// All sources, and the way from them into the store.
pub struct Ingest {
    sources: RwLock<Arc<Sources>>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    limits: Live<Limits>,
    deliveries: Semaphore,
    /// Told of each confirmation that has come to be owed.
    owed: Notify,
    delivery_records: Arc<Semaphore>,
}

type Sources = HashMap<Arc<str>, Arc<Source>>;

/// One event of a delivery, or a delivery without any: what is known of it, and what came of it.
struct Taken {
    reading: Reading,
    outcome: Outcome,
}

impl From<Outcome> for Taken {
    fn from(outcome: Outcome) -> Self {
        Self { reading: Reading::default(), outcome }
    }
}

impl Ingest {
    /// Ready to take deliveries to `sources`.
    #[must_use]
    pub fn new(
        sources: Vec<Source>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        limits: Live<Limits>,
    ) -> Self {
        let deliveries = limits.get().deliveries.min(Semaphore::MAX_PERMITS);
        Self {
            sources: RwLock::new(Arc::new(by_name(sources))),
            store,
            metrics,
            limits,
            deliveries: Semaphore::new(deliveries),
            owed: Notify::new(),
            delivery_records: Arc::new(Semaphore::new(account::DELIVERY_RECORDS)),
        }
    }

    /// Takes these sources from now on, each with the keys that the source of its name has fetched. Deliveries in work end with
    /// the source that they began with.
    pub fn replace_sources(&self, mut sources: Vec<Source>) {
        let mut known = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        for source in &mut sources {
            if let Some(earlier) = known.get(&source.name) {
                source.inherit(earlier);
            }
        }
        *known = Arc::new(by_name(sources));
    }

    /// Whether there is such a source, so that a body need not be read for nothing.
    pub fn knows(&self, source: &str) -> bool {
        self.source(source).is_some()
    }

    /// What a provider is told that asks a question by GET; nothing if it only looks whether someone is there.
    pub fn answer(&self, source: &str, query: &str) -> Option<String> {
        let source = self.source(source)?;
        let around = Around { headers: &HeaderMap::new(), query, options: &source.options };
        match &source.gate {
            Gate::Coded(adapter) => adapter.answer(around),
            Gate::Recipe(_) => None,
        }
    }

    /// Returns when confirmations have come to be owed since it last did. For one waiter.
    pub async fn owed(&self) {
        self.owed.notified().await;
    }

    /// The sources whose providers can be asked.
    pub fn confirming(&self) -> Vec<Arc<Source>> {
        let sources = Arc::clone(&self.sources.read().unwrap_or_else(PoisonError::into_inner));
        sources.values().filter(|source| source.api.is_some()).map(Arc::clone).collect()
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    /// Takes one delivery and says what to answer.
    pub async fn deliver(&self, delivery: Delivery<'_>) -> Reply {
        let Some(source) = self.source(delivery.source) else { return outcome::unknown_source() };
        let started = Instant::now();
        let taken = match self.deliveries.try_acquire() {
            Ok(_permit) => self.take(&source, &delivery).await,
            Err(_) => {
                self.metrics.limit_hits.count("deliveries");
                vec![Outcome::Deferred { reason: "overload" }.into()]
            }
        };
        self.account(&source, &delivery, taken, started)
    }

    /// Accounts for a delivery that did not get as far as [`deliver`](Self::deliver), and says what to answer.
    pub fn refused(&self, source: &str, refusal: Refusal, received_at: Time, peer: Option<IpAddr>) -> Reply {
        let Some(known) = self.source(source) else { return outcome::unknown_source() };
        if let Some(limit) = refusal.limit() {
            self.metrics.limit_hits.count(limit);
        }
        let headers = &HeaderMap::new();
        let delivery = Delivery { source, headers, query: "", body: b"", received_at, peer };
        self.account(&known, &delivery, vec![Outcome::Refused(refusal).into()], Instant::now())
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
        let around = source.around(delivery);
        let outcome = match source.mapping.read(&source.terms, around, payload, &mut reading) {
            Ok(None) => Outcome::Ignored,
            Ok(Some(statement)) => {
                let event = Event {
                    id: statement.id,
                    source: Arc::clone(&source.name),
                    provider: Arc::clone(&source.provider),
                    kind: Arc::clone(&reading.kind),
                    occurred_at: statement.occurred_at,
                    received_at: delivery.received_at,
                    subject: source.subject(&statement.payment),
                    live: statement.live,
                    trust: source.trust,
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
        let request = Unproven { around: source.around(delivery), body, received_at, key: None };
        let opened = source.open(request, depth);
        let (Err(Rejection::UntrustedKey), Some(keys)) = (&opened, &source.keys) else {
            return opened.map_err(Outcome::Rejected);
        };
        let key = keys.key(request, peer).await.inspect_err(|why| {
            if *why == NoKey::TooMany {
                self.metrics.limit_hits.count("key_fetches");
            }
        })?;
        source.open(Unproven { key: Some(&key.public), ..request }, depth).map_err(Outcome::Rejected)
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
        let append = Append { event, shared_ids: source.shared_ids };
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
        if source.api.is_none() {
            return Ok(());
        }
        let owed = self.store.owe(&source.name, payment, DEBOUNCE).await;
        match &owed {
            Ok(()) => self.owed.notify_one(),
            Err(StoreError::TooMuchOwed) => self.metrics.limit_hits.count("owed"),
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
        let detail = json!({
            "event": reading.id,
            "unsigned_id": reading.unsigned_id,
            "type": reading.kind,
            "payment": reading.payment,
            "at": redact::text(&unclear.at, 256),
            "bytes": delivery.body.len(),
        });
        let record = Record {
            log: RecordLog::Quarantine,
            source: Arc::clone(&source.name),
            at: delivery.received_at,
            reason: unclear.code.to_owned(),
            detail: detail.to_string(),
        };
        match self.store.record(record).await {
            Ok(()) => Outcome::Quarantined(unclear),
            Err(why) => store_failed(source, &why),
        }
    }
}

fn by_name(sources: Vec<Source>) -> Sources {
    sources.into_iter().map(|source| (Arc::clone(&source.name), Arc::new(source))).collect()
}

fn store_failed(source: &Source, why: &StoreError) -> Outcome {
    tracing::warn!(source = %source.name, %why, "the store failed an append");
    Outcome::Deferred { reason: "store" }
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
