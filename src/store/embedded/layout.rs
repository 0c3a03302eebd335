//! The layout of the one ordered tree: keys and values to bytes and back. Pure.
//!
//! | key | value |
//! |---|---|
//! | `m` log                         | [`Meta`]: one per log, side by side, so that a sweep reads few bytes |
//! | `e` log, `seq`                  | [`Stored`]: tag and event; a log is one range |
//! | `s` log, digest of the identity | [`Seen`]: what was appended under that identity |
//! | `f` partition, `pos`            | some [`Reference`](crate::store::Reference)s from that place on; the last one is the feed's head |
//! | `q` or `d` source, number       | [`Record`] of the quarantine or the delivery log |
//! | `b` id                          | [`HeldValue`]: what is held under that id, in the order of time |
//! | `a` number                      | [`AuditEntry`](crate::store::AuditEntry): the audit trail |
//! | `c` source, payment             | [`PendingConfirmation`] |
//! | `j`                             | the number of the journal's last group that is in the tree |
//! | `i` realm, payment              | [`IndexPlace`]: the index of the payments that changed most recently |
//! | `h` realm                       | [`IndexHead`]: what else the index knows of a realm |
//! | `k`                             | [`IndexMark`]: up to which group that index has been kept |
//! | `t` log                         | [`ReceiptHead`]: what is counted of the receipt of a payment |
//! | `r` log, name                   | the lines of one stream or one process in that receipt |
//!
//! References are kept in chunks of at most [`CHUNK`], each a JSON array. Format 1 kept each under a key of its own, as an object, and is
//! read too.
//!
//! `log` is realm, kind and id, each ended by a zero byte, which none of them can hold; a label is stored as a payment of the realm
//! `label:<realm>`. Numbers are big endian, so that
//! their order is that of the tree. Values are JSON, so that an operator can read them, except [`Seen`], of which there are most.

use crate::{
    payment::{Digest, Kind, Name, Subject, Tag, Time},
    store::{Delay, HeldId, Record, RecordLog, StoreError},
};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, Value};
use std::sync::Arc;

/// What is kept about a log besides its entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The number of its entries.
    pub(super) seq: u64,
    /// The provider of its first event, to which the log belongs.
    pub(super) provider: Arc<str>,
    /// When the last entry was appended, by the gateway's clock. The time to live counts from here.
    pub(super) last: Time,
}

/// One entry of a log: `Stored<&Event>` for writing, `Stored<Event>` for reading.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored<E> {
    /// The tag that was drawn when the event was appended.
    pub(super) tag: Tag,
    /// The event.
    pub(super) event: E,
}

/// A pending confirmation, as far as a restart has to know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct PendingConfirmation {
    /// The source whose provider is to be asked.
    pub(super) source: Arc<str>,
    /// The payment to confirm.
    pub(super) payment: Name,
    /// When it became pending, or was answered last.
    pub(super) since: Time,
    /// When it may be claimed.
    pub(super) due: Time,
    /// The reason for the last delay, if there was one since the last hint.
    #[serde(default)]
    pub(super) delay: Option<Delay>,
    /// How often in a row it was delayed for that reason.
    pub(super) attempts: u32,
    /// When the first delay of that row began.
    #[serde(default)]
    pub(super) delayed_since: Time,
}

/// What is held under an id: a record of the quarantine with its body or, once it was settled, what its settlement said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct HeldValue {
    /// The source of the record.
    pub(super) source: Arc<str>,
    /// The record, its number in the quarantine, and its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<(Record, u64, Value)>,
    /// What the settlement said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) settled: Option<Value>,
}

/// What is counted of the receipt of a payment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct ReceiptHead {
    /// When something was added last, by the gateway's clock.
    pub(super) last: Time,
    /// The streams that have lines.
    pub(super) streams: usize,
    /// The processes that have lines.
    pub(super) nodes: usize,
    /// How many lines were left out for lack of room.
    pub(super) left_out: u64,
}

/// What is remembered about the identity of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// The digest of type and facts, by which another event of this identity is told apart.
    pub(super) digest: Digest,
    /// The number of its entry in the log.
    pub(super) seq: u64,
}

