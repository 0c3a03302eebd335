//! The configuration of `serve --dev` and `demo`: no file, loopback only, open.

use super::{Config, Listen};
use crate::{
    access::AccessSettings,
    ingest::SourceSettings,
    limits::Limits,
    payment::Name,
    store::{self, embedded},
    stream, telemetry,
};
use secrecy::SecretString;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// The realm of whoever names none.
pub const DEV_REALM: &str = "default";

/// What `serve --dev` listens on.
const PORTS: (u16, u16) = (8080, 9090);

impl Config {
    /// Open to everyone who can reach this machine's loopback: anonymous requests watch every payment. Its sources are
    /// `dev` (generic) and `stripe`, which share one fresh secret.
    #[must_use]
    pub fn dev(data: PathBuf) -> Self {
        Self::dev_with_secret(data, &fresh_secret())
    }

    /// As [`Config::dev`], with a secret that another process knows too.
    #[must_use]
    pub fn dev_with_secret(data: PathBuf, secret: &SecretString) -> Self {
        let open: Option<Name> = DEV_REALM.parse().ok();
        let source =
            |name: &str, preset: &str| Some(SourceSettings::new(name, preset, open.clone()?, secret.clone()));
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let public = loopback(PORTS.0);
        Self {
            listen: Listen { public, ingest: public, admin: loopback(PORTS.1) },
            store: store::Settings::Embedded(embedded::Settings {
                path: data,
                history: Duration::from_secs(45 * 24 * 60 * 60),
            }),
            sources: [source("dev", "generic"), source("stripe", "stripe")].into_iter().flatten().collect(),
            access: AccessSettings { open: open.clone(), ..AccessSettings::default() },
            // Nobody but the developer waits for the end.
            stream: stream::Settings { drain: Duration::from_secs(1), ..stream::Settings::default() },
            admin_token: None,
            limits: Limits::default(),
            log: telemetry::Format::Text,
        }
    }
}

/// 256 random bits in the form of Stripe's secrets, which suits the generic presets too.
fn fresh_secret() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    format!("whsec_{}", hex::encode(bytes)).into()
}
