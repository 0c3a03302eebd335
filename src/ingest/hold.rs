//! What quarantine keeps of a delivery: the masked body of each of its events that is not understood, with the reason.
//!
//! Only what a signature proves is kept. A source whose deliveries are hints can be sent anything by anybody, so its quarantine holds no
//! bodies, and no stranger can fill the room that is there for them.

use super::{Ingest, account, outcome::Outcome, payload::Payload, store_failed};
use crate::{
    limits::LimitHit,
    payment::Trust,
    source::{EventSummary, Source, Unclear},
    store::{HELD_PER_SHARE, HeldId, Holding, Record, RecordLog},
};

/// Where in a share of a quarantine an operator is warned that it fills: at these parts of ten.
const WARNED_AT: [usize; 3] = [8, 9, 10];

impl Ingest {
    /// Puts an event in quarantine. The provider is answered with 2xx, so the record has to be durable first. If there is no room to hold
    /// it, the provider is asked to come again.
    pub(super) async fn quarantine(
        &self,
        payload: &Payload<'_>,
        event: Option<usize>,
        summary: &EventSummary,
        unclear: Unclear,
    ) -> Outcome {
        let (source, delivery) = (payload.source(), payload.delivery());
        let is_held = self.holds_bodies && source.trust() == Trust::Verified;
        let kept = match is_held {
            true => {
                let keep = || payload.keep(event, &unclear);
                Some(self.long_work.run(delivery.body.len(), keep).await)
            }
            false => None,
        };
        let outcome = Outcome::Quarantined(unclear);
        let record = account::record(RecordLog::Quarantine, source, delivery, &outcome, summary);
        let record = Record { secret: payload.secret(), ..record };
        let Some((kept, found)) = kept else {
            return match self.store.record(record).await {
                Ok(()) => outcome,
                Err(why) => store_failed(source, &why),
            };
        };
        let record = Record { found, held: Some(HeldId::new(delivery.received_at)), ..record };
        match self.store.hold(record, serde_json::json!(kept)).await {
            Ok(Holding::Held(held)) => {
                warn_if_nearly_full(source, outcome.reason(), held);
                outcome
            }
            Ok(Holding::Full) => {
                self.metrics.limit_hits.count(LimitHit::QuarantineFull);
                Outcome::Deferred { reason: "quarantine_full" }
            }
            Err(why) => store_failed(source, &why),
        }
    }
}

/// Warns while a quarantine fills, before its provider is refused.
fn warn_if_nearly_full(source: &Source, reason: &str, held: usize) {
    if WARNED_AT.iter().any(|tenths| held == HELD_PER_SHARE * tenths / 10) {
        tracing::warn!(
            source = source.name(),
            reason,
            held,
            most = HELD_PER_SHARE,
            "the quarantine fills; when it is full, further events of this reason are answered with 503; mend the cause, then replay or \
             discard what it holds: paystream quarantine"
        );
    }
}
