//! Dashboards that follow all payments of a realm while these change: how far behind they are, and what they add to the server's processor time.
//!
//! Runs with dashboards and without take turns, each on a fresh gateway, so that what the machine does besides meets both. With `--redis`, one
//! process takes the webhooks and another one streams, and what counts is the processor time of the first: what dashboards cost ingest.

use crate::{
    common::Common,
    gateway::{Gateway, Role, Secrets, Settings, free_address},
    plan::Dialect,
    poster::{Pace, Task},
    readers::Readers,
    report::{Report, Workload, as_f64},
    session::Session,
    setup::provider_name,
    stats::Times,
    values,
    workload::posts,
};
use anyhow::{Result, ensure};
use clap::Args;

/// How far behind a dashboard may be, in microseconds.
const BEHIND_US: u64 = 1_000_000;

/// Ingest's processor time per event with dashboards, as a multiple of that without, may be so much.
const RATIO: f64 = 1.05;

/// With fewer pairs, the processor time is not judged.
const PAIRS_TO_JUDGE: usize = 3;

/// Measures dashboards of all payments, in pairs of runs with them and without.
#[derive(Args, Debug)]
pub(crate) struct Dashboards {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many dashboards are open.
    #[arg(long, default_value_t = 10, value_parser = values::at_least_one)]
    dashboards: usize,
    /// How many payments change.
    #[arg(long, default_value_t = 10_000, value_parser = values::at_least_one)]
    payments: usize,
    /// Events per second, over all payments in turn.
    #[arg(long, default_value_t = 2_000.0)]
    rate: f64,
    /// How long each run posts, in seconds.
    #[arg(long, default_value_t = 20.0, value_parser = values::seconds)]
    seconds: f64,
    /// How many pairs of runs are made.
    #[arg(long, default_value_t = 3, value_parser = values::at_least_one)]
    pairs: usize,
}

/// Runs both in turn. The report is that of the last run with dashboards, with the figures of all runs as notes.
pub(crate) fn dashboards(arguments: &Dashboards) -> Result<Report> {
    let Dashboards { common, dashboards, payments, .. } = arguments;
    ensure!(common.spawn.is_some(), "each run needs a fresh gateway: name the program with --spawn");
    ensure!(common.dialect == Dialect::Paystream, "only Paystream has a list of all payments");
    let room = payments.saturating_sub(1);
    posts(Pace::Rate(arguments.rate), arguments.seconds).ensure_fits(common.dialect, room)?;
    let whose = if common.redis.is_some() { "the ingest process's" } else { "the gateway's" };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let (mut notes, mut problems, mut last) = (Vec::new(), Vec::new(), Report::default());
    for pair in 1..=arguments.pairs {
        for number in [0, *dashboards] {
            let (report, behind) = run(arguments, number)?;
            let us = as_f64(report.server_cpu_us) / as_f64(report.posted.accepted.max(1));
            let of = format!("pair {pair}, {number} dashboards");
            notes.push(format!("{of}: {us:.1} µs of {whose} processor time per event"));
            problems.extend(report.problems.iter().map(|problem| format!("{of}: {problem}")));
            if number > 0 {
                let [p50, p99, longest] =
                    [behind.at(0.5), behind.at(0.99), behind.longest()].map(|us| as_f64(us) / 1e3);
                notes.push(format!("{of}: behind p50 {p50:.0} ms, p99 {p99:.0} ms, at most {longest:.0} ms"));
                if behind.longest() > BEHIND_US {
                    problems.push(format!("{of}: one was {longest:.0} ms behind"));
                }
            }
            if number == 0 { &mut without } else { &mut with }.push(us);
            last = report;
        }
    }
    let ratio = median(&mut with) / median(&mut without);
    notes.push(format!(
        "{whose} processor time per event with dashboards: {ratio:.3} x that without (medians)"
    ));
    if arguments.pairs >= PAIRS_TO_JUDGE && ratio > RATIO {
        problems
            .push(format!("dashboards raise the processor time per event to {ratio:.3} x, above {RATIO} x"));
    }
    last.notes.splice(0..0, notes);
    Ok(Report { problems, ..last })
}

/// Posts while so many dashboards are open, after one event of each payment. Returns how far behind they were too.
fn run(arguments: &Dashboards, number: usize) -> Result<(Report, Times)> {
    let Dashboards { common, payments, rate, seconds, .. } = arguments;
    let halves = halves(common)?;
    let common = halves.as_ref().map_or(common, |(common, _)| common);
    let mut session = Session::start(Workload::Dashboards, common, &Readers::brisk(0, *payments))?;
    let mut accepted = Vec::new();
    session.post(Task::batch(0, *payments), &mut accepted)?;
    let first = session.call_it_warm_up()?;
    let task = Task { first, ..posts(Pace::Rate(*rate), *seconds) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of events")]
    let events = first + (rate * seconds).ceil() as usize;
    let dashboards = (number > 0).then(|| session.open_dashboards(number, events)).transpose()?;
    session.measure_from_here();
    session.post(task, &mut accepted)?;
    let sum = accepted.iter().copied().map(u64::from).sum();
    let problems = dashboards.as_ref().map(|open| open.settle(sum, session.patience())).unwrap_or_default();
    session.measure_to_here();
    let behind = dashboards.map(|open| open.behind()).unwrap_or_default();
    let mut report = session.finish()?;
    report.problems.extend(problems);
    Ok((report, behind))
}

/// Where there is a Redis, starts a gateway's two halves. Returns the options of a run against them that measures the one that takes webhooks.
fn halves(common: &Common) -> Result<Option<(Common, [Gateway; 2])>> {
    let (Some(program), Some(redis)) = (&common.spawn, &common.redis) else { return Ok(None) };
    let secrets = Secrets::fresh();
    let start = |role| {
        let (address, core, redis) = (free_address()?, common.server_core, Some(redis.as_str()));
        let provider = provider_name(common.provider);
        let settings = Settings {
            program,
            role,
            address,
            core,
            redis,
            provider,
            stream: "",
            tls: false,
            secrets: &secrets,
        };
        let mut gateway = Gateway::start(&settings)?;
        gateway.wait_until_ready()?;
        anyhow::Ok(gateway)
    };
    let halves = [start(Role::Ingest)?, start(Role::Stream)?];
    let [ingest, stream] = &halves;
    let common = Common {
        spawn: None,
        redis: None,
        public: stream.address,
        ingest: Some(ingest.address),
        source: "load".to_owned(),
        secret: Some(secrets.source.clone()),
        token_key: Some(secrets.token_key.clone()),
        token: Some(String::new()),
        pid: vec![ingest.pid()],
        ..common.clone()
    };
    Ok(Some((common, halves)))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
