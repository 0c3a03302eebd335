//! Placeholder.
#![allow(missing_docs)]
use std::time::Duration;
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    pub heartbeat: Duration,
    pub max_age: Duration,
    pub linger: Duration,
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
