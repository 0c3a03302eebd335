//! The answer to a provider, before it is written as HTTP.
//!
//! Ingest decides the status and what the answer says. It knows neither headers nor the form of `application/problem+json`,
//! which the HTTP server writes.

use std::{borrow::Cow, time::Duration};

/// The answer to one delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// What the answer says.
    pub body: ReplyBody,
}

/// What the answer to a delivery says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyBody {
    /// The outcome of a delivery that was taken, as JSON.
    Json(String),
    /// The plain text that the provider expects for a delivery that was taken.
    Text(String),
    /// Why the delivery was not taken.
    Problem {
        /// The reason code, for programs.
        reason: &'static str,
        /// The reason in a sentence, for people.
        detail: Cow<'static, str>,
        /// When the provider should send the delivery again, if the fault is ours.
        retry_after: Option<Duration>,
    },
}
