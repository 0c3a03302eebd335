//! The command line, with one file per command. Results are written to standard output, as text for people or with `--json` for
//! programs; everything else goes to standard error.
//!
//! | file | noun |
//! |---|---|
//! | `argument`    | how the values of arguments are parsed |
//! | `config_file` | the configuration file that a command works with |
//! | `client`      | the HTTP client of the commands |
//! | `one_source`  | the source that a command works with |
//! | `exit`        | failures, and the exit code of each |
//! | `output`      | standard output and standard error |
//! | `port`        | the error of a port that is in use |
//! | `sse`         | server-sent events, parsed |
//! | `table`       | tables for people |

mod argument;
mod audit;
mod backfill;
mod check;
mod client;
mod completions;
mod config_file;
mod deliveries;
mod demo;
mod doctor;
mod erase;
mod exit;
mod health;
mod listen;
mod man;
mod one_source;
mod output;
mod port;
mod quarantine;
mod reconcile;
mod rotation;
mod serve;
mod sse;
mod store;
mod streams;
mod table;
mod token;
mod trigger;
mod verify;
mod watch;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::{ffi::OsString, process::ExitCode};

/// Receives payment webhooks from providers and streams each payment's status to browsers
#[derive(Debug, Parser)]
#[command(name = "paystream", version, arg_required_else_help = true, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  paystream demo                                     show a payment live, without a configuration
  paystream serve --dev                              run an open gateway for development
  paystream check --print-default > paystream.toml   write the default configuration
  paystream serve --config paystream.toml            run the gateway

Exit codes:
  0  The command succeeded.
  1  The command failed while it was running.
  2  The arguments or the configuration are wrong; nothing was started.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Health(health::HealthArgs),
    Trigger(trigger::TriggerArgs),
    Verify(verify::VerifyArgs),
    Listen(listen::ListenArgs),
    Watch(watch::WatchArgs),
    Doctor(doctor::DoctorArgs),
    Quarantine(quarantine::QuarantineArgs),
    Reconcile(reconcile::ReconcileArgs),
    Backfill(backfill::BackfillArgs),
    Erase(erase::EraseArgs),
    Deliveries(deliveries::DeliveriesArgs),
    Streams(streams::StreamsArgs),
    Audit(audit::AuditArgs),
    Token(token::TokenArgs),
    Check(check::CheckArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Store(store::StoreArgs),
}

/// Runs the program with these arguments, of which the first is the name of the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    keep_files_private();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // If the reader of the output is gone, nobody is left who could be told.
            let _unheard = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    run(cli.command).unwrap_or_else(|error| exit::report(&error))
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Verify(verify) => return block_on(verify.run()),
        Command::Store(store) => return block_on(store.run()),
        Command::Doctor(doctor) => return block_on(doctor.run()),
        Command::Quarantine(quarantine) => return block_on(quarantine.run()),
        Command::Reconcile(reconcile) => return block_on(reconcile.run()),
        Command::Backfill(backfill) => block_on(backfill.run()),
        Command::Erase(erase) => block_on(erase.run()),
        Command::Health(health) => block_on(health.run()),
        Command::Deliveries(deliveries) => block_on(deliveries.run()),
        Command::Streams(streams) => block_on(streams.run()),
        Command::Audit(audit) => block_on(audit.run()),
        Command::Check(check) => block_on(check.run()),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
        Command::Token(token) => token.run(),
        // Before there are other threads, because it changes the environment.
        Command::Serve(serve) => serve.sockets().and_then(|sockets| block_on(serve.run(sockets))),
        Command::Demo(demo) => block_on(demo.run()),
        Command::Trigger(trigger) => block_on(trigger.run()),
        Command::Listen(listen) => block_on(listen.run()),
        Command::Watch(watch) => block_on(watch.run()),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Gives what this process creates to its user alone, such as the files of the data folder, which a library makes.
fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_bits_retain(0o077));
}

/// Runs `work` to its end on a new runtime. Blocking tasks that are still running then are abandoned, because a second signal has to
/// end the process at once.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests;
