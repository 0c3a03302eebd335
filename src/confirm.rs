//! Confirmation: asking providers what truly became of the payments that their webhooks only hinted at.
//!
//! Promises: what is owed is asked for, however often a node dies meanwhile; several hints are one question; an answer that may be
//! older than its hint is asked for again; a provider is asked no more often than its preset allows, by all nodes together; what it
//! says is appended once, as an event of trust `confirmed`.
//! What is owed lies in the store, so this room has no state that must last. It must not know who watches, nor any HTTP
//! server.
//!
//! | file | noun |
//! |---|---|
//! | `step`      | one question, and what came of it |
//! | `event`     | from an answer to the event that is appended |
//! | `patience`  | when to ask again, and when no more |
//! | `backlog`   | what is owed, as metrics and operators are told |
//! | `reconcile` | the same by hand, for operators |

mod backlog;
mod event;
mod patience;
mod reconcile;
mod step;

pub use reconcile::{News, ReconcileError, Reconciled};
pub use step::Failed;

use crate::{
    clock,
    limits::Limits,
    live::Live,
    metrics::Metrics,
    outbound::Outbound,
    payment::Time,
    shutdown::Shutdown,
    source::{Api, DEBOUNCE, Source, Sources},
    store::{
        Claim, ClaimTerms, GivenUp, OutcomeKind, Owed, ReasonCode, Record, RecordLog, Settlement, Store,
        StoreError,
    },
};
use backlog::Told;
use patience::{Past, Verdict};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

/// Questions of one source that may wait for their answers at once. A provider that answers within 400 ms is then asked ten times a
/// second, which is what most allow.
const AT_ONCE: usize = 4;

/// How long a claim lasts: a question takes at most 10 s, and the store three times 2 s around it.
const LEASE: Duration = Duration::from_secs(30);

/// How often the store is looked at for what other nodes left behind.
const LOOK: Duration = Duration::from_secs(1);

/// How often what is owed is measured.
const MEASURE: Duration = Duration::from_secs(2);

/// Asks the providers of all sources that have credentials for it.
pub struct Confirmations {
    sources: Arc<Sources>,
    /// Notified by ingest of each confirmation that is newly pending.
    hints: Arc<Notify>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    limits: Live<Limits>,
    shutdown: Shutdown,
    /// Made at the first question for which it can be: a machine that asks nobody need not be able to.
    outbound: OnceLock<Outbound>,
    /// A question was answered, so that another one may be asked.
    freed: Notify,
}

impl Confirmations {
    /// Ready to ask for the payments of `sources`. `hints` is notified of each confirmation that is newly pending.
    #[must_use]
    pub fn new(
        sources: Arc<Sources>,
        hints: Arc<Notify>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        limits: Live<Limits>,
        shutdown: Shutdown,
    ) -> Self {
        let (outbound, freed) = (OnceLock::new(), Notify::new());
        Self { sources, hints, store, metrics, limits, shutdown, outbound, freed }
    }

