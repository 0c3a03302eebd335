//! What the subscriptions to all servers have in common: the notices go to one place, and what may have been lost is reported by partition.

use super::{check::Server, notice, plan::Plan};
use crate::{
    metrics::{Metrics, StoreFault},
    payment::{PARTITIONS, PartitionSet},
    store::{Interruption, Notice},
};
use redis::{PushInfo, Value};
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Notify, broadcast};

/// What the subscriptions share with the store.
#[derive(Debug)]
pub(super) struct Heard {
    plan: Plan,
    notices: broadcast::Sender<Arc<Notice>>,
    metrics: Arc<Metrics>,
    /// The newest place that came over the channel of each partition since it was subscribed to last; 0 if none did.
    newest: [AtomicU64; PARTITIONS],
    told: Mutex<Told>,
    /// Notified whenever channels have been subscribed to.
    subscribed: Notify,
}

/// What was subscribed to, and what was not reported yet.
#[derive(Debug)]
struct Told {
    /// The server of the last subscription to each partition.
    servers: Vec<Option<Server>>,
    /// The partitions that were subscribed to.
    ever: PartitionSet,
    /// Those that were subscribed to again.
    missed: PartitionSet,
    /// Those that were subscribed to on another server.
    elsewhere: PartitionSet,
}

impl Heard {
    pub(super) fn new(plan: Plan, notices: broadcast::Sender<Arc<Notice>>, metrics: Arc<Metrics>) -> Self {
        let newest = [const { AtomicU64::new(0) }; PARTITIONS];
        let (ever, missed, elsewhere) = Default::default();
        let told = Told { servers: vec![None; PARTITIONS], ever, missed, elsewhere };
        Self { plan, notices, metrics, newest, told: Mutex::new(told), subscribed: Notify::new() }
    }

    /// Returns once channels have been subscribed to again.
    pub(super) async fn interrupted(&self) -> Interruption {
        loop {
            {
                let mut told = self.told();
                if !told.elsewhere.is_empty() {
                    return Interruption::Elsewhere(std::mem::take(&mut told.elsewhere));
                }
                if !told.missed.is_empty() {
                    return Interruption::Missed(std::mem::take(&mut told.missed));
                }
            }
            self.subscribed.notified().await;
        }
    }

    /// Returns once all channels have been subscribed to, for the first time. That is no interruption.
    pub(super) async fn begun(&self) {
        while self.told().ever != PartitionSet::ALL {
            self.subscribed.notified().await;
        }
        self.told().missed = PartitionSet::NONE;
    }

    /// Notes that these channels are about to be subscribed to.
    pub(super) fn subscribing(&self, partitions: PartitionSet) {
        for partition in partitions.iter() {
            self.note_newest(partition, 0);
        }
    }

    /// Notes that these channels have been subscribed to, on this server.
    pub(super) fn subscribed_on(&self, server: &Server, partitions: PartitionSet) {
        let mut told = self.told();
        for partition in partitions.iter() {
            let Some(before) = told.servers.get_mut(usize::from(partition)) else { continue };
            let is_other = before.replace(server.clone()).is_some_and(|before| before != *server);
            if is_other {
                told.elsewhere.insert(partition);
            } else {
                told.missed.insert(partition);
            }
            told.ever.insert(partition);
        }
        drop(told);
        self.subscribed.notify_one();
    }

    /// Whether the notice of `pos` has come. If it has, whoever misses it is only behind with its reading.
    pub(super) fn has_heard(&self, partition: u8, pos: u64) -> bool {
        self.newest.get(usize::from(partition)).is_none_or(|newest| newest.load(Ordering::Relaxed) >= pos)
    }

    /// Takes the message of a channel. It runs on the task of the connection, so there is no queue between the socket and the bounded queue
    /// of the hub.
    pub(super) fn take(&self, push: PushInfo) {
        match self.read(push.data) {
            Some(notice) => {
                self.note_newest(notice.partition, notice.pos);
                // This fails only if no receiver is left, and a later one begins by reading the store.
                let _ = self.notices.send(Arc::new(notice));
            }
            None => self.metrics.store_faults.count(StoreFault::BadNotice),
        }
    }

    fn note_newest(&self, partition: u8, pos: u64) {
        if let Some(newest) = self.newest.get(usize::from(partition)) {
            newest.store(pos, Ordering::Relaxed);
        }
    }

    fn read(&self, data: Vec<Value>) -> Option<Notice> {
        let [Value::BulkString(channel), Value::BulkString(payload)] = <[Value; 2]>::try_from(data).ok()?
        else {
            return None;
        };
        let partition = self.plan.partition_of(std::str::from_utf8(&channel).ok()?)?;
        notice::read(partition, payload)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
