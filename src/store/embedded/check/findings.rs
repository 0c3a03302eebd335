//! What a check finds: damage, and the end of a journal that was not written wholly.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// What is damaged.
    pub damage: Vec<Damage>,
    /// The last write of the last journal, if it is not whole. Nobody was told that it had succeeded.
    pub unfinished: Option<Unfinished>,
    /// The whole writes of the journals.
    pub writes: u64,
    /// The events in them.
    pub events: u64,
    /// The sorted files whose checksums were compared.
    pub tables: u64,
    /// The sorted files that were not read, because there are too many for a start.
    pub unread: u64,
}

/// A damaged file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and where.
    pub what: String,
    /// What would be lost with it.
    pub lost: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

/// The end of a journal that was not written wholly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfinished {
    /// The journal.
    pub file: PathBuf,
    /// The end of its last whole write, in bytes from the beginning.
    pub at: u64,
    /// The bytes after that, without the zeros at the end of the file.
    pub bytes: u64,
}

/// Reads a file whole; nothing if it is missing.
pub(super) fn read_if_there(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn missing(file: PathBuf, lost: &str) -> Damage {
    Damage { file, what: "is missing".to_owned(), lost: lost.to_owned() }
}
