//! The payload of a delivery while its events are taken: what is kept of an event that turns out not to be understood.

use super::delivery::Delivery;
use crate::{
    source::{Kept, Original, Source, Unclear},
    store::{HELD_BYTES, ValueKind},
};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// The payload of a delivery, as long as one of its events may have to be kept.
pub(super) struct Payload<'a> {
    source: &'a Source,
    delivery: &'a Delivery<'a>,
    /// The name of the secret that verified it, if one did.
    secret: Option<Arc<str>>,
    /// What the mapping reads of it, until the whole is needed; nothing, if the body could not be parsed.
    read: Option<Value>,
    /// The whole payload.
    whole: OnceLock<Option<Value>>,
}

impl<'a> Payload<'a> {
    pub(super) const fn new(
        source: &'a Source,
        delivery: &'a Delivery<'a>,
        secret: Option<Arc<str>>,
        read: Option<Value>,
    ) -> Self {
        Self { source, delivery, secret, read, whole: OnceLock::new() }
    }

    pub(super) const fn source(&self) -> &'a Source {
        self.source
    }

    pub(super) const fn delivery(&self) -> &'a Delivery<'a> {
        self.delivery
    }

    pub(super) fn secret(&self) -> Option<Arc<str>> {
        self.secret.clone()
    }

    /// The event at an index, or the whole if there is no index.
    fn original(&self, event: Option<usize>) -> Original<'_> {
        let parse = || self.read.clone().map(|read| self.source.whole(self.delivery.body, read));
        let Some(whole) = self.whole.get_or_init(parse) else { return Original::Unparsed };
        let of = |index: usize| self.source.events(whole).ok().and_then(|events| events.get(index));
        event.and_then(of).map_or(Original::Delivery(whole), Original::Event)
    }

    /// What is kept of an event, and what stands at the place that is not as expected.
    pub(super) fn keep(&self, event: Option<usize>, unclear: &Unclear) -> (Kept, Option<ValueKind>) {
        let original = self.original(event);
        let parts = self.source.request_parts(self.delivery.headers, self.delivery.query);
        let found = match original {
            Original::Event(value) | Original::Delivery(value) => {
                self.source.value_at(&unclear.at, value).map(kind_of)
            }
            Original::Unparsed => None,
        };
        (self.source.keep(original, parts, HELD_BYTES), found)
    }
}

fn kind_of(value: Option<&Value>) -> ValueKind {
    match value {
        None => ValueKind::Nothing,
        Some(Value::Null) => ValueKind::Null,
        Some(Value::Bool(_)) => ValueKind::Boolean,
        Some(Value::Number(_)) => ValueKind::Number,
        Some(Value::String(text)) if text.is_empty() => ValueKind::EmptyText,
        Some(Value::String(_)) => ValueKind::Text,
        Some(Value::Array(_)) => ValueKind::List,
        Some(Value::Object(_)) => ValueKind::Object,
    }
}
