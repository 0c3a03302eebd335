//! A watch: one watcher's hold on a topic.

use super::{
    Hub,
    bell::Bell,
    history::History,
    topic::{LogEnd, Pull, Topic},
};
use crate::{
    payment::{Cursor, Subject},
    store::StoreError,
};
use std::sync::Arc;

/// One watcher's hold on a topic. Dropping it ends the watch; dropping the last one ends the topic.
pub struct Watch {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    bell: Arc<Bell>,
    partition: u8,
}

impl Hub {
    /// Starts to watch a log: `bell` rings whenever [`Watch::pull`] may have something new. The watcher is registered before it
    /// reads anything, so that no event can fall between the two.
    #[must_use]
    pub fn join(self: &Arc<Self>, subject: &Subject, bell: Arc<Bell>) -> Watch {
        let index = subject.partition();
        let topic = {
            let mut partition = self.partition(index);
            let topic = partition.topic_or_new(subject);
            topic.add(&bell);
            topic
        };
        Watch { hub: Arc::clone(self), topic, bell, partition: index }
    }
}

impl Watch {
    /// The log that is watched.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.topic.subject()
    }

    /// How many watch the log, this watcher included.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.topic.watchers()
    }

    /// The updates after `cursor`, as far as the topic keeps them.
    #[must_use]
    pub fn pull(&self, cursor: Cursor) -> Pull {
        self.topic.pull(cursor)
    }

    /// The end of the log; that of an empty log until the log was read.
    #[must_use]
    pub fn log_end(&self) -> LogEnd {
        self.topic.end()
    }

    /// Reads the whole log as it is now or later. One reader reads for all who wait, and the number of logs that are read at
    /// once is limited.
    pub fn history(&self) -> impl Future<Output = Result<Arc<History>, StoreError>> + Send + use<> {
        let (hub, topic) = (Arc::clone(&self.hub), Arc::clone(&self.topic));
        async move { hub.history(&topic, topic.reads()).await }
    }

    /// Reads the whole log, for a watcher that follows it already. Asks a store that fails again until it answers. A log that
    /// was read a moment ago will do too, since later events ring the watcher's bell.
    pub fn history_in_time(&self) -> impl Future<Output = Arc<History>> + Send + use<> {
        let (hub, topic) = (Arc::clone(&self.hub), Arc::clone(&self.topic));
        async move {
            match hub.ask(|| hub.history(&topic, 0)).await {
                Some(history) => history,
                // The hub has stopped: its watchers are about to be cut and need nothing more.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Under the partition's lock, as in `join`, so that no watcher can join a topic that is being forgotten.
        let mut partition = self.hub.partition(self.partition);
        if self.topic.remove(&self.bell) {
            partition.forget(self.topic.subject());
        }
    }
}
