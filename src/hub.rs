//! The hub: hears every partition's notices and keeps one live `Topic` for each log that somebody watches.
//!
//! It promises that a watcher who pulls by its cursor gets every event after it, once and in order, whatever happens to the
//! notices: a notice is only a hint that there is news. Continuity is checked per partition (`partition`), and what is
//! missing is read from the store (`heal`); watchers notice nothing of it. A notice about an unwatched payment costs one
//! map miss.
//!
//! The hub knows events, logs and cursors. It must not know who posted an event, nor how a stream looks on the wire.

mod bell;
mod frame;
mod heal;
mod partition;
mod topic;

pub use bell::Bell;
pub(crate) use frame::WIRE_VERSION;
pub use frame::{Frame, Snapshot};
pub use topic::{History, Pull, Standing};

use crate::{
    backoff::Backoff,
    limits::Limits,
    metrics::{HealCause, Metrics},
    payment::{PARTITIONS, Subject},
    shutdown::Shutdown,
    store::{Head, Interruption, Notice, Store, StoreError},
};
use partition::{Heard, Partition};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{
        Semaphore,
        broadcast::{Receiver, error::RecvError},
    },
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use topic::Topic;

/// How often the heads are compared and unneeded frames dropped.
const TICK: Duration = Duration::from_secs(1);

/// Feeds read at once: up to a thousand references each, so that a store that is back after a while is not drowned by one
/// node.
const CATCH_UPS: usize = 16;

/// A head that was ahead is looked at again after this; if it still is, its notice was lost. So the last event of a quiet
/// payment is found within a tick and a half, and a busy machine has a second left before anyone would call it late.
const AGAIN: Duration = Duration::from_millis(500);

/// The pauses before the store is asked again after a failure.
const ASK_AGAIN: Backoff = Backoff::new(Duration::from_millis(50), TICK);

/// The live end of every watched log on this node.
pub struct Hub {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    partitions: Vec<Mutex<Partition>>,
    /// Topics that hold frames or a history, to be dropped when nobody needs them any more.
    warm: Mutex<Vec<Arc<Topic>>>,
    /// Bounds how many logs are read at once.
    reads: Semaphore,
    /// Bounds how many feeds are.
    catch_ups: Semaphore,
    /// The store did not answer at the last tick.
    stale: AtomicBool,
    /// Notices do not come through although the store is well.
    deaf: AtomicBool,
    /// Ends the heals that wait for the store, so that it can be closed.
    stopped: CancellationToken,
}

