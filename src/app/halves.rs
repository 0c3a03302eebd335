//! The two halves of a gateway: one takes webhooks, the other streams. A role decides which of them are built.
//!
//! They share the store and nothing that either of them made: neither is told whether the other is there.

use crate::{
    access::Access,
    confirm::Confirmations,
    http::{Public, Webhooks},
    hub::Hub,
    ingest::{Ingest, Source},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    shutdown::Shutdown,
    store::Store,
    stream::{self, Streams},
};
use axum::Router;
use std::{fmt, sync::Arc};
use tokio::task::JoinSet;

/// What both halves stand on.
pub(super) struct Common {
    pub(super) store: Arc<dyn Store>,
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

/// From a provider's request into the store.
pub(super) struct IngestHalf {
    pub(super) ingest: Arc<Ingest>,
    pub(super) confirmations: Arc<Confirmations>,
    webhooks: Webhooks,
}

impl fmt::Debug for IngestHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngestHalf").finish_non_exhaustive()
    }
}

impl IngestHalf {
    pub(super) fn new(sources: Vec<Source>, common: &Common) -> Self {
        let Common { store, metrics, limits, shutdown, .. } = common;
        let ingest = Ingest::new(sources, Arc::clone(store), Arc::clone(metrics), limits.clone());
        let ingest = Arc::new(ingest);
        let confirmations = Confirmations::new(
            Arc::clone(&ingest),
            Arc::clone(store),
            Arc::clone(metrics),
            limits.clone(),
            shutdown.clone(),
        );
        let webhooks = Webhooks::new(Arc::clone(&ingest), limits.clone());
        Self { ingest, confirmations: Arc::new(confirmations), webhooks }
    }

    /// Starts what runs beside the webhooks: asking providers what they hinted at.
    pub(super) fn spawn(&self, tasks: &mut JoinSet<anyhow::Result<()>>) {
        let confirming = Arc::clone(&self.confirmations).run();
        tasks.spawn(async move {
            confirming.await;
            Ok(())
        });
    }

    /// What the ingest listener serves.
    pub(super) fn routes(&self) -> Router {
        self.webhooks.routes()
    }

    pub(super) fn replace_sources(&self, sources: Vec<Source>) {
        self.ingest.replace_sources(sources);
    }

    /// Returns once no delivery is in work.
    pub(super) async fn done(&self) {
        self.webhooks.done().await;
    }
}

/// From the store to those who watch.
pub(super) struct StreamHalf {
    pub(super) access: Arc<Access>,
    pub(super) hub: Arc<Hub>,
    streams: Arc<Streams>,
}

impl fmt::Debug for StreamHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamHalf").finish_non_exhaustive()
    }
}

impl StreamHalf {
    pub(super) fn new(access: Access, common: &Common) -> Self {
        let Common { store, metrics, limits, stream, shutdown } = common;
        let hub = Hub::new(Arc::clone(store), Arc::clone(metrics), &limits.get());
        let streams = Streams::new(
            Arc::clone(&hub),
            stream.clone(),
            limits.clone(),
            Arc::clone(metrics),
            shutdown.clone(),
        );
        Self { access: Arc::new(access), hub, streams }
    }

    /// What the public listener serves.
    pub(super) fn routes(&self, common: &Common) -> Router {
        let public = Public {
            streams: Arc::clone(&self.streams),
            access: Arc::clone(&self.access),
            limits: common.limits.clone(),
            metrics: Arc::clone(&common.metrics),
        };
        public.routes()
    }

    /// Starts what runs beside the streams: hearing the store, and the account of stream time.
    pub(super) fn spawn(&self, common: &Common, tasks: &mut JoinSet<anyhow::Result<()>>) {
        let hearing = Arc::clone(&self.hub).run(common.shutdown.clone());
        tasks.spawn(async move {
            hearing.await;
            Ok(())
        });
        let streams = Arc::clone(&self.streams);
        tasks.spawn(async move {
            streams.run().await;
            Ok(())
        });
    }

    /// Wakes every stream so that it looks at its grant and the settings again.
    pub(super) fn review(&self) {
        self.streams.review();
    }

    /// Returns once no stream is open.
    pub(super) async fn drained(&self) {
        self.streams.drained().await;
    }
}
