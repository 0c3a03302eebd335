//! The interface of all adapters.

use crate::source::{
    payload::RequestParts,
    verify::{rejection::Rejection, request::UnverifiedRequest},
};
use serde_json::Value;

/// An adapter with the secrets of one source.
pub(crate) trait AdapterVerifier: Send + Sync {
    /// Verifies a request and returns the payload that it proves. Fails with [`Rejection::UntrustedKey`] if the key that the request
    /// names has to be fetched.
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection>;

    /// Returns the answer to a challenge that the provider sends before anything else, or `None` if there is no challenge.
    fn answer(&self, _around: RequestParts<'_>) -> Option<String> {
        None
    }
}
