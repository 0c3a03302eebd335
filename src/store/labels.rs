//! The writer of labels: binds the other ids that an event names to its payment, durably, each pair once.
//!
//! Every label has a log of its own in the store, so the store's deduplication, notices and time to live serve labels too. What the log of a
//! label says is kept in a bounded cache: a pair that is known costs neither a read nor a write. A repeated event binds its labels again,
//! since a crash may have come between the append of the event and that of its labels.

use super::{Append, Appended, Erased, Erasure, Log, Store, StoreError, rewrites::Rewrites};
use crate::{
    metrics::{LabelOutcome, Metrics},
    payment::{Addition, Bindings, Event, Kind, Subject, Time},
};
use futures_util::future::try_join_all;
use quick_cache::sync::Cache;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Labels whose bindings are kept in memory. Most have one payment and take some 400 bytes, so these take 13 MB.
const CACHED: usize = 32_768;

/// A label or part that is named again is renewed when this share of the history has passed since it was written last, so that it lives as long as
/// its payments.
const RENEWALS: i64 = 6;

/// How long the log of a subject lives after its last event, in milliseconds. A label or part lives longer than a payment by the time for
/// which it may go without being renewed.
pub(super) const fn life_ms(history_ms: i64, kind: Kind) -> i64 {
    match kind {
        Kind::Payment => history_ms,
        Kind::Label | Kind::Part => history_ms.saturating_add(history_ms / RENEWALS),
    }
}

/// Whether the log of a label or part has to be written again, so that it lives as long as its payments: its newest event was received at
/// `newest`, and one that names it at `now`.
pub(super) fn is_old(history: Duration, newest: Option<Time>, now: Time) -> bool {
    let history_ms = i64::try_from(history.as_millis()).unwrap_or(i64::MAX);
    newest.is_none_or(|newest| now.since_ms(newest) >= history_ms / RENEWALS)
}

/// Binds labels to payments. Shared by all that append events.
pub struct Labels {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// How long logs live.
    history: Duration,
    known: Cache<Subject, Arc<Known>>,
    rewrites: Rewrites,
}

/// What is known of one label.
#[derive(Clone, Default)]
struct Known {
    bindings: Bindings,
    /// Whether the log has told that the label is full.
    has_told: bool,
}

impl Labels {
    /// A writer of labels into `store`, whose logs live for `history`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, history: Duration) -> Self {
        let rewrites = Rewrites::new(Arc::clone(&store));
        Self { store, metrics, history, known: Cache::new(CACHED), rewrites }
    }

    /// The events that bind the labels of an event to its payment.
    #[must_use]
    pub fn of(event: &Event) -> Vec<Event> {
        event.labels.iter().filter_map(|label| event.binding(label)).collect()
    }

    /// Makes bindings durable before it returns, as far as they are news. A label that is full is counted and logged, and is no error.
    pub async fn bind(&self, bindings: Vec<Event>) -> Result<(), StoreError> {
        self.rewrites.finish_in_passing(|label| self.forget(label)).await;
        try_join_all(bindings.into_iter().map(|binding| self.bind_one(binding))).await.map(drop)
    }

    /// Forgets the labels that are known to lead to a payment whose log has just begun: another node has erased it, and its bindings with
    /// it.
    pub fn doubt(&self, bindings: &[Event]) {
        let is_remembered = |binding: &&Event| {
            let known = self.known.get(&binding.subject);
            known.is_some_and(|known| matches!(known.bindings.addition(binding), Addition::Known))
        };
        bindings.iter().filter(is_remembered).for_each(|binding| _ = self.known.remove(&binding.subject));
    }

    /// Counts labels of an event that cannot be used.
    pub fn leave_out(&self, count: usize) {
        (0..count).for_each(|_| self.metrics.labels.count(LabelOutcome::LeftOut));
    }

    async fn bind_one(&self, binding: Event) -> Result<(), StoreError> {
        let label = binding.subject.clone();
        let known = match self.known.get(&label) {
            Some(known) => known,
            None => self
                .remember(&label, Known { bindings: fold(&self.store.read(&label).await?), has_told: false }),
        };
        let outcome = match known.bindings.addition(&binding) {
            Addition::Known if !is_old(self.history, known.bindings.newest(), binding.received_at) => {
                return Ok(());
            }
            Addition::Known => LabelOutcome::Renewed,
            Addition::New => LabelOutcome::Bound,
            Addition::Full => {
                self.tell_full(&label, &known);
                return Ok(());
            }
        };
        match self.store.append(Append { event: binding.clone(), shared_ids: true }).await? {
            Appended::New { .. } => self.metrics.labels.count(outcome),
            Appended::Duplicate { .. } => {}
            // The log has no room for one more event. It cannot conflict otherwise: it belongs to no provider, and its events have no facts.
            Appended::Conflict(_) => {
                self.tell_full(&label, &known);
                return Ok(());
            }
        }
        let mut known = (*known).clone();
        known.bindings.apply(&binding);
        self.remember(&label, known);
        Ok(())
    }

    fn remember(&self, label: &Subject, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        self.known.insert(label.clone(), Arc::clone(&known));
        known
    }

    /// Counts a binding that found no room, and logs the first one of its label.
    fn tell_full(&self, label: &Subject, known: &Arc<Known>) {
        self.metrics.labels.count(LabelOutcome::Full);
        if !known.has_told {
            tracing::warn!(
                label = %label,
                "the label is full: it points at as many payments as it may, and further ones are not found by it; check that the places \
                 in `labels` hold ids that belong to one order or payment"
            );
            self.remember(label, Known { has_told: true, ..(**known).clone() });
        }
    }

    /// Erases a payment, and what its labels say of it. The labels go first, as the payment's log names them; if an error comes between, the
    /// next call finds them again. What a label says of other payments is written again; if the store fails between, that is done with the
    /// next erasure or the next label.
    pub async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        self.rewrites.finish(|label| self.forget(label)).await?;
        let log = self.store.read(&erasure.subject).await?;
        let payment = &erasure.subject.id;
        let named = log.entries.iter().flat_map(|entry| &entry.event.labels).map(|label| &label.id);
        let ids: BTreeSet<_> = named.chain([payment]).cloned().collect();
        let mut erased = Erased::default();
        for label in ids.into_iter().filter_map(|id| Subject::label(&erasure.subject.realm, id)) {
            let log = self.store.read(&label).await?;
            let is_of_payment =
                |event: &Event| event.binding.as_ref().is_some_and(|it| it.payment == *payment);
            let events = log.entries.iter().map(|entry| &entry.event);
            let (gone, kept): (Vec<_>, Vec<_>) =
                events.partition(|event| label.id == *payment || is_of_payment(event));
            if gone.is_empty() {
                continue;
            }
            let kept = kept.into_iter().map(|event| (**event).clone()).collect();
            erased +=
                self.rewrites.erase_all_but(kept, erasure.of_log(label), |label| self.forget(label)).await?;
        }
        erased += self.store.erase(erasure).await?;
        Ok(erased)
    }

    fn forget(&self, label: &Subject) {
        self.known.remove(label);
    }
}

/// What the log of a label says.
fn fold(log: &Log) -> Bindings {
    Bindings::fold(log.entries.iter().map(|entry| &*entry.event))
}

#[cfg(test)]
mod tests;
