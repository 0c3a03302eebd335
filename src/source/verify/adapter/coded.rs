//! What every adapter does.

use crate::source::{
    payload::Around,
    verify::{rejection::Rejection, request::Unproven},
};
use serde_json::Value;

/// An adapter with the secrets of one source.
pub(crate) trait Coded: Send + Sync {
    /// The payload that the request proves. [`Rejection::UntrustedKey`] where it would take a key that has to be fetched.
    fn open(&self, request: Unproven<'_>) -> Result<Value, Rejection>;

    /// The answer to a question by which the provider finds out who is there, before it sends anything.
    fn answer(&self, _around: Around<'_>) -> Option<String> {
        None
    }
}
