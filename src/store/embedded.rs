//! The embedded store: durable and transactional, on local disk, with nothing to install.
//!
//! Promises: what is acknowledged is on disk (fdatasync, shared by all appends that waited for it); an append is applied
//! wholly or not at all, whenever the process dies; a folder that is foreign, damaged, too new or in use is refused and
//! left as it was. It must not know who posted or who watches.
//!
//! | file | noun |
//! |---|---|
//! | `folder`     | the data folder: marker, format, lock |
//! | `look`       | what can be said of a folder without opening it |
//! | `check`      | whether the library's files are whole, before it opens them |
//! | `rights`     | who may look into the folder |
//! | `opening`    | the tree and the journal of a folder, and the start of the carrier |
//! | `command`    | what tasks ask of the writer, and its answers |
//! | `writer`     | the thread that decides about appends and commits them in groups |
//! | `batch`, `change` | what it has decided and not synced yet; what the journal keeps of it |
//! | `journal`    | the ring of segments in which a group becomes durable, by one write and one sync |
//! | `layer`, `recent` | what is not in the tree yet, in memory; reads go through it |
//! | `carrier`    | the thread that carries layers into the tree, and gives way to everything else |
//! | `tree`, `layout` | the library's tree (fjall, an LSM tree); its keys and values, to bytes and back |
//! | `index`      | the payments of each realm that changed most recently |
//! | `erase`      | what is removed of an erased payment |
//! | `work_queue` | pending confirmations, in the order in which they are due |
//! | `audit`      | the audit trail, and what is too old to be kept |
//! | `records`    | the numbers of records, and which of them are removed |
//! | `receipts`   | who was told what of a payment |
//! | `backup`     | copies of an open store, and of a folder, that can take its place |
//! | `sweep`      | the search for logs past their time to live |
//! | `clock`      | wall time and steady time |
//!
//! The way of an append: the writer takes what waits, looks up what is known of each payment (in its batch, in the layers, and only then in the
//! tree), writes all changes of the batch to the journal as one group, syncs it, adds them to the active layer, and answers. The tree is no part of
//! that way. Every few seconds the carrier takes the active layer and writes it into the tree as one sorted batch, with the number of its last
//! group; then the layer is dropped, and its segments of the journal are written again. So an event costs one write on its way, and three
//! later, sorted and together with thousands of others; references are written in chunks, and records only if they are
//! still among the newest.
//!
//! A start reads that number and replays the groups behind it. The journal bounds how far the tree may be behind, thereby the memory of the
//! layers and the time of a start; when it is full, the writer waits, then refuses.

mod audit;
mod backup;
mod batch;
mod carrier;
mod change;
mod check;
mod clock;
mod command;
mod erase;
mod folder;
mod index;
mod journal;
mod layer;
mod layout;
mod look;
mod opening;
mod receipts;
mod recent;
mod records;
mod rights;
mod sweep;
mod tree;
mod work_queue;
mod writer;

pub use backup::{BackupError, Copied, Logs, copy_folder, copy_from_gateway, restore_folder};
pub use check::{Damage, Findings, Unfinished};
pub use folder::FolderError;
pub use look::{check_folder, warning_of};

use crate::{
    limits::LimitHit,
    metrics::Metrics,
    payment::{Name, Subject, Time},
    receipts::ReceiptBatch,
    store::{
        AUDIT_ENTRIES, Append, Appended, AuditEntry, AuditPage, Backlog, Backup, Claim, ClaimTerms, Erased,
        Erasure, Expiry, Feed, Head, Held, HeldId, Holding, IndexPart, Log, NOTICE_BACKLOG, Notice, Pending,
        QueueKind, RECORDS_PER_SOURCE, Receipt, Record, RecordCursor, RecordLog, RecordPage, Settlement,
        Settling, Store, StoreError, index::share_of, labels::life_ms,
    },
};
use async_trait::async_trait;
use clock::{Clock, Now};
use command::{Command, Reply};
use journal::{EXTENT, FolderDisk};
use opening::{Machinery, corrupt, start_carrier};
use recent::Recent;
use records::{RecordLogs, held};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::{broadcast, oneshot};
use work_queue::WorkQueues;
use writer::Writer;