impl Seen {
    /// The digest, and then the number.
    pub(super) fn encode(self) -> Vec<u8> {
        [self.digest.as_slice(), &self.seq.to_be_bytes()].concat()
    }

    /// The value that [`encode`](Self::encode) made these bytes of.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let parts = bytes.split_first_chunk().and_then(|(digest, seq)| Some((*digest, seq.try_into().ok()?)));
        let (digest, seq) =
            parts.ok_or_else(|| StoreError::Corrupt("what is remembered of an event".into()))?;
        Ok(Self { digest, seq: u64::from_be_bytes(seq) })
    }
}

/// What the index says of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IndexPlace {
    /// When the payment came into the index.
    pub(super) first_seen: Time,
    /// When its last event was appended.
    pub(super) changed: Time,
    /// The number of its last entry.
    pub(super) seq: u64,
}

/// What the index knows of a realm beside its payments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct IndexHead {
    /// All payments that changed since this time had room.
    pub(super) complete_since: Option<Time>,
    /// When a payment was last removed for another reason.
    pub(super) erased: Option<Time>,
}

/// Up to which group the index has been kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IndexMark {
    /// The number of the journal's last group that is in the tree, and in its index.
    pub(super) group: u64,
    /// When the index began; `None` if it is as old as the folder.
    pub(super) begun: Option<Time>,
}

impl IndexPlace {
    /// The two times and the number.
    pub(super) fn encode(self) -> Vec<u8> {
        let numbers = [time_number(Some(self.first_seen)), time_number(Some(self.changed)), self.seq];
        numbers.map(u64::to_be_bytes).concat()
    }

    /// The value that [`encode`](Self::encode) made these bytes of.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let [first_seen, changed, seq] = numbers(bytes)?;
        let time = |number| number_time(number)?.ok_or_else(index_unreadable);
        Ok(Self { first_seen: time(first_seen)?, changed: time(changed)?, seq })
    }
}

impl IndexHead {
    /// The two times.
    pub(super) fn encode(self) -> Vec<u8> {
        [self.complete_since, self.erased].map(|time| time_number(time).to_be_bytes()).concat()
    }

    /// The value that [`encode`](Self::encode) made these bytes of.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let [complete_since, erased] = numbers(bytes)?;
        Ok(Self { complete_since: number_time(complete_since)?, erased: number_time(erased)? })
    }
}

impl IndexMark {
    /// The number and the time.
    pub(super) fn encode(self) -> Vec<u8> {
        [self.group, time_number(self.begun)].map(u64::to_be_bytes).concat()
    }

    /// The value that [`encode`](Self::encode) made these bytes of.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let [group, begun] = numbers(bytes)?;
        Ok(Self { group, begun: number_time(begun)? })
    }
}

/// A time as milliseconds since 1970, one more than they are, so that 0 stands for none.
fn time_number(time: Option<Time>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.unix_ms()).unwrap_or_default() + 1)
}

fn number_time(number: u64) -> Result<Option<Time>, StoreError> {
    let Some(ms) = number.checked_sub(1) else { return Ok(None) };
    let time = i64::try_from(ms).ok().and_then(|ms| Time::from_unix_ms(ms).ok());
    time.map(Some).ok_or_else(index_unreadable)
}

fn numbers<const N: usize>(bytes: &[u8]) -> Result<[u64; N], StoreError> {
    let mut numbers = [0; N];
    if bytes.len() != N * 8 {
        return Err(index_unreadable());
    }
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = u64::from_be_bytes(bytes.try_into().unwrap_or_default());
    }
    Ok(numbers)
}

fn index_unreadable() -> StoreError {
    StoreError::Corrupt("a value of its index".into())
}

/// References of one chunk of a feed.
pub(super) const CHUNK: usize = 64;

/// The key of the number of the journal's last group that is in the tree.
pub(super) const CARRIED: &[u8] = b"j";

/// The key of what the index is kept up to.
pub(super) const INDEXED: &[u8] = b"k";

/// The prefix of the keys of all payments of the index.
pub(super) const INDEX_PLACES: &[u8] = b"i";

/// The prefix of the keys of what the index knows of each realm.
pub(super) const INDEX_HEADS: &[u8] = b"h";

