//! Ingest: the way from a provider's request to a durable event, and to the answer for the provider.
//!
//! The signature is checked on the raw bytes, before anything is parsed. Then the source's preset says what the payload means. Only
//! the resulting event leaves this room, with card data masked, and nothing else of the payload (I8). The answer is 2xx only once
//! the event is durable (I1), and every delivery ends in one outcome on which metrics, the log line and the source's delivery log
//! agree (I7).
//!
//! Ingest knows payments and the store. It knows neither who watches nor any HTTP server.
//!
//! A delivery passes the files in one direction: `delivery` (the request) → `read` (verify, parse, map; with `long_work` if it is large) →
//! this file (append) → `outcome` (the result, and the acknowledgement rule) → `account` (metrics, the log line, the delivery log; with `examination` if it was rejected) → `reply` (the answer, before it is written
//! as HTTP). What is not understood passes `hold`, and comes back from there by `replay`. `backfill` takes what a provider lists of its events on the same way, and `catch_up` does that by itself after a time without webhooks. Beside that, `waiting` hands over events that waited for their payment, `windows` says how much is left of the time for which providers retry, and `secrets` warns in the course of a rotation. The room `source` knows how a source verifies deliveries and what their payloads mean.

mod account;
mod backfill;
mod catch_up;
mod delivery;
mod examination;
mod hold;
mod long_work;
mod outcome;
mod payload;
mod read;
mod replay;
mod reply;
mod secrets;
mod waiting;
mod windows;

pub use backfill::{BackfillError, Backfilled};
pub use catch_up::catch_up;
pub use delivery::Delivery;
pub use outcome::Refusal;
pub use replay::ReplayError;
pub use reply::{Reply, ReplyBody};
pub use waiting::hand_over;
pub use windows::watch_windows;

use crate::{
    limits::{LimitHit, Limits},
    live::Live,
    metrics::Metrics,
    outbound::Outbound,
    payment::{Event, Name, Time},
    source::{DEBOUNCE, EventSummary, MappedEvent, NoKey, Rejection, Source, Unclear, UnverifiedRequest},
    store::{Append, Appended, Labels, Parts, Placement, Store, StoreError},
};
use account::Account;
use futures_util::future::{join, join_all};
use http::HeaderMap;
use long_work::LongWork;
use outcome::{Dealt, Outcome, Taken};
use payload::Payload;
use read::{Read, ReadEvent};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::{Notify, Semaphore};

/// The way from a delivery into the store. All sources share one.
pub struct Ingest {
    /// The store to which events and records go.
    store: Arc<dyn Store>,
    /// The counters of the process.
    metrics: Arc<Metrics>,
    /// The limits, which a reload may change.
    limits: Live<Limits>,
    /// Limits how many deliveries are handled at once.
    deliveries: Semaphore,
    /// Notified of each confirmation that is newly pending.
    hints: Arc<Notify>,
    /// Where deliveries are read that take long to read.
    long_work: LongWork,
    /// Binds the other ids of payments and those of their parts.
    parts: Arc<Parts>,
    /// Whether the quarantine keeps bodies.
    holds_bodies: bool,
    /// The account of what comes of deliveries.
    account: Account,
    /// Asks providers for their events. Built by the first backfill.
    outbound: OnceLock<Outbound>,
}

