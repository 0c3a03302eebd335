//! Parts: events that name only a capture, a charge or a refund find the payment that it belongs to.
//!
//! Each part has a log of its own, in which events bind it to its payment and in which events that name the part alone wait for that. The
//! log orders them: an event that was appended before the binding is handed over by whoever wrote the binding, and whoever appended an event
//! after it finds the binding. Both look at what came between their read and their append, so no event is left behind, whichever gateways
//! write. What waits has an item of work in the store's queue until it has been handed over or given up, so a crash only repeats that, and
//! to append an event twice changes nothing.

use super::{
    Append, Appended, Conflict, Erased, Erasure, Labels, Log, OutcomeKind, ReasonCode, Record, RecordLog,
    Settlement, Store, StoreError, labels::is_old, rewrites::Rewrites,
};
use crate::{
    backoff::Backoff,
    limits::LimitHit,
    metrics::{Metrics, PartOutcome},
    payment::{Binding, Event, Kind, MAX_WAITING, Name, PartLog, Subject, Time, Trust},
};
use futures_util::future::{try_join, try_join_all};
use quick_cache::sync::Cache;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Parts whose payments are kept in memory: some 300 bytes each, so 10 MB.
const CACHED: usize = 32_768;

/// How long an event waits for its payment. Providers give up on webhooks after three days too, so what names the payment has come by then.
pub const MAX_WAIT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// When a part is looked at that waits, or whose binding is about to be written: soon enough that a crash is made good within two seconds.
const SOON: Duration = Duration::from_millis(500);

/// When a part is looked at that is not bound yet. A binding hands over what waits, so this only makes good a crash.
const AGAIN: Backoff = Backoff::new(SOON, Duration::from_secs(10 * 60));

/// For how long what was read of a part places events that name it alone.
const RELIED_ON: Duration = Duration::from_secs(60);

/// The reason code of events that waited for [`MAX_WAIT`].
const UNKNOWN_PART: &str = "unknown_part";

/// Binds parts to payments, and finds the payments of events that name parts alone. Shared by all that append events.
pub struct Parts {
    store: Arc<dyn Store>,
    labels: Arc<Labels>,
    metrics: Arc<Metrics>,
    history: Duration,
    known: Cache<Subject, Arc<Known>>,
    rewrites: Rewrites,
}

/// The payments of a part that is bound.
struct Known {
    payments: BTreeSet<Name>,
    read_at: Instant,
}

/// Where an event belongs that names a part alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Into the logs of these payments: one, unless the provider bound the part to several.
    Under(BTreeSet<Name>),
    /// Nobody knows yet. The event waits, durably.
    Waits,
    /// Nobody knows, and the event does not wait, for the reason with this code.
    Nowhere(&'static str),
}

