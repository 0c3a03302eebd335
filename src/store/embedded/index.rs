//! The index in memory: the payments of each realm that changed most recently.
//!
//! It says what is durable and nothing else: the writer adds a batch when its group was synced, and a start loads what the tree has and adds
//! the groups of the journal behind it. What it has to write into the tree goes with the layer of that batch, so the journal has no byte
//! for it. The number of the last group that the tree's index knows stands beside it. If a gateway that keeps no index has carried groups
//! since then, the numbers differ, and the index begins anew.

use super::{
    layer::Layer,
    layout::{self, IndexHead, IndexMark, Place},
    tree::Tree,
};
use crate::{
    payment::{Kind, Name, PARTITIONS, Subject, Time},
    store::{IndexPart, Listed, StoreError},
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The index of all realms.
pub(super) struct Index {
    /// The payments of a realm that one partition may hold.
    share: usize,
    /// All payments that changed since this time are in the index, but for those that had no room; `None` if it is as old as the store.
    begun: Option<Time>,
    /// The time of the last append of each partition.
    last: Vec<Time>,
    realms: HashMap<Name, Realm>,
    /// When the batch began that is being written.
    writing: Option<Time>,
}

/// The index of one realm.
struct Realm {
    parts: Vec<Part>,
    head: IndexHead,
}

/// The payments of one realm in one partition.
#[derive(Default)]
struct Part {
    places: HashMap<Name, Place>,
    /// The same payments in the order of their changes.
    order: BTreeSet<Change>,
}

/// A payment's last change: its time, the number of its entry, and the payment.
type Change = (Time, u64, Name);

/// What has to be written into the tree.
type Pairs<'a> = &'a mut dyn FnMut(Vec<u8>, Option<Bytes>);

impl Default for Realm {
    fn default() -> Self {
        Self { parts: (0..PARTITIONS).map(|_| Part::default()).collect(), head: IndexHead::default() }
    }
}

impl Index {
    /// An empty index that holds up to `share` payments of each realm in each partition.
    pub(super) fn new(share: usize, begun: Option<Time>) -> Self {
        let last = vec![Time::default(); PARTITIONS];
        Self { share, begun, last, realms: HashMap::new(), writing: None }
    }

    /// Since when the index exists; `None` if it is as old as the store.
    pub(super) fn begun(&self) -> Option<Time> {
        self.begun
    }

    /// Takes over what the tree knows of a realm.
    pub(super) fn load_head(&mut self, realm: Name, head: IndexHead) {
        self.realms.entry(realm).or_default().head = head;
    }

    /// Takes over a place that the tree knows.
    pub(super) fn load(&mut self, realm: Name, payment: Name, place: Place, write: Pairs<'_>) {
        self.put(&Subject::payment(realm, payment), place, write);
    }

    /// The time of an append to a partition: now, but not before the last one.
    pub(super) fn stamp(&self, partition: u8, now: Time) -> Time {
        self.last.get(usize::from(partition)).map_or(now, |last| now.max(*last))
    }

    /// A batch begins, whose appends get the time `now` or a later one.
    pub(super) const fn begin(&mut self, now: Time) {
        self.writing = Some(now);
    }

    /// Takes over what a batch came to, now that it is durable, and adds to its layer what the tree has to hold.
    pub(super) fn absorb(&mut self, batch: &mut Layer) {
        let now = self.writing.take().unwrap_or_default();
        let mut pairs = Vec::new();
        let mut write = |key, value| pairs.push((key, value));
        for (subject, log) in &batch.logs {
            match &log.meta {
                Some(meta) => self.append(subject, meta.seq, meta.last, log.anew, &mut write),
                None => self.forget(subject, now, &mut write),
            }
        }
        pairs.into_iter().for_each(|(key, value)| batch.pair(key, value));
    }

    /// Takes over an append: entry `seq` of a log, which begins `anew` with it if nothing of an earlier log is left.
    pub(super) fn append(&mut self, subject: &Subject, seq: u64, at: Time, anew: bool, write: Pairs<'_>) {
        if subject.kind != Kind::Payment {
            return;
        }
        if anew {
            self.forget(subject, at, write);
        }
        let known = self.part(subject).places.get(&subject.id);
        let first_seen = known.map_or(at, |known| known.first_seen);
        self.put(subject, Place { first_seen, changed: at, seq }, write);
    }

    /// Takes over that a log is gone.
    pub(super) fn forget(&mut self, subject: &Subject, at: Time, write: Pairs<'_>) {
        let Some(place) = self.part(subject).places.remove(&subject.id) else { return };
        self.part(subject).order.remove(&(place.changed, place.seq, subject.id.clone()));
        write(layout::index_place(&subject.realm, &subject.id), None);
        let head = &mut self.realms.entry(subject.realm.clone()).or_default().head;
        head.erased = head.erased.max(Some(at));
        write(layout::index_head(&subject.realm), Some(head.encode().into()));
    }

    /// Puts a payment at its place, and removes what has no room any more.
    fn put(&mut self, subject: &Subject, place: Place, write: Pairs<'_>) {
        if let Some(last) = self.last.get_mut(usize::from(subject.partition())) {
            *last = place.changed.max(*last);
        }
        let share = self.share;
        let part = self.part(subject);
        if let Some(known) = part.places.insert(subject.id.clone(), place) {
            part.order.remove(&(known.changed, known.seq, subject.id.clone()));
        }
        part.order.insert((place.changed, place.seq, subject.id.clone()));
        let mut removed = Vec::new();
        while part.places.len() > share
            && let Some((changed, _, payment)) = part.order.pop_first()
        {
            part.places.remove(&payment);
            removed.push((changed, payment));
        }
        write(layout::index_place(&subject.realm, &subject.id), Some(place.encode().into()));
        let Some((newest, _)) = removed.last() else { return };
        // A payment that changed within the same millisecond may have been removed too.
        let complete_since = Time::from_unix_ms(newest.unix_ms() + 1).unwrap_or(*newest);
        for (_, payment) in &removed {
            write(layout::index_place(&subject.realm, payment), None);
        }
        let head = &mut self.realms.entry(subject.realm.clone()).or_default().head;
        head.complete_since = head.complete_since.max(Some(complete_since));
        write(layout::index_head(&subject.realm), Some(head.encode().into()));
    }

    #[expect(clippy::indexing_slicing, reason = "each realm has 256 parts, and a partition is a u8")]
    fn part(&mut self, subject: &Subject) -> &mut Part {
        if !self.realms.contains_key(&subject.realm) {
            self.realms.insert(subject.realm.clone(), Realm::default());
        }
        let realm = self.realms.entry(subject.realm.clone()).or_default();
        &mut realm.parts[usize::from(subject.partition())]
    }

    /// Reads parts of a realm: those partitions, each from the time beside it on.
    pub(super) fn read(&self, realm: &Name, from: &[(u8, Time)], now: Time) -> Vec<IndexPart> {
        let now = self.writing.map_or(now, |writing| writing.min(now));
        let realm = self.realms.get(realm);
        let head = realm.map(|realm| realm.head).unwrap_or_default();
        let complete_since = self.begun.max(head.complete_since);
        let read = |(partition, from): &(u8, Time)| {
            let part = realm.and_then(|realm| realm.parts.get(usize::from(*partition)));
            let newest = part.into_iter().flat_map(|part| part.order.iter().rev());
            let newest = newest.take_while(|(changed, ..)| changed >= from);
            let listed = newest.filter_map(|(changed, seq, payment)| {
                let first_seen = part?.places.get(payment)?.first_seen;
                Some(Listed { payment: payment.clone(), first_seen, changed: *changed, seq: *seq })
            });
            let mut listed: Vec<_> = listed.collect();
            listed.reverse();
            let count = part.map_or(0, |part| part.places.len() as u64);
            IndexPart { listed, count, now, complete_since, erased: head.erased }
        };
        from.iter().map(read).collect()
    }
}

/// Reads the index that the tree has, or begins one. What the tree has to hold from now on goes to `write`.
pub(super) fn open(
    tree: &Tree,
    carried: u64,
    share: usize,
    now: Time,
    write: Pairs<'_>,
) -> Result<Index, StoreError> {
    let moment = tree.now();
    let mark = tree.get(layout::INDEXED)?.map(|mark| IndexMark::decode(&mark)).transpose()?;
    let pairs = |prefix: &'static [u8]| moment.after(prefix, &[]);
    if let Some(mark) = mark.filter(|mark| mark.group == carried) {
        let mut index = Index::new(share, mark.begun);
        let mut heads = BTreeMap::new();
        for pair in pairs(layout::INDEX_HEADS) {
            let (key, value) = pair?;
            heads.insert(layout::realm_of_head(&key)?, IndexHead::decode(&value)?);
        }
        heads.into_iter().for_each(|(realm, head)| index.load_head(realm, head));
        for pair in pairs(layout::INDEX_PLACES) {
            let (key, value) = pair?;
            let (realm, payment) = layout::payment_of_place(&key)?;
            index.load(realm, payment, Place::decode(&value)?, &mut |key, value| {
                // What is there already is not written again.
                if value.is_none() {
                    write(key, value);
                }
            });
        }
        return Ok(index);
    }
    for prefix in [layout::INDEX_HEADS, layout::INDEX_PLACES] {
        for pair in pairs(prefix) {
            write(pair?.0.to_vec(), None);
        }
    }
    let is_new = pairs(layout::METAS).next().is_none();
    Ok(Index::new(share, (!is_new).then_some(now)))
}
