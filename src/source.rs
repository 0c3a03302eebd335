//! Source: what a webhook endpoint of one provider account *is*, as against what happens to a delivery.
//!
//! A source verifies deliveries by its secrets, reads what their payloads mean by its preset, and knows how its provider is asked for
//! a payment. It knows no store, no metrics and no limits, and stands below the store.
//!
//! | module | for |
//! |---|---|
//! | `payload` | from bytes to values, and where in a delivery a value stands |
//! | `mapping` | from values to the facts of an event |
//! | `verify`  | recipes and adapters, secrets, keys that are fetched, reasons to reject |
//! | `inquiry` | asking the provider for a payment: the request, and what its answer says |
//! | `preset`  | a provider in one file: loading, checking, compiling, the tables for people |
//! | `settings`, `error` | what a source is configured with, and what can be wrong with it |
//! | `sources` | the registry, by name |
//! | `throttle` | how many deliveries without a valid signature are looked at in a second |
//! | `providers/*.toml` | the presets that come with the program |

mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inquiry;
mod mapping;
mod payload;
mod preset;
mod settings;
mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod throttle;
mod verify;

pub use error::SourceError;
pub use inquiry::{AnswerError, Api, ApiError, ApiSettings, DEBOUNCE, PaymentAnswer};
pub(crate) use mapping::{Reading, Statement};
pub(crate) use payload::RequestParts;
pub use payload::{PointerError, Unclear};
pub(crate) use preset::ReplyRule;
pub use preset::{PresetError, ignored_table, preset_table, presets};
pub use settings::{Provider, SourceSettings};
pub use sources::Sources;
pub(crate) use throttle::Throttled;
pub use verify::SecretError;
pub(crate) use verify::{NoKey, Rejection, UnverifiedRequest};

use crate::{
    outbound::Outbound,
    payment::{Name, Subject, Time, Trust},
};
use http::HeaderMap;
use mapping::{Mapping, Terms};
use payload::{OptionValues, Place, Pointer, Reader, Sieve};
use preset::Preset;
use serde_json::Value;
use std::{fmt, net::IpAddr, sync::Arc, time::Instant};
use throttle::Throttle;
use verify::{Adapter, Certificates, KeyRing, Origin, PlaidKeys, RecipeVerifier, Scheme, Verifier};

/// A source that can verify, read and sign.
pub struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) provider: Arc<str>,
    pub(crate) realm: Name,
    pub(crate) shared_ids: bool,
    pub(crate) verifier: Verifier,
    /// Keys that are fetched, if the source has none of its own.
    pub(crate) keys: Option<KeyRing>,
    pub(crate) trust: Trust,
    /// Reads bodies.
    pub(crate) reader: Reader,
    pub(crate) options: OptionValues,
    pub(crate) reply_rule: ReplyRule,
    pub(crate) mapping: Mapping,
    pub(crate) terms: Terms,
    /// How the provider is asked for payments, if it is.
    pub(crate) api: Option<Api>,
    /// Limits how many deliveries without a valid signature are looked at.
    pub(crate) throttle: Throttle,
}

impl Source {
    /// Checks the settings and readies the source.
    pub fn build(settings: SourceSettings) -> Result<Self, SourceError> {
        let preset = match settings.provider {
            Provider::Builtin(name) => preset::built_in(&name).ok_or(SourceError::UnknownPreset { name })?,
            Provider::File(path) => preset::from_file(&path),
        };
        let preset = preset?;
        let options =
            preset.options(settings.options).map_err(|(name, why)| SourceError::Option { name, why })?;
        let Preset { name: provider, trust, scheme, body, each, reply: reply_rule, mapping, confirm, .. } =
            preset;
        let secret = |(index, why)| SourceError::Secret { index, why };
        if settings.max_age.is_some() && !scheme.signs_time() {
            return Err(SourceError::NoTime { provider });
        }
        let keys = if settings.secrets.is_empty() {
            let origin = origin(&scheme, &provider, settings.api.as_ref(), settings.live)?;
            let outbound = Outbound::new().map_err(|why| SourceError::NoOutbound { why: why.to_string() })?;
            Some(KeyRing::new(Arc::clone(&settings.name), origin, outbound))
        } else {
            None
        };
        if settings.currency.is_none() && mapping.needs_currency() {
            return Err(SourceError::NoCurrency { provider });
        }
        let asks_for_keys = matches!(scheme, Scheme::Adapter(Adapter::Plaid));
        let verifier = match scheme {
            Scheme::Recipe(recipe) => {
                let verifier =
                    RecipeVerifier::new(*recipe, &settings.secrets, settings.max_age).map_err(secret)?;
                Verifier::Recipe(Box::new(verifier))
            }
            Scheme::Adapter(adapter) => {
                Verifier::Adapter(adapter.ready(&settings.secrets, settings.max_age).map_err(secret)?)
            }
        };
        let payment = settings.payment.as_deref().map(pointers).transpose()?;
        let terms = Terms {
            payment,
            currency: settings.currency,
            live: settings.live,
            shared_ids: settings.shared_ids,
        };
        let api = match (&settings.api, confirm) {
            (None, _) => None,
            (Some(_), None) if asks_for_keys => None,
            (Some(_), None) => return Err(ApiError::NoConfirm(provider).into()),
            (Some(_), Some(_)) if terms.payment.is_some() => return Err(ApiError::OtherIds.into()),
            (Some(api), Some(inquiry)) => {
                let vouches_for_ids = mapping.has_own_ids() || terms.shared_ids;
                Some(inquiry.with(api, &terms, &options, vouches_for_ids)?)
            }
        };
        let reader = Reader { body, sieve: sieve(&verifier, each.as_ref(), &mapping, &terms), each };
        Ok(Self {
            name: settings.name,
            provider,
            realm: settings.realm,
            shared_ids: settings.shared_ids,
            verifier,
            keys,
            trust,
            reader,
            options,
            reply_rule,
            mapping,
            terms,
            api,
            throttle: Throttle::default(),
        })
    }

