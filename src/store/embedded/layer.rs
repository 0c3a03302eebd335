//! Layers: what changes come to, in memory. A newer layer lies over older ones and at last over the tree.

use super::{
    change::{Change, NewEntry},
    layout::{self, Meta},
};
use crate::{
    payment::{Digest, Subject, Tag},
    store::{FEED_LEN, Reference, Referent, StoreError},
};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What some groups of changes came to.
#[derive(Default)]
pub(super) struct Layer {
    /// The logs that were changed.
    pub(super) logs: HashMap<Subject, RecentLog>,
    /// The newest references of each feed, at most [`FEED_LEN`], in order.
    pub(super) feeds: BTreeMap<u8, VecDeque<Reference>>,
    /// References that stand in place of those that lower layers or the tree have, by partition and place.
    pub(super) replaced: BTreeMap<(u8, u64), Reference>,
    /// The records and pending confirmations that were written or removed, by key.
    pub(super) pairs: BTreeMap<Vec<u8>, Option<Bytes>>,
    /// The length of the groups in the journal.
    pub(super) bytes: usize,
    /// The number of the last group.
    pub(super) last_group: u64,
}

/// What a layer knows about a log.
#[derive(Default)]
pub(super) struct RecentLog {
    /// The meta; nothing if the log was forgotten.
    pub(super) meta: Option<Meta>,
    /// Whether nothing of what lies below belongs to the log any more.
    pub(super) anew: bool,
    /// The last entries of the log, in order.
    pub(super) entries: Vec<RecentEntry>,
}

/// An entry of a log in memory.
pub(super) struct RecentEntry {
    pub(super) tag: Tag,
    pub(super) identity: Digest,
    pub(super) digest: Digest,
    /// The entry as the tree keeps it.
    pub(super) stored: Bytes,
}

impl RecentLog {
    /// The number of its first entry here, or of the next one if there is none.
    pub(super) fn first_seq(&self) -> u64 {
        let seq = self.meta.as_ref().map_or(0, |meta| meta.seq);
        (seq + 1).saturating_sub(self.entries.len() as u64)
    }

    /// Whether all of the log is here, so that nobody has to look further down.
    pub(super) fn is_whole(&self) -> bool {
        self.anew || self.first_seq() == 1
    }
}

impl Layer {
    /// Whether there is nothing that the tree would have to hold.
    pub(super) fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.feeds.is_empty() && self.pairs.is_empty()
    }

    /// Makes a change part of the layer. After an error the layer is as before.
    pub(super) fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Entry(entry) => self.append(entry),
            Change::Pair { key, value } => self.pair(key, value),
            Change::Reference { partition, reference, is_new } => {
                let reference = layout::decode(&reference)?;
                if is_new {
                    push(self.feeds.entry(partition).or_default(), reference);
                } else {
                    self.replace(partition, reference);
                }
            }
            Change::Forget(subject) => {
                self.logs.insert(subject, RecentLog { anew: true, ..RecentLog::default() });
            }
        }
        Ok(())
    }

    fn replace(&mut self, partition: u8, reference: Reference) {
        let feed = self.feeds.get_mut(&partition);
        match feed.and_then(|feed| feed.iter_mut().find(|known| known.pos == reference.pos)) {
            Some(known) => *known = reference,
            None => drop(self.replaced.insert((partition, reference.pos), reference)),
        }
    }

    fn append(&mut self, entry: NewEntry) {
        let NewEntry { subject, seq, tag, pos, provider, at, anew, identity, digest, stored } = entry;
        let feed = self.feeds.entry(subject.partition()).or_default();
        push(feed, Reference { pos, tag, to: Referent::Entry { subject: subject.clone(), seq } });
        let log = self.logs.entry(subject).or_default();
        if anew {
            *log = RecentLog { anew, ..RecentLog::default() };
        }
        log.meta = Some(Meta { seq, provider, last: at });
        log.entries.push(RecentEntry { tag, identity, digest, stored });
    }

    /// Writes a pair, or removes it.
    pub(super) fn pair(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        // The key of a record is used once: if it came in this layer, nothing below has it.
        if value.is_none() && layout::is_of_record(&key) && self.pairs.get(&key).is_some_and(Option::is_some)
        {
            self.pairs.remove(&key);
        } else {
            self.pairs.insert(key, value);
        }
    }

    /// Takes over what a newer layer holds.
    pub(super) fn absorb(&mut self, newer: Self) {
        for (subject, log) in newer.logs {
            let known = self.logs.entry(subject).or_default();
            if log.anew {
                *known = log;
            } else {
                known.meta = log.meta;
                known.entries.extend(log.entries);
            }
        }
        for (partition, references) in newer.feeds {
            let feed = self.feeds.entry(partition).or_default();
            references.into_iter().for_each(|reference| push(feed, reference));
        }
        for ((partition, _), reference) in newer.replaced {
            self.replace(partition, reference);
        }
        newer.pairs.into_iter().for_each(|(key, value)| self.pair(key, value));
        self.bytes += newer.bytes;
        self.last_group = self.last_group.max(newer.last_group);
    }
}

/// Adds a reference behind the others, and removes the first one if there are more than a feed keeps.
fn push(feed: &mut VecDeque<Reference>, reference: Reference) {
    feed.push_back(reference);
    if feed.len() as u64 > FEED_LEN {
        feed.pop_front();
    }
}
