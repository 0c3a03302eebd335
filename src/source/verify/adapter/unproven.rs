//! The parser of bodies that are not verified yet, and are therefore bounded more tightly than others.

use crate::source::{payload::is_within, verify::rejection::Rejection};
use serde_json::Value;

/// The longest body that is parsed before it is verified, in bytes. Webhooks of these providers have a few kilobytes.
pub(super) const MAX_UNPROVEN_BYTES: usize = 256 << 10;

/// How many levels deep such a body may nest.
pub(super) const MAX_UNPROVEN_DEPTH: usize = 16;

/// Parses a body that is not verified yet. Fails if it is too long, nests too deep or is not JSON.
pub(super) fn parse_unproven(body: &[u8]) -> Result<Value, Rejection> {
    if body.len() > MAX_UNPROVEN_BYTES || !is_within(body, MAX_UNPROVEN_DEPTH) {
        return Err(Rejection::MalformedSignature);
    }
    serde_json::from_slice(body).map_err(|_| Rejection::MalformedSignature)
}
