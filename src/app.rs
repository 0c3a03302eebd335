//! The composition root: the only file that knows every room. It builds them, joins them, and ends them in order.
//!
//! Start: what can be refused without a trace (role, addresses, sources, keys), the store, the rooms over it, all sockets,
//! and only then the first request. End: drain (not ready, streams are told to go), stop (what is left is cut), and when no
//! task is left that could use it, the store. A process may start and end many gateways, one after the other on the same
//! data folder.

pub mod demo;

use crate::{
    access::Access,
    config::{Config, Fixed, Listen, Role},
    http::{self, Admin, Public, Webhooks},
    hub::Hub,
    ingest::{Ingest, Source, SourceSettings},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    shutdown::Shutdown,
    store::{self, Store},
    stream::{self, Streams},
};
use anyhow::{Context, anyhow, bail};
use axum::Router;
use secrecy::SecretString;
use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

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
        let sources = build_sources(config.sources)?;
        let access = Arc::new(Access::new(config.access)?);

        let metrics = Arc::new(Metrics::new());
        let shutdown = Shutdown::default();
        let store = store::open(config.store, Arc::clone(&metrics)).await?;
        let (limits, stream) = (Live::new(config.limits), Live::new(config.stream));
        let ingest = Ingest::new(sources, Arc::clone(&store), Arc::clone(&metrics), limits.clone());
        let ingest = Arc::new(ingest);
        let hub = Hub::new(Arc::clone(&store), Arc::clone(&metrics), &config.limits);
        let streams = Streams::new(
            Arc::clone(&hub),
            stream.clone(),
            limits.clone(),
            Arc::clone(&metrics),
            shutdown.clone(),
        );
        let admin_token = Arc::new(RwLock::new(config.admin_token));
        let webhooks = Webhooks::new(Arc::clone(&ingest), limits.clone());

        let public = Public {
            streams: Arc::clone(&streams),
            access: Arc::clone(&access),
            limits: limits.clone(),
            metrics: Arc::clone(&metrics),
        };
        let admin = Admin {
            hub: Arc::clone(&hub),
            store: Arc::clone(&store),
            ingest: Arc::clone(&ingest),
            metrics: Arc::clone(&metrics),
            shutdown: shutdown.clone(),
            token: Arc::clone(&admin_token),
        };
        let listeners = Listeners::bind(&config.listen, &config.limits)?;
        let [public_address, ingest_address, admin_address] = listeners.addresses()?;

        let mut tasks = JoinSet::new();
        let hearing = hub.run(shutdown.clone());
        tasks.spawn(async move { hearing.await.context("the hub cannot read the store") });
        let accounting = Arc::clone(&streams);
        tasks.spawn(async move {
            accounting.run().await;
            Ok(())
        });
        for (listener, routes) in
            listeners.with_routes(public.routes().merge(pages), webhooks.routes(), admin.routes())
        {
            let served = http::serve(
                listener,
                http::finish(routes),
                limits.clone(),
                Arc::clone(&metrics),
                shutdown.clone(),
            );
            tasks.spawn(async move {
                served.await;
                Ok(())
            });
        }
        tracing::info!(public = %public_address, ingest = %ingest_address, admin = %admin_address, "serving");
        Ok(Running {
            public: public_address,
            ingest: ingest_address,
            admin: admin_address,
            rooms: Rooms { access, ingest, streams, webhooks, store, admin_token },
            limits,
            stream,
            fixed,
            shutdown,
            tasks,
        })
    }
}

/// A started gateway. Dropped without an end, it is cut off, and the store closes in the background.
#[derive(Debug)]
pub struct Running {
    /// Where streams and snapshots are served, with the real port.
    pub public: SocketAddr,
    /// Where webhooks are taken; may be the same as `public`.
    pub ingest: SocketAddr,
    /// Where health, metrics and the operators' routes are.
    pub admin: SocketAddr,
    rooms: Rooms,
    limits: Live<Limits>,
    stream: Live<stream::Settings>,
    /// What was configured at the start and counts until the end.
    fixed: Fixed,
    shutdown: Shutdown,
    /// What runs until the end: the hub, the streams' account, the listeners.
    tasks: JoinSet<anyhow::Result<()>>,
}

/// What a reload or the end has to reach.
struct Rooms {
    access: Arc<Access>,
    ingest: Arc<Ingest>,
    streams: Arc<Streams>,
    webhooks: Webhooks,
    store: Arc<dyn Store>,
    admin_token: Arc<RwLock<Option<SecretString>>>,
}

impl std::fmt::Debug for Rooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rooms").finish_non_exhaustive()
    }
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
        let sources = build_sources(config.sources)?;
        self.rooms.access.replace(config.access)?;
        self.rooms.ingest.replace_sources(sources);
        *self.rooms.admin_token.write().unwrap_or_else(PoisonError::into_inner) = config.admin_token;
        self.limits.set(config.limits);
        self.stream.set(config.stream);
        self.rooms.streams.review();
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
        let window = self.stream.get().drain;
        tracing::info!(?window, "draining");
        self.shutdown.drain();
        let gone = async { tokio::join!(self.rooms.streams.drained(), self.rooms.webhooks.done()) };
        if timeout(window, gone).await.is_err() {
            tracing::warn!("the drain's window is over; cutting what is left");
        }
        tokio::time::sleep(LAST_ANSWERS).await;
        self.stop().await;
    }

    /// Stops at once, without a word to any stream. When it returns, the data folder is free.
    pub async fn kill(mut self) {
        self.stop().await;
    }

    async fn stop(&mut self) {
        self.shutdown.stop();
        while self.tasks.join_next().await.is_some() {}
        // No connection is left to bring a new delivery; what is in work keeps the store until it is done.
        self.rooms.webhooks.done().await;
        self.rooms.store.close().await;
        tracing::info!("stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

/// The bound sockets. Without one for ingest, the public one serves both.
struct Listeners {
    public: TcpListener,
    ingest: Option<TcpListener>,
    admin: TcpListener,
}

impl Listeners {
    /// Binds all of them, or none.
    fn bind(listen: &Listen, limits: &Limits) -> anyhow::Result<Self> {
        let bind = |name: &str, address: SocketAddr| {
            let remedy = "another process may hold it; change [listen] or stop that process";
            http::bind(address, limits)
                .with_context(|| format!("cannot listen on {address} (listen.{name}): {remedy}"))
        };
        let public = bind("public", listen.public)?;
        let ingest = (listen.ingest != listen.public).then(|| bind("ingest", listen.ingest)).transpose()?;
        Ok(Self { public, ingest, admin: bind("admin", listen.admin)? })
    }

    /// The real addresses of public, ingest and admin.
    fn addresses(&self) -> std::io::Result<[SocketAddr; 3]> {
        let ingest = self.ingest.as_ref().unwrap_or(&self.public);
        Ok([self.public.local_addr()?, ingest.local_addr()?, self.admin.local_addr()?])
    }

    fn with_routes(self, public: Router, ingest: Router, admin: Router) -> Vec<(TcpListener, Router)> {
        let mut served = vec![(self.admin, admin)];
        match self.ingest {
            None => served.push((self.public, public.merge(ingest))),
            Some(listener) => served.extend([(self.public, public), (listener, ingest)]),
        }
        served
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

fn build_sources(settings: Vec<SourceSettings>) -> anyhow::Result<Vec<Source>> {
    settings.into_iter().map(|settings| Source::build(settings).map_err(Into::into)).collect()
}

#[cfg(test)]
mod tests;
