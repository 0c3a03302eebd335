//! The composition root, the only room that knows all others. It builds and connects them, and stops them in order.
//!
//! The start first checks what can fail without a side effect (the role and the addresses), then opens the store, builds the halves
//! that the role needs, and opens all sockets; only then is the first request accepted. The shutdown first drains (the node reports
//! that it is not ready, and streams are asked to reconnect elsewhere), then closes the remaining connections and, when no task can
//! use it any more, the store. A process may start and stop several gateways on the same data folder, one after the other.
//!
//! | file | noun |
//! |---|---|
//! | `halves`    | the half that takes webhooks, and the half that serves streams |
//! | `listeners` | the sockets that a role listens on |
//! | `disk`      | a warning before the disk of the data folder is full |
//! | `expiry`    | removing records that are too old to be kept |
//! | `passed`    | which listeners the sockets belong to that a service manager passes |
//! | `pulse`     | whether the runtime and the threads work |
//! | `readiness` | a metric that says whether the store is fit for use |
//! | `relay`     | the receiver of `listen`, without a gateway |
//! | `demo`      | a gateway with a shop and a simulated provider around it |

pub mod demo;
mod disk;
mod expiry;
mod halves;
mod listeners;
mod passed;
mod pulse;
mod readiness;
pub(crate) mod relay;

use crate::{
    access::Operators,
    config::{Config, Fixed, Listen, Role, Tls},
    descriptors::Descriptors,
    http::{self, Admin, HostNames},
    live::Live,
    metrics::{Metrics, ReloadCause, ReloadOutcome},
    shutdown::Shutdown,
    store::{self, AuditAction, AuditEntry},
    systemd::PassedSockets,
};
use anyhow::{Context as _, anyhow, bail};
use axum::Router;
use halves::{Common, IngestHalf, StreamHalf};
pub use listeners::BindError;
use listeners::{Doors, Listeners, Served, TlsServers};
pub use passed::MisplacedSocket;
pub use pulse::Pulse;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// How long the shutdown waits before it closes connections, so that the last answers are sent.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// The gateway. [`App::start`] returns it as [`Running`].
#[derive(Debug)]
pub struct App;

impl App {
    /// Builds and starts a gateway. When it returns, all sockets accept requests.
    pub async fn start(config: Config, role: Role) -> anyhow::Result<Running> {
        Self::build(config, role, Router::new(), PassedSockets::default()).await
    }

    /// Like [`App::start`], but the public listener serves the given pages as well.
    pub async fn start_with_pages(config: Config, role: Role, pages: Router) -> anyhow::Result<Running> {
        Self::build(config, role, pages, PassedSockets::default()).await
    }

    /// Like [`App::start`], but on the sockets that a service manager has opened; those that it has not opened are bound.
    pub async fn start_on(config: Config, role: Role, sockets: PassedSockets) -> anyhow::Result<Running> {
        Self::build(config, role, Router::new(), sockets).await
    }

