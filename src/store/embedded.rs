//! The embedded store: durable and transactional, on local disk, with nothing to install.
//!
//! Promises: what is acknowledged is on disk (fdatasync, shared by all appends that waited for it); an append is applied
//! wholly or not at all, whenever the process dies; a folder that is foreign, damaged, too new or in use is refused and
//! left as it was. It must not know who posted or who watches.
//!
//! | file | noun |
//! |---|---|
//! | `folder`     | the data folder: marker, format, lock |
//! | `check`      | whether the library's files are whole, before it opens them |
//! | `rights`     | who may look into the folder |
//! | `layout`     | keys and values, to bytes and back |
//! | `tree`       | the library's tree (fjall, an LSM tree with a journal), and reads |
//! | `command`    | what tasks ask of the writer, and its answers |
//! | `writer`     | the thread that decides about appends and commits them in groups |
//! | `erase`      | what is removed of an erased payment |
//! | `work_queue` | pending confirmations, in the order in which they are due |
//! | `records`    | the numbers of records, and which of them are removed |
//! | `sweep`      | removal of logs past their time to live |
//! | `clock`      | wall time and steady time |
//!
//! The choice of an LSM tree was measured on this very shape of append, side by side with a copy-on-write B-tree (redb 4): the LSM tree
//! commits groups twice as fast for half the CPU, and after a crash it replays a bounded journal where the B-tree walks the whole
//! file. The B-tree needs 25 MB less memory.

mod check;
mod clock;
mod command;
mod erase;
mod folder;
mod layout;
mod records;
mod rights;
mod sweep;
mod tree;
mod work_queue;
mod writer;

pub use check::{Damage, Findings, Unfinished};
pub use folder::FolderError;

use crate::{
    limits::LimitHit,
    metrics::Metrics,
    payment::{Name, Subject},
    store::{
        Append, Appended, Backlog, Claim, ClaimTerms, Erased, Erasure, Feed, Head, Log, NOTICE_BACKLOG,
        Notice, Pending, Record, RecordCursor, RecordLog, RecordPage, Settlement, Store, StoreError,
    },
};
use async_trait::async_trait;
use clock::{Clock, Now};
use command::Command;
use folder::Folder;
use records::RecordLogs;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use sweep::Sweep;
use tokio::sync::{broadcast, oneshot};
use tree::Tree;
use work_queue::WorkQueues;
use writer::Writer;

/// Commands that may wait for the writer. If there are more, an append is refused and the provider retries. They are as many as the
/// webhooks that may be in work at once, at 56 bytes each.
const QUEUE: usize = 4096;

/// The longest that a healthy writer takes to answer. A sync takes milliseconds.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);

/// The settings of the embedded store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The data folder. It is created if there is none.
    pub path: PathBuf,
    /// How long a log lives after its last event.
    pub history: Duration,
}

impl Settings {
    /// Whether there is a data folder already. Looks, and changes nothing; an error says why it could not be opened.
    pub fn is_there(&self) -> Result<bool, FolderError> {
        folder::is_there(&self.path)
    }
}

/// Warns if other users of the machine may open a data folder or what it holds. A folder that cannot be looked at is no matter of rights.
#[must_use]
pub fn warning_of(path: &Path) -> Option<String> {
    rights::Rights::of(path).ok()?.warning(path)
}

/// Checks all files of a data folder that no gateway has open, and changes none.
pub fn check_folder(path: &Path) -> Result<Findings, FolderError> {
    let folder = Folder::look(path)?;
    check::check(&folder.database(), u64::MAX).map_err(|source| FolderError::Io { path: path.into(), source })
}

/// The embedded store. Dropping it closes it, as [`Embedded::close_blocking`] does.
pub struct Embedded {
    /// Empty once the store is closed. A read-write lock, since every call looks here and only the close writes.
    open: Arc<RwLock<Option<Open>>>,
    notices: broadcast::Sender<Arc<Notice>>,
    /// The durable heads, which the writer publishes after each sync.
    heads: Arc<Mutex<Vec<Head>>>,
    metrics: Arc<Metrics>,
    /// How long a log lives after its last event, in milliseconds.
    history_ms: i64,
    clock: Clock,
}

/// What an open store holds, until it is closed.
struct Open {
    tree: Tree,
    commands: SyncSender<Command>,
    writer: JoinHandle<()>,
}

impl Embedded {
    /// Opens the data folder, creates it if there is none, and starts the writer.
    pub fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<Self, FolderError> {
        Self::open_at(settings, metrics, Arc::new(crate::clock::now))
    }

