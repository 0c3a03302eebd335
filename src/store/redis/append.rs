//! Appends that wait together, in few calls of `append.lua`. Pure.
//!
//! A call costs the server as much as a fifth of an append, so one call takes several. A cluster wants all keys of a call in one slot,
//! that is in one partition; any other server takes appends of all partitions in one call. A call is bounded, because nothing else
//! runs on the server meanwhile.

use super::{plan::Plan, scripts, settings::Settings};
use crate::{
    payment::{Digest, Event, Kind, Name, Tag},
    store::{Append, FEED_LEN, MAX_LOG, StoreError, index::share_of, labels::life_ms},
};
use redis::{Cmd, RedisWrite as _};
use std::{collections::HashMap, sync::Arc};

/// The most appends in one call. They take about a third of a millisecond of the server's time.
const PER_CALL: usize = 32;

/// The most bytes of events in one call, unless it is a single event.
const BYTES_PER_CALL: usize = 64 * 1024;

/// One append, as the script takes it. Its tag is drawn once, so that the script recognises the append when it is sent again.
#[derive(Debug)]
pub(super) struct Appending {
    pub(super) tag: Tag,
    pub(super) partition: u8,
    realm: Name,
    kind: Kind,
    id: Name,
    log: String,
    meta: String,
    identity: Digest,
    digest: Digest,
    provider: Arc<str>,
    shared_ids: bool,
    /// The event as JSON.
    event: Vec<u8>,
}

impl Appending {
    /// Draws a tag for an append, and names its keys.
    pub(super) fn new(append: &Append, plan: &Plan) -> Result<Self, StoreError> {
        let event: &Event = &append.event;
        Ok(Self {
            tag: Tag::from_random(rand::random()),
            partition: event.subject.partition(),
            realm: event.subject.realm.clone(),
            kind: event.subject.kind(),
            id: event.subject.id.clone(),
            log: plan.log(&event.subject),
            meta: plan.meta(&event.subject),
            identity: event.identity(),
            digest: event.digest(),
            provider: Arc::clone(&event.provider),
            shared_ids: append.shared_ids,
            event: serde_json::to_vec(event).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        })
    }
}

/// How appends are called.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) plan: Plan,
    /// The digest of `append.lua`.
    pub(super) script: String,
    pub(super) history_ms: i64,
    /// How many payments of a realm the index of a partition holds; 0 for no index.
    pub(super) share: usize,
    /// How many replicas must have an append before it is acknowledged.
    pub(super) replicas: u32,
}

impl Caller {
    /// The calls of a store with these settings and keys.
    pub(super) fn new(settings: &Settings, plan: Plan) -> Self {
        Self {
            plan,
            script: scripts::digest(scripts::APPEND),
            history_ms: i64::try_from(settings.history.as_millis()).unwrap_or(i64::MAX),
            share: share_of(settings.recent),
            replicas: settings.ack_replicas,
        }
    }

    /// Returns the command that makes these appends.
    pub(super) fn call(&self, appends: &[&Appending]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        let keys = if self.share > 0 { 5 } else { 4 };
        command.arg(&self.script).arg(keys * appends.len());
        for Appending { log, meta, partition, realm, .. } in appends {
            command.arg(log).arg(meta).arg(self.plan.head(*partition)).arg(self.plan.feed(*partition));
            if self.share > 0 {
                command.arg(self.plan.changed(*partition, realm));
            }
        }
        command.arg(MAX_LOG).arg(FEED_LEN).arg(self.replicas).arg(self.share);
        for append in appends {
            let Appending { tag, identity, digest, provider, .. } = append;
            command.write_arg_fmt(tag);
            command.arg(&identity[..]).arg(&digest[..]).arg(&**provider).arg(u8::from(append.shared_ids));
            command.arg(self.plan.channel(append.partition)).arg(&append.event[..]);
            command.arg(if append.kind == Kind::Payment { append.id.as_str() } else { "" });
            command.arg(life_ms(self.history_ms, append.kind));
        }
        command
    }
}

/// Distributes writes over calls. Appends share them; `spreads` says whether also those of different partitions do. A write
/// that is no append has one of its own.
pub(super) fn calls<T>(
    writes: Vec<T>,
    spreads: bool,
    append_of: impl Fn(&T) -> Option<&Appending>,
) -> Vec<Vec<T>> {
    let mut calls: Vec<Vec<T>> = Vec::new();
    // The number of the call that takes the next append of a partition, or of all, and the bytes of its events.
    let mut open: HashMap<u8, (usize, usize)> = HashMap::new();
    for write in writes {
        let Some(Appending { partition, event, .. }) = append_of(&write) else {
            calls.push(vec![write]);
            continue;
        };
        let size = event.len();
        let (number, bytes) = open.entry(if spreads { 0 } else { *partition }).or_insert((usize::MAX, 0));
        match calls.get_mut(*number) {
            Some(call) if call.len() < PER_CALL && *bytes + size <= BYTES_PER_CALL => {
                *bytes += size;
                call.push(write);
            }
            _ => {
                (*number, *bytes) = (calls.len(), size);
                calls.push(vec![write]);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payment::Phase, store::fake};

    fn appending(payment: &str, event_bytes: usize) -> Appending {
        let event = fake::event(payment, "evt_1", Phase::Captured);
        let append = Append { event, shared_ids: false };
        let appending = Appending::new(&append, &Plan::new("ps".to_owned())).unwrap();
        Appending { event: vec![b'x'; event_bytes], ..appending }
    }

    fn itself(append: &Appending) -> Option<&Appending> {
        Some(append)
    }

    fn lengths(appends: Vec<Appending>, spreads: bool) -> Vec<usize> {
        calls(appends, spreads, itself).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_call_is_bounded_in_appends_and_in_bytes() {
        let appends = |count: usize, bytes| (0..count).map(|_| appending("pay", bytes)).collect::<Vec<_>>();
        for spreads in [true, false] {
            assert_eq!(lengths(appends(70, 600), spreads), [32, 32, 6]);
            assert_eq!(lengths(appends(5, 30_000), spreads), [2, 2, 1]);
            assert_eq!(lengths(appends(2, 100_000), spreads), [1, 1]);
            assert_eq!(lengths(Vec::new(), spreads), [0; 0]);
            assert_eq!(calls(appends(4, 600), spreads, |_| None).len(), 4, "they are no appends");
        }
    }

    #[test]
    fn a_call_for_one_slot_has_appends_of_one_partition_in_their_order() {
        let appends: Vec<_> = (0..100).map(|number| appending(&format!("pay_{number}"), 600)).collect();
        let tags: Vec<_> = appends.iter().map(|append| append.tag).collect();
        let calls = calls(appends, false, itself);
        for call in &calls {
            assert!(call.iter().all(|append| append.partition == call[0].partition));
            let places = call.iter().map(|append| tags.iter().position(|tag| *tag == append.tag));
            assert!(places.is_sorted());
        }
        assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), 100);
        assert!(calls.len() < 100, "some of them share a partition");
    }
}
