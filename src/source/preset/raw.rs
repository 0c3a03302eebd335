//! A preset file as it is written. Only shapes; what they mean, and whether it makes sense, is `compile`'s to say.

use super::{options::Choice, reply::ReplyRule};
use crate::source::{
    mapping::Amounts,
    payload::{BodyForm, TimeForm},
    verify::{Adapter, Algorithm, Encoding, KeyForm, Published},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preset {
    /// The provider's name.
    pub(super) name: String,
    /// A built-in preset whose parts stand where this file has none, and whose `map` follows its own.
    pub(super) extends: Option<String>,
    pub(super) about: Option<About>,
    pub(super) trust: Option<Trust>,
    pub(super) body: Option<BodyForm>,
    /// Where a delivery that carries several events lists them. Pointers then start at each.
    pub(super) each: Option<String>,
    #[serde(default)]
    pub(super) options: BTreeMap<String, Choice>,
    pub(super) signature: Option<Signature>,
    /// In place of `signature`, the code that verifies.
    pub(super) adapter: Option<Adapter>,
    pub(super) reply: Option<ReplyRule>,
    #[serde(default)]
    pub(super) event: Event,
    #[serde(default)]
    pub(super) map: Vec<Map>,
    #[serde(default)]
    pub(super) ignored: Vec<Ignored>,
    pub(super) confirm: Option<Confirm>,
}

/// `[confirm]`: how a payment is asked for at the provider's API, and what the answer means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// The address, in which `{payment}` stands for the payment's id.
    pub(super) url: String,
    /// Headers of the request, in whose texts `{key}` stands for the source's key.
    pub(super) headers: BTreeMap<String, String>,
    /// The least time between two requests of one source.
    pub(super) spacing_ms: u64,
    pub(super) event: Event,
    #[serde(default)]
    pub(super) map: Vec<Map>,
}

/// `[about]`: what the table of presets says of it beside what the file itself says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// What people call the provider.
    pub(super) title: String,
    /// Whether the mapping was checked against the provider's own word for each event, or is only read from its manual.
    #[serde(default)]
    pub(super) verified: bool,
    /// What else than this program was seen to sign, or to accept what it signs.
    pub(super) oracle: Option<String>,
}

/// How far the provider's word may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trust {
    /// What it signs is all that counts.
    Verified,
    /// It says that something happened; what, is not signed or not said. Kept as a note.
    Hint,
}

/// `[signature]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    /// The header that carries signatures …
    pub(super) header: Option<String>,
    /// … or the key of the query.
    pub(super) query: Option<String>,
    /// Between its items.
    pub(super) separator: Option<char>,
    /// How they are written.
    #[serde(default = "whole")]
    pub(super) items: Vec<String>,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) key: KeyForm,
    /// What stands before secrets.
    #[serde(default)]
    pub(super) prefix: String,
    /// The header that names the key.
    pub(super) key_id: Option<String>,
    #[serde(default)]
    pub(super) signed: Vec<String>,
    pub(super) time: Option<TimeRule>,
    pub(super) certificates: Option<Certificates>,
    /// Other ways in which the same bytes may be signed.
    #[serde(default)]
    pub(super) also: Vec<Method>,
}

/// `[signature.certificates]`: where certificates are fetched from, for sources that pin none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificates {
    /// The header that holds a certificate's address.
    pub(super) header: String,
    /// Below which their issuers' certificates stand.
    pub(super) issuers: Option<String>,
    pub(super) live: Published,
    pub(super) test: Published,
}

/// `[[signature.also]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Method {
    pub(super) items: Vec<String>,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) key: KeyForm,
    /// What stands before secrets of this method, and so tells them from the others.
    pub(super) prefix: String,
}

fn whole() -> Vec<String> {
    vec!["{signature}".to_owned()]
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
    /// Several are joined by a dot; those that are not there are left out.
    #[serde(rename = "type", default)]
    pub(super) kind: Vec<String>,
    /// The type of what has none.
    pub(super) otherwise: Option<String>,
    pub(super) occurred_at: Option<OccurredAt>,
    pub(super) live: Option<Live>,
    #[serde(default)]
    pub(super) payment: Vec<String>,
    /// Those of the places of ids where the provider's own stand, which may be long numbers.
    #[serde(default)]
    pub(super) own_ids: Vec<String>,
    pub(super) amounts: Option<Amounts>,
    /// Decimal digits of minor units where the provider departs from ISO 4217, and of assets: `exponents = { ISK = 2, USDC = 6 }`.
    #[serde(default)]
    pub(super) exponents: BTreeMap<String, u8>,
}

/// `occurred_at = { at = ["/created"], form = "s" }`: the first of these places that has a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OccurredAt {
    pub(super) at: Vec<String>,
    pub(super) form: TimeForm,
}

/// `live = { at = "/mode", words = { live = true, test = false } }`; `true` and `false` need no words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Live {
    pub(super) at: String,
    #[serde(default)]
    pub(super) words: BTreeMap<String, bool>,
}

/// `[[map]]`: what the events of some types mean. The first entry that matches is taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    /// Types; `*` stands for any characters.
    #[serde(rename = "type")]
    pub(super) kinds: Vec<String>,
    /// Places, and the texts of which one must stand there. An empty text stands for nothing at all.
    #[serde(default)]
    pub(super) when: BTreeMap<String, Vec<String>>,
    /// In place of the event's own.
    pub(super) payment: Option<Vec<String>>,
    pub(super) facts: Vec<Fact>,
    /// Why these events change no status, in a sentence. Only for entries whose facts are all notes.
    pub(super) why: Option<String>,
}

/// `[[ignored]]`: events that look as if they concerned a payment and stay ignored. It documents the preset and changes nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ignored {
    /// Types; `*` stands for any characters.
    #[serde(rename = "type")]
    pub(super) kinds: Vec<String>,
    /// The reason, in a sentence.
    pub(super) why: String,
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
    /// The fact is left out where nothing stands here.
    #[serde(rename = "if")]
    pub(super) only_if: Option<String>,
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
