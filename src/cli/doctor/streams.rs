//! Looks at the beginnings of streams: their heads, compression, and whether a client's cursor arrives.

use super::{
    cors,
    endpoint::{Beginning, Endpoint, FIRST_EVENT, TokenCarrier, begin, header_of, printable},
    finding::{Diagnosis, Finding, Flaw},
    snapshots,
};
use reqwest::{
    StatusCode, Version,
    header::{self, HeaderName},
};
use serde_json::Value;

/// What a browser says that it can unpack.
const BROWSER_ENCODINGS: &str = "gzip, deflate, br, zstd";

/// The header with which the gateway answers a request for a stream that reached it over HTTP/1.0.
const OVER_HTTP_10: &str = "paystream-http";

/// Opens streams in all the ways in which something can go wrong, and closes each after its first message.
pub(super) async fn examine(endpoint: &Endpoint, carrier: TokenCarrier, diagnosis: &mut Diagnosis) {
    let plain = match begin(endpoint.events(carrier, &[])).await {
        Ok(stream) if stream.status == StatusCode::OK => stream,
        Ok(stream) if stream.status == StatusCode::GATEWAY_TIMEOUT => {
            let says = "A request for a stream is answered 504 Gateway Timeout, while one for JSON is answered at once: the \
                        proxy waits for the end of the answer.";
            diagnosis.note(vec![Finding::new(Flaw::Buffered, says)], "");
            return;
        }
        Ok(stream) => {
            diagnosis.untried.push(format!("streams: a request for one is answered {}", stream.status));
            return;
        }
        // Nothing comes of a stream that is held back. How long the hold lasts is for the timed stream to say.
        Err(why) => {
            diagnosis.untried.push(format!("the beginning of a stream: {why}"));
            return;
        }
    };
    if let Some(reason) = plain.first.as_ref().and_then(closing) {
        diagnosis.untried.push(format!("streams: the gateway ends each at once ({reason})"));
        return;
    }
    diagnosis.note(head(&plain), "the head of a stream");
    if let Some(origin) = &endpoint.origin {
        diagnosis.note(cors::answer(&plain.headers, origin), "CORS: the answer");
    }
    let as_browser = endpoint.events(carrier, &[]);
    let as_browser = with_header(as_browser, &header::ACCEPT_ENCODING, BROWSER_ENCODINGS);
    match begin(as_browser).await {
        Ok(stream) => diagnosis.note(compression(&stream, true), "no compression"),
        Err(why) => diagnosis.untried.push(format!("a stream that may be compressed: {why}")),
    }
    match plain.last_id {
        Some(id) => resume(endpoint, carrier, &id, diagnosis).await,
        None => {
            let why = format!("no event came within {} s", FIRST_EVENT.as_secs());
            diagnosis.untried.push(format!("whether a client can resume: {why}"));
        }
    }
}

/// Replaces the value that every request has, since a second one would only be added.
fn with_header(request: reqwest::RequestBuilder, name: &HeaderName, value: &str) -> reqwest::RequestBuilder {
    let mut headers = header::HeaderMap::new();
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
    request.headers(headers)
}

/// Whether the head of a stream is that of the gateway.
fn head(stream: &Beginning) -> Vec<Finding> {
    let mut findings = compression(stream, false);
    let value = |name: &HeaderName| header_of(&stream.headers, name).unwrap_or_default();
    let content = value(&header::CONTENT_TYPE);
    if !content.to_ascii_lowercase().starts_with("text/event-stream") {
        let says = format!(
            "A stream arrives as {:?}, which no EventSource reads, and not as text/event-stream.",
            printable(&content)
        );
        findings.push(Finding::new(Flaw::ContentType, says));
    }
    let control = value(&header::CACHE_CONTROL).to_ascii_lowercase();
    let missing: Vec<_> =
        ["no-cache", "no-store", "no-transform"].into_iter().filter(|word| !control.contains(word)).collect();
    let hit = snapshots::cache_hit(&stream.headers);
    if !missing.is_empty() || hit.is_some() {
        let says = format!(
            "{}The Cache-Control of a stream arrives as {:?}.",
            hit.map(|hit| format!("{hit} ")).unwrap_or_default(),
            printable(&control)
        );
        findings.push(Finding::new(Flaw::Cache, says));
    }
    if stream.headers.contains_key(OVER_HTTP_10) {
        let says = "The proxy asks the gateway over HTTP/1.0, where the end of a connection is the end of the answer: a \
                    stream that breaks looks complete, and some clients then never come back.";
        findings.push(Finding::new(Flaw::Http10Upstream, says));
    }
    let is_chunked = value(&header::TRANSFER_ENCODING).eq_ignore_ascii_case("chunked");
    let has_length = stream.headers.contains_key(header::CONTENT_LENGTH);
    if stream.version == Version::HTTP_11 && (!is_chunked || has_length) {
        let how = if has_length { "with a Content-Length" } else { "without Transfer-Encoding: chunked" };
        let says =
            format!("A stream arrives {how}, so a client cannot tell one that broke from one that ended.");
        findings.push(Finding::new(Flaw::Framing, says));
    }
    if stream.version <= Version::HTTP_10 {
        findings.push(Finding::new(Flaw::Http10, "Streams arrive as HTTP/1.0, and end unnoticed."));
    }
    findings
}

