//! The tree on disk, and what is read from it. It knows the library and the layout; it knows neither tasks nor notices.
//!
//! It is written by the carrier alone, in batches that go around the library's own journal and write buffer: each is one or a few sorted
//! files, synced before they become part of the tree, all at once.

use super::{
    check::{self, Unfinished},
    folder::{Folder, FolderError},
    journal::FolderDisk,
    layout,
};
use crate::{
    descriptors::STORE_FILES,
    payment::{Digest, PARTITIONS, Subject, Tag},
    store::{Head, Reference, StoreError},
};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _, Snapshot};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The size of the buffer that is filled before it is flushed to a sorted file. Only what a folder of format 1 holds in the library's
/// journal is ever in it.
const WRITE_BUFFER_BYTES: u64 = 8 << 20;

/// The size of the cache of blocks of sorted files: enough for the payments of the last hours, which are the ones that are read.
const CACHE_BYTES: u64 = 32 << 20;

/// The size of the library's journal: the least that it accepts.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Two threads: one flushes while the other merges files.
const BACKGROUND_THREADS: usize = 2;

/// The name of the only keyspace: everything is in one tree, so there is one set of files.
const KEYSPACE: &str = "paystream";

/// Writes in the order of their keys; a key without a value is removed.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// A handle of the open tree. The folder is unlocked when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Tree {
    db: Database,
    keys: Keyspace,
    // The folder stands last, because fields are dropped in order. A tree that is being made for a copy has none yet.
    _folder: Option<Arc<Folder>>,
}

/// A chunk of a feed: the place at which it begins, and its references as the tree keeps them.
pub(super) type Chunk = (u64, Vec<Vec<u8>>);

/// The tree at one moment.
pub(super) struct Moment<'a> {
    tree: &'a Tree,
    snapshot: Snapshot,
}

impl Tree {
    /// Opens the tree in a data folder, and creates the folder or the tree if it is not there yet. Gives back the files of the journal too. The threads that the library starts have
    /// the priority of the caller's.
    pub(super) fn open(path: &Path) -> Result<(Self, FolderDisk), FolderError> {
        let mut folder = Folder::open(path)?;
        // The library tidies up when it opens its files, so what can be refused is refused before.
        let journal = folder.journal()?;
        if folder.is_finished() {
            check_files(&folder)?;
        }
        let db = database(&folder.database()).map_err(|error| folder.refused(error))?;
        // The library takes a folder that lost its files for a new one. That would hide the loss.
        if folder.is_finished() && !db.keyspace_exists(KEYSPACE) {
            return Err(folder.corrupt("its database lost its files".into()));
        }
        let keys = keyspace(&db).map_err(|error| folder.refused(error))?;
        let journal = match journal {
            Some(journal) => journal,
            None => {
                // From now on nothing depends on the library's own journal.
                keys.rotate_memtable_and_wait().map_err(|error| folder.refused(error))?;
                folder.finish()?
            }
        };
        Ok((Self { db, keys, _folder: Some(Arc::new(folder)) }, journal))
    }

