//! Payloads: from a body that was verified to the events that it carries, in the one form that mappings read.

use super::{
    Delivery, depth,
    place::Around,
    preset::{mapping::Unclear, raw::BodyForm},
    source::Source,
    xml,
};
use serde_json::Value;

/// The most events of one delivery. GoCardless, which sends the longest batches, has at most 250.
pub(super) const MAX_EVENTS: usize = 256;

impl Source {
    /// What there is beside the payload of a delivery.
    pub(super) fn around<'a>(&'a self, delivery: &Delivery<'a>) -> Around<'a> {
        Around { headers: delivery.headers, query: delivery.query, options: &self.options }
    }

    /// A verified body's payload: what the source's mapping reads of it.
    pub(super) fn parse(&self, body: &[u8], depth: usize) -> Result<Value, Unclear> {
        let unclear = |code| Err(Unclear { code, at: "body".to_owned() });
        match self.body {
            BodyForm::JsonOrEmpty if body.is_empty() => Ok(Value::Object(serde_json::Map::new())),
            BodyForm::Json | BodyForm::JsonOrEmpty if !depth::is_within(body, depth) => unclear("too_deep"),
            BodyForm::Json | BodyForm::JsonOrEmpty => self.sieve.parse(body).or_else(|_| unclear("not_json")),
            BodyForm::Form => Ok(form(body)),
            BodyForm::Xml => xml::parse(body).map_or_else(|| unclear("not_xml"), Ok),
        }
    }

    /// The events that a payload carries.
    pub(super) fn events<'a>(&self, payload: &'a Value) -> Result<&'a [Value], Unclear> {
        let unclear = |code, at: &dyn std::fmt::Display| Err(Unclear { code, at: at.to_string() });
        let Some(each) = &self.each else { return Ok(std::slice::from_ref(payload)) };
        match each.follow(payload).and_then(Value::as_array) {
            None => unclear("missing_events", each),
            Some(events) if events.len() > MAX_EVENTS => unclear("too_many_events", each),
            Some(events) => Ok(events),
        }
    }
}

/// A form as an object of texts.
pub(super) fn form(body: &[u8]) -> Value {
    let pairs = form_urlencoded::parse(body);
    pairs.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect()
}
