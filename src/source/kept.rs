//! What is kept of an event that goes into quarantine: its masked body, and what the mapping reads beside it. It can be read again by the
//! source as it is then configured, unless a mask stands where that source reads.

use super::{
    Source,
    mapping::{EventSummary, MappedEvent},
    payload::{Place, RequestParts, Unclear},
};
use crate::{payment::Time, redact};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most places that are listed as masked. An event with more of them cannot be replayed.
const MAX_MASKED: usize = 256;

/// The most bytes of a header or a parameter that is kept.
const MAX_WORD: usize = 1024;

/// What is kept of an event, as JSON in the store.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What the body is of.
    of: Part,
    /// The masked body, if it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    /// The headers that the mapping read, masked; `null` for one that was missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, Option<String>>,
    /// The parameters of the query that the mapping read, masked; `null` for one that was missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    query: BTreeMap<String, Option<String>>,
    /// The JSON pointers to what was masked, `header:NAME` and `query:NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    masked: Vec<String>,
    /// Why the event cannot be read again, whatever the preset says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lacks: Option<Lack>,
}

/// What a body is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// One event.
    Event,
    /// A whole delivery, whose events could not be told apart.
    Delivery,
}

/// Why a kept event cannot be read again, whatever the preset says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Lack {
    /// Its body is longer than is kept.
    TooLarge,
    /// Its body could not be parsed, so nobody knows what in it is card data.
    Unparsed,
    /// More was masked than is listed.
    Masks,
}

/// Why a kept event cannot be replayed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotReplayable {
    /// The body was not kept.
    #[error(
        "its body is not kept, since it is longer than {0} bytes; have the provider send the event again"
    )]
    TooLarge(usize),
    /// The body could not be parsed.
    #[error("its body could not be parsed, so it is not kept; have the provider send the event again")]
    Unparsed,
    /// Too much was masked.
    #[error("so much of its body is masked that it does not mean the same any more")]
    Masks,
    /// The preset reads what was masked.
    #[error("the preset reads {0}, and what stood there is masked; have the provider send the event again")]
    Masked(String),
    /// The preset reads what was not kept.
    #[error(
        "the preset reads {0}, which was not kept with the event; have the provider send the event again"
    )]
    NotKept(String),
}

