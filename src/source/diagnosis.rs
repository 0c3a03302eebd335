//! Diagnosis: why was a delivery not verified? For operators only, and never a way to be verified.
//!
//! A delivery that was rejected is verified again as if one known mistake had not been made: with the secret written otherwise, with the
//! secret of another source, with the body as it was before something on the way wrote it again. A cause that verifies is certain, because
//! nobody but its owner can sign with the secret; so a body that was really changed has no cause. What can only be seen, such as a header
//! that is missing, is told as a guess.
//!
//! What is found goes to the delivery's record and to the log. The sender learns nothing: it has its answer before, whatever is found.

mod body;
mod cause;
mod json;
mod key;
mod sample;
mod scheme;
#[cfg(test)]
mod tests;

pub(crate) use cause::Diagnosis;
pub(crate) use sample::Sample;

use super::{
    SourceSettings,
    payload::{OptionValues, RequestParts},
    secret::SourceSecret,
    verify::{Check, Rejection, Scheme, TimeLimits, UnverifiedRequest},
};
use cause::{guess, sure};
use secrecy::SecretString;
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The longest body that is examined, in bytes. An examination computes some hundred MACs over it.
pub(crate) const MAX_EXAMINED: usize = 64 * 1024;

/// The least time between two examinations for one source.
const BETWEEN: Duration = Duration::from_secs(1);

/// The most other sources whose secrets are tried.
const MAX_OTHERS: usize = 64;

/// Examines the rejected deliveries of one source.
pub(crate) struct Examiner {
    /// The name of the source.
    name: Arc<str>,
    /// The name of its preset.
    provider: Arc<str>,
    /// Whether the source is for real money, if it says so.
    live: Option<bool>,
    scheme: Scheme,
    secrets: Vec<SourceSecret>,
    limits: TimeLimits,
    options: OptionValues,
    /// When the last examination began.
    last: Mutex<Option<Instant>>,
}

/// One trial: a delivery as it would be without a certain mistake.
struct Trial<'a> {
    scheme: &'a Scheme,
    secrets: Cow<'a, [SecretString]>,
    options: &'a OptionValues,
    body: &'a [u8],
}

impl Examiner {
    /// Prepares the examinations for the source with these settings.
    pub(super) fn new(
        provider: Arc<str>,
        scheme: Scheme,
        settings: &SourceSettings,
        options: &OptionValues,
    ) -> Self {
        Self {
            name: Arc::clone(&settings.name),
            provider,
            live: settings.live,
            scheme,
            secrets: settings.secrets.clone(),
            limits: TimeLimits { max_age: settings.max_age, max_future: settings.max_future },
            options: options.clone(),
            last: Mutex::new(None),
        }
    }

