//! What the server answers, turned into the store's types. Pure. What does not fit is corruption, told with what was found.

use super::plan::Plan;
use crate::{
    payment::{Cursor, Tag, Time},
    store::{
        Appended, Backlog, Claim, Conflict, Delay, Entry, FEED_LEN, Feed, Head, Log, Owed, Record,
        RecordCursor, Reference, StoreError,
    },
};
use redis::Value;
use std::{str::FromStr, sync::Arc, time::Duration};

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an answer of the server does not fit: {what}"))
}

/// What the script returned; `tag` is the one that the append drew.
pub(super) fn appended(answer: Value, tag: Tag) -> Result<Appended, StoreError> {
    let words = list(answer)?;
    let word = |place: usize| words.get(place).and_then(text).unwrap_or_default();
    Ok(match word(0) {
        "new" => Appended::New { cursor: Cursor { tag, seq: parse(word(1))? } },
        "duplicate" => Appended::Duplicate { cursor: Cursor { tag: parse(word(2))?, seq: parse(word(1))? } },
        reason => {
            let conflicts = [Conflict::FactsDiffer, Conflict::OtherProvider, Conflict::LogFull];
            let meant = conflicts.into_iter().find(|conflict| conflict.code() == reason);
            Appended::Conflict(meant.ok_or_else(|| corrupt("what came of an append"))?)
        }
    })
}

/// What came of a claim by `ticket`.
pub(super) fn claim(answer: Value, source: &str, ticket: u64) -> Result<Claim, StoreError> {
    let words = list(answer)?;
    match (words.first().and_then(text), words.get(1..).unwrap_or_default()) {
        (Some("nothing"), []) => Ok(Claim::Nothing),
        (Some("later"), [Value::Int(ms)]) => Ok(Claim::Later(span(*ms))),
        (
            Some("owed"),
            [payment, Value::Int(since), delay, Value::Int(attempts), Value::Int(delayed_since)],
        ) => {
            let time = |ms: &i64| Time::from_unix_ms(*ms).map_err(|_| corrupt("a time"));
            let delays = [None, Some(Delay::Doubted), Some(Delay::Puzzled), Some(Delay::Failed)];
            let delay = delays.into_iter().find(|known| text(delay) == Some(delay_word(*known)));
            Ok(Claim::Owed(Owed {
                source: source.into(),
                payment: parse(text(payment).unwrap_or_default())?,
                delay: delay.ok_or_else(|| corrupt("a delay"))?,
                attempts: u32::try_from(*attempts).unwrap_or(u32::MAX),
                delayed_since: time(delayed_since)?,
                since: time(since)?,
                ticket,
            }))
        }
        _ => Err(corrupt("what came of a claim")),
    }
}

/// A delay in the script's words.
pub(super) const fn delay_word(delay: Option<Delay>) -> &'static str {
    match delay {
        None => "-",
        Some(Delay::Doubted) => "doubted",
        Some(Delay::Puzzled) => "puzzled",
        Some(Delay::Failed) => "failed",
    }
}

/// How many confirmations are owed, and for how long.
pub(super) fn backlog(answer: Value) -> Result<Backlog, StoreError> {
    match list(answer)?.as_slice() {
        [Value::Int(count), Value::Int(ms)] => {
            Ok(Backlog { count: u64::try_from(*count).unwrap_or_default(), oldest: span(*ms) })
        }
        _ => Err(corrupt("what is owed")),
    }
}

/// The members of a set.
pub(super) fn names(answer: Value) -> Result<Vec<Arc<str>>, StoreError> {
    list(answer)?.iter().map(|name| text(name).map(Arc::from).ok_or_else(|| corrupt("a name"))).collect()
}

