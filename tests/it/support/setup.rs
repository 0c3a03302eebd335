//! The configuration of a test's gateway.

use super::{ADMIN_TOKEN, GENERIC_SECRET, OPERATOR_KEY, OTHER_SECRET, RedisServer, STRIPE_SECRET, TOKEN_KEY};
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// What a test wants of its gateway. The default has the sources `acme` (generic) and `stripe` in realm `default` and
/// `other` (generic) in realm `other`, and the keys `k1` (for both realms) and `ops` (an operator's).
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) store: Store,
    pub(crate) sources: Vec<Source>,
    pub(crate) keys: Vec<Key>,
    /// Further lines under `[listen]`.
    pub(crate) listen: String,
    /// Lines under `[tls]`, and its certificates.
    pub(crate) tls: String,
    /// Whether streams and webhooks share one socket.
    pub(crate) one_socket: bool,
    /// The soft and the hard limit of open files; by default those of the tests.
    pub(crate) open_files: Option<(u32, u32)>,
    /// Lines under `[access]`.
    pub(crate) access: String,
    /// Lines under `[stream]`.
    pub(crate) stream: String,
    /// Lines under `[admin]`.
    pub(crate) admin: String,
    /// Whether the quarantine keeps bodies.
    pub(crate) quarantine_bodies: bool,
    /// Whether receipts are kept.
    pub(crate) receipts: bool,
    /// Lines under `[limits]`.
    pub(crate) limits: String,
    /// Lines under `[log]`.
    pub(crate) log: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Store {
    /// In the gateway's own folder, unless `PAYSTREAM_TEST_STORE` says otherwise.
    #[default]
    AsTheRunSays,
    /// In the gateway's own folder.
    Embedded,
    /// In this folder.
    EmbeddedIn(PathBuf),
    /// On a Redis server, with further lines under `[store]`.
    Redis { url: String, more: String },
}

#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) provider: String,
    pub(crate) realm: String,
    pub(crate) secrets: Vec<String>,
    /// Further lines.
    pub(crate) more: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) secret: String,
    pub(crate) realms: Vec<String>,
    pub(crate) operator: bool,
}

impl Source {
    pub(crate) fn new(name: &str, provider: &str, realm: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            provider: provider.to_owned(),
            realm: realm.to_owned(),
            secrets: vec![secret.to_owned()],
            more: String::new(),
        }
    }
}

impl Key {
    pub(crate) fn new(kid: &str, secret: &str, operator: bool) -> Self {
        Self {
            kid: kid.to_owned(),
            secret: secret.to_owned(),
            realms: vec!["default".to_owned(), "other".to_owned()],
            operator,
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            store: Store::AsTheRunSays,
            sources: vec![
                Source::new("acme", "generic", "default", GENERIC_SECRET),
                Source::new("stripe", "stripe", "default", STRIPE_SECRET),
                Source::new("other", "generic", "other", OTHER_SECRET),
            ],
            keys: vec![Key::new("k1", TOKEN_KEY, false), Key::new("ops", OPERATOR_KEY, true)],
            listen: String::new(),
            tls: String::new(),
            one_socket: false,
            open_files: None,
            access: "cors = [\"https://shop.example\"]".to_owned(),
            stream: String::new(),
            admin: String::new(),
            quarantine_bodies: true,
            receipts: true,
            limits: String::new(),
            log: String::new(),
        }
    }
}

impl Setup {
    /// A gateway whose `[stream]` has these lines.
    pub(crate) fn stream(lines: &str) -> Self {
        Self { stream: lines.to_owned(), ..Self::default() }
    }

    /// A gateway whose `[limits]` has these lines.
    pub(crate) fn limits(lines: &str) -> Self {
        Self { limits: lines.to_owned(), ..Self::default() }
    }

    /// One of the nodes that share a Redis server.
    pub(crate) fn on(redis: &RedisServer) -> Self {
        Self { store: Store::Redis { url: redis.url(), more: String::new() }, ..Self::default() }
    }

    /// Writes the configuration and its secrets into `folder`; `paystream.toml` is its name.
    pub(crate) fn write(&self, folder: &Path, [public, ingest, admin]: [SocketAddr; 3]) {
        let secret = |name: &str, value: &str| {
            let path = folder.join(name);
            fs::write(&path, value).unwrap();
            format!("\"file:{}\"", path.display())
        };
        let store = match &self.store {
            Store::AsTheRunSays | Store::Embedded => {
                format!("kind = \"embedded\"\npath = \"{}\"", folder.join("data").display())
            }
            Store::EmbeddedIn(path) => format!("kind = \"embedded\"\npath = \"{}\"", path.display()),
            Store::Redis { url, more } => format!("kind = \"redis\"\nurl = \"{url}\"\n{more}"),
        };
        let mut toml = format!(
            "[listen]\npublic = \"{public}\"\ningest = \"{ingest}\"\nadmin = \"{admin}\"\n\
             {listen}[tls]\n{tls}\n[store]\n{store}\nquarantine_bodies = {bodies}\nreceipts = {receipts}\n",
            tls = self.tls,
            bodies = self.quarantine_bodies,
            receipts = self.receipts,
            listen = if self.listen.is_empty() { String::new() } else { format!("{}\n", self.listen) },
        );
        for source in &self.sources {
            let secrets: Vec<_> = (0..)
                .zip(&source.secrets)
                .map(|(index, value)| secret(&format!("{}-{index}.secret", source.name), value))
                .collect();
            let Source { name, provider, realm, more, .. } = source;
            let secrets = secrets.join(", ");
            write!(
                toml,
                "[[source]]\nname = \"{name}\"\nprovider = \"{provider}\"\nrealm = \"{realm}\"\n\
                 secrets = [{secrets}]\n{more}\n"
            )
            .unwrap();
        }
        write!(toml, "[access]\naudience = \"paystream\"\n{}\n", self.access).unwrap();
        for key in &self.keys {
            let Key { kid, realms, operator, .. } = key;
            let secret = secret(&format!("{kid}.key"), &key.secret);
            write!(
                toml,
                "[[access.key]]\nkid = \"{kid}\"\nalgorithm = \"HS256\"\nsecret = {secret}\n\
                 realms = {realms:?}\noperator = {operator}\n"
            )
            .unwrap();
        }
        let admin_token = secret("admin.token", ADMIN_TOKEN);
        let Self { stream, admin, limits, log, .. } = self;
        write!(
            toml,
            "[stream]\n{stream}\n[admin]\ntoken = {admin_token}\n{admin}\n[limits]\n{limits}\n[log]\n{log}\n"
        )
        .unwrap();
        fs::write(folder.join("paystream.toml"), toml).unwrap();
    }
}