/// The key of a payment of the index.
pub(super) fn index_place(realm: &Name, payment: &Name) -> Vec<u8> {
    [INDEX_PLACES, realm.as_str().as_bytes(), &[0], payment.as_str().as_bytes()].concat()
}

/// The key of what the index knows of a realm.
pub(super) fn index_head(realm: &Name) -> Vec<u8> {
    [INDEX_HEADS, realm.as_str().as_bytes()].concat()
}

/// The realm and the payment that a key of the index names.
pub(super) fn payment_of_place(key: &[u8]) -> Result<(Name, Name), StoreError> {
    let text = key.strip_prefix(INDEX_PLACES).and_then(|names| std::str::from_utf8(names).ok());
    let names = text.and_then(|text| text.split_once('\0'));
    let names = names.and_then(|(realm, payment)| realm.parse().ok().zip(payment.parse().ok()));
    names.ok_or_else(index_unreadable)
}

/// The realm that a key of the index names.
pub(super) fn realm_of_head(key: &[u8]) -> Result<Name, StoreError> {
    let text = key.strip_prefix(INDEX_HEADS).and_then(|name| std::str::from_utf8(name).ok());
    text.and_then(|text| text.parse().ok()).ok_or_else(index_unreadable)
}

/// The prefix of the keys of all metas.
pub(super) const METAS: &[u8] = b"m";

/// The subject whose meta has this key.
pub(super) fn subject_of_meta(key: &[u8]) -> Result<Subject, StoreError> {
    let text = key.strip_prefix(METAS).and_then(|parts| std::str::from_utf8(parts).ok());
    let parts: Vec<_> = text.unwrap_or_default().split('\0').collect();
    let subject = match parts[..] {
        [realm, kind, id, ""] if kind == Kind::Payment.as_str() => {
            realm.parse().ok().zip(id.parse().ok()).map(|(realm, id)| Subject::payment(realm, id))
        }
        _ => None,
    };
    subject.ok_or_else(|| StoreError::Corrupt("the key of a log".into()))
}

/// A chunk of items that are JSON each.
pub(super) fn chunk<'a>(items: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut chunk = Vec::new();
    for item in items {
        chunk.push(if chunk.is_empty() { b'[' } else { b',' });
        chunk.extend_from_slice(item);
    }
    chunk.push(b']');
    chunk
}

/// The items of a chunk, or the one of format 1.
pub(super) fn items(chunk: &[u8]) -> Result<Vec<&[u8]>, StoreError> {
    if chunk.first() != Some(&b'[') {
        return Ok(vec![chunk]);
    }
    let items: Vec<&RawValue> = decode(chunk)?;
    Ok(items.into_iter().map(|item| item.get().as_bytes()).collect())
}

/// The key of a log's meta.
pub(super) fn meta(subject: &Subject) -> Vec<u8> {
    log(b'm', subject)
}

/// The prefix of the keys of a log's entries.
pub(super) fn entries(subject: &Subject) -> Vec<u8> {
    log(b'e', subject)
}

/// The key of entry `seq`.
pub(super) fn entry(subject: &Subject, seq: u64) -> Vec<u8> {
    numbered(entries(subject), seq)
}

/// The key of what is remembered about an event's identity, (source, id).
pub(super) fn seen(subject: &Subject, identity: Digest) -> Vec<u8> {
    let mut key = log(b's', subject);
    key.extend(identity);
    key
}

/// The prefixes of the keys of a log's entries and identities, given the key of its meta.
pub(super) fn of_meta(meta: &[u8]) -> [Vec<u8>; 2] {
    let rest = meta.get(1..).unwrap_or_default();
    [[b"e", rest].concat(), [b"s", rest].concat()]
}

/// The prefix of the keys of a partition's feed.
fn feed(partition: u8) -> Vec<u8> {
    vec![b'f', partition]
}

/// The key of the chunk that begins with place `pos` of a partition's feed.
pub(super) fn reference(partition: u8, pos: u64) -> Vec<u8> {
    numbered(feed(partition), pos)
}

/// The prefix of the keys of a source's records.
pub(super) fn records(log: RecordLog, source: &str) -> Vec<u8> {
    of_source(kind_of(log), source)
}

