//! The command line: one file per command. Text for people, `--json` for programs; what was asked for goes to standard
//! output, all else to standard error.
//!
//! Exit codes: 0 fine; 1 something failed while running; 2 wrong arguments or configuration, nothing was started. `reconcile`, which
//! compares, says 1 where something differs and 2 where it could not find out.

mod check;
mod demo;
mod output;
mod port;
mod post;
mod reconcile;
mod serve;
mod token;
mod trigger;
mod watch;

use crate::{
    access::ALL,
    config::{Config, Environment, Mistakes, duration, environment},
    payment::Name,
};
use clap::{Args, Parser, Subcommand};
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Payment webhooks in, payment status out: verifies what providers post and streams each payment's status to browsers.
#[derive(Debug, Parser)]
#[command(name = "paystream", version, arg_required_else_help = true, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  paystream demo                                     see it work, without any configuration
  paystream serve --dev                              a gateway to develop against: open, on loopback only
  paystream check --print-default > paystream.toml   the commented configuration, to begin with
  paystream serve --config paystream.toml            the gateway

Exit codes: 0 fine, 1 failed while running, 2 wrong arguments or configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Trigger(trigger::Trigger),
    Watch(watch::Watch),
    Reconcile(reconcile::Reconcile),
    Token(token::Token),
    Check(check::Check),
}

/// Which configuration a command works with.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long, short, value_name = "FILE", default_value = "paystream.toml", env = "PAYSTREAM_CONFIG")]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Mistakes> {
        self.read(Config::load)
    }

    /// Reads of the file what `read` does.
    fn read<T>(&self, read: impl FnOnce(&Path, &Environment) -> Result<T, Mistakes>) -> Result<T, Mistakes> {
        read(&self.config, &environment())
    }
}

/// The arguments were understood, but ask for something that cannot be: exit code 2, as for a mistake in the
/// configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// What was to be compared could not be found out: exit code 2, since 1 says that something differs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Undone(String);

/// What was asked of another program was refused, and it has been said why: exit code 1, and no more words.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

/// Runs the program with these arguments, the first being its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // The reader may be gone; there is nobody to tell.
            let _unheard = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(cli.command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<Refused>() {
                output::complain(&format!("{error:#}"));
            }
            let is_two = error.is::<Mistakes>() || error.is::<Usage>() || error.is::<Undone>();
            ExitCode::from(if is_two { 2 } else { 1 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Reconcile(reconcile) => return block_on(reconcile.run()),
        Command::Check(check) => check.run(),
        Command::Token(token) => token.run(),
        Command::Serve(serve) => block_on(serve.run()),
        Command::Demo(demo) => block_on(demo.run()),
        Command::Trigger(trigger) => block_on(trigger.run()),
        Command::Watch(watch) => block_on(watch.run()),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Runs to the end on a runtime of its own. What blocking work is left then is not waited for: a second signal has to end
/// the process at once.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Whoever read our output has had enough, as `head` has: no failure of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn a_name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: crate::payment::NameError| error.to_string())
}

/// A payment's id. `*` is none: it stands for all payments, in an operator's token alone.
fn a_payment(text: &str) -> Result<Name, String> {
    if text == ALL { Err("`*` is no payment's id; name one".to_owned()) } else { a_name(text) }
}

fn a_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| format!("it {error}"))
}

#[cfg(test)]
mod tests;
