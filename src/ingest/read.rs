//! The part of ingest that computes and does not wait: it verifies a delivery, parses its body and says what each event means.

use super::delivery::Delivery;
use crate::{
    payment::Time,
    source::{
        EventSummary, MappedEvent, ProvenDelivery, Rejection, RequestParts, Source, Unclear,
        UnverifiedRequest,
    },
};
use serde_json::Value;
use std::sync::Arc;

/// A delivery that is verified.
pub(super) struct Read {
    /// The name of the secret that verified it, or of what else vouches for it. `None` if a fetched key did.
    pub(super) secret: Option<Arc<str>>,
    /// What the mapping reads of the body, if the body could be parsed.
    pub(super) payload: Option<Value>,
    /// The events, in their order, or why there are none.
    pub(super) events: Result<Vec<ReadEvent>, Unclear>,
}

/// One event of a verified delivery.
pub(super) struct ReadEvent {
    /// What is known about the event, whether it is understood or not.
    pub(super) summary: EventSummary,
    /// What the event means, `None` if it is not about a payment, or why it is not understood.
    pub(super) meaning: Result<Option<MappedEvent>, Unclear>,
}

/// Verifies a request and reads its events. The error says why the request is rejected. `json_depth` is the deepest that the body may nest.
pub(super) fn events(
    source: &Source,
    request: UnverifiedRequest<'_>,
    json_depth: usize,
) -> Result<Read, Rejection> {
    let ProvenDelivery { payload, secret } = source.open(request, json_depth)?;
    Ok(read(source, request.received_at, request.parts, payload, secret))
}

/// Reads the events of a delivery for which something else vouches than a signature: `voucher` names it.
pub(super) fn unsigned(
    source: &Source,
    delivery: &Delivery<'_>,
    voucher: Arc<str>,
    json_depth: usize,
) -> Read {
    let payload = source.parse(delivery.body, json_depth);
    let parts = source.request_parts(delivery.headers, delivery.query);
    read(source, delivery.received_at, parts, payload, Some(voucher))
}

/// Says what each event of a payload means.
fn read(
    source: &Source,
    received_at: Time,
    parts: RequestParts<'_>,
    payload: Result<Value, Unclear>,
    secret: Option<Arc<str>>,
) -> Read {
    let payload = match payload {
        Ok(payload) => payload,
        Err(unclear) => return Read { secret, payload: None, events: Err(unclear) },
    };
    let one = |event| {
        let mut summary = EventSummary::default();
        let meaning = source.read(received_at, parts, event, &mut summary);
        ReadEvent { summary, meaning }
    };
    let events = source.events(&payload).map(|events| events.iter().map(one).collect());
    Read { secret, payload: Some(payload), events }
}
