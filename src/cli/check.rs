//! `paystream check`: is the configuration fine?

use super::{ConfigFile, output};
use crate::{
    config::{Config, DEFAULT, Mistakes},
    source,
};
use clap::Args;
use serde_json::json;

/// Checks a configuration file, without starting anything
///
/// Tells every mistake at once, one line each: its place, what is allowed, a remedy. Exit code 2 if there are any.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream check --config paystream.toml
  paystream check --print-default > paystream.toml
  paystream check --presets
  paystream check --ignored")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the default configuration, which explains every key, instead of checking one
    #[arg(long)]
    print_default: bool,
    /// Print the table of the presets that come with the program, instead of checking
    #[arg(long)]
    presets: bool,
    /// Print which events of these presets change no status, and why, instead of checking
    #[arg(long)]
    ignored: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        if self.print_default {
            return Ok(output::say(DEFAULT.trim_end())?);
        }
        if self.presets {
            return Ok(output::say(source::preset_table().trim_end())?);
        }
        if self.ignored {
            return Ok(output::say(source::ignored_table().trim_end())?);
        }
        let checked = self.config.load();
        if self.json {
            output::say(&as_json(checked.as_ref()).to_string())?;
        }
        let config = checked?;
        if !self.json {
            output::say(&as_text(&self.config.config.display().to_string(), &config))?;
        }
        Ok(())
    }
}

fn as_json(checked: Result<&Config, &Mistakes>) -> serde_json::Value {
    match checked {
        Ok(_) => json!({"ok": true, "mistakes": []}),
        Err(mistakes) => {
            let list: Vec<_> = mistakes.iter().map(|m| json!({"line": m.line, "text": m.text})).collect();
            json!({"ok": false, "mistakes": list})
        }
    }
}

fn as_text(file: &str, config: &Config) -> String {
    let sources: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
    let keys: Vec<&str> = config.access.keys.iter().map(|key| key.kid.as_str()).collect();
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let listen = &config.listen;
    format!(
        "{file}: fine\n  sources: {}\n  access keys: {}\n  streams on {}, webhooks on {}, admin on {}",
        list(sources),
        list(keys),
        listen.public,
        listen.ingest,
        listen.admin
    )
}
