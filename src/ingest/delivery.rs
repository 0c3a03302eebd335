//! A delivery: one HTTP request to a source, and what its sender is answered.

use crate::payment::Time;
use http::HeaderMap;
use std::net::IpAddr;

/// One HTTP request to a source.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The query of its address, without the question mark.
    pub query: &'a str,
    /// Its body, as it came.
    pub body: &'a [u8],
    /// When it came.
    pub received_at: Time,
    /// Who sent it.
    pub peer: Option<IpAddr>,
}

/// What the provider is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body: JSON, for an error `application/problem+json` with a `reason` code.
    pub body: String,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}