/// The prefix of the keys of all that is held.
pub(super) const HELD: &[u8] = b"b";

/// The key of what is held under an id.
pub(super) fn held(id: HeldId) -> Vec<u8> {
    [HELD, &id.to_bytes()].concat()
}

/// The key before which all ids are of times before this one, in milliseconds.
pub(super) fn held_before(ms: u64) -> Vec<u8> {
    numbered(HELD.to_vec(), ms)
}

/// The key of a record, and the log that it belongs to.
pub(super) type RecordKey = (RecordLog, Vec<u8>);

/// The key of what is held, and the key of its record.
pub(super) type HeldKey = (Vec<u8>, Vec<u8>);

/// The keys of what bears an erased payment's id beside its log.
pub(super) struct KeysToErase {
    /// The keys of records.
    pub(super) records: Vec<RecordKey>,
    /// The keys of what is held, each with the key of its record.
    pub(super) held: Vec<HeldKey>,
}

impl KeysToErase {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.held.is_empty()
    }
}

/// The prefix of the keys of all sources' records.
pub(super) fn all_records(log: RecordLog) -> [u8; 1] {
    [kind_of(log)]
}

const fn kind_of(log: RecordLog) -> u8 {
    match log {
        RecordLog::Quarantine => b'q',
        RecordLog::Deliveries => b'd',
    }
}

/// The first bytes of the keys of what may be lost in a crash: delivery logs and receipts.
pub(super) const VOLATILE: [u8; 3] = [b'd', b'r', b't'];

/// Whether a key is that of a record. Such a key is used once.
pub(super) fn is_of_record(key: &[u8]) -> bool {
    matches!(key.first(), Some(b'q' | b'd'))
}

/// The prefix of the keys of the audit trail.
pub(super) const AUDIT: &[u8] = b"a";

/// The prefix of the keys of the heads of all receipts.
pub(super) const RECEIPT_HEADS: &[u8] = b"t";

/// The key of the head of a payment's receipt.
pub(super) fn receipt_head(subject: &Subject) -> Vec<u8> {
    log(b't', subject)
}

/// The key of the lines that a stream or a process of this name has in a payment's receipt. With an empty name, the prefix of all of them.
pub(super) fn receipt(subject: &Subject, name: &str) -> Vec<u8> {
    let mut key = log(b'r', subject);
    key.extend(name.as_bytes());
    key
}

/// The prefix of the keys of a receipt's lines, given the key of its head.
pub(super) fn receipts_of_head(head: &[u8]) -> Vec<u8> {
    [b"r", head.get(1..).unwrap_or_default()].concat()
}

/// The prefix of the keys of all pending confirmations.
pub(super) const CONFIRMATIONS: &[u8] = b"c";

/// The key of a pending confirmation.
pub(super) fn confirmation(source: &str, payment: &Name) -> Vec<u8> {
    let mut key = of_source(b'c', source);
    key.extend(payment.as_str().as_bytes());
    key
}

fn of_source(kind: u8, source: &str) -> Vec<u8> {
    let mut key = vec![kind];
    // The length keeps the keys of `acme` apart from those of `acme-test`.
    key.extend((source.len() as u64).to_be_bytes());
    key.extend(source.as_bytes());
    key
}

/// The key of number `number` under a prefix.
pub(super) fn numbered(mut prefix: Vec<u8>, number: u64) -> Vec<u8> {
    prefix.extend(number.to_be_bytes());
    prefix
}

/// The number at the end of a key.
pub(super) fn number(key: &[u8]) -> Result<u64, StoreError> {
    let last = key.last_chunk().ok_or_else(|| StoreError::Corrupt("a key lacks its number".into()))?;
    Ok(u64::from_be_bytes(*last))
}

/// Encodes a value as JSON.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Decodes a value from JSON.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn log(kind: u8, subject: &Subject) -> Vec<u8> {
    let parts = [subject.realm.as_str(), Kind::Payment.as_str(), subject.id.as_str()];
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len() + 1).sum::<usize>() + 16);
    key.push(kind);
    for part in parts {
        key.extend(part.as_bytes());
        key.push(0);
    }
    key
}
