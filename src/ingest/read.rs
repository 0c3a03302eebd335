//! The part of ingest that computes and does not wait: it verifies a delivery, parses its body and says what each event means.

use crate::source::{
    EventSummary, MappedEvent, Rejection, Source, Unclear, UnverifiedRequest, VerifiedRequest,
};
use serde_json::Value;
use std::sync::Arc;

/// A verified delivery.
pub(super) struct Read {
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
    let VerifiedRequest { key, payload } = source.open(request, json_depth)?;
    let key: Option<Arc<str>> = key.map(|key| key.to_string().into());
    let payload = match payload {
        Ok(payload) => payload,
        Err(unclear) => return Ok(Read { payload: None, events: Err(unclear) }),
    };
    let read = |event| {
        let mut summary = EventSummary { key: key.clone(), ..EventSummary::default() };
        let meaning = source.read(request.received_at, request.parts, event, &mut summary);
        ReadEvent { summary, meaning }
    };
    let events = source.events(&payload).map(|events| events.iter().map(read).collect());
    Ok(Read { payload: Some(payload), events })
}