impl Ingest {
    /// Builds the way into `store`, with its parts. `hints` is notified of each confirmation that is newly pending.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        parts: Arc<Parts>,
        metrics: Arc<Metrics>,
        limits: Live<Limits>,
        hints: Arc<Notify>,
    ) -> Self {
        let deliveries = Semaphore::new(limits.get().deliveries.min(Semaphore::MAX_PERMITS));
        let account = Account::new(Arc::clone(&store), Arc::clone(&metrics), limits.clone());
        Self {
            store,
            metrics,
            limits,
            deliveries,
            hints,
            long_work: LongWork::new(),
            parts,
            holds_bodies: true,
            account,
            outbound: OnceLock::new(),
        }
    }

    /// The same, whose quarantine keeps the bodies of events only if it may.
    #[must_use]
    pub fn holding_bodies(self, may_hold: bool) -> Self {
        Self { holds_bodies: may_hold, ..self }
    }

    /// Takes one delivery to `source`, and returns the answer once everything that the answer acknowledges is durable.
    pub async fn deliver(&self, source: &Source, delivery: Delivery<'_>) -> Reply {
        let started = Instant::now();
        let dealt = match self.deliveries.try_acquire() {
            Ok(_permit) => self.take(source, &delivery).await,
            Err(_) => {
                self.metrics.limit_hits.count(LimitHit::Deliveries);
                Outcome::Deferred { reason: "overload" }.into()
            }
        };
        self.account.close(source, &delivery, dealt, started)
    }

    /// Accounts for a delivery that did not get as far as [`deliver`](Self::deliver), and returns the answer.
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
        self.account.close(source, &delivery, Outcome::Refused(refusal).into(), Instant::now())
    }

    /// Verifies and reads a delivery, and returns what came of each of its events.
    async fn take(&self, source: &Source, delivery: &Delivery<'_>) -> Dealt {
        match self.open(source, delivery).await {
            Err(outcome) => outcome.into(),
            Ok(read) => self.take_read(source, delivery, read).await,
        }
    }

    /// Takes what was read of a delivery, and returns what came of each of its events.
    async fn take_read(&self, source: &Source, delivery: &Delivery<'_>, read: Read) -> Dealt {
        let Read { secret, payload, events } = read;
        let payload = Payload::new(source, delivery, secret.clone(), payload);
        let taken = match events {
            Ok(events) if events.is_empty() => vec![Outcome::Ignored.into()],
            // The events are appended at once, so that a batch waits for one sync of the disk and not for one per event.
            Ok(events) => {
                let take = |(index, event)| self.take_event(&payload, index, event);
                join_all(events.into_iter().enumerate().map(take)).await
            }
            Err(unclear) => {
                let summary = EventSummary::default();
                let outcome = self.quarantine(&payload, None, &summary, unclear).await;
                vec![Taken { summary, outcome }]
            }
        };
        Dealt { secret, taken }
    }

    /// Appends one event of a delivery, or puts it in quarantine.
    async fn take_event(&self, payload: &Payload<'_>, index: usize, event: ReadEvent) -> Taken {
        let ReadEvent { summary, meaning } = event;
        let taken = match meaning {
            Ok(None) => Ok(Outcome::Ignored),
            Ok(Some(mapped)) => {
                let (source, received_at) = (payload.source(), payload.delivery().received_at);
                self.append_mapped(source, received_at, received_at, &summary, mapped).await.0
            }
            Err(unclear) => Err(unclear),
        };
        let outcome = match taken {
            Ok(outcome) => outcome,
            Err(unclear) => self.quarantine(payload, Some(index), &summary, unclear).await,
        };
        Taken { summary, outcome }
    }

    /// Appends an event that is understood and was received at `received_at`, and returns what came of it with the payment that it is about, if
    /// that is known. The outcome is an error if the event is in conflict with another, or names only a part that nobody knows and for which it
    /// cannot wait from `now` on.
    async fn append_mapped(
        &self,
        source: &Source,
        received_at: Time,
        now: Time,
        summary: &EventSummary,
        mapped: MappedEvent,
    ) -> (Result<Outcome, Unclear>, Option<Name>) {
        self.parts.leave_out(mapped.labels.left_out);
        let subject = match (&mapped.payment, mapped.parts.first()) {
            (None, Some(part)) => source.part(part, mapped.live),
            (Some(payment), _) => Some(source.subject(payment)),
            (None, None) => None,
        };
        let Some(subject) = subject else {
            return (Err(Unclear { code: "bad_part_id", at: "part".to_owned() }), None);
        };
        let event = Event {
            id: mapped.id,
            source: source.shared_name(),
            provider: source.shared_provider(),
            kind: Arc::clone(&summary.kind),
            occurred_at: mapped.occurred_at,
            received_at,
            subject,
            live: mapped.live,
            trust: source.trust(),
            facts: mapped.facts,
            labels: mapped.labels.kept,
            parts: mapped.parts,
            binding: None,
        };
        match mapped.payment {
            Some(payment) => (self.append(source, event).await, Some(payment)),
            None => self.place(source, event, now).await,
        }
    }

    /// Verifies a delivery and reads its events. If the source has no secrets of its own, the key is fetched first, unless something
    /// else is wrong with the request.
    async fn open(&self, source: &Source, delivery: &Delivery<'_>) -> Result<Read, Outcome> {
        let Delivery { headers, body, received_at, peer, .. } = *delivery;
        let depth = self.limits.get().json_depth;
        let parts = source.request_parts(headers, delivery.query);
        let request = UnverifiedRequest { parts, body, received_at, key: None };
        let opened = self.long_work.run(body.len(), || read::events(source, request, depth)).await;
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
        let request = UnverifiedRequest { key: Some(&key.public), ..request };
        let opened = self.long_work.run(body.len(), || read::events(source, request, depth)).await;
        opened.map_err(Outcome::Rejected)
    }

    /// Appends an event that names a part alone to the payments that the part belongs to, or has it wait. Returns the first of them too.
    async fn place(
        &self,
        source: &Source,
        event: Event,
        now: Time,
    ) -> (Result<Outcome, Unclear>, Option<Name>) {
        let payments = match self.parts.place(&event, now).await {
            Ok(Placement::Under(payments)) => payments,
            Ok(Placement::Waits) => return (Ok(Outcome::Waiting), None),
            Ok(Placement::Nowhere(code)) => return (Err(Unclear { code, at: "part".to_owned() }), None),
            Err(why) => return (Ok(store_failed(source, &why)), None),
        };
        let events = payments.iter().filter_map(|payment| event.under(payment));
        let mut outcomes = join_all(events.map(|event| self.append(source, event))).await;
        // A part belongs to one payment. Should it belong to several, the delivery is only taken if each of them has the event.
        let is_taken = |outcome: &Result<Outcome, Unclear>| outcome.as_ref().is_ok_and(Outcome::is_taken);
        let index = outcomes.iter().position(|outcome| !is_taken(outcome)).unwrap_or_default();
        let payment = payments.into_iter().nth(index);
        let outcome = if index < outcomes.len() {
            outcomes.swap_remove(index)
        } else {
            Ok(Outcome::Deferred { reason: "store" })
        };
        (outcome, payment)
    }

    /// Appends an event to its payment's log, binds its labels and parts, and notes that a confirmation is pending if the provider can be asked.
    /// Fails if the event is in conflict with another.
    async fn append(&self, source: &Source, event: Event) -> Result<Outcome, Unclear> {
        let started = Instant::now();
        let payment = event.subject.id.clone();
        let (labels, parts) = (Labels::of(&event), Parts::of(&event));
        // Both go to the store at once, so that they wait for one sync of the disk. If only the confirmation is stored, it costs one
        // request in vain.
        let append = Append { event, shared_ids: source.shares_ids() };
        let (pending, appended) = join(self.enqueue(source, &payment), self.store.append(append)).await;
        if let Err(why) = pending {
            return Ok(store_failed(source, &why));
        }
        self.metrics.append_seconds.observe(started.elapsed().as_secs_f64());
        if matches!(appended, Ok(Appended::New { cursor }) if cursor.seq == 1) {
            self.parts.doubt(&labels);
        }
        // After the event, since an event in conflict binds nothing. If a crash comes between, the provider sends the event again, and its
        // duplicate binds them.
        if matches!(appended, Ok(Appended::New { .. } | Appended::Duplicate { .. }))
            && let Err(why) = self.parts.bind(labels, parts, source.shares_ids()).await
        {
            return Ok(store_failed(source, &why));
        }
        Ok(match appended {
            Ok(Appended::New { cursor, .. }) => Outcome::Accepted(cursor),
            Ok(Appended::Duplicate { cursor }) => Outcome::Duplicate(cursor),
            Ok(Appended::Conflict(conflict)) => {
                return Err(Unclear { code: conflict.code(), at: "log".to_owned() });
            }
            Err(why) => store_failed(source, &why),
        })
    }

    /// Notes that a confirmation of the payment is pending, if the source's events need one: the acknowledged event may be only a hint. A
    /// repeated hint counts again, because it says that something changed again.
    async fn enqueue(&self, source: &Source, payment: &Name) -> Result<(), StoreError> {
        if !source.confirms_events() {
            return Ok(());
        }
        let pending = self.store.enqueue(source.name(), payment, DEBOUNCE).await;
        match &pending {
            Ok(()) => self.hints.notify_one(),
            Err(StoreError::TooManyPending) => self.metrics.limit_hits.count(LimitHit::PendingConfirmations),
            Err(_) => {}
        }
        pending
    }
}

/// Logs that the store failed, and returns the outcome.
fn store_failed(source: &Source, why: &StoreError) -> Outcome {
    tracing::warn!(source = source.name(), %why, "the store failed an append");
    Outcome::Deferred { reason: "store" }
}

#[cfg(test)]
pub(crate) mod tests;
