//! Turns the server's answers into the types of the store. Pure. An answer that does not fit is an error that names what was
//! expected.

use super::plan::Plan;
use crate::{
    payment::{Cursor, Tag},
    store::{
        Appended, Conflict, Entry, Erasure, FEED_LEN, Feed, Head, HeldId, Log, Record, RecordCursor,
        Reference, Referent, StoreError,
    },
};
use redis::Value;
use std::{cmp::Reverse, str::FromStr, sync::Arc};

/// The error for an answer that does not fit; `what` names what was expected.
pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an answer of the server does not fit: {what}"))
}

/// Reads the result of one append of `append.lua`; `tag` is the one that the append drew.
pub(super) fn appended(answer: Value, tag: Tag) -> Result<Appended, StoreError> {
    if let Value::Int(_) = answer {
        return Ok(Appended::New { cursor: Cursor { tag, seq: count(&answer)? } });
    }
    let words = list(answer)?;
    let word = |place: usize| words.get(place).and_then(text).unwrap_or_default();
    Ok(match word(0) {
        "duplicate" => Appended::Duplicate { cursor: Cursor { tag: parse(word(2))?, seq: parse(word(1))? } },
        reason => {
            let conflicts = [Conflict::FactsDiffer, Conflict::OtherProvider, Conflict::LogFull];
            let meant = conflicts.into_iter().find(|conflict| conflict.code() == reason);
            Appended::Conflict(meant.ok_or_else(|| corrupt("the result of an append"))?)
        }
    })
}

/// Reads the members of a set.
pub(super) fn names(answer: Value) -> Result<Vec<Arc<str>>, StoreError> {
    list(answer)?.iter().map(|name| text(name).map(Arc::from).ok_or_else(|| corrupt("a name"))).collect()
}

/// Reads the entries of a log's stream.
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

/// Reads the references of a partition from place `from` on, and its head, which was read after them. The last reference is the head as of
/// the time of the references; the other head counts only if there is none.
pub(super) fn feed(plan: &Plan, answers: Vec<Value>, from: u64) -> Result<Feed, StoreError> {
    let Ok([references, later]) = <[Value; 2]>::try_from(answers) else {
        return Err(corrupt("the references and the head of a partition"));
    };
    let references = list(references)?;
    let here = match references.last() {
        Some(newest) => {
            let (pos, mut fields) = entry_of(newest.clone())?;
            Head { pos, tag: fields.parse("t")? }
        }
        None => head(&later)?,
    };
    // The server trims whole nodes of its stream, so it may keep more references than the store promises.
    let oldest = here.pos.saturating_sub(FEED_LEN) + u64::from(here.pos > 0);
    if from > here.pos.max(1) || from < oldest.max(u64::from(here.pos > 0)) {
        return Ok(Feed::Gone(here));
    }
    let references = references
        .into_iter()
        .map(|entry| {
            let (pos, mut fields) = entry_of(entry)?;
            let tag = fields.parse("t")?;
            if let Some(first) = fields.get("x") {
                let first = parse(text(&first).unwrap_or_default())?;
                return Ok(Reference { pos, tag, to: Referent::Erased { first } });
            }
            let key = fields.get("l");
            let key = key.as_ref().and_then(text).ok_or_else(|| corrupt("a reference without its log"))?;
            let subject = plan.subject_of(key).ok_or_else(|| corrupt("the name of a log"))?;
            Ok(Reference { pos, tag, to: Referent::Entry { subject, seq: fields.parse("s")? } })
        })
        .collect::<Result<Vec<_>, StoreError>>();
    Ok(match references {
        Ok(references) if references.iter().map(|reference| reference.pos).eq(from.max(1)..=here.pos) => {
            Feed::References(references)
        }
        Ok(_) => Feed::Gone(here),
        // The logs are the truth, so the caller can read them without the feed.
        Err(error) => {
            tracing::error!(%error, "a feed cannot be read");
            Feed::Gone(here)
        }
    })
}

/// Reads the answer to `HMGET … pos tag`.
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

/// Reads records from the answers of all streams of one log, in the order of the streams: those before `before`, the newest first.
pub(super) fn records(
    answers: Vec<Value>,
    before: Option<RecordCursor>,
) -> Result<Vec<(RecordCursor, Record)>, StoreError> {
    let is_alone = answers.len() == 1;
    let mut records = Vec::new();
    for (stream, answer) in (0..).zip(answers) {
        for entry in list(answer)? {
            records.push(record(stream, is_alone, entry)?);
        }
    }
    records.retain(|(cursor, _)| before.is_none_or(|before| *cursor < before));
    records.sort_unstable_by_key(|(cursor, _)| Reverse(*cursor));
    Ok(records)
}

