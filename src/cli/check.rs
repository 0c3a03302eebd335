//! `paystream check`: is the configuration fine?

use super::{ConfigFile, output};
use crate::{
    config::{Config, DEFAULT, Mistakes},
    ingest, store,
};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;

/// Checks a configuration file, without starting anything
///
/// Tells every mistake at once, one line each: its place, what is allowed, a remedy. Exit code 2 if there are any. Warns of
/// what is allowed, but hardly meant. Tells where the data folder is, and makes none.
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
            return Ok(output::say(ingest::preset_table().trim_end())?);
        }
        if self.ignored {
            return Ok(output::say(ingest::ignored_table().trim_end())?);
        }
        let checked = self.config.load().map(Checked::new);
        if self.json {
            output::say(&as_json(checked.as_ref()).to_string())?;
        }
        let checked = checked?;
        if !self.json {
            output::say(&checked.as_text(&self.config.config))?;
            for warning in &checked.warnings {
                output::complain(&format!("warning: {warning}"));
            }
        }
        Ok(())
    }
}

/// A configuration without a mistake, and what is to be said of it.
struct Checked {
    config: Config,
    /// Whether the data folder is there; none where there is no such folder, or it cannot be opened.
    is_there: Option<bool>,
    warnings: Vec<String>,
}

impl Checked {
    fn new(config: Config) -> Self {
        let mut warnings = config.warnings();
        let is_there = match &config.store {
            store::Settings::Redis(_) => None,
            store::Settings::Embedded(settings) => match settings.is_there() {
                Ok(is_there) => Some(is_there),
                Err(why) => {
                    warnings.push(why.to_string());
                    None
                }
            },
        };
        Self { config, is_there, warnings }
    }

    fn as_text(&self, file: &Path) -> String {
        let Config { sources, access, listen, store, .. } = &self.config;
        let sources: Vec<&str> = sources.iter().map(ingest::Source::name).collect();
        let kids = access.kids();
        let kids: Vec<&str> = kids.iter().map(|kid| &**kid).collect();
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let store = match (store, self.is_there) {
            (store::Settings::Embedded(settings), Some(true)) => {
                format!("{} (found)", settings.path.display())
            }
            (store::Settings::Embedded(settings), Some(false)) => {
                format!("{} (not there yet; will be made)", settings.path.display())
            }
            (store::Settings::Embedded(settings), None) => {
                format!("{} (cannot be used)", settings.path.display())
            }
            (redis, _) => redis.to_string(),
        };
        format!(
            "{}: fine\n  sources: {}\n  access keys: {}\n  streams on {}, webhooks on {}, admin on {}\n  store: {store}",
            file.display(),
            list(sources),
            list(kids),
            listen.public,
            listen.ingest,
            listen.admin,
        )
    }
}

fn as_json(checked: Result<&Checked, &Mistakes>) -> Value {
    match checked {
        Ok(Checked { config, is_there, warnings }) => {
            let store = match &config.store {
                store::Settings::Embedded(settings) => {
                    json!({"kind": "embedded", "path": settings.path, "found": is_there})
                }
                store::Settings::Redis(_) => json!({"kind": "redis"}),
            };
            json!({"ok": true, "mistakes": [], "warnings": warnings, "store": store})
        }
        Err(mistakes) => {
            let list: Vec<_> = mistakes.iter().map(|m| json!({"line": m.line, "text": m.text})).collect();
            json!({"ok": false, "mistakes": list})
        }
    }
}
