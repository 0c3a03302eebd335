//! The workloads: which streams each opens, what it posts and what it waits for.

mod dashboards;
mod stalled;

pub(crate) use dashboards::{Dashboards, dashboards};
pub(crate) use stalled::{Stalled, stalled};

use crate::{
    common::Common,
    plan::{Dialect, EVENTS_PER_PAYMENT},
    poster::{Pace, Task},
    readers::Readers,
    report::{Report, Workload},
    session::Session,
    values,
};
use anyhow::{Result, ensure};
use clap::{Args, value_parser};
use std::time::Duration;

/// Opens idle streams and tells what each costs in memory.
#[derive(Args, Debug)]
pub(crate) struct Hold {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Numbers of streams. Each is measured, and memory per stream is the slope through them.
    #[arg(long, value_delimiter = ',', default_value = "2500,5000,10000", value_parser = values::at_least_one)]
    sizes: Vec<usize>,
    /// Let all streams watch one payment, instead of one payment each.
    #[arg(long)]
    one_payment: bool,
    /// Post this many events to each payment before the streams are measured.
    #[arg(long, default_value_t = 0)]
    events: usize,
    /// How long each number is held, in seconds.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(..=1_000_000))]
    seconds: u64,
}

/// Posts events to open streams and measures their latency.
#[derive(Args, Debug)]
pub(crate) struct Deliver {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many streams are opened.
    #[arg(long, default_value_t = 10_000, value_parser = values::at_least_one)]
    streams: usize,
    /// Events per second.
    #[arg(long, default_value_t = 1.0, conflicts_with = "in_flight")]
    rate: f64,
    /// Instead of a rate: keep this many events in flight, and post the next when one has reached all its streams.
    #[arg(long, value_parser = values::at_least_one)]
    in_flight: Option<usize>,
    /// How long to post before anything is timed, in seconds.
    #[arg(long, default_value_t = 0.0, value_parser = values::seconds)]
    warm_up: f64,
    /// How long to post, in seconds.
    #[arg(long, default_value_t = 10.0, value_parser = values::seconds)]
    seconds: f64,
}

/// Opens all streams at once, drops them at once and lets them return at once.
#[derive(Args, Debug)]
pub(crate) struct Storm {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many streams are opened.
    #[arg(long, default_value_t = 10_000, value_parser = values::at_least_one)]
    streams: usize,
    /// Let all streams watch one payment, instead of one payment each.
    #[arg(long)]
    one_payment: bool,
    /// How often the streams are dropped and return.
    #[arg(long, default_value_t = 3)]
    waves: usize,
    /// Post nothing while the streams are away. Otherwise each payment gets an event that its stream has to catch up on.
    #[arg(long)]
    silent: bool,
}

/// Posts signed webhooks.
#[derive(Args, Debug)]
pub(crate) struct Webhooks {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Streams that watch the payments; stream i watches payment i modulo the number of payments.
    #[arg(long, default_value_t = 0)]
    streams: usize,
    /// How many payments the events are spread over.
    #[arg(long, default_value_t = 1_000, value_parser = values::at_least_one)]
    payments: usize,
    /// Events per second.
    #[arg(long, conflicts_with = "in_flight")]
    rate: Option<f64>,
    /// Without --rate: keep this many webhooks in flight until each is acknowledged.
    #[arg(long, default_value_t = 64, value_parser = values::at_least_one)]
    in_flight: usize,
    /// How long to post, in seconds.
    #[arg(long, default_value_t = 10.0, value_parser = values::seconds)]
    seconds: f64,
}

/// Posts events while streams come and go and some readers are slow or stalled.
#[derive(Args, Debug)]
pub(crate) struct Mixed {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many streams are opened; stream i watches payment i modulo the number of payments. By default 1,000, for soak 10,000.
    #[arg(long, value_parser = values::at_least_one)]
    streams: Option<usize>,
    /// How many payments the events are spread over; by default 250, for soak 5,000.
    #[arg(long, value_parser = values::at_least_one)]
    payments: Option<usize>,
    /// Events per second.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// How many streams per second are dropped and resume with their cursor; by default 20, for soak 50.
    #[arg(long, value_parser = values::per_second)]
    churn: Option<f64>,
    /// How many readers take only 512 bytes every 50 ms; by default 10, for soak 50.
    #[arg(long)]
    slow: Option<usize>,
    /// How many readers take nothing after their first message; by default 10, for soak 50.
    #[arg(long)]
    stalled: Option<usize>,
    /// Every so many seconds all streams are dropped at once and return; 0 for never. By default never, for soak 300.
    #[arg(long, value_parser = values::seconds)]
    returns: Option<f64>,
    /// How long to post, in seconds; by default 10, for soak 1,800.
    #[arg(long, value_parser = values::seconds)]
    seconds: Option<f64>,
}

/// What [`Mixed`] takes where nothing else was typed.
pub(crate) struct Usual {
    workload: Workload,
    streams: usize,
    payments: usize,
    churn: f64,
    /// Slow readers, and as many stalled ones.
    lazy: usize,
    returns: f64,
    seconds: f64,
}

pub(crate) const MIXED: Usual = Usual {
    workload: Workload::Mixed,
    streams: 1_000,
    payments: 250,
    churn: 20.0,
    lazy: 10,
    returns: 0.0,
    seconds: 10.0,
};

pub(crate) const SOAK: Usual = Usual {
    workload: Workload::Soak,
    streams: 10_000,
    payments: 5_000,
    churn: 50.0,
    lazy: 50,
    returns: 300.0,
    seconds: 1_800.0,
};

