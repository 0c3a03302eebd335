//! Removes from the store, once an hour, the records of deliveries and the entries of the audit trail that are too old to be kept.

use crate::{
    clock,
    shutdown::Shutdown,
    store::{Expiry, Store},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often it is looked for what is too old. Each time reads all records of deliveries, at most 1024 of a source.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long after its start a gateway does so for the first time, so that one that restarts often does it too.
const FIRST_AFTER: Duration = Duration::from_secs(60);

/// Removes what is too old, until the shutdown.
pub(super) async fn run(store: Arc<dyn Store>, shutdown: Shutdown) {
    let mut pause = FIRST_AFTER;
    loop {
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.stopped() => return,
        }
        match store.expire(Expiry::at(clock::now())).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "records that were too old are removed"),
            Err(error) => tracing::warn!(%error, "records that are too old were not removed"),
        }
        pause = INTERVAL;
    }
}
