//! The data folder: its owner, its format, and the lock that keeps other processes out.
//!
//! A marker file says all three: it names the format, and it is the file that is locked. Nothing that belongs to others is ever
//! touched: a folder that holds anything but has no marker is refused. The marker is written last, so an empty one
//! means that a creation did not finish, and that nothing can have been promised yet.

use super::{
    check,
    journal::{EXTENT, FolderDisk},
    rights::Rights,
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

/// The name of the file that makes a folder a data folder.
pub(super) const MARKER: &str = "PAYSTREAM";
const DATABASE: &str = "db";
const JOURNAL: &str = "journal";
const TITLE: &str = "Paystream embedded store, format ";
/// The format of the folder. It is raised whenever an older gateway could not read what a newer one writes. Format 1 had no journal of its
/// own, only the library's.
const FORMAT: u32 = 2;
/// The marker has one short line. A longer file is not a marker.
const MARKER_MAX: u64 = 256;

/// Why a data folder was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it open.
    #[error("{path}: in use by another gateway; stop that one, or name another folder in [store] path", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds files, but none that say that it is a data folder of Paystream.
    #[error("{path}: not empty, and no data folder of Paystream; name a new or empty folder in [store] path", path = path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is a data folder, but it cannot be read.
    #[error(
        "{path}: damaged ({reason}); nothing in it was changed. `paystream store check --data {path}` says what would be lost. \
         Move the folder away, then restore a backup or start with an empty folder",
        path = path.display()
    )]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version wrote the folder.
    #[error("{path}: written by a newer version (its PAYSTREAM file says format {found}, this one knows {known}); run that version or a later one", path = path.display())]
    TooNew {
        /// The folder.
        path: PathBuf,
        /// The format of the folder.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// There is nothing to check.
    #[error("{path}: no data folder of Paystream; name the one in [store] path", path = path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
    },
    /// The folder, or something in it, is a symbolic link, which may lead to another user's files.
    #[error(
        "{path}: {link} is a symbolic link, which the store does not follow; put the file or folder itself there. Only the data folder \
         may be a link, to a folder that the gateway's user owns",
        path = path.display(), link = link.display()
    )]
    Link {
        /// The folder.
        path: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// The operating system refused an operation.
    #[error("{path}: {source}; check the folder's owner, its permissions and the room on its disk", path = path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// An open data folder. Dropping it unlocks it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    marker: File,
    /// The format that the marker names; nothing if the creation of the folder was not finished.
    format: Option<u32>,
}

impl Drop for Folder {
    /// Unlocks the folder at once. Closing the file is not enough: a process that is being started by another thread holds a copy of each
    /// open file until it runs its program.
    fn drop(&mut self) {
        // If it fails, closing unlocks it.
        let _ = self.marker.unlock();
    }
}

impl Folder {
    /// Creates the folder if there is none, locks it, and checks that it is a data folder of a known format.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.into(), source };
        refuse_links(path)?;
        create(path).map_err(io)?;
        let marker = path.join(MARKER);
        if !marker.try_exists().map_err(io)? && fs::read_dir(path).map_err(io)?.next().is_some() {
            // Two gateways may start at once: the other one may have created its marker just now.
            if !marker.try_exists().map_err(io)? {
                return Err(FolderError::Foreign { path: path.into() });
            }
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self::lock(path, options.open(marker).map_err(io)?)
    }

    /// Makes a complete data folder of one that holds a complete [`database`](Self::database) and nothing else.
    pub(super) fn complete(path: &Path) -> Result<(), FolderError> {
        let marker = new_file(&path.join(MARKER));
        Self::lock(path, marker.map_err(|source| FolderError::Io { path: path.into(), source })?)?
            .finish()?;
        Ok(())
    }

    /// Locks a finished folder, to look at it. Changes nothing.
    pub(super) fn look(path: &Path) -> Result<Self, FolderError> {
        refuse_links(path)?;
        if !is_there(path)? {
            return Err(FolderError::Absent { path: path.into() });
        }
        let marker = File::open(path.join(MARKER));
        Self::lock(path, marker.map_err(|source| FolderError::Io { path: path.into(), source })?)
    }

    fn lock(path: &Path, marker: File) -> Result<Self, FolderError> {
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Locked { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(FolderError::Io { path: path.into(), source }),
        }
        let mut folder = Self { path: path.into(), marker, format: None };
        folder.format = folder.check()?;
        Ok(folder)
    }

    /// The path below which the library keeps its files.
    pub(super) fn database(&self) -> PathBuf {
        database_of(&self.path)
    }

    /// Whether the creation of this folder was finished, so that a database has to be there.
    pub(super) const fn is_finished(&self) -> bool {
        self.format.is_some()
    }

