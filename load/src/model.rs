//! `load model`: what a gateway of many nodes over many Redis primaries would need, by arithmetic from measured costs, and how long a write
//! would wait, by simulation. Every figure can be replaced by one's own. Nothing is started.
//!
//! Each append is published to every node, since every node hears everything; so a primary's time for an event grows with the number of nodes,
//! and a node's time grows with all events, whether somebody watches there or not.

use crate::{output, values};
use anyhow::Result;
use clap::Args;
use std::fmt::Write as _;

/// The share of a core that is planned to be used at the most.
const BUSY: f64 = 0.7;

/// Appends that are simulated.
const STEPS: u32 = 400_000;

/// What is asked, and what things cost. The defaults were measured on this project's machine (docs/src/design/scale.md).
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Model {
    /// Webhooks per second.
    #[arg(long, default_value_t = 50_000.0, value_parser = values::positive)]
    events: f64,
    /// Live streams, all together.
    #[arg(long, default_value_t = 10_000_000.0, value_parser = values::positive)]
    streams: f64,
    /// Streams that watch the payment of an event.
    #[arg(long, default_value_t = 1.0, value_parser = values::positive)]
    watchers: f64,
    /// Nodes that stream.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    nodes: u32,
    /// Cores of each of them.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    cores: u32,
    /// Redis primaries, each of which uses one core.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    primaries: u32,
    /// How much more the busiest primary has than the mean.
    #[arg(long, default_value_t = 1.03, value_parser = values::positive)]
    skew: f64,
    /// Seconds between heartbeats.
    #[arg(long, default_value_t = 60.0, value_parser = values::positive)]
    heartbeat: f64,
    /// Processor time of a primary for an append, without any notice, in µs.
    #[arg(long, default_value_t = 20.0, value_parser = values::positive)]
    append_us: f64,
    /// Processor time of a primary for the notice to one node, in µs.
    #[arg(long, default_value_t = 1.5, value_parser = values::positive)]
    notice_us: f64,
    /// Bytes of a notice.
    #[arg(long, default_value_t = 700.0, value_parser = values::positive)]
    notice_bytes: f64,
    /// Processor time of a node for a notice of a payment that nobody watches there, in µs.
    #[arg(long, default_value_t = 3.0, value_parser = values::positive)]
    heard_us: f64,
    /// Processor time of a node for the frame of one stream, in µs.
    #[arg(long, default_value_t = 20.0, value_parser = values::positive)]
    frame_us: f64,
    /// Processor time of a node for a heartbeat, in µs.
    #[arg(long, default_value_t = 13.0, value_parser = values::positive)]
    heartbeat_us: f64,
    /// Memory of a stream and its topic, in bytes.
    #[arg(long, default_value_t = 600.0, value_parser = values::positive)]
    stream_bytes: f64,
    /// Memory of the kernel for the socket of a stream, in bytes.
    #[arg(long, default_value_t = 4_300.0, value_parser = values::positive)]
    socket_bytes: f64,
}

/// What one primary has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Primary {
    /// Shares of a core: appends, notices.
    append: f64,
    notices: f64,
    /// Bits per second to the nodes.
    bits: f64,
}

/// What one node has to do.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    streams: f64,
    /// Shares of a core: notices, frames, heartbeats.
    heard: f64,
    frames: f64,
    heartbeats: f64,
    /// Bytes.
    own: f64,
    kernel: f64,
}

impl Model {
    /// The busiest primary.
    fn primary(&self) -> Primary {
        let events = self.events / f64::from(self.primaries) * self.skew;
        let nodes = f64::from(self.nodes);
        Primary {
            append: events * self.append_us / 1e6,
            notices: events * nodes * self.notice_us / 1e6,
            bits: events * nodes * self.notice_bytes * 8.0,
        }
    }

    fn node(&self) -> Node {
        let nodes = f64::from(self.nodes);
        let streams = self.streams / nodes;
        Node {
            streams,
            heard: self.events * self.heard_us / 1e6,
            frames: self.events * self.watchers / nodes * self.frame_us / 1e6,
            heartbeats: streams / self.heartbeat * self.heartbeat_us / 1e6,
            own: streams * self.stream_bytes,
            kernel: streams * self.socket_bytes,
        }
    }

    /// The most events per second that the primaries take, and that each node takes, at the planned share.
    fn most(&self) -> (f64, f64) {
        let each = self.append_us + f64::from(self.nodes) * self.notice_us;
        let by_primaries = BUSY * 1e6 / each * f64::from(self.primaries) / self.skew;
        let free = BUSY * f64::from(self.cores) - self.node().heartbeats;
        let per_event = self.heard_us + self.watchers / f64::from(self.nodes) * self.frame_us;
        (by_primaries, (free * 1e6 / per_event).max(0.0))
    }

