//! Writes to one server, in batches: all writes that wait go out together, appends in few calls of their script
//! ([`append`](super::append)), and one answer to `WAIT` covers all of them.
//!
//! There are two lanes, each with a connection of its own: while one waits for its answers, the other collects a batch. A
//! lane retries what it could not write for as long as the caller waits. The server recognises an append by its tag if it was
//! written but its answer was lost, so a retry neither repeats it nor calls it a duplicate. What another server has to take
//! leaves the lane as a [`Stray`], so no slot that is moved, and no server that is gone, holds up the writes of others.

use super::{
    append::{Caller, calls},
    check::Checks,
    error::{passes, refusal, told},
    job::{Job, Stray, To, Write},
    link::{AGAIN, ANSWER, Connector, Link, PATIENCE, Up},
    map::{Board, Map},
    node::Node,
    redirect::{self, Redirect},
    scripts::LOADED,
};
use crate::{
    limits::LimitHit,
    metrics::{Metrics, StoreFault},
    store::StoreError,
};
use prometheus_client::metrics::counter::Counter;
use redis::{Cmd, Pipeline, ServerErrorKind, Value};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{
        Mutex,
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::{Instant, sleep, timeout},
};

/// The most writes that may wait for one server; more are refused and the provider retries. It equals the number of webhooks that may be
/// in work at once, and each of them takes about 1.5 KB.
pub(super) const QUEUE: usize = 4096;

/// The most writes in one batch. They take about 5 ms of the server's time.
const BATCH: usize = 128;

/// Lanes, so that one batch is collected while another is on its way.
const LANES: usize = 2;

/// The pause before a write is tried again whose keys are on both sides of a move. The move of a key takes milliseconds, that of a slot
/// seconds.
const SPLIT_AGAIN: Duration = Duration::from_millis(50);

/// What the lanes of all servers share.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub(super) board: Arc<Board>,
    /// Takes what another server has to write.
    pub(super) strays: mpsc::Sender<Stray>,
}

