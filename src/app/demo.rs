//! The demo: a whole shop in one process. It has a gateway on loopback with a temporary data folder (or with a key prefix of its own on
//! a Redis server), a page on the gateway's public listener, and a simulation of Stripe that posts signed webhooks over HTTP.
//!
//! The gateway does not know that it runs in a demo: it serves additional pages and receives webhooks on a socket. So a restart is a
//! real one, and a webhook that is posted meanwhile is lost unless the provider retries it, as real providers do.

mod shop;
mod stripe;

use super::{App, Running};
use crate::{
    access::{Access, AccessSettings, KeySettings, Material, TokenAlgorithm},
    config::{Config, DEFAULT_REALM, Listen, Role, duration, fresh_secret},
    http::demo,
    payment::Name,
    source::{Source, SourceSettings},
    store::{self, RECENT, redis},
    telemetry,
};
use anyhow::Context;
use secrecy::SecretString;
use shop::CheckoutShop;
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

/// The port of the page, unless it is in use.
const USUAL_PORT: u16 = 8080;

/// How long a restart takes: long enough for the visitor to see it.
const AWAY: Duration = Duration::from_secs(2);

/// The time for sending the answer to the visitor who pressed the button.
const BEFORE_RESTART: Duration = Duration::from_millis(200);

/// How long Redis keeps a payment if the demo is killed before it can delete its keys.
const REDIS_HISTORY: Duration = duration::DAY;

/// The settings of a Redis store for one demo, with a random key prefix, so that several demos can share a server.
#[must_use]
pub fn on_redis(url: SecretString) -> redis::Settings {
    redis::Settings {
        url,
        password: None,
        sentinel_password: None,
        tls_name: None,
        ca: None,
        prefix: format!("paystream-demo-{}", hex::encode(rand::random::<[u8; 6]>())),
        durability: redis::Durability::None,
        ack_replicas: 0,
        history: REDIS_HISTORY,
        recent: RECENT,
    }
}

/// Runs the demo until Ctrl-C, on `port` or, without one, on 8080 or any free port. Payments are stored in a temporary folder or on
/// `redis`; both are cleaned up at the end.
pub async fn run(port: Option<u16>, redis: Option<redis::Settings>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("the temporary data folder cannot be created")?;
    telemetry::start(telemetry::Format::Text);
    let played = play(DemoSetup::new(folder.path().to_owned(), port, redis.clone())?).await;
    let erased = match redis {
        None => Ok(()),
        Some(redis) => {
            let left = format!(
                "the keys of the demo, which begin with {}, could not be deleted from the Redis server",
                redis.prefix
            );
            redis::wipe(&redis).await.context(left)
        }
    };
    played.and(erased)
}

/// Runs the gateway and the shop until a signal ends them.
async fn play(mut setup: DemoSetup) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("the signal handlers cannot be installed")?;
    let shop = Arc::new(CheckoutShop::new(setup.source()?, setup.access()?)?);
    let mut running = start(&setup, &shop).await?;
    // After a restart, the page reconnects to the same address.
    setup.listen = running.listen;
    announce(running.listen.public)?;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => break interrupted.context("the signal handlers cannot be installed")?,
            _ = terminate.recv() => break,
            error = running.failed() => return Err(error),
            () = shop.restart_requested() => {
                sleep(BEFORE_RESTART).await;
                running.kill().await;
                sleep(AWAY).await;
                running = start(&setup, &shop).await?;
            }
        }
    }
    running.kill().await;
    Ok(())
}

/// Starts the gateway with the pages of the demo.
async fn start(setup: &DemoSetup, shop: &Arc<CheckoutShop>) -> anyhow::Result<Running> {
    let pages = demo::routes(Arc::clone(shop) as _);
    let running = App::start_with_pages(setup.config()?, Role::All, pages).await?;
    shop.set_gateway(running.listen.ingest);
    Ok(running)
}

/// What stays the same across restarts: addresses, places and secrets.
struct DemoSetup {
    data: PathBuf,
    redis: Option<redis::Settings>,
    listen: Listen,
    /// The secret that signs webhooks.
    secret: SecretString,
    /// The key that signs tokens.
    key: KeySettings,
}

impl DemoSetup {
    fn new(data: PathBuf, port: Option<u16>, redis: Option<redis::Settings>) -> anyhow::Result<Self> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let free = || TcpListener::bind(at(USUAL_PORT)).is_ok();
        let public = at(port.unwrap_or_else(|| if free() { USUAL_PORT } else { 0 }));
        let key = KeySettings {
            kid: "demo".to_owned(),
            algorithm: TokenAlgorithm::Hs256,
            material: Material::Secret(hex::encode(rand::random::<[u8; 32]>()).into()),
            realms: vec![realm()?],
            // For the dashboard, which shows all payments.
            operator: true,
        };
        let listen = Listen { public, ingest: public, admin: at(0) };
        Ok(Self { data, redis, listen, secret: fresh_secret(), key })
    }

    /// The development configuration, restricted like one for production: one source, and only tokens signed by the key.
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::dev(self.data.clone(), &self.secret)?;
        config.listen = self.listen;
        config.store = self.redis.clone().map_or(config.store, store::Settings::Redis);
        config.sources = vec![self.source()?];
        config.access = self.access()?;
        // The demo serves its own, which needs no token from whoever looks.
        config.dashboard = false;
        Ok(config)
    }

    fn source(&self) -> anyhow::Result<Source> {
        let secret = self.secret.clone();
        Ok(Source::build(SourceSettings::new(stripe::SOURCE, stripe::SOURCE, realm()?, secret))?)
    }

    fn access(&self) -> anyhow::Result<Access> {
        let keys = vec![self.key.clone()];
        Ok(Access::new(AccessSettings { keys, ..AccessSettings::default() })?)
    }
}

fn realm() -> anyhow::Result<Name> {
    DEFAULT_REALM.parse().context("the name of the default realm is invalid")
}

/// Prints the address of the page, the only line on standard output. Everything else is logged to standard error.
fn announce(page: SocketAddr) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "Open http://{page}/ in a browser. Press Ctrl-C to end the demo.")?;
    Ok(())
}
