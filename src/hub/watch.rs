//! A watch: one watcher's hold on a topic.

use super::{
    Hub,
    bell::{Bell, Ringer},
    history::History,
    label::Freshness,
    topic::Topic,
    watchers::Watcher,
};
use crate::{payment::Subject, store::StoreError};
use std::sync::Arc;

/// One watcher's hold on a topic. Dropping it ends the watch; dropping the last one ends the topic.
pub struct Watch {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    watcher: Watcher,
}

impl Hub {
    /// Starts to watch a log: `bell` rings whenever [`Topic::pull`] may have something new. The watcher is registered before it
    /// reads anything, so that no event can fall between the two.
    #[must_use]
    pub fn join(self: &Arc<Self>, subject: &Subject, bell: Arc<Bell>) -> Watch {
        let watcher = Watcher { ringer: bell, key: 0 };
        let topic = self.enter(subject, &watcher);
        Watch { hub: Arc::clone(self), topic, watcher }
    }

    /// Reads what a topic's watchers follow, for one that follows it already. Asks a store that fails again until it answers. A log that
    /// was read a moment ago will do too, since later events wake the watcher.
    pub fn history_in_time(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
    ) -> impl Future<Output = Arc<History>> + Send + use<> {
        let (hub, topic) = (Arc::clone(self), Arc::clone(topic));
        async move {
            match hub.ask(|| hub.followed(&topic, Freshness::Lately)).await {
                Some(history) => history,
                // The hub has stopped: its watchers are about to be cut and need nothing more.
                None => std::future::pending().await,
            }
        }
    }
}

impl Hub {
    /// Ends a watch that [`Watch::share`] has begun. The last one ends the topic.
    pub fn leave(&self, topic: &Arc<Topic>, ringer: &Arc<dyn Ringer>, key: u32) {
        self.end_watch(topic, &Watcher { ringer: Arc::clone(ringer), key });
    }
}

impl Watch {
    /// The topic that is watched.
    #[must_use]
    pub const fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }

    /// Begins another watch on the same topic: `ringer` is told `key` whenever the topic may have something new. It lasts until
    /// [`Hub::leave`] is called with the same: whoever has many watches needs no guard for each.
    #[must_use]
    pub fn share(&self, ringer: Arc<dyn Ringer>, key: u32) -> Arc<Topic> {
        self.topic.add(Watcher { ringer, key });
        Arc::clone(&self.topic)
    }

    /// Reads the whole log that is followed, as it is now or later: that of the topic or, if it is empty, of the payment that its id points at. One reader reads for all who wait, and the number of logs that are read at
    /// once is limited.
    pub fn history(&self) -> impl Future<Output = Result<Arc<History>, StoreError>> + Send + use<> {
        let (hub, topic) = (Arc::clone(&self.hub), Arc::clone(&self.topic));
        async move { hub.followed(&topic, Freshness::Now).await }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.hub.end_watch(&self.topic, &self.watcher);
    }
}