impl Hub {
    /// A hub over `store`. It hears nothing until [`Hub::run`] does.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            store,
            metrics,
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
            warm: Mutex::default(),
            reads: Semaphore::new(limits.log_reads),
            catch_ups: Semaphore::new(CATCH_UPS),
            stale: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            stopped: CancellationToken::new(),
        })
    }

    /// Hears notices until `shutdown` stops it, or the store is closed.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let _ends_with_us = self.stopped.clone().drop_guard();
        // Listen before reading the heads: what is appended in between is heard, and recognised as old.
        let notices = self.store.watch().await;
        tokio::select! {
            () = shutdown.stopped() => return,
            // A store that is lost at this very moment is waited for, as one that is lost later is.
            heads = self.ask(|| self.store.heads()) => self.begin(heads.unwrap_or_default()),
        }
        // Side by side, so that notices are heard while a store that is slow to answer is asked for its heads; and last, since
        // a flood of them would use up the task's turn before the others were looked at.
        tokio::select! {
            biased;
            () = shutdown.stopped() => {}
            () = self.heal_interruptions() => {}
            () = self.tick() => {}
            () = self.hear_all(notices) => {}
        }
    }

    /// Takes notices as they come. Ends with the store.
    async fn hear_all(self: &Arc<Self>, mut notices: Receiver<Arc<Notice>>) {
        loop {
            match notices.recv().await {
                Ok(notice) => self.hear(&notice),
                Err(RecvError::Lagged(_)) => {
                    let hub = Arc::clone(self);
                    tokio::spawn(async move { hub.heal_behind(HealCause::Lagged).await });
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Heals whenever the store says that notices may have been lost.
    async fn heal_interruptions(self: &Arc<Self>) {
        loop {
            match self.store.interrupted().await {
                Interruption::Missed => self.heal_behind(HealCause::Interrupted).await,
                // A log may have been read with an entry that is no more, although its partition never heard of it. That
                // does not show in the heads.
                Interruption::Elsewhere => {
                    self.count_heal(HealCause::Elsewhere);
                    if let Some(heads) = self.ask(|| self.store.heads()).await {
                        self.begin(heads);
                    }
                }
            }
        }
    }

    /// What is done once in a while.
    async fn tick(self: &Arc<Self>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = vec![Head::default(); PARTITIONS];
        loop {
            tick.tick().await;
            self.cool();
            if self.compare_heads(&mut before).await {
                tokio::time::sleep(AGAIN).await;
                self.compare_heads(&mut before).await;
            }
        }
    }

    /// Whether notices fail to come through although the store is well.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed)
    }

    /// Whether the store is lost at present, so that what streams show may be out of date.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }

    /// Wakes every watcher, e.g. because a drain began or keys were reloaded.
    pub fn ring_all(&self) {
        for partition in &self.partitions {
            let topics: Vec<_> = lock(partition).topics().cloned().collect();
            for topic in topics {
                topic.ring();
            }
        }
    }

    /// Starts to watch a log: `bell` rings whenever [`Watch::pull`] may have something new. Registers before anything is
    /// read, so that nothing can fall between the two.
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

    /// Begins to hear each partition at its head. What is watched already may have read its log before that, so it is read
    /// again.
    fn begin(self: &Arc<Self>, heads: Vec<Head>) {
        for (partition, head) in self.partitions.iter().zip(heads) {
            let topics: Vec<_> = {
                let mut partition = lock(partition);
                partition.resume_at(head);
                partition.topics().cloned().collect()
            };
            for topic in topics {
                self.reload(topic);
            }
        }
    }

    /// Takes one notice: the next one in its partition is applied, an old one dropped, anything else means a hole.
    fn hear(self: &Arc<Self>, notice: &Notice) {
        let mut partition = self.partition(notice.partition);
        match partition.hear(notice) {
            Heard::Old => {}
            Heard::Hole => {
                drop(partition);
                self.heal(notice.partition, HealCause::Gap);
            }
            Heard::Next => {
                let topic = partition.topic(&notice.event.subject);
                drop(partition);
                let Some(topic) = topic else { return };
                match topic.hear(notice) {
                    topic::Heard::Applied => self.keep_warm(&topic),
                    topic::Heard::Nothing => {}
                    topic::Heard::Reload => self.reload(topic),
                }
            }
        }
    }

    /// Remembers that a topic holds something to be dropped later.
    fn keep_warm(&self, topic: &Arc<Topic>) {
        if topic.warm_up() {
            lock(&self.warm).push(Arc::clone(topic));
        }
    }

    /// Drops the frames and histories of topics that had no news for one to two ticks: every reader that keeps up has taken
    /// them, and one that does not reads the store again.
    fn cool(&self) {
        lock(&self.warm).retain(|topic| !topic.cool_down());
    }

    /// Compares the heads with what was heard. A head of the look before that we have not reached means that its notice was
    /// lost; one that lies before what we had heard before asking means that the store was rolled back. True if a head is
    /// ahead for the first time: its notice is under way, or lost.
    async fn compare_heads(self: &Arc<Self>, before: &mut Vec<Head>) -> bool {
        let heard: Vec<_> = self.partitions.iter().map(|partition| lock(partition).last()).collect();
        let heads = match self.store.heads().await {
            Ok(heads) => heads,
            Err(error) => {
                self.set_stale(true, Some(&error));
                return false;
            }
        };
        let (mut deaf, mut ahead) = (false, false);
        for (index, ((head, heard), missed)) in (0_u8..=u8::MAX).zip(heads.iter().zip(&heard).zip(&*before)) {
            let is_back = head.pos < heard.pos || (head.pos == heard.pos && head.tag != heard.tag);
            let last = self.partition(index).last();
            // A head that was rolled back since then has nothing to be missed.
            let stands = missed.pos < head.pos || missed == head;
            if stands && missed.pos > last.pos {
                deaf = true;
                self.store.missed(index, missed.pos);
                self.heal(index, HealCause::Deaf);
            } else if is_back {
                self.heal(index, HealCause::RolledBack);
            } else {
                ahead |= head.pos > last.pos;
            }
        }
        *before = heads;
        self.deaf.store(deaf, Ordering::Relaxed);
        self.set_stale(false, None);
        ahead
    }

    fn set_stale(&self, stale: bool, error: Option<&StoreError>) {
        if self.stale.swap(stale, Ordering::Relaxed) != stale {
            match error {
                Some(error) => tracing::error!(%error, "the store is lost; streams stay open and are told"),
                None => tracing::info!("the store is back"),
            }
            self.ring_all();
        }
    }

    fn partition(&self, index: u8) -> MutexGuard<'_, Partition> {
        #[expect(clippy::indexing_slicing, reason = "there are 256 partitions, and `index` is a u8")]
        lock(&self.partitions[usize::from(index)])
    }

    /// Asks the store until it answers, with a growing pause; `None` once the hub has stopped. What waits on this has nothing
    /// better to do without an answer.
    async fn ask<T, F: Future<Output = Result<T, StoreError>>>(&self, ask: impl Fn() -> F) -> Option<T> {
        let mut failures = 0_u32;
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(error @ StoreError::Corrupt(_)) => tracing::error!(%error, "asking the store again"),
                Err(error) => tracing::debug!(%error, "asking the store again"),
            }
            tokio::select! {
                () = self.stopped.cancelled() => return None,
                () = tokio::time::sleep(ASK_AGAIN.random(failures)) => failures = failures.saturating_add(1),
            }
        }
    }

    fn count_heal(&self, cause: HealCause) {
        self.metrics.heals.count(cause);
    }
}

