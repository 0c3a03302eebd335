//! Backups: copies of a data folder that can take its place.
//!
//! To copy the files of a running gateway gives no backup, because they change meanwhile. So the gateway sends what its store held at one
//! moment, and the command builds a data folder of it. The files of a folder that no gateway has open are copied as they are, and a
//! backup is restored in the same way.
//!
//! | file | noun |
//! |---|---|
//! | `sender` | the thread that reads an open store and sends it |
//! | `stream` | the format of what it sends |
//! | `copy`   | a data folder that is built from such a stream |
//! | `files`  | a data folder that is copied file by file |
//! | `draft`  | a copy that is being made, until it is complete and gets its name |

mod copy;
mod draft;
mod files;
mod sender;
mod stream;

pub use copy::copy_from_gateway;
#[cfg(test)]
pub(super) use copy::within;
pub use files::{copy_folder, restore_folder};
pub(super) use sender::send;

use super::{Damage, FolderError};
use crate::store::StoreError;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A copy that is complete, checked and durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copied {
    /// The number of its files.
    pub files: u64,
    /// Their length, in bytes.
    pub bytes: u64,
    /// The logs that were read one by one, and their events; nothing if files were copied and their checksums compared.
    pub logs: Option<Logs>,
}

/// The logs of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Logs {
    /// Their number.
    pub logs: u64,
    /// The number of their events.
    pub events: u64,
}

/// Why there is no copy. What was written of it has been removed, and what was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something where the copy would be.
    #[error("{path}: not an empty folder; name one that is empty, or that does not exist", path = .0.display())]
    Occupied(PathBuf),
    /// The copy would be made within what is copied.
    #[error("{path}: within the data folder itself; name a folder elsewhere", path = .0.display())]
    Inside(PathBuf),
    /// What is to be copied is damaged.
    #[error("{path}: damaged, so it is not copied ({damage}); `paystream store check --data {path}` says what would be lost", path = path.display())]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// The first of the damaged files.
        damage: Damage,
    },
    /// The copy is not what was copied.
    #[error("the copy is not whole: {0}; the disk may be failing, or this is a defect of the program")]
    Unlike(String),
    /// The stream of a gateway is not one that this version knows.
    #[error("the gateway's version differs from this program's; use the program that the gateway runs ({0})")]
    Foreign(String),
    /// The stream of a gateway ended before its end.
    #[error("the gateway ended the backup early ({0}); its log may say why; try again")]
    Early(io::Error),
    /// A data folder was refused.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store that is being built failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system refused an operation.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// An error of the operating system about `path`.
fn io_of(path: &Path) -> impl Fn(io::Error) -> BackupError + Copy + '_ {
    |source| BackupError::Io { path: path.into(), source }
}
