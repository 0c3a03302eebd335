//! The records of a source, for the operators' tools: which stream takes one, and how many streams read as one log.
//!
//! There is a delivery record for each webhook, so one stream of them would make one server of a cluster busy for the whole
//! shop. The store takes the streams of a source in turn instead, each with its part of the records that are kept. A
//! quarantine is rarely written to and has one stream, from which `quarantine.lua` removes the oldest record of a share that has too
//! many. The server frees the memory of removed entries by nodes of 4 KB, so a record may keep as much from being freed.

use super::{
    plan::{DELIVERY_STREAMS, Plan},
    scripts::{QUARANTINE, digest},
};
use crate::store::{RECORDS_PER_SHARE, RECORDS_PER_SOURCE, Record, RecordCursor, RecordLog};
use redis::{Cmd, Pipeline};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Delivery records that each stream of a source keeps.
const DELIVERIES_PER_STREAM: usize = RECORDS_PER_SOURCE / DELIVERY_STREAMS as usize;

/// The most records that one stream takes in one millisecond. A server needs several microseconds for each.
const OF_ONE_MS: usize = 512;

/// Builds the commands that write and read records.
#[derive(Debug)]
pub(super) struct Records {
    plan: Plan,
    /// The digest of the script that adds a record of the quarantine.
    quarantine: String,
    /// The stream whose turn it is, by source; one entry for each configured source. One counter for all sources would serve
    /// two of them in alternation, and each of them would fill only half of its streams.
    turns: Mutex<HashMap<Arc<str>, u8>>,
    /// The sources whose names this process has added to the set of all that have records.
    noted: Mutex<HashSet<Arc<str>>>,
}

impl Records {
    pub(super) fn new(plan: Plan) -> Self {
        Self { plan, quarantine: digest(QUARANTINE), turns: Mutex::default(), noted: Mutex::default() }
    }

    /// Returns the command that adds a record, whose JSON is `body`.
    pub(super) fn add(&self, record: &Record, body: Vec<u8>) -> Cmd {
        match record.log {
            RecordLog::Quarantine => self.add_to_quarantine(record, body),
            RecordLog::Deliveries => self.add_to_deliveries(record, body),
        }
    }

    fn add_to_quarantine(&self, record: &Record, body: Vec<u8>) -> Cmd {
        let keys = [self.plan.quarantine(&record.source), self.plan.share(&record.source, &record.share())];
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.quarantine).arg(keys.len()).arg(&keys[..]).arg(body).arg(RECORDS_PER_SHARE);
        command
    }

    /// With `~` the server trims whole nodes of a stream, which takes 0.8 instead of 1.3 µs; a stream then keeps up to one node of 4 KB too
    /// much, so 16 of them up to 64 KB.
    fn add_to_deliveries(&self, record: &Record, body: Vec<u8>) -> Cmd {
        let stream = self.plan.deliveries(&record.source, self.turn(&record.source));
        let mut command = redis::cmd("XADD");
        command.arg(stream).arg("MAXLEN").arg("~").arg(DELIVERIES_PER_STREAM).arg("*").arg("r").arg(body);
        command
    }

    /// Takes the next turn of a source, and begins anywhere, so that gateways which write little and restart often do not prefer
    /// the same streams.
    fn turn(&self, source: &Arc<str>) -> u8 {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(Arc::clone(source)).or_insert_with(rand::random);
        *turn = turn.wrapping_add(1);
        *turn
    }

    /// Returns the streams that hold a log of a source.
    pub(super) fn streams(&self, log: RecordLog, source: &str) -> Vec<String> {
        match log {
            RecordLog::Quarantine => vec![self.plan.quarantine(source)],
            RecordLog::Deliveries => {
                (0..DELIVERY_STREAMS).map(|turn| self.plan.deliveries(source, turn)).collect()
            }
        }
    }

    /// Returns the command that notes that a source has records, at the first call for each source of this process. So an erasure finds
    /// the records of a source that is no longer configured.
    pub(super) fn note(&self, source: &Arc<str>) -> Option<Cmd> {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.insert(Arc::clone(source)).then(|| {
            let mut command = redis::cmd("SADD");
            command.arg(self.plan.recorded_sources()).arg(&**source);
            command
        })
    }

    /// Notes again, since the note was not written.
    pub(super) fn note_again(&self, source: &Arc<str>) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).remove(source);
    }

    /// Returns the command that reads those sources.
    pub(super) fn sources(&self) -> Cmd {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.plan.recorded_sources());
        command
    }

    /// Returns the commands that read the newest records of each stream of a log: one more than `limit` before
    /// `before`, and those beside them of the same millisecond, which [`reply::records`](super::reply::records) sorts out.
    pub(super) fn newest(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Pipeline {
        let streams = self.streams(log, source);
        let end = before.map_or_else(|| "+".to_owned(), |before| before.major.to_string());
        let count = limit + 1 + before.map_or(0, |_| OF_ONE_MS);
        let mut commands = Pipeline::with_capacity(streams.len());
        for stream in &streams {
            commands.cmd("XREVRANGE").arg(stream).arg(&end).arg("-").arg("COUNT").arg(count);
        }
        commands
    }
}
