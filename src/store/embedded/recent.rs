//! What is not in the tree yet, over the tree: what the writer decides on and what everybody reads.
//!
//! There are two layers, as in any log-structured store: an active one, to which the writer adds what was synced, and one that is being carried into
//! the tree and does not change. Readers look into both and then into the tree. The lock is held for moments only: nothing is read
//! from the disk or decoded under it.

use super::{
    index::Index,
    layer::{Layer, RecentLog},
    layout,
    tree::{Moment, Tree},
};
use crate::{
    payment::{Digest, Event, Subject, Tag, Time},
    store::{Entry, FEED_LEN, Feed, Head, Log, RecordCursor, Reference, StoreError},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The layers over the tree. The writer, the carrier and all readers share them.
pub(super) struct Recent {
    /// The tree below the layers.
    pub(super) tree: Tree,
    layers: Mutex<Layers>,
    /// The index of the payments that changed most recently, if there is one. Its lock may be held while that of the layers is taken, and
    /// not the other way round.
    index: Option<Mutex<Index>>,
    /// Rung for the carrier.
    pub(super) due: Condvar,
    /// Rung for the writer, when the tree holds more than before.
    pub(super) carried: Condvar,
}

/// The layers, and what the writer and the carrier tell each other.
#[derive(Default)]
pub(super) struct Layers {
    /// What was synced since the last carrying began.
    pub(super) active: Layer,
    /// What is being carried.
    pub(super) carrying: Option<Arc<Layer>>,
    /// The number of the last group that the tree holds durably.
    pub(super) carried: u64,
    /// When the first change came into the active layer.
    pub(super) since: Option<Instant>,
    /// Whether the writer waits for room in the journal.
    pub(super) is_pressed: bool,
    /// Whether the store is being closed.
    pub(super) is_closing: bool,
    /// Logs that the sweep found to be past their time to live.
    pub(super) stale: Vec<Subject>,
}

impl Layers {
    /// The layers from the newest to the oldest.
    fn newest_first(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.active).chain(self.carrying.as_deref())
    }

    /// What the layers say of the keys in a range, as of the changes in `newest`.
    fn merged_pairs(
        &self,
        newest: &Layer,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> BTreeMap<Vec<u8>, Option<Bytes>> {
        let all = self.carrying.as_deref().into_iter().chain([&self.active, newest]);
        let pairs = all.flat_map(|layer| layer.pairs.range::<[u8], _>(range));
        pairs.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Adds what was synced.
    pub(super) fn absorb(&mut self, newer: Layer) {
        self.active.absorb(newer);
        if self.since.is_none() && !self.active.is_empty() {
            self.since = Some(Instant::now());
        }
    }
}

/// What the store held at one moment: all that was acknowledged until then.
pub(super) struct Frozen<'a> {
    /// The tree.
    pub(super) tree: Moment<'a>,
    /// The number of the last group of the journal, which holds what the tree lacks.
    pub(super) last: u64,
    /// What neither of them has: the newest lines of the delivery logs and of receipts.
    pub(super) lines: Vec<(Vec<u8>, Option<Bytes>)>,
}

/// The parts of a log in the layers.
struct Parts<'a> {
    /// The meta by the newest layer that has the log.
    meta: Option<Option<layout::Meta>>,
    /// The entries, from number `first` on.
    entries: Vec<Bytes>,
    first: u64,
    /// The tree, if it has to be read too.
    below: Option<Moment<'a>>,
}

impl Recent {
    /// The layers over a tree, given what the journal holds besides.
    pub(super) fn new(tree: Tree, carried: u64, replayed: Layer, index: Option<Index>) -> Self {
        let mut layers = Layers { carried, ..Layers::default() };
        layers.absorb(replayed);
        let index = index.map(Mutex::new);
        Self { tree, layers: Mutex::new(layers), index, due: Condvar::new(), carried: Condvar::new() }
    }

