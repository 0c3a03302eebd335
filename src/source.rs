//! Source: what a webhook endpoint of one provider account *is*. What happens to a delivery is another room's subject.
//!
//! A source verifies deliveries with its secrets, reads by its preset what their payloads mean, and knows how its provider is asked
//! for a payment. It knows no store, no metrics and no limits, and stands below the store.
//!
//! | module | for |
//! |---|---|
//! | `payload` | the way from bytes to values, and the places in a delivery where values are found |
//! | `mapping` | the way from values to the facts of an event |
//! | `verify`  | recipes and adapters, secrets, fetched keys, reasons to reject |
//! | `inquiry` | the request that asks the provider for a payment, and the meaning of the answer |
//! | `backfill` | the request for a provider's past events, and the events in the answer |
//! | `preset`  | a provider in one file: loading, checking and compiling it, and the tables for people |
//! | `build` | the way from settings to a source that works |
//! | `settings`, `error` | the configuration of a source, and what can be wrong with it |
//! | `sources` | the registry of sources, by name |
//! | `kept`    | what is kept of an event in quarantine, and whether it can be read again |
//! | `secret`  | a source's secrets: from when until when each is good, and when it was last of use |
//! | `diagnosis` | why a delivery was not verified, for operators |
//! | `alone` | single steps of a delivery's way, for benches |
//! | `examine` | what a delivery says, for those who do not append it |
//! | `throttle` | the rate limit for deliveries without a valid signature |
//! | `retries` | how the provider sends a webhook again, and when it stops |
//! | `failures` | since when deliveries fail by our own fault, which uses up the provider's patience |
//! | `providers/*.toml` | the built-in presets |

mod alone;
mod backfill;
mod build;
mod diagnosis;
mod error;
mod examine;
mod failures;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inquiry;
mod kept;
mod mapping;
mod payload;
mod preset;
mod retries;
mod secret;
mod settings;
mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod throttle;
mod verify;

pub(crate) use backfill::PastPage;
pub use backfill::{PageError, Past, PastCursor, PastCursorError};
pub(crate) use diagnosis::{Diagnosis, Examiner, Sample};
pub use error::SourceError;
pub(crate) use examine::{Examined, Fate, NotVerified, is_encoded};
pub use failures::{DeliveryEnd, Failing};
pub use inquiry::{AnswerError, Api, ApiError, ApiSettings, DEBOUNCE, PaymentAnswer};
pub use kept::NotReplayable;
pub(crate) use kept::{Kept, Original};
pub(crate) use mapping::{EventSummary, MappedEvent};
pub(crate) use payload::RequestParts;
pub use payload::{PointerError, Unclear};
pub(crate) use preset::ReplyRule;
pub use preset::{PresetError, Trial, ignored_table, preset_table, presets, trial};
pub use retries::Retries;
pub use secret::{SecretState, SourceSecret};
pub use settings::{Provider, SourceSettings};
pub use sources::Sources;
pub use throttle::Unverified;
pub(crate) use throttle::{Rates, Throttled};
pub use verify::{
    CannotSign, NoPrivateKey, PrivateKey, SecretError, SignedDelivery, Signer, UnsignedDelivery,
};
pub(crate) use verify::{NoKey, ProvenDelivery, Rejection, UnverifiedRequest};

use crate::payment::{Name, Subject, Time, Trust};
use failures::Failures;
use http::HeaderMap;
use mapping::{Mapping, Terms};
use payload::{OptionValues, Reader};
use serde_json::Value;
use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use throttle::Throttle;
use verify::{Check, KeyRing, Verifier};

/// A source: it verifies, reads and signs the deliveries of one provider account. Every delivery shares it; nothing in it changes
/// but the keys that it fetches, its rate limit and its failures.
pub struct Source {
    /// The name of the source.
    pub(crate) name: Arc<str>,
    /// The name of its preset.
    pub(crate) provider: Arc<str>,
    /// The names of the built-in presets that its preset extends, the nearest first.
    pub(crate) extends: Vec<String>,
    /// The realm of its payments.
    pub(crate) realm: Name,
    /// Whether its payment ids are the shop's own, so that several providers may report on one payment.
    pub(crate) shared_ids: bool,
    /// The verifier of its deliveries.
    pub(crate) verifier: Verifier,
    /// The keys that are fetched, if the source has no secrets of its own.
    pub(crate) keys: Option<KeyRing>,
    /// How far the provider's word is believed.
    pub(crate) trust: Trust,
    /// The reader of bodies.
    pub(crate) reader: Reader,
    /// The values of the preset's options.
    pub(crate) options: OptionValues,
    /// How the provider expects to be answered.
    pub(crate) reply_rule: ReplyRule,
    /// What its payloads mean.
    pub(crate) mapping: Mapping,
    /// What its settings say about how payloads are read.
    pub(crate) terms: Terms,
    /// How the provider is asked for payments, if it is.
    pub(crate) api: Option<Api>,
    /// How the provider is asked for its past events, if it is.
    pub(crate) past: Option<Past>,
    /// The rate limit for deliveries without a valid signature.
    pub(crate) throttle: Throttle,
    /// How its provider sends a webhook again.
    pub(crate) retries: Retries,
    /// Its deliveries that failed by our own fault. A source that replaces this one after a reload shares them.
    pub(crate) failures: Arc<Failures>,
    /// Finds out why a delivery was not verified.
    pub(crate) examiner: Arc<Examiner>,
    /// The examiners of all sources of the process, with whose secrets a delivery may have been signed by mistake.
    pub(crate) beside: Arc<[Arc<Examiner>]>,
}

