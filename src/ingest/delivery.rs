//! A delivery, which is one HTTP request to a source, and the answer to it.

use crate::payment::Time;
use http::HeaderMap;
use std::net::IpAddr;

/// One HTTP request to a source.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// The query of the request's address, without the question mark.
    pub query: &'a str,
    /// The body of the request, as it came.
    pub body: &'a [u8],
    /// When the request came.
    pub received_at: Time,
    /// The address of the sender.
    pub peer: Option<IpAddr>,
}

/// The answer to a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body: JSON, or for an error `application/problem+json` with a `reason` code.
    pub body: String,
    /// The value of `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}
