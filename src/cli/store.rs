//! `paystream store`: looks after the data folder of the embedded store.
//!
//! | file | noun |
//! |---|---|
//! | `check`   | whether the files of a folder are whole |
//! | `backup`  | a copy of a folder, whether a gateway has it open or not |
//! | `restore` | a copy that becomes the data folder |
//! | `data_folder` | the argument that names the folder |
//! | `copied`  | what a copy came to, for people and programs |

mod backup;
mod check;
mod copied;
mod data_folder;
mod restore;

use backup::StoreBackupArgs;
use check::StoreCheckArgs;
use clap::{Args, Subcommand};
use restore::StoreRestoreArgs;
use std::process::ExitCode;

/// Looks after the data folder of the embedded store
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream store backup --config paystream.toml /backups/2026-11-30
  paystream store check --config paystream.toml
  paystream store restore --config paystream.toml /backups/2026-11-30")]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    Backup(StoreBackupArgs),
    Restore(StoreRestoreArgs),
    Check(StoreCheckArgs),
}

impl StoreArgs {
    /// Returns the exit code.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            StoreCommand::Check(check) => check.run(),
            StoreCommand::Backup(backup) => backup.run().await.map(|()| ExitCode::SUCCESS),
            StoreCommand::Restore(restore) => restore.run().map(|()| ExitCode::SUCCESS),
        }
    }
}
