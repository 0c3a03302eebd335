//! The numbers of records, and which records are removed: the delivery log of a source keeps its newest records, and the quarantine the
//! newest of each share, so that no number of records of one share displaces a record of another. Held records displace nothing at all
//! (`held`).
//!
//! The keys of records say nothing of shares. Which record belongs to which share is known to the writer alone, in memory; it reads the
//! quarantine of a source before it writes there for the first time.

pub(super) mod held;

use super::{batch::Batch, layout};
use crate::store::{HeldId, RECORDS_PER_SHARE, RECORDS_PER_SOURCE, Record, RecordLog, StoreError};
use std::collections::{HashMap, VecDeque};

/// The records of all logs, by the prefix of their keys: two logs for each source.
#[derive(Default)]
pub(super) struct RecordLogs {
    logs: HashMap<Vec<u8>, Numbers>,
}

/// The held records of one source, by share, the oldest first: the number of each in the quarantine, and its id.
type HeldShares = HashMap<String, VecDeque<(u64, HeldId)>>;

/// The numbers of the records of one log.
#[derive(Default)]
struct Numbers {
    /// The number of the newest record.
    last: u64,
    /// The numbers of the records of each share, the oldest first. Empty for a delivery log.
    shares: HashMap<String, VecDeque<u64>>,
    /// The held records, which are in no other share.
    held: HeldShares,
}

impl RecordLogs {
    /// Writes a record under the next number of its log, and removes the oldest one if there are too many. Returns how many it removed
    /// of the quarantine. An error leaves the batch as it was.
    pub(super) fn write(&mut self, batch: &mut Batch<'_>, record: &Record) -> Result<usize, StoreError> {
        let prefix = layout::records(record.log, &record.source);
        let value = record.to_bytes()?;
        let numbers = self.numbers(batch, record.log, &prefix)?;
        let number = numbers.last + 1;
        let key = |number| layout::numbered(prefix.clone(), number);
        let removed = match record.log {
            RecordLog::Deliveries => {
                batch.set_volatile(key(number), Some(value));
                let oldest = number.checked_sub(RECORDS_PER_SOURCE as u64).filter(|oldest| *oldest > 0);
                oldest.into_iter().for_each(|oldest| batch.set_volatile(key(oldest), None));
                0
            }
            RecordLog::Quarantine => {
                batch.put(key(number), value)?;
                let share = numbers.shares.entry(record.share()).or_default();
                share.push_back(number);
                let too_many = share.len().saturating_sub(RECORDS_PER_SHARE);
                share.drain(..too_many).try_for_each(|oldest| batch.remove(key(oldest)))?;
                too_many
            }
        };
        numbers.last = number;
        Ok(removed)
    }

    /// The numbers of the log with a prefix, which are read from the store at first.
    fn numbers(
        &mut self,
        batch: &Batch<'_>,
        log: RecordLog,
        prefix: &[u8],
    ) -> Result<&mut Numbers, StoreError> {
        if !self.logs.contains_key(prefix) {
            self.logs.insert(prefix.to_vec(), Numbers::read(batch, log, prefix)?);
        }
        Ok(self.logs.entry(prefix.to_vec()).or_default())
    }
}

impl Numbers {
    /// Reads the numbers of the records that a log has.
    fn read(batch: &Batch<'_>, log: RecordLog, prefix: &[u8]) -> Result<Self, StoreError> {
        let mut numbers = Self::default();
        match log {
            RecordLog::Deliveries => {
                let newest = batch.newest_record(prefix)?;
                numbers.last = newest.map_or(Ok(0), |(key, _)| layout::number(&key))?;
            }
            RecordLog::Quarantine => {
                for (key, value) in batch.pairs(prefix)? {
                    numbers.last = layout::number(&key)?;
                    // A record that cannot be read is one of a share of its own, so that it can be removed at all.
                    let record = Record::from_bytes(&value).ok();
                    let share = record.as_ref().map(Record::share).unwrap_or_default();
                    match record.and_then(|record| record.held) {
                        Some(id) => numbers.held.entry(share).or_default().push_back((numbers.last, id)),
                        None => numbers.shares.entry(share).or_default().push_back(numbers.last),
                    }
                }
            }
        }
        Ok(numbers)
    }
}
