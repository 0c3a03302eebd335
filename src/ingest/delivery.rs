//! A delivery: one HTTP request to a source.

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
