//! The Redis store: one truth for many nodes, on a Redis 7 or Valkey server.
//!
//! Promises: an append is one script, so it happens wholly or not at all, and what it publishes it has written; what is
//! acknowledged lasts as the configuration says and the server was checked for; nothing waits longer than two seconds. It
//! must not know who posted or who watches.
//!
//! | file | noun |
//! |---|---|
//! | `append.lua` | the one step of an append |
//! | `owed.lua`   | the confirmations that are owed: noting, claiming and settling them |
//! | `settings`   | which server, and what is asked of it |
//! | `plan`       | how keys and channels are named |
//! | `link`       | a connection that comes back |
//! | `check`      | whether a server is fit |
//! | `writer`     | writes, many in one round trip |
//! | `supervisor` | hears all channels, whatever happens |
//! | `notice`     | what goes over a channel |
//! | `reply`      | what the server answers, to our types and back |
//! | `erase`      | the end of a prefix |

mod check;
mod erase;
mod link;
mod notice;
mod plan;
mod reply;
mod settings;
mod supervisor;
mod writer;

pub use erase::erase;
pub use settings::{Durability, OpenError, Settings};

use super::{
    Append, Appended, Backlog, Claim, ClaimTerms, FEED_LEN, Feed, Head, Interruption, Log, MAX_LOG, MAX_OWED,
    NOTICE_BACKLOG, Notice, Owed, RECORDS_PER_SOURCE, Record, RecordCursor, RecordLog, RecordPage,
    Settlement, Store, StoreError,
};
use crate::{
    metrics::Metrics,
    payment::{Name, PARTITIONS, Subject, Tag},
};
use async_trait::async_trait;
use check::{Checks, Unfit};
use futures_util::future::{try_join, try_join_all};
use link::{Connector, Link, PATIENCE, Pause};
use plan::Plan;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, Script};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use supervisor::Heard;
use tokio::{sync::broadcast, task::AbortHandle, time::Instant};
use writer::Writer;

