//! A delivery: one HTTP request to a source.

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
