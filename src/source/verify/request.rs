//! A request to a source that is not verified yet.

use crate::{payment::Time, source::payload::RequestParts};
use aws_lc_rs::signature::ParsedPublicKey;

/// A request that is not verified yet, with the fetched key if there is one.
#[derive(Clone, Copy)]
pub(crate) struct UnverifiedRequest<'a> {
    /// The parts of the request beside its body.
    pub(crate) parts: RequestParts<'a>,
    /// The body as it came.
    pub(crate) body: &'a [u8],
    /// When the request came.
    pub(crate) received_at: Time,
    /// The key that the request names, once it was fetched. Only sources without secrets fetch keys.
    pub(crate) key: Option<&'a ParsedPublicKey>,
}