    /// Creates an empty tree, whose files are below `path`. It belongs to no data folder: the caller keeps others away and makes the folder
    /// around it when the tree is complete.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let db = database(path).map_err(failed)?;
        let keys = keyspace(&db).map_err(failed)?;
        Ok(Self { db, keys, _folder: None })
    }

    /// Makes the sorted files hold all that the library's own journal does, durably.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.keys.rotate_memtable_and_wait().map_err(failed)?;
        self.db.persist(PersistMode::SyncAll).map_err(failed)
    }

    /// The tree as it is now.
    pub(super) fn now(&self) -> Moment<'_> {
        Moment { tree: self, snapshot: self.db.snapshot() }
    }

    /// Writes a batch, all of it or nothing. It is durable before this returns. After an error, as on a full disk, what was written of it is
    /// removed again, so that it does not take the room that the next try needs.
    pub(super) fn write(&self, writes: Writes) -> Result<(), StoreError> {
        let newest = self.files().ok().and_then(|files| files.into_keys().next_back());
        let written = self.ingest(writes).map_err(failed);
        if written.is_err()
            && let Err(error) = self.remove_unfinished(newest)
        {
            tracing::warn!(%error, "the unfinished files of a failed write were not removed");
        }
        written
    }

    fn ingest(&self, writes: Writes) -> fjall::Result<()> {
        let mut batch = self.keys.start_ingestion()?;
        for (key, value) in writes {
            match value {
                Some(value) => batch.write(key, &*value)?,
                None => batch.write_tombstone(key)?,
            }
        }
        batch.finish()
    }

    /// The sorted files, by their numbers, which rise.
    fn files(&self) -> io::Result<BTreeMap<u64, PathBuf>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.keys.path().join("tables"))? {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            files.extend(number.map(|number| (number, path)));
        }
        Ok(files)
    }

    /// Removes the sorted files after number `newest` that belong to nothing. The library does that only when it opens the folder. While it
    /// merges files, some that are not finished are its own, so nothing is removed.
    fn remove_unfinished(&self, newest: Option<u64>) -> io::Result<()> {
        let files = self.files()?;
        if self.db.active_compactions() > 0 {
            return Ok(());
        }
        let Some(named) = check::named(self.keys.path())? else { return Ok(()) };
        for (number, path) in files {
            if Some(number) > newest && !named.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Whether a thread of the library has failed. Then it merges no files any more.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.db.persist(PersistMode::Buffer), Err(fjall::Error::Poisoned))
    }

    /// Reads the value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<fjall::UserValue>, StoreError> {
        self.keys.get(key).map_err(failed)
    }

    /// The meta of a log.
    pub(super) fn meta(&self, subject: &Subject) -> Result<Option<layout::Meta>, StoreError> {
        self.get(&layout::meta(subject))?.map(|meta| layout::decode(&meta)).transpose()
    }

    /// What is remembered of an event's identity, and the tag of its entry.
    pub(super) fn seen(
        &self,
        subject: &Subject,
        identity: Digest,
    ) -> Result<Option<(layout::Seen, Tag)>, StoreError> {
        let Some(seen) = self.get(&layout::seen(subject, identity))? else { return Ok(None) };
        let seen = layout::Seen::decode(&seen)?;
        let missing = || StoreError::Corrupt(format!("the log of {subject} lacks entry {}", seen.seq));
        let original = self.get(&layout::entry(subject, seen.seq))?.ok_or_else(missing)?;
        let original: layout::Stored<serde::de::IgnoredAny> = layout::decode(&original)?;
        Ok(Some((seen, original.tag)))
    }

    /// The newest place of each feed.
    pub(super) fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let now = self.now();
        let head = |partition| match now.references(partition, u64::MAX, 0, 1)?.pop() {
            Some((_, last)) => {
                let Reference { pos, tag, .. } = layout::decode(&last)?;
                Ok(Head { pos, tag })
            }
            None => Ok(Head::default()),
        };
        (0..PARTITIONS).filter_map(|partition| u8::try_from(partition).ok()).map(head).collect()
    }
}

fn database(path: &Path) -> fjall::Result<Database> {
    Database::builder(path)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(BACKGROUND_THREADS)
        .max_cached_files(Some(STORE_FILES))
        .open()
}

fn keyspace(db: &Database) -> fjall::Result<Keyspace> {
    let options = || KeyspaceCreateOptions::default().max_memtable_size(WRITE_BUFFER_BYTES);
    let keys = db.keyspace(KEYSPACE, options)?;
    db.persist(PersistMode::SyncAll)?;
    Ok(keys)
}

