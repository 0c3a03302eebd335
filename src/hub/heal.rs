//! Healing: the hub reads from the store what notices failed to say, once per partition and topic and not once per stream.

use super::{Hub, history::History, label::Freshness, locks::lock, topic::Topic};
use crate::{
    clock,
    metrics::HealCause,
    payment::{PartitionSet, Subject, Tag},
    store::{Feed, Head, Reference, Referent, StoreError},
};
use std::{collections::HashSet, sync::Arc};

impl Hub {
    /// Heals those of these partitions whose head is not the last entry that the hub knows. One whose head is not told now is compared at a
    /// later tick.
    pub(super) async fn heal_behind(self: &Arc<Self>, partitions: PartitionSet, cause: HealCause) {
        let Some(heads) = self.ask(|| self.store.heads()).await else { return };
        for (index, head) in (0_u8..=u8::MAX).zip(heads) {
            let Some(head) = head.filter(|_| partitions.contains(index)) else { continue };
            if !self.partition(index).is_at(head) {
                self.heal(index, cause);
            }
        }
    }

    /// Heals one partition in a task of its own. A heal that is under way already reads once more instead. `cause` is the
    /// label of the metric.
    pub(super) fn heal(self: &Arc<Self>, index: u8, cause: HealCause) {
        if !self.partition(index).begin_heal() {
            return;
        }
        self.count_heal(cause);
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            while hub.continue_heal(index) {
                hub.catch_up(index).await;
            }
        });
    }

    fn continue_heal(&self, index: u8) -> bool {
        self.partition(index).continue_heal()
    }

    /// Reads the feed from the last known entry, inclusive, and reloads the watched logs that it names. If that entry is
    /// missing or has another tag, the feed was trimmed or rolled back, and all watched logs of the partition are reloaded.
    async fn catch_up(self: &Arc<Self>, index: u8) {
        // The semaphore is never closed.
        let _permit = self.catch_ups.acquire().await;
        let last = self.partition(index).last();
        let Some(feed) = self.ask(|| self.store.feed(index, last.pos.max(1))).await else { return };
        let news = match &feed {
            Feed::References(references) => after(references, last).ok_or_else(|| newest(references)),
            Feed::Gone(head) => Err(*head),
        };
        let topics: Vec<_> = {
            let mut partition = self.partition(index);
            match news {
                Ok(news) => {
                    if !news.is_empty() {
                        partition.resume_at(newest(news));
                    }
                    let (named, erased) = named(news);
                    // An erasure does not say whether the log was a label's.
                    let relabeled: HashSet<_> = match erased.is_empty() {
                        true => HashSet::new(),
                        false => partition.askers().map(|topic| topic.subject().clone()).collect(),
                    };
                    let is_touched = |topic: &&Arc<Topic>| {
                        // Every erasure counts, so this must not stop at the first that touches the topic.
                        let touching = erased.iter().filter(|first| topic.erase(**first)).count();
                        touching > 0 || named.contains(topic.subject()) || relabeled.contains(topic.subject())
                    };
                    partition.topics().filter(is_touched).cloned().collect()
                }
                Err(head) => {
                    self.doubt_overviews();
                    partition.resume_at(head);
                    partition.topics().cloned().collect()
                }
            }
        };
        for topic in topics {
            self.reload(topic);
        }
    }

    /// Reads a topic's log again in a task of its own, or what it follows if that is empty, and then wakes its watchers.
    pub(super) fn reload(self: &Arc<Self>, topic: Arc<Topic>) {
        let known = topic.is_read().then(|| topic.log_end().cursor.seq);
        topic.distrust();
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let history = hub.ask(|| hub.followed(&topic, Freshness::Now)).await;
            let at = clock::now();
            if let (Some(known), Some(history)) = (known, history.filter(|history| history.asked.is_none())) {
                (known + 1..=history.head.seq).for_each(|seq| hub.note_heard(topic.subject(), seq, at));
            }
        });
    }

    /// The topic's whole log, from a read with a number above `reads`: that of another reader, or one that this begins.
    pub(super) async fn history(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        reads: u32,
    ) -> Result<Arc<History>, StoreError> {
        // Lists the topic before anything is kept in it, also if the read fails.
        self.keep_warm(topic);
        let flight = topic.flight();
        let _one_reader = flight.lock().await;
        loop {
            if let Some(history) = topic.cached(reads) {
                return Ok(history);
            }
            // The semaphore is never closed.
            let _permit = self.reads.acquire().await;
            let read = topic.begin_read();
            let log = self.store.read(topic.subject()).await?;
            let kept = topic.cached(0);
            if let Some(history) = topic.adopt(log, read) {
                self.keep_warm(topic);
                if kept.is_none_or(|kept| !Arc::ptr_eq(&kept, &history)) {
                    self.shelve(topic, &history);
                }
                return Ok(history);
            }
        }
    }

    /// Notes that a topic keeps a history, and has others drop theirs if these are too many together.
    fn shelve(&self, topic: &Arc<Topic>, history: &Arc<History>) {
        let removed = lock(&self.shelf).keep(topic, history);
        for (topic, history) in removed {
            topic.drop_history(&history);
        }
    }
}

/// The watched subjects that these references concern, since they name their logs or those of their labels, and the first tags of the logs
/// whose erasure they tell of.
fn named(references: &[Reference]) -> (HashSet<Subject>, HashSet<Tag>) {
    let (mut named, mut erased) = (HashSet::new(), HashSet::new());
    for reference in references {
        match &reference.to {
            Referent::Entry { subject, .. } => _ = named.insert(subject.as_payment()),
            Referent::Erased { first } => _ = erased.insert(*first),
        }
    }
    (named, erased)
}

/// The place of the last of these references, or of an empty feed if there is none.
fn newest(references: &[Reference]) -> Head {
    references.last().map_or(Head::default(), |newest| Head { pos: newest.pos, tag: newest.tag })
}

/// The references after `last`, if the feed still holds `last` itself.
fn after(references: &[Reference], last: Head) -> Option<&[Reference]> {
    if last.pos == 0 {
        return Some(references);
    }
    let (first, rest) = references.split_first()?;
    (first.pos == last.pos && first.tag == last.tag).then_some(rest)
}