/// Commands that may wait for the writer. If there are more, an append is refused and the provider retries. They are as many as the
/// webhooks that may be in work at once, at 56 bytes each.
const QUEUE: usize = 4096;

/// Partitions of an index that are read under one lock: some 6 000 payments of a full one, in about a millisecond.
const INDEX_PARTS: usize = 16;

/// The longest that a healthy writer takes to answer. A sync takes milliseconds.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// The settings of the embedded store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The data folder. It is created if there is none.
    pub path: PathBuf,
    /// How long a log lives after its last event.
    pub history: Duration,
    /// How many payments of each realm the index holds; 0 for no index.
    pub recent: usize,
}

impl Settings {
    /// Whether there is a data folder already. Looks, and changes nothing; an error says why it could not be opened.
    pub fn is_there(&self) -> Result<bool, FolderError> {
        folder::is_there(&self.path)
    }
}

/// The embedded store. Dropping it closes it, as [`Embedded::close_blocking`] does.
pub struct Embedded {
    /// Empty once the store is closed. A read-write lock, since every call looks here and only the close writes.
    open: Arc<RwLock<Option<Open>>>,
    notices: broadcast::Sender<Arc<Notice>>,
    /// The durable heads, which the writer publishes after each sync.
    heads: Arc<Mutex<Vec<Head>>>,
    metrics: Arc<Metrics>,
    /// The data folder.
    path: PathBuf,
    /// How long a log lives after its last event, in milliseconds.
    history_ms: i64,
    /// Whether there is an index.
    is_indexed: bool,
    clock: Clock,
}

/// What an open store holds, until it is closed.
struct Open {
    recent: Arc<Recent>,
    commands: SyncSender<Command>,
    writer: JoinHandle<()>,
    carrier: JoinHandle<()>,
    /// The threads that send backups, of which those that have ended are removed when the next one begins.
    backups: Mutex<Vec<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the data folder, creates it if there is none, and starts the writer.
    pub fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, FolderError> {
        Self::open_by(Machinery::default(), settings, metrics)
    }

    fn open_by(
        machinery: Machinery,
        settings: &Settings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, FolderError> {
        let (clock, pace) = (Arc::clone(&machinery.clock), machinery.pace);
        // What cannot be looked at cannot be opened either, and is told then.
        let is_there = settings.is_there().unwrap_or_default();
        // A history that milliseconds cannot count never ends.
        let history_ms = i64::try_from(settings.history.as_millis()).unwrap_or(i64::MAX);
        let (recent, journal, carrier) =
            start_carrier(&settings.path, history_ms, share_of(settings.recent), machinery)?;
        let path = settings.path.display();
        if is_there {
            tracing::info!(%path, "data folder found");
        } else {
            tracing::info!(%path, "data folder made, since there was none");
        }
        if let Some(warning) = warning_of(&settings.path) {
            tracing::warn!("{warning}");
        }
        let heads = recent.heads().map_err(|error| corrupt(&settings.path, error))?;
        let pending = recent.confirmations().map_err(|error| corrupt(&settings.path, error))?;
        let work = WorkQueues::restored(pending, Now::by(&clock));
        let published = Arc::new(Mutex::new(heads.clone()));
        let (commands, queue) = sync_channel(QUEUE);
        let (notices, _) = broadcast::channel(NOTICE_BACKLOG);
        let writer = Writer {
            recent: Arc::clone(&recent),
            journal,
            commands: queue,
            notices: notices.clone(),
            published: Arc::clone(&published),
            heads,
            records: RecordLogs::default(),
            audit: audit::AuditNumbers::default(),
            work,
            history_ms,
            clock: Arc::clone(&clock),
            pace,
            metrics: Arc::clone(&metrics),
            group: Vec::new(),
            is_unmarked: false,
            ticked: Instant::now(),
            looks_for_held: Instant::now(),
        };
        let writer = thread::Builder::new()
            .name("store-writer".into())
            .spawn(|| writer.run())
            .map_err(|source| FolderError::Io { path: settings.path.clone(), source })?;
        let open = Arc::new(RwLock::new(Some(Open {
            recent,
            commands,
            writer,
            carrier,
            backups: Mutex::default(),
        })));
        let (path, is_indexed) = (settings.path.clone(), settings.recent > 0);
        Ok(Self { open, notices, heads: published, metrics, path, history_ms, is_indexed, clock })
    }

    /// Writes what is left, stops the threads and unlocks the folder. Later calls fail. Blocks until the tree holds everything.
    pub fn close_blocking(&self) {
        Self::close_it(&self.open);
    }

    fn close_it(open: &RwLock<Option<Open>>) {
        let open = open.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Open { recent, commands, writer, carrier, backups }) = open {
            drop(commands);
            // A panic of these threads ends the process, so there is no panic to pass on here.
            let _joined = writer.join();
            recent.lock().is_closing = true;
            recent.due.notify_all();
            let _joined = carrier.join();
            for backup in backups.into_inner().unwrap_or_else(PoisonError::into_inner) {
                // After a panic its stream has no end, so the receiver knows.
                let _joined = backup.join();
            }
        }
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let open = open.as_ref().ok_or_else(closed)?;
        open.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.metrics.limit_hits.count(LimitHit::StoreQueue);
                StoreError::Overloaded
            }
            TrySendError::Disconnected(_) => closed(),
        })
    }

    /// Sends a command to the writer, and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(command(reply))?;
        answer(answered).await
    }

    /// Runs a read on the runtime's blocking threads: a log whose blocks are cached takes some 20 µs, but one that is not
    /// cached waits for the disk, and a full log has half a megabyte to decode.
    async fn read_with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Recent) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let recent = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&open.as_ref().ok_or_else(closed)?.recent)
        };
        let outcome = tokio::task::spawn_blocking(move || read(&recent)).await;
        outcome.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

