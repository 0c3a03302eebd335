//! `load peers`: this gateway and its peers, one after the other in turn, so that what the machine does meanwhile hits all
//! alike. Server (and its Redis) on one core, this tool on another. Every run has a fresh server.

mod server;
mod table;

use crate::{
    output::{self, progress},
    report::{Report, as_f64},
    values,
};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum as _};
use server::{Peer, Running};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Which peers, and how long.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The gateway's program, by default the one beside this tool.
    #[arg(long)]
    paystream: Option<PathBuf>,
    /// The durable-streams-server program, by default the one in the path.
    #[arg(long)]
    durable_streams: Option<PathBuf>,
    /// Where the baselines for Node lie, with their packages; left out if those are missing.
    #[arg(long, default_value = "load/peers/node")]
    node_peers: PathBuf,
    /// Peers to measure, by default all whose programs are there.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Peer>,
    /// Measures to take, by the beginning of their names; by default all.
    #[arg(long, value_delimiter = ',')]
    measures: Vec<String>,
    #[arg(long, default_value_t = 5, value_parser = values::at_least_one)]
    repeats: usize,
    /// Streams of each measure; some take a tenth of them.
    #[arg(long, default_value_t = 10_000, value_parser = values::at_least_one)]
    streams: usize,
    /// Seconds of each measure.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// Write the tables here too, in Markdown.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// One run of a workload, and the figures that are taken from it.
struct Measure {
    name: &'static str,
    arguments: Vec<String>,
    /// What the row is called, and the figure of the report.
    rows: &'static [(&'static str, &'static str)],
}

/// Every value of a row, by peer and repeat; a run that failed leaves none.
type Values = BTreeMap<&'static str, BTreeMap<Peer, BTreeMap<usize, f64>>>;

/// The row of what no run may have.
const WRONG: &str = "lost, duplicated, out of order, in all runs";

const WEBHOOK_ROWS: &[(&str, &str)] = &[
    ("one payment each, 5,000 events/s: p50, ms", "delivery p50"),
    ("one payment each, 5,000 events/s: p99, ms", "delivery p99"),
    ("the same from sending, between the machine's pauses: p50, ms", "undisturbed delivery p50"),
    ("the same from sending, between the machine's pauses: p99, ms", "undisturbed delivery p99"),
    ("the same: CPU µs per event, post included", "server time per event"),
    ("the same: the machine's pauses meanwhile, ms per second", "pauses of the machine"),
];

fn measures(streams: usize, seconds: u64) -> Vec<Measure> {
    let measure = |name, line: String, rows| Measure {
        name,
        arguments: line.split(' ').map(str::to_owned).collect(),
        rows,
    };
    let part = |of: usize| streams.div_ceil(of);
    let (quarter, half) = (part(4), part(2));
    vec![
        measure(
            "memory",
            format!("hold --sizes {quarter},{half},{streams} --seconds 1"),
            &[
                ("memory per idle stream, own payment, B", "server memory per stream (anonymous)"),
                ("kernel memory per stream, both ends of its socket, B", "kernel memory per stream"),
            ],
        ),
        measure(
            "shared",
            format!("hold --one-payment --sizes {quarter},{half},{streams} --seconds 1"),
            &[("memory per further stream of one payment, B", "server memory per stream (anonymous)")],
        ),
        measure(
            "heartbeats",
            format!("hold --sizes {streams} --seconds 45"),
            &[("idle streams with heartbeats, CPU %", "server's share of a processor while idle")],
        ),
        measure(
            "storm",
            format!("storm --streams {streams} --waves 1 --silent"),
            &[
                ("all clients arrive at once, s", "arrive"),
                ("all dropped, all return at once, s", "return 1"),
                ("both together: attempts that found a full queue", "attempts that found a full queue"),
            ],
        ),
        measure(
            "one-storm",
            format!("storm --one-payment --streams {streams} --waves 1 --silent"),
            &[
                ("all arrive at once at one payment, s", "arrive"),
                ("all dropped, all return at once to one payment, s", "return 1"),
            ],
        ),
        measure(
            "fanout",
            format!("fanout --streams {streams} --rate 1 --warm-up 3 --seconds {seconds}"),
            &[
                ("one payment, 1 event/s: CPU µs per delivery", "server time per delivery"),
                ("the same: p50, ms", "delivery p50"),
                ("the same: p99, ms", "delivery p99"),
            ],
        ),
        measure(
            "unicast",
            format!("unicast --streams {streams} --rate 5000 --warm-up 3 --seconds {seconds}"),
            WEBHOOK_ROWS,
        ),
        measure(
            "saturated-4",
            format!("fanout --streams {streams} --in-flight 4 --seconds {seconds}"),
            &[("saturated, one payment, 4 in flight, deliveries/s", "deliveries per second")],
        ),
        measure(
            "saturated-1",
            format!("fanout --streams {} --in-flight 1 --seconds {seconds}", part(10)),
            &[("saturated, a tenth of the streams, 1 in flight, deliveries/s", "deliveries per second")],
        ),
        measure(
            "saturated-64",
            format!("unicast --streams {streams} --in-flight 64 --seconds {seconds}"),
            &[("saturated, one payment each, 64 in flight, events/s", "events per second")],
        ),
    ]
}