/// What an event of a delivery is kept of.
#[derive(Clone, Copy)]
pub(crate) enum Original<'a> {
    /// The event, as it was parsed.
    Event(&'a Value),
    /// The payload of a delivery whose events could not be told apart.
    Delivery(&'a Value),
    /// A body that could not be parsed.
    Unparsed,
}

/// What a kept event was found to be: what is known of it and what it means, or why it is not understood.
pub(crate) type Reread = (EventSummary, Result<Option<MappedEvent>, Unclear>);

impl Source {
    /// Returns the whole payload of a body, of which `payload` was kept when it was read.
    pub(crate) fn whole(&self, body: &[u8], payload: Value) -> Value {
        // What is not proven is left out.
        if self.verifier.is_adapter() { payload } else { self.reader.whole(body, payload) }
    }

    /// Returns what is kept of an event, whose body may have `most` bytes. Everything in it is masked.
    pub(crate) fn keep(&self, original: Original<'_>, parts: RequestParts<'_>, most: usize) -> Kept {
        let (of, body, masked, lacks) = match original {
            Original::Event(event) => {
                let masked = redact::payload(event, &self.mapping.exact(&self.terms, event));
                (Part::Event, Some(masked.payload), masked.changed, None)
            }
            Original::Delivery(payload) => {
                let masked = redact::payload(payload, &redact::Exact::default());
                (Part::Delivery, Some(masked.payload), masked.changed, None)
            }
            Original::Unparsed => (Part::Delivery, None, Vec::new(), Some(Lack::Unparsed)),
        };
        let mut kept = Kept { of, body, headers: BTreeMap::new(), query: BTreeMap::new(), masked, lacks };
        for place in self.mapping.places(&self.terms) {
            kept.keep_beside(&place, parts, self.mapping.is_id(&self.terms, &place));
        }
        if kept.masked.len() > MAX_MASKED {
            kept.masked.truncate(MAX_MASKED);
            kept.lacks = Some(Lack::Masks);
        }
        if serde_json::to_vec(&kept).map_or(usize::MAX, |json| json.len()) > most {
            kept = Kept { body: None, masked: Vec::new(), lacks: Some(Lack::TooLarge), ..kept };
        }
        kept
    }

    /// Returns the value at a place that an [`Unclear`] names, or `None` if the place is not in the payload.
    pub(crate) fn value_at<'a>(&self, at: &str, event: &'a Value) -> Option<Option<&'a Value>> {
        let pointer = at.split(' ').next()?.parse::<Place>().ok()?.pointer()?.clone();
        let way = pointer.way(event);
        let is_there = way.len() > pointer.tokens().len();
        Some(way.last().copied().filter(|_| is_there))
    }

    /// Returns whether a kept event can be read again by this source: whether it is kept at all, and nothing that the source reads is masked.
    pub(crate) fn can_replay(&self, kept: &Kept, most: usize) -> Result<(), NotReplayable> {
        match kept.lacks {
            Some(Lack::TooLarge) => return Err(NotReplayable::TooLarge(most)),
            Some(Lack::Unparsed) => return Err(NotReplayable::Unparsed),
            Some(Lack::Masks) => return Err(NotReplayable::Masks),
            None => {}
        }
        for place in self.mapping.places(&self.terms) {
            let name = place.to_string();
            match &place {
                // Of a whole delivery it is not known where the pointers begin.
                Place::Payload(_) if kept.of == Part::Delivery => {
                    if let Some(masked) = kept.masked.first() {
                        return Err(NotReplayable::Masked(masked.clone()));
                    }
                }
                Place::Payload(pointer) => {
                    let is_read = |masked: &&String| {
                        masked
                            .strip_prefix('/')
                            .is_some_and(|masked| pointer.may_read(&masked.split('/').collect::<Vec<_>>()))
                    };
                    if let Some(masked) = kept.masked.iter().find(is_read) {
                        return Err(NotReplayable::Masked(masked.clone()));
                    }
                }
                Place::Header(_) | Place::Query(_) if kept.masked.contains(&name) => {
                    return Err(NotReplayable::Masked(name));
                }
                Place::Header(header) if !kept.headers.contains_key(header.as_str()) => {
                    return Err(NotReplayable::NotKept(name));
                }
                Place::Query(query) if !kept.query.contains_key(&**query) => {
                    return Err(NotReplayable::NotKept(name));
                }
                Place::Header(_) | Place::Query(_) | Place::Option(_) => {}
            }
        }
        Ok(())
    }

    /// Reads a kept event again, as if it had been received at that time. A whole delivery may have several events. The inner error says why
    /// their list is not understood.
    pub(crate) fn reread(&self, received_at: Time, kept: &Kept) -> Result<Vec<Reread>, Unclear> {
        let body = kept.body.as_ref().unwrap_or(&Value::Null);
        let (headers, query) = kept.beside();
        let parts = self.request_parts(&headers, &query);
        let events = match kept.of {
            Part::Event => std::slice::from_ref(body),
            Part::Delivery => self.events(body)?,
        };
        let read = |event| {
            let mut summary = EventSummary::default();
            let meaning = self.read(received_at, parts, event, &mut summary);
            (summary, meaning)
        };
        Ok(events.iter().map(read).collect())
    }
}

impl Kept {
    /// Keeps what stands at a place beside the payload.
    fn keep_beside(&mut self, place: &Place, parts: RequestParts<'_>, is_id: bool) {
        let (name, known) = match place {
            Place::Header(name) => (name.as_str(), &mut self.headers),
            Place::Query(name) => (&**name, &mut self.query),
            Place::Payload(_) | Place::Option(_) => return,
        };
        let text = place.text(parts, &Value::Null);
        let shown = text
            .as_deref()
            .map(|text| if is_id { redact::id(text, MAX_WORD) } else { redact::text(text, MAX_WORD) });
        if shown.as_deref() != text.as_deref() {
            self.masked.push(place.to_string());
        }
        known.insert(name.to_owned(), shown);
    }

    /// The headers and the query that were kept.
    fn beside(&self) -> (HeaderMap, String) {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = value.as_deref().map(HeaderValue::from_str);
            if let (Ok(name), Some(Ok(value))) = (name.parse::<HeaderName>(), value) {
                headers.insert(name, value);
            }
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.query {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        (headers, query.finish())
    }
}
