//! Verification: does a delivery come from the provider, and is it recent?
//!
//! Everything here is pure except `keys`, which fetches the keys that a provider publishes. The caller passes a fetched key in;
//! without it, the answer is that a key is missing. Computed signatures never leave this room. It does not know what becomes of
//! a delivery.

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
pub use signature::SecretError;
pub(crate) use signature::{
    Algorithm, Carrier, CertificateRule, Encoding, Gap, Item, ItemToken, KeyForm, KeyUsed, Method, Part,
    Piece, Published, Recipe, RecipeVerifier, TimeFrom, TimeRule,
};
pub(crate) use window::TimeLimits;

use super::payload::{Reader, Unclear};
use serde_json::Value;

/// The verifier of a source's deliveries.
pub(crate) enum Verifier {
    /// A recipe with the secrets of the source.
    Recipe(Box<RecipeVerifier>),
    /// An adapter with the secrets of the source.
    Adapter(Box<dyn AdapterVerifier>),
}

/// A request that was verified.
pub(crate) struct VerifiedRequest {
    /// By which key, if that is known.
    pub(crate) key: Option<KeyUsed>,
    /// The payload, or why the body cannot be read.
    pub(crate) payload: Result<Value, Unclear>,
}

impl Verifier {
    /// Verifies a request, then parses its body to a payload that nests at most `json_depth` levels deep. (Only adapters do both
    /// in one step.) The error says why the request is rejected.
    pub(crate) fn open(
        &self,
        request: UnverifiedRequest<'_>,
        reader: &Reader,
        json_depth: usize,
    ) -> Result<VerifiedRequest, Rejection> {
        let UnverifiedRequest { parts, body, received_at, key } = request;
        match self {
            Self::Adapter(adapter) => {
                let key = key.map(|_| KeyUsed::Fetched);
                adapter.open(request).map(|payload| VerifiedRequest { key, payload: Ok(payload) })
            }
            Self::Recipe(verifier) => {
                let key = Some(verifier.key_of(key, parts, body, received_at)?);
                let payload = reader.parse(body, json_depth);
                if let Ok(payload) = &payload {
                    verifier.check_payload_time(payload, received_at)?;
                }
                Ok(VerifiedRequest { key, payload })
            }
        }
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) use {adapter::fuzzing as adapter_fuzzing, signature::fuzzing as signature_fuzzing};
#[cfg(test)]
pub(crate) use {adapter::tests as adapter_tests, signature::tests as signature_tests};
