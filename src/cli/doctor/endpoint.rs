//! Where the gateway is asked, by which token, and how an answer is read within bounds.

use super::middlebox::{self, Middlebox};
use crate::{
    cli::{client, sse::EventParser},
    payment::Name,
};
use futures_util::StreamExt as _;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url, Version,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long an answer that is no stream may take.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the first event of a stream may take. The gateway sends it at once.
pub(super) const FIRST_EVENT: Duration = Duration::from_secs(5);

/// The most that is read of an answer that is no stream, in bytes: that of a payment with 512 events.
const BODY: usize = 256 << 10;

/// Where a token is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TokenCarrier {
    Header,
    Query,
    Nowhere,
}

/// The gateway as the proxies show it.
pub(super) struct Endpoint {
    pub(super) base: Url,
    pub(super) payment: Name,
    pub(super) token: Option<String>,
    pub(super) origin: Option<HeaderValue>,
    client: Client,
}

/// An answer that is no stream, with its body.
pub(super) struct HttpAnswer {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) took: Duration,
    body: Vec<u8>,
}

/// The beginning of a stream.
pub(super) struct Beginning {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// The first message, if it came in time and could be read.
    pub(super) first: Option<Value>,
    pub(super) last_id: Option<String>,
}

impl Endpoint {
    pub(super) fn new(
        base: Url,
        payment: Name,
        token: Option<String>,
        origin: Option<HeaderValue>,
    ) -> anyhow::Result<Self> {
        let client = client::for_url(&base)?;
        Ok(Self { base, payment, token, origin, client })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The token's usual place, if there is a token.
    pub(super) const fn usual_carrier(&self) -> TokenCarrier {
        if self.token.is_some() { TokenCarrier::Header } else { TokenCarrier::Nowhere }
    }

    /// A request for the payment as JSON, with these pairs in the query.
    pub(super) fn snapshot(&self, carrier: TokenCarrier, query: &[(&str, &str)]) -> RequestBuilder {
        self.request(Method::GET, carrier, &[], query).header(header::ACCEPT, "application/json")
    }

    /// A request for the payment's stream, as `@paystream/client` asks for it.
    pub(super) fn events(&self, carrier: TokenCarrier, query: &[(&str, &str)]) -> RequestBuilder {
        let query = [&[("heartbeat", "event")][..], query].concat();
        self.request(Method::GET, carrier, &["events"], &query).header(header::ACCEPT, "text/event-stream")
    }

    /// What a browser asks before a page of another origin may send a token or a cursor.
    pub(super) fn preflight(&self) -> RequestBuilder {
        self.request(Method::OPTIONS, TokenCarrier::Nowhere, &["events"], &[])
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization,last-event-id")
    }

    fn request(
        &self,
        method: Method,
        carrier: TokenCarrier,
        below: &[&str],
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let path = [&["v1", "payments", self.payment.as_str()][..], below].concat();
        let mut url = client::below(&self.base, &path);
        let token = self.token.as_deref();
        let in_query = token.filter(|_| carrier == TokenCarrier::Query).map(|token| ("access_token", token));
        if in_query.is_some() || !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.iter().copied().chain(in_query));
        }
        let request = self.client.request(method, url).header(header::ACCEPT_ENCODING, "identity");
        let request = match token {
            Some(token) if carrier == TokenCarrier::Header => request.bearer_auth(token),
            _ => request,
        };
        match &self.origin {
            Some(origin) => request.header(header::ORIGIN, origin),
            None => request,
        }
    }
}

/// Sends a request and reads the answer, as much of it as is allowed. The error says why there is none, and holds no token.
pub(super) async fn ask(request: RequestBuilder) -> Result<HttpAnswer, String> {
    let begun = Instant::now();
    let answered = async {
        let response = request.send().await.map_err(|error| client::root(&error))?;
        let took = begun.elapsed();
        let (status, version, headers) = (response.status(), response.version(), response.headers().clone());
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(Ok(chunk)) = chunks.next().await {
            body.extend_from_slice(&chunk);
            if body.len() > BODY {
                break;
            }
        }
        Ok::<_, String>(HttpAnswer { status, version, headers, took, body })
    };
    timeout(ANSWER, answered)
        .await
        .unwrap_or_else(|_| Err(format!("no answer came within {} s", ANSWER.as_secs())))
}

/// Opens a stream and reads it until its first message, or until that is overdue.
pub(super) async fn begin(request: RequestBuilder) -> Result<Beginning, String> {
    let response = match timeout(FIRST_EVENT, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(client::root(&error)),
        Err(_) => return Err(format!("no answer came within {} s", FIRST_EVENT.as_secs())),
    };
    let (status, version, headers) = (response.status(), response.version(), response.headers().clone());
    let (first, last_id) = timeout(FIRST_EVENT, first_message(response)).await.ok().flatten().unzip();
    Ok(Beginning { status, version, headers, first, last_id: last_id.flatten() })
}

/// The first message of a stream, with the id that it bears.
async fn first_message(response: Response) -> Option<(Value, Option<String>)> {
    let mut parser = EventParser::default();
    let mut chunks = response.bytes_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let events = parser.feed(&chunk).ok()?;
        if let Some(event) = events.into_iter().find(|event| event.name.is_empty()) {
            return Some((serde_json::from_str(&event.data).ok()?, parser.last_id));
        }
    }
    None
}

impl HttpAnswer {
    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether this is the gateway's own answer about a payment.
    pub(super) fn is_snapshot(&self) -> bool {
        let json = self.json().unwrap_or_default();
        self.status == StatusCode::OK
            && json.get("status").is_some_and(Value::is_string)
            && json.get("seq").is_some_and(Value::is_u64)
    }

    /// The gateway's own reason for a refusal. A proxy's answer has none.
    pub(super) fn reason(&self) -> Option<String> {
        let json = self.json()?;
        json.get("reason").and_then(Value::as_str).map(printable)
    }

    /// The answer in words, for an error.
    pub(super) fn described(&self) -> String {
        let detail = self.json().and_then(|json| json.get("detail").and_then(Value::as_str).map(printable));
        match (self.reason(), detail) {
            (Some(reason), Some(detail)) => {
                format!("the gateway answers {}: {detail} ({reason})", self.status)
            }
            _ => format!("something in front of the gateway, or instead of it, answers {}", self.status),
        }
    }

    /// The proxies that the answer names.
    pub(super) fn middleboxes(&self) -> Vec<Middlebox> {
        let page = if self.reason().is_none() { self.body.as_slice() } else { &[] };
        middlebox::named(&self.headers, page)
    }
}

/// The value of a header as text. A header that is there several times is joined as by a list.
pub(super) fn header_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    if values.is_empty() { None } else { Some(values.join(", ")) }
}

/// What a server says, without what a terminal would obey, and not without end.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_command_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n\u{9b}c"), "a[2Jbc");
        assert_eq!(printable(&"x".repeat(1000)).len(), 300);
    }
}
