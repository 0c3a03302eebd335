//! Verification: does a delivery come from the provider, and is it recent?
//!
//! Everything here is pure except `keys`, which fetches the keys that a provider publishes. The caller passes a fetched key in;
//! without it, the answer is that a key is missing. Computed signatures never leave this room, but for deliveries that are signed to try a source out. It does not
//! know what becomes of a delivery.

mod adapter;
mod keys;
mod rejection;
mod request;
mod scheme;
mod signature;
mod window;

pub(crate) use adapter::{Adapter, AdapterVerifier};
pub(crate) use keys::{Certificates, KeyRing, Origin, PlaidKeys};
pub(crate) use keys::{FetchedKey, NoKey};
pub(crate) use rejection::Rejection;
pub(crate) use request::UnverifiedRequest;
pub(crate) use scheme::Scheme;
pub(crate) use signature::{
    Algorithm, Carrier, CertificateRule, Encoding, Gap, Item, ItemToken, KeyForm, Method, Part, Piece,
    Published, Recipe, RecipeVerifier, TimeFrom, TimeRule,
};
pub use signature::{
    CannotSign, NoPrivateKey, PrivateKey, SecretError, SignedDelivery, Signer, UnsignedDelivery,
};
pub(crate) use window::TimeLimits;

use super::{
    payload::{OptionValues, Pointer, Reader, Unclear},
    secret::{LastUse, SecretState, SourceSecret},
};
use crate::payment::Time;
use secrecy::SecretString;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The verifier of a source's deliveries: one check for each of its secrets, in the order of its settings.
pub(crate) struct Verifier {
    checks: Vec<SecretCheck>,
}

/// The check by one secret of a source, or by keys that are fetched.
struct SecretCheck {
    /// The secret. `None` if the keys are fetched.
    secret: Option<SourceSecret>,
    /// When the secret last verified a delivery.
    last_use: Arc<LastUse>,
    check: Check,
}

/// How deliveries are verified with certain secrets.
pub(crate) enum Check {
    /// A recipe with secrets.
    Recipe(Box<RecipeVerifier>),
    /// An adapter with secrets.
    Adapter(Box<dyn AdapterVerifier>),
}

/// A delivery that was verified.
#[derive(Debug)]
pub(crate) struct ProvenDelivery {
    /// The payload, or why the verified body cannot be read.
    pub(crate) payload: Result<Value, Unclear>,
    /// The name of the secret that verified it. `None` if a fetched key did.
    pub(crate) secret: Option<Arc<str>>,
}

