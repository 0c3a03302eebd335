//! The course of a run, whatever its workload: start, open streams, post, wait for deliveries, report.

mod steps;
mod usage;

use crate::{
    board::Board,
    clock,
    common::Common,
    dashboards::Dashboards,
    gateway::Gateway,
    output,
    pauses::Watch,
    plan::{Plan, unix_s},
    poster::{Count, NEWS, Poster, Task},
    proc::{self, Process},
    reader::{Command, Shared},
    readers::Readers,
    report::{Opening, Report, Second, Size, VERSION, Workload},
    setup::{ensure_listening, plan, raise_descriptors, start_gateway},
    stats::{Posted, Seen},
    team::{Standing, Team},
};
use anyhow::{Context as _, Result, ensure};
use mio::{Poll, Waker};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};
use usage::{Usage, cpu_us, sum};

/// How long the session waits for news of the readers before it checks its conditions again.
const LOOK: Duration = Duration::from_millis(20);

/// How often readers in other processes are told of the machine's pauses, in microseconds.
const NEWS_US: u64 = 100_000;

/// A run in progress.
pub(crate) struct Session {
    pub(crate) report: Report,
    plan: Plan,
    team: Team,
    shared: Shared,
    /// The publisher's poll. It is made before the board, which wakes it, and passed from one task to the next.
    poll: Option<Poll>,
    count: Arc<Count>,
    pids: Vec<u32>,
    patience: Duration,
    begun_us: u64,
    next_second_us: u64,
    next_news_us: u64,
    /// How often all streams are dropped while events are posted, and when this happens next; `u64::MAX` for never.
    returns_us: u64,
    next_return_us: u64,
    quiet: bool,
    /// The server's processes by what they are, if there are several kinds.
    parts: Vec<(String, Vec<u32>)>,
    /// What readers saw in earlier steps and have forgotten since.
    earlier: Seen,
    /// The moment at which measuring began.
    since: Usage,
    /// The server of this run. It is the last field, so that it is dropped last and runs until then.
    _gateway: Option<Gateway>,
}

impl Session {
    /// Starts the server if the run has one of its own, and the readers.
    pub(crate) fn start(workload: Workload, common: &Common, readers: &Readers) -> Result<Self> {
        ensure!(
            common.processes == 1 || !readers.tells_deliveries,
            "--in-flight needs all streams in one process: leave out --processes, or post at a --rate"
        );
        for path in [&common.json, &common.html].into_iter().flatten() {
            output::ensure_writable(path)?;
        }
        raise_descriptors();
        let gateway = start_gateway(common)?;
        let plan = plan(common, readers, gateway.as_ref());
        ensure_listening(common, &plan)?;
        let poll = Poll::new()?;
        let board = readers
            .tells_deliveries
            .then(|| Waker::new(poll.registry(), NEWS).map(|waker| Arc::new(Board::new(waker))))
            .transpose()?;
        let shared = Shared { board, ..Shared::default() };
        let team = Team::start(&plan, common.processes, &shared)?;
        let mut pids = common.pid.clone();
        pids.extend(gateway.as_ref().map(|(gateway, _)| gateway.pid()));
        let now_us = clock::now_us();
        let mut session = Self {
            report: Report {
                workload,
                arguments: common.told_arguments(),
                started: unix_s(),
                streams: readers.streams,
                payments: readers.payments,
                version: VERSION.to_owned(),
                machine: proc::machine(),
                host: proc::host(),
                pids: pids.clone(),
                ..Report::default()
            },
            plan,
            team,
            shared,
            poll: Some(poll),
            count: Arc::default(),
            pids,
            patience: Duration::from_secs(common.patience),
            begun_us: now_us,
            next_second_us: now_us,
            next_news_us: now_us,
            returns_us: u64::MAX,
            next_return_us: u64::MAX,
            quiet: common.quiet,
            parts: Vec::new(),
            earlier: Seen::default(),
            since: Usage::default(),
            _gateway: gateway.map(|(gateway, _)| gateway),
        };
        if session.plan.target.create {
            session.create_channels()?;
        }
        session.report.before = session.size(0);
        session.measure_from_here();
        Ok(session)
    }

    /// Opens dashboards of all payments, each of which has had one event. At most `events` are posted in all.
    pub(crate) fn open_dashboards(&self, number: usize, events: usize) -> Result<Dashboards> {
        self.count.acked_us.get_or_init(|| (0..events).map(|_| AtomicU64::new(0)).collect());
        Dashboards::open(&self.plan, number, Arc::clone(&self.count))
    }

    /// How long this run waits for what has to come.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// The sum of the server's processes now; none if none was named or one is gone.
    fn server(&self) -> Option<Process> {
        sum(&self.pids)
    }

