//! The audit trail: its numbers, of which the newest are kept. And what is too old to be kept, of it and of the delivery logs.

use super::{batch::Batch, layer::Layer, layout, recent::Recent};
use crate::store::{AUDIT_ENTRIES, AuditEntry, Expiry, Record, RecordLog, StoreError};
use std::collections::VecDeque;

/// The most pairs that the writer removes in one step, which takes it some milliseconds.
pub(super) const REMOVED_AT_ONCE: usize = 256;

/// The numbers of the entries that are kept, the oldest first; `None` until the first entry is written.
#[derive(Default)]
pub(super) struct AuditNumbers(Option<VecDeque<u64>>);

impl AuditNumbers {
    /// Writes an entry under the next number, and removes the oldest one if there are too many.
    pub(super) fn write(&mut self, batch: &mut Batch<'_>, entry: &AuditEntry) -> Result<(), StoreError> {
        let value = entry.to_bytes()?;
        let mut numbers = match self.0.take() {
            Some(numbers) => numbers,
            None => batch
                .pairs(layout::AUDIT)?
                .iter()
                .map(|(key, _)| layout::number(key))
                .collect::<Result<_, _>>()?,
        };
        let number = numbers.back().map_or(1, |last| last + 1);
        let written = batch.put(key(number), value);
        if written.is_ok() {
            numbers.push_back(number);
        }
        let too_many = numbers.len().saturating_sub(AUDIT_ENTRIES);
        let removed = numbers.drain(..too_many).try_for_each(|oldest| batch.remove(key(oldest)));
        self.0 = Some(numbers);
        written.and(removed)
    }
}

fn key(number: u64) -> Vec<u8> {
    layout::numbered(layout::AUDIT.to_vec(), number)
}

/// The keys of what is too old to be kept.
pub(super) fn expired(recent: &Recent, expiry: Expiry) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    for (key, value) in recent.pairs(&Layer::default(), &layout::all_records(RecordLog::Deliveries))? {
        if Record::from_bytes(&value)?.at < expiry.deliveries {
            keys.push(key);
        }
    }
    for (key, value) in recent.pairs(&Layer::default(), layout::AUDIT)? {
        if AuditEntry::from_bytes(&value)?.at < expiry.audit {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Removes pairs, and returns how many of them there still were.
pub(super) fn remove(batch: &mut Batch<'_>, keys: Vec<Vec<u8>>) -> Result<u64, StoreError> {
    let mut removed = 0;
    for key in keys {
        if batch.has(&key)? {
            batch.remove(key)?;
            removed += 1;
        }
    }
    Ok(removed)
}
