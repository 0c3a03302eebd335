//! What quarantine keeps of a delivery: the masked body of each of its events that is not understood, with the reason.
//!
//! Only what a signature proves is kept. A source whose deliveries are hints can be sent anything by anybody, so its quarantine holds no
//! bodies, and no stranger can fill the room that is there for them.

use super::{Delivery, Ingest, account, outcome::Outcome, store_failed};
use crate::{
    limits::LimitHit,
    payment::{Time, Trust},
    source::{EventSummary, Kept, Original, Source, Unclear},
    store::{HELD_BYTES, HELD_PER_SHARE, HeldId, Holding, Record, RecordLog, ValueKind},
};
use serde_json::Value;
use std::sync::OnceLock;

/// Where in a share of a quarantine an operator is warned that it fills: at these parts of ten.
const WARNED_AT: [usize; 3] = [8, 9, 10];

/// The payload of a delivery, as long as one of its events may have to be kept.
pub(super) struct Payload<'a> {
    source: &'a Source,
    delivery: &'a Delivery<'a>,
    /// What the mapping reads of it, until the whole is needed; nothing, if the body could not be parsed.
    read: Option<Value>,
    /// The whole payload.
    whole: OnceLock<Option<Value>>,
}

impl<'a> Payload<'a> {
    pub(super) const fn new(source: &'a Source, delivery: &'a Delivery<'a>, read: Option<Value>) -> Self {
        Self { source, delivery, read, whole: OnceLock::new() }
    }

    pub(super) const fn source(&self) -> &'a Source {
        self.source
    }

    pub(super) const fn received_at(&self) -> Time {
        self.delivery.received_at
    }

    /// The event at an index, or the whole if there is no index.
    fn original(&self, event: Option<usize>) -> Original<'_> {
        let parse = || self.read.clone().map(|read| self.source.whole(self.delivery.body, read));
        let Some(whole) = self.whole.get_or_init(parse) else { return Original::Body(self.delivery.body) };
        let of = |index: usize| self.source.events(whole).ok().and_then(|events| events.get(index));
        event.and_then(of).map_or(Original::Delivery(whole), Original::Event)
    }

    /// What is kept of an event, and what stands at the place that is not as expected.
    fn keep(&self, event: Option<usize>, unclear: &Unclear) -> (Kept, Option<ValueKind>) {
        let original = self.original(event);
        let parts = self.source.request_parts(self.delivery.headers, self.delivery.query);
        let found = match original {
            Original::Event(value) | Original::Delivery(value) => {
                self.source.value_at(&unclear.at, value).map(kind_of)
            }
            Original::Body(_) => None,
        };
        (self.source.keep(original, parts, HELD_BYTES), found)
    }
}

fn kind_of(value: Option<&Value>) -> ValueKind {
    match value {
        None => ValueKind::Nothing,
        Some(Value::Null) => ValueKind::Null,
        Some(Value::Bool(_)) => ValueKind::Boolean,
        Some(Value::Number(_)) => ValueKind::Number,
        Some(Value::String(text)) if text.is_empty() => ValueKind::EmptyText,
        Some(Value::String(_)) => ValueKind::Text,
        Some(Value::Array(_)) => ValueKind::List,
        Some(Value::Object(_)) => ValueKind::Object,
    }
}

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
        let Payload { source, delivery, .. } = *payload;
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