/// Locks a mutex whose data stays whole even if a holder panicked: all changes under these locks are single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One watcher's hold on a topic. Dropping it ends the watch; the last one ends the topic.
pub struct Watch {
    hub: Arc<Hub>,
    topic: Arc<Topic>,
    bell: Arc<Bell>,
    partition: u8,
}

impl Watch {
    /// Whose log.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.topic.subject()
    }

    /// What comes after `cursor`.
    #[must_use]
    pub fn pull(&self, cursor: crate::payment::Cursor) -> Pull {
        self.topic.pull(cursor)
    }

    /// Where the log stands, once it has been read.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.topic.standing()
    }

    /// As [`Watch::history`], for a watcher that already follows: it takes what was read lately too, since whatever came
    /// later rings its bell. Asks a store that fails again until it answers.
    pub fn history_in_time(&self) -> impl Future<Output = Arc<History>> + Send + use<> {
        let (hub, topic) = (Arc::clone(&self.hub), Arc::clone(&self.topic));
        async move {
            match hub.ask(|| hub.history(&topic, 0)).await {
                Some(history) => history,
                // The hub has stopped: its watchers are about to be cut, and there is nothing to tell them.
                None => std::future::pending().await,
            }
        }
    }

    /// The whole log, folded, as it stands now or later. One reader reads for all who wait, and only so many logs are read at
    /// once.
    pub fn history(&self) -> impl Future<Output = Result<Arc<History>, StoreError>> + Send + use<> {
        let (hub, topic) = (Arc::clone(&self.hub), Arc::clone(&self.topic));
        async move { hub.history(&topic, topic.reads()).await }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Under the partition's lock, as `join` is, so that no watcher can join a topic that is being forgotten.
        let mut partition = self.hub.partition(self.partition);
        if self.topic.remove(&self.bell) {
            partition.forget(self.topic.subject());
        }
    }
}

#[cfg(test)]
mod tests;
