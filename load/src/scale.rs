//! `load scale`: as many live streams as this machine holds, over as many streaming processes as descriptors demand, with one Redis and one
//! process that takes webhooks. It starts all of them, and ends them by their ids.

mod cluster;
mod machine;

use crate::{
    common::Common,
    output,
    plan::{Dialect, Provider, STREAMS_PER_SOURCE},
    poster::{Pace, Task},
    readers::Readers,
    report::{Report, Workload},
    session::Session,
    setup::raise_descriptors,
    values,
};
use anyhow::{Context as _, Result, ensure};
use clap::{Args, value_parser};
use cluster::Cluster;
use machine::{Machine, Needs, OTHER_DESCRIPTORS, free_memory};
use std::time::Duration;

/// In how many steps the streams are opened. After each, the memory for the rest is reckoned.
const STEPS: usize = 10;

/// Memory that is left to the machine.
const RESERVE: u64 = 512 << 20;

/// How many streams are opening at the same time, in all processes together.
const OPENING: usize = 1_024;

/// How many streams per second are opened at the least, servers and readers on the same processors.
const OPENED_PER_SECOND: u64 = 1_000;

/// The longest time in which the payments are stored, in seconds.
const STORING: f64 = 3_600.0;

/// How many webhooks are under way while the payments are stored.
const IN_FLIGHT: usize = 256;

/// Many streams over many processes.
#[derive(Args, Debug)]
pub(crate) struct Scale {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many streams are opened, each on a stored payment of its own.
    #[arg(long, default_value_t = 1_000_000, value_parser = values::at_least_one)]
    streams: usize,
    /// How many streams one process serves at most; another reads them.
    #[arg(long, default_value_t = 19_500, value_parser = values::at_least_one)]
    per_process: usize,
    /// Seconds between the heartbeats of a stream.
    #[arg(long, default_value_t = 60)]
    heartbeat: u64,
    /// How long the streams are held with nothing but heartbeats before anything is posted, in seconds.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(..=1_000_000))]
    idle: u64,
    /// Signed webhooks per second.
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// How long they are posted at this rate, in seconds.
    #[arg(long, default_value_t = 600.0, value_parser = values::seconds)]
    seconds: f64,
    /// Further rates, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1000,1500,2000")]
    ladder: Vec<f64>,
    /// How long each of them lasts, in seconds.
    #[arg(long, default_value_t = 60.0, value_parser = values::seconds)]
    ladder_seconds: f64,
}

