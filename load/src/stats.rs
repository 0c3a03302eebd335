//! What a run counts. Every part can be added to another of its kind, so that several processes give one report.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest time that a histogram tells apart: ten minutes.
const LONGEST_US: u64 = 600_000_000;

/// Times in microseconds, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // The bounds are constants that fit; a histogram that grows is what is left otherwise.
        let bounded = Histogram::new_with_bounds(1, LONGEST_US, 3).or_else(|_| Histogram::new(3));
        #[expect(clippy::expect_used, reason = "three digits are always allowed")]
        Self(bounded.expect("a histogram of three digits"))
    }
}

impl Times {
    /// Adds one time.
    pub(crate) fn record(&mut self, us: u64) {
        self.0.saturating_record(us.max(1));
    }

    /// Adds another's times.
    pub(crate) fn add(&mut self, other: &Self) {
        for value in other.0.iter_recorded() {
            self.0.saturating_record_n(value.value_iterated_to(), value.count_at_value());
        }
    }

    /// How many times there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time below which this share of all lies, in microseconds.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// The longest.
    pub(crate) fn longest(&self) -> u64 {
        self.0.max()
    }
}

/// A histogram as it is written: each value and how often it came.
impl Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.0.iter_recorded();
        serializer.collect_seq(values.map(|value| (value.value_iterated_to(), value.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut times = Self::default();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            times.0.saturating_record_n(value, count);
        }
        Ok(times)
    }
}

/// Counts by a word.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Adds one to a word's count.
pub(crate) fn count(counts: &mut Counts, word: &str) {
    match counts.get_mut(word) {
        Some(count) => *count += 1,
        None => drop(counts.insert(word.to_owned(), 1)),
    }
}

fn add_counts(to: &mut Counts, other: &Counts) {
    for (word, count) in other {
        *to.entry(word.clone()).or_default() += count;
    }
}

/// What streams saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// Connections begun.
    pub(crate) attempts: u64,
    /// Answers of 200.
    pub(crate) opened: u64,
    /// Answers of 204: the payment is finished.
    pub(crate) finished: u64,
    /// Requests that got no answer or another one, by what happened.
    pub(crate) failed: Counts,
    /// Streams that ended, by how.
    pub(crate) ended: Counts,
    /// Messages by type.
    pub(crate) messages: Counts,
    /// Snapshots that replaced what was known, by reason.
    pub(crate) reasons: Counts,
    /// Closings by reason.
    pub(crate) closings: Counts,
    pub(crate) heartbeats: u64,
    pub(crate) bytes: u64,
    /// Updates that came as news, to streams that were up to date, those of a warm-up too.
    pub(crate) deliveries: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) status_back: u64,
    pub(crate) unexplained: u64,
    /// From the time at which an event was due to its arrival as news.
    pub(crate) latency: Times,
    /// The same, less what the publisher itself was late by.
    pub(crate) from_sent: Times,
    /// The same again, of those that arrived while the machine paused for nobody.
    pub(crate) undisturbed: Times,
    /// The same for what a stream had missed while it was away.
    pub(crate) replayed: Times,
    /// From the connect to the first message, without a cursor.
    pub(crate) opening: Times,
    /// The same with a cursor.
    pub(crate) resuming: Times,
    /// Processor time of the process that read them, in microseconds.
    pub(crate) cpu_us: u64,
}

impl Seen {
    /// Forgets when events came, not what came.
    pub(crate) fn forget_times(&mut self) {
        for times in [&mut self.latency, &mut self.from_sent, &mut self.undisturbed, &mut self.replayed] {
            *times = Times::default();
        }
    }

    /// Adds what other streams saw.
    pub(crate) fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.attempts, other.attempts),
            (&mut self.opened, other.opened),
            (&mut self.finished, other.finished),
            (&mut self.heartbeats, other.heartbeats),
            (&mut self.bytes, other.bytes),
            (&mut self.deliveries, other.deliveries),
            (&mut self.lost, other.lost),
            (&mut self.duplicated, other.duplicated),
            (&mut self.reordered, other.reordered),
            (&mut self.status_back, other.status_back),
            (&mut self.unexplained, other.unexplained),
            (&mut self.cpu_us, other.cpu_us),
        ] {
            *to += from;
        }
        add_counts(&mut self.failed, &other.failed);
        add_counts(&mut self.ended, &other.ended);
        add_counts(&mut self.messages, &other.messages);
        add_counts(&mut self.reasons, &other.reasons);
        add_counts(&mut self.closings, &other.closings);
        self.latency.add(&other.latency);
        self.from_sent.add(&other.from_sent);
        self.undisturbed.add(&other.undisturbed);
        self.replayed.add(&other.replayed);
        self.opening.add(&other.opening);
        self.resuming.add(&other.resuming);
    }
}

/// What the publisher did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Posted {
    /// Posts begun.
    pub(crate) sent: u64,
    /// Posts acknowledged with 2xx.
    pub(crate) accepted: u64,
    /// Posts that got no answer or another one, by what happened.
    pub(crate) failed: Counts,
    /// Events that were due but not sent before the run ended.
    pub(crate) not_sent: u64,
    /// What the publisher itself was late by; not the wait for a server that left it no connection to post on.
    pub(crate) lag: Times,
    /// From the time at which a post was due to its acknowledgement.
    pub(crate) ack: Times,
    /// How long it posted, in microseconds.
    pub(crate) elapsed_us: u64,
}
