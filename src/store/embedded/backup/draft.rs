//! The draft of a copy: a folder of another name while it is made, so that nothing under the name that was asked for is ever half a copy.
//!
//! It is made beside that name and renamed. Where the name is that of a file system of its own, as with a container's volume, a rename cannot
//! reach it; there the copy is made within, and moved up with its marker last, without which a folder is no data folder.

use super::{
    super::folder::{self, MARKER},
    BackupError, io_of,
};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The name of what is not complete begins and ends so.
const UNFINISHED: (&str, &str) = (".", ".unfinished");

/// A folder in which a copy is made. Dropping it removes it.
pub(super) struct Draft {
    /// The path that the copy gets.
    target: PathBuf,
    staging: TempDir,
    /// Whether the copy is made within the target.
    is_within: bool,
}

impl Draft {
    /// Makes a draft for a copy that gets the path `target`, which is an empty folder or does not exist, and does not lie within `source`.
    pub(super) fn new(target: &Path, source: Option<&Path>) -> Result<Self, BackupError> {
        let is_there = is_empty_folder(target)?;
        let target = resolved(target, is_there)?;
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(BackupError::Occupied(target));
        };
        if let Some(source) = source.and_then(|source| source.canonicalize().ok())
            && target.starts_with(source)
        {
            return Err(BackupError::Inside(target));
        }
        match is_there && device_of(&target)? != device_of(parent)? {
            true => Self::within(&target),
            false => Self::below(parent, &target, name),
        }
    }

    /// A draft within the folder that the copy becomes.
    pub(super) fn within(target: &Path) -> Result<Self, BackupError> {
        let draft = Self::below(target, target, OsStr::new("copy"))?;
        Ok(Self { is_within: true, ..draft })
    }

    fn below(folder: &Path, target: &Path, name: &OsStr) -> Result<Self, BackupError> {
        let (before, after) = UNFINISHED;
        let prefix = format!("{before}{}.", name.to_string_lossy());
        let alone = fs::Permissions::from_mode(0o700);
        let staging =
            tempfile::Builder::new().prefix(&prefix).suffix(after).permissions(alone).tempdir_in(folder);
        Ok(Self { target: target.into(), staging: staging.map_err(io_of(folder))?, is_within: false })
    }

    /// The folder in which the copy is made.
    pub(super) fn path(&self) -> &Path {
        self.staging.path()
    }

    /// Makes everything in the draft durable, and returns the number of its files and their length in bytes.
    pub(super) fn sync(&self) -> Result<(u64, u64), BackupError> {
        sync(self.path()).map_err(io_of(self.path()))
    }

    /// Gives the copy its path, durably.
    pub(super) fn publish(self) -> Result<(), BackupError> {
        let Self { target, staging, is_within } = self;
        let failed = io_of(&target);
        if is_within {
            move_up(staging.path(), &target).map_err(failed)?;
            staging.close().map_err(failed)?;
        } else {
            // The system refuses if there is a file, a link, or a folder that is not empty any more.
            fs::rename(staging.path(), &target).map_err(failed)?;
            // What it would remove has another name now.
            let _old_name = staging.keep();
        }
        sync_folder(&target).map_err(failed)?;
        target.parent().map_or(Ok(()), sync_folder).map_err(failed)
    }
}

/// Whether there is an empty folder. Anything else under that name is an error.
fn is_empty_folder(path: &Path) -> Result<bool, BackupError> {
    let is_there = match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(io_of(path)(error)),
    };
    if !is_there {
        return Ok(false);
    }
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(io_of(path)(error)),
        _ => Err(BackupError::Occupied(path.into())),
    }
}

/// The path without links, so that it can be compared and its parent be found.
fn resolved(path: &Path, is_there: bool) -> Result<PathBuf, BackupError> {
    if is_there {
        return path.canonicalize().map_err(io_of(path));
    }
    let Some(name) = path.file_name() else { return Err(BackupError::Occupied(path.into())) };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    folder::create(parent).map_err(io_of(parent))?;
    Ok(parent.canonicalize().map_err(io_of(parent))?.join(name))
}

fn device_of(path: &Path) -> Result<u64, BackupError> {
    Ok(fs::metadata(path).map_err(io_of(path))?.dev())
}

/// Moves everything from `from` to `to`, the marker last.
fn move_up(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != MARKER {
            fs::rename(entry.path(), to.join(entry.file_name()))?;
        }
    }
    sync_folder(to)?;
    fs::rename(from.join(MARKER), to.join(MARKER))
}

fn sync(path: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let below = sync(&entry.path())?;
            (files, bytes) = (files + below.0, bytes + below.1);
        } else {
            File::open(entry.path())?.sync_all()?;
            (files, bytes) = (files + 1, bytes + entry.metadata()?.len());
        }
    }
    sync_folder(path)?;
    Ok((files, bytes))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