/// Measures all, shows the tables.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(path) = &arguments.out {
        output::ensure_writable(path)?;
    }
    let peers = peers(arguments)?;
    let wanted = |name: &str| {
        arguments.measures.is_empty()
            || arguments.measures.iter().any(|wanted| name.starts_with(wanted.as_str()))
    };
    let mut measures = measures(arguments.streams, arguments.seconds);
    measures.retain(|measure| wanted(measure.name));
    let mut values = Values::new();
    let mut problems = Vec::new();
    for repeat in 1..=arguments.repeats {
        for measure in &measures {
            for peer in peers.iter().filter(|peer| peer.takes(measure.name)) {
                progress(&format!("{repeat} of {}: {} {peer}", arguments.repeats, measure.name));
                match run_one(arguments, *peer, measure) {
                    Ok(report) => {
                        take(&report, *peer, measure, repeat, &mut values);
                        let told = report.problems.iter();
                        problems.extend(told.map(|problem| format!("{peer}, {}: {problem}", measure.name)));
                    }
                    Err(error) => problems.push(format!("{peer}, {}: {error:#}", measure.name)),
                }
            }
        }
    }
    let measured = measures.iter().flat_map(|measure| measure.rows).map(|(row, _)| *row);
    let rows: Vec<_> = measured.chain([WRONG]).collect();
    let text = table::markdown(&rows, &peers, &values, &problems, arguments.repeats);
    output::print(&text, &mut std::io::stdout());
    if let Some(path) = &arguments.out {
        output::write(path, &text)?;
    }
    Ok(problems.is_empty())
}

/// Those that are asked for; if none are named, those that are there.
fn peers(arguments: &Arguments) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for peer in Peer::value_variants().iter().copied() {
        match peer.missing(arguments) {
            _ if !arguments.only.is_empty() && !arguments.only.contains(&peer) => {}
            None => peers.push(peer),
            Some(what) if arguments.only.is_empty() => progress(&format!("{peer} is left out: {what}")),
            Some(what) => bail!("{peer} is not there: {what}"),
        }
    }
    Ok(peers)
}

fn take(report: &Report, peer: Peer, measure: &Measure, repeat: usize, values: &mut Values) {
    let figures = report.figures();
    for (row, figure) in measure.rows {
        if let Some((_, value, _)) = figures.iter().find(|(name, ..)| name.starts_with(figure)) {
            values.entry(row).or_default().entry(peer).or_default().insert(repeat, *value);
        }
    }
    let seen = &report.seen;
    let wrong = seen.lost + seen.duplicated + seen.reordered;
    *values.entry(WRONG).or_default().entry(peer).or_default().entry(repeat).or_default() += as_f64(wrong);
}

fn run_one(arguments: &Arguments, peer: Peer, measure: &Measure) -> Result<Report> {
    let folder = TempDir::with_prefix("load-peers-")?;
    let running = Running::start(peer, measure.name, arguments, folder.path())?;
    let json = folder.path().join("report.json");
    let output = Command::new("taskset")
        .args(["-c", &arguments.client_core.to_string()])
        .arg(std::env::current_exe()?)
        .args(measure.arguments.iter().map(|word| peer.within_its_limits(word)))
        .args(&running.arguments)
        .args(["--quiet", "--json"])
        .arg(&json)
        .env_remove("PAYSTREAM_TOKEN")
        .env_remove("PAYSTREAM_TOKEN_KEY")
        .env_remove("PAYSTREAM_SOURCE_SECRET")
        .output()
        .context("taskset, of util-linux, is needed")?;
    let told = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let text = fs::read_to_string(&json).with_context(|| format!("no report: {}", told()))?;
    Ok(serde_json::from_str(&text)?)
}

/// A program in the folder of this one.
fn beside(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().unwrap_or(Path::new(".")).join(name))
}
