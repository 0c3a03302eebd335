//! The result of a run as data. It is written as JSON, and shown as a table and as a page.

pub(crate) mod compare;
pub(crate) mod html;
mod slope;
pub(crate) mod table;

pub(crate) use slope::slope;

use crate::{
    proc::{Kernel, Process},
    stats::{Counts, Posted, Seen, Times},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// This tool's name and version.
pub(crate) const VERSION: &str = concat!("load ", env!("CARGO_PKG_VERSION"));

/// What a run does; named as its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    #[default]
    Hold,
    Fanout,
    Unicast,
    Storm,
    Webhooks,
    Mixed,
    Soak,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The result of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) workload: Workload,
    /// This tool's name and version.
    pub(crate) version: String,
    /// The command line, without secrets.
    pub(crate) arguments: Vec<String>,
    /// When the run began, in seconds since 1970.
    pub(crate) started: u64,
    pub(crate) seconds: f64,
    pub(crate) streams: usize,
    pub(crate) payments: usize,
    pub(crate) machine: Vec<(String, String)>,
    /// Why the run counts as failed; empty if it passed.
    pub(crate) problems: Vec<String>,
    /// What one has to know to read the figures correctly.
    pub(crate) notes: Vec<String>,
    /// How many accepted events did not reach a stream in time, over all streams.
    pub(crate) missing: u64,
    pub(crate) seen: Seen,
    pub(crate) posted: Posted,
    /// How many events the warm-up posted. They are checked like the others but are in no latency, rate or processor time.
    pub(crate) warm_up_events: u64,
    pub(crate) openings: Vec<Opening>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) series: Vec<Second>,
    /// The server's processor time while events were posted, in microseconds.
    pub(crate) server_cpu_us: u64,
    /// This tool's processor time meanwhile, in microseconds.
    pub(crate) own_cpu_us: u64,
    /// How long the events were posted, in microseconds.
    pub(crate) measured_us: u64,
    /// The steal time meanwhile, in microseconds of each processor, on average.
    pub(crate) stolen_us: u64,
    /// The pauses of all processors meanwhile, in microseconds; 0 if nothing watched for them.
    pub(crate) paused_us: u64,
    /// The server before the first stream was opened, and at the end.
    pub(crate) server_before: Option<Process>,
    pub(crate) server_after: Option<Process>,
}

/// One opening of streams, all at once or with a limit on those that are opening.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Opening {
    /// `open`, `arrive`, or `return` with the number of a wave.
    pub(crate) what: String,
    pub(crate) streams: usize,
    /// How long it took until the last stream had its first message.
    pub(crate) seconds: f64,
    /// How many requests failed meanwhile.
    pub(crate) failed: u64,
    /// How many attempts to connect, with their retries, found the listener's queue full, on the whole machine.
    pub(crate) overflows: u64,
    pub(crate) complete: bool,
}

/// What one number of idle streams costs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Size {
    pub(crate) streams: usize,
    pub(crate) server: Option<Process>,
    pub(crate) own: Process,
    pub(crate) kernel: Kernel,
    /// Processor time of the server per second while it held the streams.
    pub(crate) server_cpu: f64,
}

/// The state of a run, sampled once per second.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Second {
    pub(crate) at: f64,
    pub(crate) ready: usize,
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    pub(crate) deliveries: u64,
    pub(crate) rss: u64,
    pub(crate) cpu_us: u64,
}

/// The share of a processor above which this tool itself may limit the figures.
const BUSY: f64 = 0.85;

/// The share of steal time above which it shows in latencies.
const TAKEN: f64 = 0.005;

/// The lag of the publisher, in microseconds, above which latencies are not the server's alone.
const LATE_US: u64 = 5_000;