    /// Begins to count processor time.
    pub(crate) fn measure_from_here(&mut self) {
        self.since = self.usage();
    }

    /// Ends counting processor time.
    pub(crate) fn measure_to_here(&mut self) {
        let (since, now) = (self.since, self.usage());
        self.report.server_cpu_us = now.server_us.saturating_sub(since.server_us);
        self.report.own_cpu_us = now.own_us.saturating_sub(since.own_us);
        self.report.stolen_us = now.stolen_us.saturating_sub(since.stolen_us);
        self.report.paused_us = now.paused_us - since.paused_us;
        self.report.measured_us = now.at_us - since.at_us;
    }

    fn usage(&self) -> Usage {
        Usage::now(&self.pids, &self.team.pids(), &self.shared.pauses)
    }

    /// Opens streams until there are `upto`, and waits for the first message of each. Returns whether all had it in time.
    pub(crate) fn open(&mut self, what: &str, upto: usize) -> Result<bool> {
        let (from_us, overflows) = (clock::now_us(), proc::kernel().overflows);
        let failed_before = self.team.hear(Duration::ZERO)?.failed;
        self.team.tell(&Command::Open { upto })?;
        let standing = self.until(self.patience, |standing| standing.ready_at_us.is_some())?;
        let complete = standing.ready_at_us.is_some();
        let at_us = standing.ready_at_us.unwrap_or_else(clock::now_us);
        let failed = standing.failed.saturating_sub(failed_before);
        self.report.openings.push(Opening {
            what: what.to_owned(),
            streams: upto,
            seconds: clock::seconds(at_us.saturating_sub(from_us)),
            failed,
            overflows: proc::kernel().overflows.saturating_sub(overflows),
            complete,
        });
        if complete && self.report.opened.is_none() {
            self.report.opened = Some(self.size(upto));
        }
        if !complete {
            let open = standing.ready;
            self.problem(format!("{what}: {open} of {upto} streams had their first message in time"));
        }
        Ok(complete)
    }

    fn create_channels(&mut self) -> Result<()> {
        let task = Task { creates: true, ..Task::batch(0, self.plan.payments) };
        let poster = Poster::new(self.plan.clone(), task, Poll::new()?, None, Arc::default())?;
        let (done, _) = poster.run()?;
        ensure!(done.posted.failed.is_empty(), "channels could not be created: {:?}", done.posted.failed);
        Ok(())
    }

    /// Drops all connections at once.
    pub(crate) fn drop_all(&mut self) -> Result<()> {
        self.team.tell(&Command::Drop)?;
        self.until(self.patience, |standing| standing.ready == 0)?;
        Ok(())
    }

    /// From now on, drops all streams and lets them return every so many seconds while events are posted; never if it is 0.
    pub(crate) fn return_every(&mut self, seconds: f64) {
        if seconds > 0.0 {
            self.returns_us = clock::micros(Duration::from_secs_f64(seconds));
            self.next_return_us = clock::now_us() + self.returns_us;
        }
    }

    fn return_if_due(&mut self) -> Result<()> {
        if clock::now_us() >= self.next_return_us {
            self.next_return_us += self.returns_us;
            self.team.tell(&Command::Drop)?;
            self.team.tell(&Command::Open { upto: self.report.streams })?;
        }
        Ok(())
    }

    /// Runs a task of the publisher, and adds what was accepted of each payment to `accepted`.
    pub(crate) fn post(&mut self, task: Task, accepted: &mut Vec<u32>) -> Result<()> {
        let poll = self.poll.take().map_or_else(Poll::new, Ok)?;
        let poster =
            Poster::new(self.plan.clone(), task, poll, self.shared.board.clone(), Arc::clone(&self.count))?;
        let thread = thread::Builder::new().name("publisher".to_owned()).spawn(|| poster.run())?;
        while !thread.is_finished() {
            self.look(LOOK)?;
            self.return_if_due()?;
        }
        let (done, poll) = thread.join().ok().context("the publisher failed")??;
        self.poll = Some(poll);
        accepted.resize(self.plan.payments, 0);
        accepted.iter_mut().zip(&done.accepted).for_each(|(sum, new)| *sum += new);
        self.report.posted.add(&done.posted);
        Ok(())
    }

    /// Makes what was posted so far a warm-up: it stays checked, but its times are forgotten. Returns the number of its events.
    pub(crate) fn call_it_warm_up(&mut self) -> Result<usize> {
        self.forget_times()?;
        let Posted { sent, failed, not_sent, .. } = std::mem::take(&mut self.report.posted);
        self.report.warm_up_events = sent;
        self.report.posted = Posted { failed, not_sent, ..Posted::default() };
        Ok(usize::try_from(sent)?)
    }

