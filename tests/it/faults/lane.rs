//! A lane: one payment with its provider and its watchers, and what must be true of them when nothing moves.

use super::{
    kind::Toll,
    provider::{ALONE, Ack, Provider, order_of},
    watcher::{Shown, Watcher},
};
use crate::support::{Gateway, Random, RedisServer};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Events after which a payment is left for a new one. Below the 512 that a log holds.
const EVENTS: u64 = 300;

/// Tokens live for ten minutes.
const AGE: Duration = Duration::from_secs(240);

/// Watchers on each node.
const WATCHERS: usize = 2;

pub(super) struct Lane {
    pub(super) payment: String,
    pub(super) provider: Provider,
    pub(super) watchers: Vec<Watcher>,
    /// What each watcher showed before the fault.
    before: Vec<Shown>,
    begun: Instant,
}

/// A log as the server holds it: event ids by `seq`.
pub(super) type Truth = BTreeMap<u64, String>;

/// A payment's log, asked of the server itself.
pub(super) fn truth(server: &RedisServer, payment: &str) -> Truth {
    let Some(key) = server.log_key(payment) else { return Truth::new() };
    let answer = server.ask(&["XRANGE", &key, "-", "+"]);
    let events = answer.lines().filter(|line| line.starts_with('{'));
    let ids = events.map(|event| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["id"].as_str().unwrap().to_owned()
    });
    (1..).zip(ids).collect()
}

/// Whether what this acknowledges has to survive the fault.
fn stands(ack: &Ack, toll: &Toll) -> bool {
    toll.lost_after.is_none_or(|after| ack.came < after || ack.began > toll.end)
}

/// Whether an event names its payment, or the event that names both has to survive the fault.
fn is_bound(acked: &BTreeMap<String, Vec<Ack>>, id: &str, toll: &Toll) -> bool {
    let Some(binding) = id.strip_suffix(ALONE) else { return true };
    acked.get(binding).is_some_and(|acks| acks.iter().any(|ack| stands(ack, toll)))
}

impl Lane {
    /// Opens the streams; the provider waits.
    pub(super) async fn start(
        taking: &[Gateway; 2],
        streaming: &[Gateway; 2],
        payment: String,
        mut random: Random,
    ) -> Self {
        let ingest = taking.each_ref().map(|node| node.ingest);
        let public = streaming.each_ref().map(|node| node.public);
        let provider = Provider::start(ingest, payment.clone(), EVENTS, Random::new(random.below(u64::MAX)));
        // The label is known before anybody watches by it.
        let (id, body) = provider.post.next(&mut random);
        provider.post.event(&id, &body, 0).await;
        let by_payment = (0..2 * WATCHERS).map(|index| (payment.clone(), index % 2));
        let by_label = [0, 1].map(|index| (order_of(&payment), index));
        let asked = by_payment.chain(by_label);
        let watchers: Vec<_> = asked.map(|(id, index)| Watcher::start(public, &id, index)).collect();
        for watcher in &watchers {
            watcher.until(|shown| shown.seen.connections == 1 && shown.seen.seq > 0).await;
        }
        Self { payment, provider, watchers, before: Vec::new(), begun: Instant::now() }
    }

    /// Whether it should be left for a new one.
    pub(super) fn is_done(&self) -> bool {
        self.begun.elapsed() > AGE || self.provider.post.book().posted > EVENTS - 100
    }

    /// Remembers what the watchers show before a fault.
    pub(super) fn remember(&mut self) {
        self.before = self.watchers.iter().map(Watcher::shows).collect();
    }

    /// Waits until every watcher is where it belongs and shows the log as it stands. `moved` says which nodes' watchers
    /// must have connected again.
    pub(super) async fn until_shown(&self, truth: &Truth, moved: [bool; 2]) {
        for (watcher, before) in self.watchers.iter().zip(&self.before) {
            let connections = before.seen.connections + u64::from(moved[watcher.home]);
            let shows = |shown: &Shown| {
                shown.node == Some(watcher.home)
                    && shown.seen.connections >= connections
                    && shown.seen.seq == truth.len() as u64
                    && shown.seen.events == *truth
            };
            watcher.until(|shown| shows(shown) || shown.gave_up.is_some()).await;
        }
    }