    /// The index, for this caller alone; nothing if none is kept.
    pub(super) fn index(&self) -> Option<MutexGuard<'_, Index>> {
        self.index.as_ref().map(|index| index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Since when the index exists, if one is kept.
    pub(super) fn index_begun(&self) -> Option<Option<Time>> {
        self.index().map(|index| index.begun())
    }

    /// Adds what a batch came to, now that it is durable, and rings for the carrier if the layer has so many bytes.
    pub(super) fn absorb(&self, mut batch: Layer, pace_bytes: usize) {
        // Held until the layers have the batch, so that whoever finds a payment in the index finds its log.
        let mut index = self.index();
        if let Some(index) = &mut index {
            index.absorb(&mut batch);
        }
        let mut layers = self.lock();
        layers.absorb(batch);
        if layers.active.bytes >= pace_bytes {
            self.due.notify_all();
        }
    }

    /// The layers, for this caller alone.
    pub(super) fn lock(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The meta of a log, as of the changes in `newest`.
    pub(super) fn meta(&self, newest: &Layer, subject: &Subject) -> Result<Option<layout::Meta>, StoreError> {
        {
            let layers = self.lock();
            let mut all = std::iter::once(newest).chain(layers.newest_first());
            if let Some(log) = all.find_map(|layer| layer.logs.get(subject)) {
                return Ok(log.meta.clone());
            }
        }
        self.tree.meta(subject)
    }

    /// What is remembered of an event's identity, and the tag of its entry, as of the changes in `newest`.
    pub(super) fn seen(
        &self,
        newest: &Layer,
        subject: &Subject,
        identity: Digest,
    ) -> Result<Option<(layout::Seen, Tag)>, StoreError> {
        let in_log = |log: &RecentLog| {
            let (seq, entry) =
                (log.first_seq()..).zip(&log.entries).find(|(_, entry)| entry.identity == identity)?;
            Some((layout::Seen { digest: entry.digest, seq }, entry.tag))
        };
        {
            let layers = self.lock();
            for log in std::iter::once(newest)
                .chain(layers.newest_first())
                .filter_map(|layer| layer.logs.get(subject))
            {
                let seen = in_log(log);
                if seen.is_some() || log.is_whole() {
                    return Ok(seen);
                }
            }
        }
        self.tree.seen(subject, identity)
    }

    /// Reads a subject's whole log. The log is empty if `is_alive` says that it is past its time to live, given the time of its last
    /// append.
    pub(super) fn log(&self, subject: &Subject, is_alive: impl Fn(Time) -> bool) -> Result<Log, StoreError> {
        let entry = |bytes: Bytes| {
            let stored: layout::Stored<Event> = layout::decode(&bytes)?;
            Ok(Entry { tag: stored.tag, event: Arc::new(stored.event) })
        };
        let entries = self.entries(&Layer::default(), subject, is_alive)?;
        entries.into_iter().map(entry).collect::<Result<_, _>>().map(|entries| Log { entries })
    }

    /// The entries of a log as the tree keeps them, as of the changes in `newest`; none if `is_alive` says that its time to live is over.
    pub(super) fn entries(
        &self,
        newest: &Layer,
        subject: &Subject,
        is_alive: impl Fn(Time) -> bool,
    ) -> Result<Vec<Bytes>, StoreError> {
        let Parts { meta, entries, first, below } = self.parts(newest, subject);
        let meta = match (meta, &below) {
            (Some(meta), _) => meta,
            (None, Some(tree)) => tree.meta(subject)?,
            (None, None) => None,
        };
        let Some(meta) = meta.filter(|meta| is_alive(meta.last)) else { return Ok(Vec::new()) };
        let mut all = below.map_or(Ok(Vec::new()), |tree| tree.entries(subject, first.min(meta.seq + 1)))?;
        all.extend(entries);
        match all.len() as u64 == meta.seq {
            true => Ok(all),
            false => Err(StoreError::Corrupt(format!("the log of {subject} has a hole"))),
        }
    }

    fn parts(&self, newest: &Layer, subject: &Subject) -> Parts<'_> {
        let layers = self.lock();
        let mut parts = Parts { meta: None, entries: Vec::new(), first: u64::MAX, below: None };
        let all = std::iter::once(newest).chain(layers.newest_first());
        for log in all.filter_map(|layer| layer.logs.get(subject)) {
            parts.meta.get_or_insert_with(|| log.meta.clone());
            parts.entries.splice(0..0, log.entries.iter().map(|entry| entry.stored.clone()));
            parts.first = log.first_seq();
            if log.is_whole() {
                return parts;
            }
        }
        // Taken under the lock, so that what leaves a layer is in it.
        parts.below = Some(self.tree.now());
        parts
    }

    /// Reads the references of a feed from place `from` on.
    pub(super) fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        // The head of an empty feed is 0, before the first entry: a reader that starts there has missed nothing yet.
        let from = from.max(1);
        let (newest, references) = self.references(&Layer::default(), partition, from)?;
        if from < oldest(newest) || from > newest.pos.max(1) {
            return Ok(Feed::Gone(newest));
        }
        Ok(Feed::References(references))
    }

