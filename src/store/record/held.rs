//! Held records: events of verified deliveries that the quarantine keeps with their bodies, so that they can be replayed.
//!
//! Nothing displaces a held record. Its share of the quarantine has a bound, and an event for which there is no room is not acknowledged;
//! its provider sends it again. Other records of the quarantine hold no body, and the newest displace the oldest.

use super::Record;
use crate::payment::Name;
use serde_json::Value;

/// Held records of each share, which are those of one source that have the same reason.
pub const HELD_PER_SHARE: usize = 1024;

/// The most bytes of a body that is held.
pub const HELD_BYTES: usize = 64 << 10;

/// Whether there was room for a record to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holding {
    /// It is held, and its share holds so many now, of at most [`HELD_PER_SHARE`].
    Held(usize),
    /// Its share is full, and the record is not kept.
    Full,
}

/// What a store has under the id of a held record.
#[derive(Clone, PartialEq, Debug)]
pub enum Held {
    /// The record and its body, as it was given to the store.
    Waiting(Box<Record>, Value),
    /// The record was settled. This is what its settlement said; the record and its body are removed.
    Settled(Value),
}

/// What became of a request to settle a held record.
#[derive(Clone, PartialEq, Debug)]
pub enum Settling {
    /// The record is settled now.
    Now,
    /// It was settled before, and this is what that settlement said.
    Before(Value),
    /// There is no such record, or its time is over.
    Unknown,
}

/// Whether a body bears the id of a payment: as a whole text or number, or at the end of a link.
pub(in crate::store) fn body_bears(body: &Value, payment: &Name) -> bool {
    let is_it = |text: &str| {
        text == payment.as_str() || text.rsplit_once('/').is_some_and(|(_, end)| end == payment.as_str())
    };
    match body {
        Value::String(text) => is_it(text),
        Value::Number(number) => is_it(&number.to_string()),
        Value::Array(items) => items.iter().any(|item| body_bears(item, payment)),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name == payment.as_str() || body_bears(value, payment))
        }
        Value::Null | Value::Bool(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_bears_a_payment_wherever_its_id_is_a_whole_text() {
        let payment = "42".parse().unwrap();
        for (body, expected) in [
            (json!({ "a": [{ "b": "42" }] }), true),
            (json!({ "a": 42 }), true),
            (json!({ "42": 1 }), true),
            (json!({ "link": "https://provider.example/v1/payments/42" }), true),
            (json!({ "a": "420", "b": 142, "c": true, "d": null }), false),
        ] {
            assert_eq!(body_bears(&body, &payment), expected, "{body}");
        }
    }
}
