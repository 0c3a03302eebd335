//! The interface of all adapters.

use crate::source::{
    payload::RequestParts,
    verify::{
        rejection::Rejection,
        request::UnverifiedRequest,
        signature::{CannotSign, SignedDelivery, Signer, UnsignedDelivery},
    },
};
use serde_json::Value;
use std::time::Duration;

/// An adapter with the secrets of one source.
pub(crate) trait AdapterVerifier: Send + Sync {
    /// Verifies a request and returns the payload that it proves. Fails with [`Rejection::UntrustedKey`] if the key that the request
    /// names has to be fetched.
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection>;

    /// Signs a delivery as the provider would, for the first of the source's secrets.
    fn sign(&self, delivery: &UnsignedDelivery<'_>, signer: Signer<'_>)
    -> Result<SignedDelivery, CannotSign>;

    /// Returns how old the signed time of a delivery may be, if a time is signed and that is limited.
    fn max_age(&self) -> Option<Duration> {
        None
    }

    /// Returns the answer to a challenge that the provider sends before anything else, or `None` if there is no challenge.
    fn answer(&self, _around: RequestParts<'_>) -> Option<String> {
        None
    }
}
