//! Confirmation: asking providers for the true state of payments that their webhooks only hinted at.
//!
//! Promises:
//! - Each hint leads to an answer, even if nodes die meanwhile. Several hints at one payment lead to one question.
//! - An answer that may be older than its hint is asked for again.
//! - All nodes together ask a provider no more often than its preset allows.
//! - Each answer is appended once, as an event of trust `confirmed`.
//!
//! Pending confirmations lie in the store, as a work queue that all nodes share, so nothing here has to survive a restart. This room
//! must not know who watches a payment, nor any HTTP server.
//!
//! | file | noun |
//! |---|---|
//! | `lookup`    | one question to a provider, and its answer in the log |
//! | `failed`    | why a look-up failed |
//! | `event`     | the event that an answer becomes |
//! | `patience`  | when to retry, and when to give up |
//! | `backlog`   | the backlog, as metrics and operators see it |
//! | `reconcile` | one look-up by hand, for operators |
//!
//! This file is the worker: it claims what is due, looks it up, and settles it.

mod backlog;
mod event;
mod failed;
mod lookup;
mod patience;
mod reconcile;

pub use failed::Failed;
pub use reconcile::{News, ReconcileError, Reconciled};

use crate::{
    clock,
    limits::Limits,
    live::Live,
    metrics::{ConfirmationOutcome, Metrics},
    payment::{Name, Time},
    shutdown::Shutdown,
    source::{Api, DEBOUNCE, Source, Sources},
    store::{
        Claim, ClaimTerms, GivenUp, OutcomeKind, Parts, Pending, ReasonCode, Record, RecordLog, Settlement,
        Store, StoreError,
    },
};
use backlog::BacklogReport;
use lookup::Lookups;
use patience::{Decision, Past};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

/// The most look-ups of one source at a time. A provider that answers within 400 ms is then asked ten times a second, which is what
/// most providers allow.
const MAX_LOOKUPS: usize = 4;

/// How long a claim excludes other nodes. A look-up takes at most 20 s, and the store three times 2 s around it.
const LEASE: Duration = Duration::from_secs(30);

/// How often the store is polled for confirmations that other nodes added or left behind.
const POLL: Duration = Duration::from_secs(1);

/// How often the backlogs are measured.
const MEASURE: Duration = Duration::from_secs(2);

/// Asks the providers of all sources that have credentials for it.
pub struct Confirmations {
    sources: Arc<Sources>,
    /// Notified by ingest of each confirmation that is newly pending.
    hints: Arc<Notify>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    lookups: Lookups,
    shutdown: Shutdown,
    /// Notified at the end of each look-up, because its source may then begin another one.
    finished: Notify,
}

impl Confirmations {
    /// Ready to ask for the payments of `sources`. `hints` is notified of each confirmation that is newly pending.
    #[must_use]
    pub fn new(
        sources: Arc<Sources>,
        hints: Arc<Notify>,
        store: Arc<dyn Store>,
        parts: Arc<Parts>,
        metrics: Arc<Metrics>,
        limits: Live<Limits>,
        shutdown: Shutdown,
    ) -> Self {
        let lookups = Lookups::new(Arc::clone(&store), parts, Arc::clone(&metrics), limits);
        Self { sources, hints, store, metrics, lookups, shutdown, finished: Notify::new() }
    }

    /// Works through the pending confirmations until the drain begins. Returns once no look-up is left open.
    pub async fn run(self: Arc<Self>) {
        let tasks = TaskTracker::new();
        let mut permits: HashMap<Arc<str>, Arc<Semaphore>> = HashMap::new();
        let mut report = BacklogReport::default();
        let mut measured_at: Option<Instant> = None;
        loop {
            let sources = self.sources.confirming();
            let mut next = POLL;
            for source in &sources {
                let permits = permits.entry(source.name().into());
                let permits = permits.or_insert_with(|| Arc::new(Semaphore::new(MAX_LOOKUPS)));
                next = next.min(self.claim_all(source, permits, &tasks).await);
            }
            if measured_at.is_none_or(|at| at.elapsed() >= MEASURE) {
                measured_at = Some(Instant::now());
                report.update(&sources, &self.sources, &*self.store, &self.metrics).await;
            }
            tokio::select! {
                () = self.shutdown.draining() => break,
                () = self.until_due(next) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Asks for one payment at once, whether a confirmation is pending or not, and appends what is new. Returns how the provider's
    /// answer differs from what the gateway knew.
    pub async fn reconcile(&self, source: &str, payment: &Name) -> Result<Reconciled, ReconcileError> {
        reconcile::reconcile(&self.lookups, &self.sources, &self.metrics, source, payment).await
    }

    /// Returns after `next`, or earlier if a confirmation may have become due.
    async fn until_due(&self, next: Duration) {
        let mut until = Instant::now() + next;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.finished.notified() => return,
                // A new confirmation is due only after DEBOUNCE, so a thousand hints cause one poll and not a thousand.
                () = self.hints.notified() => until = until.min(Instant::now() + DEBOUNCE),
            }
        }
    }

    /// Claims the confirmations of a source that are due, and begins their look-ups. Returns when to poll again.
    async fn claim_all(
        self: &Arc<Self>,
        source: &Arc<Source>,
        permits: &Arc<Semaphore>,
        tasks: &TaskTracker,
    ) -> Duration {
        let Some(api) = source.api() else { return POLL };
        let terms = ClaimTerms { spacing: api.spacing(), lease: LEASE };
        // If no permit is free, the end of a look-up wakes the worker.
        while let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            match self.store.claim(source.name(), terms).await {
                Ok(Claim::Pending(pending)) => {
                    let (this, source) = (Arc::clone(self), Arc::clone(source));
                    tasks.spawn(async move { this.work(&source, pending, permit).await });
                }
                Ok(Claim::Later(after)) => return after,
                Ok(Claim::Nothing) => return POLL,
                Err(why) => {
                    tracing::debug!(source = source.name(), %why, "pending confirmations cannot be claimed");
                    return POLL;
                }
            }
        }
        POLL
    }

