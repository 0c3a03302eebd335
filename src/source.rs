//! A source: one webhook endpoint of one provider account and mode, with its secrets.

use super::{
    adapter::Adapter,
    api::{ApiError, ApiSettings},
    confirm::Api,
    gate::Gate,
    keys::{Certificates, KeyRing, Origin, PlaidKeys},
    place::{Options, Place},
    preset::{
        self, Preset, PresetError, Scheme,
        mapping::{Mapping, Terms},
        pointer::{Pointer, PointerError},
        raw::{BodyForm, Reply},
    },
    sieve::Sieve,
    signature::{SecretError, Verifier},
    throttle::Throttle,
};
use crate::{
    outbound::Outbound,
    payment::{Currency, Name, Time, Trust},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

/// What a source is configured with.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The last part of `POST /webhooks/{name}`.
    pub name: Arc<str>,
    /// How its provider signs and what its payloads mean.
    pub provider: Provider,
    /// Where its payments live.
    pub realm: Name,
    /// Its signing secrets; several while one is being rotated. None where the provider publishes its keys, to be fetched.
    pub secrets: Vec<SecretString>,
    /// JSON pointers to the payment's id, tried in order, in place of all of the preset's.
    pub payment: Option<Vec<String>>,
    /// Of amounts that come without one.
    pub currency: Option<Currency>,
    /// The payment ids are the shop's own, so several providers may speak of one payment.
    pub shared_ids: bool,
    /// Whether it is for real money. Events of the other mode are quarantined.
    pub live: Option<bool>,
    /// The longest that the signed time may lie behind our clock, in place of the preset's, which may have none.
    pub max_age: Option<Duration>,
    /// What the preset asks of its sources.
    pub options: BTreeMap<String, String>,
    /// What it needs to ask the provider, for payments or for keys. Without it nobody is asked.
    pub api: Option<ApiSettings>,
}

impl SourceSettings {
    /// A source of a built-in preset, with one secret and nothing of its own.
    #[must_use]
    pub fn new(name: &str, preset: &str, realm: Name, secret: SecretString) -> Self {
        Self {
            name: name.into(),
            provider: Provider::Builtin(preset.to_owned()),
            realm,
            secrets: vec![secret],
            payment: None,
            currency: None,
            shared_ids: false,
            live: None,
            max_age: None,
            options: BTreeMap::new(),
            api: None,
        }
    }
}

/// Which preset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Provider {
    /// One of [`presets`](super::presets).
    Builtin(String),
    /// A file of the user's own.
    File(PathBuf),
}

/// A source that can verify, read and sign.
pub struct Source {
    pub(super) name: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) realm: Name,
    pub(super) shared_ids: bool,
    pub(super) gate: Gate,
    /// Keys that are fetched, if the source has none of its own.
    pub(super) keys: Option<KeyRing>,
    pub(super) trust: Trust,
    pub(super) body: BodyForm,
    /// What is kept of a JSON body.
    pub(super) sieve: Sieve,
    /// Where the events of a delivery stand, if it carries several.
    pub(super) each: Option<Pointer>,
    pub(super) options: Options,
    pub(super) manners: Reply,
    pub(super) mapping: Mapping,
    pub(super) terms: Terms,
    /// How the provider is asked for payments. With it, each event owes a confirmation.
    pub(super) api: Option<Api>,
    /// Of deliveries whose signature failed.
    pub(super) throttle: Throttle,
}

