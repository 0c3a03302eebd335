//! The composition root: the only file that knows every room. It builds them, joins them, and ends them in order.
//!
//! Start: what can be refused without a trace (role, addresses), the store, the halves over it that the role
//! asks for, all sockets, and only then the first request. End: drain (not ready, streams are told to go), stop (what is
//! left is cut), and when no task is left that could use it, the store. A process may start and end many gateways, one after
//! the other on the same data folder.
//!
//! | file | noun |
//! |---|---|
//! | `halves`    | what takes webhooks, and what streams |
//! | `listeners` | the sockets of a role |
//! | `demo`      | a whole shop around a gateway |

pub mod demo;
mod halves;
mod listeners;

use crate::{
    config::{Config, Fixed, Listen, Role},
    http::{self, Admin},
    live::Live,
    metrics::Metrics,
    shutdown::Shutdown,
    store,
};
use anyhow::{anyhow, bail};
use axum::Router;
use halves::{Common, IngestHalf, StreamHalf};
pub use listeners::BindError;
use listeners::Listeners;
use secrecy::SecretString;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// What was answered last has to leave its sockets before they are cut.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// The gateway.
#[derive(Debug)]
pub struct App;

impl App {
    /// Builds and starts everything. When it returns, all sockets answer.
    pub async fn start(config: Config, role: Role) -> anyhow::Result<Running> {
        Self::start_with_pages(config, role, Router::new()).await
    }

    /// As [`App::start`], with pages of the caller's on the public listener.
    pub async fn start_with_pages(config: Config, role: Role, pages: Router) -> anyhow::Result<Running> {
        config.check_role(role)?;
        check_admin(&config.listen)?;
        let fixed = config.fixed();
        // A half that is not run may have been configured for another node: nothing of it is kept.
        let sources = role.takes_webhooks().then_some(config.sources);
        let access = role.streams().then_some(config.access);

        let metrics = Arc::new(Metrics::new());
        let store = store::open(config.store, Arc::clone(&metrics)).await?;
        let (limits, stream) = (Live::new(config.limits), Live::new(config.stream));
        let common = Common { store, metrics, limits, stream, shutdown: Shutdown::default() };
        let ingest = sources.map(|sources| IngestHalf::new(sources, &common));
        let streaming = access.map(|access| StreamHalf::new(access, &common));
        let admin_token = Arc::new(RwLock::new(config.admin_token));
        let admin = Admin {
            hub: streaming.as_ref().map(|half| Arc::clone(&half.hub)),
            ingest: ingest.as_ref().map(|half| Arc::clone(&half.ingest)),
            confirmations: ingest.as_ref().map(|half| Arc::clone(&half.confirmations)),
            store: Arc::clone(&common.store),
            metrics: Arc::clone(&common.metrics),
            shutdown: common.shutdown.clone(),
            token: Arc::clone(&admin_token),
        };
        let listeners = Listeners::bind(&config.listen, role, &config.limits)?;
        let listen = listeners.addresses(config.listen)?;

        let mut tasks = JoinSet::new();
        if let Some(ingest) = &ingest {
            ingest.spawn(&mut tasks);
        }
        if let Some(streaming) = &streaming {
            streaming.spawn(&common, &mut tasks);
        }
        let public = streaming.as_ref().map(|half| half.routes(&common).merge(pages));
        let webhooks = ingest.as_ref().map(IngestHalf::routes);
        for (listener, routes) in listeners.with_routes(public, webhooks, admin.routes()) {
            let served = http::serve(
                listener,
                http::finish(routes),
                common.limits.clone(),
                Arc::clone(&common.metrics),
                common.shutdown.clone(),
            );
            tasks.spawn(async move {
                served.await;
                Ok(())
            });
        }
        let shown = |runs: bool, address| runs.then_some(tracing::field::display(address));
        tracing::info!(
            %role,
            public = shown(role.streams(), listen.public),
            ingest = shown(role.takes_webhooks(), listen.ingest),
            admin = %listen.admin,
            "serving"
        );
        Ok(Running { listen, ingest, streaming, admin_token, common, fixed, tasks })
    }
}

