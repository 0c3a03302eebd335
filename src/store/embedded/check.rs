//! The check of a data folder's files, before the library opens them and without changing any of them.
//!
//! The library cuts a journal at the first write that it cannot read, says so at its debug level, and goes on with what came before. That is
//! right for the last write of a process that was killed, and loses acknowledged events where a bit has flipped. So this check tells the
//! two apart first: what the end of a journal lacks was never acknowledged; anything else is damage, which is refused. It knows the
//! library's format (fjall 3) and nothing of tasks or of what the gateway wants with its data.
//!
//! | file | noun |
//! |---|---|
//! | `findings` | what a check finds |
//! | `journal` | the journals: batches of writes, each with a checksum |
//! | `tables`  | the sorted files and the list of them, each with a checksum |

mod findings;
mod journal;
mod tables;

pub use findings::{Damage, Findings, Unfinished};
pub(super) use tables::named;

use findings::{missing, read_if_there};

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The bytes of sorted files that are read at a start. A folder that holds more is checked in part: the newest files first. The checksums of
/// the rest are compared block by block when they are read, and wholly by `paystream store check`. A gibibyte takes a second or two.
pub(super) const AT_START: u64 = 1 << 30;

/// The file that says which format of the library the folder has, and its content.
const VERSION: (&str, &[u8]) = ("version", b"FJL\x03");

/// The keyspaces that a finished folder has: the library's own, and ours.
const KEYSPACES: [&str; 2] = ["0", "1"];

/// Who writes the journal on which acknowledged events depend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// The library.
    Library,
    /// The store itself. What the library's journals hold is in the sorted files too.
    Store,
}

/// Checks the library's folder, and reads at most `budget` bytes of sorted files. The folder must have been finished once. An error says that a
/// file could not be read.
pub(super) fn check(database: &Path, owner: Owner, budget: u64) -> io::Result<Findings> {
    let mut findings = Findings::default();
    let version = database.join(VERSION.0);
    match read_if_there(&version)? {
        Some(content) if content == VERSION.1 => {}
        Some(_) => findings.damage.push(Damage {
            file: version,
            what: "does not hold the format that this version writes".to_owned(),
            lost: "nothing, if the other files are whole".to_owned(),
        }),
        None => findings.damage.push(missing(version, "nothing, if the other files are whole")),
    }
    let mut persisted = None;
    let mut budget = budget;
    for keyspace in keyspaces(database, &mut findings)? {
        let newest = tables::check(&keyspace, &mut budget, &mut findings)?;
        if keyspace.ends_with(KEYSPACES[1]) && owner == Owner::Library {
            persisted = newest;
        }
    }
    journal::check(database, persisted, &mut findings)?;
    Ok(findings)
}

/// The folders of the keyspaces.
fn keyspaces(database: &Path, findings: &mut Findings) -> io::Result<Vec<PathBuf>> {
    let folder = database.join("keyspaces");
    let mut keyspaces: Vec<_> = KEYSPACES.iter().map(|name| folder.join(name)).collect();
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        // Each keyspace is reported as missing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(keyspaces),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let is_number = entry.file_name().to_str().is_some_and(|name| name.parse::<u64>().is_ok());
        if !is_number && entry.file_type()?.is_dir() {
            let (file, what) = (entry.path(), "is no folder of the store".to_owned());
            findings.damage.push(Damage { file, what, lost: "nothing".to_owned() });
        } else if !keyspaces.contains(&entry.path()) && entry.file_type()?.is_dir() {
            keyspaces.push(entry.path());
        }
    }
    Ok(keyspaces)
}
