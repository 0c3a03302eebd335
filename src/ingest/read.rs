//! The part of ingest that computes and does not wait: it verifies a delivery, parses its body and says what each event means.

use crate::source::{EventSummary, MappedEvent, Rejection, Source, Unclear, UnverifiedRequest};

/// One event of a verified delivery.
pub(super) struct ReadEvent {
    /// What is known about the event, whether it is understood or not.
    pub(super) summary: EventSummary,
    /// What the event means, `None` if it is not about a payment, or why it is not understood.
    pub(super) meaning: Result<Option<MappedEvent>, Unclear>,
}

/// Verifies a request and reads its events. The outer error says why the request is rejected, the inner one why its body cannot be
/// read. `json_depth` is the deepest that the body may nest.
pub(super) fn events(
    source: &Source,
    request: UnverifiedRequest<'_>,
    json_depth: usize,
) -> Result<Result<Vec<ReadEvent>, Unclear>, Rejection> {
    let payload = source.open(request, json_depth)?;
    Ok(payload.and_then(|payload| {
        let events = source.events(&payload)?;
        let read = |event| {
            let mut summary = EventSummary::default();
            let meaning = source.read(request.received_at, request.parts, event, &mut summary);
            ReadEvent { summary, meaning }
        };
        Ok(events.iter().map(read).collect())
    }))
}
