//! The copy of a data folder that no gateway has open, file by file.

use super::{
    super::{
        folder::{self, Folder, FolderError, MARKER},
        journal::{Disk as _, EXTENT, FolderDisk},
        look::check_files,
    },
    BackupError, Copied,
    draft::Draft,
    io_of,
};
use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Copies the data folder `from` to the path `to`, which is an empty folder or does not exist. The files are as they were; all checksums in
/// them are compared before and after. Nobody can open `from` meanwhile.
pub fn copy_folder(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    let source = Folder::look(from)?;
    let draft = Draft::new(to, Some(from))?;
    let before = check_files(from, &source)?;
    if let Some(damage) = before.damage.into_iter().next() {
        return Err(BackupError::Damaged { path: from.into(), damage });
    }
    let copy = draft.path();
    copy_all(&source.database(), &folder::database_of(copy))?;
    if let Some(journal) = source.journal()? {
        let path = folder::journal_of(copy);
        copy_journal(&journal, &path).map_err(io_of(&path))?;
    }
    copy_file(&from.join(MARKER), &copy.join(MARKER))?;
    let (files, bytes) = draft.sync()?;
    let after = check_files(copy, &Folder::look(copy)?)?;
    if let Some(damage) = after.damage.first() {
        return Err(BackupError::Unlike(damage.to_string()));
    }
    if (before.writes, before.events, before.tables) != (after.writes, after.events, after.tables) {
        return Err(BackupError::Unlike(format!("{after:?} is in the copy")));
    }
    draft.publish()?;
    Ok(Copied { files, bytes, logs: None })
}

/// Makes the backup `from` the data folder `to`, as [`copy_folder`] does. A gateway that has `to` open is told apart from a folder that is
/// not empty.
pub fn restore_folder(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    match Folder::look(to) {
        Err(error @ FolderError::Locked { .. }) => Err(error.into()),
        _ => copy_folder(from, to),
    }
}

fn copy_all(from: &Path, to: &Path) -> Result<(), BackupError> {
    folder::create(to).map_err(io_of(to))?;
    for entry in fs::read_dir(from).map_err(io_of(from))? {
        let entry = entry.map_err(io_of(from))?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(io_of(from))?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(io_of(from))?;
    let mut target = folder::new_file(to).map_err(io_of(to))?;
    io::copy(&mut source, &mut target).map(drop).map_err(io_of(to))
}

/// Makes new segments, whose room on the disk is reserved, and writes what the old ones hold.
fn copy_journal(from: &FolderDisk, to: &Path) -> io::Result<()> {
    FolderDisk::create(to, EXTENT)?;
    let copy = FolderDisk::open(to, EXTENT)?;
    for slot in 0..EXTENT.segments {
        let bytes = from.read(slot)?;
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        copy.write(slot, 0, bytes.get(..length).unwrap_or_default())?;
    }
    Ok(())
}
