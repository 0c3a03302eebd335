//! Finds out which servers there are, by the kind of address that the configuration gives.

use super::{
    address::{Address, Topology},
    error::Unfit,
    login::Login,
    lookout::Lookout,
    map::{Board, Map},
    node::Node,
    sentinel::Sentinels,
    settings::Settings,
    shards::Shards,
};
use crate::metrics::Metrics;
use std::sync::{Arc, Weak};

/// What finds the servers.
#[derive(Debug)]
pub(super) enum Finder {
    /// There is one address, and it leads to the primary.
    Server(Node),
    /// The nodes of a cluster tell.
    Cluster(Lookout),
    /// Sentinels tell.
    Sentinels(Sentinels),
}

impl Finder {
    /// Fails if the address names no server.
    pub(super) fn new(
        settings: &Settings,
        login: &Login,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, &'static str> {
        let Address { topology, seeds, .. } = settings.read()?;
        Ok(match topology {
            Topology::Cluster => Self::Cluster(Lookout::new(login.clone(), seeds, Arc::clone(metrics))),
            Topology::Sentinel(group) => {
                let to_sentinels = login.of_sentinels();
                Self::Sentinels(Sentinels::new(
                    group,
                    seeds,
                    to_sentinels,
                    login.clone(),
                    Arc::clone(metrics),
                ))
            }
            Topology::Single => Self::Server(seeds.into_iter().next().ok_or("names no server")?),
        })
    }

    /// Returns the map as it is at the start.
    pub(super) async fn first(&mut self) -> Result<Map, Unfit> {
        match self {
            Self::Server(node) => Ok(Map::single(node.clone())),
            Self::Cluster(lookout) => lookout.first().await,
            Self::Sentinels(sentinels) => sentinels.first().await,
        }
    }

    /// Keeps the map current until the shards are gone.
    pub(super) async fn keep(self, shards: Weak<Shards>, board: Arc<Board>) {
        match self {
            Self::Server(_) => {}
            Self::Cluster(lookout) => lookout.keep(shards, board).await,
            Self::Sentinels(sentinels) => sentinels.keep(shards, board).await,
        }
    }
}