    /// Looks up the payment of one claimed confirmation, and settles it.
    async fn work(&self, source: &Source, pending: Pending, permit: OwnedSemaphorePermit) {
        let Some(api) = source.api() else { return };
        let settlement = tokio::select! {
            settlement = self.confirm(source, api, &pending) => settlement,
            // Due at once, so that another node, or this one after its restart, takes it over.
            () = self.shutdown.stopped() => Settlement::Postponed { after: Duration::ZERO },
        };
        if let Err(why) = self.store.settle(pending, settlement).await {
            tracing::warn!(source = source.name(), %why, "a confirmation was not settled; it is retried after its lease");
        }
        drop(permit);
        self.finished.notify_one();
    }

    /// Looks up one payment, counts and logs the result, and returns how to settle its confirmation.
    async fn confirm(&self, asked: &Source, api: &Api, pending: &Pending) -> Settlement {
        let (source, payment, attempts) = (&*pending.source, &pending.payment, pending.attempts);
        let failed = match self.lookups.look_up(asked, api, payment).await {
            Ok(lookup) => {
                let outcome = lookup.outcome();
                self.metrics.confirmation(source, outcome);
                let (seq, kind) = (lookup.appended.map(|cursor| cursor.seq), &*lookup.event.kind);
                let past = Past::of(pending, clock::now());
                let settlement =
                    if lookup.is_doubtful() { patience::after_doubt(past) } else { Settlement::Done };
                tracing::info!(source, %payment, outcome = outcome.word(), "type" = kind, seq, attempts, settlement = settlement.word(), after_s = settlement.after_s(), "confirmation");
                return settlement;
            }
            Err(failed) => failed,
        };
        if let Failed::Denied(status) = failed {
            tracing::error!(
                source,
                status,
                "the provider refuses the source's api.key, so none of its payments is confirmed; correct `key` under [source.api] and reload"
            );
        }
        let now = clock::now();
        let decision = patience::after_failure(&failed, Past::of(pending, now), rand::random());
        let (outcome, settlement) = match decision {
            Decision::Retry(settlement) => {
                tracing::warn!(source, %payment, attempts, why = %failed, settlement = settlement.word(), after_s = settlement.after_s(), "not confirmed yet");
                (failed.outcome(), settlement)
            }
            Decision::GiveUp(reason) => match self.quarantine(pending, reason.code(), &failed, now).await {
                Ok(()) => {
                    tracing::error!(source, %payment, attempts, reason = reason.code(), why = %failed, "the confirmation is given up");
                    (reason.outcome(), Settlement::Done)
                }
                // Without a record, nobody would see that the confirmation was given up. So it stays pending.
                Err(why) => {
                    tracing::warn!(source, %payment, %why, "the record of a confirmation to give up was not stored; it stays pending");
                    (ConfirmationOutcome::Store, Settlement::Postponed { after: POLL })
                }
            },
        };
        self.metrics.confirmation(source, outcome);
        settlement
    }

    /// Keeps a record of a confirmation that was given up. It holds nothing of the provider's answer.
    async fn quarantine(
        &self,
        pending: &Pending,
        code: &'static str,
        failed: &Failed,
        at: Time,
    ) -> Result<(), StoreError> {
        let record = Record {
            log: RecordLog::Quarantine,
            source: Arc::clone(&pending.source),
            at,
            outcome: OutcomeKind::Quarantined,
            reason: ReasonCode::known(code),
            event: None,
            unsigned_id: None,
            part: None,
            failure_code: None,
            kind: None,
            payment: Some(pending.payment.clone()),
            seq: None,
            place: failed.place().map(str::to_owned),
            found: None,
            bytes: None,
            secret: None,
            diagnosis: None,
            took_us: None,
            confirmation: Some(GivenUp {
                attempts: pending.attempts.saturating_add(1),
                since: pending.since,
            }),
            held: None,
        };
        self.store.record(record).await
    }
}

impl std::fmt::Debug for Confirmations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmations").finish_non_exhaustive()
    }
}
