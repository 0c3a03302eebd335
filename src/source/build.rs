//! The way from the settings of a source to the source: checks that its preset, secrets, options and API access fit together.

use super::{
    Source, SourceError, SourceSettings,
    diagnosis::Examiner,
    failures::Failures,
    inquiry::{ApiError, ApiSettings},
    mapping::{Mapping, Terms},
    payload::{Place, Pointer, Reader, Sieve},
    preset::{self, Preset},
    settings::Provider,
    throttle::Throttle,
    verify::{Adapter, Certificates, KeyRing, Origin, PlaidKeys, Scheme, TimeLimits, Verifier},
};
use crate::{
    outbound::Outbound,
    payment::{MAX_LABELS, Trust},
};
use std::sync::Arc;

impl Source {
    /// Builds a source from its settings. Reads the preset file if the settings name one. Fails with the first mistake in the settings
    /// or in the preset.
    pub fn build(settings: SourceSettings) -> Result<Self, SourceError> {
        let preset = preset(&settings.provider)?;
        let options = preset.options(settings.options.clone());
        let options = options.map_err(|(name, why)| SourceError::Option { name, why })?;
        let Preset {
            name: provider,
            extends,
            trust,
            scheme,
            body,
            each,
            reply: reply_rule,
            retries,
            mapping,
            confirm,
            backfill,
            ..
        } = preset;
        if settings.max_age.is_some() && !scheme.signs_time() {
            return Err(SourceError::NoTime { provider });
        }
        let keys = key_ring(&settings, &scheme, &provider)?;
        if settings.currency.is_none() && mapping.needs_currency() {
            return Err(SourceError::NoCurrency { provider });
        }
        let asks_for_keys = matches!(scheme, Scheme::Adapter(Adapter::Plaid));
        let verifier = verifier(&scheme, &settings)?;
        let examiner = Examiner::new(Arc::clone(&provider), scheme, &settings, &options);
        let payment = settings.payment.as_deref().map(pointers).transpose()?;
        let labels = labels(&settings.labels)?;
        if !labels.is_empty() && trust == Trust::Hint && settings.api.is_none() {
            return Err(SourceError::LabelsOfHints { provider });
        }
        let terms = Terms {
            payment,
            labels,
            currency: settings.currency,
            live: settings.live,
            shared_ids: settings.shared_ids,
            max_future: settings.max_future,
        };
        let api = match (&settings.api, confirm) {
            (None, _) => None,
            (Some(_), None) if asks_for_keys || backfill.is_some() => None,
            (Some(_), None) => return Err(ApiError::NoConfirm(provider).into()),
            // The provider does not know the ids of the source, but lists its events all the same.
            (Some(_), Some(_)) if terms.payment.is_some() && backfill.is_some() => None,
            (Some(_), Some(_)) if terms.payment.is_some() => return Err(ApiError::OtherIds.into()),
            (Some(api), Some(inquiry)) => {
                let vouches_for_ids = mapping.has_own_ids() || terms.shared_ids;
                Some(inquiry.with(&provider, api, &terms, &options, vouches_for_ids)?)
            }
        };
        let past = settings.api.as_ref().zip(backfill).map(|(api, listing)| listing.with(api)).transpose()?;
        let reader = Reader { body, sieve: sieve(&verifier, each.as_ref(), &mapping, &terms), each };
        Ok(Self {
            name: settings.name,
            provider,
            extends,
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
            past,
            throttle: Throttle::default(),
            retries,
            failures: Arc::new(Failures::default()),
            examiner: Arc::new(examiner),
            beside: Arc::default(),
        })
    }
}

/// Loads the preset of a source.
fn preset(provider: &Provider) -> Result<Preset, SourceError> {
    match provider {
        Provider::Builtin(name) => match preset::built_in(name) {
            Some(preset) => Ok(preset?),
            None => Err(SourceError::UnknownPreset { name: name.clone() }),
        },
        Provider::File(path) => Ok(preset::from_file(path)?),
    }
}

/// Checks the secrets of a source and builds its verifier.
fn verifier(scheme: &Scheme, settings: &SourceSettings) -> Result<Verifier, SourceError> {
    let limits = TimeLimits { max_age: settings.max_age, max_future: settings.max_future };
    Verifier::new(scheme, &settings.secrets, limits)
        .map_err(|(index, why)| SourceError::Secret { index, why })
}

/// Builds the key ring of a source without secrets. Returns `None` for a source that has secrets.
fn key_ring(
    settings: &SourceSettings,
    scheme: &Scheme,
    provider: &Arc<str>,
) -> Result<Option<KeyRing>, SourceError> {
    if !settings.secrets.is_empty() {
        return Ok(None);
    }
    let origin = origin(scheme, provider, settings.api.as_ref(), settings.live)?;
    let outbound = Outbound::new().map_err(|why| SourceError::NoOutbound { why: why.to_string() })?;
    Ok(Some(KeyRing::new(Arc::clone(&settings.name), origin, outbound)))
}

/// Returns where the keys of a source without secrets come from. Fails if the source needs secrets, or access to an API.
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

/// Returns the parts of a payload that are kept: those that the mapping reads, from each event if there are several, and those that
/// the verifier reads.
fn sieve(verifier: &Verifier, each: Option<&Pointer>, mapping: &Mapping, terms: &Terms) -> Sieve {
    let time = verifier.payload_time();
    let read = mapping.pointers(terms);
    match each {
        None => Sieve::new(read.into_iter().chain(time)),
        Some(list) => Sieve::new(time).and_each(list, Sieve::new(read)),
    }
}

/// Parses the pointers to the payment's other ids that the settings give.
fn labels(texts: &[String]) -> Result<Vec<Place>, SourceError> {
    if texts.len() > MAX_LABELS {
        return Err(SourceError::TooManyLabels { count: texts.len() });
    }
    let parse = |(index, text): (usize, &String)| {
        let at = text.parse().map_err(|why| SourceError::Label { index, text: text.clone(), why })?;
        Ok(Place::Payload(at))
    };
    texts.iter().enumerate().map(parse).collect()
}

/// Parses the pointers to the payment's id that the settings give.
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
