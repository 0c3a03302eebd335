//! The account of a delivery: what came of it, told to metrics, to the log, to the source's delivery log and to the provider
//! (I7). It decides nothing but what is told no more, where strangers would fill the disk with it.

use super::{
    delivery::{Delivery, Reply},
    outcome::{self, Outcome, Taken},
};
use crate::{
    limits::{LimitHit, Limits},
    live::Live,
    metrics::Metrics,
    source::{Reading, Source, Throttled},
    store::{Record, RecordLog, Store},
};
use serde_json::json;
use std::{sync::Arc, time::Instant};
use tokio::sync::Semaphore;

/// Lines of the delivery log that may be on their way to the store at once. Beyond, lines are left out and counted.
const DELIVERY_RECORDS: usize = 256;

impl Taken {
    /// Says so where it is one of too many that prove nothing.
    fn throttle(&mut self) {
        if let Outcome::Rejected(rejection) = self.outcome {
            self.outcome = Outcome::Throttled(rejection);
        }
    }
}

/// Accounts for the deliveries of all sources.
pub(super) struct Account {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    limits: Live<Limits>,
    /// Bounds the records that are on their way to the store.
    records: Arc<Semaphore>,
}

impl Account {
    /// Without any delivery so far.
    pub(super) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, limits: Live<Limits>) -> Self {
        Self { store, metrics, limits, records: Arc::new(Semaphore::new(DELIVERY_RECORDS)) }
    }

    /// Counts, logs and records what came of a delivery, and says what to answer.
    pub(super) fn close(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
        mut taken: Vec<Taken>,
        started: Instant,
    ) -> Reply {
        for Taken { outcome, .. } in &taken {
            self.metrics.event(source.name(), outcome.word(), outcome.reason());
        }
        if taken.iter().all(|taken| taken.outcome.tells_of_us()) {
            self.metrics.delivery(taken.iter().any(|taken| taken.outcome.word() == "deferred"));
        }
        let mut suppressed = 0;
        if taken.iter().any(|taken| taken.outcome.is_unproven()) {
            match source.admit_unproven(self.limits.get().failed_signatures_per_second, started) {
                Ok(refused) => suppressed = refused,
                Err(Throttled) => {
                    // Counted above. A line each would let anyone fill the disk; the next line says how many.
                    self.metrics.limit_hits.count(LimitHit::FailedSignaturesPerSecond);
                    taken.iter_mut().for_each(Taken::throttle);
                    return reply(source, &taken);
                }
            }
        }
        for Taken { outcome, reading } in &taken {
            log(source, delivery, outcome, reading, started, suppressed);
            self.record_delivery(source, delivery, outcome, reading);
        }
        reply(source, &taken)
    }

    /// Adds a line to the source's delivery log, without keeping the provider waiting for it.
    fn record_delivery(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
        outcome: &Outcome,
        reading: &Reading,
    ) {
        let Ok(permit) = Arc::clone(&self.records).try_acquire_owned() else {
            self.metrics.limit_hits.count(LimitHit::DeliveryRecords);
            return;
        };
        let detail = json!({
            "event": reading.id,
            "unsigned_id": reading.unsigned_id,
            "type": reading.kind,
            "payment": reading.payment,
            "seq": outcome.seq(),
            "reason": outcome.reason(),
        });
        let record = Record {
            log: RecordLog::Deliveries,
            source: source.shared_name(),
            at: delivery.received_at,
            reason: outcome.word().to_owned(),
            detail: detail.to_string(),
        };
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(why) = store.record(record).await {
                tracing::debug!(%why, "a delivery was not recorded");
            }
            drop(permit);
        });
    }
}

fn reply(source: &Source, taken: &[Taken]) -> Reply {
    let outcomes: Vec<&Outcome> = taken.iter().map(|taken| &taken.outcome).collect();
    outcome::reply(&outcomes, source.reply_rule())
}

/// One line per delivery. All that a provider chose was made printable before, or is printable by its type.
fn log(
    source: &Source,
    delivery: &Delivery<'_>,
    outcome: &Outcome,
    reading: &Reading,
    started: Instant,
    suppressed: u64,
) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = source.name(),
                outcome = outcome.word(),
                reason = outcome.reason(),
                event = reading.id.as_deref().unwrap_or_default(),
                "type" = &*reading.kind,
                payment = reading.payment.as_ref().map_or("", |payment| payment.as_str()),
                seq = outcome.seq(),
                bytes = delivery.body.len(),
                peer = delivery.peer.map(tracing::field::display),
                duration_us = started.elapsed().as_micros(),
                suppressed,
                "delivery"
            )
        };
    }
    match outcome {
        Outcome::Accepted(_) | Outcome::Duplicate(_) | Outcome::Ignored => line!(info),
        _ => line!(warn),
    }
}
