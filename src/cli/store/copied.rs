//! What a copy of a data folder came to.

use crate::{cli::output, store::embedded::Copied};
use serde_json::json;
use std::path::Path;

/// Prints what a copy came to: `done` says what was done, for people.
pub(super) fn say(copied: Copied, done: &str, path: &Path, is_json: bool) -> anyhow::Result<()> {
    let Copied { files, bytes, logs } = copied;
    if is_json {
        let logs = logs.map(|logs| json!({ "logs": logs.logs, "events": logs.events }));
        let report = json!({ "path": path, "files": files, "bytes": bytes, "read": logs });
        return Ok(output::say(&report.to_string())?);
    }
    let checked = match logs {
        Some(logs) => format!("{} logs with {} events in it were read", logs.logs, logs.events),
        None => "all checksums in it were compared".to_owned(),
    };
    Ok(output::say(&format!("{done}: {files} files of {bytes} bytes; {checked}"))?)
}
