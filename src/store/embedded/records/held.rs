//! Held records: those of the quarantine that have a body beside them. The record itself lies among the others of its source; what is held
//! lies under its id, so that lists read no bodies, and in the order of time, so that what is over is found at once.

use super::RecordLogs;
use crate::{
    payment::Time,
    store::{
        Erasure, HELD_PER_SHARE, Held, HeldId, Holding, Record, RecordLog, Settling, StoreError,
        embedded::{
            batch::Batch,
            layer::Layer,
            layout::{self, HeldKey, HeldValue},
            recent::Recent,
        },
    },
};
use serde_json::Value;
use std::sync::Arc;

/// The most that is read at once of what is held, or removed because its time is over: at most some 8 MB of values.
const PART: usize = 128;

impl RecordLogs {
    /// Writes a record and its body, if its share has room. Those of the share whose time is over make room first, and stay
    /// removed if there is an error or still no room; nothing else of the batch is changed then.
    pub(in super::super) fn hold(
        &mut self,
        batch: &mut Batch<'_>,
        record: Record,
        body: Value,
        now: Time,
    ) -> Result<Holding, StoreError> {
        let id = record.held.ok_or_else(|| StoreError::Corrupt("a held record has no id".into()))?;
        let prefix = layout::records(RecordLog::Quarantine, &record.source);
        let (share, line) = (record.share(), record.to_bytes()?);
        let numbers = self.numbers(batch, RecordLog::Quarantine, &prefix)?;
        let number = numbers.last + 1;
        let source = Arc::clone(&record.source);
        let waiting = Some((record, number, body));
        let value = layout::encode(&HeldValue { source, waiting, settled: None })?;
        let held = numbers.held.entry(share).or_default();
        while let Some((oldest, _)) = held.front().copied().filter(|(_, oldest)| is_over(*oldest, now)) {
            batch.remove(layout::numbered(prefix.clone(), oldest))?;
            held.pop_front();
        }
        if held.len() >= HELD_PER_SHARE {
            return Ok(Holding::Full);
        }
        let key = layout::numbered(prefix, number);
        batch.put(key.clone(), line)?;
        if let Err(why) = batch.put(layout::held(id), value) {
            batch.remove(key)?;
            return Err(why);
        }
        held.push_back((number, id));
        numbers.last = number;
        Ok(Holding::Held(held.len()))
    }

    /// Settles a held record of a source.
    pub(in super::super) fn settle(
        &mut self,
        batch: &mut Batch<'_>,
        source: &Arc<str>,
        id: HeldId,
        settlement: Value,
        now: Time,
    ) -> Result<Settling, StoreError> {
        let Some(HeldValue { waiting, settled, .. }) = value(batch.get(&layout::held(id))?, source, id, now)?
        else {
            return Ok(Settling::Unknown);
        };
        if let Some(settled) = settled {
            return Ok(Settling::Before(settled));
        }
        let Some((_, number, _)) = waiting else { return Ok(Settling::Unknown) };
        let value = HeldValue { source: Arc::clone(source), waiting: None, settled: Some(settlement) };
        batch.put(layout::held(id), layout::encode(&value)?)?;
        let prefix = layout::records(RecordLog::Quarantine, source);
        batch.remove(layout::numbered(prefix.clone(), number))?;
        self.forget(&prefix, number);
        Ok(Settling::Now)
    }

    /// Gives back the room of a record that was removed.
    pub(in super::super) fn forget(&mut self, prefix: &[u8], number: u64) {
        if let Some(numbers) = self.logs.get_mut(prefix) {
            numbers.held.values_mut().for_each(|held| held.retain(|(of, _)| *of != number));
        }
    }

    /// Removes what is held longer than it may be, a bounded number at a time, and returns whether there may be more.
    pub(in super::super) fn remove_ended(batch: &mut Batch<'_>, now: Time) -> Result<bool, StoreError> {
        let ended = batch.held_before(ended_before(now), PART)?;
        let is_more = ended.len() == PART;
        ended.into_iter().try_for_each(|key| batch.remove(key))?;
        Ok(is_more)
    }
}

/// The beginning of the ids whose time is over, exclusively: their time in milliseconds.
fn ended_before(now: Time) -> u64 {
    let for_ms = u64::try_from(crate::store::HELD_FOR.as_millis()).unwrap_or(u64::MAX);
    u64::try_from(now.unix_ms()).unwrap_or_default().saturating_sub(for_ms)
}

fn is_over(id: HeldId, now: Time) -> bool {
    id.ends_ms() < u64::try_from(now.unix_ms()).unwrap_or_default()
}

/// Reads what is held under an id of a source.
pub(in super::super) fn read(
    recent: &Recent,
    source: &str,
    id: HeldId,
    now: Time,
) -> Result<Option<Held>, StoreError> {
    let found = recent.get(&Layer::default(), &layout::held(id))?;
    Ok(match value(found, source, id, now)? {
        Some(HeldValue { settled: Some(settled), .. }) => Some(Held::Settled(settled)),
        Some(HeldValue { waiting: Some((record, _, body)), .. }) => {
            Some(Held::Waiting(Box::new(record), body))
        }
        _ => None,
    })
}

fn value(
    found: Option<bytes::Bytes>,
    source: &str,
    id: HeldId,
    now: Time,
) -> Result<Option<HeldValue>, StoreError> {
    let Some(found) = found.filter(|_| !is_over(id, now)) else { return Ok(None) };
    let value: HeldValue = layout::decode(&found)?;
    Ok(Some(value).filter(|value| &*value.source == source))
}

/// The keys of what is held and bears the id of the payment to erase, but for those of the sources of other realms: each with the key of its record. It is read a part at a time, since there may be much.
pub(in super::super) fn bearing(recent: &Recent, erasure: &Erasure) -> Result<Vec<HeldKey>, StoreError> {
    let (mut end, mut keys) = (layout::held_before(u64::MAX), Vec::new());
    loop {
        let part = recent.newest_in(&Layer::default(), layout::HELD, &end, PART)?;
        for (key, value) in &part {
            let HeldValue { source, waiting, .. } = layout::decode(value)?;
            let Some((record, number, body)) = waiting else { continue };
            if !erasure.others.contains(&source) && record.bears_with(&body, erasure) {
                let prefix = layout::records(RecordLog::Quarantine, &source);
                keys.push((key.clone(), layout::numbered(prefix, number)));
            }
        }
        match part.into_iter().next_back() {
            Some((last, _)) => end = last,
            None => return Ok(keys),
        }
    }
}
