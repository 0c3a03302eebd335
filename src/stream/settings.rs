//! The settings of streams: `[stream]` of the configuration.

use std::time::Duration;

/// How streams behave. A change applies to open streams too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The longest silence before a heartbeat is sent.
    pub heartbeat: Duration,
    /// The longest life of a stream. Each stream ends at a random time in the last fifth of it, so that streams which opened
    /// together do not return together.
    pub max_age: Duration,
    /// How long a finished payment must be silent before a stream that was asked to end with it ends.
    pub linger: Duration,
    /// The time within which a drain closes all streams.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            max_age: Duration::from_secs(30 * 60),
            linger: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(20),
        }
    }
}
