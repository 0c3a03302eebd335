//! Writes, many at once: whatever waits goes out together, and one answer of the replicas stands for all of it.
//!
//! Two lanes, each with a connection of its own: while one waits for its answers, the other collects. What a lane could not
//! write is tried again for as long as its caller waits. An append that was written although its answer was lost is
//! recognised by its tag, so trying again neither repeats it nor calls it a duplicate.

use super::{
    check::Checks,
    link::{AGAIN, ANSWER, Connector, Link, PATIENCE, Up, passes, refusal, told},
};
use crate::{
    metrics::{CountReason as _, Metrics},
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

/// What every append runs.
pub(super) const APPEND: &str = include_str!("append.lua");

/// What keeps the confirmations that are owed.
pub(super) const OWED: &str = include_str!("owed.lua");

/// What a server has to have before it is written to.
const SCRIPTS: [&str; 2] = [APPEND, OWED];

/// Writes that may wait; beyond, they are refused and the provider retries. As many as the webhooks that may be in work at
/// once, at about 1.5 KB each.
const QUEUE: usize = 4096;

/// Writes that go out together at the most: about 5 ms of the server's time.
const BATCH: usize = 128;

/// While one batch is on its way, another is collected.
const LANES: usize = 2;

/// Takes writes from any task.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// For the reason why a write got no answer.
    links: [Link; LANES],
    metrics: Arc<Metrics>,
}

struct Job {
    command: Cmd,
    /// The caller acknowledges on the strength of it, so replicas must have it too, if any are configured.
    must_last: bool,
    /// Closed once the caller has given up.
    reply: oneshot::Sender<Result<Value, StoreError>>,
}

impl Writer {
    pub(super) fn start(connector: &Connector, checks: Checks, metrics: Arc<Metrics>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let links = [(); LANES].map(|()| Link::start(connector.clone(), checks));
        for link in links.clone() {
            let lane =
                Lane { link, loaded_on: 0, replicas: checks.ack_replicas, metrics: Arc::clone(&metrics) };
            tokio::spawn(lane.run(Arc::clone(&queue)));
        }
        Self { jobs: sender, links, metrics }
    }

    /// Writes, and returns the server's answer once it will last as configured.
    pub(super) async fn write(&self, command: Cmd, must_last: bool) -> Result<Value, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { command, must_last, reply }).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.metrics.limit_hits.count("store_queue");
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
    /// The connection whose server has the scripts.
    loaded_on: u64,
    replicas: u32,
    metrics: Arc<Metrics>,
}

impl Lane {
    /// Writes until nobody can send any more.
    async fn run(mut self, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
        let mut batch: Vec<Job> = Vec::new();
        loop {
            // First the connection, then what is to be written: another lane may have one.
            let up = timeout(PATIENCE, self.link.up()).await;
            // Who has given up meanwhile was told so; the provider sends it again.
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

    /// One round trip. Answers what can be answered, and returns what has to be tried again.
    async fn write(&mut self, mut up: Up, batch: Vec<Job>) -> Vec<Job> {
        let scripts = if self.loaded_on == up.number { &[][..] } else { &SCRIPTS[..] };
        let loads = scripts.len();
        let mut commands = Pipeline::with_capacity(loads + batch.len() + 1);
        for script in scripts {
            commands.cmd("SCRIPT").arg("LOAD").arg(*script);
        }
        batch.iter().for_each(|job| _ = commands.add_command(job.command.clone()));
        let waits = usize::from(self.replicas > 0 && batch.iter().any(|job| job.must_last));
        if waits == 1 {
            // Half of what we wait for an answer: too few is an answer too.
            commands.cmd("WAIT").arg(self.replicas).arg((ANSWER / 2).as_millis() as usize);
        }
        let mut answers = match up.send(&commands, loads + batch.len() + waits).await {
            Ok(answers) => answers,
            Err(why) => {
                self.link.broken(up.number, &why);
                return batch;
            }
        };
        // Without its script, each write is refused for the lack of it, which says less than why it was not loaded.
        let loaded: Vec<Value> = answers.drain(..loads).collect();
        if let Some(error) = loaded.iter().find_map(refusal)
            && !passes(error)
        {
            for job in batch {
                let _ = job.reply.send(Err(StoreError::Unavailable(told(error))));
            }
            return Vec::new();
        }
        self.loaded_on = up.number;
        let mut lasts = true;
        if waits == 1 {
            let acknowledged = answers.pop();
            lasts = matches!(acknowledged, Some(Value::Int(count)) if count >= i64::from(self.replicas));
            if !lasts {
                self.metrics.store_faults.count("replicas");
            }
        }
        let mut again = Vec::new();
        for (job, answer) in batch.into_iter().zip(answers) {
            match refusal(&answer) {
                Some(error) if error.kind() == Some(ServerErrorKind::NoScript) => {
                    self.loaded_on = 0;
                    again.push(job);
                }
                Some(error) if passes(error) => {
                    self.link.leave_a_replica(&up, error);
                    again.push(job);
                }
                Some(error) => _ = job.reply.send(Err(StoreError::Unavailable(told(error)))),
                None if job.must_last && !lasts => again.push(job),
                None => _ = job.reply.send(Ok(answer)),
            }
        }
        again
    }
}