/// A mistake in a source's settings: the key, what is wrong, what to do. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No preset of that name.
    #[error("provider: there is no preset `{name}`; allowed: {}, or the path of a preset file", known())]
    UnknownPreset {
        /// The name.
        name: String,
    },
    /// The preset can't be used.
    #[error("provider: {0}")]
    Preset(#[from] PresetError),
    /// A source without a secret would believe everyone.
    #[error(
        "secrets: none is given; add the signing secret that the provider shows, e.g. `env:NAME` or `file:PATH`"
    )]
    NoSecret,
    /// The provider publishes its keys, but only to its clients.
    #[error(
        "secrets: none is given; add the keys that `{provider}` publishes, or [source.api] with `client_id` and `key`, and they \
         are fetched"
    )]
    NoApi {
        /// The provider.
        provider: Arc<str>,
    },
    /// The machine can't ask for them.
    #[error("secrets: none is given, and keys can't be fetched: {why}; mend that, or add them")]
    NoOutbound {
        /// What is missing.
        why: String,
    },
    /// One of the secrets is none.
    #[error("secrets[{index}]: {why}; use the signing secret that the provider shows")]
    Secret {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        why: SecretError,
    },
    /// One of the payment's pointers can't be used.
    #[error("payment[{index}]: `{text}`: {why}")]
    Payment {
        /// Which, from 0.
        index: usize,
        /// The pointer.
        text: String,
        /// What is wrong with it.
        why: PointerError,
    },
    /// An empty list would leave every event without a payment.
    #[error("payment: no pointer is given; leave the key out to use the preset's")]
    NoPayment,
    /// One of the options is not as the preset has it.
    #[error("options.{name}: {why}")]
    Option {
        /// Which.
        name: String,
        /// What is wrong with it, and what is allowed.
        why: String,
    },
    /// The provider names no currency, and captured money without one is not believed.
    #[error("currency: `{provider}` names none in its payloads; add the account's, e.g. currency = \"USD\"")]
    NoCurrency {
        /// The provider.
        provider: Arc<str>,
    },
    /// The provider cannot be asked.
    #[error("api: {0}")]
    Api(#[from] ApiError),
    /// The provider signs no time.
    #[error("max_age: `{provider}` signs no time, so there is no age to limit; leave the key out")]
    NoTime {
        /// The provider.
        provider: Arc<str>,
    },
}

fn known() -> String {
    preset::presets().collect::<Vec<_>>().join(", ")
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
        let Preset { name: provider, trust, scheme, body, each, reply: manners, mapping, confirm, .. } =
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
        let asks_for_keys = matches!(scheme, Scheme::Coded(Adapter::Plaid));
        let gate = match scheme {
            Scheme::Recipe(recipe) => {
                let verifier = Verifier::new(*recipe, &settings.secrets, settings.max_age).map_err(secret)?;
                Gate::Recipe(Box::new(verifier))
            }
            Scheme::Coded(adapter) => {
                Gate::Coded(adapter.ready(&settings.secrets, settings.max_age).map_err(secret)?)
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
            (Some(api), Some(inquiry)) => Some(inquiry.with(api, &terms)?),
        };
        let sieve = sieve(&gate, each.as_ref(), &mapping, &terms);
        Ok(Self {
            name: settings.name,
            provider,
            realm: settings.realm,
            shared_ids: settings.shared_ids,
            gate,
            keys,
            trust,
            body,
            sieve,
            each,
            options,
            manners,
            mapping,
            terms,
            api,
            throttle: Throttle::default(),
        })
    }

    /// Goes on with the keys that its forerunner fetched, if they come from the same place.
    pub(super) fn inherit(&mut self, earlier: &Self) {
        if let (Some(keys), Some(earlier)) = (&mut self.keys, &earlier.keys) {
            keys.inherit(earlier);
        }
    }

    /// The headers that make a delivery of `body` pass, by the first secret: what the provider would send at `at`. None where
    /// the signature stands in the body.
    #[must_use]
    pub fn sign(&self, body: &[u8], at: Time, delivery_id: &str) -> Vec<(String, String)> {
        match &self.gate {
            Gate::Recipe(verifier) => verifier.sign(body, at, delivery_id, &self.options).headers,
            Gate::Coded(_) => Vec::new(),
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
        Scheme::Coded(Adapter::Plaid) => {
            let keys = api.map(|api| PlaidKeys::new(api, live)).transpose()?.flatten();
            keys.map(Origin::Plaid).ok_or_else(|| SourceError::NoApi { provider: Arc::clone(provider) })
        }
        Scheme::Coded(_) => Err(SourceError::NoSecret),
    }
}

/// All that is read of a payload: by the mapping, from each of its events if it carries several, and by the verifier.
fn sieve(gate: &Gate, each: Option<&Pointer>, mapping: &Mapping, terms: &Terms) -> Sieve {
    let time = match gate {
        Gate::Recipe(verifier) => verifier.payload_time(),
        Gate::Coded(_) => None,
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