    fn open_at(settings: &Settings, metrics: Arc<Metrics>, clock: Clock) -> Result<Self, FolderError> {
        // What cannot be looked at cannot be opened either, and is told then.
        let is_there = settings.is_there().unwrap_or_default();
        let tree = Tree::open(&settings.path)?;
        let path = settings.path.display();
        if is_there {
            tracing::info!(%path, "data folder found");
        } else {
            tracing::info!(%path, "data folder made, since there was none");
        }
        if let Some(warning) = warning_of(&settings.path) {
            tracing::warn!("{warning}");
        }
        let damaged = |error: StoreError| FolderError::Corrupt {
            path: settings.path.clone(),
            reason: error.to_string(),
        };
        let heads = tree.heads().map_err(damaged)?;
        let pending = tree.confirmations().map_err(damaged)?;
        let work = WorkQueues::restored(pending, Now::by(&clock));
        let published = Arc::new(Mutex::new(heads.clone()));
        let history_ms = i64::try_from(settings.history.as_millis()).unwrap_or(i64::MAX);
        let (commands, queue) = sync_channel(QUEUE);
        let (notices, _) = broadcast::channel(NOTICE_BACKLOG);
        let writer = Writer {
            tree: tree.clone(),
            commands: queue,
            notices: notices.clone(),
            published: Arc::clone(&published),
            heads,
            records: RecordLogs::default(),
            work,
            history_ms,
            clock: Arc::clone(&clock),
            sweep: Sweep::new(),
        };
        let writer = thread::Builder::new()
            .name("store-writer".into())
            .spawn(|| writer.run())
            .map_err(|source| FolderError::Io { path: settings.path.clone(), source })?;
        let open = Arc::new(RwLock::new(Some(Open { tree, commands, writer })));
        Ok(Self { open, notices, heads: published, metrics, history_ms, clock })
    }

    /// Writes what is left, stops the writer and unlocks the folder. Later calls fail. Blocks for the time of one sync.
    pub fn close_blocking(&self) {
        Self::close_it(&self.open);
    }

    fn close_it(open: &RwLock<Option<Open>>) {
        let open = open.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Open { tree, commands, writer }) = open {
            drop(commands);
            // A panic of the writer ends the process, so there is no panic to pass on here.
            let _joined = writer.join();
            drop(tree);
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

    /// Runs a read on the runtime's blocking threads: a log whose blocks are cached takes some 20 µs, but one that is not
    /// cached waits for the disk, and a full log has half a megabyte to decode.
    async fn read_with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tree) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tree = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            open.as_ref().ok_or_else(closed)?.tree.clone()
        };
        let outcome = tokio::task::spawn_blocking(move || read(&tree)).await;
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
        let (reply, answered) = oneshot::channel();
        let Append { event, shared_ids } = append;
        self.send(Command::Append { event: Arc::new(event), shared_ids, reply })?;
        answer(answered).await
    }

    async fn read(&self, subject: &Subject) -> Result<Log, StoreError> {
        let subject = subject.clone();
        let (clock, history_ms) = (Arc::clone(&self.clock), self.history_ms);
        self.read_with(move |tree| tree.log(&subject, |last| clock().since_ms(last) <= history_ms)).await
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        self.read_with(move |tree| tree.feed(partition, from)).await
    }

    async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        if self.open.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return Err(closed());
        }
        // The writer keeps the 256 heads of 16 bytes each in memory.
        Ok(self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone())
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
        let source = source.to_owned();
        self.read_with(move |tree| tree.records(log, &source, before, limit)).await
    }

    async fn enqueue(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Enqueue { source: source.into(), payment: payment.clone(), after, reply })?;
        answer(answered).await
    }

    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Claim { source: source.into(), terms, reply })?;
        answer(answered).await
    }

    async fn settle(&self, pending: Pending, settlement: Settlement) -> Result<(), StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Settle { pending: Box::new(pending), settlement, reply })?;
        answer(answered).await
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Backlogs { reply })?;
        answer(answered).await
    }

    async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        let (reply, answered) = oneshot::channel();
        self.send(Command::Erase { erasure: Box::new(erasure.clone()), reply })?;
        let mut erased = answer(answered).await?;
        // The records are looked for beside the writer, which must not be held up by thousands of them. Their keys are never used again.
        let find = move |tree: &Tree| tree.records_of(&erasure.subject.id, &erasure.others);
        let keys = self.read_with(find).await?;
        if !keys.is_empty() {
            let (reply, answered) = oneshot::channel();
            self.send(Command::EraseRecords { keys, reply })?;
            erased += answer(answered).await?;
        }
        Ok(erased)
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
