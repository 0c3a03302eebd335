//! Follows the deliveries live, as server-sent events: each record is an event whose id is its place.
//!
//! Several nodes may write, and records need not be durable, so nobody announces them: the newest records of each source are read again
//! and again. Records that come at the same time may come in any order, so what was shown is remembered by its place, and not by
//! the last one. A client that returns with the id of the last event gets the records of a minute before it again, because one that was
//! received earlier may have been recorded later; by their ids it knows them.
//!
//! A client that reads slowly delays the reads, and nothing is kept for it. If it thereby misses what the store has removed meanwhile, it
//! gets the event `gap`.

use super::{
    place::{DeliveryPlace, as_json},
    wanted::Wanted,
};
use crate::{
    http::admin::audit::By,
    payment::Time,
    shutdown::Shutdown,
    source::Sources,
    store::{RECORDS_PER_SOURCE, Record, RecordCursor, RecordLog, Store, StoreError},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

/// The pause between two reads.
const PAUSE: Duration = Duration::from_millis(500);

/// Records that are read of a source at a time. There are more only if more came within the pause.
const AT_A_TIME: usize = 64;

/// Places that are remembered of each source: more than the records that it can have.
const REMEMBERED: usize = 2 * RECORDS_PER_SOURCE;

/// The longest silence.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long before the last event that a client has seen another one may have been received that was recorded after it.
const OVERLAP_MS: i64 = 60_000;

/// One who follows.
pub(super) struct Follower {
    by: By,
    store: Arc<dyn Store>,
    sources: Arc<Sources>,
    shutdown: Shutdown,
    wanted: Wanted,
    /// What was shown of each source; empty before the first read.
    shown: HashMap<Arc<str>, Shown>,
    /// The last event that the client has seen on an earlier connection.
    after: Option<DeliveryPlace>,
    /// Whether anything was sent.
    has_begun: bool,
    /// Whether the records that were there at first have been read.
    has_read: bool,
    is_stale: bool,
    /// When something was sent last.
    wrote: Instant,
    is_over: bool,
}

/// Which records of a source were looked at.
#[derive(Default)]
struct Shown {
    /// The newest places.
    places: BTreeSet<RecordCursor>,
    /// Records before this place were there before.
    floor: Option<RecordCursor>,
}

impl Follower {
    pub(super) fn new(
        by: By,
        store: Arc<dyn Store>,
        sources: Arc<Sources>,
        shutdown: Shutdown,
        wanted: Wanted,
        after: Option<DeliveryPlace>,
    ) -> Self {
        Self {
            by,
            store,
            sources,
            shutdown,
            wanted,
            shown: HashMap::new(),
            after,
            has_begun: false,
            has_read: false,
            is_stale: false,
            wrote: Instant::now(),
            is_over: false,
        }
    }

    /// The events, until the node drains or the operator's token is no longer accepted. Holds the permit until then.
    pub(super) fn events(
        self,
        permit: OwnedSemaphorePermit,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold((self, permit), async |(mut follower, permit)| {
            let events = follower.next().await?;
            Some((Ok(events.into()), (follower, permit)))
        })
    }

    /// Waits for the next events.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        loop {
            if self.has_begun {
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = self.shutdown.draining() => return Some(self.close("drain")),
                }
            }
            if !self.by.stands() {
                return Some(self.close("token_removed"));
            }
            let events = self.read().await;
            if !events.is_empty() {
                self.wrote = Instant::now();
                return Some(events);
            }
            if self.wrote.elapsed() >= HEARTBEAT {
                self.wrote = Instant::now();
                return Some(self.heartbeat().to_owned());
            }
        }
    }

    const fn heartbeat(&self) -> &'static str {
        if self.wanted.heartbeat_events { "event: heartbeat\ndata: {}\n\n" } else { ":\n" }
    }

    fn close(&mut self, reason: &str) -> String {
        self.is_over = true;
        format!("event: closing\ndata: {}\n\n", json!({ "type": "closing", "reason": reason }))
    }

    /// Reads what is new, and returns it as events.
    async fn read(&mut self) -> String {
        let mut events = if !std::mem::replace(&mut self.has_begun, true) {
            "retry: 1000\n".to_owned()
        } else {
            String::new()
        };
        let fresh = self.fresh().await;
        if self.is_stale != fresh.is_err() {
            self.is_stale = fresh.is_err();
            events +=
                &format!("event: stale\ndata: {}\n\n", json!({ "type": "stale", "stale": self.is_stale }));
        }
        let Ok((mut fresh, has_gap)) = fresh else {
            // What was not read is read next time.
            return events;
        };
        if has_gap {
            events += "event: gap\ndata: {\"type\":\"gap\"}\n\n";
        }
        fresh.retain(|(_, record)| self.wanted.has(record));
        fresh.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if !std::mem::replace(&mut self.has_read, true) {
            match &self.after {
                Some(after) => {
                    let from = Time::from_unix_ms(after.at.unix_ms() - OVERLAP_MS).unwrap_or_default();
                    fresh.retain(|(place, _)| place.at >= from && place != after);
                }
                None => drop(fresh.drain(..fresh.len().saturating_sub(self.wanted.limit))),
            }
        }
        for (place, record) in &fresh {
            events += &format!("id: {place}\ndata: {}\n\n", as_json(place, record));
        }
        events
    }

    /// The records that were not looked at yet, and whether some may be missing between them and the earlier ones.
    async fn fresh(&mut self) -> Result<(Vec<(DeliveryPlace, Record)>, bool), StoreError> {
        let (mut fresh, mut has_gap) = (Vec::new(), false);
        let names = self.wanted.sources(&self.sources);
        self.shown.retain(|name, _| names.contains(name));
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            let found = self.shown.entry(Arc::clone(&name)).or_default().read(&*self.store, &name).await?;
            all.push((name, found));
        }
        // Only what all sources have answered counts as looked at: an error of one of them passes over nothing of the others.
        for (name, found) in all {
            has_gap |= self.shown.entry(name).or_default().note(&found);
            fresh.extend(found.records);
        }
        Ok((fresh, has_gap))
    }
}

