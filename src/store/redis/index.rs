//! The index on the server: in each partition, for each realm, the payments by the time of their last change. When a payment came first is
//! beside its log.
//!
//! `append.lua` writes it in the step of the append. One number holds the time of a change and the number of the entry: a log has at most
//! 512 entries, so milliseconds times 1024 and the number fit into the 53 bits of a score. The head of a partition says up to which
//! place of the feed the index is kept. A gateway that keeps none moves the head and not that place, and then the index begins anew:
//! what is older than that counts no more.

use super::{
    plan::Plan,
    reply::{corrupt, count, list, parse, text},
};
use crate::{
    payment::{Name, Subject, Time},
    store::{IndexPart, Listed, StoreError},
};
use redis::{Pipeline, Value};

/// How many payments are asked for at once when they came first.
const FIRSTS: usize = 4096;

/// The digits of the time before the place up to which an index is kept.
const TIME_DIGITS: usize = 15;

/// What one millisecond is in the score of a change.
const MS: i64 = 1024;

/// One partition of an index while it is read.
pub(super) struct Reading {
    partition: u8,
    /// What is older than this does not count.
    begun: Time,
    /// What is older than this is not asked for.
    from: Time,
    part: IndexPart,
}

/// Asks where the index stands: the server's time, and of each of these partitions what is known of it and of the realm.
pub(super) fn ask_state(plan: &Plan, realm: &Name, from: &[(u8, Time)]) -> Pipeline {
    let mut commands = Pipeline::with_capacity(1 + from.len());
    commands.cmd("TIME");
    for (partition, _) in from {
        let changed = plan.changed(*partition, realm);
        commands.cmd("HMGET").arg(plan.head(*partition)).arg(&["pos", "listed", "begun"]);
        commands.arg(format!("cut {changed}")).arg(format!("erased {changed}"));
    }
    commands
}

/// Reads the answers to [`ask_state`].
pub(super) fn state(answers: Vec<Value>, from: &[(u8, Time)]) -> Result<Vec<Reading>, StoreError> {
    let mut answers = answers.into_iter();
    let mut next = || list(answers.next().unwrap_or_default());
    let now = next()?;
    let [seconds, micros] = &now[..] else { return Err(corrupt("a time")) };
    let now = number(seconds)?.saturating_mul(1000).saturating_add(number(micros)? / 1000);
    let now = time(now)?;
    let reading = |(partition, from): &(u8, Time)| {
        let head = next()?;
        let [pos, listed, begun, cut, erased] = &head[..] else {
            return Err(corrupt("the state of an index"));
        };
        let begun = match (text(pos), text(listed).and_then(|listed| listed.get(TIME_DIGITS..))) {
            (None, _) => None,
            (Some(pos), Some(listed)) if pos == listed => optional(begun)?,
            // Something was appended that the index does not know.
            (Some(_), _) => Some(now),
        };
        let (complete_since, erased) = (begun.max(optional(cut)?), optional(erased)?);
        let begun = begun.unwrap_or_default();
        let part = IndexPart { listed: Vec::new(), count: 0, now, complete_since, erased };
        Ok(Reading { partition: *partition, begun, from: begun.max(*from), part })
    };
    from.iter().map(reading).collect()
}

/// Asks for the payments that changed at or after the time, and how many there are.
pub(super) fn ask_changes(plan: &Plan, realm: &Name, readings: &[Reading]) -> Pipeline {
    let mut commands = Pipeline::with_capacity(2 * readings.len());
    for Reading { partition, begun, from, .. } in readings {
        let changed = plan.changed(*partition, realm);
        let [begun, from] = [begun, from].map(|time| time.unix_ms().saturating_mul(MS));
        commands.cmd("ZCOUNT").arg(&changed).arg(begun).arg("+inf");
        commands.cmd("ZRANGE").arg(&changed).arg(from).arg("+inf").arg("BYSCORE").arg("WITHSCORES");
    }
    commands
}

/// Reads the answers to [`ask_changes`].
pub(super) fn changes(answers: Vec<Value>, readings: &mut [Reading]) -> Result<(), StoreError> {
    let mut answers = answers.into_iter();
    for reading in readings {
        reading.part.count = count(&answers.next().unwrap_or_default())?;
        for pair in list(answers.next().unwrap_or_default())? {
            let Ok([payment, score]) = <[Value; 2]>::try_from(list(pair)?) else {
                return Err(corrupt("a payment of an index"));
            };
            let payment = parse(text(&payment).unwrap_or_default())?;
            let score = score_of(&score)?;
            let (changed, seq) = (time(score.div_euclid(MS))?, score.rem_euclid(MS).unsigned_abs());
            reading.part.listed.push(Listed { payment, first_seen: changed, changed, seq });
        }
    }
    Ok(())
}

/// Asks when those payments came first, in parts that the server answers in a few milliseconds each.
pub(super) fn ask_firsts(plan: &Plan, realm: &Name, readings: &[Reading]) -> Vec<Pipeline> {
    let listed: Vec<_> = readings.iter().flat_map(|reading| &reading.part.listed).collect();
    let ask = |listed: &[&Listed]| {
        let mut commands = Pipeline::with_capacity(listed.len());
        for Listed { payment, .. } in listed {
            let subject = Subject::payment(realm.clone(), payment.clone());
            commands.cmd("HMGET").arg(plan.meta(&subject)).arg("first");
        }
        commands
    };
    listed.chunks(FIRSTS).map(ask).collect()
}

/// Reads the answers to [`ask_firsts`]. Of a payment whose log has gone, nobody knows when it came.
pub(super) fn firsts(answers: Vec<Value>, readings: Vec<Reading>) -> Result<Vec<IndexPart>, StoreError> {
    let mut answers = answers.into_iter();
    let mut parts = Vec::with_capacity(readings.len());
    for Reading { mut part, .. } in readings {
        for listed in &mut part.listed {
            let answer = list(answers.next().unwrap_or_default())?;
            let [first] = &answer[..] else { return Err(corrupt("when a payment came first")) };
            listed.first_seen = optional(first)?.unwrap_or(listed.changed);
        }
        parts.push(part);
    }
    Ok(parts)
}

fn number(value: &Value) -> Result<i64, StoreError> {
    parse(text(value).unwrap_or_default())
}

fn time(ms: i64) -> Result<Time, StoreError> {
    Time::from_unix_ms(ms).map_err(|_| corrupt("a time"))
}

/// Reads a time that may be missing.
fn optional(value: &Value) -> Result<Option<Time>, StoreError> {
    if *value == Value::Nil { Ok(None) } else { time(number(value)?).map(Some) }
}

/// Reads a score, which is a whole number.
fn score_of(value: &Value) -> Result<i64, StoreError> {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "the scores are whole numbers below 2^53")]
        Value::Double(score) => Ok(*score as i64),
        other => number(other),
    }
}
