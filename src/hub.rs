//! The hub: receives the notices of all partitions and keeps one live topic for each log that somebody watches.
//!
//! It promises that a watcher who pulls by its cursor gets every event after it, once and in order, whatever happens to the
//! notices: a notice is only a hint that there is news. The hub checks continuity per partition (`partition`) and reads what
//! is missing from the store (`heal`), without the watchers noticing. A notice about an unwatched payment costs one failed
//! look-up in a map.
//!
//! The hub knows events, logs and cursors. It must not know who posted an event, nor how a stream looks on the wire.
//!
//! | file | noun |
//! |---|---|
//! | `partition` | the continuity of one partition, and its watched logs |
//! | `topic`     | the live end of one watched log |
//! | `pull`      | what a topic tells its watchers |
//! | `history`   | a whole log, folded and encoded, for those who begin or are far behind |
//! | `shelf`     | which topics keep a history, and how much these are together |
//! | `frame`     | the JSON of updates and snapshots, encoded once for all streams |
//! | `label`     | how watchers of other ids come to a payment |
//! | `pointing`  | what one watched label points at |
//! | `follower`  | who follows the log of a topic, counted |
//! | `watch`     | a watcher's hold on a topic |
//! | `watchers`  | the watchers of one topic |
//! | `bell`      | how a watcher is woken |
//! | `locks`     | how a mutex is locked |
//! | `heads`     | comparing the heads of all partitions, to find what no notice announced |
//! | `overview`  | all payments of a realm, for those who follow them |
//! | `heal`      | reading from the store what notices failed to say |

mod bell;
mod flight;
mod follower;
mod frame;
mod heads;
mod heal;
mod history;
mod label;
mod locks;
mod overview;
mod partition;
mod pointing;
mod pull;
mod shelf;
mod topic;
mod watch;
mod watchers;

pub use bell::{Bell, Ringer};
pub use follower::Follower;
pub use frame::Frame;
pub(crate) use frame::WIRE_VERSION;
pub use history::History;
pub use overview::{Beginning, Changes, Filter, Following, Overview, Page, PagePlace, Restart, TooFarBehind};
pub use pull::{LogEnd, Pull};
pub use topic::Topic;
pub use watch::Watch;

use crate::{
    backoff::Backoff,
    limits::Limits,
    metrics::{HealCause, Metrics, StoreFault},
    payment::{Cursor, Kind, Name, PARTITIONS, PartitionSet},
    shutdown::Shutdown,
    store::{Head, Interruption, Notice, NoticeBody, Store, StoreError},
};
use locks::lock;
use partition::{Continuity, Partition};
use pointing::Due;
use shelf::Shelf;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{
    Semaphore,
    broadcast::{Receiver, error::RecvError},
};
use tokio_util::sync::CancellationToken;
use topic::Effect;

/// How often the hub compares the heads and drops frames that nobody needs.
const TICK: Duration = Duration::from_secs(1);

/// How many feeds are read at once. Each holds up to a thousand references, and a store that has just come back must not be
/// overloaded by one node.
const CATCH_UPS: usize = 16;

/// The pauses before the store is asked again after a failure.
const ASK_AGAIN: Backoff = Backoff::new(Duration::from_millis(50), TICK);

/// The live ends of all watched logs on this node. Shared by the watchers and the task of [`Hub::run`].
pub struct Hub {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// The partitions by index. std mutexes, since nothing is awaited while one is held.
    partitions: Vec<Mutex<Partition>>,
    /// The topics that hold frames or a history, which the hub drops when nobody needs them any more.
    warm: Mutex<Vec<Arc<Topic>>>,
    /// Which of these hold a history.
    shelf: Mutex<Shelf>,
    /// The overviews that somebody reads, by realm.
    overviews: Mutex<HashMap<Name, Arc<Overview>>>,
    /// The topics that follow others which have news.
    due: Arc<Due>,
    /// Limits how many logs are read at once.
    reads: Semaphore,
    /// Limits how many feeds are read at once.
    catch_ups: Semaphore,
    /// The partitions for which the store did not answer at the last tick.
    stale: Mutex<PartitionSet>,
    /// Notices do not arrive although the store answers.
    misses_notices: AtomicBool,
    /// Ends the heals that wait for the store, so that it can be closed.
    stopped: CancellationToken,
}

