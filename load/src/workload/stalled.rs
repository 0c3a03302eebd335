//! Those who read a busy payment, alone and beside thousands who opened a stream of it and stopped reading.
//!
//! The two are measured in turn, each time on a fresh gateway, so that what the machine does besides meets both.

use crate::{
    common::Common,
    poster::{Pace, Task},
    readers::Readers,
    report::{Report, Size, Workload, as_f64},
    session::Session,
    values,
    workload::posts,
};
use anyhow::{Result, ensure};
use clap::Args;
use std::fmt;

/// The server's memory may grow by this share while readers stall, and by [`GROWTH_BYTES`]: what it allocates for its first events.
const GROWTH_SHARE: f64 = 0.05;
const GROWTH_BYTES: f64 = 8_388_608.0;

/// The TCP buffers that may wait for one stalled reader, both ends of its socket: a send buffer of 64 KiB, which Linux doubles for its
/// own bookkeeping, the least receive buffer, and the slack of pages.
const KERNEL_BYTES: f64 = 192.0 * 1024.0;

/// With fewer pairs, whether the latencies differ is not judged: a single pause of the machine makes a p99.
const PAIRS_TO_JUDGE: usize = 3;

/// Measures the readers of one busy payment, alone and beside stalled ones.
#[derive(Args, Debug)]
pub(crate) struct Stalled {
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many streams read.
    #[arg(long, default_value_t = 1_000, value_parser = values::at_least_one)]
    live: usize,
    /// How many streams read nothing after their first message.
    #[arg(long, default_value_t = 10_000, value_parser = values::at_least_one)]
    stalled: usize,
    /// Events per second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// How long each run posts before anything is timed, in seconds. Until their kernels' buffers are full, stalled streams are written to
    /// like any other.
    #[arg(long, default_value_t = 15.0, value_parser = values::seconds)]
    fill: f64,
    /// How long each run posts what is timed, in seconds. The gateway closes a stalled stream after `stall`, 30 s.
    #[arg(long, default_value_t = 9.0, value_parser = values::seconds)]
    seconds: f64,
    /// How often both are measured.
    #[arg(long, default_value_t = 3, value_parser = values::at_least_one)]
    pairs: usize,
}

/// What one run came to.
struct Figures {
    p50_us: u64,
    p99_us: u64,
    /// The server's own memory before and after the posts.
    memory: [u64; 2],
    /// The TCP buffers that the posts left waiting, for each stalled reader.
    waiting: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [self.p50_us, self.p99_us].map(|us| as_f64(us) / 1e3);
        let [before, after] = self.memory.map(|bytes| as_f64(bytes) / 1_048_576.0);
        write!(f, "p50 {p50:.2} ms, p99 {p99:.2} ms, user memory {before:.1} to {after:.1} MiB")
    }
}

/// Runs both in turn. The report is that of the last run beside stalled readers, with the figures of all runs as notes.
pub(crate) fn stalled(arguments: &Stalled) -> Result<Report> {
    ensure!(
        arguments.common.spawn.is_some() || arguments.pairs == 1,
        "several pairs need a fresh gateway for each run: name the program with --spawn, or measure --pairs 1"
    );
    posts(Pace::Rate(arguments.rate), arguments.fill + arguments.seconds)
        .ensure_fits(arguments.common.dialect, 1)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut notes, mut problems, mut last) = (Vec::new(), Vec::new(), Report::default());
    for pair in 1..=arguments.pairs {
        for stalled in [0, arguments.stalled] {
            let (report, figures) = run(arguments, stalled)?;
            let of = format!("pair {pair}, beside {stalled} stalled");
            notes.push(format!("{of}: {figures}"));
            if stalled > 0 {
                notes.push(format!("{of}: {:.1} KiB of TCP buffers wait for each", figures.waiting / 1024.0));
                problems.extend(judged(&figures).into_iter().map(|problem| format!("{of}: {problem}")));
            }
            problems.extend(report.problems.iter().map(|problem| format!("{of}: {problem}")));
            if stalled == 0 { &mut alone } else { &mut beside }.push(figures);
            last = report;
        }
    }
    notes.push(format!("p99 alone {}, beside the stalled {}", spread(&alone), spread(&beside)));
    let longest_alone = alone.iter().map(|figures| figures.p99_us).max().unwrap_or_default();
    if arguments.pairs >= PAIRS_TO_JUDGE && beside.iter().all(|figures| figures.p99_us > 2 * longest_alone) {
        problems.push("every p99 beside stalled readers is more than twice the longest alone".to_owned());
    }
    last.notes.splice(0..0, notes);
    Ok(Report { problems, ..last })
}

fn run(arguments: &Stalled, stalled: usize) -> Result<(Report, Figures)> {
    let streams = arguments.live + stalled;
    let readers = Readers { stalled, ..Readers::brisk(streams, 1) };
    let mut session = Session::start(Workload::Stalled, &arguments.common, &readers)?;
    if session.open("open", streams)? {
        let mut accepted = Vec::new();
        session.post(posts(Pace::Rate(arguments.rate), arguments.fill), &mut accepted)?;
        session.settle(&accepted)?;
        let task = Task {
            first: session.call_it_warm_up()?,
            ..posts(Pace::Rate(arguments.rate), arguments.seconds)
        };
        session.measure_from_here();
        let watch = session.watch_pauses();
        session.post(task, &mut accepted)?;
        session.take_size(streams);
        session.settle(&accepted)?;
        session.measure_to_here();
        drop(watch);
    }
    let report = session.finish()?;
    let before = report.opened.unwrap_or_default();
    let after = report.sizes.last().copied().unwrap_or(before);
    let memory = |size: &Size| size.server.map_or(0, |server| server.anonymous);
    // The buffers' accounting contains their objects, and the kernel's other objects are those of the whole machine.
    let kernel = |size: &Size| as_f64(size.kernel.tcp_buffers);
    let figures = Figures {
        p50_us: report.seen.latency.at(0.5),
        p99_us: report.seen.latency.at(0.99),
        memory: [memory(&before), memory(&after)],
        waiting: (kernel(&after) - kernel(&before)) / as_f64(stalled.max(1) as u64),
    };
    Ok((report, figures))
}

/// What is wrong with the memory of a run beside stalled readers.
fn judged(figures: &Figures) -> Vec<String> {
    let mut problems = Vec::new();
    let [before, after] = figures.memory.map(as_f64);
    if after > before * (1.0 + GROWTH_SHARE) + GROWTH_BYTES {
        problems.push(format!("user memory grew from {before} to {after} bytes while readers stalled"));
    }
    if figures.waiting > KERNEL_BYTES {
        problems.push(format!("{:.0} bytes of TCP buffers wait for each stalled reader", figures.waiting));
    }
    problems
}

/// The median p99 of some runs, with the least and the most.
fn spread(runs: &[Figures]) -> String {
    let mut all: Vec<_> = runs.iter().map(|figures| as_f64(figures.p99_us) / 1e3).collect();
    all.sort_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or_default();
    format!("{:.2} ms ({:.2} to {:.2})", at(all.len() / 2), at(0), at(all.len().saturating_sub(1)))
}
