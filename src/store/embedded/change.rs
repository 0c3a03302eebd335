//! Changes: what the writer decided, as the journal keeps it until the tree holds it too. Pure.
//!
//! The payload of a group is its changes one behind the other, in the `postcard` format. That format counts the variants of an enum, so
//! variants may only be added at the end.

use super::layout::{self, Stored};
use crate::{
    payment::{Digest, Event, Subject, Tag, Time},
    store::StoreError,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One change of what the store holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Change {
    /// An event was appended.
    Entry(NewEntry),
    /// A record or a pending confirmation was written or, without a value, removed.
    Pair {
        /// Its key.
        key: Vec<u8>,
        /// The value.
        value: Option<Bytes>,
    },
    /// Everything that is kept about a log was removed.
    Forget(Subject),
    /// A reference was put at its place of a feed: behind the last one, or in place of one.
    Reference {
        /// The partition of the feed.
        partition: u8,
        /// The reference, as the tree keeps it.
        reference: Bytes,
        /// Whether it is behind the last one.
        is_new: bool,
    },
}

/// A new entry of a log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct NewEntry {
    /// The subject of the log.
    pub(super) subject: Subject,
    /// The number of the entry.
    pub(super) seq: u64,
    /// The tag of the entry.
    pub(super) tag: Tag,
    /// Its place in the feed of its partition.
    pub(super) pos: u64,
    /// The provider to which the log belongs.
    pub(super) provider: Arc<str>,
    /// When it was appended, by the gateway's clock.
    #[serde(with = "unix_ms")]
    pub(super) at: Time,
    /// Whether the log begins anew with it, so that nothing of an earlier one is left.
    pub(super) anew: bool,
    /// The digest of what identifies the event within its payment.
    pub(super) identity: Digest,
    /// The digest of type and facts.
    pub(super) digest: Digest,
    /// The entry as the tree keeps it.
    pub(super) stored: Bytes,
}

impl NewEntry {
    /// The entry of an event as the tree keeps it.
    pub(super) fn stored(tag: Tag, event: &Event) -> Result<Bytes, StoreError> {
        layout::encode(&Stored { tag, event }).map(Bytes::from)
    }
}

impl Change {
    /// Adds the change to the payload of a group.
    pub(super) fn write_to(&self, payload: &mut Vec<u8>) -> Result<(), StoreError> {
        let written = postcard::to_io(self, payload).map(drop);
        written.map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// The changes of a group.
    pub(super) fn all_of(mut payload: &[u8]) -> impl Iterator<Item = Result<Self, StoreError>> {
        std::iter::from_fn(move || {
            if payload.is_empty() {
                return None;
            }
            let taken = postcard::take_from_bytes(payload);
            payload = taken.as_ref().map_or(&[], |(_, rest)| rest);
            let unreadable = |error| StoreError::Corrupt(format!("a change of its journal: {error}"));
            Some(taken.map(|(change, _)| change).map_err(unreadable))
        })
    }
}

/// The number of events that a group adds to logs.
pub(super) fn events_of(payload: &[u8]) -> u64 {
    Change::all_of(payload).map(|change| u64::from(matches!(change, Ok(Change::Entry(_))))).sum()
}

/// Times as milliseconds since 1970.
mod unix_ms {
    use super::Time;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.unix_ms())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        Time::from_unix_ms(i64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_as_they_were_written() {
        let subject = Subject::payment("default".parse().unwrap(), "pay".parse().unwrap());
        let entry = NewEntry {
            subject: subject.clone(),
            seq: 1 << 40,
            tag: Tag::from_random(7),
            pos: 3,
            provider: "stripe".into(),
            at: Time::from_unix_ms(1_800_000_000_123).unwrap(),
            anew: true,
            identity: [1; 16],
            digest: [2; 16],
            stored: Bytes::from_static(b"{}"),
        };
        let changes = [
            Change::Entry(entry),
            Change::Pair { key: vec![2], value: Some(Bytes::from_static(b"c")) },
            Change::Pair { key: vec![2], value: None },
            Change::Forget(subject),
            Change::Reference { partition: 7, reference: Bytes::from_static(b"f"), is_new: true },
        ];
        let mut payload = Vec::new();
        changes.iter().for_each(|change| change.write_to(&mut payload).unwrap());
        assert!(Change::all_of(&payload).map(Result::unwrap).eq(changes));
        assert!(Change::all_of(&payload[..payload.len() - 1]).last().unwrap().is_err());
        assert!(Change::all_of(&[99; 10]).last().unwrap().is_err());
    }
}
