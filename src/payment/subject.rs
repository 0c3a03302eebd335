//! What a log is about: a kind and an id, within a realm.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr, sync::Arc};

/// The number of partitions over which logs are spread; each has one feed and one channel.
pub const PARTITIONS: usize = 256;

/// The length limit of a payment id or realm name, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Stands for all payments of a realm in an operator's token, so no payment may be called that.
pub const ALL_PAYMENTS: &str = "*";

/// The last part of the address of the stream of all payments, so no payment may be called that either.
pub const EVENTS: &str = "events";

/// A payment id or a realm name: 1 to 128 bytes of printable ASCII without spaces, so that it cannot break a frame, a log
/// line, a header or a key. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// The text is longer than 128 bytes.
    #[error("it is longer than {MAX_ID_BYTES} bytes")]
    TooLong,
    /// The text has a space, a control character or a byte outside ASCII.
    #[error("it has characters outside printable ASCII (0x21 to 0x7e)")]
    NotPrintable,
}

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            Err(NameError::Empty)
        } else if text.len() > MAX_ID_BYTES {
            Err(NameError::TooLong)
        } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
            Err(NameError::NotPrintable)
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What kind of thing a log is about. Keys carry the kind, so that further kinds can be added beside payments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A payment.
    Payment,
}

impl Kind {
    /// The kind as keys spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
        }
    }
}

/// The name of a log: realm, kind and id. Its text form is `realm/payment/id`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Subject {
    /// The isolated namespace, such as a tenant, or test as against live. Nothing crosses realms.
    pub realm: Name,
    /// What kind of thing the log is about.
    pub kind: Kind,
    /// The provider's id of it, or the shop's own.
    pub id: Name,
}

impl Subject {
    /// The log of payment `id` in `realm`.
    #[must_use]
    pub const fn payment(realm: Name, id: Name) -> Self {
        Self { realm, kind: Kind::Payment, id }
    }

    /// The partition of the log: the first byte of SHA-256(realm, 0, kind, 0, id).
    #[must_use]
    pub fn partition(&self) -> u8 {
        let mut hash = Sha256::new();
        hash.update(self.realm.as_str());
        hash.update([0]);
        hash.update(self.kind.as_str());
        hash.update([0]);
        hash.update(self.id.as_str());
        hash.finalize().first().copied().unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.realm, self.kind.as_str(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_printable_ascii() {
        for good in ["pi_1", "order/7:a b".replace(' ', "_").as_str(), &"x".repeat(128)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("a b", NameError::NotPrintable),
            ("a\r\n", NameError::NotPrintable),
            ("a\0", NameError::NotPrintable),
            ("zażółć", NameError::NotPrintable),
            (&"x".repeat(129), NameError::TooLong),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn the_partition_is_the_first_byte_of_the_hash() {
        // printf 'default\0payment\0pay_abc' | sha256sum
        let subject = Subject::payment("default".parse().unwrap(), "pay_abc".parse().unwrap());
        let expected = Sha256::digest(b"default\0payment\0pay_abc")[0];
        assert_eq!(subject.partition(), expected);
        assert_eq!(subject.to_string(), "default/payment/pay_abc");
    }
}
