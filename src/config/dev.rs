//! The configuration of `serve --dev` and `demo`: without a file, on loopback only, open to everyone.

use super::{
    Config,
    document::Document,
    duration::DAY,
    environment::Environment,
    files::SecretFiles,
    listen::{Listen, ListenerKind},
    mistake::{Collector, ConfigMistakes},
    proxying::Proxying,
    read,
    realm::DEFAULT_REALM,
    tls::Tls,
};
use crate::{
    access::{Access, AccessSettings, Operators},
    limits::Limits,
    payment::Name,
    source::{Source, SourceSettings},
    store::{self, RECENT, embedded},
    stream, telemetry,
};
use secrecy::SecretString;
use std::{net::TcpListener, path::PathBuf, time::Duration};

/// The environment variable that passes the secret of `serve --dev` to `trigger --dev`.
pub const DEV_SECRET: &str = "PAYSTREAM_DEV_SECRET";

/// The beginning of the environment variables that override the keys of `[listen]`.
const OVERRIDES: &str = "PAYSTREAM__LISTEN__";

impl Listen {
    /// The addresses of `serve --dev`. `port`, if given, is that of streams and webhooks; otherwise the variables
    /// `PAYSTREAM__LISTEN__…` count, and then the defaults. If the default admin port is in use, a free one is chosen. An address
    /// beyond loopback is a mistake.
    pub fn dev(port: Option<u16>, environment: &Environment) -> Result<Self, ConfigMistakes> {
        let mistakes = Collector::default();
        let overrides = environment.iter().filter(|(name, _)| name.starts_with(OVERRIDES));
        let overrides: Environment = overrides.map(|(name, value)| (name.clone(), value.clone())).collect();
        let given = Document::parse("", "", &overrides, &mistakes).map(|document| {
            let mut section = document.section("listen");
            let given = read::given_addresses(&mut section);
            section.end();
            document.end(&read::SECTIONS);
            given
        });
        let (public, ingest, admin) =
            given.map_or((None, None, None), |given| (given.public, given.ingest, given.admin));
        for (listener, address) in
            [(ListenerKind::Public, public), (ListenerKind::Ingest, ingest), (ListenerKind::Admin, admin)]
        {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
                mistakes.add(
                    None,
                    &format!(
                        "{}: {address} can be reached from other machines, but --dev is open to everyone; allowed: an address on \
                         loopback, e.g. 127.0.0.1:8080",
                        listener.variable()
                    ),
                );
            }
        }
        let mistakes = mistakes.into_mistakes();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let mut listen = Self::or_default(public, ingest, admin);
        if let Some(port) = port {
            listen.public.set_port(port);
            listen.ingest = ingest.unwrap_or(listen.public);
        }
        let is_taken = || listen.admin == listen.public || TcpListener::bind(listen.admin).is_err();
        if admin.is_none() && is_taken() {
            listen.admin.set_port(0);
        }
        Ok(listen)
    }
}

impl Config {
    /// A configuration that lets everyone who can reach the loopback of this machine watch every payment without a token. Its two
    /// sources, `dev` (generic) and `stripe`, share one secret. The only possible mistake is a secret that is too weak.
    pub fn dev(data: PathBuf, secret: &SecretString) -> Result<Self, ConfigMistakes> {
        let realm: Name =
            DEFAULT_REALM.parse().map_err(|why| ConfigMistakes::one(format!("realm: {why}")))?;
        let source = |name: &str, preset: &str| {
            let settings = SourceSettings::new(name, preset, realm.clone(), secret.clone());
            Source::build(settings).map_err(|why| ConfigMistakes::one(format!("{DEV_SECRET}: {why}")))
        };
        let sources = vec![source("dev", "generic")?, source("stripe", "stripe")?];
        let access = AccessSettings { open: Some(realm), ..AccessSettings::default() };
        let access = Access::new(access).map_err(|why| ConfigMistakes::one(why.to_string()))?;
        Ok(Self {
            listen: Listen::or_default(None, None, None),
            proxying: Proxying::default(),
            tls: Tls::default(),
            store: store::Settings::Embedded(embedded::Settings {
                path: data,
                history: 45 * DAY,
                recent: RECENT,
            }),
            holds_bodies: true,
            keeps_receipts: true,
            sources,
            access,
            // Only the developer waits for the shutdown, so it is short.
            stream: stream::Settings { drain: Duration::from_secs(1), ..stream::Settings::default() },
            operators: Operators::default(),
            admin_hosts: Vec::new(),
            dashboard: true,
            is_local: true,
            limits: Limits::default(),
            log: telemetry::Format::Text,
            secret_files: SecretFiles::default(),
        })
    }
}

/// A new secret of 256 random bits. It has the form of Stripe's secrets, which the generic presets accept as well.
#[must_use]
pub fn fresh_secret() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    format!("whsec_{}", hex::encode(bytes)).into()
}