    /// Waits until nobody is told that what it shows may be out of date.
    pub(super) async fn until_fresh(&self) {
        for watcher in &self.watchers {
            watcher.until(|shown| !shown.stale).await;
        }
    }

    /// I1: what was acknowledged is in the log, unless the fault was allowed to lose it. I2: once. Returns how many
    /// acknowledged events are gone with leave.
    pub(super) fn check_log(&self, truth: &Truth, toll: &Toll) -> u64 {
        let mut book = self.provider.post.book();
        let mut places = BTreeMap::new();
        for (seq, id) in truth {
            if let Some(other) = places.insert(id, seq) {
                panic!("I2: {id} stands at {other} and at {seq}");
            }
        }
        let mut gone = Vec::new();
        for (id, acks) in &book.acked {
            if places.contains_key(id) {
                continue;
            }
            if let Some(ack) = acks.iter().find(|ack| stands(ack, toll))
                && is_bound(&book.acked, id, toll)
            {
                let since_end = ack.came.saturating_duration_since(toll.end);
                panic!(
                    "I1: {id} was acknowledged and is lost ({since_end:?} after the end; {acks:?}, {toll:?}): {truth:?}"
                );
            }
            gone.push(id.clone());
        }
        for id in &gone {
            book.acked.remove(id);
        }
        gone.len() as u64
    }

    /// The acknowledged events that are not in the log and have to be, unless they wait.
    pub(super) fn lacks(&self, truth: &Truth, toll: &Toll) -> Vec<String> {
        let there: BTreeSet<_> = truth.values().collect();
        let book = self.provider.post.book();
        let missing = book.acked.iter().filter(|(id, acks)| {
            !there.contains(id) && acks.iter().any(|ack| stands(ack, toll)) && is_bound(&book.acked, id, toll)
        });
        missing.map(|(id, _)| id.clone()).collect()
    }

    /// Lets nobody watch by the label any more.
    pub(super) fn leave_label(&mut self) {
        let watchers = self.watchers.len().min(2 * WATCHERS);
        self.watchers.truncate(watchers);
        self.before.truncate(watchers);
    }

    /// I3: every watcher got every event once and in order, or was told why not by a snapshot; and kept its connection.
    /// Returns how many were told.
    pub(super) fn check_watchers(&self, toll: &Toll, moved: [bool; 2]) -> u64 {
        let mut told = 0;
        for (watcher, before) in self.watchers.iter().zip(&self.before) {
            let Shown { seen, gave_up, .. } = watcher.shows();
            let who = format!("a watcher of {} on node {}", self.payment, watcher.home);
            assert_eq!(gave_up, None, "{who}");
            assert_eq!(
                (seen.lost, seen.repeated, seen.reordered),
                (0, 0, 0),
                "I3: {who}: lost, repeated, reordered"
            );
            let snapshots = &seen.snapshots[before.seen.snapshots.len()..];
            assert!(snapshots.is_empty() || toll.rolls_back, "I3: {who} got snapshots: {snapshots:?}");
            let reasons = ["rolled_back", "evicted", "unknown_cursor"];
            assert!(snapshots.iter().all(|reason| reasons.contains(&&**reason)), "{who}: {snapshots:?}");
            told += snapshots.len() as u64;
            if moved == [false; 2] {
                let (was, is) = (before.seen.connections, seen.connections);
                assert_eq!(was, is, "{who} was disconnected: {:?}", seen.closings);
            }
        }
        told
    }

    /// I4: both nodes tell the same, and the watchers show it.
    pub(super) async fn check_nodes(&self, nodes: &[Gateway; 2], truth: &Truth) {
        for (index, node) in nodes.iter().enumerate() {
            let snapshot = node.snapshot(&self.payment).await;
            assert_eq!(
                snapshot["seq"].as_u64(),
                Some(truth.len() as u64),
                "I4: {} on node {index}",
                self.payment
            );
            for watcher in &self.watchers {
                let status = watcher.shows().seen.status;
                assert_eq!(snapshot["status"], *status, "I4: {} on node {index}", self.payment);
            }
        }
    }
}
