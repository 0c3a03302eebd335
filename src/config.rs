//! The configuration: one TOML file and the environment variables that override it. It is checked completely before anything starts.
//!
//! It is read in two stages. `document` holds what was written: the file with the line of each value, and the overrides. `read` turns
//! that into settings that are known to be valid. Sources and access are checked by building them, and what was built is used as it
//! is. All mistakes are reported at once, one line each, with the place, what is allowed and how to fix it. Secrets are given by
//! reference (`env:NAME`, `file:path` or `credential:NAME`), and no message contains one.
//!
//! This room knows the settings of the rooms that it configures. None of them knows this room.
//!
//! | file | noun |
//! |---|---|
//! | `document`  | the file and the overrides as they were written |
//! | `read`      | the settings of each section |
//! | `scope`     | which secrets are resolved |
//! | `excerpt`   | the part of a configuration that a single command needs |
//! | `files`     | the files that hold secrets, as they were when they were read |
//! | `dev`       | the configuration without a file |
//! | `mistake`   | mistakes, and how they are collected |
//! | `proxying`  | the proxies in front of the gateway |
//! | `tls`       | the TLS of the listeners |
//! | `listen`, `role`, `realm`, `duration`, `secret`, `environment` | the kinds of values |

mod dev;
mod document;
pub mod duration;
mod environment;
mod excerpt;
mod files;
mod listen;
mod mistake;
mod proxying;
mod read;
mod realm;
mod role;
mod scope;
mod secret;
mod tls;

#[cfg(test)]
mod tests;

pub use dev::{DEV_SECRET, fresh_secret};
pub use environment::{Environment, environment};
pub use excerpt::{Operating, Posting, Signing};
pub use files::{Look, SecretFiles};
pub use listen::{Listen, ListenerKind};
pub use mistake::{ConfigMistake, ConfigMistakes};
pub use proxying::Proxying;
pub use realm::DEFAULT_REALM;
pub use role::Role;
pub use scope::TokenSigner;
pub use secret::referred;
pub use tls::Tls;

use crate::{access, limits::Limits, source, store, stream, telemetry};
use document::Document;
use read::{AdminSection, Parts};
use scope::SecretScope;
use std::{fs, path::Path};

/// The whole configuration, which is known to be valid. Sources and access have been built already, because that checks them.
#[derive(Debug)]
pub struct Config {
    /// The addresses of the listeners.
    pub listen: Listen,
    /// The proxies in front of the gateway.
    pub proxying: Proxying,
    /// The TLS of the listeners.
    pub tls: Tls,
    /// The store of the events.
    pub store: store::Settings,
    /// Whether the quarantine keeps the bodies of events.
    pub holds_bodies: bool,
    /// The webhook endpoints, one for each provider account.
    pub sources: Vec<source::Source>,
    /// Decides who may watch which payments.
    pub access: access::Access,
    /// How streams behave.
    pub stream: stream::Settings,
    /// Those whose tokens open `/admin/…` on the admin listener. Without any, these routes are closed.
    pub operators: access::Operators,
    /// The names of hosts under which the admin listener may be addressed, besides `localhost` and all IP addresses.
    pub admin_hosts: Vec<String>,
    /// Whether the public listener serves the dashboard page.
    pub dashboard: bool,
    /// Whether the public listener is for this machine alone, and so refuses requests for hosts that are not this machine: `serve
    /// --dev` and `demo`, which trust whoever reaches them.
    pub is_local: bool,
    /// The bounds of memory, time and connections.
    pub limits: Limits,
    /// The format of log lines.
    pub log: telemetry::Format,
    /// The files with secrets that it was read from.
    pub secret_files: SecretFiles,
}

/// The settings that apply only after a restart: the key and the value of each, for the log.
pub type Fixed = [(&'static str, String); 14];

/// The default configuration. It is also the manual: it explains every key.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// The text of a configuration file. It can be read again when a file with a secret has changed, whether the configuration file
/// itself has changed or is being edited.
#[derive(Clone, Debug)]
pub struct ConfigText {
    /// The path of the file, for messages and for relative paths.
    file: String,
    text: String,
}

impl ConfigText {
    /// Reads a file, without looking at what it says.
    pub fn load(file: &Path) -> Result<Self, ConfigMistakes> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| {
            let remedy = format!(
                "give the path of a configuration file with --config, or create this one: paystream check --print-default > {name}"
            );
            ConfigMistakes::one(format!("{name}: the file cannot be read ({error}); {remedy}"))
        })?;
        Ok(Self { file: name, text })
    }

    /// Reads the whole configuration, with its secrets. Environment variables override its values.
    pub fn parse(&self, environment: &Environment) -> Result<Config, ConfigMistakes> {
        Config::parse(&self.file, &self.text, environment)
    }
}