    /// Who writes the journal that counts: in format 1 the library, and since then we.
    pub(super) fn owner(&self) -> check::Owner {
        if self.format == Some(FORMAT) { check::Owner::Store } else { check::Owner::Library }
    }

    /// Opens the files of the journal; nothing if the folder is new, or of a format that had none.
    pub(super) fn journal(&self) -> Result<Option<FolderDisk>, FolderError> {
        if self.format != Some(FORMAT) {
            return Ok(None);
        }
        let opened = FolderDisk::open(&journal_of(&self.path), EXTENT).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::InvalidData => {
                self.corrupt(format!("its journal: {error}"))
            }
            _ => FolderError::Io { path: self.path.clone(), source: error },
        });
        opened.map(Some)
    }

    /// Creates the files of the journal, and then writes the marker that names today's format.
    pub(super) fn finish(&mut self) -> Result<FolderDisk, FolderError> {
        let path = self.path.clone();
        let io = |source| FolderError::Io { path, source };
        let journal = journal_of(&self.path);
        let created = FolderDisk::create(&journal, EXTENT);
        let finished =
            created.and_then(|()| self.write_marker()).and_then(|()| FolderDisk::open(&journal, EXTENT));
        let files = finished.map_err(io)?;
        self.format = Some(FORMAT);
        Ok(files)
    }

    fn write_marker(&mut self) -> io::Result<()> {
        self.marker.rewind()?;
        writeln!(self.marker, "{TITLE}{FORMAT}")?;
        self.marker.sync_all()?;
        // The names of the new files must be as durable as their contents, and so must the folder's own name.
        File::open(&self.path)?.sync_all()?;
        match self.path.canonicalize()?.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    fn check(&mut self) -> Result<Option<u32>, FolderError> {
        let mut text = Vec::new();
        (&mut self.marker)
            .take(MARKER_MAX)
            .read_to_end(&mut text)
            .map_err(|source| FolderError::Io { path: self.path.clone(), source })?;
        if text.is_empty() {
            return Ok(None);
        }
        let format = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.strip_prefix(TITLE)?.trim_end().parse::<u32>().ok())
            .filter(|format| *format > 0);
        match format {
            Some(found) if found > FORMAT => {
                Err(FolderError::TooNew { path: self.path.clone(), found, known: FORMAT })
            }
            Some(_) if !self.database().is_dir() => {
                Err(self.corrupt(format!("its {DATABASE} folder is missing")))
            }
            Some(found) => Ok(Some(found)),
            None => Err(self.corrupt(format!("its {MARKER} file is not readable"))),
        }
    }

    /// The refusal of a damaged folder.
    pub(super) fn corrupt(&self, reason: String) -> FolderError {
        FolderError::Corrupt { path: self.path.clone(), reason }
    }

    /// The error of the library as an error of the folder.
    pub(super) fn refused(&self, error: fjall::Error) -> FolderError {
        match error {
            fjall::Error::Locked => FolderError::Locked { path: self.path.clone() },
            // A file that is missing, ends too early or holds invalid data is damage, whatever the library calls it.
            fjall::Error::Io(source)
                if !matches!(
                    source.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound
                ) =>
            {
                FolderError::Io { path: self.path.clone(), source }
            }
            other => self.corrupt(other.to_string()),
        }
    }
}

/// The path below which the library keeps the files of a data folder.
pub(super) fn database_of(path: &Path) -> PathBuf {
    path.join(DATABASE)
}

/// The path below which the segments of a data folder's journal are.
pub(super) fn journal_of(path: &Path) -> PathBuf {
    path.join(JOURNAL)
}

/// Creates a file for this user alone.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether there is a data folder at `path`, whose creation came to its end. Looks, and changes nothing; what [`Folder::open`]
/// would refuse at first sight is refused here too.
pub(super) fn is_there(path: &Path) -> Result<bool, FolderError> {
    let io = |source| FolderError::Io { path: path.into(), source };
    match fs::metadata(path.join(MARKER)) {
        Ok(marker) => return Ok(marker.len() > 0),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Err(_) => {}
    }
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => Err(FolderError::Foreign { path: path.into() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io(error)),
    }
}

fn refuse_links(path: &Path) -> Result<(), FolderError> {
    match Rights::of(path) {
        Ok(Rights { link: Some(link), .. }) => Err(FolderError::Link { path: path.into(), link }),
        Ok(_) => Ok(()),
        Err(source) => Err(FolderError::Io { path: path.into(), source }),
    }
}

/// Creates a folder for this user alone, unless it is there.
pub(super) fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    // Only the gateway's user may read payments.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
