//! The account of a delivery: it reports what came of the delivery to metrics, to the log, to the source's delivery log and to
//! the provider (I7). Its only decision is when to stop logging unauthenticated failures, so that strangers cannot fill the disk.

use super::{
    delivery::Delivery,
    examination::{Examination, examination},
    outcome::{self, Dealt, Outcome, Taken},
    reply::Reply,
};
use crate::{
    limits::{LimitHit, Limits},
    live::Live,
    metrics::Metrics,
    redact,
    source::{DeliveryEnd, EventSummary, Rates, Source, Throttled},
    store::{OutcomeKind, ReasonCode, Record, RecordLog, Store},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// The most records that may be on their way to the delivery log at once. Further ones are left out and counted.
const DELIVERY_RECORDS: usize = 256;

/// The most characters of a pointer that a record keeps.
const MAX_PLACE: usize = 256;

impl Taken {
    /// Turns a rejection into that of one delivery too many without a valid signature.
    fn throttle(&mut self) {
        if let Outcome::Rejected(rejection) = self.outcome {
            self.outcome = Outcome::Throttled(rejection);
        }
    }
}

/// The account of the deliveries of all sources.
pub(super) struct Account {
    /// The store of the delivery logs.
    store: Arc<dyn Store>,
    /// The counters of the process.
    metrics: Arc<Metrics>,
    /// The limits, which a reload may change.
    limits: Live<Limits>,
    /// Limits the records that are on their way to the store.
    records: Arc<Semaphore>,
}

impl Account {
    /// Builds an account without any delivery so far.
    pub(super) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, limits: Live<Limits>) -> Self {
        Self { store, metrics, limits, records: Arc::new(Semaphore::new(DELIVERY_RECORDS)) }
    }

    /// Counts, logs and records what came of a delivery, and returns the answer to it.
    pub(super) fn close(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
        dealt: Dealt,
        started: Instant,
    ) -> Reply {
        let Dealt { secret, mut taken } = dealt;
        for Taken { outcome, .. } in &taken {
            self.metrics.event(source.name(), outcome.word(), outcome.reason());
        }
        if taken.iter().all(|taken| taken.outcome.tells_of_us()) {
            let end = end_of(&taken, source.retries().timeout, started.elapsed());
            self.metrics.webhook(source.name(), end != DeliveryEnd::Taken);
            source.note_delivery(end, delivery.received_at);
        }
        let mut suppressed = 0;
        if taken.iter().any(|taken| taken.outcome.is_unproven()) {
            let limits = self.limits.get();
            let rates =
                Rates { all: limits.failed_signatures_per_second, peer: limits.failed_signatures_per_peer };
            match source.admit_unproven(delivery.peer, rates, started) {
                Ok(refused) => suppressed = refused,
                Err(throttled) => {
                    // The delivery is counted above. A line for each would let anyone fill the disk; the next line says how many
                    // were left out.
                    self.metrics.limit_hits.count(match throttled {
                        Throttled::All => LimitHit::FailedSignaturesPerSecond,
                        Throttled::Peer => LimitHit::FailedSignaturesPerPeer,
                    });
                    taken.iter_mut().for_each(Taken::throttle);
                    return reply(source, &taken);
                }
            }
        }
        for Taken { outcome, summary } in &taken {
            log(source, delivery, outcome, summary, started, suppressed);
            let record = record(RecordLog::Deliveries, source, delivery, outcome, summary);
            let record = Record { secret: secret.clone(), ..record };
            self.record_delivery(record, examination(source, delivery, outcome, started));
        }
        reply(source, &taken)
    }

    /// Counts, logs and records what came of an event that the provider was asked for. What was known before is only counted.
    pub(super) fn note_past(
        &self,
        source: &Source,
        delivery: &Delivery<'_>,
        voucher: Option<Arc<str>>,
        taken: &[Taken],
        started: Instant,
    ) {
        for Taken { outcome, summary } in taken {
            self.metrics.backfilled(source.name(), outcome.word());
            if matches!(outcome, Outcome::Duplicate(_) | Outcome::Ignored) {
                continue;
            }
            log(source, delivery, outcome, summary, started, 0);
            let record = record(RecordLog::Deliveries, source, delivery, outcome, summary);
            self.record_delivery(Record { secret: voucher.clone(), ..record }, None);
        }
    }

    /// Adds a record to the source's delivery log, with what an examination finds out. The provider does not wait for it.
    fn record_delivery(&self, mut record: Record, examination: Option<Examination>) {
        let Ok(permit) = Arc::clone(&self.records).try_acquire_owned() else {
            self.metrics.limit_hits.count(LimitHit::DeliveryRecords);
            return;
        };
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Some(examination) = examination {
                record.diagnosis = examination.run(&record.source).await;
            }
            if let Err(why) = store.record(record).await {
                tracing::debug!(%why, "a delivery was not recorded");
            }
            drop(permit);
        });
    }
}

