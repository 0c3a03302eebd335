//! Writes in batches: all writes that wait go out together, appends in few calls of their script ([`append`](super::append)), and one
//! answer to `WAIT` covers all of them.
//!
//! There are two lanes, each with a connection of its own: while one waits for its answers, the other collects a batch. A
//! lane retries what it could not write for as long as the caller waits. The server recognises an append by its tag if it was
//! written but its answer was lost, so a retry neither repeats it nor calls it a duplicate.

use super::{
    append::{Appending, Caller, calls},
    check::Checks,
    error::{passes, refusal, told},
    link::{AGAIN, ANSWER, Connector, Link, PATIENCE, Up},
    scripts::LOADED,
};
use crate::{
    limits::LimitHit,
    metrics::{Metrics, StoreFault},
    store::StoreError,
};
use redis::{Cmd, Pipeline, ServerErrorKind, Value};
use std::sync::Arc;
use tokio::{
    sync::{
        Mutex,
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{sleep, timeout},
};

/// The most writes that may wait; more are refused and the provider retries. It equals the number of webhooks that may be in
/// work at once, and each of them takes about 1.5 KB.
const QUEUE: usize = 4096;

/// The most writes in one batch. They take about 5 ms of the server's time.
const BATCH: usize = 128;

/// Lanes, so that one batch is collected while another is on its way.
const LANES: usize = 2;

/// Accepts writes from any task.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// The links of the lanes, which tell why a write got no answer.
    links: [Link; LANES],
    metrics: Arc<Metrics>,
}

struct Job {
    write: Write,
    /// The caller acknowledges a webhook after this write, so the configured number of replicas must have it first.
    must_last: bool,
    /// Receives the answer. It is closed once the caller has given up.
    reply: oneshot::Sender<Result<Value, StoreError>>,
}

/// What is written.
enum Write {
    /// One command.
    Command(Cmd),
    /// One event. It shares a command with other appends, but not their answers.
    Append(Appending),
}

impl Job {
    const fn append(&self) -> Option<&Appending> {
        match &self.write {
            Write::Append(append) => Some(append),
            Write::Command(_) => None,
        }
    }
}

impl Writer {
    /// Starts the lanes. They end when the writer is dropped.
    pub(super) fn start(
        connector: &Connector,
        checks: &Checks,
        caller: &Caller,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let links = [(); LANES].map(|()| Link::start(connector.clone(), checks.clone()));
        for link in links.clone() {
            let (caller, metrics) = (caller.clone(), Arc::clone(&metrics));
            let lane = Lane { link, loaded_on: 0, caller, spreads: true, metrics };
            tokio::spawn(lane.run(Arc::clone(&queue)));
        }
        Self { jobs: sender, links, metrics }
    }

    /// Sends a command, and returns the server's answer once the write is as durable as configured.
    pub(super) async fn write(&self, command: Cmd, must_last: bool) -> Result<Value, StoreError> {
        self.submit(Write::Command(command), must_last).await
    }

    /// Appends an event, and returns the script's answer once the append is as durable as configured.
    pub(super) async fn append(&self, append: Appending) -> Result<Value, StoreError> {
        self.submit(Write::Append(append), true).await
    }

    async fn submit(&self, write: Write, must_last: bool) -> Result<Value, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { write, must_last, reply }).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.metrics.limit_hits.count(LimitHit::StoreQueue);
                StoreError::Overloaded
            }
            TrySendError::Closed(_) => closed(),
        })?;
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| closed())?,
            Err(_) => {
                let trouble = self.links.iter().find_map(Link::trouble);
                Err(StoreError::Unavailable(
                    trouble.map_or_else(|| "no answer in time".to_owned(), |why| why.to_string()),
                ))
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}

struct Lane {
    link: Link,
    /// The number of the connection over which the scripts were loaded.
    loaded_on: u64,
    caller: Caller,
    /// Whether the server takes keys of several partitions in one call, as any but a cluster does. Its first refusal shows it.
    spreads: bool,
    metrics: Arc<Metrics>,
}

impl Lane {
    /// Writes until the queue is closed and empty.
    async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
        let mut batch: Vec<Job> = Vec::new();
        loop {
            // A lane takes writes only once it has a connection, because the other lane may have one.
            let up = timeout(PATIENCE, self.link.up()).await;
            // These callers have returned an error, so their providers send the webhooks again.
            batch.retain(|job| !job.reply.is_closed());
            let Ok(up) = up else {
                if batch.is_empty() && queue.try_lock().is_ok_and(|queue| queue.is_closed()) {
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
        let calls = calls(batch, spreads, Job::append);
        calls.iter().for_each(|jobs| _ = commands.add_command(self.command(jobs)));
        if waits == 1 {
            // Half of the time that an answer may take, so that the answer "too few replicas" comes in time.
            commands.cmd("WAIT").arg(replicas).arg((ANSWER / 2).as_millis() as usize);
        }
        let mut answers = match up.send(&commands, loads + calls.len() + waits).await {
            Ok(answers) => answers,
            Err(why) => {
                self.link.broken(up.number, &why);
                return calls.into_iter().flatten().collect();
            }
        };
        // Without its script each write fails with NOSCRIPT, which says less than the reason why the script was not loaded.
        let loaded: Vec<Value> = answers.drain(..loads).collect();
        if let Some(error) = loaded.iter().find_map(refusal)
            && !passes(error)
        {
            for job in calls.into_iter().flatten() {
                let _ = job.reply.send(Err(StoreError::Unavailable(told(error))));
            }
            return Vec::new();
        }
        self.loaded_on = up.number;
        let mut lasts = true;
        if waits == 1 {
            let acknowledged = answers.pop();
            lasts = matches!(acknowledged, Some(Value::Int(count)) if count >= i64::from(replicas));
            if !lasts {
                self.metrics.store_faults.count(StoreFault::Replicas);
            }
        }
        let answers =
            calls.iter().zip(answers).flat_map(|(jobs, answer)| answers_of(jobs, answer)).collect::<Vec<_>>();
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

    /// Answers a job, or returns it if it has to be retried; `lasts` says whether enough replicas have it, and
    /// `spread` whether it may have shared a call with another partition.
    fn settle(&mut self, up: &Up, job: Job, answer: Value, lasts: bool, spread: bool) -> Option<Job> {
        match refusal(&answer) {
            Some(error) if error.kind() == Some(ServerErrorKind::NoScript) => {
                self.loaded_on = 0;
                Some(job)
            }
            Some(error) if error.kind() == Some(ServerErrorKind::CrossSlot) && spread => {
                self.spreads = false;
                Some(job)
            }
            Some(error) if passes(error) => {
                self.link.leave_a_replica(up, error);
                Some(job)
            }
            Some(error) => {
                let _ = job.reply.send(Err(StoreError::Unavailable(told(error))));
                None
            }
            None if job.must_last && !lasts => Some(job),
            None => {
                let _ = job.reply.send(Ok(answer));
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