impl Source {
    /// Takes over the failures of an earlier source of the same name, when its secrets were last of use, and the keys that it has fetched, if both fetch from the same place.
    fn inherit(&mut self, earlier: &Self) {
        self.failures = Arc::clone(&earlier.failures);
        self.verifier.inherit(&earlier.verifier);
        if let (Some(keys), Some(earlier)) = (&mut self.keys, &earlier.keys) {
            keys.inherit(earlier);
        }
    }

    /// Returns the parts of a delivery beside its body, together with the source's options.
    pub(crate) fn request_parts<'a>(&'a self, headers: &'a HeaderMap, query: &'a str) -> RequestParts<'a> {
        RequestParts { headers, query, options: &self.options }
    }

    /// Verifies a request, then parses its body to a payload that nests at most `json_depth` levels deep. The error says why the request
    /// is rejected.
    pub(crate) fn open(
        &self,
        request: UnverifiedRequest<'_>,
        json_depth: usize,
    ) -> Result<ProvenDelivery, Rejection> {
        if is_encoded(request.parts.headers) {
            return Err(Rejection::ContentEncoding);
        }
        self.verifier.open(request, &self.reader, json_depth)
    }

    /// Returns the key that a request of `peer` names, and fetches it if it is not held. Returns `None` if the source has secrets of
    /// its own.
    pub(crate) async fn fetched_key(
        &self,
        request: UnverifiedRequest<'_>,
        peer: Option<IpAddr>,
    ) -> Option<Result<Arc<verify::FetchedKey>, NoKey>> {
        match &self.keys {
            Some(keys) => Some(keys.key(request, peer).await),
            None => None,
        }
    }

    /// Returns the events that a payload carries. Fails if the payload lacks the list of events, or the list is too long.
    pub(crate) fn events<'a>(&self, payload: &'a Value) -> Result<&'a [Value], Unclear> {
        self.reader.events(payload)
    }

    /// Returns what an event of a delivery means, or `None` if it is not about a payment. Writes what is known about the event to `summary`, even if
    /// the event is not understood.
    pub(crate) fn read(
        &self,
        received_at: Time,
        parts: RequestParts<'_>,
        event: &Value,
        summary: &mut EventSummary,
    ) -> Result<Option<MappedEvent>, Unclear> {
        self.mapping.read(&self.terms, received_at, parts, event, summary)
    }

    /// Admits one more delivery without a valid signature from an address, and returns how many were refused since the last one that was
    /// admitted. Fails if this one exceeds a rate limit.
    pub(crate) fn admit_unproven(
        &self,
        from: Option<IpAddr>,
        rates: Rates,
        now: Instant,
    ) -> Result<u64, Throttled> {
        self.throttle.admit(from, rates, now)
    }

    /// Returns the peers that sent deliveries without a valid signature in the last quarter of an hour, those with the most first.
    #[must_use]
    pub fn unverified(&self, now: Instant) -> Vec<Unverified> {
        self.throttle.peers(now)
    }

    /// Notes how a delivery ended that says how well the gateway works.
    pub(crate) fn note_delivery(&self, end: DeliveryEnd, now: Time) {
        self.failures.note(end, now);
    }

    /// Returns the deliveries that fail by our own fault, if any do now.
    #[must_use]
    pub fn failing(&self, now: Time) -> Option<Failing> {
        self.failures.failing(now)
    }

    /// Returns the deliveries that fail once half of the time is over for which the provider retries; once for each time of failures.
    pub(crate) fn half_used(&self, now: Time) -> Option<Failing> {
        self.failures.half_used(&self.retries, now)
    }

    /// Returns how the provider sends a webhook again.
    #[must_use]
    pub const fn retries(&self) -> &Retries {
        &self.retries
    }

    /// Returns the answer to a provider's challenge, which comes by GET at a time, or `None` if the provider only checks that the
    /// endpoint exists.
    #[must_use]
    pub fn answer(&self, query: &str, now: Time) -> Option<String> {
        match self.verifier.check_at(now)? {
            Check::Adapter(adapter) => adapter.answer(self.request_parts(&HeaderMap::new(), query)),
            Check::Recipe(_) => None,
        }
    }

    /// Returns what operators are told of each of its secrets.
    pub fn secrets(&self) -> impl Iterator<Item = SecretState> {
        self.verifier.secrets()
    }

    /// Returns how the provider is asked for payments, if it can be asked.
    #[must_use]
    pub const fn api(&self) -> Option<&Api> {
        self.api.as_ref()
    }

    /// Returns whether each event needs a confirmation: the provider can be asked, and not only on demand.
    #[must_use]
    pub fn confirms_events(&self) -> bool {
        self.api.as_ref().is_some_and(|api| !api.is_on_demand())
    }

    /// Returns whether an answer of the provider has no time because the webhooks, which say as much, have none: with one, it would count
    /// before every later webhook of the same stage.
    pub(crate) fn leaves_answers_untimed(&self) -> bool {
        self.mapping.occurred_at.is_none() && self.api.as_ref().is_some_and(Api::is_on_demand)
    }

    /// Returns how the provider is asked for its past events, if it can be asked.
    #[must_use]
    pub const fn past(&self) -> Option<&Past> {
        self.past.as_ref()
    }

    /// Parses a body that nests at most `json_depth` levels deep, and for which something else vouches than a signature.
    pub(crate) fn parse(&self, body: &[u8], json_depth: usize) -> Result<Value, Unclear> {
        self.reader.parse(body, json_depth)
    }

    /// Returns the payload of a delivery that carries an event alone.
    pub(crate) fn as_delivery(&self, event: &Value) -> Value {
        let Some(each) = &self.reader.each else { return event.clone() };
        let mut payload = Value::Array(vec![event.clone()]);
        for name in each.tokens().iter().rev() {
            payload = Value::Object([(name.to_string(), payload)].into_iter().collect());
        }
        payload
    }

    /// Returns the log of one of the source's payments.
    #[must_use]
    pub fn subject(&self, payment: &Name) -> Subject {
        Subject::payment(self.realm.clone(), payment.clone())
    }

    /// Returns the log of a part of one of the source's payments. `None` if it could not be named.
    pub(crate) fn part(&self, part: &Name, live: bool) -> Option<Subject> {
        Subject::part(&self.realm, &self.provider, live, part.clone())
    }

    /// Returns the name of the queue of those parts for which events wait.
    #[must_use]
    pub fn queue_of_parts(&self, live: bool) -> Option<Name> {
        // All parts of a realm, a provider and a mode have one realm, so any name does.
        self.part(&self.realm, live).map(|part| part.realm)
    }

    /// Returns how far the provider's word is believed.
    pub(crate) const fn trust(&self) -> Trust {
        self.trust
    }

    /// Returns how the provider expects to be answered.
    pub(crate) const fn reply_rule(&self) -> &ReplyRule {
        &self.reply_rule
    }

    /// Signs a delivery as the provider would, for the first of the source's secrets that is good then: headers, query and body as the provider sends
    /// them. Fails if only the provider's private key can sign, and the signer has none.
    pub fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
    ) -> Result<SignedDelivery, CannotSign> {
        self.verifier.sign(delivery, signer, &self.options)
    }

    /// Returns how old the signed time of a delivery may be. `None` if the provider signs no time, or its age is not limited.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.verifier.max_age()
    }

    /// Returns the names of the built-in presets that the source's preset extends, the nearest first.
    #[must_use]
    pub fn extends(&self) -> &[String] {
        &self.extends
    }

    /// Returns what finds out why a delivery was not verified, and that of every source.
    pub(crate) fn examiners(&self) -> (Arc<Examiner>, Arc<[Arc<Examiner>]>) {
        (Arc::clone(&self.examiner), Arc::clone(&self.beside))
    }

    /// Returns the name of the source's preset.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the source, for the caller to keep.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Returns the name of the source's preset, for the caller to keep.
    pub(crate) fn shared_provider(&self) -> Arc<str> {
        Arc::clone(&self.provider)
    }

    /// Returns whether the payment ids are the shop's own.
    #[must_use]
    pub const fn shares_ids(&self) -> bool {
        self.shared_ids
    }

    /// Returns the realm of the source's payments.
    #[must_use]
    pub const fn realm(&self) -> &Name {
        &self.realm
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
