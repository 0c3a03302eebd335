//! What can be said of a data folder without opening it: who else may read it, and whether its files are whole.

use super::{
    change, check,
    check::{Damage, Findings},
    folder::{Folder, FolderError},
    journal::{self, JournalError},
    rights,
};
use std::path::Path;

/// Warns if other users of the machine may open a data folder or what it holds. A folder that cannot be looked at is no matter of rights.
#[must_use]
pub fn warning_of(path: &Path) -> Option<String> {
    rights::Rights::of(path).ok()?.warning(path)
}

/// Checks all files of a data folder that no gateway has open, and changes none.
pub fn check_folder(path: &Path) -> Result<Findings, FolderError> {
    check_files(path, &Folder::look(path)?)
}

pub(super) fn check_files(path: &Path, folder: &Folder) -> Result<Findings, FolderError> {
    let io = |source| FolderError::Io { path: path.into(), source };
    let mut findings = check::check(&folder.database(), folder.owner(), u64::MAX).map_err(io)?;
    let damage = match folder.journal() {
        Ok(None) => None,
        Ok(Some(files)) => {
            match journal::check(&files, |group| findings.events += change::events_of(group)) {
                Ok(groups) => {
                    findings.writes += groups;
                    None
                }
                Err(JournalError::Io(source)) => return Err(io(source)),
                Err(JournalError::Damaged(what)) => Some(what),
            }
        }
        Err(FolderError::Corrupt { reason, .. }) => Some(reason),
        Err(error) => return Err(error),
    };
    let lost = "what the damaged places held, unless the tree holds it too".to_owned();
    findings.damage.extend(damage.map(|what| Damage { file: path.join("journal"), what, lost }));
    Ok(findings)
}