fn span(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// The entries of a log's stream.
pub(super) fn log(answer: Value) -> Result<Log, StoreError> {
    let entries = list(answer)?;
    let mut log = Log { entries: Vec::with_capacity(entries.len()) };
    for (seq, entry) in (1_u64..).zip(entries) {
        let (id, mut fields) = entry_of(entry)?;
        if id != seq {
            return Err(corrupt("a log with a hole"));
        }
        let event = fields.get("e");
        let event = serde_json::from_slice(bytes(event.as_ref()).unwrap_or_default())
            .map_err(|error| StoreError::Corrupt(format!("entry {seq} of a log: {error}")))?;
        log.entries.push(Entry { tag: fields.parse("t")?, event: Arc::new(event) });
    }
    Ok(log)
}

/// The answers of one transaction: a partition's head, and its references from `from` on.
pub(super) fn feed(plan: &Plan, mut answers: Vec<Value>, from: u64) -> Result<Feed, StoreError> {
    let answers = answers.pop().ok_or_else(|| corrupt("no answer"))?;
    let Ok([here, references]) = <[Value; 2]>::try_from(list(answers)?) else {
        return Err(corrupt("a transaction of two"));
    };
    let here = head(&here)?;
    // The server trims whole nodes of its stream, so it may keep more than we promise.
    let oldest = here.pos.saturating_sub(FEED_LEN) + u64::from(here.pos > 0);
    if from > here.pos.max(1) || from < oldest.max(u64::from(here.pos > 0)) {
        return Ok(Feed::Gone(here));
    }
    let references = list(references)?
        .into_iter()
        .map(|entry| {
            let (pos, mut fields) = entry_of(entry)?;
            let key = fields.get("l");
            let key = key.as_ref().and_then(text).ok_or_else(|| corrupt("a reference without its log"))?;
            let subject = plan.subject_of(key).ok_or_else(|| corrupt("the name of a log"))?;
            Ok(Reference { pos, tag: fields.parse("t")?, subject, seq: fields.parse("s")? })
        })
        .collect::<Result<Vec<_>, StoreError>>();
    Ok(match references {
        Ok(references) if references.iter().map(|reference| reference.pos).eq(from.max(1)..=here.pos) => {
            Feed::References(references)
        }
        Ok(_) => Feed::Gone(here),
        // The logs are the truth; what leads to them can be done without.
        Err(error) => {
            tracing::error!(%error, "a feed cannot be read");
            Feed::Gone(here)
        }
    })
}

/// `HMGET … pos tag`.
pub(super) fn head(answer: &Value) -> Result<Head, StoreError> {
    let Value::Array(fields) = answer else { return Err(corrupt("a head")) };
    match fields.as_slice() {
        [Value::Nil, Value::Nil] => Ok(Head::default()),
        [pos, tag] => Ok(Head {
            pos: parse(text(pos).unwrap_or_default())?,
            tag: parse(text(tag).unwrap_or_default())?,
        }),
        _ => Err(corrupt("a head")),
    }
}

/// The entries of a stream of records, in the order of the answer. The id of an entry is the record's cursor.
pub(super) fn records(answer: Value) -> Result<Vec<(RecordCursor, Record)>, StoreError> {
    let read = |entry| {
        let Ok([id, fields]) = <[Value; 2]>::try_from(list(entry)?) else { return Err(corrupt("a record")) };
        let record = Fields(list(fields)?).get("r");
        let record = Record::from_bytes(bytes(record.as_ref()).unwrap_or_default())?;
        Ok((parse(text(&id).unwrap_or_default())?, record))
    };
    list(answer)?.into_iter().map(read).collect()
}

/// The number before the dash of an entry's id, and its fields.
fn entry_of(entry: Value) -> Result<(u64, Fields), StoreError> {
    let Ok([id, fields]) = <[Value; 2]>::try_from(list(entry)?) else {
        return Err(corrupt("an entry of a stream"));
    };
    let number = text(&id).and_then(|id| id.strip_suffix("-0")).unwrap_or_default();
    Ok((parse(number)?, Fields(list(fields)?)))
}

/// Names and values in turn.
struct Fields(Vec<Value>);

impl Fields {
    /// Takes a field out.
    fn get(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().step_by(2).position(|known| text(known) == Some(name))?;
        self.0.get_mut(2 * place + 1).map(std::mem::take)
    }

    fn parse<T: FromStr>(&mut self, name: &str) -> Result<T, StoreError> {
        parse(self.get(name).as_ref().and_then(text).unwrap_or_default())
    }
}

fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        // A key that is not there, and a transaction that was not run.
        Value::Nil => Ok(Vec::new()),
        _ => Err(corrupt("no list")),
    }
}

fn bytes(value: Option<&Value>) -> Option<&[u8]> {
    match value? {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(Some(value))?).ok()
}

fn parse<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("a number or a tag"))
}
