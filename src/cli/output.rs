//! Standard output and standard error, without the panics of `println!`.

use std::io::{self, Write};

/// Writes a line of the result to standard output, and flushes it so that a program at the other end of a pipe reads it at once.
pub(super) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a warning or an error to standard error, apart from the result. If that fails, nobody is left who could be told.
pub(super) fn complain(line: &str) {
    let _unheard = writeln!(io::stderr().lock(), "{line}");
}
