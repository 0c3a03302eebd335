//! The data folder: whose it is, which format it has, and that nobody else has it open.
//!
//! A marker file says all three: it names the format, and it is what gets locked. Nothing that is not ours is ever
//! touched: a folder that holds anything but lacks the marker is refused. The marker is written last, so an empty one
//! means that a creation did not finish, and that nothing can have been promised yet.

use super::OpenError;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

const MARKER: &str = "PAYSTREAM";
const DATABASE: &str = "db";
const TITLE: &str = "Paystream embedded store, format ";
/// Grows whenever an older gateway could not read what a newer one writes.
const FORMAT: u32 = 1;
/// The marker has one short line; more than this is not ours.
const MARKER_MAX: u64 = 256;

/// An open data folder. Unlocked when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    marker: File,
    finished: bool,
}

impl Folder {
    /// Creates the folder if there is none, locks it, and checks that it is ours and that its format is known.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: path.into(), source };
        create(path).map_err(io)?;
        let marker = path.join(MARKER);
        if !marker.try_exists().map_err(io)? && fs::read_dir(path).map_err(io)?.next().is_some() {
            // The other one of two gateways that start at once may have put its marker there just now.
            if !marker.try_exists().map_err(io)? {
                return Err(OpenError::Foreign { path: path.into() });
            }
        }
        let marker = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(marker)
            .map_err(io)?;
        match marker.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let mut folder = Self { path: path.into(), marker, finished: false };
        folder.finished = folder.check()?;
        Ok(folder)
    }

    /// Where the library keeps its files.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Whether the creation of this folder came to its end, so that a database has to be there.
    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Marks the folder as ours for good.
    pub(super) fn finish(&mut self) -> Result<(), OpenError> {
        if !self.finished {
            self.write_marker().map_err(|source| OpenError::Io { path: self.path.clone(), source })?;
            self.finished = true;
        }
        Ok(())
    }

    fn write_marker(&mut self) -> io::Result<()> {
        self.marker.rewind()?;
        writeln!(self.marker, "{TITLE}{FORMAT}")?;
        self.marker.sync_all()?;
        // The names of the new files must be as durable as what is in them, and so must the folder's own name.
        File::open(&self.path)?.sync_all()?;
        match self.path.canonicalize()?.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }

    fn check(&mut self) -> Result<bool, OpenError> {
        let mut text = Vec::new();
        (&mut self.marker)
            .take(MARKER_MAX)
            .read_to_end(&mut text)
            .map_err(|source| OpenError::Io { path: self.path.clone(), source })?;
        if text.is_empty() {
            return Ok(false);
        }
        let format = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.strip_prefix(TITLE)?.trim_end().parse::<u32>().ok())
            .filter(|format| *format > 0);
        match format {
            Some(found) if found > FORMAT => {
                Err(OpenError::TooNew { path: self.path.clone(), found, known: FORMAT })
            }
            Some(_) if !self.database().is_dir() => {
                Err(self.corrupt(format!("its {DATABASE} folder is missing")))
            }
            Some(_) => Ok(true),
            None => Err(self.corrupt(format!("its {MARKER} file is not readable"))),
        }
    }

    /// The refusal of a damaged folder.
    pub(super) fn corrupt(&self, reason: String) -> OpenError {
        OpenError::Corrupt { path: self.path.clone(), reason }
    }

    /// What the library's refusal means.
    pub(super) fn refused(&self, error: fjall::Error) -> OpenError {
        match error {
            fjall::Error::Locked => OpenError::Locked { path: self.path.clone() },
            // A file that ends too early or holds what it should not is damage, whatever the library calls it.
            fjall::Error::Io(source)
                if !matches!(
                    source.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::NotFound
                ) =>
            {
                OpenError::Io { path: self.path.clone(), source }
            }
            other => self.corrupt(other.to_string()),
        }
    }
}

/// Whether there is a data folder at `path`, whose creation came to its end. Looks, and changes nothing; what [`Folder::open`]
/// would refuse at first sight is refused here too.
pub(super) fn is_there(path: &Path) -> Result<bool, OpenError> {
    let io = |source| OpenError::Io { path: path.into(), source };
    match fs::metadata(path.join(MARKER)) {
        Ok(marker) => return Ok(marker.len() > 0),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Err(_) => {}
    }
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => Err(OpenError::Foreign { path: path.into() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io(error)),
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    // Payments are nobody's business but the gateway's.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