/// Checks the library's files before it opens them, and cuts the end of a journal that was not written wholly, so that the library finds
/// only whole writes.
fn check_files(folder: &Folder) -> Result<(), FolderError> {
    let io = |source| folder.refused(fjall::Error::Io(source));
    let findings = check::check(&folder.database(), folder.owner(), check::AT_START).map_err(io)?;
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

impl Moment<'_> {
    /// The number of the journal's last group that is in the tree.
    pub(super) fn carried(&self) -> Result<u64, StoreError> {
        let number = |value: fjall::UserValue| Some(u64::from_be_bytes(value.as_ref().try_into().ok()?));
        let unreadable = || StoreError::Corrupt("the number of the groups that it holds".into());
        let value = self.snapshot.get(&self.tree.keys, layout::CARRIED).map_err(failed)?;
        value.map_or(Ok(0), |value| number(value).ok_or_else(unreadable))
    }

    /// The meta of a log.
    pub(super) fn meta(&self, subject: &Subject) -> Result<Option<layout::Meta>, StoreError> {
        let meta = self.snapshot.get(&self.tree.keys, layout::meta(subject)).map_err(failed)?;
        meta.map(|meta| layout::decode(&meta)).transpose()
    }

    /// The entries of a log before number `end`, in order.
    pub(super) fn entries(&self, subject: &Subject, end: u64) -> Result<Vec<Bytes>, StoreError> {
        let range = layout::entry(subject, 0)..layout::entry(subject, end);
        let mut entries = Vec::new();
        for pair in self.snapshot.range(&self.tree.keys, range) {
            let (key, value) = pair.into_inner().map_err(failed)?;
            entries.push(Bytes::copy_from_slice(&value));
            if layout::number(&key)? != entries.len() as u64 {
                return Err(StoreError::Corrupt(format!("the log of {subject} has a hole")));
            }
        }
        Ok(entries)
    }

    /// The newest references of a feed, newest first, with their places: at most `limit` of those before place `before` and not before
    /// place `first`.
    pub(super) fn references(
        &self,
        partition: u8,
        before: u64,
        first: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let range = layout::reference(partition, 0)..layout::reference(partition, before);
        let mut newest = Vec::new();
        for pair in self.snapshot.range(&self.tree.keys, range).rev() {
            let (key, chunk) = pair.into_inner().map_err(failed)?;
            let start = layout::number(&key)?;
            let items = layout::items(&chunk)?;
            let end = start + items.len() as u64;
            for (number, item) in (start..end).rev().zip(items.into_iter().rev()) {
                if number < first || newest.len() >= limit {
                    return Ok(newest);
                }
                if number < before {
                    newest.push((number, item.to_vec()));
                }
            }
        }
        Ok(newest)
    }

    /// The chunk of a feed that holds place `pos`, if the feed still has it.
    pub(super) fn chunk_with(&self, partition: u8, pos: u64) -> Result<Option<Chunk>, StoreError> {
        let range = layout::reference(partition, 0)..=layout::reference(partition, pos);
        let Some(pair) = self.snapshot.range(&self.tree.keys, range).next_back() else { return Ok(None) };
        let (key, chunk) = pair.into_inner().map_err(failed)?;
        let items = layout::items(&chunk)?.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Some((layout::number(&key)?, items)))
    }

    /// The places at which the chunks of a feed begin, from place `from` on, in order.
    pub(super) fn chunks(
        &self,
        partition: u8,
        from: u64,
    ) -> impl Iterator<Item = Result<u64, StoreError>> + use<> {
        let range = layout::reference(partition, from)..=layout::reference(partition, u64::MAX);
        let keys = self.snapshot.range(&self.tree.keys, range).map(|pair| pair.key().map_err(failed));
        keys.map(|key| layout::number(&key?))
    }

    /// The keys of everything that a log holds, its meta included: at most two for each of its [`MAX_LOG`](crate::store::MAX_LOG) entries
    /// and one.
    pub(super) fn keys_of(&self, subject: &Subject) -> Result<Vec<Vec<u8>>, StoreError> {
        let meta = layout::meta(subject);
        let prefixes = layout::of_meta(&meta);
        let below =
            |prefix| self.snapshot.prefix(&self.tree.keys, prefix).map(|pair| pair.key().map_err(failed));
        let keys = prefixes.iter().flat_map(below).map(|key| Ok(key?.to_vec()));
        std::iter::once(Ok(meta)).chain(keys).collect()
    }

    /// The pairs from key `first` up to, but without, key `end`, the last one first.
    pub(super) fn before(
        &self,
        first: &[u8],
        end: &[u8],
    ) -> impl Iterator<Item = Result<(fjall::UserKey, fjall::UserValue), StoreError>> {
        let range = first.to_vec()..end.to_vec();
        self.snapshot.range(&self.tree.keys, range).rev().map(|pair| pair.into_inner().map_err(failed))
    }

    /// The pairs whose keys have a prefix and come after `key`.
    pub(super) fn after(
        &self,
        prefix: &[u8],
        key: &[u8],
    ) -> impl Iterator<Item = Result<(fjall::UserKey, fjall::UserValue), StoreError>> {
        let first = [key.max(prefix), b"\0"].concat();
        let pairs = self.snapshot.range(&self.tree.keys, first..);
        let pairs = pairs.map(|pair| pair.into_inner().map_err(failed));
        pairs.take_while(move |pair| pair.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
    }
}

fn failed(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(_) | fjall::Error::Storage(fjall::LsmError::Io(_)) => {
            StoreError::Unavailable(error.to_string())
        }
        other => StoreError::Corrupt(other.to_string()),
    }
}
