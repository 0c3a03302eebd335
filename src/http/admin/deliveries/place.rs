//! The place of a record among those of all sources.

use crate::payment::Time;
use crate::store::{Record, RecordCursor};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{fmt, str::FromStr, sync::Arc};

/// The place of a record of a delivery: a later delivery has a greater one. To clients its text is opaque.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct DeliveryPlace {
    /// When the delivery was received.
    pub(super) at: Time,
    /// Its source, which orders what was received in the same millisecond.
    pub(super) source: Arc<str>,
    /// Its place among the records of the source.
    pub(super) cursor: RecordCursor,
}

/// The text is no place of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryPlaceError;

impl DeliveryPlace {
    pub(super) fn of(record: &Record, cursor: RecordCursor) -> Self {
        Self { at: record.at, source: Arc::clone(&record.source), cursor }
    }
}

/// A record as JSON, with its place.
pub(super) fn as_json(place: &DeliveryPlace, record: &Record) -> Value {
    let mut shown = json!(record);
    if let Value::Object(members) = &mut shown {
        members.insert("id".to_owned(), place.to_string().into());
    }
    shown
}

impl fmt::Display for DeliveryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = format!("{} {} {}", self.at.unix_ms(), self.cursor, self.source);
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

impl FromStr for DeliveryPlace {
    type Err = DeliveryPlaceError;

    fn from_str(text: &str) -> Result<Self, DeliveryPlaceError> {
        let plain = URL_SAFE_NO_PAD.decode(text).map_err(|_| DeliveryPlaceError)?;
        let plain = String::from_utf8(plain).map_err(|_| DeliveryPlaceError)?;
        let mut parts = plain.splitn(3, ' ');
        let mut part = || parts.next().ok_or(DeliveryPlaceError);
        let at = part()?.parse().ok().and_then(|ms| Time::from_unix_ms(ms).ok()).ok_or(DeliveryPlaceError)?;
        let cursor = part()?.parse().map_err(|_| DeliveryPlaceError)?;
        let source = part()?;
        if source.is_empty() {
            Err(DeliveryPlaceError)
        } else {
            Ok(Self { at, cursor, source: source.into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_nothing_else_is_one() {
        let place = |ms, source: &str, cursor: &str| DeliveryPlace {
            at: Time::from_unix_ms(ms).unwrap(),
            source: source.into(),
            cursor: cursor.parse().unwrap(),
        };
        let first = place(1_800_000_000_123, "acme", "7-9");
        let text = first.to_string();
        assert_eq!(text.parse::<DeliveryPlace>().unwrap(), first);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert!(first < place(1_800_000_000_124, "a", "0-0") && first < place(1_800_000_000_123, "b", "0-0"));
        for wrong in ["", "1-0", "not base64!", "MSAyIDM", &text[..text.len() - 6]] {
            assert!(wrong.parse::<DeliveryPlace>().is_err(), "{wrong}");
        }
    }
}
