//! Who may look into a data folder: symbolic links, which could lead anywhere, and rights that are wider than the gateway needs.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The rights of everyone but the owner.
const OTHERS: u32 = 0o077;

/// What a look at a folder found.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// A symbolic link within the folder, or the folder itself if it leads to another user's.
    pub(super) link: Option<PathBuf>,
    /// The first file or folder that others than its owner may open, and how many there are.
    pub(super) wide: Option<(PathBuf, u64)>,
}

impl Rights {
    /// Looks at a folder and all that it holds; at nothing, if there is no folder. The folder itself may be a link to a folder of our own, as
    /// where a volume is mounted elsewhere.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut rights = Self::default();
        let Some(itself) = if_there(fs::symlink_metadata(folder))? else { return Ok(rights) };
        let Some(target) = if_there(fs::metadata(folder))? else {
            // The link leads nowhere.
            rights.link = Some(folder.into());
            return Ok(rights);
        };
        if itself.is_symlink() && target.uid() != rustix::process::geteuid().as_raw() {
            rights.link = Some(folder.into());
        }
        rights.take(folder, &target);
        rights.look(folder)?;
        Ok(rights)
    }

    fn look(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            // A file may vanish meanwhile, if another gateway has the folder open.
            let Some(metadata) = if_there(fs::symlink_metadata(&path))? else { continue };
            if metadata.is_symlink() {
                self.link.get_or_insert(path);
            } else {
                self.take(&path, &metadata);
                if metadata.is_dir() {
                    self.look(&path)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, metadata: &fs::Metadata) {
        if metadata.permissions().mode() & OTHERS != 0 {
            self.wide.get_or_insert_with(|| (path.into(), 0)).1 += 1;
        }
    }

    /// The warning of rights that are too wide, if they are.
    pub(super) fn warning(&self, folder: &Path) -> Option<String> {
        let (first, count) = self.wide.as_ref()?;
        Some(format!(
            "{}: other users of this machine may open {count} of its files and folders, such as {}; run `chmod -R go= {}`",
            folder.display(),
            first.display(),
            folder.display(),
        ))
    }
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
