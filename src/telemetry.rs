//! Log lines: to standard error, as text for people or as JSON for programs.

use std::{
    io::{self, IsTerminal},
    str::FromStr,
};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("is no log format"),
        }
    }
}

/// What is logged unless `RUST_LOG` says otherwise. The storage library tells of its own housekeeping at `info`.
const DEFAULT_FILTER: &str = "info,fjall=warn,lsm_tree=warn";

/// Starts logging for the whole process. `RUST_LOG` chooses what is logged, by default everything from `info` up. A second
/// call changes nothing.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // Colours are for terminals; in a file or a journal they are noise, and an escape is a way to hide text.
    let lines = tracing_subscriber::fmt()
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_writer(io::stderr);
    // An error says that logging was started before, by a test or by the program around us: theirs stays.
    let _started = match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
}
