//! A follower: who follows the log of a topic, counted for as long as it does.

use super::topic::Topic;
use std::sync::Arc;

/// One stream's or long poll's hold on a topic. Dropping it counts the follower as gone. It does not keep the topic among those that are
/// told of news, which is what a [`Watch`](super::Watch) is for: one watch may serve many followers.
pub struct Follower(Arc<Topic>);

impl Follower {
    /// Counts one more follower of a topic.
    #[must_use]
    pub fn new(topic: Arc<Topic>) -> Self {
        topic.count_follower(true);
        Self(topic)
    }

    /// The topic.
    #[must_use]
    pub const fn topic(&self) -> &Arc<Topic> {
        &self.0
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.count_follower(false);
    }
}
