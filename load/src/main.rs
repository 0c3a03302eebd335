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
//! | `peers`     | this gateway and others side by side |
//! | `values`    | numbers of the command line that make sense |
//! | `output`    | what is printed, and files |

mod arguments;
mod board;
mod clock;
mod common;
mod gateway;
mod output;
mod pauses;
mod peers;
mod plan;
mod poster;
mod proc;
mod reader;
mod readers;
mod report;
mod session;
mod setup;
mod stats;
mod team;
mod values;
mod workload;

use anyhow::{Context as _, Result};
use arguments::{Arguments, Command};
use clap::Parser as _;
use common::Common;
use report::{Report, Workload};
use std::{fs, path::Path, process::ExitCode};

/// Default length of a soak and of a mixed run, in seconds.
const SOAK_SECONDS: f64 = 600.0;
const MIXED_SECONDS: f64 = 10.0;

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
    let (report, common) = match command {
        Command::Hold(arguments) => (workload::hold(arguments)?, &arguments.common),
        Command::Fanout(arguments) => (workload::fanout(arguments)?, &arguments.common),
        Command::Unicast(arguments) => (workload::unicast(arguments)?, &arguments.common),
        Command::Storm(arguments) => (workload::storm(arguments)?, &arguments.common),
        Command::Webhooks(arguments) => (workload::webhooks(arguments)?, &arguments.common),
        Command::Mixed(arguments) => {
            (workload::mixed(Workload::Mixed, arguments, MIXED_SECONDS)?, &arguments.common)
        }
        Command::Soak(arguments) => {
            (workload::mixed(Workload::Soak, arguments, SOAK_SECONDS)?, &arguments.common)
        }
        Command::Compare { before, after } => {
            let reports = [(before, read(before)?), (after, read(after)?)];
            output::print(&report::compare::table(&reports), &mut std::io::stdout());
            return Ok(true);
        }
        Command::Peers(arguments) => return peers::run(arguments),
        Command::Worker => return team::worker().map(|()| true),
    };
    publish(&report, common)?;
    Ok(report.problems.is_empty())
}

/// Prints the report and writes the files that were asked for.
fn publish(report: &Report, common: &Common) -> Result<()> {
    output::print(&report::table::table(report), &mut std::io::stdout());
    if let Some(path) = &common.json {
        output::write(path, &serde_json::to_string(report)?)?;
    }
    if let Some(path) = &common.html {
        output::write(path, &report::html::page(report))?;
    }
    Ok(())
}

/// Reads a report that `--json` wrote.
fn read(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let report = serde_json::from_str(&text).ok().filter(|report: &Report| !report.version.is_empty());
    report.with_context(|| format!("{} is not a report of this tool: write one with --json", path.display()))
}