    /// The newest place of a feed, and the references that it still has from place `from` on, as of the changes in `newest`.
    pub(super) fn references(
        &self,
        newest: &Layer,
        partition: u8,
        from: u64,
    ) -> Result<(Head, Vec<Reference>), StoreError> {
        let (mut recent, mut replaced) = (Vec::new(), BTreeMap::new());
        let tree = {
            let layers = self.lock();
            for layer in layers.carrying.as_deref().into_iter().chain([&layers.active, newest]) {
                recent.extend(layer.feeds.get(&partition).into_iter().flatten().cloned());
                let range = layer.replaced.range((partition, 0)..=(partition, u64::MAX));
                replaced.extend(range.map(|((_, pos), reference)| (*pos, reference.clone())));
            }
            self.tree.now()
        };
        let read = |before, first, limit| {
            let newest = tree.references(partition, before, first, limit)?;
            newest
                .iter()
                .rev()
                .map(|(_, item)| layout::decode::<Reference>(item))
                .collect::<Result<Vec<_>, _>>()
        };
        let last = match recent.last() {
            Some(last) => Some(last.clone()),
            None => read(u64::MAX, 0, 1)?.pop(),
        };
        let head = last.map_or(Head::default(), |last| Head { pos: last.pos, tag: last.tag });
        let from = from.max(oldest(head));
        let before = recent.first().map_or(u64::MAX, |first| first.pos);
        let mut references = if from < before { read(before, from, usize::MAX)? } else { Vec::new() };
        references.extend(recent.into_iter().filter(|reference| reference.pos >= from));
        for reference in &mut references {
            if let Some(instead) = replaced.remove(&reference.pos) {
                *reference = instead;
            }
        }
        Ok((head, references))
    }

