//! What a run counts. Every part can be added to another of its kind, so that several processes make one report.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest time that a histogram records, ten minutes. Longer times count as this.
const LONGEST_US: u64 = 600_000_000;

/// A histogram of times in microseconds, to three significant digits.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        // The bounds are valid constants; the histogram without bounds is only a fallback.
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

    /// Adds all times of another histogram.
    pub(crate) fn add(&mut self, other: &Self) {
        for value in other.0.iter_recorded() {
            self.0.saturating_record_n(value.value_iterated_to(), value.count_at_value());
        }
    }

    /// The number of recorded times.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time at this quantile, in microseconds.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// The longest recorded time, in microseconds.
    pub(crate) fn longest(&self) -> u64 {
        self.0.max()
    }
}

/// A histogram is written as pairs: each value and how often it occurred.
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

/// Counts by name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Adds one to a name's count.
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
    /// How many connections were begun.
    pub(crate) attempts: u64,
    /// How many were answered with 200.
    pub(crate) opened: u64,
    /// How many were answered with 204, which means that the payment is finished.
    pub(crate) finished: u64,
    /// How many requests got no answer or another one, by what happened.
    pub(crate) failed: Counts,
    /// How many streams ended, by how they ended.
    pub(crate) ended: Counts,
    /// How many messages came, by type.
    pub(crate) messages: Counts,
    /// How many snapshots replaced known state, by reason.
    pub(crate) reasons: Counts,
    /// How many `closing` messages came, by reason.
    pub(crate) closings: Counts,
    pub(crate) heartbeats: u64,
    pub(crate) bytes: u64,
    /// Updates that reached a stream while it was up to date. Those of a warm-up count too.
    pub(crate) deliveries: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) status_back: u64,
    pub(crate) unexplained: u64,
    /// Latency of a live delivery, from the time at which the event was due.
    pub(crate) latency: Times,
    /// Latency of a live delivery without the publisher's own lag.
    pub(crate) from_sent: Times,
    /// Latency without the publisher's lag, only of deliveries while the machine did not pause.
    pub(crate) undisturbed: Times,
    /// Time from when an event was due to its arrival at a stream that had missed it while it was disconnected.
    pub(crate) replayed: Times,
    /// Time from connecting to the first message, without a cursor.
    pub(crate) opening: Times,
    /// Time from connecting to the first message, with a cursor.
    pub(crate) resuming: Times,
    /// Processor time of the reading process, in microseconds.
    pub(crate) cpu_us: u64,
}

impl Seen {
    /// Forgets the latencies but none of the counts.
    pub(crate) fn forget_times(&mut self) {
        for times in [&mut self.latency, &mut self.from_sent, &mut self.undisturbed, &mut self.replayed] {
            *times = Times::default();
        }
    }

    /// Adds the latencies that other streams saw, or the same streams before they forgot them.
    pub(crate) fn add_times(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.latency, &other.latency),
            (&mut self.from_sent, &other.from_sent),
            (&mut self.undisturbed, &other.undisturbed),
            (&mut self.replayed, &other.replayed),
        ] {
            to.add(from);
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
        self.add_times(other);
        self.opening.add(&other.opening);
        self.resuming.add(&other.resuming);
    }
}

/// What the publisher did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Posted {
    /// How many posts were begun.
    pub(crate) sent: u64,
    /// How many posts were acknowledged with 2xx.
    pub(crate) accepted: u64,
    /// How many posts got no answer or another one, by what happened.
    pub(crate) failed: Counts,
    /// How many events were due but not sent before the run ended.
    pub(crate) not_sent: u64,
    /// How late the publisher itself was. Waiting for a server that has not answered on any connection is not part of it.
    pub(crate) lag: Times,
    /// From the time at which a post was due to its acknowledgement.
    pub(crate) ack: Times,
    /// How long it posted, in microseconds.
    pub(crate) elapsed_us: u64,
}

impl Posted {
    /// Adds what was posted afterwards.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.accepted += other.accepted;
        self.not_sent += other.not_sent;
        self.elapsed_us += other.elapsed_us;
        self.lag.add(&other.lag);
        self.ack.add(&other.ack);
        add_counts(&mut self.failed, &other.failed);
    }
}
