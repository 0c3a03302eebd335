//! `paystream store restore`: makes a backup the data folder.

use super::{copied, data_folder::DataFolder};
use crate::store::embedded;
use clap::Args;
use std::path::PathBuf;

/// Makes a backup the data folder
///
/// Checks every file of the backup, copies it, and checks the copy, before the data folder gets its name. The gateway must be stopped, and
/// the data folder must be empty or not exist: move the old one away first. Run it as the user that runs the gateway. Pages whose
/// payments are further than the backup are told that the store was rolled back, and are shown what it holds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mv paystream-data paystream-data.old
  paystream store restore --config paystream.toml /backups/2026-11-30")]
pub(super) struct StoreRestoreArgs {
    /// The backup
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    #[command(flatten)]
    data: DataFolder,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl StoreRestoreArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let folder = self.data.path()?;
        let made = embedded::restore_folder(&self.from, &folder)?;
        let done = format!("{} is restored from {}", folder.display(), self.from.display());
        copied::say(made, &done, &folder, self.json)
    }
}
