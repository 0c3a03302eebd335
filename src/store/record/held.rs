//! Held records: events of verified deliveries that the quarantine keeps with their bodies, so that they can be replayed.
//!
//! Nothing displaces a held record. Its share of the quarantine has a bound, and an event for which there is no room is not acknowledged;
//! its provider sends it again. Other records of the quarantine hold no body, and the newest displace the oldest.

use super::Record;
use crate::payment::{Name, Time};
use rand::random;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, str::FromStr, time::Duration};

/// Held records of each share, which are those of one source that have the same reason.
pub const HELD_PER_SHARE: usize = 1024;

/// The most bytes of a body that is held.
pub const HELD_BYTES: usize = 64 << 10;

/// How long a body is held, and how long it is remembered what became of a record that was settled. It is longer than any provider
/// retries, and as long as the shortest history, in which a replayed event is recognised.
pub const HELD_FOR: Duration = Duration::from_secs(45 * 86_400);

/// The id of a held record: when it was made, in milliseconds since 1970, and random bits. Of its source's records no other has it. As text
/// it is 32 hexadecimal digits, and ids of later times are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HeldId {
    /// Milliseconds since 1970.
    ms: u64,
    /// Random bits.
    random: u64,
}

/// The text is no id of a held record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the id of a held record: expected 32 hexadecimal digits")]
pub struct HeldIdError;

impl HeldId {
    /// A new id.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self { ms: u64::try_from(now.unix_ms()).unwrap_or_default(), random: random() }
    }

    /// The id as bytes, in the order of the ids.
    pub(in crate::store) fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.random)).to_be_bytes()
    }

    /// When the time of the record is over, in milliseconds since 1970.
    pub(in crate::store) fn ends_ms(self) -> u64 {
        self.ms.saturating_add(HELD_FOR.as_millis().try_into().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for HeldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.ms, self.random)
    }
}

impl FromStr for HeldId {
    type Err = HeldIdError;

    fn from_str(text: &str) -> Result<Self, HeldIdError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(HeldIdError);
        }
        let number = |digits| u64::from_str_radix(digits, 16).map_err(|_| HeldIdError);
        let (ms, random) = text.split_at_checked(16).ok_or(HeldIdError)?;
        Ok(Self { ms: number(ms)?, random: number(random)? })
    }
}

impl TryFrom<String> for HeldId {
    type Error = HeldIdError;

    fn try_from(text: String) -> Result<Self, HeldIdError> {
        text.parse()
    }
}

impl From<HeldId> for String {
    fn from(id: HeldId) -> Self {
        id.to_string()
    }
}

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

/// The share to which a held record belongs, as a text without spaces.
pub(in crate::store) fn share_of(record: &Record) -> String {
    format!("held:{}", record.reason.as_ref().map_or("", super::ReasonCode::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_id_is_read_as_it_is_written_and_ordered_by_time() {
        let at = |ms| HeldId::new(Time::from_unix_ms(ms).unwrap());
        let (one, other) = (at(1_790_000_000_000), at(1_790_000_000_001));
        assert_eq!(one.to_string().parse(), Ok(one));
        assert!(one < other && one.to_bytes() < other.to_bytes() && one.to_string() < other.to_string());
        for bad in ["", "1", &"g".repeat(32), &"F".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
            assert_eq!(bad.parse::<HeldId>(), Err(HeldIdError), "{bad}");
        }
    }

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
