//! The reader: from the bytes of a verified body to the events that it carries, in the one form that mappings read.

use super::{Pointer, Sieve, Unclear, depth, form, unclear, xml};
use serde::Deserialize;
use serde_json::Value;

/// The most events of one delivery. GoCardless, which sends the longest batches, has at most 250.
pub(crate) const MAX_EVENTS: usize = 256;

/// How bodies are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BodyForm {
    /// JSON.
    Json,
    /// JSON, or an empty body, which is read as an object without members: the address says the rest.
    JsonOrEmpty,
    /// `application/x-www-form-urlencoded`: read as an object of texts.
    Form,
    /// XML: read as objects of elements, with `@name` for attributes and `#text` where there is text beside them.
    Xml,
}

/// Reads the bodies of one source.
#[derive(Debug)]
pub(crate) struct Reader {
    /// How bodies are written.
    pub(crate) body: BodyForm,
    /// Where the list of events stands, if a delivery carries several.
    pub(crate) each: Option<Pointer>,
    /// Which parts of a JSON body are kept.
    pub(crate) sieve: Sieve,
}

impl Reader {
    /// Parses a body, which may nest `depth` levels deep, to what the source's mapping reads of it.
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
            BodyForm::Xml => xml::parse(body).map_or_else(|| unclear("not_xml", "body"), Ok),
        }
    }

    /// The events that a payload carries: all of the list if there is one, else the payload itself.
    pub(crate) fn events<'a>(&self, payload: &'a Value) -> Result<&'a [Value], Unclear> {
        let Some(each) = &self.each else { return Ok(std::slice::from_ref(payload)) };
        match each.follow(payload).and_then(Value::as_array) {
            None => unclear("missing_events", each),
            Some(events) if events.len() > MAX_EVENTS => unclear("too_many_events", each),
            Some(events) => Ok(events),
        }
    }
}