/// Reads a file, of which `read` takes what it needs.
fn load<T>(
    file: &Path,
    environment: &Environment,
    read: impl FnOnce(&Document<'_>) -> Option<T>,
) -> Result<T, ConfigMistakes> {
    let ConfigText { file, text } = ConfigText::load(file)?;
    parse(&file, &text, environment, read)
}

fn parse<T>(
    file: &str,
    text: &str,
    environment: &Environment,
    read: impl FnOnce(&Document<'_>) -> Option<T>,
) -> Result<T, ConfigMistakes> {
    let mistakes = mistake::Collector::default();
    let document = Document::parse(file, text, environment, &mistakes);
    let value = document.and_then(|document| read(&document));
    let mistakes = mistakes.into_mistakes();
    // `read` returns nothing only after it reported a mistake. If it should break this promise, the caller still gets an error.
    value.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

impl Config {
    /// Reads a configuration file. Environment variables override its values.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, ConfigMistakes> {
        load(file, environment, Self::read)
    }

    /// Reads the text of a configuration file with the path `file`. Environment variables override its values.
    pub fn parse(file: &str, text: &str, environment: &Environment) -> Result<Self, ConfigMistakes> {
        parse(file, text, environment, Self::read)
    }

    /// The whole configuration. It is `None` only if a mistake was reported.
    fn read(document: &Document<'_>) -> Option<Self> {
        let Parts {
            listen,
            proxying,
            tls,
            store,
            holds_bodies,
            sources,
            access,
            stream,
            admin: AdminSection { operators, hosts: admin_hosts, .. },
            dashboard,
            limits,
            log,
            ..
        } = read::parts(document, &SecretScope::All);
        Some(Self {
            listen,
            proxying,
            tls,
            store: store?,
            holds_bodies,
            sources,
            access: access?,
            stream,
            operators,
            admin_hosts,
            dashboard,
            is_local: false,
            limits,
            log,
            secret_files: document.secret_files(),
        })
    }

    /// The settings that apply only after a restart, with their keys.
    #[must_use]
    pub fn fixed(&self) -> Fixed {
        let Self { listen, proxying, tls, store, holds_bodies, dashboard, limits, log, .. } = self;
        [
            ("listen.public", listen.public.to_string()),
            ("listen.ingest", listen.ingest.to_string()),
            ("listen.admin", listen.admin.to_string()),
            ("listen: proxies", proxying.to_string()),
            ("tls", tls.to_string()),
            ("store", store.to_string()),
            ("store.quarantine_bodies", holds_bodies.to_string()),
            ("limits.connections", limits.connections.to_string()),
            ("limits.backlog", limits.backlog.to_string()),
            ("limits.buffered_bytes", limits.buffered_bytes.to_string()),
            ("limits.deliveries", limits.deliveries.to_string()),
            ("limits.log_reads", limits.log_reads.to_string()),
            ("pages.dashboard", dashboard.to_string()),
            ("log.format", format!("{log:?}")),
        ]
    }

    /// Settings that are allowed but probably not intended, in one sentence each. A node that runs one half is not warned of what
    /// seems to be missing, because it may be configured on the nodes of the other half.
    #[must_use]
    pub fn warnings(&self, role: Role) -> Vec<String> {
        let mut warnings = self.exposures();
        warnings.extend(self.tls.warnings());
        if role == Role::All {
            warnings.extend(self.blind_spots());
        }
        if self.dashboard && role.streams() && !self.access.opens_all() {
            let nobody = "[pages] dashboard: no [[access.key]] has operator = true, and the dashboard needs a token for all payments, which \
                          only such a key may sign; add operator = true to a key, or turn the dashboard off";
            warnings.push(nobody.to_owned());
        }
        if self.dashboard && role.streams() && self.store.recent() == 0 {
            let empty = "[pages] dashboard: [store] recent = 0 keeps no list of all payments, so the dashboard shows none; raise recent \
                         (100000 is the default), or turn the dashboard off";
            warnings.push(empty.to_owned());
        }
        warnings
    }

    /// What others could read on the network, or what the store does not use.
    fn exposures(&self) -> Vec<String> {
        match &self.store {
            store::Settings::Redis(redis) if redis.exposes_password() => vec![
                "[store] url: redis:// sends the password to the server without encryption, and the server is not on this machine; use \
                 rediss:// (TLS), unless nobody else can read the network between the two"
                    .to_owned(),
            ],
            store::Settings::Redis(redis) if redis.sentinel_password.is_some() && !redis.has_sentinels() => vec![
                "[store] sentinel_password: the url names no sentinels, so nothing uses it; let the url begin with redis+sentinel:// \
                 or rediss+sentinel://, or remove the key"
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// Payments that nobody can watch.
    fn blind_spots(&self) -> Vec<String> {
        let Self { sources, access, .. } = self;
        if !sources.is_empty() && access.is_shut() {
            let nobody = "there is no [[access.key]], so nobody can watch a payment on this node; add a key, unless the node only takes \
                          webhooks (--role ingest)";
            return vec![nobody.to_owned()];
        }
        let shut = sources.iter().filter(|source| !access.opens(source.realm()));
        shut.map(|source| {
            let (name, realm) = (source.name(), source.realm());
            format!(
                "source {name:?}: no [[access.key]] may sign for its realm {realm:?}, so nobody can watch its payments on this node; add \
                 {realm:?} to the realms of a key, or correct the realm of the source"
            )
        })
        .collect()
    }

    /// Checks that this configuration can run as `role`. A role other than `all` needs a store that several processes can share.
    pub fn check_role(&self, role: Role) -> Result<(), ConfigMistakes> {
        if role == Role::All || matches!(self.store, store::Settings::Redis(_)) {
            return Ok(());
        }
        Err(ConfigMistakes::one(format!(
            "--role {role}: the embedded store can be used by one process only, so that process has to take webhooks and serve streams; use --role all, or set kind = \"redis\" under [store]"
        )))
    }
}