    /// Returns whether a delivery with a body of that many bytes may be examined now: one in a second, of a bounded length.
    pub(crate) fn is_due(&self, bytes: usize, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due =
            bytes <= MAX_EXAMINED && last.is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// Finds out why a delivery was rejected. `beside` are the examiners of all sources. Returns `None` if no known mistake explains it: then
    /// the secret is another one, or the delivery was changed on its way. It computes for milliseconds, so it is not called on the way of a
    /// delivery.
    pub(crate) fn examine(
        &self,
        sample: &Sample,
        rejection: Rejection,
        beside: &[Arc<Self>],
    ) -> Option<Diagnosis> {
        match rejection {
            Rejection::ContentEncoding => return Some(body::coded(sample)),
            Rejection::KeyAddress => return None,
            Rejection::StaleTimestamp
            | Rejection::FutureTimestamp
            | Rejection::MissingTimestamp
            | Rejection::MalformedTimestamp => return Some(self.time(sample, rejection)),
            Rejection::UntrustedKey if self.secrets.is_empty() => return None,
            _ => {}
        }
        self.by_secret(sample)
            .or_else(|| self.by_scheme(sample))
            .or_else(|| self.by_others(sample, beside))
            .or_else(|| self.by_body(sample))
            .or_else(|| self.by_address(sample))
            .or_else(|| self.by_preset(sample))
            .or_else(|| self.by_sight(sample))
    }

    /// The secrets as texts.
    fn texts(&self) -> Vec<SecretString> {
        self.secrets.iter().map(|secret| secret.text.clone()).collect()
    }

    /// The source as it is, in which a trial changes one thing.
    fn as_it_is<'a>(&'a self, sample: &'a Sample) -> Trial<'a> {
        Trial {
            scheme: &self.scheme,
            secrets: self.texts().into(),
            options: &self.options,
            body: &sample.body,
        }
    }

    /// Returns whether the delivery would be verified. A signed time may be wrong, since it was signed.
    fn verifies(&self, sample: &Sample, trial: &Trial<'_>) -> bool {
        let Ok(check) = Check::new(trial.scheme, &trial.secrets, self.limits) else { return false };
        let parts = RequestParts { headers: &sample.headers, query: &sample.query, options: trial.options };
        let request =
            UnverifiedRequest { parts, body: trial.body, received_at: sample.received_at, key: None };
        match check.verify(request) {
            Ok(()) => true,
            Err(why) => !why.is_unproven(),
        }
    }

    /// A time that is wrong under a right signature.
    fn time(&self, sample: &Sample, rejection: Rejection) -> Diagnosis {
        if let Some(unit) = scheme::time_forms(&self.scheme).find_map(|(scheme, unit)| {
            let check = Check::new(&scheme, &self.texts(), self.limits).ok()?;
            let parts =
                RequestParts { headers: &sample.headers, query: &sample.query, options: &self.options };
            let request =
                UnverifiedRequest { parts, body: &sample.body, received_at: sample.received_at, key: None };
            check.verify(request).is_ok().then_some(unit)
        }) {
            return sure(
                "time_unit",
                format!(
                    "The signature is right, but its time is written as {unit}, and the preset {} expects another form. Have the \
                     sender write it as the preset says, or change `time` in a preset of your own.",
                    self.provider
                ),
            );
        }
        match rejection {
            Rejection::StaleTimestamp => sure(
                "clock_or_delay",
                "The signature is right, but it was made too long before the delivery came. Compare the clocks of this machine and of \
                 the sender; if both are right, the delivery was held up on its way or was recorded and sent again. `max_age` of the \
                 source says how old it may be."
                    .to_owned(),
            ),
            Rejection::FutureTimestamp => sure(
                "clock",
                "The signature is right, but its time lies ahead of this machine's clock. Have both clocks set by NTP."
                    .to_owned(),
            ),
            _ => sure(
                "time_form",
                format!(
                    "The signature is right, but its time is missing or not written as the preset {} expects. Have the sender write \
                     it as the preset says, or change `time` in a preset of your own.",
                    self.provider
                ),
            ),
        }
    }

    /// Secrets that are right but not good now, or not written as they should be.
    fn by_secret(&self, sample: &Sample) -> Option<Diagnosis> {
        for secret in self.secrets.iter().filter(|secret| !secret.is_good_at(sample.received_at)) {
            let trial = Trial { secrets: vec![secret.text.clone()].into(), ..self.as_it_is(sample) };
            if self.verifies(sample, &trial) {
                let name = &secret.name;
                return Some(sure(
                    "secret_out_of_time",
                    format!(
                        "The delivery is signed with the secret {name}, which is not good at that time by its `not_before` and \
                         `not_after`. Have the provider sign with a secret that is, or change these times."
                    ),
                ));
            }
        }
        for mistake in key::WRITINGS {
            let mut written = self.secrets.iter().flat_map(|secret| mistake.right(&secret.text));
            let fits = |secret| {
                self.verifies(sample, &Trial { secrets: vec![secret].into(), ..self.as_it_is(sample) })
            };
            if written.any(fits) {
                return Some(sure(mistake.cause, mistake.change.to_owned()));
            }
        }
        None
    }

    /// Another way to use the secret: another form of the key, another algorithm, another way to write the signature.
    fn by_scheme(&self, sample: &Sample) -> Option<Diagnosis> {
        let secrets = self.texts();
        scheme::variants(&self.scheme, &secrets).find_map(|variant| {
            let secrets = variant.secrets.as_deref().unwrap_or(&secrets);
            let trial = Trial { scheme: &variant.scheme, secrets: secrets.into(), ..self.as_it_is(sample) };
            self.verifies(sample, &trial).then(|| sure(variant.cause, variant.change))
        })
    }

    /// The secret of another source.
    fn by_others(&self, sample: &Sample, beside: &[Arc<Self>]) -> Option<Diagnosis> {
        let others = beside.iter().filter(|other| other.name != self.name && !other.secrets.is_empty());
        others.take(MAX_OTHERS).find_map(|other| {
            // By the scheme of its source, or by ours: the secret may have been copied from the wrong endpoint.
            let with_ours = Trial { secrets: other.texts().into(), ..self.as_it_is(sample) };
            if !other.verifies(sample, &other.as_it_is(sample)) && !self.verifies(sample, &with_ours) {
                return None;
            }
            let mode = match other.live {
                Some(true) => ", which is for real money",
                Some(false) => ", which is for tests",
                None => "",
            };
            let (ours, theirs) = (&self.name, &other.name);
            Some(sure(
                "secret_of_other_source",
                format!(
                    "The delivery is signed with a secret of the source {theirs}{mode}. Have the provider send it to \
                     /webhooks/{theirs}, or give {ours} the secret of the endpoint that sends to /webhooks/{ours}."
                ),
            ))
        })
    }

    /// A body that something on the way wrote again.
    fn by_body(&self, sample: &Sample) -> Option<Diagnosis> {
        body::originals(&sample.body).find_map(|original| {
            let trial = Trial { body: &original.body, ..self.as_it_is(sample) };
            self.verifies(sample, &trial).then(|| sure(original.cause, original.change))
        })
    }

    /// Another address than the one that the source states, where the address is signed.
    fn by_address(&self, sample: &Sample) -> Option<Diagnosis> {
        for (name, value) in &self.options {
            if !self.scheme.signs(&super::verify::Piece::Option(name.clone())) {
                continue;
            }
            for address in scheme::addresses(value, sample) {
                let mut options = self.options.clone();
                options.insert(name.clone(), address.clone());
                if self.verifies(sample, &Trial { options: &options, ..self.as_it_is(sample) }) {
                    return Some(sure(
                        "other_url",
                        format!(
                            "The provider signed the address {address:?}, and the source states {value:?}. Set `{name}` in the \
                             source's options to the first one."
                        ),
                    ));
                }
            }
        }
        None
    }

    /// The same secret with the scheme of another preset.
    fn by_preset(&self, sample: &Sample) -> Option<Diagnosis> {
        let bears = |scheme: &Scheme| scheme::is_borne(scheme, sample);
        let others =
            scheme::built_in().iter().filter(|(name, scheme)| **name != *self.provider && bears(scheme));
        others.into_iter().find_map(|(name, scheme)| {
            let trial = Trial { scheme, ..self.as_it_is(sample) };
            self.verifies(sample, &trial).then(|| {
                sure(
                    "other_preset",
                    format!(
                        "The delivery is signed as {name} signs, with a secret of this source. Set `provider = {name:?}`."
                    ),
                )
            })
        })
    }

    /// What can be seen of a delivery that no trial explains.
    fn by_sight(&self, sample: &Sample) -> Option<Diagnosis> {
        if let Some(diagnosis) = body::seen(sample) {
            return Some(diagnosis);
        }
        if let Scheme::Recipe(recipe) = &self.scheme {
            let (named, known) = key::ids(recipe, &self.texts(), sample, &self.options);
            if !named.is_empty() && !known.is_empty() && !named.iter().any(|id| known.contains(id)) {
                return Some(guess(
                    "other_key_id",
                    "The signature names a key for which the source has no secret. Secrets are written KEY-ID:SECRET; compare the id \
                     with what the provider shows."
                        .to_owned(),
                ));
            }
        }
        if scheme::is_borne(&self.scheme, sample) {
            return None;
        }
        let signers = scheme::signers(sample);
        let carrier = scheme::carrier(&self.scheme);
        Some(match signers.first() {
            Some((name, header)) => guess(
                "other_preset",
                format!(
                    "The request has no {carrier}, but it has {header}, by which {name} signs. If this is that provider, set \
                     `provider = {name:?}`; otherwise have it send to the address of its own source."
                ),
            ),
            None => guess(
                "no_signature",
                format!(
                    "The request has no {carrier}. It does not come from the provider, or a proxy in between removes it, or signing is \
                     not turned on at the provider."
                ),
            ),
        })
    }
}
