//! The Redis store: one store for many nodes, on a Redis 7 or Valkey server, or a cluster of them.
//!
//! Promises: an append is one script, so it happens wholly or not at all, and the server publishes only what it has written.
//! An acknowledged event is as durable as the configuration says, for which each server is checked. No call waits longer
//! than two seconds. The store must not know who posted or who watches.
//!
//! | file | what it holds |
//! |---|---|
//! | `append.lua` | the one step of an append, for those that wait together |
//! | `erase.lua` | erasing the log of one payment |
//! | `receipt.lua` | adding to the receipt of one payment |
//! | `work_queue.lua` | pending confirmations and parts that wait: adding, claiming and settling them |
//! | `probe.lua`  | what fails wherever an append would fail |
//! | `settings`   | which servers, and what is asked of them |
//! | `address`    | reading the address of the configuration |
//! | `login`      | how a connection to any of the servers is opened |
//! | `node`       | the address of one server |
//! | `slot`       | to which slot of a cluster a key belongs |
//! | `map`        | which server serves which slot |
//! | `finder`     | what finds the servers |
//! | `cluster`    | what the nodes of a cluster say about that |
//! | `sentinel`   | which server the sentinels call the primary |
//! | `lookout`    | keeping the map current |
//! | `redirect`   | reading the redirections of a cluster |
//! | `shards`     | where each command goes |
//! | `shard`      | the connections to one server |
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
//! | `start`      | waiting for fit servers |
//! | `survey`     | what an operator is told of them before a start |
//! | `job`        | a write that waits for its answer |
//! | `writer`     | writes to one server, many in one round trip |
//! | `ear`        | the subscription to the channels of one server |
//! | `heard`      | what the subscriptions have in common |
//! | `notice`     | the messages of the channels |
//! | `records`    | which streams hold the records of a source |
//! | `held`       | the records that are held with their bodies |
//! | `receipts`   | who was told what of a payment |
//! | `work_queue` | the commands that run `work_queue.lua`, and their results |
//! | `reply`      | the server's answers as types of the store |
//! | `erase`      | erasing one payment |
//! | `wipe`       | deleting a prefix |

mod address;
mod append;
mod audit;
mod check;
mod cluster;
mod ear;
mod erase;
mod error;
mod finder;
mod heard;
mod held;
mod index;
mod job;
mod layout;
mod link;
mod login;
mod lookout;
mod map;
mod node;
mod notice;
mod plan;
mod receipts;
mod records;
mod redirect;
mod reply;
mod scripts;
mod sentinel;
mod settings;
mod shard;
mod shards;
mod slot;
mod start;
mod survey;
mod tags;
mod wipe;
mod work_queue;
mod writer;

pub use login::Login;
pub use settings::{Durability, ServerError, Settings};
pub use survey::{Surveyed, survey};
pub use wipe::wipe;

use super::{
    AUDIT_ENTRIES, Append, Appended, AuditEntry, AuditPage, Backlog, Claim, ClaimTerms, Erased, Erasure,
    Expiry, Feed, Head, Held, HeldId, Holding, IndexPart, Interruption, Log, MAX_PENDING, NOTICE_BACKLOG,
    Notice, Pending, QueueKind, RECORDS_PER_SOURCE, Receipt, Record, RecordCursor, RecordLog, RecordPage,
    Settlement, Settling, Store, StoreError,
};
use crate::{
    limits::LimitHit,
    metrics::Metrics,
    payment::{Name, PARTITIONS, PartitionSet, Subject, Time},
    receipts::ReceiptBatch,
};
use address::Topology;
use append::{Appending, Caller};
use async_trait::async_trait;
use check::Checks;
use finder::Finder;
use futures_util::future::{join_all, try_join, try_join_all};
use heard::Heard;
use job::Write;
use link::{ANSWER, PATIENCE};
use map::{Board, Map};
use node::Node;
use plan::Plan;
use records::Records;
use redis::{Cmd, Pipeline};
use serde_json::Value;
use shard::Mould;
use shards::Shards;
use start::Start;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{broadcast, mpsc};
use work_queue::Confirmations;
use writer::{QUEUE, Routes, closed};