impl Hub {
    /// A hub over `store`. It receives notices while [`Hub::run`] runs.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            store,
            metrics,
            partitions: (0..PARTITIONS).map(|_| Mutex::default()).collect(),
            warm: Mutex::default(),
            shelf: Mutex::default(),
            overviews: Mutex::default(),
            due: Arc::default(),
            reads: Semaphore::new(limits.log_reads),
            catch_ups: Semaphore::new(CATCH_UPS),
            stale: Mutex::default(),
            misses_notices: AtomicBool::new(false),
            stopped: CancellationToken::new(),
        })
    }

    /// Receives notices until `shutdown` stops it or the store is closed.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let _ends_with_us = self.stopped.clone().drop_guard();
        // Subscribes before it reads the heads: the notice of an append in between arrives, and is recognised as old.
        let notices = self.store.watch().await;
        tokio::select! {
            () = shutdown.stopped() => return,
            // Waits for a store that does not answer now, as for one that is lost later.
            heads = self.ask(|| self.store.heads()) => {
                // What is missing is compared at the ticks.
                self.begin(PartitionSet::ALL, &heads.unwrap_or_default());
            }
        }
        // Concurrently, so that notices are received while a slow store is asked for its heads. Notices come last in the order
        // of polling, since a flood of them would use up the task's budget before the others had a turn.
        tokio::select! {
            biased;
            () = shutdown.stopped() => {}
            () = self.heal_interruptions() => {}
            () = self.tick() => {}
            () = self.tell_askers() => {}
            () = self.receive(notices) => {}
        }
    }

    /// Takes notices as they arrive, until the store is closed.
    async fn receive(self: &Arc<Self>, mut notices: Receiver<Arc<Notice>>) {
        loop {
            match notices.recv().await {
                Ok(notice) => self.take(&notice),
                Err(RecvError::Lagged(_)) => {
                    let hub = Arc::clone(self);
                    tokio::spawn(async move { hub.heal_behind(PartitionSet::ALL, HealCause::Lagged).await });
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Heals whenever the store reports that notices may have been lost.
    async fn heal_interruptions(self: &Arc<Self>) {
        loop {
            match self.store.interrupted().await {
                Interruption::Missed(partitions) => {
                    self.heal_behind(partitions, HealCause::Interrupted).await;
                }
                // A log may have been read with an entry that has vanished, although the entry's notice never arrived. The
                // heads do not show that, so all watched logs are read again.
                Interruption::Elsewhere(partitions) => {
                    self.count_heal(HealCause::Elsewhere);
                    let hub = Arc::clone(self);
                    tokio::spawn(async move { hub.begin_anew(partitions).await });
                }
            }
        }
    }

    /// Whether notices fail to arrive although the store answers.
    #[must_use]
    pub fn misses_notices(&self) -> bool {
        self.misses_notices.load(Ordering::Relaxed)
    }

    /// Whether the store keeps an index of all payments.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.store.is_indexed()
    }

    /// The partitions for which the store does not answer at present, so that what streams show of them may be out of date.
    #[must_use]
    pub fn stale(&self) -> PartitionSet {
        *lock(&self.stale)
    }

    /// Wakes every watcher, for example because a drain began or keys were reloaded.
    pub fn ring_all(&self) {
        self.ring(PartitionSet::ALL);
    }

    /// Wakes every watcher of these partitions, and those of whole realms.
    fn ring(&self, partitions: PartitionSet) {
        for index in partitions.iter() {
            let topics: Vec<_> = self.partition(index).topics().cloned().collect();
            for topic in topics {
                topic.ring();
            }
        }
        self.ring_overviews();
    }

    /// Continues these partitions at their heads, and returns those that have none now. Topics may have read their logs before these heads, so
    /// they are reloaded.
    fn begin(self: &Arc<Self>, partitions: PartitionSet, heads: &[Option<Head>]) -> PartitionSet {
        self.doubt_overviews();
        let mut missing = PartitionSet::NONE;
        for ((index, partition), head) in (0..=u8::MAX).zip(&self.partitions).zip(heads) {
            let Some(head) = head.filter(|_| partitions.contains(index)) else {
                if partitions.contains(index) {
                    missing.insert(index);
                }
                continue;
            };
            let topics: Vec<_> = {
                let mut partition = lock(partition);
                partition.resume_at(head);
                partition.topics().cloned().collect()
            };
            for topic in topics {
                self.reload(topic);
            }
        }
        missing
    }

    /// Continues these partitions at their heads as soon as the store tells them.
    async fn begin_anew(self: &Arc<Self>, mut partitions: PartitionSet) {
        while let Some(heads) = self.ask(|| self.store.heads()).await {
            partitions = self.begin(partitions, &heads);
            if partitions.is_empty() {
                return;
            }
            tokio::select! {
                () = self.stopped.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Takes one notice: applies the next one of its partition, ignores an old one, and heals the partition after a gap.
    fn take(self: &Arc<Self>, notice: &Notice) {
        self.note(notice);
        let mut partition = self.partition(notice.partition);
        match partition.take(notice) {
            Continuity::Old => {}
            Continuity::Gap => {
                drop(partition);
                self.heal(notice.partition, HealCause::Gap);
            }
            Continuity::Next => match &notice.body {
                NoticeBody::Appended { event, .. } if event.subject().kind() == Kind::Label => {
                    let topic = partition.topic(&event.subject().as_payment());
                    drop(partition);
                    topic
                        .filter(|topic| topic.has_no_log())
                        .into_iter()
                        .for_each(|topic| self.resolve_later(topic));
                }
                NoticeBody::Appended { seq, event } => {
                    let topic = partition.topic(event.subject());
                    drop(partition);
                    let Some(topic) = topic else { return };
                    let effect =
                        event.event().map(|event| topic.take(Cursor { tag: notice.tag, seq: *seq }, &event));
                    match effect {
                        Some(Effect::Applied) => self.keep_warm(&topic),
                        Some(Effect::Ignored) => {}
                        Some(Effect::Reload) => self.reload(topic),
                        None => {
                            self.metrics.store_faults.count(StoreFault::BadNotice);
                            self.reload(topic);
                        }
                    }
                }
                NoticeBody::Erased { first } => {
                    let topics: Vec<_> = partition.topics().cloned().collect();
                    // It may have been the log of a label.
                    let askers: Vec<_> = partition.askers().cloned().collect();
                    drop(partition);
                    askers.into_iter().for_each(|topic| self.resolve_later(topic));
                    topics
                        .into_iter()
                        .filter(|topic| topic.erase(*first))
                        .for_each(|topic| self.reload(topic));
                }
            },
        }
    }

    /// Puts a topic that holds frames or a history on the list of those to cool.
    fn keep_warm(&self, topic: &Arc<Topic>) {
        if topic.warm_up() {
            lock(&self.warm).push(Arc::clone(topic));
        }
    }

    /// Drops the frames and histories of topics without news for one to two ticks. Readers that keep up have taken them by
    /// then; slower ones read the store.
    fn cool(&self) {
        let mut warm = lock(&self.warm);
        warm.retain(|topic| !topic.cool_down());
        // The list is as long as the last burst of arrivals, which may have been all streams.
        if warm.capacity() > 4 * warm.len() {
            warm.shrink_to_fit();
        }
        drop(warm);
        lock(&self.shelf).look();
    }

    fn partition(&self, index: u8) -> MutexGuard<'_, Partition> {
        #[expect(clippy::indexing_slicing, reason = "there are 256 partitions, and `index` is a u8")]
        lock(&self.partitions[usize::from(index)])
    }

    /// Asks the store until it answers, with a growing pause between the attempts. `None` once the hub has stopped.
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

#[cfg(test)]
mod tests;