/// Runs it. Fails before anything is started if the machine lacks something.
pub(crate) fn scale(arguments: &Scale) -> Result<Report> {
    let Scale { streams, .. } = *arguments;
    let program = arguments.common.spawn.as_ref().context("name the gateway's program with --spawn")?;
    ensure!(
        arguments.common.redis.is_none() && arguments.common.server_core.is_none(),
        "a scale starts a Redis of its own and leaves all processors to everybody: leave out --redis and --server-core"
    );
    let Common { provider, dialect, create, .. } = arguments.common;
    ensure!(
        (provider, dialect, create) == (Provider::Generic, Dialect::Paystream, false),
        "a scale measures paystream with webhooks of its generic provider: leave out --provider, --dialect and --create"
    );
    for path in [&arguments.common.json, &arguments.common.html].into_iter().flatten() {
        output::ensure_writable(path)?;
    }
    let tasks = tasks(arguments)?;
    let processes = ensure_fits(arguments)?;
    raise_descriptors();
    let progress = |line: String| {
        if !arguments.common.quiet {
            output::progress(&line);
        }
    };
    progress(format!("starting Redis, the ingest process and {processes} streaming processes"));
    let cluster = Cluster::start(program, processes, arguments.heartbeat)?;
    let parts = cluster.parts();
    let common = Common {
        spawn: None,
        public: cluster.streaming().first().copied().context("there is no streaming process")?,
        ingest: Some(cluster.ingest()),
        gateways: cluster.streaming(),
        source: "load".to_owned(),
        secret: Some(cluster.secrets.source),
        token_key: Some(cluster.secrets.token_key),
        token: Some(String::new()),
        pid: parts.iter().flat_map(|(_, pids)| pids.clone()).collect(),
        processes,
        patience: arguments.common.patience.max(30 + (streams / STEPS) as u64 / OPENED_PER_SECOND),
        opening: Some(arguments.common.opening.unwrap_or((OPENING / processes).max(16))),
        ..arguments.common.clone()
    };
    let mut session = Session::start(Workload::Scale, &common, &Readers::brisk(streams, streams))?;
    session.name_parts(parts);
    let mut accepted = Vec::new();
    progress(format!("storing {streams} payments"));
    let stored = Task { pace: Pace::Acked(IN_FLIGHT), seconds: STORING, ..Task::batch(0, streams) };
    session.post(stored, &mut accepted)?;
    let mut first = session.call_it_warm_up()?;
    if open(&mut session, streams)? {
        if arguments.idle > 0 {
            progress(format!("holding {streams} streams for {} s", arguments.idle));
            session.measure_from_here();
            session.pass(Duration::from_secs(arguments.idle))?;
            session.take_idle_size(streams);
        }
        session.measure_from_here();
        let watch = session.watch_pauses();
        for (rate, task) in tasks {
            progress(format!("posting {rate} webhooks per second for {} s", task.seconds));
            let Some(posted) = session.step(rate, Task { first, ..task }, &mut accepted)? else { break };
            first += posted;
        }
        session.measure_to_here();
        drop(watch);
    }
    session.finish()
}

/// What is posted at each rate.
fn tasks(arguments: &Scale) -> Result<Vec<(f64, Task)>> {
    let ladder = arguments.ladder.iter().map(|rate| (*rate, arguments.ladder_seconds));
    let all = std::iter::once((arguments.rate, arguments.seconds)).chain(ladder);
    all.map(|(rate, seconds)| {
        let task = Task { pace: Pace::Rate(rate), seconds, ..Task::batch(0, usize::MAX) };
        task.ensure_fits(Dialect::Paystream, arguments.streams)?;
        Ok((rate, task))
    })
    .collect()
}

/// Fails if the machine lacks something. Returns how many streaming processes there will be.
fn ensure_fits(arguments: &Scale) -> Result<usize> {
    let machine = Machine::look();
    let most = machine.descriptors.saturating_sub(OTHER_DESCRIPTORS).max(1);
    let per_process = arguments.per_process.min(usize::try_from(most).unwrap_or(usize::MAX));
    let processes = arguments.streams.div_ceil(per_process);
    let needs = Needs {
        streams: arguments.streams as u64,
        processes: processes as u64,
        per_source: arguments.streams.min(STREAMS_PER_SOURCE) as u64,
    };
    let missing = machine.missing(&needs);
    ensure!(missing.is_empty(), "this machine lacks something:\n  {}", missing.join("\n  "));
    Ok(processes)
}

/// Opens all streams step by step. Stops, with a problem in the report, before the machine runs out of memory.
fn open(session: &mut Session, streams: usize) -> Result<bool> {
    let before = free_memory();
    for step in 1..=STEPS {
        let upto = streams * step / STEPS;
        if upto == 0 {
            continue;
        }
        if !session.open("open", upto)? {
            return Ok(false);
        }
        session.take_size(upto);
        let (now, opened, rest) = (free_memory(), upto as u64, (streams - upto) as u64);
        let needed = before.saturating_sub(now) / opened * rest;
        if now < needed.saturating_add(RESERVE) {
            let each = before.saturating_sub(now) / opened;
            session.report.problems.push(format!(
                "{upto} streams took {each} B of memory each, both ends and the kernel included, so {rest} more do not fit into the {} MiB that are left",
                now >> 20
            ));
            return Ok(false);
        }
    }
    Ok(true)
}
