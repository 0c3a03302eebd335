//! The files that hold secrets, as they were when they were read, so that a change is noticed: whoever rotates a secret replaces its
//! file, and tells nobody.
//!
//! A file is compared by its metadata and, if that changed, by its content. Looking at it again and again works on every filesystem,
//! while events of the kernel (inotify) miss what another machine wrote to a network filesystem. Kubernetes replaces a secret by
//! turning a symbolic link above it to another folder; the metadata is that of the file at the end of all links, so it changes too.

use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// The largest file that may hold a secret. An RSA key of 8192 bits in PEM, the longest useful one, has 6.4 kB.
const MAX_BYTES: u64 = 64 << 10;

/// How long after a change the next one certainly bears another time, on any filesystem.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The files with secrets that a configuration refers to. Their number is bounded by the length of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SecretFiles(BTreeMap<PathBuf, Seen>);

/// A file when it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    stamp: Option<Stamp>,
    /// A hash of the content, because the secret itself must not be kept here.
    digest: Option<[u8; 32]>,
}

/// The metadata by which a changed file is noticed: device, inode, length, and the times of the last change of content and of the
/// inode, in seconds and nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether another change would bear another time. It might not while the last one is only moments old, because the times of
    /// files advance in steps of some milliseconds. Such a file looks changed at the next look, and is compared by its content.
    is_settled: bool,
}

/// How all files looked at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look(Vec<Option<Stamp>>);

impl SecretFiles {
    /// Reads a file that holds a secret, and remembers it. A pipe is read but not remembered, since it can be read only once.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<String> {
        // The metadata is read first: what is written in between is then taken for a change, and not overlooked.
        let found = fs::metadata(path);
        let stamp =
            found.as_ref().ok().map(|found| Stamp { is_settled: is_settled(found), ..Stamp::of(found) });
        let is_pipe = found.as_ref().is_ok_and(|found| !found.is_file());
        let content = found.and_then(|found| secret(path, &found));
        if !is_pipe {
            let digest = content.as_ref().ok().map(|content| Sha256::digest(content).into());
            self.0.entry(path.to_owned()).or_insert(Seen { stamp, digest });
        }
        content
    }

    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How the files looked when they were read.
    #[must_use]
    pub fn read_as(&self) -> Look {
        Look(self.0.values().map(|seen| seen.stamp).collect())
    }

    /// How the files look now. Waits for the disk.
    #[must_use]
    pub fn look(&self) -> Look {
        Look(self.0.keys().map(|path| stamp(path)).collect())
    }

    /// The same files as they are now, with the paths of those whose content is another. Waits for the disk.
    #[must_use]
    pub fn reread(&self) -> (Self, Vec<PathBuf>) {
        let mut now = Self::default();
        // An error counts as other content, and is reported when the configuration is read.
        self.0.keys().for_each(|path| drop(now.read(path)));
        let is_other = |(path, seen): &(&PathBuf, &Seen)| {
            self.0.get(*path).is_none_or(|before| before.digest != seen.digest)
        };
        let changed = now.0.iter().filter(is_other).map(|(path, _)| path.clone()).collect();
        (now, changed)
    }
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            is_settled: true,
        }
    }
}

/// Whether the last change is old enough for the next one to bear another time.
fn is_settled(found: &Metadata) -> bool {
    let age = found.modified().ok().and_then(|modified| modified.elapsed().ok());
    age.is_some_and(|age| age >= SETTLED_AFTER)
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().as_ref().map(Stamp::of)
}

/// The text of a file without the line break at its end, which editors and `echo` add.
fn secret(path: &Path, found: &Metadata) -> io::Result<String> {
    if found.len() > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {MAX_BYTES} bytes, the most that a secret may have"
        )));
    }
    let text = fs::read_to_string(path)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::unix::fs::symlink, time::SystemTime};

    fn files(paths: &[&Path]) -> SecretFiles {
        let mut files = SecretFiles::default();
        paths.iter().for_each(|path| drop(files.read(path)));
        files
    }

    /// Sets the time of the last change to an hour ago.
    fn age(path: &Path) {
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().append(true).open(path).unwrap().set_modified(hour_ago).unwrap();
    }

    #[test]
    fn a_change_is_noticed_however_the_file_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "one").unwrap();
        let replace = |how: fn(&Path, &Path)| {
            if path.exists() {
                age(&path);
            }
            let files = files(&[&path]);
            assert_eq!(files.look(), files.read_as(), "nothing has changed yet");
            how(&path, &folder.path().join("other"));
            assert_ne!(files.look(), files.read_as());
            files.reread().1.len()
        };
        assert_eq!(replace(|path, _| fs::write(path, "two").unwrap()), 1, "same length, same inode");
        let renamed = replace(|path, other| {
            fs::write(other, "six").unwrap();
            fs::rename(other, path).unwrap();
        });
        assert_eq!(renamed, 1);
        assert_eq!(replace(|path, _| fs::write(path, "six").unwrap()), 0, "its content is the same");
        assert_eq!(replace(|path, _| fs::remove_file(path).unwrap()), 1);
        assert_eq!(replace(|path, _| fs::write(path, "ten").unwrap()), 1);
    }

    /// Two changes within one step of the clock of a filesystem have the same time.
    #[test]
    fn a_file_that_was_just_written_is_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "one").unwrap();
        let files = files(&[&path]);
        assert_ne!(files.look(), files.read_as());
        assert!(files.reread().1.is_empty());
        age(&path);
        let (settled, changed) = files.reread();
        assert!(changed.is_empty());
        assert_eq!(settled.look(), settled.read_as());
    }

    #[test]
    fn the_links_of_kubernetes_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, secret) in [("..v1", "one"), ("..v2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("secret"), secret).unwrap();
            age(&at(version).join("secret"));
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/secret", at("secret")).unwrap();
        let files = files(&[&at("secret")]);
        symlink("..v2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_ne!(files.look(), files.read_as());
        let (now, changed) = files.reread();
        assert_eq!(changed, [at("secret")]);
        assert_eq!(now.look(), now.read_as());
    }

    #[test]
    fn no_secret_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "a-very-visible-text").unwrap();
        assert!(!format!("{:?}", files(&[&path])).contains("visible"));
    }
}