/// How long a start waits for a server that cannot be reached, or is loading its data.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The store. Dropping it ends its connections.
pub struct Redis {
    plan: Plan,
    /// By which the server knows the script of an append …
    append: String,
    /// … and that of the confirmations that are owed.
    owed: String,
    checks: Checks,
    connector: Connector,
    reader: Link,
    writer: Writer,
    notices: broadcast::Sender<Arc<Notice>>,
    heard: Arc<Heard>,
    /// Begins with the first who watches: a node that only takes webhooks need not hear what becomes of them.
    supervisor: OnceLock<AbortHandle>,
    history_ms: u64,
    closed: AtomicBool,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects and checks the server; waits a while for one that is just starting. Its notices are heard from the first
    /// [`Store::watch`] on.
    pub async fn open(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, OpenError> {
        let checks = Checks { durability: settings.durability, ack_replicas: settings.ack_replicas };
        let connector = Connector::new(settings.client()?, Arc::clone(&metrics));

        let plan = Plan::new(settings.prefix.clone());
        until_fit(&connector, checks, &plan, &settings.address()).await?;
        let (notices, _) = broadcast::channel(NOTICE_BACKLOG);
        let heard = Arc::new(Heard::new(plan.clone(), notices.clone(), Arc::clone(&metrics)));
        Ok(Self {
            plan,
            checks,
            reader: Link::start(connector.clone(), Checks::READING),
            writer: Writer::start(&connector, checks, metrics),
            append: Script::new(writer::APPEND).get_hash().to_owned(),
            owed: Script::new(writer::OWED).get_hash().to_owned(),
            connector,
            notices,
            heard,
            supervisor: OnceLock::new(),
            history_ms: ms(settings.history),
            closed: AtomicBool::new(false),
        })
    }

    fn reader(&self) -> Result<&Link, StoreError> {
        self.check_open().map(|()| &self.reader)
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        self.check_open().map(|()| &self.writer)
    }

    fn check_open(&self) -> Result<(), StoreError> {
        let closed = self.closed.load(Ordering::Relaxed);
        if closed { Err(StoreError::Unavailable("it is closed".to_owned())) } else { Ok(()) }
    }

    /// The script of what is owed to a source, to which the caller adds what it wants.
    fn owed(&self, source: &str, what: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        let keys = self.plan.owed(source);
        command.arg(&self.owed).arg(keys.len()).arg(&keys[..]).arg(what);
        command
    }

    /// The answer to one question.
    async fn ask(&self, command: Cmd) -> Result<redis::Value, StoreError> {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command);
        let mut answers = self.reader()?.ask(&commands, 1).await?;
        answers.pop().ok_or_else(|| reply::corrupt("no answer"))
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Returns once the server passes the checks; fails at once if somebody has to change something.
async fn until_fit(
    connector: &Connector,
    checks: Checks,
    plan: &Plan,
    address: &str,
) -> Result<(), OpenError> {
    let until = Instant::now() + START_PATIENCE;
    let mut pause = Pause::new();
    loop {
        let reason = match ready(connector, checks, plan).await {
            Ok(()) => return Ok(()),
            Err(Unfit::NotYet(reason)) => reason,
            Err(unfit @ Unfit::Wrong(_)) => {
                return Err(OpenError::Unfit { address: address.to_owned(), reason: unfit.to_string() });
            }
        };
        if Instant::now() >= until {
            return Err(OpenError::Unreachable { address: address.to_owned(), reason });
        }
        pause.take().await;
    }
}

/// Whether an append would succeed now, asked over a connection of its own: the others may be busy, or just broken.
async fn ready(connector: &Connector, checks: Checks, plan: &Plan) -> Result<(), Unfit> {
    let mut connection = connector.connect(AsyncConnectionConfig::new()).await?;
    checks.ready(&mut connection, plan).await
}

#[async_trait]
impl Store for Redis {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let Append { event, shared_ids } = append;
        let (subject, partition) = (&event.subject, event.subject.partition());
        let tag = Tag::from_random(rand::random());
        let body = serde_json::to_vec(&event).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(&self.append)
            .arg(4)
            .arg(self.plan.log(subject))
            .arg(self.plan.meta(subject))
            .arg(self.plan.head(partition))
            .arg(self.plan.feed(partition))
            .arg(tag.to_string())
            .arg(&event.identity()[..])
            .arg(&event.digest()[..])
            .arg(&*event.provider)
            .arg(u8::from(shared_ids))
            .arg(body)
            .arg(self.plan.channel(partition))
            .arg(self.history_ms)
            .arg(MAX_LOG)
            .arg(FEED_LEN)
            .arg(self.checks.ack_replicas);
        reply::appended(self.writer()?.write(command, true).await?, tag)
    }

    async fn read(&self, subject: &Subject) -> Result<Log, StoreError> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.plan.log(subject)).arg("-").arg("+");
        reply::log(self.ask(command).await?)
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        let notices = self.notices.subscribe();
        let mut is_first = false;
        self.supervisor.get_or_init(|| {
            is_first = true;
            tokio::spawn(supervisor::run(self.connector.clone(), Arc::clone(&self.heard))).abort_handle()
        });
        if is_first {
            // Whoever comes later than this hears of it by `interrupted`.
            let _in_time = tokio::time::timeout(PATIENCE, self.heard.interrupted()).await;
        }
        notices
    }

    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        let mut commands = Pipeline::with_capacity(4);
        // In one step, so that the head is that of these references.
        commands.cmd("MULTI");
        commands.cmd("HMGET").arg(self.plan.head(partition)).arg("pos").arg("tag");
        commands.cmd("XRANGE").arg(self.plan.feed(partition)).arg(from).arg("+").arg("COUNT").arg(FEED_LEN);
        commands.cmd("EXEC");
        let answers = self.reader()?.ask(&commands, 4).await?;
        reply::feed(&self.plan, answers, from)
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let mut commands = Pipeline::with_capacity(PARTITIONS + 1);
        commands.cmd("ROLE");
        for partition in 0..=u8::MAX {
            commands.cmd("HMGET").arg(self.plan.head(partition)).arg("pos").arg("tag");
        }
        let answers = self.reader()?.ask(&commands, PARTITIONS + 1).await?;
        if !supervisor::is_primary(&answers) {
            self.reader.leave("it has become a replica");
            return Err(StoreError::Unavailable("the server has become a replica".to_owned()));
        }
        answers.iter().skip(1).map(reply::head).collect()
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let body = record.to_bytes()?;
        let mut command = redis::cmd("XADD");
        command.arg(self.plan.records(record.log, &record.source));
        command.arg("MAXLEN").arg("~").arg(RECORDS_PER_SOURCE).arg("*").arg("r").arg(body);
        self.writer()?.write(command, record.log == RecordLog::Quarantine).await.map(drop)
    }

    async fn records(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        if before.is_some_and(|cursor| cursor == RecordCursor { major: 0, minor: 0 }) {
            // The server refuses an open range that ends there.
            return Ok(RecordPage::default());
        }
        let limit = limit.min(RECORDS_PER_SOURCE);
        // The round bracket leaves out the entry of that id itself.
        let end = before.map_or_else(|| "+".to_owned(), |cursor| format!("({cursor}"));
        let mut command = redis::cmd("XREVRANGE");
        command.arg(self.plan.records(log, source)).arg(end).arg("-").arg("COUNT").arg(limit + 1);
        Ok(RecordPage::first(reply::records(self.ask(command).await?)?, limit))
    }

    async fn owe(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError> {
        let mut command = self.owed(source, "owe");
        command.arg(payment.as_str()).arg(ms(after)).arg(MAX_OWED);
        // A script writes to one slot; which sources are owed anything lies in another, in one place for all of them.
        let mut index = redis::cmd("SADD");
        index.arg(self.plan.owed_sources()).arg(source);
        let writer = self.writer()?;
        let (_, owed) = try_join(writer.write(index, true), writer.write(command, true)).await?;
        match reply::text(&owed) {
            Some("owed") => Ok(()),
            Some("full") => Err(StoreError::TooMuchOwed),
            _ => Err(reply::corrupt("whether a confirmation was noted")),
        }
    }

    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError> {
        let ticket: u64 = rand::random();
        let mut command = self.owed(source, "claim");
        command.arg(ticket).arg(ms(terms.spacing)).arg(ms(terms.lease));
        reply::claim(self.writer()?.write(command, false).await?, source, ticket)
    }

    async fn settle(&self, owed: Owed, settlement: Settlement) -> Result<(), StoreError> {
        let (delay, after) = settlement.delay().unzip();
        let is_paused = matches!(settlement, Settlement::Paused { .. });
        let mut command = self.owed(&owed.source, "settle");
        command.arg(owed.payment.as_str()).arg(owed.ticket).arg(reply::delay_word(delay));
        command.arg(ms(after.unwrap_or_default())).arg(if is_paused { "paused" } else { "-" });
        self.writer()?.write(command, false).await.map(drop)
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        let mut command = redis::cmd("SMEMBERS");
        command.arg(self.plan.owed_sources());
        let sources = reply::names(self.ask(command).await?)?;
        let writer = self.writer()?;
        let backlog = |source: Arc<str>| async move {
            let answer = writer.write(self.owed(&source, "backlog"), false).await?;
            Ok((source, reply::backlog(answer)?))
        };
        let backlogs = try_join_all(sources.into_iter().map(backlog)).await?;
        Ok(backlogs.into_iter().filter(|(_, backlog)| backlog.count > 0).collect())
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.check_open()?;
        match tokio::time::timeout(PATIENCE, ready(&self.connector, self.checks, &self.plan)).await {
            Ok(ready) => ready.map_err(|unfit| StoreError::Unavailable(unfit.to_string())),
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
        }
    }

    async fn interrupted(&self) -> Interruption {
        let interruption = self.heard.interrupted().await;
        if interruption == Interruption::Elsewhere {
            // What is read has to be read where the notices come from.
            self.reader.leave("the store is another server, or has begun anew");
        }
        interruption
    }

    fn missed(&self, partition: u8, pos: u64) {
        self.heard.missed(partition, pos);
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.supervisor.get().inspect(|task| task.abort());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.supervisor.get().inspect(|task| task.abort());
    }
}