/// Accepts writes for one server from any task.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// The links of the lanes, which tell why a write got no answer.
    links: [Link; LANES],
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Starts the lanes. They end when the writer is dropped.
    pub(super) fn start(
        connector: &Connector,
        checks: &Checks,
        caller: &Caller,
        routes: &Routes,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let links = [(); LANES].map(|()| Link::start(connector.clone(), checks.clone()));
        for link in links.clone() {
            let lane = Lane {
                link,
                node: connector.node().clone(),
                loaded_on: 0,
                caller: caller.clone(),
                spreads: !routes.board.is_cluster(),
                changes: routes.board.changes(),
                routes: routes.clone(),
                name: connector.node().to_string(),
                answered: metrics.store_servers.writes(&connector.node().to_string()),
                metrics: Arc::clone(&metrics),
            };
            tokio::spawn(lane.run(Arc::clone(&queue)));
        }
        Self { jobs: sender, links, metrics }
    }

    /// Takes a write. One that finds no room is answered at once.
    pub(super) fn take(&self, job: Job) {
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => {
                self.metrics.limit_hits.count(LimitHit::StoreQueue);
                job.answer(Err(StoreError::Overloaded));
            }
            Err(TrySendError::Closed(job)) => job.answer(Err(closed())),
        }
    }

    /// Whether no lane has had a connection for longer than a caller waits.
    pub(super) fn is_long_down(&self) -> bool {
        self.links.iter().all(Link::is_long_down)
    }

    /// How many writes wait.
    pub(super) fn waiting(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    /// Returns why there is no connection, if a lane has none.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.links.iter().find_map(Link::trouble)
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

struct Lane {
    link: Link,
    node: Node,
    /// The name of the server in metrics.
    name: String,
    /// The number of the connection over which the scripts were loaded.
    loaded_on: u64,
    caller: Caller,
    /// Whether the server takes keys of several partitions in one call, as any but a cluster does. Its first refusal shows it.
    spreads: bool,
    changes: watch::Receiver<Arc<Map>>,
    routes: Routes,
    metrics: Arc<Metrics>,
    /// Counts what was answered.
    answered: Counter,
}

impl Lane {
    /// Writes until the queue is closed and empty.
    async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
        let mut batch: Vec<Job> = Vec::new();
        loop {
            // A lane takes writes only once it has a connection, because the other lane may have one.
            let up = tokio::select! {
                up = timeout(PATIENCE, self.link.up()) => up.ok(),
                _ = self.changes.changed() => None,
            };
            // These callers have returned an error, so their providers send the webhooks again.
            batch.retain(|job| !job.reply.is_closed());
            let Some(up) = up else {
                if self.link.up_now().is_none() {
                    batch = self.keep_own(batch, &queue);
                }
                if batch.is_empty()
                    && queue.try_lock().is_ok_and(|queue| queue.is_closed() && queue.is_empty())
                {
                    return;
                }
                continue;
            };
            if batch.is_empty() {
                if queue.lock().await.recv_many(&mut batch, BATCH).await == 0 {
                    return;
                }
            } else {
                sleep(AGAIN).await;
                while batch.len() < BATCH
                    && let Ok(Ok(job)) = queue.try_lock().map(|mut queue| queue.try_recv())
                {
                    batch.push(job);
                }
            }
            batch = self.write(up, batch).await;
        }
    }

    /// Sends away the writes whose slots are another server's by now, and returns the others. If the server owns nothing any more, what
    /// waits in the queue goes too.
    fn keep_own(&self, batch: Vec<Job>, queue: &Mutex<mpsc::Receiver<Job>>) -> Vec<Job> {
        let map = self.routes.board.map();
        if !map.nodes().contains(&self.node)
            && let Ok(mut queue) = queue.try_lock()
        {
            while let Ok(job) = queue.try_recv() {
                self.send_away(job, To::Owner);
            }
        }
        let mut own = Vec::with_capacity(batch.len());
        for job in batch {
            match map.owner(job.slot) {
                Some(owner) if *owner == self.node && !job.is_asking => own.push(job),
                _ => self.send_away(job, To::Owner),
            }
        }
        own
    }

    /// Has another server take a write. One that finds no room is answered at once.
    fn send_away(&self, job: Job, to: To) {
        let job = Job { is_asking: matches!(to, To::Importing(_)), ..job };
        if let Err(TrySendError::Full(Stray { job, .. }) | TrySendError::Closed(Stray { job, .. })) =
            self.routes.strays.try_send(Stray { job, to })
        {
            self.metrics.limit_hits.count(LimitHit::StoreQueue);
            job.answer(Err(StoreError::Overloaded));
        }
    }

    /// Sends a batch in one round trip. Answers what it can, and returns what has to be retried.
    async fn write(&mut self, mut up: Up, batch: Vec<Job>) -> Vec<Job> {
        let scripts = if self.loaded_on == up.number { &[][..] } else { &LOADED[..] };
        let loads = scripts.len();
        let mut commands = Pipeline::with_capacity(loads + batch.len() + 1);
        for script in scripts {
            commands.cmd("SCRIPT").arg("LOAD").arg(*script);
        }
        let replicas = self.caller.replicas;
        let waits = usize::from(replicas > 0 && batch.iter().any(|job| job.must_last));
        let spreads = self.spreads;
        let (asking, plain): (Vec<_>, Vec<_>) = batch.into_iter().partition(|job| job.is_asking);
        let mut calls = calls(plain, spreads, Job::append);
        // Each of these has to follow an ASKING of its own, on the same connection.
        calls.extend(asking.into_iter().map(|job| vec![job]));
        let is_asking = |jobs: &[Job]| jobs.first().is_some_and(|job| job.is_asking);
        let asked = calls.iter().filter(|jobs| is_asking(jobs)).count();
        for jobs in &calls {
            if is_asking(jobs) {
                commands.cmd("ASKING");
            }
            commands.add_command(self.command(jobs));
        }
        if waits == 1 {
            // Half of the time that an answer may take, so that the answer "too few replicas" comes in time.
            commands.cmd("WAIT").arg(replicas).arg((ANSWER / 2).as_millis() as usize);
        }
        let sent = Instant::now();
        let mut answers = match up.send(&commands, loads + asked + calls.len() + waits).await {
            Ok(answers) => answers,
            Err(why) => {
                self.link.broken(up.number, &why);
                return calls.into_iter().flatten().collect();
            }
        };
        self.metrics.store_servers.answered(&self.name, sent.elapsed());
        // Without its script each write fails with NOSCRIPT, which says less than the reason why the script was not loaded.
        let loaded: Vec<Value> = answers.drain(..loads).collect();
        if let Some(error) = loaded.iter().find_map(refusal)
            && !passes(error)
        {
            for job in calls.into_iter().flatten() {
                job.answer(Err(StoreError::Unavailable(told(error))));
            }
            return Vec::new();
        }
        self.loaded_on = up.number;
        let mut lasts = true;
        if waits == 1 {
            let acknowledged = answers.pop();
            lasts = matches!(acknowledged, Some(Value::Int(count)) if count >= i64::from(replicas));
            if !lasts {
                self.metrics.store_fault(&self.name, StoreFault::Replicas);
            }
        }
        let mut answers = answers.into_iter();
        let mut answer_to = |jobs: &Vec<Job>| {
            if is_asking(jobs) {
                answers.next();
            }
            answers_of(jobs, answers.next().unwrap_or_default())
        };
        let answers = calls.iter().flat_map(&mut answer_to).collect::<Vec<_>>();
        let answered = calls.into_iter().flatten().zip(answers);
        answered.filter_map(|(job, answer)| self.settle(&up, job, answer, lasts, spreads)).collect()
    }

    /// The command that makes the writes of one call.
    fn command(&self, jobs: &[Job]) -> Cmd {
        match jobs {
            [Job { write: Write::Command(command), .. }] => command.clone(),
            appends => self.caller.call(&appends.iter().filter_map(Job::append).collect::<Vec<_>>()),
        }
    }

    /// Answers a job, sends it away, or returns it if it has to be retried here; `lasts` says whether enough replicas have it, and
    /// `spread` whether it may have shared a call with another partition.
    fn settle(&mut self, up: &Up, job: Job, answer: Value, lasts: bool, spread: bool) -> Option<Job> {
        let board = Arc::clone(&self.routes.board);
        match refusal(&answer) {
            Some(error) if error.kind() == Some(ServerErrorKind::NoScript) => {
                self.loaded_on = 0;
                Some(job)
            }
            Some(error) if error.kind() == Some(ServerErrorKind::CrossSlot) && spread => {
                self.spreads = false;
                Some(job)
            }
            Some(error)
                if board.is_cluster()
                    && let Some(redirect) = redirect::read(error, &self.node) =>
            {
                self.metrics.store_fault(&self.name, StoreFault::Redirected);
                let to = match redirect {
                    Redirect::Moved(slot, node) => {
                        board.moved(slot, &node);
                        To::Owner
                    }
                    Redirect::Ask(slot, node) => {
                        board.imports(slot, &node);
                        To::Importing(node)
                    }
                    Redirect::Split => To::OwnerAfter(SPLIT_AGAIN, told(error)),
                };
                self.send_away(job, to);
                None
            }
            Some(error) if passes(error) => {
                if error.code() == "READONLY" {
                    // It will hardly be the primary again soon, and the address may lead to the new primary by now.
                    self.link.broken(up.number, "it has become a replica");
                    board.doubt();
                }
                Some(job)
            }
            Some(error) => {
                job.answer(Err(StoreError::Unavailable(told(error))));
                None
            }
            None if job.must_last && !lasts => Some(job),
            // Another server is known to be the primary by now, and may not have what this one has just written.
            None if job.must_last && !job.is_asking && !board.is_owner(job.slot, &self.node) => {
                self.send_away(job, To::Owner);
                None
            }
            None => {
                self.answered.inc();
                job.answer(Ok(answer));
                None
            }
        }
    }
}

/// The answers of one call's writes: each append has one of its own, and an error of the call is that of all.
fn answers_of(jobs: &[Job], answer: Value) -> Vec<Value> {
    match (jobs, answer) {
        ([Job { write: Write::Append(_), .. }, ..], Value::Array(answers)) if answers.len() == jobs.len() => {
            answers
        }
        (_, answer) => vec![answer; jobs.len()],
    }
}
