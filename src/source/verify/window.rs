//! The window of a signed time.

use super::rejection::Rejection;
use crate::{payment::Time, source::payload::is_ahead};
use std::time::Duration;

/// How far a signed time may lie from our clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// The longest that the time may lie behind our clock, if that is limited.
    pub(crate) max_age: Option<Duration>,
    /// The longest that the time may lie ahead of our clock.
    pub(crate) max_future: Duration,
}

/// What a source says about its window, in place of what the provider's preset or adapter says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TimeLimits {
    /// See [`Window::max_age`].
    pub(crate) max_age: Option<Duration>,
    /// See [`Window::max_future`].
    pub(crate) max_future: Option<Duration>,
}

impl TimeLimits {
    /// Returns the window that a source has instead of this one.
    pub(crate) fn instead_of(self, own: Window) -> Window {
        Window {
            max_age: self.max_age.or(own.max_age),
            max_future: self.max_future.unwrap_or(own.max_future),
        }
    }
}

impl Window {
    /// Checks that a time lies within the window around the time of receipt.
    pub(crate) fn check(self, signed_at: Time, received_at: Time) -> Result<(), Rejection> {
        if self.max_age.is_some_and(|max_age| is_ahead(received_at, signed_at, max_age)) {
            Err(Rejection::StaleTimestamp)
        } else if is_ahead(signed_at, received_at, self.max_future) {
            Err(Rejection::FutureTimestamp)
        } else {
            Ok(())
        }
    }
}
