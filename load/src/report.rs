//! The result of a run as data. It is written as JSON, and shown as a table and as a page.

pub(crate) mod compare;
pub(crate) mod html;
mod judge;
mod merge;
mod slope;
pub(crate) mod table;
mod trend;

pub(crate) use merge::merge;
pub(crate) use slope::slope;

use crate::{
    proc::{Kernel, Process},
    stats::{Posted, Seen, Times},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What this tool's own processes are called among the [`Part`]s.
pub(crate) const THIS_TOOL: &str = "this tool";

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
    Stalled,
    Dashboards,
    Scale,
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
    /// An id of the machine that changes when it restarts.
    pub(crate) host: String,
    /// The server's processes.
    pub(crate) pids: Vec<u32>,
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
    /// One entry for each rate at which a `scale` posted.
    pub(crate) steps: Vec<Step>,
    /// The processes of a `scale` at its end, by what they are.
    pub(crate) parts: Vec<Part>,
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
    /// What there was before the first stream was opened.
    pub(crate) before: Size,
    /// What there was when all streams of the first opening had their first message.
    pub(crate) opened: Option<Size>,
    /// The server at the end.
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

/// What the server, this tool and the kernel use at one number of streams.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Size {
    pub(crate) streams: usize,
    pub(crate) server: Option<Process>,
    pub(crate) own: Process,
    pub(crate) kernel: Kernel,
    /// Processor time of the server per second while it held the streams; only where they are held for that.
    pub(crate) server_cpu: f64,
}

/// A time in which events were posted at one rate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    /// Events per second.
    pub(crate) rate: f64,
    pub(crate) posted: Posted,
    pub(crate) deliveries: u64,
    pub(crate) latency: Times,
    pub(crate) undisturbed: Times,
    /// How many accepted events did not arrive in time.
    pub(crate) missing: u64,
    /// The share of one processor that each part took, by its name.
    pub(crate) shares: Vec<(String, f64)>,
}

impl Step {
    /// How many events per second were accepted. It is below the rate if the server or this tool did not keep up.
    pub(crate) fn reached(&self) -> f64 {
        as_f64(self.posted.accepted) / (as_f64(self.posted.elapsed_us.max(1)) / 1e6)
    }
}

/// Processes that do the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) processes: usize,
    /// The sum of all of them.
    pub(crate) used: Process,
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
    pub(crate) descriptors: u64,
    pub(crate) cpu_us: u64,
}

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
        for step in &self.steps {
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
                let ms = as_f64(step.latency.at(quantile)) / 1e3;
                put(&format!("at {} events/s: delivery {name}", step.rate), ms, "ms");
            }
            put(&format!("at {} events/s: reached", step.rate), step.reached(), "/s");
            let share = step.shares.iter().map(|(_, share)| share).sum::<f64>();
            put(&format!("at {} events/s: processors, all parts", step.rate), share * 100.0, "%");
        }
        for opening in &self.openings {
            put(&format!("{}: {} streams", opening.what, opening.streams), opening.seconds, "s");
        }
        for (name, bytes) in self.bytes_per_stream() {
            put(name, bytes.unwrap_or_default(), "B");
        }
        if let Some(size) = self.sizes.last() {
            put("server's share of a processor while idle", size.server_cpu * 100.0, "%");
        }
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
            for trend in self.trends() {
                put(&format!("{} growth per second", trend.what), trend.per_second, "");
            }
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

    /// What each stream costs, in bytes: the server's own memory, this tool's, and the kernel's for both ends of the sockets. It is the
    /// slope through all sizes where several were held, and else the difference that the first opening made.
    fn bytes_per_stream(&self) -> [(&'static str, Option<f64>); 5] {
        let one = [self.before, self.opened.unwrap_or(self.before)];
        let sizes = if self.sizes.len() > 1 { self.sizes.as_slice() } else { &one };
        let server = |part: fn(&Process) -> u64| {
            slope(sizes.iter().filter_map(|size| Some((size.streams, part(size.server.as_ref()?)))))
        };
        let of = |part: fn(&Size) -> u64| slope(sizes.iter().map(|size| (size.streams, part(size))));
        [
            ("server memory per stream (anonymous)", server(|process| process.anonymous)),
            ("server memory per stream (PSS)", server(|process| process.pss)),
            ("own memory per stream", of(|size| size.own.anonymous)),
            ("kernel memory per stream, both ends", of(|size| size.kernel.slab)),
            ("TCP buffers per stream, both ends", of(|size| size.kernel.tcp_buffers)),
        ]
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
