//! Erasure: what is removed of one payment, and what it writes instead.

use super::{
    batch::Batch,
    change::Change,
    layer::Layer,
    layout::{self, KeysToErase},
    receipts,
    recent::Recent,
    records::{RecordLogs, held},
    work_queue::WorkQueues,
};
use crate::{
    payment::Tag,
    store::{Erased, Erasure, Head, Notice, NoticeBody, Record, RecordLog, Reference, Referent, StoreError},
};

/// The keys of all records that bear a payment's id or that of one of its parts, or are held with a body that does, but for those of the sources
/// of other realms. Each source has a bounded number of records.
pub(super) fn records_of(recent: &Recent, erasure: &Erasure) -> Result<KeysToErase, StoreError> {
    let mut keys = Vec::new();
    for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
        for (key, value) in recent.pairs(&Layer::default(), &layout::all_records(log))? {
            let record = Record::from_bytes(&value)?;
            if record.bears(erasure) && !erasure.others.contains(&record.source) {
                keys.push((log, key));
            }
        }
    }
    Ok(KeysToErase { records: keys, held: held::bearing(recent, erasure)? })
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
    let partition = subject.partition();
    // A page may have asked for the payment by a label, and is noted under the id that it knows.
    let receipt = receipts::keys_of(batch, &subject.as_payment())?;
    let is_known = batch.meta(subject)?.is_some();
    let entries = batch.entries(subject)?;
    let mut references = Vec::new();
    let mut named = Tag::NONE;
    for reference in batch.references(partition)? {
        match &reference.to {
            Referent::Entry { subject: of, seq } if of == subject => {
                named = if *seq == 1 && named == Tag::NONE { reference.tag } else { named };
                references.push(reference);
            }
            _ => {}
        }
    }
    let first = match entries.first() {
        Some(entry) => layout::decode::<layout::Stored<serde::de::IgnoredAny>>(entry)?.tag,
        None => named,
    };
    let mut erased =
        Erased { events: entries.len() as u64, references: references.len() as u64, ..Erased::default() };
    let mut notice = None;
    if is_known || !references.is_empty() {
        let head = heads
            .get_mut(usize::from(partition))
            .ok_or_else(|| StoreError::Corrupt("a partition has no head".into()))?;
        let previous = *head;
        let (pos, tag) = (previous.pos + 1, Tag::from_random(rand::random()));
        let places = references.iter().map(|reference| (reference.pos, reference.tag, false));
        let mut changes = Vec::with_capacity(references.len() + 2);
        for (pos, tag, is_new) in places.chain([(pos, tag, true)]) {
            let reference = Reference { pos, tag, to: Referent::Erased { first } };
            let reference = layout::encode(&reference)?.into();
            changes.push(Change::Reference { partition, reference, is_new });
        }
        if is_known {
            changes.push(Change::Forget(subject.clone()));
        }
        changes.into_iter().try_for_each(|change| batch.add(change))?;
        *head = Head { pos, tag };
        notice =
            Some(Notice { partition, pos, previous: previous.tag, tag, body: NoticeBody::Erased { first } });
    }
    erased.receipts = receipt.len().saturating_sub(1) as u64;
    receipt.into_iter().try_for_each(|key| batch.remove(key))?;
    erased.confirmations = work.forget(batch, &subject.id, &erasure.others)?;
    Ok((erased, notice))
}

/// Removes records that bear an erased payment's id and what is held of it, and returns how many records of each log there still were.
pub(super) fn remove_records(
    batch: &mut Batch<'_>,
    records: &mut RecordLogs,
    KeysToErase { records: keys, held }: KeysToErase,
) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let of_held = held.iter().map(|(_, key)| (RecordLog::Quarantine, key.clone()));
    for (log, key) in keys.into_iter().chain(of_held) {
        if batch.has(&key)? {
            match log {
                RecordLog::Deliveries => erased.deliveries += 1,
                RecordLog::Quarantine => erased.quarantined += 1,
            }
            batch.remove(key)?;
        }
    }
    for (key, record) in held {
        batch.remove(key)?;
        let number = layout::number(&record)?;
        records.forget(record.strip_suffix(&number.to_be_bytes()).unwrap_or_default(), number);
    }
    Ok(erased)
}