    /// Works off what is owed until the drain begins. Returns once no question is open.
    pub async fn run(self: Arc<Self>) {
        let tasks = TaskTracker::new();
        let mut lanes: HashMap<Arc<str>, Arc<Semaphore>> = HashMap::new();
        let mut told = Told::default();
        let mut measured: Option<Instant> = None;
        loop {
            let sources = self.sources.confirming();
            let mut next = LOOK;
            for source in &sources {
                let lane = lanes.entry(source.name().into());
                let lane = lane.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
                next = next.min(self.claim_all(source, lane, &tasks).await);
            }
            if measured.is_none_or(|measured| measured.elapsed() >= MEASURE) {
                measured = Some(Instant::now());
                self.tell_backlogs(&sources, &mut told).await;
            }
            tokio::select! {
                () = self.shutdown.draining() => break,
                () = self.until_due(next) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// Returns after `next`, or earlier where there may be something to claim.
    async fn until_due(&self, next: Duration) {
        let mut until = Instant::now() + next;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.freed.notified() => return,
                // What has just come to be owed is not due yet; so a thousand hints are no thousand looks.
                () = self.hints.notified() => until = until.min(Instant::now() + DEBOUNCE),
            }
        }
    }

    /// Begins all questions of a source that may be asked now. Returns when to look again.
    async fn claim_all(
        self: &Arc<Self>,
        source: &Arc<Source>,
        lane: &Arc<Semaphore>,
        tasks: &TaskTracker,
    ) -> Duration {
        let Some(api) = source.api() else { return LOOK };
        let terms = ClaimTerms { spacing: api.spacing(), lease: LEASE };
        // Without room, whoever leaves it tells.
        while let Ok(permit) = Arc::clone(lane).try_acquire_owned() {
            match self.store.claim(source.name(), terms).await {
                Ok(Claim::Owed(owed)) => {
                    let (this, source) = (Arc::clone(self), Arc::clone(source));
                    tasks.spawn(async move { this.work(&source, owed, permit).await });
                }
                Ok(Claim::Later(after)) => return after,
                Ok(Claim::Nothing) => return LOOK,
                Err(why) => {
                    tracing::debug!(source = source.name(), %why, "what is owed cannot be claimed");
                    return LOOK;
                }
            }
        }
        LOOK
    }

    /// Asks for one payment and settles the debt.
    async fn work(&self, source: &Source, owed: Owed, permit: OwnedSemaphorePermit) {
        let Some(api) = source.api() else { return };
        let settlement = tokio::select! {
            settlement = self.confirm(source, api, &owed) => settlement,
            // Another node goes on with it, or the next life of this one.
            () = self.shutdown.stopped() => Settlement::Postponed { after: Duration::ZERO },
        };
        if let Err(why) = self.store.settle(owed, settlement).await {
            tracing::warn!(source = source.name(), %why, "a confirmation was not settled; it is asked for again after its lease");
        }
        drop(permit);
        self.freed.notify_one();
    }

    /// Asks for one payment, accounts for what came of it, and says what becomes of the debt.
    async fn confirm(&self, asked: &Source, api: &Api, owed: &Owed) -> Settlement {
        let (source, payment, attempts) = (&*owed.source, &owed.payment, owed.attempts);
        let failed = match self.step(asked, api, payment).await {
            Ok(step) => {
                let outcome = if step.appended.is_some() { "appended" } else { "same" };
                self.metrics.confirmation(source, outcome);
                let (seq, kind) = (step.appended.map(|cursor| cursor.seq), &*step.event.kind);
                let past = Past::of(owed, clock::now());
                let settlement = if step.is_doubtful() { patience::doubt(past) } else { Settlement::Done };
                tracing::info!(source, %payment, outcome, "type" = kind, seq, attempts, ?settlement, "confirmation");
                return settlement;
            }
            Err(failed) => failed,
        };
        if let Failed::Denied(status) = failed {
            tracing::error!(
                source,
                status,
                "the provider refuses the source's api.key, so nothing of it is confirmed; mend `key` under [source.api] and reload"
            );
        }
        let now = clock::now();
        let verdict = patience::verdict(&failed, Past::of(owed, now), rand::random_range(0.5..=1.0));
        let (outcome, settlement) = match verdict {
            Verdict::Again(settlement) => {
                tracing::warn!(source, %payment, attempts, why = %failed, ?settlement, "not confirmed yet");
                (failed.outcome(), settlement)
            }
            Verdict::Never { code, outcome } => match self.quarantine(owed, code, &failed, now).await {
                Ok(()) => {
                    tracing::error!(source, %payment, attempts, reason = code, why = %failed, "not confirmed, for good");
                    (outcome, Settlement::Done)
                }
                // Whatever is given up has to be seen somewhere.
                Err(why) => {
                    tracing::warn!(source, %payment, %why, "what cannot be confirmed was not recorded");
                    ("store", Settlement::Postponed { after: LOOK })
                }
            },
        };
        self.metrics.confirmation(source, outcome);
        settlement
    }

    /// Keeps a record of a confirmation that was given up. It holds nothing of the provider's answer.
    async fn quarantine(
        &self,
        owed: &Owed,
        code: &'static str,
        failed: &Failed,
        at: Time,
    ) -> Result<(), StoreError> {
        let record = Record {
            log: RecordLog::Quarantine,
            source: Arc::clone(&owed.source),
            at,
            outcome: OutcomeKind::Quarantined,
            reason: ReasonCode::known(code),
            event: None,
            unsigned_id: None,
            kind: None,
            payment: Some(owed.payment.clone()),
            seq: None,
            place: failed.place().map(str::to_owned),
            bytes: None,
            confirmation: Some(GivenUp { attempts: owed.attempts.saturating_add(1), since: owed.since }),
        };
        self.store.record(record).await
    }
}

impl std::fmt::Debug for Confirmations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmations").finish_non_exhaustive()
    }
}
