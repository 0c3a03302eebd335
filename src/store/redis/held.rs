//! Held records: those of a source's quarantine that have a body, and what is said of them once they are settled.
//!
//! A record lies in the stream of its source as all others do; beside it there is a hash for each, with the body, which the server removes
//! when its time is over. A list of the stream's entries bounds each share. All lie in the slot of the source. `held.lua` changes
//! them together.

use super::{Redis, reply};
use crate::store::{
    Erasure, HELD_FOR, HELD_PER_SHARE, Held, HeldId, Holding, Record, RecordLog, Settling, StoreError,
};
use redis::Pipeline;
use serde_json::Value;

/// The most bodies that are read at once: at most some 4 MB.
const BODIES: usize = 64;

fn life_ms() -> u64 {
    HELD_FOR.as_millis().try_into().unwrap_or(u64::MAX)
}

fn json(value: &Value) -> String {
    value.to_string()
}

impl Redis {
    /// Holds a record with its body, if its share has room.
    pub(super) async fn hold_record(&self, record: &Record, body: &Value) -> Result<Holding, StoreError> {
        let id = record.held.ok_or_else(|| StoreError::Corrupt("a held record has no id".into()))?;
        self.note(&record.source, true).await?;
        let mut command = self.records.held_script(record, id, "hold");
        command.arg(record.to_bytes()?).arg(json(body)).arg(HELD_PER_SHARE).arg(life_ms());
        match self.write(command, true).await? {
            redis::Value::Int(-1) => Ok(Holding::Full),
            held => {
                reply::count(&held).map(|held| Holding::Held(usize::try_from(held).unwrap_or(usize::MAX)))
            }
        }
    }

    /// Reads what is held under an id of a source.
    pub(super) async fn read_held(&self, source: &str, id: HeldId) -> Result<Option<Held>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(self.plan.held(source, id)).arg("r").arg("b").arg("s");
        let [record, body, settled] = reply::texts(self.ask(command).await?)?;
        Ok(match (record, body, settled) {
            (_, _, Some(settled)) => Some(Held::Settled(reply::json(&settled)?)),
            (Some(record), Some(body), None) => {
                Some(Held::Waiting(Box::new(Record::from_bytes(&record)?), reply::json(&body)?))
            }
            _ => None,
        })
    }

    /// Settles a held record.
    pub(super) async fn settle_record(
        &self,
        source: &str,
        id: HeldId,
        settlement: &Value,
    ) -> Result<Settling, StoreError> {
        let record = match self.read_held(source, id).await? {
            None => return Ok(Settling::Unknown),
            Some(Held::Settled(settled)) => return Ok(Settling::Before(settled)),
            Some(Held::Waiting(record, _)) => record,
        };
        let mut command = self.records.held_script(&record, id, "settle");
        command.arg(json(settlement)).arg(life_ms());
        match self.write(command, true).await? {
            redis::Value::Nil => Ok(Settling::Unknown),
            redis::Value::Int(1) => Ok(Settling::Now),
            said => {
                let settled = reply::json(reply::bytes_of(&said)?)?;
                // An answer that was lost is asked for again, and then what this call said is found.
                Ok(if settled == *settlement { Settling::Now } else { Settling::Before(settled) })
            }
        }
    }

    /// Erases the held records of a source that bear a payment's id, or whose bodies do, and returns how many there were.
    pub(super) async fn erase_held(&self, source: &str, erasure: &Erasure) -> Result<u64, StoreError> {
        let mut listed = Pipeline::with_capacity(1);
        let stream = self.plan.quarantine(source);
        listed.cmd("XRANGE").arg(&stream).arg("-").arg("+");
        let answer = self.shards()?.ask(&listed).await?.pop().unwrap_or(redis::Value::Nil);
        let held = reply::held(answer)?;
        let mut removed = 0;
        for part in held.chunks(BODIES) {
            let mut bodies = Pipeline::with_capacity(part.len());
            for (_, _, id) in part {
                bodies.cmd("HGET").arg(self.plan.held(source, *id)).arg("b");
            }
            let bodies = self.shards()?.ask(&bodies).await?;
            for ((entry, record, id), body) in part.iter().zip(bodies) {
                if !bears(record, &body, erasure)? {
                    continue;
                }
                let keys = (self.plan.share(source, &record.share()), self.plan.held(source, *id));
                let mut commands = [redis::cmd("DEL"), redis::cmd("XDEL"), redis::cmd("LREM")];
                let [body, line, room] = &mut commands;
                body.arg(&keys.1);
                line.arg(&stream).arg(entry);
                room.arg(&keys.0).arg(1).arg(entry);
                for command in commands {
                    self.write(command, true).await?;
                }
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn bears(record: &Record, body: &redis::Value, erasure: &Erasure) -> Result<bool, StoreError> {
    debug_assert!(record.log == RecordLog::Quarantine, "only the quarantine holds records");
    if record.bears(erasure) || *body == redis::Value::Nil {
        return Ok(record.bears(erasure));
    }
    let body: Value = reply::json(reply::bytes_of(body)?)?;
    Ok(record.bears_with(&body, erasure))
}
