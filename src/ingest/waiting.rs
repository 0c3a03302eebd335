//! What waits for its payment: looks at the parts for which events wait, hands these over once the part is bound, and gives up those that
//! have waited for too long.
//!
//! Whoever binds a part hands over what waits for it. This only makes good what a crash left undone in between, so a part that nobody binds
//! is looked at ever more rarely. A look may be repeated at will, so its lease is short.

use crate::{
    clock,
    metrics::Metrics,
    payment::{Name, Subject},
    shutdown::Shutdown,
    source::{Source, Sources},
    store::{Backlog, Claim, ClaimTerms, Parts, Pending, Settlement, Store},
};
use futures_util::{StreamExt as _, stream};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often the queues are polled for parts that other nodes left behind.
const POLL: Duration = Duration::from_millis(500);

/// A claim excludes other nodes for the time that a look takes if the store is well.
const TERMS: ClaimTerms = ClaimTerms { spacing: Duration::ZERO, lease: Duration::from_secs(1) };

/// The most parts of one queue that are looked at before the others have their turn. At a poll every half second, as many as may wait are
/// looked at within three minutes.
const AT_ONCE: usize = 256;

/// The parts of one queue that are looked at at the same time, so that they share writes to the disk.
const SIDE_BY_SIDE: usize = 16;

/// How long a part rests whose look failed because the store did.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Looks at parts for which events wait, until the drain begins.
pub async fn hand_over(
    sources: Arc<Sources>,
    store: Arc<dyn Store>,
    parts: Arc<Parts>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    loop {
        // If the store does not answer, what waits goes on waiting.
        if let Ok(backlogs) = store.backlogs_of_parts().await {
            measure(&backlogs, &metrics);
            for queue in backlogs.keys().filter_map(|queue| queue.parse().ok()) {
                look_at_all(&queue, &sources, &*store, &parts).await;
            }
        }
        tokio::select! {
            () = shutdown.draining() => return,
            () = sleep(POLL) => {}
        }
    }
}

fn measure(backlogs: &BTreeMap<Arc<str>, Backlog>, metrics: &Metrics) {
    let count: u64 = backlogs.values().map(|backlog| backlog.count).sum();
    let oldest = backlogs.values().map(|backlog| backlog.oldest.as_secs()).max().unwrap_or_default();
    metrics.parts_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    metrics.parts_waiting_oldest.set(i64::try_from(oldest).unwrap_or(i64::MAX));
}

/// Looks at the parts of one queue that are due.
async fn look_at_all(queue: &Name, sources: &Sources, store: &dyn Store, parts: &Parts) {
    let claims = stream::unfold((), |()| async {
        match store.claim(queue.as_str(), TERMS).await {
            Ok(Claim::Pending(pending)) => Some((pending, ())),
            _ => None,
        }
    });
    let look = |pending: Pending| async move {
        let part = Subject { realm: queue.clone(), id: pending.payment.clone() };
        let shares_ids =
            |source: &str| sources.get(source).is_some_and(|source: Arc<Source>| source.shares_ids());
        let looked = parts.look(&part, pending.attempts, clock::now(), shares_ids).await;
        let settlement = looked.unwrap_or_else(|why| {
            tracing::warn!(%part, %why, "the store failed while events were handed over to their payment");
            Settlement::Postponed { after: AFTER_FAULT }
        });
        if let Err(why) = store.settle(pending, settlement).await {
            tracing::debug!(%part, %why, "a part was not settled; it is looked at again after its lease");
        }
    };
    claims.take(AT_ONCE).for_each_concurrent(SIDE_BY_SIDE, look).await;
}
