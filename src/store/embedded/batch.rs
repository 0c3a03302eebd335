//! A batch: what the writer has decided and not synced yet. It becomes one group of the journal and then part of the active layer. Its reads see
//! its own changes.

use super::{change::Change, journal::HEAD_BYTES, layer::Layer, layout, recent::Recent};
use crate::{
    payment::{Digest, Subject, Tag, Time},
    store::{Reference, StoreError},
};
use bytes::Bytes;

/// The longest change, in bytes: an event of a body of 4 MiB at most. A group is at most one change longer than the writer lets it grow.
pub(super) const MAX_CHANGE_BYTES: usize = 4 << 20;

/// Changes that are not synced yet.
pub(super) struct Batch<'a> {
    recent: &'a Recent,
    /// Room for the head of the group, and then its payload.
    pub(super) group: Vec<u8>,
    /// What the changes come to.
    pub(super) layer: Layer,
}

impl<'a> Batch<'a> {
    /// A batch without changes, in the memory of an earlier one.
    pub(super) fn new(recent: &'a Recent, mut group: Vec<u8>) -> Self {
        group.clear();
        group.resize(HEAD_BYTES, 0);
        Self { recent, group, layer: Layer::default() }
    }

    /// Adds a change. After an error the batch is as before.
    pub(super) fn add(&mut self, change: Change) -> Result<(), StoreError> {
        let before = self.group.len();
        let written = change.write_to(&mut self.group);
        let length = self.group.len() - before;
        let outcome = written.and_then(|()| match length <= MAX_CHANGE_BYTES {
            true => self.layer.apply(change),
            false => Err(StoreError::Unavailable(format!(
                "{length} bytes are more than its journal takes at once"
            ))),
        });
        if outcome.is_err() {
            self.group.truncate(before);
        }
        outcome
    }

    /// Writes a record or a pending confirmation.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.add(Change::Pair { key, value: Some(value.into()) })
    }

    /// Removes a record or a pending confirmation.
    pub(super) fn remove(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.add(Change::Pair { key, value: None })
    }

    /// Writes or removes a record that may be lost in a crash: it goes into the tree with the layer, and not into the journal.
    pub(super) fn set_volatile(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.layer.pair(key, value.map(Bytes::from));
    }

    /// The records or pending confirmations whose keys have a prefix, in order.
    pub(super) fn pairs(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        self.recent.pairs(&self.layer, prefix)
    }

    /// Whether there is a record or a pending confirmation with this key.
    pub(super) fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.recent.has(&self.layer, key)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.recent.get(&self.layer, key)
    }

    /// The keys of what is held under ids of times before this one, in milliseconds: at most `limit`.
    pub(super) fn held_before(&self, ms: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let held = self.recent.newest_in(&self.layer, layout::HELD, &layout::held_before(ms), limit)?;
        Ok(held.into_iter().map(|(key, _)| key).collect())
    }

    /// The references of a feed, in order.
    pub(super) fn references(&self, partition: u8) -> Result<Vec<Reference>, StoreError> {
        Ok(self.recent.references(&self.layer, partition, 0)?.1)
    }

    /// The entries of a log as the tree keeps them, whether its time to live is over or not.
    pub(super) fn entries(&self, subject: &Subject) -> Result<Vec<Bytes>, StoreError> {
        self.recent.entries(&self.layer, subject, |_| true)
    }

    /// The newest record of a log, with its key.
    pub(super) fn newest_record(&self, prefix: &[u8]) -> Result<Option<(Vec<u8>, Bytes)>, StoreError> {
        Ok(self.recent.newest_records(&self.layer, prefix, u64::MAX, 1)?.pop())
    }

    /// The time of an append to a partition, which in an index never goes back.
    pub(super) fn stamp(&self, partition: u8, now: Time) -> Time {
        self.recent.index().map_or(now, |index| index.stamp(partition, now))
    }

    /// The meta of a log.
    pub(super) fn meta(&self, subject: &Subject) -> Result<Option<layout::Meta>, StoreError> {
        self.recent.meta(&self.layer, subject)
    }

    /// What is remembered of an event's identity, and the tag of its entry.
    pub(super) fn seen(
        &self,
        subject: &Subject,
        identity: Digest,
    ) -> Result<Option<(layout::Seen, Tag)>, StoreError> {
        self.recent.seen(&self.layer, subject, identity)
    }
}