/// Says how a delivery ended after `elapsed`. An answer later than `timeout` is a failure too, because the provider does not wait for it.
fn end_of(taken: &[Taken], timeout: Option<Duration>, elapsed: Duration) -> DeliveryEnd {
    let mut deferred = taken
        .iter()
        .map(|taken| &taken.outcome)
        .filter(|outcome| outcome.kind() == OutcomeKind::Deferred)
        .peekable();
    let is_late = timeout.is_some_and(|timeout| elapsed > timeout);
    match (deferred.peek().is_some(), is_late) {
        (true, _) if deferred.all(Outcome::is_unproven) => DeliveryEnd::FailedUnproven,
        (false, false) => DeliveryEnd::Taken,
        (true, _) | (false, true) => DeliveryEnd::Failed,
    }
}

/// The record of one event of a delivery. Everything in it that a provider chose is masked.
pub(super) fn record(
    log: RecordLog,
    source: &Source,
    delivery: &Delivery<'_>,
    outcome: &Outcome,
    summary: &EventSummary,
) -> Record {
    Record {
        log,
        source: source.shared_name(),
        at: delivery.received_at,
        outcome: outcome.kind(),
        reason: ReasonCode::known(outcome.reason()),
        event: summary.id.clone(),
        unsigned_id: summary.unsigned_id.clone(),
        kind: Some(&summary.kind).filter(|kind| !kind.is_empty()).map(Arc::clone),
        payment: summary.payment.clone(),
        part: summary.part.clone(),
        failure_code: summary.failure_code.clone(),
        seq: outcome.seq(),
        place: outcome.place().map(|place| redact::text(place, MAX_PLACE)),
        found: None,
        bytes: Some(delivery.body.len() as u64),
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: None,
    }
}

/// Returns the answer to a delivery, by the rule of its source.
fn reply(source: &Source, taken: &[Taken]) -> Reply {
    let outcomes: Vec<&Outcome> = taken.iter().map(|taken| &taken.outcome).collect();
    outcome::reply(&outcomes, source.reply_rule())
}

/// Logs one event of a delivery. Everything in the line that a provider chose was made printable before, or is printable by its
/// type.
fn log(
    source: &Source,
    delivery: &Delivery<'_>,
    outcome: &Outcome,
    summary: &EventSummary,
    started: Instant,
    suppressed: u64,
) {
    // A field without a value is left out, and numbers are of types that the JSON format writes as numbers (it writes 128 bits as text).
    let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                source = source.name(),
                outcome = outcome.word(),
                reason = given(outcome.reason()),
                event = summary.id.as_deref(),
                "type" = given(&summary.kind),
                payment = summary.payment.as_ref().map(|payment| payment.as_str()),
                part = summary.part.as_ref().map(|part| part.as_str()),
                seq = outcome.seq(),
                bytes = delivery.body.len(),
                peer = delivery.peer.map(tracing::field::display),
                duration_us,
                suppressed,
                "delivery"
            )
        };
    }
    match outcome {
        Outcome::Accepted(_) | Outcome::Duplicate(_) | Outcome::Ignored | Outcome::Waiting => line!(info),
        _ => line!(warn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Rejection;

    #[test]
    fn a_delivery_fails_if_it_was_deferred_or_answered_too_late() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let end = |outcomes: &[Outcome], timeout, elapsed| {
            let taken: Vec<Taken> = outcomes.iter().cloned().map(Taken::from).collect();
            end_of(&taken, timeout, elapsed)
        };
        let deferred = Outcome::Deferred { reason: "store" };
        let (keyless, ignored) = (Outcome::Keyless { too_many: false }, Outcome::Ignored);
        for (outcomes, expected) in [
            (vec![ignored.clone()], DeliveryEnd::Taken),
            (vec![ignored.clone(), deferred.clone()], DeliveryEnd::Failed),
            (vec![keyless.clone()], DeliveryEnd::FailedUnproven),
            (vec![Outcome::Refused(super::super::Refusal::Overload)], DeliveryEnd::FailedUnproven),
            (vec![keyless, deferred], DeliveryEnd::Failed),
        ] {
            assert_eq!(end(&outcomes, None, minute), expected, "{outcomes:?}");
            assert_eq!(end(&outcomes, Some(minute), second), expected, "{outcomes:?}");
        }
        assert_eq!(end(&[ignored], Some(second), minute), DeliveryEnd::Failed, "the provider did not wait");
        assert!(!Outcome::Rejected(Rejection::ContentEncoding).tells_of_us());
    }
}