impl Report {
    /// The date and time at which the run began, in UTC.
    pub(crate) fn date(&self) -> String {
        let began = i64::try_from(self.started).ok().and_then(|second| Timestamp::from_second(second).ok());
        began.map_or_else(String::new, |began| began.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    }

    /// Every kind of time that a run measures, with its name.
    pub(crate) fn times(&self) -> [(&'static str, &Times); 8] {
        [
            ("due to delivered", &self.seen.latency),
            ("sent to delivered", &self.seen.from_sent),
            ("sent to delivered, while undisturbed", &self.seen.undisturbed),
            ("due to replayed", &self.seen.replayed),
            ("due to acknowledged", &self.posted.ack),
            ("publisher's own lag", &self.posted.lag),
            ("connect to first message", &self.seen.opening),
            ("reconnect to first message", &self.seen.resuming),
        ]
    }

    /// Adds the problems of the run, and the notes that its reader needs.
    pub(crate) fn judge(&mut self) {
        let seen = &self.seen;
        let words = |counts: &Counts| {
            let words: Vec<_> = counts.iter().map(|(word, count)| format!("{word}: {count}")).collect();
            words.join(", ")
        };
        for (count, what) in [
            (seen.lost, "events lost"),
            (seen.duplicated, "events duplicated"),
            (seen.reordered, "events out of order"),
            (seen.status_back, "statuses taken back without a correction"),
            (seen.unexplained, "breaks of the chain without a reason"),
            (self.posted.not_sent, "events not sent though they were due"),
        ] {
            if count > 0 {
                self.problems.push(format!("{count} {what}"));
            }
        }
        let mut cut = seen.ended.clone();
        cut.retain(|how, _| !how.ends_with("after closing"));
        for (counts, what) in [
            (&seen.failed, "requests for a stream failed"),
            (&cut, "streams ended without a closing"),
            (&self.posted.failed, "posts failed"),
        ] {
            if !counts.is_empty() {
                let count: u64 = counts.values().sum();
                self.problems.push(format!("{count} {what} ({})", words(counts)));
            }
        }
        for opening in self.openings.iter().filter(|opening| opening.overflows > 0) {
            let (what, overflows) = (&opening.what, opening.overflows);
            self.notes.push(format!(
                "{what}: the listener's queue was full at {overflows} attempts to connect; each is repeated after a second or more"
            ));
        }
        let share = self.own_share();
        if share > BUSY {
            let percent = share * 100.0;
            self.notes.push(format!(
                "this tool took {percent:.0} % of a processor, so its own limits may show in the figures"
            ));
        }
        let taken = self.taken_share();
        if taken > TAKEN {
            let percent = taken * 100.0;
            self.notes.push(format!(
                "the host took {percent:.1} % of this machine's processors while it measured, which may cause long latencies"
            ));
        }
        let lag_us = self.posted.lag.at(0.99);
        if lag_us > LATE_US {
            let ms = as_f64(lag_us) / 1e3;
            self.notes.push(format!(
                "the publisher itself was late by {ms:.1} ms at p99, which is part of every time from when an event was due"
            ));
        }
    }

    /// The figures by which runs are compared: name, value, unit.
    pub(crate) fn figures(&self) -> Vec<(String, f64, &'static str)> {
        let mut figures = Vec::new();
        if !self.openings.is_empty() {
            let overflows: u64 = self.openings.iter().map(|opening| opening.overflows).sum();
            figures.push(("attempts that found a full queue".to_owned(), as_f64(overflows), ""));
        }
        let mut put = |name: &str, value: f64, unit| {
            if value > 0.0 {
                figures.push((name.to_owned(), value, unit));
            }
        };
        for opening in &self.openings {
            put(&format!("{}: {} streams", opening.what, opening.streams), opening.seconds, "s");
        }
        let of = |part: fn(&Process) -> u64| {
            slope(self.sizes.iter().filter_map(|size| Some((size.streams, part(size.server.as_ref()?)))))
        };
        put("server memory per stream (anonymous)", of(|process| process.anonymous).unwrap_or_default(), "B");
        put("server memory per stream (PSS)", of(|process| process.pss).unwrap_or_default(), "B");
        if let Some(size) = self.sizes.last() {
            put("server's share of a processor while idle", size.server_cpu * 100.0, "%");
        }
        let own = slope(self.sizes.iter().map(|size| (size.streams, size.own.anonymous)));
        put("own memory per stream", own.unwrap_or_default(), "B");
        let kernel = slope(self.sizes.iter().map(|size| (size.streams, size.kernel.slab)));
        put("kernel memory per stream, both ends", kernel.unwrap_or_default(), "B");
        for (name, times) in [
            ("delivery", &self.seen.latency),
            ("from sending to delivery", &self.seen.from_sent),
            ("undisturbed delivery", &self.seen.undisturbed),
            ("acknowledgement", &self.posted.ack),
            ("publisher's lag", &self.posted.lag),
            ("opening", &self.seen.opening),
            ("resuming", &self.seen.resuming),
        ] {
            if times.count() > 0 {
                put(&format!("{name} p50"), as_f64(times.at(0.5)) / 1e3, "ms");
                put(&format!("{name} p99"), as_f64(times.at(0.99)) / 1e3, "ms");
            }
        }
        let posting = as_f64(self.posted.elapsed_us) / 1e6;
        if posting > 0.0 {
            put("events per second", as_f64(self.posted.accepted) / posting, "/s");
            put("deliveries per second", as_f64(self.seen.latency.count()) / posting, "/s");
        }
        if self.workload == Workload::Soak {
            // Memory that grows in the first half fills caches and logs. Growth in the second half may have no end.
            let second_half = self.series.iter().filter(|second| second.at > self.seconds / 2.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
            let growth = slope(second_half.map(|second| (second.at as usize, second.rss)));
            put("server memory growth per second", growth.unwrap_or_default(), "B");
        }
        put("taken by the host of all processors", self.taken_share() * 100.0, "%");
        put("pauses of the machine per second", self.paused_ms_per_second(), "ms");
        let each = |count: u64| as_f64(self.server_cpu_us) / as_f64(count.max(1));
        if self.seen.latency.count() > 0 {
            put("server time per delivery", each(self.seen.latency.count()), "µs");
        }
        if self.posted.accepted > 0 {
            put("server time per event", each(self.posted.accepted), "µs");
        }
        figures
    }

    /// The share of one processor that this tool took while it measured.
    pub(crate) fn own_share(&self) -> f64 {
        as_f64(self.own_cpu_us) / as_f64(self.measured_us.max(1))
    }

    /// The share of all processors of this machine that the host took meanwhile.
    pub(crate) fn taken_share(&self) -> f64 {
        as_f64(self.stolen_us) / as_f64(self.measured_us.max(1))
    }

    /// Milliseconds of pauses of the processors in each second.
    fn paused_ms_per_second(&self) -> f64 {
        as_f64(self.paused_us) * 1e3 / as_f64(self.measured_us.max(1))
    }

    /// The share of one processor that the server took while this tool measured.
    pub(crate) fn server_share(&self) -> f64 {
        as_f64(self.server_cpu_us) / as_f64(self.measured_us.max(1))
    }
}

/// Converts a count, for ratios.
#[expect(clippy::cast_precision_loss, reason = "counts and microseconds are far below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
