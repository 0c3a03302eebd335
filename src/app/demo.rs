//! `demo`: a whole shop in one process. A gateway on loopback with a temporary data folder, or with keys of its own on a
//! Redis server, the page on its public listener, and a pretended Stripe that posts signed webhooks over HTTP.
//!
//! The gateway knows nothing of the demo: it gets pages to serve, and webhooks from a socket. So a restart is a real one,
//! and the webhooks that fall into it are lost unless the provider tries again, as providers do.

mod provider;
mod shop;

use super::{App, Running};
use crate::{
    access::{Access, AccessSettings, KeySettings, Material, TokenAlgorithm},
    config::{Config, DEV_REALM, Listen, Role, fresh_secret},
    http::demo,
    payment::Name,
    source::{Source, SourceSettings},
    store::{self, redis},
    telemetry,
};
use anyhow::Context;
use secrecy::SecretString;
use shop::Shop;
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// The page's port, if it is free.
const USUAL_PORT: u16 = 8080;

/// How long the gateway stays away at a restart: long enough to be seen.
const AWAY: Duration = Duration::from_secs(2);

/// Leaves time for the answer to the one who pressed the button.
const BEFORE_RESTART: Duration = Duration::from_millis(200);

/// How long a payment lives on Redis, should the demo be killed before it can take its keys away.
const REDIS_HISTORY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept on a Redis server for the length of one demo: under a prefix that no other demo has.
#[must_use]
pub fn on_redis(url: SecretString) -> redis::Settings {
    redis::Settings {
        url,
        password: None,
        ca: None,
        prefix: format!("paystream-demo-{}", hex::encode(rand::random::<[u8; 6]>())),
        durability: redis::Durability::None,
        ack_replicas: 0,
        history: REDIS_HISTORY,
    }
}

/// Runs the demo on the given port (else 8080, else any free one) until Ctrl-C. Keeps what it has to in a temporary
/// folder, or on `redis`, and leaves nothing behind.
pub async fn run(port: Option<u16>, redis: Option<redis::Settings>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("no temporary data folder")?;
    telemetry::start(telemetry::Format::Text);
    let played = play(Settings::new(folder.path().to_owned(), port, redis.clone())?).await;
    let erased = match redis {
        None => Ok(()),
        Some(redis) => {
            let left =
                format!("the demo's keys, which begin with {}, are still on the Redis server", redis.prefix);
            redis::erase(&redis).await.context(left)
        }
    };
    played.and(erased)
}

/// Until a signal ends it.
async fn play(mut settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be received")?;
    let shop = Arc::new(Shop::new(settings.source()?, settings.access()?)?);
    let mut running = start(&settings, &shop).await?;
    // A restart has to come back at the same addresses, for the page's sake.
    settings.listen = running.listen;
    announce(running.listen.public)?;
    loop {
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => break pressed.context("signals cannot be received")?,
            _ = terminate.recv() => break,
            error = running.failed() => return Err(error),
            () = shop.restart_asked() => {
                sleep(BEFORE_RESTART).await;
                running.kill().await;
                sleep(AWAY).await;
                running = start(&settings, &shop).await?;
            }
        }
    }
    running.kill().await;
    Ok(())
}

async fn start(settings: &Settings, shop: &Arc<Shop>) -> anyhow::Result<Running> {
    let pages = demo::routes(Arc::clone(shop) as _);
    let running = App::start_with_pages(settings.config()?, Role::All, pages).await?;
    shop.opened(running.listen.ingest);
    Ok(running)
}

/// What is the same after each restart: where things are, and the secrets.
struct Settings {
    data: PathBuf,
    redis: Option<redis::Settings>,
    listen: Listen,
    /// Signs webhooks.
    secret: SecretString,
    /// Signs tokens.
    key: KeySettings,
}

impl Settings {
    fn new(data: PathBuf, port: Option<u16>, redis: Option<redis::Settings>) -> anyhow::Result<Self> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let free = || TcpListener::bind(at(USUAL_PORT)).is_ok();
        let public = at(port.unwrap_or_else(|| if free() { USUAL_PORT } else { 0 }));
        let key = KeySettings {
            kid: "demo".to_owned(),
            algorithm: TokenAlgorithm::Hs256,
            material: Material::Secret(hex::encode(rand::random::<[u8; 32]>()).into()),
            realms: vec![realm()?],
            operator: false,
        };
        let listen = Listen { public, ingest: public, admin: at(0) };
        Ok(Self { data, redis, listen, secret: fresh_secret(), key })
    }

    /// The development configuration, made as strict as a real one: one source, tokens signed by a key.
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::dev(self.data.clone(), &self.secret)?;
        config.listen = self.listen;
        config.store = self.redis.clone().map_or(config.store, store::Settings::Redis);
        config.sources = vec![self.source()?];
        config.access = self.access()?;
        Ok(config)
    }

    fn source(&self) -> anyhow::Result<Source> {
        let secret = self.secret.clone();
        Ok(Source::build(SourceSettings::new(provider::SOURCE, provider::SOURCE, realm()?, secret))?)
    }

    fn access(&self) -> anyhow::Result<Access> {
        let keys = vec![self.key.clone()];
        Ok(Access::new(AccessSettings { keys, ..AccessSettings::default() })?)
    }
}

fn realm() -> anyhow::Result<Name> {
    DEV_REALM.parse().context("the realm's name")
}

/// The address alone on standard output, for people and programs; everything else is log.
fn announce(page: SocketAddr) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "Open http://{page}/ in a browser; Ctrl-C ends the demo.")?;
    Ok(())
}
