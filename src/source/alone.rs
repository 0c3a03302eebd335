//! Single steps of a delivery's way, each alone, so that benches can measure them. The way itself takes them one after the other.

use super::{EventSummary, Source, UnverifiedRequest};
use crate::payment::Time;
use http::HeaderMap;
use serde_json::Value;

impl Source {
    /// Verifies a delivery and parses its body. Returns `None` if it is rejected or cannot be parsed.
    #[doc(hidden)]
    #[must_use]
    pub fn open_alone(&self, headers: &HeaderMap, body: &[u8], received_at: Time) -> Option<Value> {
        let parts = self.request_parts(headers, "");
        self.open(UnverifiedRequest { parts, body, received_at, key: None }, usize::from(u8::MAX))
            .ok()?
            .payload
            .ok()
    }

    /// Maps the events of a payload to facts. Returns how many facts there are.
    #[doc(hidden)]
    #[must_use]
    pub fn map_alone(&self, headers: &HeaderMap, payload: &Value, received_at: Time) -> usize {
        let parts = self.request_parts(headers, "");
        let mapped =
            self.events(payload).into_iter().flatten().filter_map(|event| {
                self.read(received_at, parts, event, &mut EventSummary::default()).ok()?
            });
        mapped.map(|event| event.facts.len()).sum()
    }
}
