//! The configuration of `serve --dev` and `demo`: no file, loopback only, open.

use super::{Config, Environment, Listen, Mistakes, document::Document, mistake::Collector, read};
use crate::{
    access::{Access, AccessSettings},
    limits::Limits,
    payment::Name,
    source::{Source, SourceSettings},
    store::{self, embedded},
    stream, telemetry,
};
use secrecy::SecretString;
use std::{net::TcpListener, path::PathBuf, time::Duration};

/// The realm of whoever names none.
pub const DEV_REALM: &str = "default";

/// The environment variable that hands the secret of `serve --dev` to `trigger --dev`.
pub const DEV_SECRET: &str = "PAYSTREAM_DEV_SECRET";

/// The environment's part of `[listen]`.
const OVERRIDES: &str = "PAYSTREAM__LISTEN__";

impl Listen {
    /// Where `serve --dev` listens: at `port` for streams and webhooks, else where `PAYSTREAM__LISTEN__PUBLIC` and the like say,
    /// else at the usual ports. An admin port that nobody asked for gives way if it is taken. What is not on loopback is a
    /// mistake.
    pub fn dev(port: Option<u16>, environment: &Environment) -> Result<Self, Mistakes> {
        let mistakes = Collector::default();
        let asked = environment.iter().filter(|(name, _)| name.starts_with(OVERRIDES));
        let asked: Environment = asked.map(|(name, value)| (name.clone(), value.clone())).collect();
        let typed = Document::parse("", "", &asked, &mistakes).map(|document| {
            let mut section = document.section("listen");
            let typed = read::typed(&mut section);
            section.end();
            document.end(&read::SECTIONS);
            typed
        });
        let (public, ingest, admin) =
            typed.map_or((None, None, None), |typed| (typed.public, typed.ingest, typed.admin));
        for (key, address) in [("PUBLIC", public), ("INGEST", ingest), ("ADMIN", admin)] {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
                mistakes.add(
                    None,
                    &format!(
                        "{OVERRIDES}{key}: {address} can be reached from other machines, and --dev is open to everyone; allowed: an \
                         address on loopback, e.g. 127.0.0.1:8080"
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
    /// Open to everyone who can reach this machine's loopback: anonymous requests watch every payment. Its sources are
    /// `dev` (generic) and `stripe`, which share one secret; that it is none is the only mistake there can be.
    pub fn dev(data: PathBuf, secret: &SecretString) -> Result<Self, Mistakes> {
        let realm: Name = DEV_REALM.parse().map_err(|why| Mistakes::one(format!("realm: {why}")))?;
        let source = |name: &str, preset: &str| {
            let settings = SourceSettings::new(name, preset, realm.clone(), secret.clone());
            Source::build(settings).map_err(|why| Mistakes::one(format!("{DEV_SECRET}: {why}")))
        };
        let sources = vec![source("dev", "generic")?, source("stripe", "stripe")?];
        let access = AccessSettings { open: Some(realm), ..AccessSettings::default() };
        let access = Access::new(access).map_err(|why| Mistakes::one(why.to_string()))?;
        Ok(Self {
            listen: Listen::or_default(None, None, None),
            store: store::Settings::Embedded(embedded::Settings {
                path: data,
                history: Duration::from_secs(45 * 24 * 60 * 60),
            }),
            sources,
            access,
            // Nobody but the developer waits for the end.
            stream: stream::Settings { drain: Duration::from_secs(1), ..stream::Settings::default() },
            admin_token: None,
            limits: Limits::default(),
            log: telemetry::Format::Text,
        })
    }
}

/// 256 random bits in the form of Stripe's secrets, which suits the generic presets too.
#[must_use]
pub fn fresh_secret() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    format!("whsec_{}", hex::encode(bytes)).into()
}
