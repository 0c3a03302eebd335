//! The raw form of a preset: a file as it is written. Only the shapes are here; `compile` checks them and gives them meaning.

use super::{options::Choice, reply::ReplyRule};
use crate::{
    payment::{ActionKind, FailureReason},
    source::{
        mapping::Amounts,
        payload::{BodyForm, MAX_FUTURE, TimeForm},
        verify::{Adapter, Algorithm, Encoding, KeyForm, Published},
    },
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A whole preset file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preset {
    /// The provider's name.
    pub(super) name: String,
    /// The built-in preset that completes this file: its parts are used where this file has none, and its `map` follows this
    /// file's own.
    pub(super) extends: Option<String>,
    /// The built-in presets that this file was completed with, the nearest first.
    #[serde(skip)]
    pub(super) bases: Vec<String>,
    /// What the table of presets says about the provider.
    pub(super) about: Option<About>,
    /// How far the provider's word is believed.
    pub(super) trust: Option<Trust>,
    /// The format of bodies.
    pub(super) body: Option<BodyForm>,
    /// The place of the list of events, if a delivery carries several. All other pointers then start at each event.
    pub(super) each: Option<String>,
    /// The options that a source has to set, or may set.
    #[serde(default)]
    pub(super) options: BTreeMap<String, Choice>,
    /// The recipe by which deliveries are verified.
    pub(super) signature: Option<Signature>,
    /// The code that verifies deliveries, in place of `signature`.
    pub(super) adapter: Option<Adapter>,
    /// How the provider expects to be answered.
    pub(super) reply: Option<ReplyRule>,
    /// What the provider's manual says about retries.
    pub(super) retries: Option<Retries>,
    /// Where the values are that every event has.
    #[serde(default)]
    pub(super) event: Event,
    /// What the events of some types mean.
    #[serde(default)]
    pub(super) map: Vec<Map>,
    /// The types of events that are ignored on purpose.
    #[serde(default)]
    pub(super) ignored: Vec<Ignored>,
    /// The reasons for which payments fail, by the provider's codes.
    #[serde(default)]
    pub(super) failures: BTreeMap<String, FailureReason>,
    /// What a customer has to do next, by the provider's codes.
    #[serde(default)]
    pub(super) actions: BTreeMap<String, ActionKind>,
    /// How the provider is asked for a payment.
    pub(super) confirm: Option<Confirm>,
    /// How the provider lists its past events.
    pub(super) backfill: Option<Backfill>,
}

/// `[backfill]`: how the provider lists its past events, the newest first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backfill {
    /// The address of the list, in which `{since:s}` or `{since:rfc3339}` stands for the time from which on events are asked for.
    pub(super) url: String,
    /// The headers of the request, in whose texts `{key}` stands for the source's API key.
    pub(super) headers: BTreeMap<String, String>,
    /// The least time between two requests of one source, in milliseconds.
    pub(super) spacing_ms: u64,
    /// For how long the provider keeps its events, in seconds.
    pub(super) kept_s: u64,
    /// The place of the list of events in the answer.
    pub(super) events: String,
    /// The time of an event, in the event.
    pub(super) time: EventTime,
    /// How the next page is asked for.
    pub(super) next: NextPage,
}

/// The time of an event, e.g. `{ at = "/created", form = "s" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventTime {
    pub(super) at: String,
    pub(super) form: TimeForm,
}

/// How the next page is asked for: a parameter of the query, and either where the answer has its value or, with `more`, where the last event has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NextPage {
    pub(super) parameter: String,
    pub(super) at: Option<String>,
    pub(super) last: Option<String>,
    pub(super) more: Option<String>,
}

/// `[retries]`: how the provider sends a webhook again that was not taken, as far as its manual says so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retries {
    /// The pauses before the first retries, in seconds. The last one is repeated until `lost_after_s`.
    #[serde(default)]
    pub(super) pauses_s: Vec<u64>,
    /// How long after the first try the provider gives an event up, in seconds. Without it, the pauses are all there are.
    pub(super) lost_after_s: Option<u64>,
    /// After how long without any success the provider disables the endpoint, in seconds.
    pub(super) disabled_after_s: Option<u64>,
    /// How long the provider waits for an answer, in seconds.
    pub(super) timeout_s: Option<u64>,
    /// Whether the provider holds back all later events as long as one is refused.
    #[serde(default)]
    pub(super) blocks: bool,
}

/// `[confirm]`: how the provider's API is asked for a payment, and what the answer means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// When the provider is asked.
    #[serde(default)]
    pub(super) on: Asking,
    /// The address, in which `{payment}` stands for the payment's id and `{option:NAME}` for an option of the source.
    pub(super) url: String,
    /// The headers of the request, in whose texts `{key}` stands for the source's API key.
    pub(super) headers: BTreeMap<String, String>,
    /// How the token is asked for that `{token}` stands for.
    pub(super) token: Option<Token>,
    /// The format of answers.
    pub(super) body: Option<BodyForm>,
    /// The least time between two requests of one source, in milliseconds.
    pub(super) spacing_ms: u64,
    /// Where the values are that every answer has.
    pub(super) event: Event,
    /// What the answers mean.
    #[serde(default)]
    pub(super) map: Vec<Map>,
}

