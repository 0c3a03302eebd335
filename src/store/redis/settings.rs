//! Which Redis servers the store uses and what it asks of them: address, certificates, durability; and why a store was not
//! opened.

use super::address::{self, Address, Topology};
use crate::loopback::is_loopback;
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, io, path::PathBuf, str::FromStr, time::Duration};

/// The server, and what is asked of it: `[store]` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address, with user and database if they are not the default: `redis://` for one server, `redis+cluster://` for a cluster,
    /// `redis+sentinel://` for a group that sentinels watch, or each with `rediss` for TLS. It may hold the password.
    pub url: SecretString,
    /// The password, if the address does not hold it.
    pub password: Option<SecretString>,
    /// The password of the sentinels, if they have one.
    pub sentinel_password: Option<SecretString>,
    /// The name that the certificates of all servers bear, if it is not the host that each is found at.
    pub tls_name: Option<String>,
    /// A file with the certificates that sign the server's, in PEM, if they are not among the system's.
    pub ca: Option<PathBuf>,
    /// The prefix of all keys and channels. Gateways with the same prefix on one server share their payments.
    pub prefix: String,
    /// What the server has to do before an append is acknowledged.
    pub durability: Durability,
    /// How many replicas must have an event before it is acknowledged.
    pub ack_replicas: u32,
    /// How long a log is kept after its last event.
    pub history: Duration,
    /// How many payments of each realm the index holds; 0 for no index.
    pub recent: usize,
}

/// When Redis has to sync its append-only file, in the words of Redis, and so what an acknowledged event survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Redis syncs before each answer, so what is acknowledged survives a power failure.
    Always,
    /// Redis syncs every second, so a power failure may lose the last second or two. The end of its process loses nothing as a
    /// rule, because Redis writes before it answers; but while a sync takes long, it holds its writes back for up to 2 s.
    #[default]
    Everysec,
    /// The operator's word that a rented service keeps what it has acknowledged. What the service tells of its settings must not contradict it.
    Service,
    /// The store asks nothing of the server, and promises nothing.
    None,
}

impl FromStr for Durability {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "always" => Ok(Self::Always),
            "everysec" => Ok(Self::Everysec),
            "service" => Ok(Self::Service),
            "none" => Ok(Self::None),
            _ => Err("is no durability"),
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::Service => "service",
            Self::None => "none",
        })
    }
}

/// Why the store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be parsed.
    #[error("[store] url {0}")]
    Url(&'static str),
    /// The file of certificates cannot be read.
    #[error("[store] ca: {path}: {source}; name a file of certificates in PEM", path = path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The certificates cannot be used.
    #[error("[store] ca: it holds no certificates that can be used; name a file of certificates in PEM")]
    NoCa,
    /// No server answers there, or its answers are errors.
    #[error("redis at {address} cannot be used: {reason}; start it, or mend url or password under [store]")]
    Unreachable {
        /// Host and port.
        address: String,
        /// The reason of the last attempt.
        reason: String,
    },
    /// The server answers, but it is not what the configuration asks for.
    #[error("redis at {address} is not as configured: {reason}")]
    Unfit {
        /// Host and port.
        address: String,
        /// Each fault with its remedy.
        reason: String,
    },
}

impl Settings {
    /// Checks that the address can be parsed; the error completes a sentence that begins with its key.
    pub fn check(&self) -> Result<(), &'static str> {
        self.read().map(drop)
    }

    /// Whether the address asks for TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.read().is_ok_and(|address| address.is_encrypted)
    }

    /// Whether sentinels tell which server is the primary.
    #[must_use]
    pub fn has_sentinels(&self) -> bool {
        self.read().is_ok_and(|address| matches!(address.topology, Topology::Sentinel(_)))
    }

    /// Whether the servers, the database and the certificates are those of `other`, whatever user and password are.
    #[must_use]
    pub fn has_servers_of(&self, other: &Self) -> bool {
        let servers = |settings: &Self| {
            let Address { topology, is_encrypted, seeds, login } = settings.read().ok()?;
            Some((topology, is_encrypted, seeds, login.db(), settings.ca.clone(), settings.tls_name.clone()))
        };
        servers(self) == servers(other)
    }

    /// Whether a password goes over a network without TLS: there is one, and a server is not on this machine.
    #[must_use]
    pub fn exposes_password(&self) -> bool {
        let Ok(address) = self.read() else { return false };
        let is_far = address.seeds.iter().any(|seed| !is_loopback(&seed.host));
        let has_password = address.login.password().is_some() || self.sentinel_password.is_some();
        !address.is_encrypted && is_far && has_password
    }

    /// Reads the address, and adds the password.
    pub(super) fn read(&self) -> Result<Address, &'static str> {
        let mut address = address::read(self.url.expose_secret())?;
        if let Some(password) = &self.password {
            address.login = address.login.set_password(password.expose_secret());
        }
        Ok(address)
    }

    /// Returns what the address names, without anything secret.
    pub(super) fn address(&self) -> String {
        let Ok(Address { topology, seeds, .. }) = self.read() else { return "?".to_owned() };
        let seeds = seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match topology {
            Topology::Single => seeds,
            Topology::Cluster => format!("{seeds} (cluster)"),
            Topology::Sentinel(group) => format!("{group}, of which tell the sentinels {seeds}"),
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, durability, ack_replicas, history, .. } = self;
        let address = self.address();
        write!(
            f,
            "redis at {address}, prefix {prefix}, durability {durability}, ack_replicas {ack_replicas}, history {history:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_exposed_only_without_tls_and_only_to_another_machine() {
        for (url, password, expected) in [
            ("redis://:8f3b1c2d@redis.internal:6379", None, true),
            ("redis://user:8f3b1c2d@10.0.0.5", None, true),
            ("redis://redis:6379", Some("8f3b1c2d"), true),
            ("redis://localhost.example", Some("8f3b1c2d"), true),
            ("redis://redis:6379", None, false),
            ("redis://user@redis:6379", None, false),
            ("rediss://:8f3b1c2d@redis.internal:6379", None, false),
            ("rediss://redis.internal", Some("8f3b1c2d"), false),
            ("redis://:8f3b1c2d@localhost:6379", None, false),
            ("redis://127.0.0.1:6379", Some("8f3b1c2d"), false),
            ("redis://[::1]:6379", Some("8f3b1c2d"), false),
            ("redis+cluster://127.0.0.1,10.0.0.5", Some("8f3b1c2d"), true),
            ("rediss+cluster://10.0.0.5", Some("8f3b1c2d"), false),
            ("redis+sentinel://10.0.0.5/mymaster", Some("8f3b1c2d"), true),
            ("no url", Some("8f3b1c2d"), false),
        ] {
            let settings = Settings {
                url: url.into(),
                password: password.map(Into::into),
                sentinel_password: None,
                tls_name: None,
                ca: None,
                prefix: "ps".into(),
                durability: Durability::None,
                ack_replicas: 0,
                history: Duration::from_secs(1),
                recent: 0,
            };
            assert_eq!(settings.exposes_password(), expected, "{url}");
        }
    }
}