/// The store. Dropping it ends its connections.
pub struct Redis {
    plan: Plan,
    /// The digest of the script that erases a log.
    erase: String,
    /// The digest of the script that adds to a receipt.
    receipt: String,
    shards: Arc<Shards>,
    records: Records,
    metrics: Arc<Metrics>,
    confirmations: Confirmations,
    notices: broadcast::Sender<Arc<Notice>>,
    heard: Arc<Heard>,
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
    /// Connects and checks the servers, and waits up to 10 s for those that are just starting. The store subscribes to its notices at
    /// the first [`Store::watch`].
    pub async fn open(settings: Settings, metrics: Arc<Metrics>) -> Result<Self, ServerError> {
        let plan = Plan::new(settings.prefix.clone());
        let address = settings.read().map_err(ServerError::Url)?;
        let login = Login::new(&settings)?;
        let is_cluster = address.topology == Topology::Cluster;
        let Settings { durability, ack_replicas, .. } = settings;
        let is_found = address.topology != Topology::Single;
        let checks = Checks { durability, ack_replicas, plan: plan.clone(), is_cluster, is_found };
        let mut finder = Finder::new(&settings, &login, &metrics).map_err(ServerError::Url)?;
        let start = Start { login: &login, checks: &checks, metrics: &metrics, address: settings.address() };
        let map = start.until_fit(&mut finder).await?;
        let (notices, _) = broadcast::channel(NOTICE_BACKLOG);
        let caller = Caller::new(&settings, plan.clone());
        let heard = Arc::new(Heard::new(plan.clone(), notices.clone(), Arc::clone(&metrics)));
        let board = Arc::new(Board::new(map, is_cluster));
        let (sender, strays) = mpsc::channel(QUEUE);
        let routes = Routes { board: Arc::clone(&board), strays: sender };
        let (heard_by_all, metrics_of_all) = (Arc::clone(&heard), Arc::clone(&metrics));
        let mould = Mould { login, checks, caller, routes, heard: heard_by_all, metrics: metrics_of_all };
        let shards = Shards::start(mould, strays);
        tokio::spawn(finder.keep(Arc::downgrade(&shards), board));
        Ok(Self {
            records: Records::new(plan.clone()),
            confirmations: Confirmations::new(plan.clone()),
            erase: scripts::digest(scripts::ERASE),
            receipt: scripts::digest(scripts::RECEIPT),
            plan,
            shards,
            metrics,
            notices,
            heard,
            is_indexed: settings.recent > 0,
            closed: AtomicBool::new(false),
        })
    }

    /// How its connections log in, which may be renewed.
    #[must_use]
    pub fn login(&self) -> Login {
        self.shards.mould().login.clone()
    }

    /// The shards, unless the store is closed.
    fn shards(&self) -> Result<&Arc<Shards>, StoreError> {
        if self.closed.load(Ordering::Relaxed) { Err(closed()) } else { Ok(&self.shards) }
    }

    /// Writes one command.
    async fn write(&self, command: Cmd, must_last: bool) -> Result<redis::Value, StoreError> {
        self.shards()?.write(Write::Command(command), must_last).await
    }

    /// Notes that a source has records, the first time in this process.
    async fn note(&self, source: &Arc<str>, must_last: bool) -> Result<(), StoreError> {
        if let Some(note) = self.records.note(source)
            && let Err(error) = self.write(note, must_last).await
        {
            self.records.note_again(source);
            return Err(error);
        }
        Ok(())
    }

