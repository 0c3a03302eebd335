//! A preset file as it is written. Only shapes; what they mean, and whether it makes sense, is `compile`'s to say.

use crate::ingest::{
    moment::TimeForm,
    signature::recipe::{Algorithm, Encoding},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preset {
    /// The provider's name.
    pub(super) name: String,
    /// A built-in preset whose `signature` and `event` stand where this file has none, and whose `map` follows its own.
    pub(super) extends: Option<String>,
    pub(super) signature: Option<Signature>,
    #[serde(default)]
    pub(super) event: Event,
    #[serde(default)]
    pub(super) map: Vec<Map>,
}

/// `[signature]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    pub(super) header: String,
    pub(super) format: Format,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) key: Key,
    pub(super) signed: Vec<String>,
    pub(super) time: Option<TimeRule>,
}

/// `format = "raw"`, `{ pairs = { … } }` or `{ versioned = { … } }`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Format {
    Raw,
    Pairs { separator: char, signatures: Vec<String> },
    Versioned { version: String },
}

/// `key = "utf8"` or `{ base64 = { strip = "whsec_" } }`
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Key {
    Utf8,
    Base64 { strip: String },
}

/// `time = { from = "sig.t", form = "s", max_age_s = 300, max_future_s = 300 }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeRule {
    pub(super) from: String,
    pub(super) form: TimeForm,
    pub(super) max_age_s: Option<u64>,
    pub(super) max_future_s: u64,
}

/// `[event]`: where what every event has stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) id: Vec<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) occurred_at: Option<OccurredAt>,
    pub(super) live: Option<String>,
    #[serde(default)]
    pub(super) payment: Vec<String>,
    pub(super) amounts: Option<Amounts>,
    /// Minor units in which the provider departs from ISO 4217: `exponents = { ISK = 2 }`.
    #[serde(default)]
    pub(super) exponents: BTreeMap<String, u8>,
}

/// `occurred_at = { at = "/created", form = "s" }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OccurredAt {
    pub(super) at: String,
    pub(super) form: TimeForm,
}

/// In which units amounts are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::ingest) enum Amounts {
    /// Cents, yen, fils: whole numbers.
    Minor,
    /// Euros, yen, dinars: decimals.
    Major,
}

/// `[[map]]`: what the events of some types mean. The first entry that matches is taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    /// Types; `*` stands for any characters.
    #[serde(rename = "type")]
    pub(super) kinds: Vec<String>,
    /// Pointers, and the texts of which one must stand there.
    #[serde(default)]
    pub(super) when: BTreeMap<String, Vec<String>>,
    /// In place of the event's own.
    pub(super) payment: Option<Vec<String>>,
    pub(super) facts: Vec<Fact>,
}

/// One of `facts`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fact {
    pub(super) fact: FactKind,
    /// The phase or state, or what a total is of, if it is always the same …
    pub(super) is: Option<String>,
    /// … or where the provider's word for it stands …
    pub(super) at: Option<String>,
    /// … and what that means.
    #[serde(default)]
    pub(super) words: BTreeMap<String, String>,
    pub(super) id: Option<String>,
    pub(super) amount: Option<String>,
    pub(super) currency: Option<String>,
}

/// The kinds of facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FactKind {
    Phase,
    Capture,
    Refund,
    Dispute,
    Total,
    Note,
}
