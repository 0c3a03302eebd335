//! The configuration: one TOML file, environment variables over it, checked whole before anything starts.
//!
//! Two stages. `document` is what was typed: the file with the place of each value, and the overrides. `read` turns it into
//! the types below, which hold only what is valid: sources and access are built there, once, since that is how they are
//! checked. Every mistake is found in one go; each is one line with its place, what is allowed and a remedy. Secrets are named
//! by reference (`env:NAME`, `file:path`), and no message shows one.
//!
//! This room knows the settings types of the rooms that it configures. None of them knows it.

mod dev;
mod document;
pub mod duration;
mod excerpt;
mod mistake;
mod read;
mod secret;

#[cfg(test)]
mod tests;

pub use dev::{DEV_REALM, DEV_SECRET, fresh_secret};
pub use excerpt::{Operating, Posting, Signer, Signing};
pub use mistake::{Mistake, Mistakes};

use crate::{access, ingest, limits::Limits, store, stream, telemetry};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    str::FromStr,
};

/// Everything that can be configured, valid as a whole. What had to be built to be checked is handed on as it was built.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Where events are kept.
    pub store: store::Settings,
    /// The webhook endpoints.
    pub sources: Vec<ingest::Source>,
    /// Who may watch what.
    pub access: access::Access,
    /// How streams behave.
    pub stream: stream::Settings,
    /// Opens the admin listener's `/admin/…`, which is closed without one.
    pub admin_token: Option<SecretString>,
    /// The bounds.
    pub limits: Limits,
    /// How log lines look.
    pub log: telemetry::Format,
}

/// The three sockets. `ingest` may equal `public`: then they are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Streams and snapshots.
    pub public: SocketAddr,
    /// Webhooks.
    pub ingest: SocketAddr,
    /// Health, metrics, operators.
    pub admin: SocketAddr,
}

impl Listen {
    /// The given addresses, with what stands for those that are not given: loopback, and for `ingest` the public socket.
    fn or_default(public: Option<SocketAddr>, ingest: Option<SocketAddr>, admin: Option<SocketAddr>) -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let public = public.unwrap_or(loopback(PUBLIC_PORT));
        Self { public, ingest: ingest.unwrap_or(public), admin: admin.unwrap_or(loopback(ADMIN_PORT)) }
    }
}

/// Where streams, and unless told otherwise webhooks, are served.
const PUBLIC_PORT: u16 = 8080;
/// Where operators are served.
const ADMIN_PORT: u16 = 9090;

/// Which half of the gateway a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// Webhooks only.
    Ingest,
    /// Streams only.
    Stream,
    /// Both.
    #[default]
    All,
}

impl Role {
    /// Whether it has the half that takes webhooks.
    #[must_use]
    pub const fn takes_webhooks(self) -> bool {
        matches!(self, Self::Ingest | Self::All)
    }

    /// Whether it has the half that streams.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::All)
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ingest" => Ok(Self::Ingest),
            "stream" => Ok(Self::Stream),
            "all" => Ok(Self::All),
            _ => Err("allowed: all, ingest, stream"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingest => "ingest",
            Self::Stream => "stream",
            Self::All => "all",
        })
    }
}

/// Settings that are read once, at start, each with its value in words.
pub type Fixed = [(&'static str, String); 10];

/// The manual: every key with its default and what it means. Valid as it stands.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// The environment: names and values.
pub type Environment = BTreeMap<String, String>;

/// Reads a file, and of it what `read` does.
fn load<T>(
    file: &Path,
    environment: &Environment,
    read: impl FnOnce(&document::Document<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| {
        let remedy = format!(
            "give the right file with --config, or begin with: paystream check --print-default > {name}"
        );
        Mistakes::one(format!("{name}: cannot be read: {error}; {remedy}"))
    })?;
    parse(&name, &text, environment, read)
}

fn parse<T>(
    file: &str,
    text: &str,
    environment: &Environment,
    read: impl FnOnce(&document::Document<'_>) -> Option<T>,
) -> Result<T, Mistakes> {
    let mistakes = mistake::Collector::default();
    let document = document::Document::parse(file, text, environment, &mistakes);
    let value = document.and_then(|document| read(&document));
    let mistakes = mistakes.into_mistakes();
    // No value without a mistake cannot happen; should it, an empty list of mistakes is still a refusal.
    value.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

/// The environment of this process. What is no Unicode is kept with replacement characters, to be refused where it is used.
#[must_use]
pub fn environment() -> Environment {
    let text = |os: OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

impl Config {
    /// Reads the file, with the overrides of the environment over it.
    pub fn load(file: &Path, environment: &Environment) -> Result<Self, Mistakes> {
        load(file, environment, read::config)
    }

    /// Reads the text of a file named `file`, with the overrides of the environment over it.
    pub fn parse(file: &str, text: &str, environment: &Environment) -> Result<Self, Mistakes> {
        parse(file, text, environment, read::config)
    }

    /// The settings that are read once, at start: their keys, and what they are set to.
    #[must_use]
    pub fn fixed(&self) -> Fixed {
        let Self { listen, store, limits, log, .. } = self;
        [
            ("listen.public", listen.public.to_string()),
            ("listen.ingest", listen.ingest.to_string()),
            ("listen.admin", listen.admin.to_string()),
            ("store", store.to_string()),
            ("limits.connections", limits.connections.to_string()),
            ("limits.backlog", limits.backlog.to_string()),
            ("limits.buffered_bytes", limits.buffered_bytes.to_string()),
            ("limits.deliveries", limits.deliveries.to_string()),
            ("limits.log_reads", limits.log_reads.to_string()),
            ("log.format", format!("{log:?}")),
        ]
    }

    /// What is allowed, but hardly meant: one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let Self { sources, access, .. } = self;
        if !sources.is_empty() && access.is_shut() {
            let nobody = "there is no [[access.key]], so nobody can watch a payment here; add one, unless this node only takes \
                          webhooks (--role ingest)";
            return vec![nobody.to_owned()];
        }
        let shut = sources.iter().filter(|source| !access.opens(source.realm()));
        shut.map(|source| {
            let (name, realm) = (source.name(), source.realm());
            format!(
                "source {name:?}: no [[access.key]] may sign for its realm {realm:?}, so nobody can watch its payments here; add \
                 {realm:?} to the realms of a key, or mend the source's realm"
            )
        })
        .collect()
    }

    /// Whether this configuration can run as `role`: halves in two processes need a store that both can reach.
    pub fn check_role(&self, role: Role) -> Result<(), Mistakes> {
        if role == Role::All || matches!(self.store, store::Settings::Redis(_)) {
            return Ok(());
        }
        Err(Mistakes::one(format!(
            "--role {role}: the embedded store belongs to one process, which has to be both halves; use --role all, or kind = \"redis\" under [store]"
        )))
    }
}
