//! Verification: is a delivery the provider's, and from now?
//!
//! Pure but for `keys`, which fetches what a provider publishes: a key that has to be fetched is handed in, or the answer is that
//! it lacks one. Computed signatures never leave this room. It does not know what becomes of a delivery.

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
    Algorithm, Carrier, CertificateRule, Encoding, Item, ItemToken, KEY_ID, KeyForm, Method, Part, Piece,
    Published, Recipe, RecipeVerifier, TimeFrom, TimeRule,
};

use super::payload::{Reader, Unclear};
use serde_json::Value;

/// What verifies a source's deliveries.
pub(crate) enum Verifier {
    /// A recipe with its secrets.
    Recipe(Box<RecipeVerifier>),
    /// An adapter with its secrets.
    Adapter(Box<dyn AdapterVerifier>),
}

impl Verifier {
    /// Verifies a request, then parses its body to a payload that nests at most `json_depth` levels deep. Only adapters have to do
    /// both at once.
    pub(crate) fn open(
        &self,
        request: UnverifiedRequest<'_>,
        reader: &Reader,
        json_depth: usize,
    ) -> Result<Result<Value, Unclear>, Rejection> {
        let UnverifiedRequest { around, body, received_at, key } = request;
        match self {
            Self::Adapter(adapter) => adapter.open(request).map(Ok),
            Self::Recipe(verifier) => {
                match key {
                    None => verifier.verify(around, body, received_at)?,
                    Some(key) => verifier.verify_by(key, around, body, received_at)?,
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

#[cfg(any(test, fuzzing))]
pub(crate) use {adapter::fuzzing as adapter_fuzzing, signature::fuzzing as signature_fuzzing};
#[cfg(test)]
pub(crate) use {adapter::tests as adapter_tests, signature::tests as signature_tests};
