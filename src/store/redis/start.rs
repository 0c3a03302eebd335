//! Asks the servers whether an append would succeed: at the start until it would, and later for readiness.

use super::{
    check::Checks,
    error::Unfit,
    finder::Finder,
    link::{Connector, Pause},
    login::Login,
    map::Map,
    node::Node,
    settings::ServerError,
    slot,
};
use crate::metrics::Metrics;
use futures_util::future::join_all;
use redis::AsyncConnectionConfig;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a start waits for servers that do not answer or are loading their data.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Finds the servers and waits for them.
pub(super) struct Start<'a> {
    pub(super) login: &'a Login,
    pub(super) checks: &'a Checks,
    pub(super) metrics: &'a Arc<Metrics>,
    /// What an error calls the servers as a whole.
    pub(super) address: String,
}

impl Start<'_> {
    /// Returns the map once all its servers pass the checks. Fails at once if an operator has to change something, and after
    /// [`START_PATIENCE`] with the last reason otherwise. A cluster of which some shards are gone by then is used as it is, unless the one is
    /// missing that tells the layout of the keys.
    pub(super) async fn until_fit(&self, finder: &mut Finder) -> Result<Map, ServerError> {
        let until = Instant::now() + START_PATIENCE;
        let mut pause = Pause::new();
        loop {
            let reason = match finder.first().await {
                Ok(map) => match self.check(&map, Instant::now() >= until).await? {
                    None => return Ok(map),
                    Some(reason) => reason,
                },
                Err(Unfit::NotYet(reason)) => reason,
                Err(unfit @ Unfit::Wrong(_)) => return Err(self.unfit(None, &unfit)),
            };
            if Instant::now() >= until {
                return Err(ServerError::Unreachable { address: self.address.clone(), reason });
            }
            pause.take().await;
        }
    }

    /// Checks all servers of a map. Returns why it cannot be used now, if it cannot.
    async fn check(&self, map: &Map, is_last: bool) -> Result<Option<String>, ServerError> {
        let ready = map.nodes().iter().cloned().map(|node| self.check_one(node, map));
        let mut missing = Vec::new();
        for (node, ready) in join_all(ready).await {
            match ready {
                Ok(()) => {}
                Err(Unfit::NotYet(reason)) => missing.push((node, reason)),
                Err(unfit @ Unfit::Wrong(_)) => return Err(self.unfit(Some((&node, map)), &unfit)),
            }
        }
        let unserved = usize::from(slot::SLOTS) - map.served();
        let reason = match (missing.first(), unserved) {
            (None, 0) => return Ok(None),
            (None, unserved) => format!("no server serves {unserved} of its slots"),
            (Some((_, reason)), _) if map.nodes().len() == 1 => reason.clone(),
            (Some((node, reason)), _) => format!("{node}: {reason}"),
        };
        let keeper = map.owner(slot::of_key(self.checks.plan.layout().as_bytes()));
        let has_keeper = keeper.is_some_and(|keeper| missing.iter().all(|(node, _)| node != keeper));
        if is_last && has_keeper {
            tracing::error!(
                reason,
                "a part of the store is missing; its payments cannot be used until it is back"
            );
            return Ok(None);
        }
        Ok(Some(reason))
    }

    async fn check_one(&self, node: Node, map: &Map) -> (Node, Result<(), Unfit>) {
        let connector = Connector::new(self.login.clone(), node.clone(), Arc::clone(self.metrics));
        let ready = ready(&connector, self.checks, map).await;
        (node, ready)
    }

    fn unfit(&self, at: Option<(&Node, &Map)>, unfit: &Unfit) -> ServerError {
        let address = match at {
            Some((node, map)) if map.nodes().len() > 1 => node.to_string(),
            _ => self.address.clone(),
        };
        ServerError::Unfit { address, reason: unfit.to_string() }
    }
}

/// Checks whether an append to one server of a map would succeed now. It opens a connection of its own, because the other connections may
/// be busy or just broken.
pub(super) async fn ready(connector: &Connector, checks: &Checks, map: &Map) -> Result<(), Unfit> {
    let mut connection = connector.connect(AsyncConnectionConfig::new()).await?;
    let partition = map.partitions(connector.node()).iter().next();
    checks.ready(&mut connection, partition).await
}
