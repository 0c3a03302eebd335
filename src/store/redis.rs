//! The Redis store: one store for many nodes, on a Redis 7 or Valkey server.
//!
//! Promises: an append is one script, so it happens wholly or not at all, and the server publishes only what it has written.
//! An acknowledged event is as durable as the configuration says, for which each server is checked. No call waits longer
//! than two seconds. The store must not know who posted or who watches.
//!
//! | file | what it holds |
//! |---|---|
//! | `append.lua` | the one step of an append, for those that wait together |
//! | `erase.lua` | erasing the log of one payment |
//! | `work_queue.lua` | pending confirmations: adding, claiming and settling them |
//! | `probe.lua`  | what fails wherever an append would fail |
//! | `settings`   | which server, and what is asked of it |
//! | `error`      | what an error of the server means |
//! | `scripts`    | the scripts by name |
//! | `tags`       | the hash tags of the partitions |
//! | `index`      | reading the index of all payments of a realm |
//! | `plan`       | the names of keys and channels |
//! | `layout`     | the version of those keys, checked at every connection |
//! | `audit`      | the audit trail, and what is too old to be kept |
//! | `check`      | whether a server is fit |
//! | `append`     | the calls of `append.lua` |
//! | `link`       | a connection that is opened again whenever it is lost |
//! | `start`      | waiting for a fit server |
//! | `writer`     | writes, many in one round trip |
//! | `supervisor` | the subscription to all channels |
//! | `notice`     | the messages of the channels |
//! | `records`    | which streams hold the records of a source |
//! | `held`       | the records that are held with their bodies |
//! | `work_queue` | the commands that run `work_queue.lua`, and their results |
//! | `reply`      | the server's answers as types of the store |
//! | `erase`      | erasing one payment |
//! | `wipe`       | deleting a prefix |

mod append;
mod audit;
mod check;
mod erase;
mod error;
mod held;
mod index;
mod layout;
mod link;
mod notice;
mod plan;
mod records;
mod reply;
mod scripts;
mod settings;
mod start;
mod supervisor;
mod tags;
mod wipe;
mod work_queue;
mod writer;

pub use settings::{Durability, ServerError, Settings};
pub use wipe::wipe;

use super::{
    AUDIT_ENTRIES, Append, Appended, AuditEntry, AuditPage, Backlog, Claim, ClaimTerms, Erased, Erasure,
    Expiry, FEED_LEN, Feed, Head, Held, HeldId, Holding, IndexPart, Interruption, Log, NOTICE_BACKLOG,
    Notice, Pending, RECORDS_PER_SOURCE, Record, RecordCursor, RecordLog, RecordPage, Settlement, Settling,
    Store, StoreError, index::share_of,
};
use crate::{
    limits::LimitHit,
    metrics::Metrics,
    payment::{Name, PARTITIONS, Subject, Time},
};
use append::{Appending, Caller};
use async_trait::async_trait;
use check::Checks;
use futures_util::future::{try_join, try_join_all};
use held::HeldRecords;
use link::{Connector, Link, PATIENCE};
use plan::Plan;
use records::Records;
use redis::{Cmd, Pipeline};
use serde_json::Value;
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
use tokio::{sync::broadcast, task::AbortHandle};
use work_queue::Confirmations;
use writer::Writer;

/// The store. Dropping it ends its connections.
pub struct Redis {
    plan: Plan,
    /// The digest of the script that erases a log.
    erase: String,
    checks: Checks,
    connector: Connector,
    reader: Link,
    writer: Writer,
    records: Records,
    held: HeldRecords,
    metrics: Arc<Metrics>,
    confirmations: Confirmations,
    notices: broadcast::Sender<Arc<Notice>>,
    heard: Arc<Heard>,
    /// The task of the subscription. It starts with the first call of [`Store::watch`], because a node that only takes webhooks
    /// needs no notices.
    supervisor: OnceLock<AbortHandle>,
    /// Whether there is an index.
    is_indexed: bool,
    closed: AtomicBool,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects and checks the server, and waits up to 10 s for one that is just starting. The store subscribes to its notices at
    /// the first [`Store::watch`].
    pub async fn open(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, ServerError> {
        let plan = Plan::new(settings.prefix.clone());
        let Settings { durability, ack_replicas, .. } = settings;
        let checks = Checks { durability, ack_replicas, plan: plan.clone() };
        let connector = Connector::new(settings.client()?, Arc::clone(&metrics));
        start::until_fit(&connector, &checks, &settings.address()).await?;
        let (notices, _) = broadcast::channel(NOTICE_BACKLOG);
        let caller = Caller {
            plan: plan.clone(),
            script: scripts::digest(scripts::APPEND),
            history_ms: i64::try_from(settings.history.as_millis()).unwrap_or(i64::MAX),
            share: share_of(settings.recent),
            replicas: ack_replicas,
        };
        Ok(Self {
            heard: Arc::new(Heard::new(plan.clone(), notices.clone(), Arc::clone(&metrics))),
            reader: Link::start(connector.clone(), checks.for_reading()),
            writer: Writer::start(&connector, &checks, &caller, Arc::clone(&metrics)),
            records: Records::new(plan.clone()),
            held: HeldRecords::new(plan.clone()),
            confirmations: Confirmations::new(plan.clone()),
            erase: scripts::digest(scripts::ERASE),
            plan,
            checks,
            connector,
            metrics,
            notices,
            supervisor: OnceLock::new(),
            is_indexed: settings.recent > 0,
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

    /// Notes that a source has records, the first time in this process.
    async fn note(&self, source: &Arc<str>, must_last: bool) -> Result<(), StoreError> {
        if let Some(note) = self.records.note(source)
            && let Err(error) = self.writer()?.write(note, must_last).await
        {
            self.records.note_again(source);
            return Err(error);
        }
        Ok(())
    }

    /// Returns the answer to one command that only reads.
    async fn ask(&self, command: Cmd) -> Result<redis::Value, StoreError> {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command);
        let mut answers = self.reader()?.ask(&commands, 1).await?;
        answers.pop().ok_or_else(|| reply::corrupt("no answer"))
    }
}

#[async_trait]
impl Store for Redis {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let append = Appending::new(&append, &self.plan)?;
        let tag = append.tag;
        reply::appended(self.writer()?.append(append).await?, tag)
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
            let checks = self.checks.for_reading();
            tokio::spawn(supervisor::run(self.connector.clone(), checks, Arc::clone(&self.heard)))
                .abort_handle()
        });
        if is_first {
            // If the subscription takes longer, `interrupted` reports it.
            let _in_time = tokio::time::timeout(PATIENCE, self.heard.interrupted()).await;
        }
        notices
    }

    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        let mut commands = Pipeline::with_capacity(4);
        // In one transaction, so that the head belongs to these references.
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

    fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    async fn index(&self, realm: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        if !self.is_indexed || from.is_empty() {
            return Ok(vec![IndexPart::default(); from.len()]);
        }
        let reader = self.reader()?;
        let (commands, count) = index::ask_state(&self.plan, realm, from);
        let mut readings = index::state(reader.ask(&commands, count).await?, from)?;
        let (commands, count) = index::ask_changes(&self.plan, realm, &readings);
        index::changes(reader.ask(&commands, count).await?, &mut readings)?;
        let mut answers = Vec::new();
        for (commands, count) in index::ask_firsts(&self.plan, realm, &readings) {
            answers.extend(reader.ask(&commands, count).await?);
        }
        index::firsts(answers, readings)
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let command = self.records.add(&record, record.to_bytes()?);
        let writer = self.writer()?;
        let must_last = record.log == RecordLog::Quarantine;
        self.note(&record.source, must_last).await?;
        let answer = writer.write(command, must_last).await?;
        if let (RecordLog::Quarantine, redis::Value::Int(removed)) = (record.log, answer) {
            (0..removed).for_each(|_| self.metrics.limit_hits.count(LimitHit::QuarantineRecords));
        }
        Ok(())
    }

    async fn records(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        let limit = limit.min(RECORDS_PER_SOURCE);
        let (commands, count) = self.records.newest(log, source, before, limit);
        let records = reply::records(self.reader()?.ask(&commands, count).await?, before)?;
        Ok(RecordPage::first(records, limit))
    }

    async fn hold(&self, record: Record, body: Value) -> Result<Holding, StoreError> {
        self.hold_record(&record, &body).await
    }

    async fn held(&self, source: &str, id: HeldId) -> Result<Option<Held>, StoreError> {
        self.read_held(source, id).await
    }

    async fn settle_held(&self, source: &str, id: HeldId, settlement: Value) -> Result<Settling, StoreError> {
        self.settle_record(source, id, &settlement).await
    }

    async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.add_audit_entry(&entry).await
    }

    async fn audit_trail(&self, before: Option<RecordCursor>, limit: usize) -> Result<AuditPage, StoreError> {
        self.read_audit_trail(before, limit.min(AUDIT_ENTRIES)).await
    }

    async fn expire(&self, expiry: Expiry) -> Result<u64, StoreError> {
        self.expire_all(expiry).await
    }

    async fn enqueue(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError> {
        let writer = self.writer()?;
        let add_source = writer.write(self.confirmations.add_source(source), true);
        let add = writer.write(self.confirmations.add(source, payment, after), true);
        let (_, answer) = try_join(add_source, add).await?;
        work_queue::added(&answer)
    }

    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError> {
        let ticket: u64 = rand::random();
        let command = self.confirmations.claim(source, ticket, terms);
        work_queue::claimed(self.writer()?.write(command, false).await?, source, ticket)
    }

    async fn settle(&self, pending: Pending, settlement: Settlement) -> Result<(), StoreError> {
        self.writer()?.write(self.confirmations.settle(&pending, settlement), false).await.map(drop)
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        let sources = reply::names(self.ask(self.confirmations.sources()).await?)?;
        let writer = self.writer()?;
        let backlog = |source: Arc<str>| async move {
            let answer = writer.write(self.confirmations.backlog(&source), false).await?;
            Ok((source, work_queue::backlog(answer)?))
        };
        let backlogs = try_join_all(sources.into_iter().map(backlog)).await?;
        Ok(backlogs.into_iter().filter(|(_, backlog)| backlog.count > 0).collect())
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        self.erase_all(&erasure).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.check_open()?;
        match tokio::time::timeout(PATIENCE, start::ready(&self.connector, &self.checks)).await {
            Ok(ready) => ready.map_err(|unfit| StoreError::Unavailable(unfit.to_string())),
            Err(_) => Err(StoreError::Unavailable("no answer in time".to_owned())),
        }
    }

    async fn interrupted(&self) -> Interruption {
        let interruption = self.heard.interrupted().await;
        if interruption == Interruption::Elsewhere {
            // The store has to read from the server that sends the notices.
            self.reader.leave("the notices come from another server, or from a new start of the same one");
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