    /// Goes on with the keys that its forerunner fetched, if they come from the same place.
    fn inherit(&mut self, earlier: &Self) {
        if let (Some(keys), Some(earlier)) = (&mut self.keys, &earlier.keys) {
            keys.inherit(earlier);
        }
    }

    /// What there is beside the payload of a delivery.
    pub(crate) fn around<'a>(&'a self, headers: &'a HeaderMap, query: &'a str) -> RequestParts<'a> {
        RequestParts { headers, query, options: &self.options }
    }

    /// Verifies a request, then parses its body to a payload that nests at most `json_depth` levels deep.
    pub(crate) fn open(
        &self,
        request: UnverifiedRequest<'_>,
        json_depth: usize,
    ) -> Result<Result<Value, Unclear>, Rejection> {
        self.verifier.open(request, &self.reader, json_depth)
    }

    /// The key that a request of `peer` names, fetched if it is not at hand. `None` where the source has keys of its own.
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

    /// The events that a payload carries.
    pub(crate) fn events<'a>(&self, payload: &'a Value) -> Result<&'a [Value], Unclear> {
        self.reader.events(payload)
    }

    /// What an event says; `None` if it is not about a payment. What is known of it goes to `reading`, also where it is not
    /// understood.
    pub(crate) fn read(
        &self,
        around: RequestParts<'_>,
        event: &Value,
        reading: &mut Reading,
    ) -> Result<Option<Statement>, Unclear> {
        self.mapping.read(&self.terms, around, event, reading)
    }

    /// Whether one delivery more without a valid signature may be looked at now; if so, how many were not since the last one.
    pub(crate) fn admit_unproven(&self, per_second: u32, now: Instant) -> Result<u64, Throttled> {
        self.throttle.admit(per_second, now)
    }

    /// What a provider is told that asks a question by GET; nothing if it only looks whether someone is there.
    #[must_use]
    pub fn answer(&self, query: &str) -> Option<String> {
        match &self.verifier {
            Verifier::Adapter(adapter) => adapter.answer(self.around(&HeaderMap::new(), query)),
            Verifier::Recipe(_) => None,
        }
    }

    /// How its provider is asked, if it can be. With it, each event needs a confirmation.
    #[must_use]
    pub const fn api(&self) -> Option<&Api> {
        self.api.as_ref()
    }

    /// The log of one of its payments.
    #[must_use]
    pub fn subject(&self, payment: &Name) -> Subject {
        Subject::payment(self.realm.clone(), payment.clone())
    }

    /// How far its word may be taken.
    pub(crate) const fn trust(&self) -> Trust {
        self.trust
    }

    /// How its provider wants to be answered.
    pub(crate) const fn reply_rule(&self) -> &ReplyRule {
        &self.reply_rule
    }

    /// The headers that make a delivery of `body` pass, by the first secret: what the provider would send at `at`. None where
    /// the signature stands in the body.
    #[must_use]
    pub fn sign(&self, body: &[u8], at: Time, delivery_id: &str) -> Vec<(String, String)> {
        match &self.verifier {
            Verifier::Recipe(verifier) => verifier.sign(body, at, delivery_id, &self.options).headers,
            Verifier::Adapter(_) => Vec::new(),
        }
    }

    /// The name of its preset.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own name, to be kept.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The name of its preset, to be kept.
    pub(crate) fn shared_provider(&self) -> Arc<str> {
        Arc::clone(&self.provider)
    }

    /// Whether its payment ids are the shop's own.
    #[must_use]
    pub const fn shares_ids(&self) -> bool {
        self.shared_ids
    }

    /// Where its payments live.
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

/// Where the keys of a source without secrets come from.
fn origin(
    scheme: &Scheme,
    provider: &Arc<str>,
    api: Option<&ApiSettings>,
    live: Option<bool>,
) -> Result<Origin, SourceError> {
    match scheme {
        Scheme::Recipe(recipe) => {
            let rule = recipe.certificates.clone().ok_or(SourceError::NoSecret)?;
            Ok(Origin::Certificates(Certificates::new(rule, live)))
        }
        Scheme::Adapter(Adapter::Plaid) => {
            let keys = api.map(|api| PlaidKeys::new(api, live)).transpose()?.flatten();
            keys.map(Origin::Plaid).ok_or_else(|| SourceError::NoApi { provider: Arc::clone(provider) })
        }
        Scheme::Adapter(_) => Err(SourceError::NoSecret),
    }
}

/// All that is read of a payload: by the mapping, from each of its events if it carries several, and by the verifier.
fn sieve(verifier: &Verifier, each: Option<&Pointer>, mapping: &Mapping, terms: &Terms) -> Sieve {
    let time = match verifier {
        Verifier::Recipe(verifier) => verifier.payload_time(),
        Verifier::Adapter(_) => None,
    };
    let read = mapping.pointers(terms);
    match each {
        None => Sieve::new(read.into_iter().chain(time)),
        Some(list) => Sieve::new(time).and_each(list, Sieve::new(read)),
    }
}

fn pointers(texts: &[String]) -> Result<Vec<Place>, SourceError> {
    if texts.is_empty() {
        return Err(SourceError::NoPayment);
    }
    let parse = |(index, text): (usize, &String)| {
        let at = text.parse().map_err(|why| SourceError::Payment { index, text: text.clone(), why })?;
        Ok(Place::Payload(at))
    };
    texts.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests;
