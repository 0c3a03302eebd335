//! The tree on disk, and what is read from it. It knows the library and the layout; it knows neither tasks nor notices.

use super::{
    check::{self, Unfinished},
    folder::{Folder, FolderError},
    layout,
};
use crate::{
    descriptors::STORE_FILES,
    payment::{Event, PARTITIONS, Subject, Time},
    store::{
        Entry, FEED_LEN, Feed, Head, Log, MAX_LOG, RECORDS_PER_SOURCE, Record, RecordCursor, RecordLog,
        RecordPage, Reference, StoreError,
    },
};
use fjall::{KeyspaceCreateOptions, PersistMode, Readable, SingleWriterTxDatabase, SingleWriterTxKeyspace};
use std::{fs::OpenOptions, path::Path, sync::Arc};

/// The size of the buffer that is filled before it is flushed to a sorted file. There are at most a few such buffers at once, so with
/// the cache this keeps the store's memory below about 100 MB, however much is on disk.
const WRITE_BUFFER_BYTES: u64 = 8 << 20;

/// The size of the cache of blocks of sorted files: enough for the payments of the last hours, which are the ones that are read.
const CACHE_BYTES: u64 = 32 << 20;

/// The size of the journal: the least that the library accepts. It bounds what a start after a crash has to replay, which takes well
/// below a second.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Two threads: one flushes while the other merges files, and neither delays appends.
const BACKGROUND_THREADS: usize = 2;

/// A handle of the open tree. The folder is unlocked when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Tree {
    db: SingleWriterTxDatabase,
    keys: SingleWriterTxKeyspace,
    // The folder stands last, because fields are dropped in order.
    _folder: Arc<Folder>,
}

/// A batch of writes. Its reads see its own writes.
pub(super) struct Batch<'a> {
    tree: &'a Tree,
    tx: fjall::SingleWriterWriteTx<'a>,
}

impl Tree {
    /// Opens the tree in a data folder, and creates the folder or the tree if it is not there yet.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let mut folder = Folder::open(path)?;
        if folder.is_finished() {
            check_files(&folder)?;
        }
        let db = SingleWriterTxDatabase::builder(folder.database())
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(BACKGROUND_THREADS)
            .max_cached_files(Some(STORE_FILES))
            .open()
            .map_err(|error| folder.refused(error))?;
        // The library takes a folder that lost its files for a new one. That would hide the loss.
        if folder.is_finished() && !db.keyspace_exists(KEYSPACE) {
            return Err(folder.corrupt("its database lost its files".into()));
        }
        let options = || KeyspaceCreateOptions::default().max_memtable_size(WRITE_BUFFER_BYTES);
        let keys = db.keyspace(KEYSPACE, options).map_err(|error| folder.refused(error))?;
        db.persist(PersistMode::SyncAll).map_err(|error| folder.refused(error))?;
        folder.finish()?;
        Ok(Self { db, keys, _folder: Arc::new(folder) })
    }

    /// Begins a batch of writes. There is one at a time.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { tree: self, tx: self.db.write_tx() }
    }

    /// Makes durable what batches wrote without a sync.
    pub(super) fn persist(&self) -> Result<(), StoreError> {
        self.db.persist(PersistMode::SyncAll).map_err(failed)
    }

    /// Reads a subject's whole log. The log is empty if `is_alive` says that it is past its time to live, given the time of its last
    /// append.
    pub(super) fn log(&self, subject: &Subject, is_alive: impl Fn(Time) -> bool) -> Result<Log, StoreError> {
        let snapshot = self.db.read_tx();
        let Some(meta) = snapshot.get(&self.keys, layout::meta(subject)).map_err(failed)? else {
            return Ok(Log::default());
        };
        let meta: layout::Meta = layout::decode(&meta)?;
        if !is_alive(meta.last) {
            return Ok(Log::default());
        }
        let mut entries = Vec::with_capacity(usize::try_from(meta.seq).unwrap_or_default().min(MAX_LOG));
        for pair in snapshot.prefix(&self.keys, layout::entries(subject)) {
            let (key, value) = pair.into_inner().map_err(failed)?;
            let stored: layout::Stored<Event> = layout::decode(&value)?;
            entries.push(Entry { tag: stored.tag, event: Arc::new(stored.event) });
            if layout::number(&key)? != entries.len() as u64 {
                break;
            }
        }
        if entries.len() as u64 == meta.seq {
            Ok(Log { entries })
        } else {
            Err(StoreError::Corrupt(format!("the log of {subject} has a hole")))
        }
    }

    /// Reads the references of a feed from place `from` on.
    pub(super) fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        let snapshot = self.db.read_tx();
        let newest = self.head(&snapshot, partition)?;
        let head = newest.pos;
        let oldest = (head + 1).saturating_sub(FEED_LEN).max(1);
        // The head of an empty feed is 0, before the first entry: a reader that starts there has missed nothing yet.
        let from = from.max(1);
        if from < oldest || from > head.max(1) {
            return Ok(Feed::Gone(newest));
        }
        let range = layout::reference(partition, from)..layout::reference(partition, head + 1);
        let references = snapshot.range(&self.keys, range).map(|pair| decoded(pair.value()));
        references.collect::<Result<_, _>>().map(Feed::References)
    }

    /// Reads the newest place of each feed.
    pub(super) fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let snapshot = self.db.read_tx();
        (0..PARTITIONS)
            .filter_map(|partition| u8::try_from(partition).ok())
            .map(|partition| self.head(&snapshot, partition))
            .collect()
    }

    fn head(&self, from: &impl Readable, partition: u8) -> Result<Head, StoreError> {
        let Some(last) = from.prefix(&self.keys, layout::feed(partition)).next_back() else {
            return Ok(Head::default());
        };
        let Reference { pos, tag, .. } = decoded(last.value())?;
        Ok(Head { pos, tag })
    }

    /// Reads all pending confirmations.
    pub(super) fn confirmations(&self) -> Result<Vec<layout::PendingConfirmation>, StoreError> {
        let snapshot = self.db.read_tx();
        snapshot.prefix(&self.keys, layout::CONFIRMATIONS).map(|pair| decoded(pair.value())).collect()
    }

    /// Reads all records of one kind of log, of all sources.
    pub(super) fn each_record(
        &self,
        log: RecordLog,
        mut take: impl FnMut(Vec<u8>, Record),
    ) -> Result<(), StoreError> {
        let snapshot = self.db.read_tx();
        for pair in snapshot.prefix(&self.keys, layout::all_records(log)) {
            let (key, value) = pair.into_inner().map_err(failed)?;
            take(key.to_vec(), Record::from_bytes(&value)?);
        }
        Ok(())
    }

    /// Reads a page of a source's records, newest first. The number of a record in the tree is its cursor.
    pub(super) fn records(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage, StoreError> {
        let snapshot = self.db.read_tx();
        let prefix = layout::records(log, source);
        let end = before.map_or(u64::MAX, |cursor| cursor.major);
        let range = layout::numbered(prefix.clone(), 0)..layout::numbered(prefix, end);
        let limit = limit.min(RECORDS_PER_SOURCE);
        let read = |pair: fjall::Guard| {
            let (key, value) = pair.into_inner().map_err(failed)?;
            let cursor = RecordCursor { major: layout::number(&key)?, minor: 0 };
            Ok((cursor, Record::from_bytes(&value)?))
        };
        let newest = snapshot.range(&self.keys, range).rev().take(limit + 1).map(read);
        Ok(RecordPage::first(newest.collect::<Result<_, StoreError>>()?, limit))
    }
}

