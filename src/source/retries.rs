//! Retries: how a provider sends a webhook again that was not taken, and when it stops.

use std::time::Duration;

/// What a provider's manual says about retries, as `[retries]` of its preset states it. What the manual does not say is unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Retries {
    /// The pauses before the first retries. The last pause is repeated as long as the provider goes on.
    pub pauses: Vec<Duration>,
    /// How long after the first try the provider gives an event up, so that it is lost.
    pub lost_after: Option<Duration>,
    /// After how long without any success the provider disables the endpoint, and sends no event at all.
    pub disabled_after: Option<Duration>,
    /// How long the provider waits for an answer. A later answer counts as a failure.
    pub timeout: Option<Duration>,
    /// Whether the provider holds back all later events as long as one is refused.
    pub blocks: bool,
}

impl Retries {
    /// How long deliveries may fail before the first loss: until an event is given up, or the endpoint is disabled. `None` if the
    /// manual says neither.
    #[must_use]
    pub fn window(&self) -> Option<Duration> {
        self.lost_after.into_iter().chain(self.disabled_after).min()
    }
}
