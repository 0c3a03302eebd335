//! What the tool prints and the files that it writes.

use anyhow::{Context as _, Result};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Prints to a stream that may be closed: a reader that has gone away, such as `head`, is no failure of this tool.
pub(crate) fn print(text: &str, out: &mut dyn Write) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a line of progress to the standard error.
pub(crate) fn progress(line: &str) {
    print(&format!("{line}\n"), &mut io::stderr());
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Fails if a file cannot be written, so that a run does not end with a report that has no place. What the file holds is kept, and
/// a file that is not there yet is not left behind.
pub(crate) fn ensure_writable(path: &Path) -> Result<()> {
    let existed = path.exists();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    if !existed {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn trying_a_file_changes_nothing() {
        let folder = TempDir::new().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "kept").unwrap();
        ensure_writable(&old).unwrap();
        ensure_writable(&new).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "kept");
        assert!(!new.exists());
        for bad in [folder.path().to_owned(), folder.path().join("missing/report.html")] {
            let error = format!("{:#}", ensure_writable(&bad).unwrap_err());
            assert!(error.contains(&format!("cannot write {}", bad.display())), "{error}");
        }
    }
}