    fn forget_times(&mut self) -> Result<()> {
        self.team.tell(&Command::ForgetTimes)?;
        // A reader that takes the command late would forget times that belong to the measurement.
        ensure!(self.until(self.patience, |_| true)?.current, "a reader did not take a command in time");
        Ok(())
    }

    /// Watches for pauses of the machine until the returned value is dropped.
    pub(crate) fn watch_pauses(&mut self) -> Option<Watch> {
        let is_apart = self.team.pids().len() > 1;
        match Watch::begin(&self.shared.pauses, &self.pids, is_apart) {
            Ok(watch) => Some(watch),
            Err(error) => {
                self.report.notes.push(format!("pauses of the machine were not watched: {error:#}"));
                None
            }
        }
    }

    /// Waits until every accepted event has arrived at every stream, and returns whether that was so in time.
    pub(crate) fn settle(&mut self, accepted: &[u32]) -> Result<bool> {
        self.team.tell(&Command::Calm)?;
        self.team.expect(accepted)?;
        let standing = self.until(self.patience, |standing| standing.missing == Some(0))?;
        self.report.missing = standing.missing.unwrap_or_default();
        let is_complete = standing.missing == Some(0);
        if !is_complete {
            let missing = self.report.missing;
            self.problem(format!("{missing} deliveries of accepted events did not come in time"));
        }
        Ok(is_complete)
    }

    /// Waits, and goes on sampling.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<()> {
        self.until(time, |_| false)?;
        Ok(())
    }

    /// Records what this number of streams costs.
    pub(crate) fn take_size(&mut self, streams: usize) {
        let size = self.size(streams);
        self.report.sizes.push(size);
    }

    /// Records what this number of streams costs, processor time included, which has been measured while nothing else happened.
    pub(crate) fn take_idle_size(&mut self, streams: usize) {
        self.measure_to_here();
        let size = Size { server_cpu: self.report.server_share(), ..self.size(streams) };
        self.report.sizes.push(size);
    }

    /// What is used now, with this number of streams.
    fn size(&self, streams: usize) -> Size {
        let own = sum(&self.team.pids()).unwrap_or_default();
        Size { streams, server: self.server(), own, kernel: proc::kernel(), server_cpu: 0.0 }
    }

    /// Ends the run and returns its report.
    pub(crate) fn finish(mut self) -> Result<Report> {
        if !self.pids.is_empty() && self.server().is_none() {
            self.problem("the server's process is gone".to_owned());
        }
        self.report.server_after = self.server();
        self.report.seconds = clock::seconds(clock::now_us() - self.begun_us);
        self.report.parts = self.parts_now();
        self.report.seen = self.team.finish()?;
        self.report.seen.add_times(&self.earlier);
        self.report.judge();
        Ok(self.report)
    }

    fn problem(&mut self, what: String) {
        self.report.problems.push(what);
    }

    /// Waits until `enough` holds for the current state of all readers, or the time is over.
    fn until(&mut self, time: Duration, enough: impl Fn(&Standing) -> bool) -> Result<Standing> {
        let until_us = clock::now_us() + clock::micros(time);
        loop {
            let standing = self.look(LOOK)?;
            if standing.current && enough(&standing) || clock::now_us() >= until_us {
                return Ok(standing);
            }
        }
    }

    /// Takes the readers' states. Once per second it keeps a sample and prints it.
    fn look(&mut self, wait: Duration) -> Result<Standing> {
        let standing = self.team.hear(wait)?;
        let now_us = clock::now_us();
        if now_us >= self.next_news_us {
            self.next_news_us = now_us + NEWS_US.max(self.plan.tick_us);
            let looks = self.shared.pauses.take_news();
            if !looks.is_empty() {
                self.team.tell_looks(looks)?;
            }
        }
        if now_us >= self.next_second_us {
            self.next_second_us = now_us + 1_000_000;
            let second = Second {
                at: clock::seconds(now_us - self.begun_us),
                ready: standing.ready,
                sent: self.count.sent.load(Ordering::Relaxed),
                accepted: self.count.accepted.load(Ordering::Relaxed),
                deliveries: standing.deliveries,
                rss: self.pids.iter().filter_map(|pid| proc::rss(*pid).ok()).sum(),
                descriptors: self.pids.iter().filter_map(|pid| proc::descriptors(*pid).ok()).sum(),
                cpu_us: cpu_us(&self.pids),
            };
            self.report.series.push(second);
            if !self.quiet {
                let Second { at, ready, accepted, deliveries, rss, .. } = second;
                let mib = rss >> 20;
                let failed = standing.failed;
                output::progress(&format!(
                    "{at:6.1} s  {ready:>7} streams  {accepted:>8} accepted  {deliveries:>10} delivered  {failed:>5} failed  server {mib} MiB"
                ));
            }
        }
        Ok(standing)
    }
}