impl Parts {
    /// A writer of parts and labels into `store`, whose logs live for `history`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, labels: Arc<Labels>, metrics: Arc<Metrics>, history: Duration) -> Self {
        let rewrites = Rewrites::new(Arc::clone(&store));
        Self { store, labels, metrics, history, known: Cache::new(CACHED), rewrites }
    }

    /// The events that bind the parts of an event to its payment.
    #[must_use]
    pub fn of(event: &Event) -> Vec<Event> {
        event.parts.iter().filter_map(|part| event.part_binding(part)).collect()
    }

    /// Makes bindings of labels and of parts durable before it returns, as far as they are news, and hands over what waited for these
    /// parts. `shared_ids` is that of the append of the event that names them.
    pub async fn bind(
        &self,
        labels: Vec<Event>,
        parts: Vec<Event>,
        shared_ids: bool,
    ) -> Result<(), StoreError> {
        self.rewrites.finish_in_passing(|part| self.forget(part)).await;
        // What is handed over may name further labels and parts. Each pair is bound once here, so this ends.
        let mut seen = HashSet::new();
        let (mut labels, mut parts) = (labels, parts);
        loop {
            parts.retain(|binding| seen.insert((binding.subject.clone(), payment_of(binding).cloned())));
            let bound = try_join_all(parts.into_iter().map(|binding| self.bind_one(binding, shared_ids)));
            let (placed, ()) = try_join(bound, self.labels.bind(labels)).await?;
            let placed: Vec<Event> = placed.into_iter().flatten().collect();
            if placed.is_empty() {
                return Ok(());
            }
            labels = placed.iter().flat_map(Labels::of).collect();
            parts = placed.iter().flat_map(Self::of).collect();
        }
    }

    /// Counts labels of an event that cannot be used.
    pub fn leave_out(&self, labels: usize) {
        self.labels.leave_out(labels);
    }

    /// Forgets what is known of the labels of a payment whose log has just begun, as [`Labels::doubt`] does.
    pub fn doubt(&self, labels: &[Event]) {
        self.labels.doubt(labels);
    }

    /// Binds one part, and returns what was handed over.
    async fn bind_one(&self, binding: Event, shared_ids: bool) -> Result<Vec<Event>, StoreError> {
        let Some(payment) = payment_of(&binding).cloned() else { return Ok(Vec::new()) };
        let (part, now) = (binding.subject.clone(), binding.received_at);
        // The log is read each time, and no cache is relied on: a server that came back without its last writes may have lost the binding, and
        // the event is about to be acknowledged as one that taught it.
        let read = self.store.read(&part).await?;
        let mut log = fold(&read);
        if !log.has_room_for(&payment) {
            self.tell_full(&part);
            return Ok(Vec::new());
        }
        let is_new = !log.payments().contains(&payment);
        if is_new || is_old(self.history, log.newest(), now) {
            if is_new && !log.unplaced().is_empty() {
                // A crash may come right after the binding, and nobody would hand over what waits.
                self.look_soon(&part).await?;
            }
            match self.store.append(Append { event: binding, shared_ids: true }).await? {
                Appended::New { cursor } => {
                    self.metrics.parts.count(if is_new { PartOutcome::Bound } else { PartOutcome::Renewed });
                    if cursor.seq != read.head().seq + 1 {
                        log = fold(&self.read_with(&part, cursor.seq).await?);
                    }
                }
                Appended::Duplicate { cursor } if cursor.seq > read.head().seq => {
                    log = fold(&self.read_with(&part, cursor.seq).await?);
                }
                Appended::Duplicate { .. } => {}
                // The log has no room. What waits belongs to this payment all the same.
                Appended::Conflict(_) => self.tell_full(&part),
            }
        }
        let placed = self.hand_over(&log, &payment, shared_ids).await?;
        let payments = log.payments().iter().cloned().chain([payment]).collect();
        self.known.insert(part, Arc::new(Known { payments, read_at: Instant::now() }));
        Ok(placed)
    }

    fn known(&self, part: &Subject) -> Option<Arc<Known>> {
        self.known.get(part).filter(|known| known.read_at.elapsed() < RELIED_ON)
    }

    /// Appends what waited for a part to a payment's log, and returns it.
    async fn hand_over(
        &self,
        log: &PartLog,
        payment: &Name,
        shared_ids: bool,
    ) -> Result<Vec<Event>, StoreError> {
        let events = log.unplaced().iter().filter_map(|event| event.under(payment));
        let appends = events.map(|event| self.append(event, shared_ids));
        Ok(try_join_all(appends).await?.into_iter().flatten().collect())
    }

    /// Appends an event that has found its payment, and returns it. One that is in conflict there is quarantined.
    async fn append(&self, event: Event, shared_ids: bool) -> Result<Option<Event>, StoreError> {
        match self.store.append(Append { event: event.clone(), shared_ids }).await? {
            Appended::New { cursor } => {
                self.metrics.parts.count(PartOutcome::HandedOver);
                if cursor.seq == 1 {
                    self.doubt(&Labels::of(&event));
                }
                tracing::info!(
                    source = &*event.source, outcome = "accepted", event = &*event.id, "type" = &*event.kind,
                    payment = %event.subject.id, seq = cursor.seq, "an event that waited for its payment has found it"
                );
                Ok(Some(event))
            }
            Appended::Duplicate { .. } => Ok(Some(event)),
            Appended::Conflict(conflict) => {
                self.quarantine(&event, conflict.code(), event.received_at).await?;
                Ok(None)
            }
        }
    }

    /// Finds the payment of an event that names a part alone: its subject is the log of the part. If nobody knows the payment, the event
    /// waits there, durably before this returns. One that was received so long before `now` that it would wait no more stays where it is: it
    /// comes from the quarantine.
    pub async fn place(&self, event: &Event, now: Time) -> Result<Placement, StoreError> {
        let part = &event.subject;
        if let Some(known) = self.known(part) {
            return Ok(Placement::Under(known.payments.clone()));
        }
        let read = self.store.read(part).await?;
        let log = fold(&read);
        if !log.payments().is_empty() {
            return Ok(Placement::Under(log.payments().clone()));
        }
        // Anybody may send hints, so they take no room.
        if event.trust == Trust::Hint || left(event, now).is_zero() {
            return Ok(Placement::Nowhere(UNKNOWN_PART));
        }
        let identity = event.identity();
        let is_it = |other: &&Arc<Event>| other.identity() == identity;
        let waits_already = log.waiting().any(|waiting| is_it(&waiting));
        if !waits_already && log.unplaced().iter().any(|unplaced| is_it(&unplaced)) {
            return Ok(Placement::Nowhere(UNKNOWN_PART));
        }
        if !waits_already && log.waiting().count() >= MAX_WAITING {
            return Ok(self.no_room());
        }
        let append = Append { event: event.clone(), shared_ids: true };
        let (seq, expected) = match self.store.append(append).await? {
            Appended::New { cursor } => (cursor.seq, read.head().seq + 1),
            Appended::Duplicate { cursor } => (cursor.seq, cursor.seq.min(read.head().seq)),
            Appended::Conflict(Conflict::LogFull) => return Ok(self.no_room()),
            Appended::Conflict(conflict) => return Ok(Placement::Nowhere(conflict.code())),
        };
        // After the append: whoever claims the item then finds the event.
        match self.look_soon(part).await {
            Err(StoreError::TooManyPending) => return Ok(self.no_room()),
            looked => looked?,
        }
        if seq != expected {
            // Something was appended since the log was read.
            let log = fold(&self.read_with(part, seq).await?);
            if !log.payments().is_empty() {
                return Ok(Placement::Under(log.payments().clone()));
            }
        }
        self.metrics.parts.count(PartOutcome::Waiting);
        Ok(Placement::Waits)
    }

    fn no_room(&self) -> Placement {
        self.metrics.limit_hits.count(LimitHit::WaitingEvents);
        Placement::Nowhere("too_many_waiting")
    }

    /// Looks at a part for which something waits: hands it over if the part is bound, and gives up what has waited for too long. Returns
    /// how to settle the item of work. `shares_ids` says whether the ids of a source's payments are the shop's own.
    pub async fn look(
        &self,
        part: &Subject,
        attempts: u32,
        now: Time,
        shares_ids: impl Fn(&str) -> bool,
    ) -> Result<Settlement, StoreError> {
        let log = fold(&self.store.read(part).await?);
        if !log.payments().is_empty() {
            let mut events = Vec::new();
            for event in log.unplaced() {
                events.extend(log.payments().iter().filter_map(|payment| event.under(payment)));
            }
            for event in events {
                let shared_ids = shares_ids(&event.source);
                if let Some(event) = self.append(event, shared_ids).await? {
                    self.bind(Labels::of(&event), Self::of(&event), shared_ids).await?;
                }
            }
            return Ok(Settlement::Done);
        }
        let (late, waiting): (Vec<_>, Vec<_>) = log.waiting().partition(|event| left(event, now).is_zero());
        for event in late {
            self.give_up(event, now).await?;
        }
        let next = waiting.into_iter().map(|event| left(event, now)).min();
        let after = next.map(|left| left.min(AGAIN.random(attempts)));
        Ok(after.map_or(Settlement::Done, |after| Settlement::Puzzled { after }))
    }

    /// Quarantines an event that has waited for too long, and notes in the log of its part that it waits no more. If the part is bound
    /// later all the same, the event is handed over then.
    async fn give_up(&self, event: &Event, now: Time) -> Result<(), StoreError> {
        self.quarantine(event, UNKNOWN_PART, now).await?;
        self.metrics.parts.count(PartOutcome::GivenUp);
        self.store.append(Append { event: event.giving_up(now), shared_ids: true }).await.map(drop)
    }

    async fn quarantine(&self, event: &Event, code: &'static str, at: Time) -> Result<(), StoreError> {
        tracing::warn!(
            source = &*event.source,
            outcome = "quarantined",
            reason = code,
            event = &*event.id,
            "type" = &*event.kind,
            part = event.parts.first().map(Name::as_str),
            "an event that waited for its payment"
        );
        self.metrics.event(&event.source, OutcomeKind::Quarantined.word(), code);
        let record = Record {
            log: RecordLog::Quarantine,
            source: Arc::clone(&event.source),
            at,
            outcome: OutcomeKind::Quarantined,
            reason: ReasonCode::known(code),
            event: Some(Arc::clone(&event.id)),
            unsigned_id: None,
            kind: Some(Arc::clone(&event.kind)),
            payment: Some(&event.subject).filter(|it| it.kind() == Kind::Payment).map(|it| it.id.clone()),
            part: event.parts.first().cloned(),
            failure_code: None,
            seq: None,
            place: None,
            bytes: None,
            secret: None,
            diagnosis: None,
            confirmation: None,
            found: None,
            held: None,
        };
        self.store.record(record).await
    }

    /// The events that wait for a part, the oldest first.
    pub async fn waiting(&self, part: &Subject) -> Result<Vec<Arc<Event>>, StoreError> {
        Ok(fold(&self.store.read(part).await?).waiting().cloned().collect())
    }

    /// Erases a payment, what its parts and labels say of it, and what waited for these parts. The payment's log goes last, as it names
    /// the others; if an error comes between, the next call finds them again. What a part says of other payments is written again; if the
    /// store fails between, that is done with the next erasure or the next part.
    pub async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        self.rewrites.finish(|part| self.forget(part)).await?;
        let Subject { realm, id: payment } = &erasure.subject;
        let log = self.store.read(&erasure.subject).await?;
        let events = log.entries.iter().map(|entry| &entry.event);
        let parts_of = |event: &Arc<Event>| {
            event.parts.iter().filter_map(|part| event.part_log(realm, part)).collect::<Vec<_>>()
        };
        let parts: HashSet<Subject> = events.flat_map(parts_of).collect();
        let mut erased = Erased::default();
        for part in parts {
            let log = self.store.read(&part).await?;
            let is_of_another =
                |event: &Event| payment_of(event).map_or(!event.facts.is_empty(), |it| it != payment);
            let belongs_to_another = fold(&log).payments().iter().any(|it| it != payment);
            let events = log.entries.iter().map(|entry| &*entry.event);
            let kept = events.filter(|event| belongs_to_another && is_of_another(event)).cloned().collect();
            erased +=
                self.rewrites.erase_all_but(kept, erasure.of_log(part), |part| self.forget(part)).await?;
        }
        let named = log.entries.iter().flat_map(|entry| entry.event.parts.iter().cloned()).collect();
        erased += self.labels.erase(Erasure { parts: named, ..erasure }).await?;
        Ok(erased)
    }

    fn forget(&self, part: &Subject) {
        self.known.remove(part);
    }

    /// Adds the item of work that looks at a part.
    async fn look_soon(&self, part: &Subject) -> Result<(), StoreError> {
        self.store.enqueue(part.realm.as_str(), &part.id, SOON).await
    }

    /// Reads the log of a part that has an entry `seq`. A server that does not know it yet, or no more, is not the one that was written to.
    async fn read_with(&self, part: &Subject, seq: u64) -> Result<Log, StoreError> {
        let log = self.store.read(part).await?;
        if log.head().seq >= seq {
            return Ok(log);
        }
        Err(StoreError::Unavailable("the log that was read lacks what was just written to it".to_owned()))
    }

    fn tell_full(&self, part: &Subject) {
        self.metrics.parts.count(PartOutcome::Full);
        tracing::warn!(
            part = %part,
            "the part belongs to as many payments as it may; check that the places in `parts` of the preset hold ids of one payment each"
        );
    }
}

/// How long an event has yet to wait.
fn left(event: &Event, now: Time) -> Duration {
    let waited = u64::try_from(now.since_ms(event.received_at)).unwrap_or_default();
    MAX_WAIT.saturating_sub(Duration::from_millis(waited))
}

/// The payment that a binding names.
fn payment_of(event: &Event) -> Option<&Name> {
    event.binding.as_ref().map(|Binding { payment, .. }| payment)
}

/// What the log of a part says.
fn fold(log: &Log) -> PartLog {
    PartLog::fold(log.entries.iter().map(|entry| &entry.event))
}

#[cfg(test)]
mod tests;
