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

/// What kind of thing a log is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A payment.
    Payment,
    /// Another id by which readers may ask for a payment. Keys and events do not spell this kind: see [`Subject::label`].
    #[serde(skip)]
    Label,
    /// A part of a payment, such as a capture, by which events find their payment. It is not spelled either: see [`Subject::part`].
    #[serde(skip)]
    Part,
}

impl Kind {
    /// The kind as keys spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Label => "label",
            Self::Part => "part",
        }
    }
}

/// The prefix of the realm to which the log of a label belongs. No realm of the configuration begins so.
pub const LABEL_REALM: &str = "label:";

/// The prefix of the realms to which the logs of parts belong. No realm of the configuration begins so.
pub const PART_REALM: &str = "part:";

/// The name of a log: realm, kind and id. Its text form is `realm/payment/id`. The kind takes no space of its own, since there may be a
/// million watched logs: it shows in the realm.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(into = "StoredSubject", from = "StoredSubject")]
pub struct Subject {
    /// The isolated namespace, such as a tenant, or test as against live. Nothing crosses realms. For a label, it has a prefix.
    pub realm: Name,
    /// The provider's id of it, or the shop's own.
    pub id: Name,
}

/// The form in which subjects are stored. Gateways of the version before know no other kind than payments.
#[derive(Serialize, Deserialize)]
struct StoredSubject {
    realm: Name,
    kind: Kind,
    id: Name,
}

impl From<Subject> for StoredSubject {
    fn from(Subject { realm, id }: Subject) -> Self {
        Self { realm, kind: Kind::Payment, id }
    }
}

impl From<StoredSubject> for Subject {
    fn from(StoredSubject { realm, id, .. }: StoredSubject) -> Self {
        Self { realm, id }
    }
}

impl Subject {
    /// The log of payment `id` in `realm`.
    #[must_use]
    pub const fn payment(realm: Name, id: Name) -> Self {
        Self { realm, id }
    }

    /// The log of label `id` in `realm`: that of a payment in a realm that no configuration names. So gateways of the version before read
    /// its keys, events and notices as those of a payment that nobody watches. `None` if the name of the realm is too long for the prefix.
    #[must_use]
    pub fn label(realm: &Name, id: Name) -> Option<Self> {
        Some(Self { realm: format!("{LABEL_REALM}{realm}").parse().ok()?, id })
    }

    /// The log of part `id` of a payment in `realm`. The same text may be an id of several providers, and of both modes, so each of these
    /// has a realm of its own: `part:live:<provider>:<realm>`, with the provider's name without colons. `None` if that name would be too long.
    #[must_use]
    pub fn part(realm: &Name, provider: &str, live: bool, id: Name) -> Option<Self> {
        Some(Self { realm: format!("{}{realm}", part_scope(provider, live)).parse().ok()?, id })
    }

    /// The log of a payment in the realm that a part of this provider and mode is for. `None` if the subject is no such part.
    #[must_use]
    pub fn of_part(&self, provider: &str, live: bool, payment: Name) -> Option<Self> {
        let realm = self.realm.as_str().strip_prefix(&part_scope(provider, live))?;
        Some(Self { realm: realm.parse().ok()?, id: payment })
    }

    /// What kind of thing the log is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.realm.as_str() {
            realm if realm.starts_with(LABEL_REALM) => Kind::Label,
            realm if realm.starts_with(PART_REALM) => Kind::Part,
            _ => Kind::Payment,
        }
    }

    /// The log of the payment of the same id, in the realm that a label is for.
    #[must_use]
    pub fn as_payment(&self) -> Self {
        let realm = self.bare_realm().parse().unwrap_or_else(|_| self.realm.clone());
        Self::payment(realm, self.id.clone())
    }

    /// The partition of the log: the first byte of SHA-256(realm, 0, `payment`, 0, id). A label has that of the payment with the same id, so
    /// whoever watches an id hears of both. Nobody watches a part, which has the partition of its own realm and id.
    #[must_use]
    pub fn partition(&self) -> u8 {
        let mut hash = Sha256::new();
        hash.update(self.bare_realm());
        hash.update([0]);
        hash.update(Kind::Payment.as_str());
        hash.update([0]);
        hash.update(self.id.as_str());
        hash.finalize().first().copied().unwrap_or_default()
    }

    /// The name of the realm without the prefix of labels.
    fn bare_realm(&self) -> &str {
        self.realm.as_str().strip_prefix(LABEL_REALM).unwrap_or(self.realm.as_str())
    }
}

