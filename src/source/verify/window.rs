//! The window of a signed time.

use super::rejection::Rejection;
use crate::payment::Time;
use std::time::Duration;

/// How far a signed time may lie from our clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// The longest that the time may lie behind our clock.
    pub(crate) max_age: Duration,
    /// The longest that the time may lie ahead of our clock.
    pub(crate) max_future: Duration,
}

impl Window {
    /// Checks that a time lies within the window around the time of receipt.
    pub(crate) fn check(self, signed_at: Time, received_at: Time) -> Result<(), Rejection> {
        let within = |ms: i64, limit: Duration| {
            i128::from(ms) <= i128::try_from(limit.as_millis()).unwrap_or(i128::MAX)
        };
        if !within(received_at.since_ms(signed_at), self.max_age) {
            Err(Rejection::StaleTimestamp)
        } else if !within(signed_at.since_ms(received_at), self.max_future) {
            Err(Rejection::FutureTimestamp)
        } else {
            Ok(())
        }
    }
}