/// Reads the records of one stream, and returns the ids of those to erase.
pub(super) fn bearing(answer: Value, erasure: &Erasure) -> Result<Vec<String>, StoreError> {
    let mut ids = Vec::new();
    for entry in list(answer)? {
        let (id, record) = record_of(entry)?;
        if record.bears(erasure) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Reads the held ones among the records of one stream: the id of each entry, the record, and the id under which it is held.
pub(super) fn held(answer: Value) -> Result<Vec<(String, Record, HeldId)>, StoreError> {
    let mut held = Vec::new();
    for entry in list(answer)? {
        let (id, record) = record_of(entry)?;
        if let Some(under) = record.held {
            held.push((id, record, under));
        }
    }
    Ok(held)
}

/// Reads the names and the values of a hash.
pub(super) fn pairs(answer: Value) -> Result<Vec<(String, String)>, StoreError> {
    let pairs = match answer {
        Value::Map(pairs) => pairs,
        Value::Nil => Vec::new(),
        _ => return Err(corrupt("a hash")),
    };
    let word = |value: &Value| bytes(Some(value)).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let pair = |(name, value): &(Value, Value)| word(name).zip(word(value));
    pairs.iter().map(|both| pair(both).ok_or_else(|| corrupt("a field of a hash"))).collect()
}

/// Reads some texts, each of which may be missing.
pub(super) fn texts<const N: usize>(answer: Value) -> Result<[Option<Vec<u8>>; N], StoreError> {
    let texts: Vec<_> = list(answer)?.iter().map(|value| bytes(Some(value)).map(<[u8]>::to_vec)).collect();
    texts.try_into().map_err(|_| corrupt("the fields of a hash"))
}

/// Reads the bytes of a text.
pub(super) fn bytes_of(answer: &Value) -> Result<&[u8], StoreError> {
    bytes(Some(answer)).ok_or_else(|| corrupt("a text"))
}

/// Reads JSON.
pub(super) fn json(text: &[u8]) -> Result<serde_json::Value, StoreError> {
    serde_json::from_slice(text).map_err(|error| corrupt(&error.to_string()))
}

/// Reads a number of things.
pub(super) fn count(answer: &Value) -> Result<u64, StoreError> {
    match answer {
        Value::Int(count) => u64::try_from(*count).map_err(|_| corrupt("a number of things")),
        _ => Err(corrupt("a number of things")),
    }
}

/// Reads two numbers of things.
pub(super) fn counts(answer: Value) -> Result<[u64; 2], StoreError> {
    match list(answer)?.as_slice() {
        [first, second] => Ok([count(first)?, count(second)?]),
        _ => Err(corrupt("two numbers")),
    }
}

/// Reads the id of an entry, and the bytes of its field `r`.
pub(super) fn id_and_body(entry: Value) -> Result<(String, Vec<u8>), StoreError> {
    let Ok([id, fields]) = <[Value; 2]>::try_from(list(entry)?) else { return Err(corrupt("a record")) };
    let id = text(&id).ok_or_else(|| corrupt("the id of a record"))?.to_owned();
    let body = Fields(list(fields)?).get("r");
    Ok((id, bytes(body.as_ref()).unwrap_or_default().to_vec()))
}

/// Reads the id of a record's entry and the record.
fn record_of(entry: Value) -> Result<(String, Record), StoreError> {
    let (id, body) = id_and_body(entry)?;
    Ok((id, Record::from_bytes(&body)?))
}

/// Reads one record of a stream. Its cursor orders the records of all streams of a log: by the millisecond of the server in which they
/// were added, within one by the times of their deliveries, and then by the numbers of entry and stream. A stream that is alone has an order
/// of its own; in another one, a page that ends within a millisecond would skip records.
fn record(stream: u64, is_alone: bool, entry: Value) -> Result<(RecordCursor, Record), StoreError> {
    /// Bits of the number of a stream, and of that of an entry among those of one millisecond.
    const STREAM: u32 = 4;
    const ENTRY: u32 = 12;
    let (id, record) = record_of(entry)?;
    let RecordCursor { major, minor } = parse(&id)?;
    let at = if is_alone { 0 } else { u64::try_from(record.at.unix_ms()).unwrap_or_default() };
    let at = at.min((1 << (64 - STREAM - ENTRY)) - 1);
    let entry = minor.min((1 << ENTRY) - 1);
    let minor = at << (STREAM + ENTRY) | entry << STREAM | stream.min((1 << STREAM) - 1);
    Ok((RecordCursor { major, minor }, record))
}

/// Reads the number before the dash of an entry's id, and its fields.
fn entry_of(entry: Value) -> Result<(u64, Fields), StoreError> {
    let Ok([id, fields]) = <[Value; 2]>::try_from(list(entry)?) else {
        return Err(corrupt("an entry of a stream"));
    };
    let number = text(&id).and_then(|id| id.strip_suffix("-0")).unwrap_or_default();
    Ok((parse(number)?, Fields(list(fields)?)))
}

/// The fields of a stream's entry: names and values in alternation.
struct Fields(Vec<Value>);

impl Fields {
    /// Takes the value of a field out.
    fn get(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().step_by(2).position(|known| text(known) == Some(name))?;
        self.0.get_mut(2 * place + 1).map(std::mem::take)
    }

    fn parse<T: FromStr>(&mut self, name: &str) -> Result<T, StoreError> {
        parse(self.get(name).as_ref().and_then(text).unwrap_or_default())
    }
}

/// Returns the elements of a list or a set; none of a missing one.
pub(super) fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        // The answer for a missing key, and for a transaction that was aborted.
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

/// Returns the text of a string.
pub(super) fn text(value: &Value) -> Option<&str> {
    std::str::from_utf8(bytes(Some(value))?).ok()
}

/// Parses a number, a tag or a name.
pub(super) fn parse<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt("a number or a tag"))
}
