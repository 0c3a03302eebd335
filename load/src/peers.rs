//! `load peers`: measures this gateway and its peers in turn, so that whatever the machine does meanwhile affects all alike. Each server,
//! with its Redis, runs on one core and this tool on another. Every run starts a new server.

mod arguments;
mod measure;
mod peer;
mod server;
mod table;

pub(crate) use arguments::Arguments;

use crate::{
    output::{self, progress},
    report::{Report, as_f64},
};
use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum as _;
use measure::{Measure, measures};
use peer::Peer;
use server::Running;
use std::{fs, process::Command};
use table::Values;
use tempfile::TempDir;

/// The row that counts errors, over all runs of a peer.
const WRONG: &str = "lost, duplicated, out of order, in all runs";

/// Takes all measures and prints the tables.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(path) = &arguments.out {
        output::ensure_writable(path)?;
    }
    let peers = peers(arguments)?;
    let mut measures = measures(arguments.streams, arguments.seconds);
    for wanted in &arguments.measures {
        let is_known = measures.iter().any(|measure| measure.name.starts_with(wanted.as_str()));
        ensure!(is_known, "no measure has a name that begins with {wanted:?}");
    }
    let wanted = |name: &str| {
        arguments.measures.is_empty()
            || arguments.measures.iter().any(|wanted| name.starts_with(wanted.as_str()))
    };
    measures.retain(|measure| wanted(measure.name));
    let mut values = Values::new();
    let mut problems = Vec::new();
    for repeat in 1..=arguments.repeats {
        for measure in &measures {
            for peer in peers.iter().filter(|peer| peer.takes(measure.trial)) {
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

/// The peers that `--only` names, or every peer whose programs are installed.
fn peers(arguments: &Arguments) -> Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for peer in Peer::value_variants().iter().copied() {
        match peer.missing(&arguments.programs) {
            _ if !arguments.only.is_empty() && !arguments.only.contains(&peer) => {}
            None => peers.push(peer),
            Some(what) if arguments.only.is_empty() => {
                progress(&format!("{peer} is left out; to measure it: {what}"));
            }
            Some(what) => bail!("{peer} lacks something on this machine; to measure it: {what}"),
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
    let running = Running::start(peer, measure.trial, arguments, folder.path())?;
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
        .context("cannot start taskset, which util-linux contains")?;
    let told = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let text =
        fs::read_to_string(&json).with_context(|| format!("the workload wrote no report: {}", told()))?;
    Ok(serde_json::from_str(&text)?)
}