/// Waits for the answer of the writer.
async fn answer<T>(reply: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    reply.await.map_err(|_| closed())?
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".into())
}

#[async_trait]
impl Store for Embedded {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let Append { event, shared_ids } = append;
        self.ask(|reply| Command::Append { event: Arc::new(event), shared_ids, reply }).await
    }

    async fn read(&self, subject: &Subject) -> Result<Log, StoreError> {
        let subject = subject.clone();
        let (clock, life_ms) = (Arc::clone(&self.clock), life_ms(self.history_ms, subject.kind()));
        self.read_with(move |recent| recent.log(&subject, |last| clock().since_ms(last) <= life_ms)).await
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        self.read_with(move |recent| recent.feed(partition, from)).await
    }

    async fn heads(&self) -> Result<Vec<Option<Head>>, StoreError> {
        if self.open.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(closed());
        }
        // The writer keeps the 256 heads of 16 bytes each in memory.
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(heads.iter().copied().map(Some).collect())
    }

    fn is_indexed(&self) -> bool {
        self.is_indexed
    }

    async fn index(&self, realm: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let recent = &open.as_ref().ok_or_else(closed)?.recent;
        let mut parts = Vec::with_capacity(from.len());
        // The writer waits for the lock, so it is given back in between.
        for from in from.chunks(INDEX_PARTS) {
            // Before the lock is taken, so that whatever is written after that is not earlier.
            let now = (self.clock)();
            match recent.index() {
                Some(index) => parts.extend(index.read(realm, from, now)),
                None => parts.extend(from.iter().map(|_| IndexPart::default())),
            }
        }
        Ok(parts)
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        let (reply, answered) = oneshot::channel();
        let waits = writer::must_last(record.log);
        self.send(Command::Record { record: Box::new(record), reply: waits.then_some(reply) })?;
        if waits { answer(answered).await } else { Ok(()) }
    }

    async fn records(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        let prefix = layout::records(log, source);
        let limit = limit.min(RECORDS_PER_SOURCE);
        let read = move |recent: &Recent| recent.newest(&prefix, before, limit + 1, Record::from_bytes);
        Ok(RecordPage::first(self.read_with(read).await?, limit))
    }

    async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.ask(|reply| Command::Audit { entry: Box::new(entry), reply }).await
    }

    async fn audit_trail(&self, before: Option<RecordCursor>, limit: usize) -> Result<AuditPage, StoreError> {
        let limit = limit.min(AUDIT_ENTRIES);
        let read =
            move |recent: &Recent| recent.newest(layout::AUDIT, before, limit + 1, AuditEntry::from_bytes);
        Ok(AuditPage::first(self.read_with(read).await?, limit))
    }

    async fn add_receipts(&self, batch: ReceiptBatch) -> Result<(), StoreError> {
        self.send_receipts(batch)
    }

    async fn forget_receipt(&self, subject: &Subject) -> Result<(), StoreError> {
        self.remove_receipt(subject).await
    }

    async fn receipt(&self, subject: &Subject) -> Result<Option<Receipt>, StoreError> {
        self.read_receipt(subject).await
    }

    async fn expire(&self, expiry: Expiry) -> Result<u64, StoreError> {
        // What is too old is looked for beside the writer, which must not be held up by thousands of records.
        let keys = self.read_with(move |recent| audit::expired(recent, expiry)).await?;
        let mut removed = self.expire_receipts(expiry.deliveries).await?;
        for keys in keys.chunks(audit::REMOVED_AT_ONCE) {
            removed += self.ask(|reply| Command::Expire { keys: keys.to_vec(), reply }).await?;
        }
        Ok(removed)
    }

    async fn hold(&self, record: Record, body: Value) -> Result<Holding, StoreError> {
        self.ask(|reply| Command::Hold { record: Box::new((record, body)), reply }).await
    }

    async fn held(&self, source: &str, id: HeldId) -> Result<Option<Held>, StoreError> {
        let (source, now) = (Arc::<str>::from(source), (self.clock)());
        self.read_with(move |recent| held::read(recent, &source, id, now)).await
    }

    async fn settle_held(&self, source: &str, id: HeldId, settlement: Value) -> Result<Settling, StoreError> {
        self.ask(|reply| Command::SettleHeld { settled: Box::new((source.into(), id, settlement)), reply })
            .await
    }

    async fn enqueue(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError> {
        self.ask(|reply| Command::Enqueue { source: source.into(), payment: payment.clone(), after, reply })
            .await
    }

    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError> {
        self.ask(|reply| Command::Claim { source: source.into(), terms, reply }).await
    }

    async fn settle(&self, pending: Pending, settlement: Settlement) -> Result<(), StoreError> {
        self.ask(|reply| Command::Settle { pending: Box::new(pending), settlement, reply }).await
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        self.ask(|reply| Command::Backlogs { of: QueueKind::Confirmations, reply }).await
    }

    async fn backlogs_of_parts(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        self.ask(|reply| Command::Backlogs { of: QueueKind::Parts, reply }).await
    }

    async fn oldest(&self, queue: &str, limit: usize) -> Result<Vec<(Name, Time)>, StoreError> {
        self.ask(|reply| Command::Oldest { queue: queue.into(), limit, reply }).await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        let erase = |reply| Command::Erase { erasure: Box::new(erasure.clone()), reply };
        let mut erased = self.ask(erase).await?;
        // The records are looked for beside the writer, which must not be held up by thousands of them. Their keys are never used again.
        let find = move |recent: &Recent| erase::records_of(recent, &erasure);
        let keys = self.read_with(find).await?;
        if !keys.is_empty() {
            erased += self.ask(|reply| Command::EraseRecords { keys, reply }).await?;
        }
        Ok(erased)
    }

    async fn backup(&self) -> Result<Option<Backup>, StoreError> {
        let io = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let Open { recent, backups, .. } = open.as_ref().ok_or_else(closed)?;
        let journal = FolderDisk::open(&folder::journal_of(&self.path), EXTENT).map_err(io)?;
        let (backup, thread) = backup::send(Arc::clone(recent), Box::new(journal)).map_err(io)?;
        let mut backups = backups.lock().unwrap_or_else(PoisonError::into_inner);
        backups.retain(|backup| !backup.is_finished());
        backups.push(thread);
        Ok(Some(backup))
    }

    async fn health(&self) -> Result<(), StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Ping { reply })?;
        let late = |_| StoreError::Unavailable("its writer does not answer".into());
        tokio::time::timeout(HEALTH_PATIENCE, answer(answered)).await.map_err(late)?
    }

    async fn close(&self) {
        let open = Arc::clone(&self.open);
        // Flushing waits for the disk.
        if let Err(error) = tokio::task::spawn_blocking(move || Self::close_it(&open)).await {
            tracing::error!(%error, "the store failed to close in order");
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close_blocking();
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
