//! Backfill: the request that asks a provider for its past events, page by page, and the events in the answer. They are the same events that
//! webhooks bring, so they go the same way, and one that came before is a duplicate.
//!
//! Everything here is pure: the caller sends the requests and waits for the answers. The connection over which an answer came vouches for
//! it. A provider lists the newest events first, so a page may reach further back than is asked for, and the rest of the list is then left.

use super::{
    inquiry::{ApiError, ApiSettings, KEY, KEY_BASE64},
    payload::{Pointer, TimeForm, is_within},
};
use crate::payment::Time;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header::ACCEPT};
use serde_json::Value;
use std::{
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

/// The placeholder for the time from which on events are asked for, in seconds since 1970.
pub(crate) const SINCE_S: &str = "{since:s}";

/// The placeholder for that time as RFC 3339.
pub(crate) const SINCE_RFC3339: &str = "{since:rfc3339}";

/// The longest cursor, in bytes.
const MAX_CURSOR: usize = 256;

/// The most events of one page.
const MAX_PAGE: usize = 1000;

/// `[backfill]` of a preset, compiled: how its provider lists past events.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The scheme and host, `https://HOST`.
    pub(crate) origin: String,
    /// The path and the query, in which [`SINCE_S`] or [`SINCE_RFC3339`] may stand.
    pub(crate) path: String,
    /// The headers of each request. In their texts, [`KEY`] or [`KEY_BASE64`] stands for the API key.
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// The least time between two requests of one source.
    pub(crate) spacing: Duration,
    /// For how long the provider keeps its events.
    pub(crate) kept: Duration,
    /// The list of events in an answer.
    pub(crate) events: Pointer,
    /// When an event happened: in an event, with its form.
    pub(crate) time: (Pointer, TimeForm),
    /// How the next page is asked for.
    pub(crate) next: Next,
}

/// How the next page is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    /// The parameter of the query that carries the cursor.
    pub(crate) parameter: String,
    /// Where the cursor is.
    pub(crate) at: CursorAt,
}

/// Where a page has the cursor of the next one.
#[derive(Clone, Debug)]
pub(crate) enum CursorAt {
    /// In the answer; it is missing on the last page.
    Answer(Pointer),
    /// In the last event, as long as the answer says at `more` that there is more.
    LastEvent { at: Pointer, more: Pointer },
}

/// A place in a provider's list of events: 1 to 256 printable characters of ASCII.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastCursor(String);

/// The text is no place in a list of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the cursor of a page of events: expected 1 to {MAX_CURSOR} printable characters of ASCII")]
pub struct PastCursorError;

impl FromStr for PastCursor {
    type Err = PastCursorError;

    fn from_str(text: &str) -> Result<Self, PastCursorError> {
        let fits = (1..=MAX_CURSOR).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(PastCursorError) }
    }
}

impl fmt::Display for PastCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A listing with the credentials of one source.
pub struct Past {
    listing: Listing,
    headers: HeaderMap,
    /// When the next request may be sent, if one was sent before.
    pub(crate) next_at: tokio::sync::Mutex<Option<Instant>>,
}

/// One page of a provider's events.
#[derive(Debug)]
pub(crate) struct PastPage {
    /// The events that happened since the time that was asked for, as the provider lists them.
    pub(crate) events: Vec<Value>,
    /// When the oldest event of the page happened, if it says so.
    pub(crate) oldest: Option<Time>,
    /// Where the next page begins; none if there is none, or if it would only hold what is older.
    pub(crate) next: Option<PastCursor>,
}

/// Why an answer is not a page of events.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PageError {
    /// It is not JSON, or nests too deep.
    #[error("the answer is no JSON, or nests too deep")]
    NotJson,
    /// It holds no list of events where the preset says.
    #[error("the answer has no list of events at {0}")]
    NoEvents(String),
}

impl Listing {
    /// Completes the listing with a source's credentials. Fails if the API key or the address in the settings cannot be used.
    pub(crate) fn with(self, settings: &ApiSettings) -> Result<Past, ApiError> {
        let key = settings.checked_key()?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, text) in &self.headers {
            let filled = text.replace(KEY_BASE64, &STANDARD.encode(key)).replace(KEY, key);
            let mut value = HeaderValue::try_from(&filled).map_err(|_| ApiError::Unsendable)?;
            value.set_sensitive(filled != *text);
            headers.insert(name.clone(), value);
        }
        let origin = settings.origin()?.unwrap_or_else(|| self.origin.clone());
        let listing = Self { origin, ..self };
        Ok(Past { listing, headers, next_at: tokio::sync::Mutex::default() })
    }
}

impl Past {
    /// Returns the least time between two requests.
    pub(crate) const fn spacing(&self) -> Duration {
        self.listing.spacing
    }

    /// Returns for how long the provider keeps its events.
    #[must_use]
    pub const fn kept(&self) -> Duration {
        self.listing.kept
    }

    /// Builds the request for a page of the events since a time. `None` if the address cannot be built.
    pub(crate) fn request(&self, since: Time, cursor: Option<&PastCursor>) -> Option<Request<Bytes>> {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let path = self.listing.path.replace(SINCE_S, &(since.unix_ms() / 1000).to_string());
        let mut path = path.replace(SINCE_RFC3339, &encoded(&since.to_string()));
        if let Some(PastCursor(cursor)) = cursor {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&format!("{}={}", encoded(&self.listing.next.parameter), encoded(cursor)));
        }
        let uri: Uri = format!("{}{path}", self.listing.origin).parse().ok()?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        request.headers_mut().clone_from(&self.headers);
        Some(request)
    }

    /// Reads a page of the events since a time.
    pub(crate) fn page(&self, body: &[u8], since: Time, depth: usize) -> Result<PastPage, PageError> {
        if !is_within(body, depth) {
            return Err(PageError::NotJson);
        }
        let answer: Value = serde_json::from_slice(body).map_err(|_| PageError::NotJson)?;
        let no_events = || PageError::NoEvents(self.listing.events.to_string());
        let all = self.listing.events.follow(&answer).and_then(Value::as_array).ok_or_else(no_events)?;
        let (at, form) = &self.listing.time;
        let time = |event: &Value| at.text(event).and_then(|text| form.read(&text));
        let oldest = all.iter().filter_map(time).min();
        let is_over = oldest.is_some_and(|oldest| oldest < since);
        let cursor = match &self.listing.next.at {
            CursorAt::Answer(at) => at.text(&answer),
            CursorAt::LastEvent { at, more } => {
                let has_more = more.follow(&answer).and_then(Value::as_bool).unwrap_or(false);
                all.last().filter(|_| has_more).and_then(|event| at.text(event))
            }
        };
        let next = cursor.filter(|_| !is_over && !all.is_empty()).and_then(|cursor| cursor.parse().ok());
        // An event that does not say when it happened is taken.
        let is_wanted = |event: &&Value| time(event).is_none_or(|time| time >= since);
        let events = all.iter().take(MAX_PAGE).filter(is_wanted).cloned().collect();
        Ok(PastPage { events, oldest, next })
    }
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