    /// What the store holds at this moment.
    pub(super) fn freeze(&self) -> Frozen<'_> {
        let layers = self.lock();
        let last = layers.newest_first().map(|layer| layer.last_group).max().unwrap_or_default();
        let mut lines = Vec::new();
        for first in layout::VOLATILE {
            let range = (Bound::Included(&[first][..]), Bound::Excluded(&[first + 1][..]));
            lines.extend(layers.merged_pairs(&Layer::default(), range));
        }
        // Taken under the lock, so that what leaves a layer is in it.
        Frozen { tree: self.tree.now(), last: last.max(layers.carried), lines }
    }

    /// The newest place of each feed.
    pub(super) fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let mut heads = self.tree.heads()?;
        let layers = self.lock();
        for (partition, feed) in layers.newest_first().flat_map(|layer| &layer.feeds) {
            if let (Some(head), Some(last)) = (heads.get_mut(usize::from(*partition)), feed.back()) {
                *head = std::cmp::max_by_key(*head, Head { pos: last.pos, tag: last.tag }, |head| head.pos);
            }
        }
        Ok(heads)
    }

    /// Whether there is a record or a pending confirmation with this key, as of the changes in `newest`.
    pub(super) fn has(&self, newest: &Layer, key: &[u8]) -> Result<bool, StoreError> {
        {
            let layers = self.lock();
            let mut all = std::iter::once(newest).chain(layers.newest_first());
            if let Some(value) = all.find_map(|layer| layer.pairs.get(key)) {
                return Ok(value.is_some());
            }
        }
        Ok(self.tree.get(key)?.is_some())
    }

    /// The value of a key, as of the changes in `newest`.
    pub(super) fn get(&self, newest: &Layer, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        {
            let layers = self.lock();
            let mut all = std::iter::once(newest).chain(layers.newest_first());
            if let Some(value) = all.find_map(|layer| layer.pairs.get(key)) {
                return Ok(value.clone());
            }
        }
        Ok(self.tree.get(key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// What the layers say of the keys in a range, as of the changes in `newest`: a key without a value was removed.
    fn recent_pairs(
        &self,
        newest: &Layer,
        range: (Bound<&[u8]>, Bound<&[u8]>),
    ) -> (Moment<'_>, BTreeMap<Vec<u8>, Option<Bytes>>) {
        let layers = self.lock();
        (self.tree.now(), layers.merged_pairs(newest, range))
    }

    /// The records or pending confirmations whose keys have a prefix, as of the changes in `newest`, in order.
    pub(super) fn pairs(&self, newest: &Layer, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let (tree, mut recent) = self.recent_pairs(newest, (Bound::Included(prefix), Bound::Unbounded));
        for pair in tree.after(prefix, &[]) {
            let (key, value) = pair?;
            recent.entry(key.to_vec()).or_insert_with(|| Some(Bytes::copy_from_slice(&value)));
        }
        let own = recent.into_iter().take_while(|(key, _)| key.starts_with(prefix));
        Ok(own.filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// The newest records of a log, newest first, with their keys, as of the changes in `newest`: at most `limit` of those before number
    /// `before`.
    pub(super) fn newest_records(
        &self,
        newest: &Layer,
        prefix: &[u8],
        before: u64,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let [first, end] = [0, before].map(|number| layout::numbered(prefix.to_vec(), number));
        self.newest_in(newest, &first, &end, limit)
    }

    /// The last pairs between two keys, the last one first, as of the changes in `newest`: at most `limit`. The second key is not among them.
    pub(super) fn newest_in(
        &self,
        newest: &Layer,
        first: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let range = (Bound::Included(first), Bound::Excluded(end));
        let (tree, recent) = self.recent_pairs(newest, range);
        let mut records = Vec::new();
        for pair in tree.before(first, end) {
            let (key, value) = pair?;
            if records.len() == limit {
                break;
            }
            if !recent.contains_key(&*key) {
                records.push((key.to_vec(), Bytes::copy_from_slice(&value)));
            }
        }
        records.extend(recent.into_iter().filter_map(|(key, value)| Some((key, value?))));
        records.sort_unstable_by(|one, other| other.0.cmp(&one.0));
        records.truncate(limit);
        Ok(records)
    }

    /// Reads what is numbered under a prefix, newest first, each with its cursor, which is its number: at most `limit` of it.
    pub(super) fn newest<T>(
        &self,
        prefix: &[u8],
        before: Option<RecordCursor>,
        limit: usize,
        read: fn(&[u8]) -> Result<T, StoreError>,
    ) -> Result<Vec<(RecordCursor, T)>, StoreError> {
        let before = before.map_or(u64::MAX, |cursor| cursor.major);
        let newest = self.newest_records(&Layer::default(), prefix, before, limit)?;
        let read = |(key, value): (Vec<u8>, Bytes)| {
            Ok((RecordCursor { major: layout::number(&key)?, minor: 0 }, read(&value)?))
        };
        newest.into_iter().map(read).collect()
    }

    /// Reads all pending confirmations.
    pub(super) fn confirmations(&self) -> Result<Vec<layout::PendingConfirmation>, StoreError> {
        let pairs = self.pairs(&Layer::default(), layout::CONFIRMATIONS)?;
        pairs.into_iter().map(|(_, value)| layout::decode(&value)).collect()
    }
}

/// The oldest place that a feed with this head still has.
fn oldest(head: Head) -> u64 {
    (head.pos + 1).saturating_sub(FEED_LEN).max(1)
}