/// When a provider is asked for a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Asking {
    /// After each event, since its webhook does not say all, or is not signed as a whole.
    #[default]
    Event,
    /// Only when an operator wants it, since webhooks are signed and say all.
    Demand,
}

/// `[confirm.token]`: how the API is asked for a token that is valid for a time (OAuth 2.0, client credentials).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    /// The path of the address, at the host of the API.
    pub(super) path: String,
    /// The headers of the request, in whose texts `{key}` stands for the source's API key.
    pub(super) headers: BTreeMap<String, String>,
}

/// `[about]`: what the table of presets says about the provider in addition to what the file itself says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// The name of the provider for people.
    pub(super) title: String,
    /// Whether the mapping was checked against the provider's own word for each event. Otherwise it was only read from its manual.
    #[serde(default)]
    pub(super) verified: bool,
    /// What other software signs like this provider, or accepts what this program signs, as far as that was tried.
    pub(super) oracle: Option<String>,
    /// Why the provider is never asked for a payment, if the preset has no `[confirm]`.
    pub(super) unasked: Option<String>,
}

/// How far the provider's word is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trust {
    /// What the provider signs is believed.
    Verified,
    /// The provider says that something happened, but what happened is not signed, or not said. Its events are kept as notes.
    Hint,
}

/// `[signature]`: how deliveries are signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    /// The header that carries the signatures. Either this or `query` is given.
    pub(super) header: Option<String>,
    /// The query parameter that carries the signature. Either this or `header` is given.
    pub(super) query: Option<String>,
    /// The character between the items of the header's line.
    pub(super) separator: Option<char>,
    /// How the items are written, such as `v1={signature}`.
    #[serde(default = "whole")]
    pub(super) items: Vec<String>,
    /// How the signature is computed.
    pub(super) algorithm: Algorithm,
    /// How the signature is written.
    pub(super) encoding: Encoding,
    /// How the secret is written.
    pub(super) key: KeyForm,
    /// The text with which secrets begin.
    #[serde(default)]
    pub(super) prefix: String,
    /// The header that names the key.
    pub(super) key_id: Option<String>,
    /// What is signed, part by part.
    #[serde(default)]
    pub(super) signed: Vec<String>,
    /// The time that is signed.
    pub(super) time: Option<TimeRule>,
    /// Where certificates are fetched from, for sources that pin none.
    pub(super) certificates: Option<Certificates>,
    /// Other methods by which the same bytes may be signed.
    #[serde(default)]
    pub(super) also: Vec<Method>,
}

/// `[signature.certificates]`: where certificates are fetched from, for sources that pin none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificates {
    /// The header that holds the address of a certificate.
    pub(super) header: String,
    /// The start of the addresses of issuers' certificates, if certificates come without them.
    pub(super) issuers: Option<String>,
    /// Where certificates for real money are published.
    pub(super) live: Published,
    /// Where certificates for tests are published.
    pub(super) test: Published,
}

/// `[[signature.also]]`: another method by which the same bytes may be signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Method {
    /// How the items are written.
    pub(super) items: Vec<String>,
    /// How the signature is computed.
    pub(super) algorithm: Algorithm,
    /// How the signature is written.
    pub(super) encoding: Encoding,
    /// How the secret is written.
    pub(super) key: KeyForm,
    /// The text with which secrets of this method begin, which tells them from the others.
    pub(super) prefix: String,
}

/// Returns the default of `items`: the whole line is one signature.
fn whole() -> Vec<String> {
    vec!["{signature}".to_owned()]
}

/// `time`: the time that is signed, e.g. `{ from = "sig.t", form = "s", max_age_s = 300, max_future_s = 300 }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeRule {
    /// The place of the time: `sig.FIELD`, `header:NAME` or a JSON pointer.
    pub(super) from: String,
    /// How the time is written.
    pub(super) form: TimeForm,
    /// How far the time may lie behind our clock, in seconds. Without it, a source may set the limit.
    pub(super) max_age_s: Option<u64>,
    /// How far the time may lie ahead of our clock, in seconds. Without it, that is [`MAX_FUTURE`].
    #[serde(default = "max_future_s")]
    pub(super) max_future_s: u64,
}

fn max_future_s() -> u64 {
    MAX_FUTURE.as_secs()
}