pub(crate) fn hold(arguments: &Hold) -> Result<Report> {
    let most = arguments.sizes.iter().copied().max().unwrap_or_default();
    ensure!(
        arguments.sizes.is_sorted(),
        "--sizes must go from the smallest number of streams to the largest"
    );
    let payments = if arguments.one_payment { 1 } else { most };
    let mut session = Session::start(Workload::Hold, &arguments.common, &Readers::brisk(most, payments))?;
    let mut accepted = Vec::new();
    if arguments.events > 0 {
        session.post(Task::batch(0, payments * arguments.events), &mut accepted)?;
    }
    for size in &arguments.sizes {
        if !session.open("open", *size)? {
            break;
        }
        session.measure_from_here();
        session.pass(Duration::from_secs(arguments.seconds))?;
        session.take_idle_size(*size);
    }
    session.finish()
}

pub(crate) fn deliver(workload: Workload, arguments: &Deliver, payments: usize) -> Result<Report> {
    let readers = Readers {
        tells_deliveries: arguments.in_flight.is_some(),
        ..Readers::brisk(arguments.streams, payments)
    };
    let pace = arguments.in_flight.map_or(Pace::Rate(arguments.rate), Pace::Delivered);
    let mut task = posts(pace, arguments.seconds);
    Task { seconds: arguments.warm_up + arguments.seconds, ..task }
        .ensure_fits(arguments.common.dialect, payments)?;
    let mut session = Session::start(workload, &arguments.common, &readers)?;
    if session.open("open", arguments.streams)? {
        let mut accepted = Vec::new();
        if arguments.warm_up > 0.0 {
            let is_bounded = arguments.common.dialect == Dialect::Paystream && arguments.in_flight.is_some();
            // Half of the room in the payments' logs is left for the measurement.
            let most = if is_bounded { payments * EVENTS_PER_PAYMENT / 2 } else { usize::MAX };
            session.post(Task { seconds: arguments.warm_up, most, ..task }, &mut accepted)?;
            if !session.settle(&accepted)? {
                return session.finish();
            }
            task.first = session.call_it_warm_up()?;
        }
        post_and_settle(&mut session, task, &mut accepted)?;
    }
    session.finish()
}

pub(crate) fn fanout(arguments: &Deliver) -> Result<Report> {
    deliver(Workload::Fanout, arguments, 1)
}

pub(crate) fn unicast(arguments: &Deliver) -> Result<Report> {
    deliver(Workload::Unicast, arguments, arguments.streams)
}

pub(crate) fn storm(arguments: &Storm) -> Result<Report> {
    let streams = arguments.streams;
    let payments = if arguments.one_payment { 1 } else { streams };
    let readers = Readers { opening: streams, ..Readers::brisk(streams, payments) };
    let mut session = Session::start(Workload::Storm, &arguments.common, &readers)?;
    let mut accepted = Vec::new();
    let mut complete = session.open("arrive", streams)?;
    for wave in 1..=arguments.waves {
        if !complete {
            break;
        }
        session.drop_all()?;
        if !arguments.silent {
            session.post(Task::batch((wave - 1) * payments, payments), &mut accepted)?;
        }
        complete = session.open(&format!("return {wave}"), streams)?;
        if !arguments.silent {
            session.settle(&accepted)?;
        }
    }
    session.measure_to_here();
    session.finish()
}

pub(crate) fn webhooks(arguments: &Webhooks) -> Result<Report> {
    let readers = Readers::brisk(arguments.streams, arguments.payments);
    let pace = arguments.rate.map_or(Pace::Acked(arguments.in_flight), Pace::Rate);
    let task = posts(pace, arguments.seconds);
    task.ensure_fits(arguments.common.dialect, arguments.payments)?;
    let mut session = Session::start(Workload::Webhooks, &arguments.common, &readers)?;
    if arguments.streams == 0 || session.open("open", arguments.streams)? {
        post_and_settle(&mut session, task, &mut Vec::new())?;
    }
    session.finish()
}

pub(crate) fn mixed(usual: &Usual, arguments: &Mixed) -> Result<Report> {
    let streams = arguments.streams.unwrap_or(usual.streams);
    let payments = arguments.payments.unwrap_or(usual.payments);
    let readers = Readers {
        churn: arguments.churn.unwrap_or(usual.churn),
        slow: arguments.slow.unwrap_or(usual.lazy),
        stalled: arguments.stalled.unwrap_or(usual.lazy),
        ..Readers::brisk(streams, payments)
    };
    let task = posts(Pace::Rate(arguments.rate), arguments.seconds.unwrap_or(usual.seconds));
    task.ensure_fits(arguments.common.dialect, payments)?;
    let mut session = Session::start(usual.workload, &arguments.common, &readers)?;
    if session.open("open", streams)? {
        session.return_every(arguments.returns.unwrap_or(usual.returns));
        post_and_settle(&mut session, task, &mut Vec::new())?;
    }
    session.finish()
}

/// A task that posts from the first event on, for so many seconds.
fn posts(pace: Pace, seconds: f64) -> Task {
    Task { pace, seconds, ..Task::batch(0, usize::MAX) }
}

/// Posts and measures, then waits for the deliveries. `accepted` has what earlier tasks got accepted of each payment.
fn post_and_settle(session: &mut Session, task: Task, accepted: &mut Vec<u32>) -> Result<()> {
    session.measure_from_here();
    // With a fixed number in flight, the server is to have the processors for itself, so nothing watches for pauses.
    let watch = matches!(task.pace, Pace::Rate(_)).then(|| session.watch_pauses()).flatten();
    session.post(task, accepted)?;
    session.settle(accepted)?;
    session.measure_to_here();
    drop(watch);
    Ok(())
}