/// A started gateway. Dropped without an end, it is cut off, and the store closes in the background.
#[derive(Debug)]
pub struct Running {
    /// Where it listens, with the real ports. What the role does not open stands as it was configured.
    pub listen: Listen,
    ingest: Option<IngestHalf>,
    streaming: Option<StreamHalf>,
    admin_token: Arc<RwLock<Option<SecretString>>>,
    common: Common,
    /// What was configured at the start and counts until the end.
    fixed: Fixed,
    /// What runs until the end: the asking of providers, the hub, the streams' account, the listeners.
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    /// Takes over `config`, all of it or, with an error, nothing; no stream is dropped but those whose key has gone. What
    /// [`Config::fixed`] names needs a restart; where it changed, that is logged.
    ///
    /// What is under way keeps what it began with: a request its waits, a connection the bounds of its heads and the
    /// patience with its reader, a stream its age.
    pub fn reload(&self, config: Config) -> anyhow::Result<()> {
        check_admin(&config.listen)?;
        let fixed = config.fixed();
        if let Some(streaming) = &self.streaming {
            streaming.access.replace(config.access);
        }
        if let Some(ingest) = &self.ingest {
            ingest.replace_sources(config.sources);
        }
        *self.admin_token.write().unwrap_or_else(PoisonError::into_inner) = config.admin_token;
        self.common.limits.set(config.limits);
        self.common.stream.set(config.stream);
        if let Some(streaming) = &self.streaming {
            streaming.review();
        }
        for ((key, started), (_, asked)) in self.fixed.iter().zip(&fixed).filter(|(old, new)| old != new) {
            tracing::warn!(key, %started, %asked, "a changed setting applies after a restart");
        }
        tracing::info!("configuration reloaded");
        Ok(())
    }

    /// Returns when a part of the gateway has ended that should not have, with the reason. The caller should then end.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(defect)) => anyhow!(defect).context("a part of the gateway failed by a defect"),
            Some(Ok(Ok(()))) | None => anyhow!("a part of the gateway ended on its own"),
        }
    }

    /// Drains, for as long as the configured window at the most, then stops. When it returns, the data folder is free.
    pub async fn shutdown(mut self) {
        let window = self.common.stream.get().drain;
        tracing::info!(?window, "draining");
        self.common.shutdown.drain();
        if timeout(window, self.gone()).await.is_err() {
            tracing::warn!("the drain's window is over; cutting what is left");
        }
        tokio::time::sleep(LAST_ANSWERS).await;
        self.stop().await;
    }

    /// Returns once no stream is open and no delivery in work.
    async fn gone(&self) {
        if let Some(streaming) = &self.streaming {
            streaming.drained().await;
        }
        if let Some(ingest) = &self.ingest {
            ingest.done().await;
        }
    }

    /// Stops at once, without a word to any stream. When it returns, the data folder is free.
    pub async fn kill(mut self) {
        self.stop().await;
    }

    async fn stop(&mut self) {
        self.common.shutdown.stop();
        while self.tasks.join_next().await.is_some() {}
        // No connection is left to bring a new delivery; what is in work keeps the store until it is done.
        if let Some(ingest) = &self.ingest {
            ingest.done().await;
        }
        self.common.store.close().await;
        tracing::info!("stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.common.shutdown.stop();
    }
}

/// The admin routes are for another audience, so they have a socket of their own.
fn check_admin(listen: &Listen) -> anyhow::Result<()> {
    let shared = listen.admin == listen.public || listen.admin == listen.ingest;
    if shared && listen.admin.port() != 0 {
        bail!(
            "listen.admin is {}, which is in use by another listener; give it a port of its own",
            listen.admin
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
