//! The two halves of a gateway: one takes webhooks, the other serves streams. The role decides which of them are built.
//!
//! They share only what [`Common`] holds. Neither half knows whether the other one exists.

use crate::{
    access::Access,
    confirm::Confirmations,
    http::{self, Public, Webhooks},
    hub::Hub,
    ingest::{Ingest, catch_up, hand_over, watch_windows},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    shutdown::Shutdown,
    source::{Source, Sources},
    store::{Labels, Parts, Store},
    stream::{self, Streams},
};
use axum::Router;
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{sync::Notify, task::JoinSet};

/// What both halves share. Both only borrow it; it belongs to the running gateway.
pub(super) struct Common {
    pub(super) store: Arc<dyn Store>,
    /// How long the store keeps a log.
    pub(super) history: Duration,
    /// Whether the quarantine keeps the bodies of events.
    pub(super) holds_bodies: bool,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limits: Live<Limits>,
    pub(super) stream: Live<stream::Settings>,
    pub(super) shutdown: Shutdown,
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").finish_non_exhaustive()
    }
}

/// The half that takes webhooks: from a provider's request to the store.
pub(super) struct IngestHalf {
    pub(super) sources: Arc<Sources>,
    pub(super) confirmations: Arc<Confirmations>,
    pub(super) parts: Arc<Parts>,
    pub(super) ingest: Arc<Ingest>,
    webhooks: Webhooks,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for IngestHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestHalf").finish_non_exhaustive()
    }
}

impl IngestHalf {
    /// Builds the half. Nothing runs before [`IngestHalf::spawn`].
    pub(super) fn new(sources: Vec<Source>, common: &Common) -> Self {
        let Common { store, history, holds_bodies, metrics, limits, shutdown, .. } = common;
        let (sources, hints) = (Arc::new(Sources::new(sources)), Arc::new(Notify::new()));
        let labels = Arc::new(Labels::new(Arc::clone(store), Arc::clone(metrics), *history));
        let parts = Arc::new(Parts::new(Arc::clone(store), labels, Arc::clone(metrics), *history));
        let ingest = Ingest::new(
            Arc::clone(store),
            Arc::clone(&parts),
            Arc::clone(metrics),
            limits.clone(),
            Arc::clone(&hints),
        )
        .holding_bodies(*holds_bodies);
        let confirmations = Confirmations::new(
            Arc::clone(&sources),
            hints,
            Arc::clone(store),
            Arc::clone(&parts),
            Arc::clone(metrics),
            limits.clone(),
            shutdown.clone(),
        );
        let ingest = Arc::new(ingest);
        let webhooks = Webhooks::new(Arc::clone(&sources), Arc::clone(&ingest), limits.clone());
        let metrics = Arc::clone(metrics);
        let half = Self { sources, confirmations: Arc::new(confirmations), parts, ingest, webhooks, metrics };
        half.show_sources();
        half
    }

    /// Starts the task that asks providers about the payments that their webhooks hinted at, the one that hands over events which waited
    /// for their payments, the one that asks providers for the events of a time without webhooks, and the one that watches the windows of the
    /// providers' retries.
    pub(super) fn spawn(&self, common: &Common, tasks: &mut JoinSet<anyhow::Result<()>>) {
        let (sources, metrics) = (Arc::clone(&self.sources), Arc::clone(&self.metrics));
        let watching = watch_windows(sources, metrics, common.shutdown.clone());
        tasks.spawn(async move {
            watching.await;
            Ok(())
        });
        let (sources, store) = (Arc::clone(&self.sources), Arc::clone(&common.store));
        let (parts, metrics) = (Arc::clone(&self.parts), Arc::clone(&self.metrics));
        let handing_over = hand_over(sources, store, parts, metrics, common.shutdown.clone());
        tasks.spawn(async move {
            handing_over.await;
            Ok(())
        });
        let (ingest, sources) = (Arc::clone(&self.ingest), Arc::clone(&self.sources));
        let catching_up = catch_up(ingest, sources, common.shutdown.clone());
        tasks.spawn(async move {
            catching_up.await;
            Ok(())
        });
        let confirming = Arc::clone(&self.confirmations).run();
        tasks.spawn(async move {
            confirming.await;
            Ok(())
        });
    }

    /// The routes of the ingest listener.
    pub(super) fn routes(&self) -> Router {
        self.webhooks.routes()
    }

    /// Replaces the configured sources after a reload.
    pub(super) fn replace_sources(&self, sources: Vec<Source>) {
        self.sources.replace(sources);
        self.show_sources();
    }

    /// Lets the metrics of each source begin at 0, so that its first failure is a change that a rule sees.
    fn show_sources(&self) {
        for source in self.sources.all() {
            self.metrics.source(source.name(), source.api().is_some());
        }
    }

    /// Returns once no delivery is in progress.
    pub(super) async fn done(&self) {
        self.webhooks.done().await;
    }
}

/// The half that serves streams: from the store to the browsers.
pub(super) struct StreamHalf {
    pub(super) access: Arc<Access>,
    pub(super) hub: Arc<Hub>,
    pub(super) streams: Arc<Streams>,
}

impl fmt::Debug for StreamHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHalf").finish_non_exhaustive()
    }
}

impl StreamHalf {
    /// Builds the half. Nothing runs before [`StreamHalf::spawn`] but the idle threads of the reactors.
    pub(super) fn new(access: Access, common: &Common) -> io::Result<Self> {
        let Common { store, metrics, limits, stream, shutdown, .. } = common;
        let hub = Hub::new(Arc::clone(store), Arc::clone(metrics), &limits.get());
        let streams = Streams::new(
            Arc::clone(&hub),
            stream.clone(),
            limits.clone(),
            Arc::clone(metrics),
            shutdown.clone(),
        );
        streams.start_reactors()?;
        Ok(Self { access: Arc::new(access), hub, streams })
    }

    /// The routes of the public listener.
    pub(super) fn routes(&self, common: &Common) -> Router {
        let (streams, access) = (Arc::clone(&self.streams), Arc::clone(&self.access));
        let metrics = Arc::clone(&common.metrics);
        http::public_routes(Public::new(streams, access, common.limits.clone(), metrics))
    }

    /// Starts the tasks beside the streams: the hub, which follows the store, and the accounting of stream time.
    pub(super) fn spawn(&self, common: &Common, tasks: &mut JoinSet<anyhow::Result<()>>) {
        let hub_runs = Arc::clone(&self.hub).run(common.shutdown.clone());
        tasks.spawn(async move {
            hub_runs.await;
            Ok(())
        });
        let streams = Arc::clone(&self.streams);
        tasks.spawn(async move {
            streams.run().await;
            Ok(())
        });
    }

    /// Wakes every stream, so that it checks its grant and its settings again.
    pub(super) fn review(&self) {
        self.streams.review();
    }

    /// Returns once no stream is open.
    pub(super) async fn drained(&self) {
        self.streams.drained().await;
    }
}
