//! `paystream check`: checks a configuration file, or prints what is built into the program.

use super::{config_file::ConfigFile, output};
use crate::{
    config::{Config, ConfigMistakes, DEFAULT, ListenerKind, Role},
    source,
    store::{
        self, embedded,
        redis::{self, Surveyed},
    },
    tls::Certificate,
};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path};

/// Checks a configuration file, without starting anything
///
/// Prints every mistake at once, one per line, with its place, what is allowed and how to fix it. The exit code is 2 if there is a
/// mistake. Also warns of settings that are allowed but probably not intended, and prints where the data folder is, without
/// creating it. With --connect, also goes to the Redis servers and says of each primary what it found; the exit code is 1 if an append
/// to one of them would fail.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  paystream check --config paystream.toml
  paystream check --config paystream.toml --connect
  paystream check --print-default > paystream.toml
  paystream check --presets
  paystream check --ignored")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Print the default configuration, which explains every key, instead of checking a file
    #[arg(long)]
    print_default: bool,
    /// Print a table of the built-in presets instead of checking a file
    #[arg(long)]
    presets: bool,
    /// Print which events of the built-in presets change no status, and why, instead of checking a file
    #[arg(long)]
    ignored: bool,
    /// Also connect to the Redis servers of the store and check each of them, as the gateway does at its start
    #[arg(long)]
    connect: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        if self.print_default {
            return Ok(output::say(DEFAULT.trim_end())?);
        }
        if self.presets {
            return Ok(output::say(source::preset_table().trim_end())?);
        }
        if self.ignored {
            return Ok(output::say(source::ignored_table().trim_end())?);
        }
        let mut checked = self.config.load().map(Checked::new);
        if let (true, Ok(Checked { config, servers, .. })) = (self.connect, &mut checked)
            && let store::Settings::Redis(settings) = &config.store
        {
            *servers = Some(redis::survey(settings).await?);
        }
        if self.json {
            output::say(&as_json(checked.as_ref()).to_string())?;
        }
        let checked = checked?;
        if !self.json {
            output::say(&checked.as_text(&self.config.path))?;
            for warning in &checked.warnings {
                output::complain(&format!("warning: {warning}"));
            }
        }
        let servers = checked.servers.iter().flatten();
        let unfit = servers.filter(|server| !server.is_fit).map(|server| &*server.server).collect::<Vec<_>>();
        anyhow::ensure!(unfit.is_empty(), "an append to {} would fail now", unfit.join(", "));
        Ok(())
    }
}

/// A configuration without a mistake, and what `check` found out about it.
struct Checked {
    config: Config,
    /// Whether the data folder exists. It is `None` if the store has no data folder, or if that cannot be opened.
    is_there: Option<bool>,
    warnings: Vec<String>,
    /// What was found at the Redis servers, if they were to be asked.
    servers: Option<Vec<Surveyed>>,
}

impl Checked {
    fn new(config: Config) -> Self {
        let mut warnings = config.warnings(Role::All);
        let is_there = match &config.store {
            store::Settings::Redis(_) => None,
            store::Settings::Embedded(settings) => match settings.is_there() {
                Ok(is_there) => {
                    warnings.extend(embedded::warning_of(&settings.path));
                    Some(is_there)
                }
                Err(why) => {
                    warnings.push(why.to_string());
                    None
                }
            },
        };
        Self { config, is_there, warnings, servers: None }
    }

    fn as_text(&self, file: &Path) -> String {
        let Config { sources, access, listen, tls, store, .. } = &self.config;
        let sources: Vec<&str> = sources.iter().map(source::Source::name).collect();
        let kids = access.kids();
        let kids: Vec<&str> = kids.iter().map(|kid| &**kid).collect();
        let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let address = |listener, address: SocketAddr| {
            let with_tls = if tls.is_on(listener) { ", TLS" } else { "" };
            format!("{address}{with_tls}")
        };
        let until = |certificate: &Certificate| {
            let (name, seconds) = (certificate.name(), certificate.not_after().as_secs());
            let until = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            until.map_or_else(|| name.to_owned(), |until| format!("{name} (until {until})"))
        };
        let certificates: Vec<String> =
            tls.certificates.iter().map(|certificate| until(certificate)).collect();
        let certificates = match certificates.as_slice() {
            [] => String::new(),
            all => format!("  certificates: {}\n", all.join(", ")),
        };
        let store = match (store, self.is_there) {
            (store::Settings::Embedded(settings), Some(true)) => {
                format!("{} (found)", settings.path.display())
            }
            (store::Settings::Embedded(settings), Some(false)) => {
                format!(
                    "{} (does not exist yet; the gateway creates it at its first start)",
                    settings.path.display()
                )
            }
            (store::Settings::Embedded(settings), None) => {
                format!("{} (cannot be used)", settings.path.display())
            }
            (settings @ store::Settings::Redis(_), _) => settings.to_string(),
        };
        let mut text = format!(
            "{}: the configuration is valid\n  sources: {}\n  access keys: {}\n  public listener (streams): {}\n  ingest listener (webhooks): {}\n  admin listener: {}\n{certificates}  store: {store}",
            file.display(),
            list(sources),
            list(kids),
            address(ListenerKind::Public, listen.public),
            address(ListenerKind::Ingest, listen.ingest),
            address(ListenerKind::Admin, listen.admin),
        );
        for Surveyed { server, finding, warnings, .. } in self.servers.iter().flatten() {
            text += &format!("\n  server {server}: {finding}");
            warnings.iter().for_each(|warning| text += &format!("\n    warning: {warning}"));
        }
        text
    }
}

fn as_json(checked: Result<&Checked, &ConfigMistakes>) -> Value {
    match checked {
        Ok(Checked { config, is_there, warnings, servers }) => {
            let store = match &config.store {
                store::Settings::Embedded(settings) => {
                    json!({"kind": "embedded", "path": settings.path, "found": is_there})
                }
                store::Settings::Redis(_) => json!({"kind": "redis"}),
            };
            let server = |Surveyed { server, is_fit, finding, warnings }: &Surveyed| json!({"server": server, "ok": is_fit, "finding": finding, "warnings": warnings});
            let servers = servers.as_ref().map(|servers| servers.iter().map(server).collect::<Vec<_>>());
            json!({"ok": true, "mistakes": [], "warnings": warnings, "store": store, "servers": servers})
        }
        Err(mistakes) => {
            let list: Vec<_> = mistakes.iter().map(|m| json!({"line": m.line, "text": m.text})).collect();
            json!({"ok": false, "mistakes": list})
        }
    }
}
