//! The load tester: how many streams a node holds, what each costs, how fast events reach them, and whether every one of
//! them arrives once and in order.
//!
//! | file | noun |
//! |---|---|
//! | `arguments` | the command line |
//! | `common`    | the options that every workload takes |
//! | `workload`  | what each workload opens, posts and waits for |
//! | `session`   | the course of a run |
//! | `setup`     | what it needs before it begins |
//! | `dashboards` | streams of all payments of a realm |
//! | `readers`   | what a workload wants of its readers |
//! | `team`      | the readers: a thread, or several processes |
//! | `reader`    | one epoll, any number of streams, the continuity of each |
//! | `poster`    | the publisher with its open schedule |
//! | `board`     | tells the publisher what has been delivered |
//! | `plan`      | what readers and publisher are asked, requests and payloads |
//! | `pauses`    | how long the machine kept a processor from everybody |
//! | `stats`, `proc`, `clock` | counts and histograms; what the kernel tells; one clock for all processes |
//! | `report`    | JSON, table, page, comparison |
//! | `gateway`   | a gateway of the run's own |
//! | `model`     | what many nodes over many Redis primaries would need |
//! | `scale`     | a million streams over many gateway processes |
//! | `redis_server` | a Redis of the run's own |
//! | `peers`     | this gateway and others side by side |
//! | `values`    | numbers of the command line that make sense |
//! | `output`    | what is printed, and files |

mod arguments;
mod board;
mod clock;
mod common;
mod dashboards;
mod gateway;
mod model;
mod output;
mod pauses;
mod peers;
mod plan;
mod poster;
mod proc;
mod reader;
mod readers;
mod redis_server;
mod report;
mod scale;
mod session;
mod setup;
mod stats;
mod team;
mod values;
mod workload;

use anyhow::{Context as _, Result, ensure};
use arguments::{Arguments, Command};
use clap::Parser as _;
use common::Common;
use report::Report;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::print(&format!("load: {error:#}\n"), &mut std::io::stderr());
            ExitCode::from(2)
        }
    }
}

/// Runs a command. Returns false if a run has found something wrong, and an error if it could not be made.
fn run(command: &Command) -> Result<bool> {
    match command {
        Command::Hold(arguments) => publish(&workload::hold(arguments)?, &arguments.common),
        Command::Fanout(arguments) => publish(&workload::fanout(arguments)?, &arguments.common),
        Command::Unicast(arguments) => publish(&workload::unicast(arguments)?, &arguments.common),
        Command::Storm(arguments) => publish(&workload::storm(arguments)?, &arguments.common),
        Command::Webhooks(arguments) => publish(&workload::webhooks(arguments)?, &arguments.common),
        Command::Mixed(arguments) => {
            publish(&workload::mixed(&workload::MIXED, arguments)?, &arguments.common)
        }
        Command::Soak(arguments) => publish(&workload::mixed(&workload::SOAK, arguments)?, &arguments.common),
        Command::Stalled(arguments) => publish(&workload::stalled(arguments)?, &arguments.common),
        Command::Dashboards(arguments) => publish(&workload::dashboards(arguments)?, &arguments.common),
        Command::Scale(arguments) => publish(&scale::scale(arguments)?, &arguments.common),
        Command::Model(asked) => model::model(asked).map(|()| true),
        Command::Compare { before, after } => {
            let reports = [(before, read(before)?), (after, read(after)?)];
            output::print(&report::compare::table(&reports), &mut std::io::stdout());
            Ok(true)
        }
        Command::Merge { reports, json, html } => {
            let read = |path: &PathBuf| anyhow::Ok((path.clone(), read(path)?));
            let reports = reports.iter().map(read).collect::<Result<Vec<_>>>()?;
            write(&report::merge(&reports)?, json.as_deref(), html.as_deref())
        }
        Command::Peers(arguments) => peers::run(arguments),
        Command::Worker => team::worker().map(|()| true),
    }
}

/// Prints the report of a run, and writes the files that were asked for. Returns whether nothing was wrong.
fn publish(report: &Report, common: &Common) -> Result<bool> {
    write(report, common.json.as_deref(), common.html.as_deref())
}

fn write(report: &Report, json: Option<&Path>, html: Option<&Path>) -> Result<bool> {
    output::print(&report::table::table(report), &mut std::io::stdout());
    if let Some(path) = json {
        output::write(path, &serde_json::to_string(report)?)?;
    }
    if let Some(path) = html {
        output::write(path, &report::html::page(report))?;
    }
    Ok(report.problems.is_empty())
}

/// Reads a report that `--json` wrote.
fn read(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let what = || format!("{} is not a report of this tool: write one with --json", path.display());
    let is_report = value.get("version").and_then(Value::as_str).is_some_and(|version| !version.is_empty());
    ensure!(is_report, what());
    // Without this, its times would silently count as none.
    ensure!(
        ["/seen/latency", "/posted/ack"]
            .iter()
            .all(|times| value.pointer(times).is_some_and(Value::is_array)),
        "{} has no histograms, so an older version of this tool wrote it: make it again with this one",
        path.display()
    );
    serde_json::from_value(value).with_context(what)
}
