//! The load tool against servers that misbehave: each fault is found, and no fault ends in a hang or a panic.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, which clippy does not take for tests"
)]

mod environment;
mod faults;
mod merge;
mod output;
mod refused;
mod server;

use serde_json::Value;
use server::{Fault, Server};
use std::{path::Path, process::Command};
use tempfile::TempDir;

/// The outcome of a run of the tool.
struct Outcome {
    code: Option<i32>,
    report: Value,
    /// All that it printed.
    text: String,
    folder: TempDir,
}

impl Outcome {
    fn seen(&self, name: &str) -> u64 {
        self.report["seen"][name].as_u64().unwrap_or_else(|| panic!("{name}: {}", self.text))
    }

    fn has_problem(&self, word: &str) -> bool {
        let problems = self.report["problems"].as_array().unwrap();
        problems.iter().any(|problem| problem.as_str().unwrap().contains(word))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Runs the tool with these words, split at spaces.
fn load(words: &str) -> Outcome {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("report.json");
    let output = tool()
        .args(words.split(' '))
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(folder.path().join("report.html"))
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("panicked"), "{text}");
    let report = read(&json, &text);
    Outcome { code: output.status.code(), report, text, folder }
}

/// The tool, without the variables of Paystream that the shell of the developer may export.
fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PAYSTREAM")) {
        command.env_remove(name);
    }
    command
}

fn read(json: &Path, text: &str) -> Value {
    let written = std::fs::read(json).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    serde_json::from_slice(&written).unwrap()
}

/// A short run of updates on a few streams against a server with this fault.
fn run_against(fault: Fault) -> Outcome {
    let server = Server::start(fault);
    load(&format!(
        "mixed --public {} --streams 8 --payments 4 --rate 200 --seconds 1 --churn 0 --slow 0 --stalled 0 --patience 2 --longest-wait 100",
        server.address
    ))
}