/// `[event]`: where the values are that every event has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    /// The places of the event's id.
    #[serde(default)]
    pub(super) id: Vec<String>,
    /// The places of the event's type. The texts found there are joined by dots; places without one are left out.
    #[serde(rename = "type", default)]
    pub(super) kind: Vec<String>,
    /// The type of an event that has no text at any of these places.
    pub(super) otherwise: Option<String>,
    /// The time of the event.
    pub(super) occurred_at: Option<OccurredAt>,
    /// Whether the event is about real money.
    pub(super) live: Option<Live>,
    /// The places of the payment's id.
    #[serde(default)]
    pub(super) payment: Vec<String>,
    /// The places of other ids of the payment, which the provider makes and no customer can choose.
    #[serde(default)]
    pub(super) labels: Vec<String>,
    /// The places of ids of parts of the payment, such as captures, which the provider makes and no customer can choose. Events that name
    /// such a part alone are appended to this payment.
    #[serde(default)]
    pub(super) parts: Vec<String>,
    /// Whether the id at `payment` is one of these parts if a source names its payments by ids of its own, so that events that lack these
    /// find their payment by the provider's id.
    pub(super) payment_is_part: Option<bool>,
    /// Those places of ids that hold the provider's own ids, which may be long numbers.
    #[serde(default)]
    pub(super) own_ids: Vec<String>,
    /// The unit in which amounts are written.
    pub(super) amounts: Option<Amounts>,
    /// The decimal digits of minor units, where the provider departs from ISO 4217 and for assets, e.g. `{ ISK = 2, USDC = 6 }`.
    #[serde(default)]
    pub(super) exponents: BTreeMap<String, u8>,
}

/// `occurred_at`: the time of an event, e.g. `{ at = ["/created"], form = "s" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OccurredAt {
    /// The places of the time. The first that holds anything counts.
    pub(super) at: Vec<String>,
    /// How the time is written.
    pub(super) form: TimeForm,
}

/// `live`: whether an event is about real money, e.g. `{ at = "/mode", words = { live = true, test = false } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Live {
    /// The place of the provider's word for it.
    pub(super) at: String,
    /// What the provider's words mean. The words `true` and `false` need no entry.
    #[serde(default)]
    pub(super) words: BTreeMap<String, bool>,
}

/// `[[map]]`: what the events of some types mean. The first entry that matches counts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Map {
    /// The patterns of event types, in which `*` stands for any characters.
    #[serde(rename = "type")]
    pub(super) kinds: Vec<String>,
    /// Places, and the texts of which one has to be there. An empty text stands for a place that holds none.
    #[serde(default)]
    pub(super) when: BTreeMap<String, Vec<String>>,
    /// The places of the payment's id, in place of those of `[event]`.
    pub(super) payment: Option<Vec<String>>,
    /// The places of other ids of the payment, in place of those of `[event]`.
    pub(super) labels: Option<Vec<String>>,
    /// The places of ids of parts of the payment, in place of those of `[event]`.
    pub(super) parts: Option<Vec<String>>,
    /// The places of the id of a part, by which an event finds its payment if it names none.
    #[serde(default)]
    pub(super) part: Vec<String>,
    /// The facts that these events state.
    pub(super) facts: Vec<Fact>,
    /// Why these events change no status, in a sentence. Only entries whose facts are all notes may have it.
    pub(super) why: Option<String>,
}

/// `[[ignored]]`: events that look as if they concerned a payment and are ignored. The entry documents the preset and changes
/// nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ignored {
    /// The patterns of event types, in which `*` stands for any characters.
    #[serde(rename = "type")]
    pub(super) kinds: Vec<String>,
    /// Why these events are ignored, in a sentence.
    pub(super) why: String,
}

/// One of `facts`: how one fact is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fact {
    /// The kind of fact.
    pub(super) fact: FactKind,
    /// The phase or state, or what a total is of, if it is always the same.
    pub(super) is: Option<String>,
    /// The place of the provider's word for the phase or state, if it is not always the same.
    pub(super) at: Option<String>,
    /// What the provider's words mean.
    #[serde(default)]
    pub(super) words: BTreeMap<String, String>,
    /// The place of the id of a capture, refund or dispute.
    pub(super) id: Option<String>,
    /// The place of the amount.
    pub(super) amount: Option<String>,
    /// The place of the amount's currency.
    pub(super) currency: Option<String>,
    /// Why the payment failed: one of the reasons, or the places of codes that `[failures]` lists.
    pub(super) failure: Option<Coded>,
    /// What the customer has to do next: one of the kinds of action, or the places of codes that `[actions]` lists.
    pub(super) action: Option<Coded>,
    /// The place that has to hold something; otherwise the fact is left out.
    #[serde(rename = "if")]
    pub(super) only_if: Option<String>,
}

/// A word, or the places of the provider's codes for it, the more exact one first.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Coded {
    /// The word itself.
    Is(String),
    /// The places of codes.
    At(Vec<String>),
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