    /// The backlog of each queue of one kind of work that holds anything.
    async fn backlogs_of(&self, work: QueueKind) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        let queues = reply::names(self.ask(self.confirmations.queues(work)).await?)?;
        let backlog = |queue: Arc<str>| async move {
            let answer = self.write(self.confirmations.backlog(&queue), false).await?;
            Ok((queue, work_queue::backlog(answer)?))
        };
        let backlogs = try_join_all(queues.into_iter().map(backlog)).await?;
        Ok(backlogs.into_iter().filter(|(_, backlog)| backlog.count > 0).collect())
    }

    /// Returns the answer to one command that only reads.
    async fn ask(&self, command: Cmd) -> Result<redis::Value, StoreError> {
        let mut commands = Pipeline::with_capacity(1);
        commands.add_command(command);
        let mut answers = self.shards()?.ask(&commands).await?;
        answers.pop().ok_or_else(|| reply::corrupt("no answer"))
    }

    /// Checks whether an append to a server would succeed now. The error says why it would not.
    async fn ready(&self, node: Node, map: &Map) -> Result<(), String> {
        let mould = self.shards.mould();
        let connector = mould.connector(&node);
        match tokio::time::timeout(PATIENCE, start::ready(&connector, &mould.checks, map)).await {
            Ok(ready) => ready.map_err(|unfit| unfit.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// Reads the index of a realm in partitions of one server, whose clock counts for them.
    async fn index_of(&self, realm: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        let shards = self.shards()?;
        let mut readings = index::state(shards.ask(&index::ask_state(&self.plan, realm, from)).await?, from)?;
        let changes = shards.ask(&index::ask_changes(&self.plan, realm, &readings)).await?;
        index::changes(changes, &mut readings)?;
        let mut answers = Vec::new();
        for commands in index::ask_firsts(&self.plan, realm, &readings) {
            answers.extend(shards.ask(&commands).await?);
        }
        index::firsts(answers, readings)
    }

    /// The same for partitions with the numbers that the caller gave them.
    async fn index_part(
        &self,
        realm: &Name,
        wanted: Vec<(usize, (u8, Time))>,
    ) -> Result<Vec<(usize, IndexPart)>, StoreError> {
        let (numbers, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        Ok(numbers.into_iter().zip(self.index_of(realm, &wanted).await?).collect())
    }

    /// Reads the heads of partitions that one server serves; nothing if it does not answer or has become a replica.
    async fn heads_of(&self, node: Node, partitions: PartitionSet) -> Result<Vec<(u8, Head)>, StoreError> {
        let shards = self.shards()?;
        let mut commands = Pipeline::with_capacity(PARTITIONS + 1);
        commands.cmd("ROLE");
        for partition in partitions.iter() {
            commands.cmd("HMGET").arg(self.plan.head(partition)).arg("pos").arg("tag");
        }
        let patience = if shards.has_several() { ANSWER } else { PATIENCE };
        let mut answers = shards.ask_each(&commands, patience).await.into_iter();
        // An error of ROLE itself stands for a service that has no such command.
        if answers.next().is_some_and(|role| role.is_ok_and(|role| !ear::is_primary(Some(&role)))) {
            shards.shard(&node).reader.leave("it has become a replica");
            shards.board().doubt();
            return Err(StoreError::Unavailable("the server has become a replica".to_owned()));
        }
        let heads =
            partitions.iter().zip(answers).map(|(partition, answer)| Ok((partition, reply::head(&answer?)?)));
        heads.collect()
    }
}

#[async_trait]
impl Store for Redis {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let append = Appending::new(&append, &self.plan)?;
        let tag = append.tag;
        reply::appended(self.shards()?.write(Write::Append(append), true).await?, tag)
    }

    async fn read(&self, subject: &Subject) -> Result<Log, StoreError> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.plan.log(subject)).arg("-").arg("+");
        reply::log(self.ask(command).await?)
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        let notices = self.notices.subscribe();
        if self.shards.listen() {
            // If the subscription takes longer, `interrupted` reports it.
            let _in_time = tokio::time::timeout(PATIENCE, self.heard.begun()).await;
        }
        notices
    }

    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        let mut commands = Pipeline::with_capacity(2);
        // The server keeps little more than the references that the store promises, so this needs no bound.
        commands.cmd("XRANGE").arg(self.plan.feed(partition)).arg(from).arg("+");
        commands.cmd("HMGET").arg(self.plan.head(partition)).arg("pos").arg("tag");
        reply::feed(&self.plan, self.shards()?.ask(&commands).await?, from)
    }

    async fn heads(&self) -> Result<Vec<Option<Head>>, StoreError> {
        let parts = self.shards()?.partitions();
        let read = parts.iter().cloned().map(|(node, partitions)| self.heads_of(node, partitions));
        let mut heads = vec![None; PARTITIONS];
        let mut failure = None;
        for part in join_all(read).await {
            match part {
                Ok(part) => {
                    for (partition, head) in part {
                        if let Some(known) = heads.get_mut(usize::from(partition)) {
                            *known = Some(head);
                        }
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if heads.iter().all(Option::is_none) => Err(error),
            _ => Ok(heads),
        }
    }

    fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    async fn index(&self, realm: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        if !self.is_indexed || from.is_empty() {
            return Ok(vec![IndexPart::default(); from.len()]);
        }
        let parts = self.shards()?.partitions();
        let place = |partition| parts.iter().position(|(_, partitions)| partitions.contains(partition));
        // Those that nobody serves now are asked for with the error that this brings.
        let mut by_server: BTreeMap<Option<usize>, Vec<(usize, (u8, Time))>> = BTreeMap::new();
        for (number, wanted) in from.iter().enumerate() {
            by_server.entry(place(wanted.0)).or_default().push((number, *wanted));
        }
        let read = by_server.into_values().map(|wanted| self.index_part(realm, wanted));
        let mut parts: Vec<_> = try_join_all(read).await?.into_iter().flatten().collect();
        parts.sort_by_key(|(number, _)| *number);
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let command = self.records.add(&record, record.to_bytes()?);
        let must_last = record.log == RecordLog::Quarantine;
        self.note(&record.source, must_last).await?;
        let answer = self.write(command, must_last).await?;
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
        let commands = self.records.newest(log, source, before, limit);
        let records = reply::records(self.shards()?.ask(&commands).await?, before)?;
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

    async fn add_receipts(&self, batch: ReceiptBatch) -> Result<(), StoreError> {
        self.write_receipts(&batch).await
    }

    async fn forget_receipt(&self, subject: &Subject) -> Result<(), StoreError> {
        self.erase_receipt(subject).await.map(drop)
    }

    async fn receipt(&self, subject: &Subject) -> Result<Option<Receipt>, StoreError> {
        self.read_receipt(subject).await
    }

    async fn expire(&self, expiry: Expiry) -> Result<u64, StoreError> {
        self.expire_all(expiry).await
    }

    async fn enqueue(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError> {
        let add_source = self.write(self.confirmations.add_queue(source), true);
        let add = self.write(self.confirmations.add(source, payment, after), true);
        let (_, answer) = try_join(add_source, add).await?;
        work_queue::added(&answer)
    }

    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError> {
        let ticket: u64 = rand::random();
        let command = self.confirmations.claim(source, ticket, terms);
        work_queue::claimed(self.write(command, false).await?, source, ticket)
    }

    async fn settle(&self, pending: Pending, settlement: Settlement) -> Result<(), StoreError> {
        self.write(self.confirmations.settle(&pending, settlement), false).await.map(drop)
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        self.backlogs_of(QueueKind::Confirmations).await
    }

    async fn backlogs_of_parts(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        self.backlogs_of(QueueKind::Parts).await
    }

    async fn oldest(&self, queue: &str, limit: usize) -> Result<Vec<(Name, Time)>, StoreError> {
        let command = self.confirmations.oldest(queue, limit.clamp(1, MAX_PENDING));
        work_queue::oldest(self.write(command, false).await?)
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        self.erase_all(&erasure).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        let shards = self.shards()?;
        let map = shards.board().map();
        let ready = map.nodes().iter().cloned().map(|node| self.ready(node, &map));
        let ready = join_all(ready).await;
        // As long as one shard takes appends, the node is needed, and the webhooks of the others get 503 each by itself.
        match ready.iter().find_map(|ready| ready.as_ref().err()) {
            Some(why) if ready.iter().all(Result::is_err) => Err(StoreError::Unavailable(why.clone())),
            None if ready.is_empty() => Err(StoreError::Unavailable("no server serves any slot".to_owned())),
            _ => Ok(()),
        }
    }

    async fn interrupted(&self) -> Interruption {
        self.heard.interrupted().await
    }

    fn missed(&self, partition: u8, pos: u64) {
        if !self.heard.has_heard(partition, pos) {
            self.shards.missed(partition);
        }
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.shards.close();
    }
}
