//! Which Redis server the store uses and what it asks of it: address, certificates, durability; and why a store was not
//! opened.

use crate::loopback::is_loopback;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, TlsCertificates,
};
use secrecy::{ExposeSecret, SecretString};
use std::{fmt, fs, io, path::PathBuf, str::FromStr, time::Duration};

/// The server, and what is asked of it: `[store]` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address, `redis://` or `rediss://`, with user and database if they are not the default. It may hold the password.
    pub url: SecretString,
    /// The password, if the address does not hold it.
    pub password: Option<SecretString>,
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
    /// The store asks nothing of the server, and promises nothing.
    None,
}

impl FromStr for Durability {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "always" => Ok(Self::Always),
            "everysec" => Ok(Self::Everysec),
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
        self.connection_info().map(drop)
    }

    /// Whether the address asks for TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.url.expose_secret().starts_with("rediss://")
    }

    /// Whether the user, the password and all else that a server is told at login are those of `other`.
    #[must_use]
    pub fn has_login_of(&self, other: &Self) -> bool {
        let login = |settings: &Self| {
            let password = settings.password.as_ref().map(|password| password.expose_secret().to_owned());
            (settings.url.expose_secret().to_owned(), password)
        };
        login(self) == login(other)
    }

    /// Whether the password goes over a network without TLS: there is one, and the server is not on this machine.
    #[must_use]
    pub fn exposes_password(&self) -> bool {
        let Ok(info) = self.connection_info() else { return false };
        let is_far = match info.addr() {
            ConnectionAddr::Tcp(host, _) => !is_loopback(host),
            _ => false,
        };
        is_far && info.redis_settings().password().is_some()
    }

    fn connection_info(&self) -> Result<ConnectionInfo, &'static str> {
        let url = self.url.expose_secret();
        if !url.starts_with("redis://") && !url.starts_with("rediss://") {
            return Err("is no address of a Redis server");
        }
        let info = url.into_connection_info().map_err(|_| "is no address of a Redis server")?;
        // Messages of sharded channels come as pushes, which only RESP3 has.
        let mut login = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        if let Some(password) = &self.password {
            login = login.set_password(password.expose_secret());
        }
        Ok(info.set_redis_settings(login))
    }

    /// Returns host and port, without anything secret.
    pub(super) fn address(&self) -> String {
        self.connection_info().map_or_else(|_| "?".to_owned(), |info| info.addr().to_string())
    }

    /// Builds the client, and reads the certificates.
    pub(super) fn client(&self) -> Result<Client, ServerError> {
        let info = self.connection_info().map_err(ServerError::Url)?;
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Client::open(info).map_err(|_| ServerError::Url("is no address of a Redis server"));
        }
        let read =
            |path: &PathBuf| fs::read(path).map_err(|source| ServerError::Ca { path: path.clone(), source });
        let root_cert = self.ca.as_ref().map(read).transpose()?;
        let certificates = TlsCertificates { client_tls: None, root_cert };
        Client::build_with_tls(info, certificates).map_err(|_| ServerError::NoCa)
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
            ("no url", Some("8f3b1c2d"), false),
        ] {
            let settings = Settings {
                url: url.into(),
                password: password.map(Into::into),
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