    /// How long an append waits for its primary before it is run, in µs: the median and the 99th percentile of a queue with random arrivals, whose
    /// server is one core. Nothing if the core is not enough.
    fn waits(&self) -> Option<(f64, f64)> {
        let Primary { append, notices, .. } = self.primary();
        let rate = self.events / f64::from(self.primaries) * self.skew;
        if append + notices >= 1.0 || rate <= 0.0 {
            return None;
        }
        let service = self.append_us + f64::from(self.nodes) * self.notice_us;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut wait, mut waits) = (0.0_f64, Vec::new());
        for _ in 0..STEPS {
            waits.push(wait);
            // Lindley: what is left of the queue when the next one arrives.
            wait = (wait + service - random.exponential(1e6 / rate)).max(0.0);
        }
        waits.sort_unstable_by(f64::total_cmp);
        let at = |hundredth: usize| waits.get(waits.len() * hundredth / 100).copied().unwrap_or_default();
        Some((at(50), at(99)))
    }

    fn table(&self) -> String {
        let (primary, node, (by_primaries, by_nodes)) = (self.primary(), self.node(), self.most());
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            let _written = writeln!(text, "{name:<58} {value}");
        };
        row("the busiest primary: of a core, for appends", percent(primary.append));
        row("  for notices to all nodes", percent(primary.notices));
        row("  together", percent(primary.append + primary.notices));
        row("  to the network", format!("{:.2} Gbit/s", primary.bits / 1e9));
        match self.waits() {
            Some((p50, p99)) => {
                row("  an append waits for its turn: p50 / p99", format!("{p50:.0} / {p99:.0} µs"));
            }
            None => {
                row("  an append waits for its turn", "ever longer: it is too much for one core".to_owned());
            }
        }
        row("a node: streams", format!("{:.0}", node.streams));
        row("  of a core, to hear all notices", percent(node.heard));
        row("  to write frames", percent(node.frames));
        row("  to write heartbeats", percent(node.heartbeats));
        row(
            "  of its cores together",
            percent((node.heard + node.frames + node.heartbeats) / f64::from(self.cores)),
        );
        row(
            "  memory of its own / of the kernel",
            format!("{:.1} / {:.1} GB", node.own / 1e9, node.kernel / 1e9),
        );
        row("the most webhooks per second at 70 % of the primaries", format!("{by_primaries:.0}"));
        row("the most at 70 % of a node's cores", format!("{by_nodes:.0}"));
        text
    }
}

/// Prints the table.
pub(crate) fn model(asked: &Model) -> Result<()> {
    output::print(&asked.table(), &mut std::io::stdout());
    Ok(())
}

/// SplitMix64, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A random time of this mean.
    fn exponential(&mut self, mean: f64) -> f64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        -mean * (1.0 - uniform).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        model: Model,
    }

    fn model(arguments: &[&str]) -> Model {
        Line::parse_from([&["model"], arguments].concat()).model
    }

    #[test]
    fn a_primary_pays_for_each_node_and_a_node_for_all_events() {
        let model = model(&[
            "--events=50000",
            "--nodes=50",
            "--primaries=12",
            "--skew=1",
            "--append-us=30",
            "--notice-us=1.5",
        ]);
        let primary = model.primary();
        assert!(
            (primary.append - 0.125).abs() < 1e-9 && (primary.notices - 0.3125).abs() < 1e-9,
            "{primary:?}"
        );
        let more = Model { nodes: 100, ..model };
        assert!((more.primary().notices / primary.notices - 2.0).abs() < 1e-9);
        assert!((more.node().heard / model.node().heard - 1.0).abs() < 1e-9, "every node hears everything");
        assert!((more.node().streams * 2.0 - model.node().streams).abs() < 1e-6);
    }

    #[test]
    fn the_most_is_where_the_planned_share_is_reached() {
        let model = model(&[]);
        let (by_primaries, by_nodes) = model.most();
        let at = |events| Model { events, ..model };
        let primary = at(by_primaries).primary();
        assert!((primary.append + primary.notices - BUSY).abs() < 1e-9);
        let node = at(by_nodes).node();
        let used = node.heard + node.frames + node.heartbeats;
        assert!((used / f64::from(model.cores) - BUSY).abs() < 1e-9, "{used}");
    }

    #[test]
    fn waits_are_those_of_a_queue_with_random_arrivals() {
        // Half of a core, 20 µs each: the mean wait of M/D/1 is 10 µs, and half of the appends do not wait at all.
        let half = model(&[
            "--events=25000",
            "--primaries=1",
            "--skew=1",
            "--nodes=1",
            "--append-us=18.5",
            "--notice-us=1.5",
        ]);
        let (p50, p99) = half.waits().unwrap();
        assert!(p50 < 3.0 && (40.0..90.0).contains(&p99), "{p50} {p99}");
        let too_much = Model { events: 60_000.0, ..half };
        assert_eq!(too_much.waits(), None);
        assert!(too_much.table().contains("it is too much for one core"));
    }
}
