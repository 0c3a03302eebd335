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

use super::payload::{OptionValues, Reader, Unclear};
use serde_json::Value;
use std::time::Duration;

/// The verifier of a source's deliveries.
pub(crate) enum Verifier {
    /// A recipe with the secrets of the source.
    Recipe(Box<RecipeVerifier>),
    /// An adapter with the secrets of the source.
    Adapter(Box<dyn AdapterVerifier>),
}

impl Verifier {
    /// Verifies a request, then parses its body to a payload that nests at most `json_depth` levels deep. (Only adapters do both
    /// in one step.) The outer error says why the request is rejected, the inner one why its verified body cannot be read.
    pub(crate) fn open(
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
}

impl Verifier {
    /// Signs a delivery as the provider would, so that a source with these secrets accepts it.
    pub(crate) fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
        options: &OptionValues,
    ) -> Result<SignedDelivery, CannotSign> {
        match self {
            Self::Recipe(verifier) => verifier.sign(delivery, signer, options),
            Self::Adapter(adapter) => adapter.sign(delivery, signer),
        }
    }

    /// Returns how old the signed time of a delivery may be, if that is limited.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        match self {
            Self::Recipe(verifier) => verifier.max_age(),
            Self::Adapter(adapter) => adapter.max_age(),
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) use {adapter::fuzzing as adapter_fuzzing, signature::fuzzing as signature_fuzzing};
#[cfg(test)]
pub(crate) use {adapter::tests as adapter_tests, signature::tests as signature_tests};
