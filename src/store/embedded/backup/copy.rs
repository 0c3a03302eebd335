//! The copy that is built from the stream of a gateway.

use super::{
    super::{
        carrier,
        change::Change,
        check_folder,
        folder::{self, Folder},
        layer::Layer,
        layout,
        opening::{self, IndexTerms},
        tree::{Tree, Writes},
    },
    BackupError, Copied, Logs,
    draft::Draft,
    stream::{Decoder, Item},
};
use crate::payment::Event;
use std::{collections::HashMap, io::Read, path::Path};

/// The length of what is written and synced at once. Less makes more files of the copy, more holds up the gateway's disk for longer.
const WRITE_BYTES: usize = 8 << 20;

/// Builds a data folder at the path `to`, which is an empty folder or does not exist, from the stream of a gateway whose data folder is
/// `source`, if that is on this machine. Every log of the copy is read before it gets its path.
pub fn copy_from_gateway(stream: impl Read, source: Option<&Path>, to: &Path) -> Result<Copied, BackupError> {
    build(Draft::new(to, source)?, stream)
}

fn build(draft: Draft, stream: impl Read) -> Result<Copied, BackupError> {
    // From here on this thread and those of the library wait for others.
    carrier::give_way();
    let tree = Tree::create(&folder::database_of(draft.path()))?;
    fill(&tree, stream)?;
    tree.settle()?;
    drop(tree);
    Folder::complete(draft.path())?;
    let logs = read_back(draft.path())?;
    let (files, bytes) = draft.sync()?;
    let findings = check_folder(draft.path())?;
    if let Some(damage) = findings.damage.first() {
        return Err(BackupError::Unlike(damage.to_string()));
    }
    draft.publish()?;
    Ok(Copied { files, bytes, logs: Some(logs) })
}

/// Writes all that comes into an empty tree.
fn fill(tree: &Tree, stream: impl Read) -> Result<(), BackupError> {
    let mut stream = Decoder::new(stream)?;
    let (mut writes, mut length, mut layer) = (Writes::new(), 0, Layer::default());
    while let Some(item) = stream.next()? {
        match item {
            Item::Pair(key, value) => {
                length += key.len() + value.len();
                writes.insert(key, Some(value.into()));
            }
            Item::Changes(payload) => {
                for change in Change::all_of(&payload) {
                    layer.apply(change?)?;
                }
            }
        }
        if length >= WRITE_BYTES {
            (length, _) = (0, tree.write(std::mem::take(&mut writes))?);
        }
    }
    tree.write(writes)?;
    let written = tree.now().after(&[], &[]).try_fold(0, |count, pair| pair.map(|_| count + 1))?;
    if stream.pairs() != written {
        return Err(BackupError::Unlike(format!("{written} of {} pairs are in it", stream.pairs())));
    }
    // The groups of the journal are not in the index that the pairs hold, so a gateway begins that one anew.
    Ok(tree.write(carrier::writes_of(&layer, tree, &mut HashMap::new(), None)?)?)
}

/// Opens a data folder as a gateway would, and reads every log to its end.
fn read_back(path: &Path) -> Result<Logs, BackupError> {
    let (tree, files) = Tree::open(path)?;
    let (recent, _journal) = opening::replay(path, tree, Box::new(files), IndexTerms::NONE)?;
    let mut logs = Logs::default();
    for pair in recent.tree.now().after(layout::METAS, &[]) {
        let subject = layout::subject_of_meta(&pair?.0)?;
        let entries = recent.entries(&Layer::default(), &subject, |_| true)?;
        for entry in &entries {
            let _event: layout::Stored<Event> = layout::decode(entry)?;
        }
        logs = Logs { logs: logs.logs + 1, events: logs.events + entries.len() as u64 };
    }
    Ok(logs)
}

/// Builds a copy as where `to` is a file system of its own.
#[cfg(test)]
pub(in crate::store::embedded) fn within(to: &Path, stream: &[u8]) -> Result<Copied, BackupError> {
    build(Draft::within(to)?, stream)
}