impl Verifier {
    /// Checks the secrets and builds the verifier. An error gives the index of the secret that it is about.
    pub(crate) fn new(
        scheme: &Scheme,
        secrets: &[SourceSecret],
        limits: TimeLimits,
    ) -> Result<Self, (usize, SecretError)> {
        let check = |secret: Option<&SourceSecret>, index| {
            let texts: Vec<SecretString> = secret.iter().map(|secret| secret.text.clone()).collect();
            let check = Check::new(scheme, &texts, limits).map_err(|(_, why)| (index, why))?;
            Ok(SecretCheck { secret: secret.cloned(), last_use: Arc::default(), check })
        };
        let checks = match secrets {
            [] => vec![check(None, 0)?],
            _ => {
                let indexed = secrets.iter().enumerate();
                indexed.map(|(index, secret)| check(Some(secret), index)).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { checks })
    }

    /// Verifies a request with each secret that is good when it is received, until one fits, then parses its body to a payload that nests
    /// at most `json_depth` levels deep. (Only adapters do both in one step.) The error says why the request is rejected.
    pub(crate) fn open(
        &self,
        request: UnverifiedRequest<'_>,
        reader: &Reader,
        json_depth: usize,
    ) -> Result<ProvenDelivery, Rejection> {
        let mut failed = Rejection::BadSignature;
        for one in &self.checks {
            if one.secret.as_ref().is_some_and(|secret| !secret.is_good_at(request.received_at)) {
                continue;
            }
            match one.check.open(request, reader, json_depth) {
                Ok(payload) => {
                    one.last_use.note(request.received_at);
                    return Ok(ProvenDelivery {
                        payload,
                        secret: one.secret.as_ref().map(|secret| Arc::clone(&secret.name)),
                    });
                }
                // That a secret of the source made the signature says more than that another one did not.
                Err(why) if why.is_unproven() && !failed.is_unproven() => {}
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    /// Takes over from an earlier verifier when the secrets that both have were last of use.
    pub(crate) fn inherit(&mut self, earlier: &Self) {
        for one in &mut self.checks {
            let Some(secret) = &one.secret else { continue };
            let is_same =
                |known: &&SecretCheck| known.secret.as_ref().is_some_and(|known| known.is_same_text(secret));
            if let Some(known) = earlier.checks.iter().find(is_same) {
                one.last_use = Arc::clone(&known.last_use);
            }
        }
    }

    /// Returns what operators are told of each secret.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = SecretState> {
        self.checks.iter().filter_map(|one| {
            let SourceSecret { name, not_before, not_after, .. } = one.secret.as_ref()?;
            let (name, last_used) = (Arc::clone(name), one.last_use.get());
            Some(SecretState { name, not_before: *not_before, not_after: *not_after, last_used })
        })
    }

    /// Returns the check by the first secret that is good at a time.
    pub(crate) fn check_at(&self, time: Time) -> Option<&Check> {
        let is_good = |one: &&SecretCheck| one.secret.as_ref().is_none_or(|secret| secret.is_good_at(time));
        self.checks.iter().find(is_good).map(|one| &one.check)
    }

    /// Returns whether deliveries are verified by an adapter, which leaves out of the payload what is not proven.
    pub(crate) fn is_adapter(&self) -> bool {
        self.checks.iter().any(|one| matches!(one.check, Check::Adapter(_)))
    }

    /// Returns the place of the signed time, if it is in the payload.
    pub(crate) fn payload_time(&self) -> Option<&Pointer> {
        self.checks.iter().find_map(|one| match &one.check {
            Check::Recipe(verifier) => verifier.payload_time(),
            Check::Adapter(_) => None,
        })
    }
}

impl Check {
    /// Checks the secrets and builds the check. An error gives the index of the secret that it is about.
    pub(crate) fn new(
        scheme: &Scheme,
        secrets: &[SecretString],
        limits: TimeLimits,
    ) -> Result<Self, (usize, SecretError)> {
        Ok(match scheme {
            Scheme::Recipe(recipe) => {
                Self::Recipe(Box::new(RecipeVerifier::new(recipe.as_ref().clone(), secrets, limits)?))
            }
            Scheme::Adapter(adapter) => Self::Adapter(adapter.ready(secrets, limits)?),
        })
    }

    /// Verifies a request, then parses its body. See [`Verifier::open`].
    fn open(
        &self,
        request: UnverifiedRequest<'_>,
        reader: &Reader,
        json_depth: usize,
    ) -> Result<Result<Value, Unclear>, Rejection> {
        let UnverifiedRequest { parts, body, received_at, key } = request;
        match self {
            Self::Adapter(adapter) => adapter.open(request).map(Ok),
            Self::Recipe(verifier) => {
                match key {
                    None => verifier.verify(parts, body, received_at)?,
                    Some(key) => verifier.verify_by(key, parts, body, received_at)?,
                }
                let payload = reader.parse(body, json_depth);
                if let Ok(payload) = &payload {
                    verifier.check_payload_time(payload, received_at)?;
                }
                Ok(payload)
            }
        }
    }

    /// Verifies a request without reading its body. A time in the payload is not looked at.
    pub(crate) fn verify(&self, request: UnverifiedRequest<'_>) -> Result<(), Rejection> {
        match self {
            Self::Adapter(adapter) => adapter.open(request).map(drop),
            Self::Recipe(verifier) => verifier.verify(request.parts, request.body, request.received_at),
        }
    }
}

impl Verifier {
    /// Signs a delivery as the provider would, so that a source with these secrets accepts it.
    pub(crate) fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
        options: &OptionValues,
    ) -> Result<SignedDelivery, CannotSign> {
        match self.check_at(delivery.at).or_else(|| self.first()).ok_or(CannotSign::FetchedKeys)? {
            Check::Recipe(verifier) => verifier.sign(delivery, signer, options),
            Check::Adapter(adapter) => adapter.sign(delivery, signer),
        }
    }

    /// Returns the check by the first secret.
    fn first(&self) -> Option<&Check> {
        self.checks.first().map(|one| &one.check)
    }

    /// Returns how old the signed time of a delivery may be, if that is limited.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        match self.first()? {
            Check::Recipe(verifier) => verifier.max_age(),
            Check::Adapter(adapter) => adapter.max_age(),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) use {adapter::fuzzing as adapter_fuzzing, signature::fuzzing as signature_fuzzing};
#[cfg(test)]
pub(crate) use {adapter::tests as adapter_tests, signature::tests as signature_tests};
