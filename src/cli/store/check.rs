//! `paystream store check`: whether the files of a data folder are whole.

use super::data_folder::DataFolder;
use crate::{
    cli::output,
    store::embedded::{self, Findings},
};
use clap::Args;
use serde_json::{Value, json};
use std::{path::Path, process::ExitCode};

/// Checks every file of a data folder against its checksums, and says what would be lost
///
/// Reads all files and changes none. The gateway must be stopped: the folder is locked while it is checked. The exit code is 0 if all is
/// whole, 1 if something is damaged or the folder cannot be checked, and 2 if the arguments or the configuration are wrong. The
/// end of a write that a kill or a power loss cut off is no damage: nobody was told that it had succeeded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream store check --config paystream.toml
  paystream store check --data ./paystream-data --json")]
pub(super) struct StoreCheckArgs {
    #[command(flatten)]
    data: DataFolder,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl StoreCheckArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = self.data.path()?;
        let findings = embedded::check_folder(&folder)?;
        let warning = embedded::warning_of(&folder);
        if self.json {
            output::say(&as_json(&folder, &findings, warning.as_deref()).to_string())?;
        } else {
            output::say(&as_text(&folder, &findings))?;
            if let Some(warning) = warning {
                output::complain(&format!("warning: {warning}"));
            }
        }
        Ok(if findings.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The findings for people.
fn as_text(folder: &Path, findings: &Findings) -> String {
    let Findings { damage, unfinished, writes, events, tables, .. } = findings;
    let mut lines = vec![match damage.len() {
        0 => format!("{}: whole", folder.display()),
        count => format!("{}: damaged in {count} places", folder.display()),
    }];
    lines.push(format!(
        "  {writes} writes with {events} events in the journals are whole; {tables} sorted files were compared with their checksums"
    ));
    for found in damage {
        lines.push(format!("  damaged: {found}\n    would be lost: {}", found.lost));
    }
    if let Some(unfinished) = unfinished {
        lines.push(format!(
            "  {}: the last write was not finished ({} bytes from byte {} on); nobody was told that it had succeeded, and the next start \
             removes it",
            unfinished.file.display(),
            unfinished.bytes,
            unfinished.at,
        ));
    }
    if !damage.is_empty() {
        lines.push("  Nothing was changed. Copy the folder before anything else, then restore a backup or start with an empty folder".to_owned());
    }
    lines.join("\n")
}

fn as_json(folder: &Path, findings: &Findings, warning: Option<&str>) -> Value {
    let Findings { damage, unfinished, writes, events, tables, .. } = findings;
    let damage: Vec<_> = damage
        .iter()
        .map(|damage| json!({ "file": damage.file, "what": damage.what, "lost": damage.lost }))
        .collect();
    let unfinished = unfinished
        .as_ref()
        .map(|unfinished| json!({ "file": unfinished.file, "at": unfinished.at, "bytes": unfinished.bytes }));
    json!({
        "path": folder, "ok": damage.is_empty(), "damage": damage, "unfinished": unfinished,
        "journal": { "writes": writes, "events": events }, "tables": tables,
        "warnings": warning.into_iter().collect::<Vec<_>>(),
    })
}
