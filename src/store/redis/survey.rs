//! Goes to the servers and says what it found, for an operator who asks before a gateway is started.

use super::{
    address::Topology,
    check::Checks,
    error::Unfit,
    finder::Finder,
    link::Connector,
    login::Login,
    map::Map,
    node::Node,
    plan::Plan,
    settings::{ServerError, Settings},
    start::ready,
};
use crate::metrics::Metrics;
use futures_util::future::join_all;
use redis::AsyncConnectionConfig;
use std::sync::Arc;

/// What was found at one primary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Surveyed {
    /// Host and port.
    pub server: String,
    /// Whether an append would succeed there now.
    pub is_fit: bool,
    /// What it is, or why it is not fit and what to change.
    pub finding: String,
    /// What is allowed but probably not intended.
    pub warnings: Vec<String>,
}

/// Connects to every primary and checks it as the gateway does. Writes nothing but the number of the layout, where the prefix is empty.
pub async fn survey(settings: &Settings) -> Result<Vec<Surveyed>, ServerError> {
    let (address, login) = (settings.read().map_err(ServerError::Url)?, Login::new(settings)?);
    let metrics = Arc::new(Metrics::new());
    let Settings { durability, ack_replicas, prefix, .. } = settings;
    let checks = Checks {
        durability: *durability,
        ack_replicas: *ack_replicas,
        plan: Plan::new(prefix.clone()),
        is_cluster: address.topology == Topology::Cluster,
        is_found: address.topology != Topology::Single,
    };
    let mut finder = Finder::new(settings, &login, &metrics).map_err(ServerError::Url)?;
    let map = finder.first().await.map_err(|unfit| match unfit {
        Unfit::NotYet(reason) => ServerError::Unreachable { address: settings.address(), reason },
        Unfit::Wrong(_) => ServerError::Unfit { address: settings.address(), reason: unfit.to_string() },
    })?;
    let surveyed = map.nodes().iter().cloned().map(|node| {
        let connector = Connector::new(login.clone(), node.clone(), Arc::clone(&metrics));
        look(node, connector, &checks, &map)
    });
    Ok(join_all(surveyed).await)
}

async fn look(node: Node, connector: Connector, checks: &Checks, map: &Map) -> Surveyed {
    let server = node.to_string();
    let found = match ready(&connector, checks, map).await {
        Ok(()) => describe(&connector, checks).await,
        Err(unfit) => Err(unfit),
    };
    match found {
        Ok((version, replicas)) => {
            let partitions = map.partitions(&node).len();
            let finding =
                format!("fit: version {version}, {partitions} of 256 partitions, {replicas} replicas online");
            Surveyed { server, is_fit: true, finding, warnings: warnings(replicas, checks.ack_replicas) }
        }
        Err(unfit) => Surveyed { server, is_fit: false, finding: unfit.to_string(), warnings: Vec::new() },
    }
}

async fn describe(connector: &Connector, checks: &Checks) -> Result<(String, u32), Unfit> {
    let mut connection = connector.connect(AsyncConnectionConfig::new()).await?;
    checks.describe(&mut connection).await
}

/// What the replicas mean for an acknowledgement. Pure.
fn warnings(replicas: u32, ack_replicas: u32) -> Vec<String> {
    if replicas > 0 && ack_replicas == 0 {
        vec![format!(
            "it has {replicas} replicas and ack_replicas is 0, so a failover may lose the last acknowledged events; set ack_replicas = {replicas} \
             if they must survive it"
        )]
    } else if replicas > ack_replicas {
        vec![format!(
            "it has {replicas} replicas and ack_replicas is {ack_replicas}, so a failover may promote one that lacks the last acknowledged \
             events; set ack_replicas = {replicas} if they must survive it"
        )]
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_may_be_promoted_without_an_event_are_warned_of() {
        for (replicas, ack_replicas, expected) in [
            (0, 0, None),
            (1, 1, None),
            (1, 0, Some("ack_replicas is 0, so a failover may lose")),
            (2, 1, Some("may promote one that lacks")),
        ] {
            let found = warnings(replicas, ack_replicas);
            assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
            assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:?}");
        }
    }
}
