//! The opening of a data folder: the tree, the journal, what the one lacks of the other, and the thread that carries it over.

use super::{
    carrier::{self, Carrier, PACE, Pace},
    change::Change,
    clock::Clock,
    folder::FolderError,
    index,
    journal::{Disk, FolderDisk, Journal, JournalError},
    layer::Layer,
    recent::Recent,
    sweep::Sweep,
    tree::Tree,
    writer,
};
use crate::{payment::Time, store::StoreError};
use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, mpsc::sync_channel},
    thread::{self, JoinHandle},
};

/// What the store works with besides its settings. Tests give other parts.
pub(super) struct Machinery {
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    /// The disk under the journal, given the files of the data folder.
    pub(super) disk: Box<dyn FnOnce(FolderDisk) -> Box<dyn Disk> + Send>,
}

/// The index that a store keeps.
#[derive(Clone, Copy)]
pub(super) struct IndexTerms {
    /// The payments of a realm that one partition may hold; 0 for no index.
    pub(super) share: usize,
    /// The time at which one begins that was not there before.
    pub(super) now: Time,
}

impl Default for Machinery {
    fn default() -> Self {
        Self { clock: Arc::new(crate::clock::now), pace: PACE, disk: Box::new(|files| Box::new(files)) }
    }
}

/// Opens the tree and the journal, and starts the carrier. The carrier's thread opens the tree, so that the library's threads have its
/// priority.
pub(super) fn start_carrier(
    path: &Path,
    history_ms: i64,
    share: usize,
    machinery: Machinery,
) -> Result<(Arc<Recent>, Journal, JoinHandle<()>), FolderError> {
    let (opened, result) = sync_channel(1);
    let folder = path.to_owned();
    let carrier = thread::Builder::new().name("store-carrier".into()).spawn(move || {
        let _guard = writer::AbortOnPanic;
        carrier::give_way();
        let Machinery { clock, pace, disk } = machinery;
        let outcome = Tree::open(&folder)
            .and_then(|(tree, files)| replay(&folder, tree, disk(files), IndexTerms { share, now: clock() }));
        let recent = outcome.as_ref().map(|(recent, _)| Arc::clone(recent)).ok();
        // The receiver waits for nothing else.
        let _sent = opened.send(outcome);
        if let Some(recent) = recent {
            Carrier { recent, history_ms, clock, pace, sweep: Sweep::new(), oldest: HashMap::new() }.run();
        }
    });
    let io = |source| FolderError::Io { path: path.into(), source };
    let carrier = carrier.map_err(io)?;
    let ended = |_| io(std::io::Error::other("the thread that opens it has ended"));
    let (recent, journal) = result.recv().map_err(ended)??;
    Ok((recent, journal, carrier))
}

/// Reads what the journal holds and the tree does not.
pub(super) fn replay(
    path: &Path,
    tree: Tree,
    disk: Box<dyn Disk>,
    terms: IndexTerms,
) -> Result<(Arc<Recent>, Journal), FolderError> {
    let carried = tree.carried().map_err(|error| corrupt(path, error))?;
    let mut replayed = Layer::default();
    let mut pairs = Vec::new();
    let mut write = |key, value| pairs.push((key, value));
    let index = (terms.share > 0).then(|| index::open(&tree, carried, terms.share, terms.now, &mut write));
    let mut index = index.transpose().map_err(|error| corrupt(path, error))?;
    let journal = Journal::open(disk, carried, |number, payload| {
        for change in Change::all_of(payload) {
            let change = change?;
            if let Some(index) = &mut index {
                match &change {
                    Change::Entry(entry) => {
                        index.append(&entry.subject, entry.seq, entry.at, entry.anew, &mut write);
                    }
                    Change::Forget(subject) => index.forget(subject, terms.now, &mut write),
                    Change::Pair { .. } | Change::Reference { .. } => {}
                }
            }
            replayed.apply(change)?;
        }
        replayed.bytes += payload.len();
        replayed.last_group = number;
        Ok::<_, ReplayError>(())
    });
    let journal = journal.map_err(|error| match error {
        ReplayError::Journal(JournalError::Io(source)) => FolderError::Io { path: path.into(), source },
        error => corrupt(path, error),
    })?;
    pairs.into_iter().for_each(|(key, value)| replayed.pair(key, value));
    Ok((Arc::new(Recent::new(tree, carried, replayed, index)), journal))
}

/// Why the journal was not replayed.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Change(#[from] StoreError),
}

pub(super) fn corrupt(path: &Path, error: impl fmt::Display) -> FolderError {
    FolderError::Corrupt { path: path.into(), reason: error.to_string() }
}
