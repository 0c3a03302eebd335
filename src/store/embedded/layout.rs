//! How things are laid out in the one ordered tree. Pure: keys and values to bytes and back.
//!
//! | key | value |
//! |---|---|
//! | `m` log                        | [`Meta`]: one per log, side by side, so that a sweep walks few bytes |
//! | `e` log, `seq`                 | [`Stored`]: tag and event; a log is one range |
//! | `s` log, digest of the identity | [`Seen`]: what was appended under that identity |
//! | `f` partition, `pos`           | [`Reference`](crate::store::Reference); the last one is the feed's head |
//! | `q` or `d` source, number      | [`Record`](crate::store::Record) of the quarantine or the delivery log |
//! | `c` source, payment            | [`Debt`]: a confirmation that is owed |
//!
//! `log` is realm, kind and id, each ended by a zero byte, which none of them can hold. Numbers are big endian, so that
//! their order is the tree's. Values are JSON, for an operator's eyes, but for [`Seen`], of which there are most.

use crate::{
    payment::{Digest, Event, Name, Subject, Tag, Time},
    store::{Delay, RecordLog, StoreError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// What is kept of a log besides its entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    /// Entries so far.
    pub(super) seq: u64,
    /// Whose first event it was.
    pub(super) provider: Arc<str>,
    /// When the last entry was appended, by our clock: the time to live counts from here.
    pub(super) last: Time,
}

/// One entry of a log: `Stored<&Event>` to write, `Stored<Event>` to read.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored<E> {
    /// Drawn at the append.
    pub(super) tag: Tag,
    /// What was appended.
    pub(super) event: E,
}

/// A confirmation that is owed, as far as a restart has to know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Debt {
    /// Whose.
    pub(super) source: Arc<str>,
    /// Which.
    pub(super) payment: Name,
    /// Since when.
    pub(super) since: Time,
    /// When it may be claimed.
    pub(super) due: Time,
    /// Why it was put off last, how often in a row for that reason, and since when.
    #[serde(default)]
    pub(super) delay: Option<Delay>,
    pub(super) attempts: u32,
    #[serde(default)]
    pub(super) delayed_since: Time,
}

/// What is remembered of an identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// Of type and facts.
    pub(super) digest: Digest,
    /// The entry.
    pub(super) seq: u64,
}

impl Seen {
    /// The digest, then the number.
    pub(super) fn encode(self) -> Vec<u8> {
        [self.digest.as_slice(), &self.seq.to_be_bytes()].concat()
    }

    /// Back from bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let parts = bytes.split_first_chunk().and_then(|(digest, seq)| Some((*digest, seq.try_into().ok()?)));
        let (digest, seq) = parts.ok_or_else(|| StoreError::Corrupt("a record of what was seen".into()))?;
        Ok(Self { digest, seq: u64::from_be_bytes(seq) })
    }
}

/// All metas begin like this.
pub(super) const METAS: &[u8] = b"m";

/// The key of a log's meta.
pub(super) fn meta(subject: &Subject) -> Vec<u8> {
    log(b'm', subject)
}

/// What the keys of a log's entries begin with.
pub(super) fn entries(subject: &Subject) -> Vec<u8> {
    log(b'e', subject)
}

/// The key of entry `seq`.
pub(super) fn entry(subject: &Subject, seq: u64) -> Vec<u8> {
    numbered(entries(subject), seq)
}

/// The key of what was seen under an event's identity, (source, id).
pub(super) fn seen(event: &Event) -> Vec<u8> {
    let mut key = log(b's', &event.subject);
    key.extend(event.identity());
    key
}

/// What the keys of a log's entries and identities begin with, given the key of its meta.
pub(super) fn of_meta(meta: &[u8]) -> [Vec<u8>; 2] {
    let rest = meta.get(1..).unwrap_or_default();
    [[b"e", rest].concat(), [b"s", rest].concat()]
}

/// What the keys of a partition's feed begin with.
pub(super) fn feed(partition: u8) -> Vec<u8> {
    vec![b'f', partition]
}

/// The key of place `pos` in a partition's feed.
pub(super) fn reference(partition: u8, pos: u64) -> Vec<u8> {
    numbered(feed(partition), pos)
}

/// What the keys of a source's records begin with.
pub(super) fn records(log: RecordLog, source: &str) -> Vec<u8> {
    let kind = match log {
        RecordLog::Quarantine => b'q',
        RecordLog::Deliveries => b'd',
    };
    of_source(kind, source)
}

/// What the keys of all debts begin with.
pub(super) const DEBTS: &[u8] = b"c";

/// The key of a debt.
pub(super) fn debt(source: &str, payment: &Name) -> Vec<u8> {
    let mut key = of_source(b'c', source);
    key.extend(payment.as_str().as_bytes());
    key
}

fn of_source(kind: u8, source: &str) -> Vec<u8> {
    let mut key = vec![kind];
    // The length keeps what is of `acme` apart from what is of `acme-test`.
    key.extend((source.len() as u64).to_be_bytes());
    key.extend(source.as_bytes());
    key
}

/// The key of number `number` under a prefix.
pub(super) fn numbered(mut prefix: Vec<u8>, number: u64) -> Vec<u8> {
    prefix.extend(number.to_be_bytes());
    prefix
}

/// The number at a key's end.
pub(super) fn number(key: &[u8]) -> Result<u64, StoreError> {
    let last = key.last_chunk().ok_or_else(|| StoreError::Corrupt("a key without its number".into()))?;
    Ok(u64::from_be_bytes(*last))
}

/// A value as JSON.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// A value back from JSON.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn log(kind: u8, subject: &Subject) -> Vec<u8> {
    let parts = [subject.realm.as_str(), subject.kind.as_str(), subject.id.as_str()];
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len() + 1).sum::<usize>() + 16);
    key.push(kind);
    for part in parts {
        key.extend(part.as_bytes());
        key.push(0);
    }
    key
}
