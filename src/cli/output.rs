//! Standard output and standard error, without the panics of `println!`.

use std::io::{self, Write};

/// One line for whoever reads the answer; flushed, so that a pipe gets it at once.
pub(super) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A line about how it went, apart from the answer. If nobody can read it, nobody can be told so.
pub(super) fn complain(line: &str) {
    let _unheard = writeln!(io::stderr().lock(), "{line}");
}