    async fn build(
        mut config: Config,
        role: Role,
        pages: Router,
        sockets: PassedSockets,
    ) -> anyhow::Result<Running> {
        config.check_role(role)?;
        let fixed = config.fixed();
        passed::place(&sockets, role, &mut config.listen, &mut config.tls)?;
        check_admin(&config.listen)?;
        // The file may also configure the other half, for another node. That part is dropped.
        let sources = role.takes_webhooks().then_some(config.sources);
        let access = role.streams().then_some(config.access);

        let descriptors = Descriptors::claim();
        let metrics = Arc::new(Metrics::new());
        let store_settings = config.store.clone();
        let data = match &config.store {
            store::Settings::Embedded(settings) => Some(settings.path.clone()),
            store::Settings::Redis(_) => None,
        };
        let history = config.store.history();
        let (store, store_login) = store::open(config.store, Arc::clone(&metrics)).await?;
        let (limits, stream) = (Live::new(config.limits), Live::new(config.stream));
        let holds_bodies = config.holds_bodies;
        let common =
            Common { store, history, holds_bodies, metrics, limits, stream, shutdown: Shutdown::default() };
        let ingest = sources.map(|sources| IngestHalf::new(sources, &common));
        let streaming = access.map(|access| StreamHalf::new(access, &common)).transpose();
        let streaming = streaming.context("the threads that drive streams cannot be started")?;
        let operators = Arc::new(RwLock::new(config.operators));
        let admin_hosts = Arc::new(RwLock::new(config.admin_hosts));
        let admin = Admin {
            hub: streaming.as_ref().map(|half| Arc::clone(&half.hub)),
            streams: streaming.as_ref().map(|half| Arc::clone(&half.streams)),
            sources: ingest.as_ref().map(|half| Arc::clone(&half.sources)),
            confirmations: ingest.as_ref().map(|half| Arc::clone(&half.confirmations)),
            parts: ingest.as_ref().map(|half| Arc::clone(&half.parts)),
            ingest: ingest.as_ref().map(|half| Arc::clone(&half.ingest)),
            store: Arc::clone(&common.store),
            metrics: Arc::clone(&common.metrics),
            shutdown: common.shutdown.clone(),
            operators: Arc::clone(&operators),
            hosts: Arc::clone(&admin_hosts),
        };
        let tls = TlsServers::new(&config.tls).context("the TLS of the listeners cannot be started")?;
        show_certificates(&common.metrics, &config.tls);
        let listeners = Listeners::bind(&config.listen, &config.tls, role, &config.limits, sockets)?;
        let listen = listeners.addresses(config.listen)?;

        let mut tasks = JoinSet::new();
        if let Some(data) = data {
            let watching = disk::watch(data, Arc::clone(&common.metrics), common.shutdown.clone());
            tasks.spawn(async move {
                watching.await;
                Ok(())
            });
        }
        let hub = streaming.as_ref().filter(|_| ingest.is_none()).map(|half| Arc::clone(&half.hub));
        let (store, metrics) = (Arc::clone(&common.store), Arc::clone(&common.metrics));
        let watching = readiness::watch(store, hub, metrics, common.shutdown.clone());
        tasks.spawn(async move {
            watching.await;
            Ok(())
        });
        let expiring = expiry::run(Arc::clone(&common.store), common.shutdown.clone());
        tasks.spawn(async move {
            expiring.await;
            Ok(())
        });
        if let Some(ingest) = &ingest {
            ingest.spawn(&common, &mut tasks);
        }
        if let Some(streaming) = &streaming {
            streaming.spawn(&common, &mut tasks);
        }
        // Webhooks are exempt: they are signed, and tunnels that bring them to a developer's machine keep their own host.
        let pages = if config.dashboard { pages.merge(http::dashboard::routes()) } else { pages };
        let public = streaming.as_ref().map(|half| half.routes(&common).merge(pages));
        let public = if config.is_local { public.map(http::only_for_this_machine) } else { public };
        let webhooks = ingest.as_ref().map(IngestHalf::routes);
        let (proxying, connections) = (&config.proxying, config.limits.connections);
        let redirect_port = config.tls.redirect_port.unwrap_or(listen.public.port());
        let metrics = &common.metrics;
        let doors = Doors {
            descriptors,
            proxying,
            connections,
            metrics,
            tls: &tls,
            hsts: config.tls.hsts,
            redirect_port,
        };
        for Served { listener, router, entrance, tls } in
            listeners.with_routes(public, webhooks, admin.routes(), &doors)
        {
            let served = http::serve(
                listener,
                router,
                entrance,
                tls,
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
        Ok(Running {
            listen,
            ingest,
            streaming,
            operators,
            admin_hosts,
            common,
            tls,
            store_settings,
            store_login,
            fixed,
            tasks,
        })
    }
}

/// A running gateway. If it is dropped without a shutdown, its connections are closed and the store closes in the background.
#[derive(Debug)]
pub struct Running {
    /// The addresses of the listeners, with the real ports. A listener that the role does not open has its configured address.
    pub listen: Listen,
    ingest: Option<IngestHalf>,
    streaming: Option<StreamHalf>,
    operators: Arc<RwLock<Operators>>,
    admin_hosts: HostNames,
    common: Common,
    tls: TlsServers,
    /// The store of the start.
    store_settings: store::Settings,
    /// How its connections log in, if it has any.
    store_login: Option<store::Login>,
    /// The settings that apply only after a restart, as they were at the start.
    fixed: Fixed,
    /// The tasks that run until the shutdown: confirmations, the hub, the accounting of streams, and the listeners.
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    /// Replaces the configuration by `config` or, with an error, changes nothing. Streams stay open, except those whose key was removed.
    /// The settings of [`Config::fixed`] apply only after a restart; a warning is logged for each that changed.
    ///
    /// Requests, connections and streams that already exist keep some settings of the old configuration: a request its timeouts, a
    /// connection its limits of request heads and of stalled readers, and a stream its maximum age.
    pub fn reload(&self, config: Config) -> anyhow::Result<()> {
        check_admin(&config.listen)?;
        let fixed = config.fixed();
        self.tls.replace(&config.tls).context("the certificates cannot be used")?;
        show_certificates(&self.common.metrics, &config.tls);
        if let Some(streaming) = &self.streaming {
            streaming.access.replace(config.access);
        }
        if let Some(ingest) = &self.ingest {
            ingest.replace_sources(config.sources);
        }
        *self.operators.write().unwrap_or_else(PoisonError::into_inner) = config.operators;
        *self.admin_hosts.write().unwrap_or_else(PoisonError::into_inner) = config.admin_hosts;
        self.common.limits.set(config.limits);
        self.common.stream.set(config.stream);
        if let Some(streaming) = &self.streaming {
            streaming.review();
        }
        for ((key, started), (_, asked)) in self.fixed.iter().zip(&fixed).filter(|(old, new)| old != new) {
            tracing::warn!(key, %started, %asked, "the changed setting applies after a restart");
        }
        if let (store::Settings::Redis(started), store::Settings::Redis(asked)) =
            (&self.store_settings, &config.store)
        {
            if !started.has_servers_of(asked) {
                tracing::warn!(key = "store", "the changed address applies after a restart");
            } else if self.store_login.as_ref().is_some_and(|login| login.renew(asked)) {
                tracing::info!(
                    key = "store",
                    "new connections to the store log in with the changed user or password"
                );
            }
        }
        for warning in config.tls.warnings() {
            tracing::warn!("{warning}");
        }
        tracing::info!("configuration reloaded");
        Ok(())
    }

    /// Counts how a reload ended that `cause` asked for, also one whose configuration had a mistake, and notes it in the audit trail.
    pub fn note_reload(&self, cause: ReloadCause, outcome: ReloadOutcome) {
        self.common.metrics.reload(cause, outcome);
        let target: &'static str = cause.into();
        let failed: &'static str = outcome.into();
        let entry = AuditEntry {
            target: Some(target.to_owned()),
            failed: (outcome == ReloadOutcome::Refused).then(|| failed.to_owned()),
            ..AuditEntry::new(None, AuditAction::Reload)
        };
        let store = Arc::clone(&self.common.store);
        // The reload is done, and must not wait for a store that is down.
        tokio::spawn(async move {
            if let Err(error) = store.audit(entry).await {
                tracing::warn!(%error, "the audit trail does not say that the configuration was reloaded");
            }
        });
    }

    /// By what it can be felt whether the gateway works.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse(self.streaming.as_ref().map(|half| Arc::clone(&half.streams)))
    }

    /// Waits until a task of the gateway ends unexpectedly and returns the reason. The caller should then shut down.
    pub async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Err(defect)) => anyhow!(defect).context("a task of the gateway panicked"),
            Some(Ok(Ok(()))) | None => anyhow!("a task of the gateway ended unexpectedly"),
        }
    }

    /// How long a shutdown drains at most.
    #[must_use]
    pub fn drain_window(&self) -> Duration {
        self.common.stream.get().drain
    }

    /// Drains for at most the configured window and then stops. When it returns, the data folder can be used again.
    pub async fn shutdown(mut self) {
        let window = self.drain_window();
        tracing::info!(window_s = window.as_secs_f64(), "draining");
        self.common.shutdown.drain();
        if timeout(window, self.drained()).await.is_err() {
            tracing::warn!("the drain window is over; closing the remaining connections");
        }
        tokio::time::sleep(LAST_ANSWERS).await;
        self.stop().await;
    }

    /// Returns once no stream is open and no delivery is in progress.
    async fn drained(&self) {
        if let Some(streaming) = &self.streaming {
            streaming.drained().await;
        }
        if let Some(ingest) = &self.ingest {
            ingest.done().await;
        }
    }

    /// Stops at once, without a message to the streams. When it returns, the data folder can be used again.
    pub async fn kill(mut self) {
        self.stop().await;
    }

    async fn stop(&mut self) {
        self.common.shutdown.stop();
        while self.tasks.join_next().await.is_some() {}
        // No connection is left that could bring a new delivery. Deliveries in progress still need the store.
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

/// Checks that the admin listener has a socket of its own, because its routes are for operators only.
fn check_admin(listen: &Listen) -> anyhow::Result<()> {
    let shared = listen.admin == listen.public || listen.admin == listen.ingest;
    if shared && listen.admin.port() != 0 {
        bail!("listen.admin is {}, the address of another listener; give it a port of its own", listen.admin);
    }
    Ok(())
}

/// Shows when the certificates expire, in metrics and, if one needs attention, in the log.
fn show_certificates(metrics: &Metrics, tls: &Tls) {
    let certificates = tls.certificates.iter();
    let expiries: Vec<_> =
        certificates.map(|certificate| (certificate.name(), certificate.not_after().as_secs())).collect();
    metrics.certificates(&expiries);
}

#[cfg(test)]
mod tests;
