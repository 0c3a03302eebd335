//! What every adapter does.

use crate::source::{
    payload::RequestParts,
    verify::{rejection::Rejection, request::UnverifiedRequest},
};
use serde_json::Value;

/// An adapter with the secrets of one source.
pub(crate) trait AdapterVerifier: Send + Sync {
    /// The payload that the request proves. [`Rejection::UntrustedKey`] where it would take a key that has to be fetched.
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection>;

    /// The answer to a question by which the provider finds out who is there, before it sends anything.
    fn answer(&self, _around: RequestParts<'_>) -> Option<String> {
        None
    }
}
