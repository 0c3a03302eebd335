//! Health, for load balancers and orchestrators.
//!
//! `/readyz` fails only for reasons of the node itself. If it failed while the store is down, which is the same on all nodes,
//! a load balancer would have no node left and answer 503, which ends every `EventSource` for good. A store that is down
//! makes `/readyz/ingest` alone fail.

use crate::{
    http::problem::{self, Problem},
    hub::Hub,
    shutdown::Shutdown,
    store::Store,
};
use axum::{Router, extract::State, routing::get};
use std::{sync::Arc, time::Duration};

/// When to ask again after a check that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the health of a node depends on.
#[derive(Clone)]
pub(super) struct Health {
    /// Knows whether the store's notices reach this node. `None` if the node does not stream.
    pub(super) hub: Option<Arc<Hub>>,
    /// Knows whether an append would succeed.
    pub(super) store: Arc<dyn Store>,
    /// Whether the node's role includes webhooks.
    pub(super) takes_webhooks: bool,
    /// Knows whether the node is draining.
    pub(super) shutdown: Shutdown,
}

impl Health {
    /// The routes.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/livez", get("ok\n"))
            .route("/readyz", get(ready))
            .route("/readyz/ingest", get(ready_to_ingest))
            .with_state(self)
    }

    fn check_not_draining(&self) -> Result<(), Problem> {
        if self.shutdown.is_draining() {
            return Err(Problem::unavailable("draining", "the node is shutting down", RETRY_AFTER));
        }
        Ok(())
    }
}

async fn ready(State(health): State<Health>) -> Result<&'static str, Problem> {
    health.check_not_draining()?;
    if health.hub.is_some_and(|hub| hub.misses_notices()) {
        let detail = "the store works, but its notices do not reach this node";
        return Err(Problem::unavailable("no_notices", detail, RETRY_AFTER));
    }
    Ok("ready\n")
}

async fn ready_to_ingest(State(health): State<Health>) -> Result<&'static str, Problem> {
    if !health.takes_webhooks {
        return Err(problem::other_role());
    }
    health.check_not_draining()?;
    match health.store.health().await {
        Ok(()) => Ok("ready\n"),
        Err(error) => Err(Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER)),
    }
}