/// Checks the library's files before it opens them, and cuts the end of a journal that was not written wholly, so that the library finds
/// only whole writes.
fn check_files(folder: &Folder) -> Result<(), FolderError> {
    let io = |source| folder.refused(fjall::Error::Io(source));
    let findings = check::check(&folder.database(), check::AT_START).map_err(io)?;
    if let Some((first, more)) = findings.damage.split_first() {
        let others = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
        return Err(folder.corrupt(format!("{first}{others}")));
    }
    if findings.unread > 0 {
        tracing::info!(files = findings.unread, "files of the store were not checked, since there are many");
    }
    if let Some(Unfinished { file, at, bytes }) = findings.unfinished {
        let file_at = file.display();
        tracing::warn!(file = %file_at, at, bytes, "the last write was not finished, so nobody relies on it; it is removed");
        let journal = OpenOptions::new().write(true).open(&file).map_err(io)?;
        journal.set_len(at).and_then(|()| journal.sync_all()).map_err(io)?;
    }
    Ok(())
}

/// The name of the only keyspace: everything is in one tree, so there is one write buffer and one set of files.
const KEYSPACE: &str = "paystream";

impl Batch<'_> {
    /// Reads the value of a key, as of this batch.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<fjall::UserValue>, StoreError> {
        self.tx.get(&self.tree.keys, key).map_err(failed)
    }

    /// All keys with a prefix, as of this batch.
    pub(super) fn keys(
        &self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<fjall::UserKey, StoreError>> {
        self.tx.prefix(&self.tree.keys, prefix).map(|pair| pair.key().map_err(failed))
    }

    /// The keys of everything that a log holds besides its meta: at most two for each of its [`MAX_LOG`] entries.
    pub(super) fn keys_of(&self, meta: &[u8]) -> Result<Vec<fjall::UserKey>, StoreError> {
        layout::of_meta(meta).iter().flat_map(|prefix| self.keys(prefix)).collect()
    }

    /// All pairs whose keys have a prefix and come after `key`.
    pub(super) fn after(
        &self,
        prefix: &[u8],
        key: &[u8],
    ) -> impl Iterator<Item = Result<(fjall::UserKey, fjall::UserValue), StoreError>> {
        let first = [key.max(prefix), b"\0"].concat();
        let pairs = self.tx.range(&self.tree.keys, first..);
        let pairs = pairs.map(|pair| pair.into_inner().map_err(failed));
        pairs.take_while(move |pair| pair.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
    }

    /// Removes the reference that is too old once the feed of a partition has reached `pos`.
    pub(super) fn trim_feed(&mut self, partition: u8, pos: u64) {
        if let Some(last) = pos.checked_sub(FEED_LEN).filter(|last| *last > 0) {
            self.remove(layout::reference(partition, last));
        }
    }

    /// Writes a key.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.tx.insert(&self.tree.keys, key, value);
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, key: impl Into<fjall::UserKey>) {
        self.tx.remove(&self.tree.keys, key);
    }

    /// Commits the batch, all of it or nothing. It is durable before this returns if `durable` is true, and otherwise with the next
    /// batch that is.
    pub(super) fn commit(self, durable: bool) -> Result<(), StoreError> {
        let mode = if durable { PersistMode::SyncData } else { PersistMode::Buffer };
        self.tx.durability(Some(mode)).commit().map_err(failed)
    }
}

fn decoded<T: serde::de::DeserializeOwned>(value: fjall::Result<fjall::UserValue>) -> Result<T, StoreError> {
    layout::decode(&value.map_err(failed)?)
}

fn failed(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(_) | fjall::Error::Storage(fjall::LsmError::Io(_)) => {
            StoreError::Unavailable(error.to_string())
        }
        other => StoreError::Corrupt(other.to_string()),
    }
}
