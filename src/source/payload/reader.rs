//! The reader: it turns the bytes of a verified body into the events that it carries, in the one form that mappings read.

use super::{Pointer, Sieve, Unclear, depth, form, unclear, xml};
use serde::Deserialize;
use serde_json::Value;

/// The most events of one delivery. GoCardless, which sends the longest batches, sends at most 250.
pub(crate) const MAX_EVENTS: usize = 256;

/// The format of bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BodyForm {
    /// The body is JSON.
    Json,
    /// The body is JSON or empty. An empty body is read as an object without members, because the address says the rest.
    JsonOrEmpty,
    /// The body is `application/x-www-form-urlencoded`, and read as an object of texts.
    Form,
    /// The body is XML, and read as objects of elements, with `@name` for attributes and `#text` for text beside them.
    Xml,
}

/// The reader of one source's bodies.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The format of bodies.
    pub(crate) body: BodyForm,
    /// The place of the list of events, if a delivery carries several.
    pub(crate) each: Option<Pointer>,
    /// The parts of a JSON body that are kept.
    pub(crate) sieve: Sieve,
}

impl Reader {
    /// Parses a body that nests at most `depth` levels deep, and keeps what the source's mapping reads of it.
    pub(crate) fn parse(&self, body: &[u8], depth: usize) -> Result<Value, Unclear> {
        match self.body {
            BodyForm::JsonOrEmpty if body.is_empty() => Ok(Value::Object(serde_json::Map::new())),
            BodyForm::Json | BodyForm::JsonOrEmpty if !depth::is_within(body, depth) => {
                unclear("too_deep", "body")
            }
            BodyForm::Json | BodyForm::JsonOrEmpty => {
                self.sieve.parse(body).or_else(|_| unclear("not_json", "body"))
            }
            BodyForm::Form => Ok(form(body)),
            BodyForm::Xml => xml::parse(body).or_else(|why| unclear(why.code(), "body")),
        }
    }

    /// Returns the whole payload of a body that was read before, with what the mapping does not read too; `payload`, which was kept of it, if the
    /// rest cannot be read.
    pub(crate) fn whole(&self, body: &[u8], payload: Value) -> Value {
        match self.body {
            BodyForm::Json | BodyForm::JsonOrEmpty if !body.is_empty() => {
                serde_json::from_slice(body).unwrap_or(payload)
            }
            BodyForm::Json | BodyForm::JsonOrEmpty | BodyForm::Form | BodyForm::Xml => payload,
        }
    }

    /// Returns the events of a payload: the items of the list if there is one, otherwise the payload itself. Fails if the list is
    /// missing, or has more than [`MAX_EVENTS`] items.
    pub(crate) fn events<'a>(&self, payload: &'a Value) -> Result<&'a [Value], Unclear> {
        let Some(each) = &self.each else { return Ok(std::slice::from_ref(payload)) };
        match each.follow(payload).and_then(Value::as_array) {
            None => unclear("missing_events", each),
            Some(events) if events.len() > MAX_EVENTS => unclear("too_many_events", each),
            Some(events) => Ok(events),
        }
    }
}