/// What the realm of a part has before the name of the payment's realm.
fn part_scope(provider: &str, live: bool) -> String {
    let mode = if live { "live" } else { "test" };
    // Without this, (`a:b`, `c`) and (`a`, `b:c`) would have the same realm.
    let provider = provider.replace('%', "%25").replace(':', "%3A");
    format!("{PART_REALM}{mode}:{provider}:")
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.bare_realm(), self.kind().as_str(), self.id)
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

    /// Gateways of the version before know one kind, and refuse what they cannot read.
    #[test]
    fn a_label_is_stored_as_a_payment_of_a_realm_of_its_own_in_the_partition_of_its_id() {
        let realm: Name = "default".parse().unwrap();
        let payment = Subject::payment(realm.clone(), "cs_1".parse().unwrap());
        let label = Subject::label(&realm, "cs_1".parse().unwrap()).unwrap();
        assert_eq!((label.kind(), payment.kind()), (Kind::Label, Kind::Payment));
        assert_eq!(label.to_string(), "default/label/cs_1");
        assert_eq!((label.partition(), label.as_payment()), (payment.partition(), payment.clone()));
        assert_eq!(payment.as_payment(), payment);
        let stored = serde_json::to_string(&label).unwrap();
        assert_eq!(stored, r#"{"realm":"label:default","kind":"payment","id":"cs_1"}"#);
        assert_eq!(serde_json::from_str::<Subject>(&stored).unwrap(), label);
        assert_eq!(
            serde_json::to_string(&payment).unwrap(),
            r#"{"realm":"default","kind":"payment","id":"cs_1"}"#
        );
        assert_eq!(size_of::<Subject>(), 2 * size_of::<Name>(), "a kind costs a watched payment nothing");
        assert_eq!(Subject::label(&"r".repeat(123).parse().unwrap(), payment.id), None);
    }

    #[test]
    fn a_part_counts_within_its_realm_its_provider_and_its_mode() {
        let realm: Name = "default".parse().unwrap();
        let part =
            |realm: &Name, provider, live| Subject::part(realm, provider, live, "cap_1".parse().unwrap());
        let live = part(&realm, "paypal", true).unwrap();
        assert_eq!((live.kind(), live.realm.as_str()), (Kind::Part, "part:live:paypal:default"));
        assert_eq!((live.as_payment(), live.clone()), (live.clone(), part(&realm, "paypal", true).unwrap()));
        for other in [
            part(&realm, "paypal", false),
            part(&realm, "adyen", true),
            part(&"shop".parse().unwrap(), "paypal", true),
        ] {
            assert_ne!(other.unwrap(), live);
        }
        assert_ne!(part(&"b:c".parse().unwrap(), "a", true), part(&"c".parse().unwrap(), "a:b", true));
        assert_ne!(part(&realm, "a:b", true), part(&realm, "a%3Ab", true));
        let payment = Subject::payment(realm, "order".parse().unwrap());
        assert_eq!(live.of_part("paypal", true, payment.id.clone()), Some(payment.clone()));
        assert_eq!(live.of_part("paypal", false, payment.id.clone()), None);
        assert_eq!(payment.of_part("paypal", true, payment.id.clone()), None);
        let stored = serde_json::to_string(&live).unwrap();
        assert_eq!(stored, r#"{"realm":"part:live:paypal:default","kind":"payment","id":"cap_1"}"#);
        assert_eq!(part(&"r".repeat(120).parse().unwrap(), "paypal", true), None);
    }
}
