//! Erasure: what is removed of one payment, and what it writes instead.

use super::{
    layout::{self, RecordKey},
    tree::{Batch, Tree},
    work_queue::WorkQueues,
};
use crate::{
    payment::{Name, Subject, Tag},
    store::{Erased, Erasure, Head, Notice, NoticeBody, RecordLog, Reference, Referent, StoreError},
};
use std::{collections::BTreeSet, sync::Arc};

impl Tree {
    /// The keys of all records that bear a payment's id, but for those of the sources `others`. Each source has a bounded number of records.
    pub(super) fn records_of(
        &self,
        payment: &Name,
        others: &BTreeSet<Arc<str>>,
    ) -> Result<Vec<RecordKey>, StoreError> {
        let mut keys = Vec::new();
        for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
            self.each_record(log, |key, record| {
                if record.bears(payment) && !others.contains(&record.source) {
                    keys.push((log, key));
                }
            })?;
        }
        Ok(keys)
    }
}

/// Removes a payment's log and its pending confirmations. Where there was a log or a reference to it, the feed gets one more
/// reference, which tells of the erasure, and so do the watchers. Reads and checks everything before the first write.
pub(super) fn erase(
    batch: &mut Batch<'_>,
    heads: &mut [Head],
    work: &mut WorkQueues,
    erasure: &Erasure,
) -> Result<(Erased, Option<Notice>), StoreError> {
    let subject = &erasure.subject;
    let meta = layout::meta(subject);
    let keys = batch.keys_of(&meta)?;
    let entries = layout::entries(subject);
    let events = keys.iter().filter(|key| key.starts_with(&entries)).count() as u64;
    let is_known = batch.get(&meta)?.is_some() || !keys.is_empty();
    let mut references = references(batch, subject)?;
    let first = match batch.get(&layout::entry(subject, 1))? {
        Some(entry) => layout::decode::<layout::Stored<serde::de::IgnoredAny>>(&entry)?.tag,
        None => references.iter().find(|(_, seq)| *seq == 1).map_or(Tag::NONE, |(first, _)| first.tag),
    };
    let mut erased = Erased { events, references: references.len() as u64, ..Erased::default() };
    let mut notice = None;
    if is_known || !references.is_empty() {
        let partition = subject.partition();
        let head = heads
            .get_mut(usize::from(partition))
            .ok_or_else(|| StoreError::Corrupt("a partition has no head".into()))?;
        let previous = *head;
        let (pos, tag) = (previous.pos + 1, Tag::from_random(rand::random()));
        references.push((Reference { pos, tag, to: Referent::Erased { first } }, 0));
        let mut writes = Vec::with_capacity(references.len());
        for (reference, _) in references {
            let reference = Reference { to: Referent::Erased { first }, ..reference };
            writes.push((layout::reference(partition, reference.pos), layout::encode(&reference)?));
        }

        keys.into_iter().for_each(|key| batch.remove(key));
        batch.remove(meta);
        writes.into_iter().for_each(|(key, value)| batch.put(key, value));
        batch.trim_feed(partition, pos);
        *head = Head { pos, tag };
        notice =
            Some(Notice { partition, pos, previous: previous.tag, tag, body: NoticeBody::Erased { first } });
    }
    erased.confirmations = work.forget(batch, &subject.id, &erasure.others);
    Ok((erased, notice))
}

/// The references of the feed that name a subject, each with the number of the entry that it refers to.
fn references(batch: &Batch<'_>, subject: &Subject) -> Result<Vec<(Reference, u64)>, StoreError> {
    let mut found = Vec::new();
    for pair in batch.after(&layout::feed(subject.partition()), &[]) {
        let (_, value) = pair?;
        let reference: Reference = layout::decode(&value)?;
        if let Referent::Entry { subject: named, seq } = &reference.to
            && named == subject
        {
            let seq = *seq;
            found.push((reference, seq));
        }
    }
    Ok(found)
}

/// Removes records that bear an erased payment's id, and returns how many of each log there still were.
pub(super) fn remove_records(batch: &mut Batch<'_>, keys: Vec<RecordKey>) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let mut there = Vec::new();
    for (log, key) in keys {
        if batch.get(&key)?.is_some() {
            match log {
                RecordLog::Deliveries => erased.deliveries += 1,
                RecordLog::Quarantine => erased.quarantined += 1,
            }
            there.push(key);
        }
    }
    there.into_iter().for_each(|key| batch.remove(key));
    Ok(erased)
}
