//! The failures of commands, and the exit code of each: 1 if something failed while the command was running, 2 if the arguments or
//! the configuration are wrong and nothing was started. `reconcile` compares, so there 1 means that something differs, and 2 that
//! the comparison was not possible; `verify` tries a webhook, so there 1 means that it is rejected; for `doctor`, 1 means that it found
//! something, and 2 that it could not try.

use super::output;
use crate::config::ConfigMistakes;
use std::{io, process::ExitCode};

/// The arguments are well-formed, but ask for something impossible. The exit code is 2, as for a mistake in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// The comparison was not possible. The exit code is 2, because 1 means that something differs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotCompared(pub(super) String);

/// The gateway refused the request, and the reason has been printed already. The exit code is 1.
#[derive(Debug, thiserror::Error)]
#[error("the gateway refused the request")]
pub(super) struct Refused;

/// Prints why a command failed, unless that has been done, and returns the exit code.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    if !error.is::<Refused>() {
        output::complain(&format!("{error:#}"));
    }
    let is_two = error.is::<ConfigMistakes>() || error.is::<Usage>() || error.is::<NotCompared>();
    ExitCode::from(if is_two { 2 } else { 1 })
}

/// Whether the program that read our output has stopped reading, as `head` does. That is no failure of the command.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let gone = || anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&gone()));
        assert!(is_broken_pipe(&gone().context("while printing")));
        assert!(!is_broken_pipe(&anyhow::Error::from(io::Error::from(io::ErrorKind::NotFound))));
    }
}