fn compression(stream: &Beginning, was_offered: bool) -> Vec<Finding> {
    let encoding = header_of(&stream.headers, &header::CONTENT_ENCODING).filter(|value| value != "identity");
    let Some(encoding) = encoding else { return Vec::new() };
    let when = if was_offered {
        "for a client that sends the Accept-Encoding of a browser"
    } else {
        "even for a client that asks for none (Accept-Encoding: identity)"
    };
    let says = format!(
        "The stream is compressed ({}) {when}, though the gateway says no-transform.",
        printable(&encoding)
    );
    vec![Finding::new(Flaw::Compressed, says)]
}

/// Comes back with the cursor of the first message, as a browser does in a header and as other clients do in the query.
async fn resume(endpoint: &Endpoint, carrier: TokenCarrier, id: &str, diagnosis: &mut Diagnosis) {
    let by_header = endpoint.events(carrier, &[]).header("last-event-id", id);
    let by_query = endpoint.events(carrier, &[("last_event_id", id)]);
    for (request, flaw, in_order, place) in [
        (by_header, Flaw::LastEventId, "Last-Event-ID arrives", "the header Last-Event-ID"),
        (
            by_query,
            Flaw::LastEventIdQuery,
            "last_event_id arrives in the query",
            "last_event_id in the query",
        ),
    ] {
        let first = match begin(request).await {
            Ok(Beginning { first: Some(first), .. }) => first,
            Ok(_) => {
                diagnosis.untried.push(format!("{place}: no event came in time"));
                continue;
            }
            Err(why) => {
                diagnosis.untried.push(format!("{place}: {why}"));
                continue;
            }
        };
        let says = format!(
            "A client that comes back with its cursor in {place} gets everything anew: the cursor does not arrive, so a \
             client cannot know what it has missed."
        );
        let findings = if has_resumed(&first) { Vec::new() } else { vec![Finding::new(flaw, says)] };
        diagnosis.note(findings, in_order);
    }
}

/// The reason of a message by which the gateway ends a stream.
pub(super) fn closing(message: &Value) -> Option<String> {
    let text = |key: &str| message.get(key).and_then(Value::as_str);
    (text("type") == Some("closing")).then(|| printable(text("reason").unwrap_or_default()))
}

/// Whether the gateway has seen the cursor: it goes on from there, or says why it cannot.
fn has_resumed(first: &Value) -> bool {
    let text = |key: &str| first.get(key).and_then(Value::as_str);
    match text("type") {
        // A label's snapshot has a reason of its own, whether there is a cursor or not.
        Some("snapshot") => text("reason").is_some_and(|reason| reason != "label"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stream_has_resumed_if_it_goes_on_or_says_why_not() {
        for (first, expected) in [
            (json!({"type": "ready", "seq": 4}), true),
            (json!({"type": "update", "seq": 5}), true),
            (json!({"type": "snapshot", "seq": 4, "reason": "rolled_back"}), true),
            (json!({"type": "snapshot", "seq": 4, "reason": "label"}), false),
            (json!({"type": "snapshot", "seq": 4}), false),
        ] {
            assert_eq!(has_resumed(&first), expected, "{first}");
        }
    }
}
