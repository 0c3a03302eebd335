//! What is examined.

use crate::payment::Time;
use http::HeaderMap;

/// A rejected delivery, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// The headers of the request.
    pub(crate) headers: HeaderMap,
    /// The query of the request's address, without the question mark.
    pub(crate) query: String,
    /// The body of the request.
    pub(crate) body: Vec<u8>,
    /// When the request came.
    pub(crate) received_at: Time,
}
