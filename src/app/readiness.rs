//! Asks the store now and then whether it does what this node needs of it, so that a metric says so also while no webhook comes.
//!
//! It only looks. Health checks ask the store themselves, and whoever needs the store hears of its failures at once.

use crate::{hub::Hub, metrics::Metrics, shutdown::Shutdown, store::Store};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often the store is asked. On Redis, each time costs a connection and some ten commands.
const INTERVAL: Duration = Duration::from_secs(10);

/// Asks until the shutdown: whether an append would succeed or, if the node takes no webhooks and has a `hub`, whether the store
/// answers the hub.
pub(super) async fn watch(
    store: Arc<dyn Store>,
    hub: Option<Arc<Hub>>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    loop {
        let is_ready = match &hub {
            Some(hub) => hub.stale().is_empty(),
            None => tokio::select! {
                health = store.health() => health.is_ok(),
                () = shutdown.stopped() => return,
            },
        };
        metrics.store_ready.set(i64::from(is_ready));
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = shutdown.stopped() => return,
        }
    }
}
