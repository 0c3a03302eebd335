//! A request to a source, before anybody vouches for it.

use crate::{payment::Time, source::payload::RequestParts};
use aws_lc_rs::signature::ParsedPublicKey;

/// A request that is not verified yet.
#[derive(Clone, Copy)]
pub(crate) struct UnverifiedRequest<'a> {
    /// What there is beside the body.
    pub(crate) around: RequestParts<'a>,
    /// The body, as it came.
    pub(crate) body: &'a [u8],
    /// When it came.
    pub(crate) received_at: Time,
    /// The key that it names, once it was fetched; for sources that have none of their own.
    pub(crate) key: Option<&'a ParsedPublicKey>,
}