/// What was read of a source.
struct Found {
    /// The records that were not looked at yet.
    records: Vec<(DeliveryPlace, Record)>,
    /// The place before which there is more, if there is.
    before: Option<RecordCursor>,
    /// The records go back to one that was looked at already.
    meets_known: bool,
}

impl Shown {
    /// Reads the records of a source that were not looked at yet.
    async fn read(&self, store: &dyn Store, source: &str) -> Result<Found, StoreError> {
        let (mut before, mut records) = (None, Vec::new());
        let mut meets_known = false;
        loop {
            let page = store.records(RecordLog::Deliveries, source, before, AT_A_TIME).await?;
            for (cursor, record) in page.cursors.into_iter().zip(page.records) {
                if self.places.contains(&cursor) || self.floor.is_some_and(|floor| cursor < floor) {
                    meets_known = true;
                } else {
                    records.push((DeliveryPlace::of(&record, cursor), record));
                }
            }
            before = page.next;
            if meets_known || before.is_none() || records.len() >= RECORDS_PER_SOURCE {
                return Ok(Found { records, before, meets_known });
            }
        }
    }

    /// Notes that these records were looked at. Returns whether some may be missing between them and the earlier ones.
    fn note(&mut self, found: &Found) -> bool {
        let Found { records, before, meets_known } = found;
        let is_first = self.floor.is_none();
        let has_gap = !is_first && !meets_known && !self.places.is_empty() && !records.is_empty();
        self.places.extend(records.iter().map(|(place, _)| place.cursor));
        while self.places.len() > REMEMBERED {
            self.floor = self.places.pop_first();
        }
        if is_first {
            self.floor = Some(before.unwrap_or(RecordCursor { major: 0, minor: 0 }));
        }
        has_gap
    }
}
