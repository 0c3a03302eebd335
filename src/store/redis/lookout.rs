//! Keeps the map of a cluster current: asks its nodes every second, and at once whenever something casts doubt on the map, such as a
//! redirection, a lost connection or a subscription that ended.

use super::{
    cluster::{self, View},
    error::Unfit,
    link::Connector,
    login::Login,
    map::{Board, Map},
    node::Node,
    shards::Shards,
    slot::SLOTS,
};
use crate::metrics::{Metrics, StoreFault};
use futures_util::future::join_all;
use redis::AsyncConnectionConfig;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How often the nodes are asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often they are asked while a server of the map is gone, so that its successor is found soon.
const ANXIOUS: Duration = Duration::from_millis(250);

/// The pause between two looks, however much doubt there is.
const GAP: Duration = Duration::from_millis(25);

/// How long a view with an older epoch than one before is taken for that of a node which is cut off from the others. If there is no other
/// for that long, the cluster was set up anew.
const OUTDATED: Duration = Duration::from_secs(5);

/// Looks at the topology of a cluster.
#[derive(Debug)]
pub(super) struct Lookout {
    login: Login,
    metrics: Arc<Metrics>,
    seeds: Vec<Node>,
    replicas: Vec<Node>,
    /// The newest epoch that a node knew, and when a view was taken last.
    epoch: u64,
    taken: Option<Instant>,
    /// Whose turn it is.
    turn: usize,
}

impl Lookout {
    pub(super) const fn new(login: Login, seeds: Vec<Node>, metrics: Arc<Metrics>) -> Self {
        Self { login, metrics, seeds, replicas: Vec::new(), epoch: 0, taken: None, turn: 0 }
    }

    /// Asks the seeds, and returns the newest map that one of them knows.
    pub(super) async fn first(&mut self) -> Result<Map, Unfit> {
        let view = self.ask_all(self.seeds.clone()).await?;
        self.take(&view);
        Ok(view.map)
    }

    /// Keeps the map current until the shards are gone.
    pub(super) async fn keep(mut self, shards: Weak<Shards>, board: Arc<Board>) {
        let mut interval = INTERVAL;
        loop {
            tokio::select! {
                () = board.doubted() => {}
                () = sleep(interval) => {}
            }
            let Some(shards) = shards.upgrade() else { return };
            match self.look(&shards).await {
                Ok(view) if self.take(&view) => {
                    if let Some(before) = board.show(view.map) {
                        self.metrics.store_faults.count(StoreFault::Topology);
                        tell(&before, &board.map());
                    }
                }
                Ok(view) => {
                    tracing::debug!(epoch = view.epoch, "a node knows an older topology than another");
                }
                Err(why) => tracing::debug!(%why, "no node tells the topology"),
            }
            let is_down = |node: &Node| shards.shard(node).reader.up_now().is_none();
            interval = if board.map().nodes().iter().any(is_down) { ANXIOUS } else { INTERVAL };
            drop(shards);
            sleep(GAP).await;
        }
    }

    /// Notes what a view says beside the map. Returns whether it counts.
    fn take(&mut self, view: &View) -> bool {
        let is_outdated =
            view.epoch < self.epoch && self.taken.is_some_and(|taken| taken.elapsed() < OUTDATED);
        if !is_outdated {
            self.epoch = view.epoch;
            self.taken = Some(Instant::now());
            self.replicas.clone_from(&view.replicas);
        }
        !is_outdated
    }

    /// Asks one of the primaries whose connection stands, each in its turn, and all servers that are known if it does not tell.
    async fn look(&mut self, shards: &Shards) -> Result<View, Unfit> {
        let map = shards.board().map();
        let standing: Vec<_> = map
            .nodes()
            .iter()
            .filter_map(|node| Some((node.clone(), shards.shard(node).reader.up_now()?)))
            .collect();
        self.turn = self.turn.wrapping_add(1);
        if let Some((node, mut up)) = standing.get(self.turn % standing.len().max(1)).cloned() {
            let (questions, count) = cluster::questions();
            if let Ok(answers) = up.send(&questions, count).await
                && let Ok(view) = cluster::read(answers, &node)
                && view.epoch >= self.epoch
            {
                return Ok(view);
            }
        }
        let mut others: Vec<_> =
            map.nodes().iter().chain(&self.replicas).chain(&self.seeds).cloned().collect();
        others.sort_unstable();
        others.dedup();
        self.ask_all(others).await
    }

    /// Asks servers over connections of their own, all at once, and returns the view with the newest epoch.
    async fn ask_all(&self, nodes: Vec<Node>) -> Result<View, Unfit> {
        let views = join_all(nodes.iter().map(|node| self.ask(node))).await;
        let (views, failures): (Vec<_>, Vec<_>) = views.into_iter().partition(Result::is_ok);
        let newest = views.into_iter().flatten().max_by_key(|view| (view.epoch, view.map.served()));
        let failures = failures.into_iter().filter_map(Result::err).collect::<Vec<_>>();
        // What an operator has to change is told before what passes by itself.
        let is_wrong = |failure: &&Unfit| matches!(failure, Unfit::Wrong(_));
        newest.ok_or_else(|| match failures.iter().find(is_wrong).or_else(|| failures.first()) {
            Some(failure) => failure.clone(),
            None => Unfit::NotYet("there is no server to ask".to_owned()),
        })
    }

    async fn ask(&self, node: &Node) -> Result<View, Unfit> {
        let connector = Connector::new(self.login.clone(), node.clone(), Arc::clone(&self.metrics));
        let mut connection = connector.connect(AsyncConnectionConfig::new()).await?;
        let (questions, count) = cluster::questions();
        let answers = connection.send_packed_commands(&questions, 0, count).await;
        let answers = answers.map_err(|error| Unfit::NotYet(super::error::in_words(&error)))?;
        cluster::read(answers, node).map_err(|why| match why.contains("cluster support disabled") {
            true => Unfit::Wrong(vec![format!(
                "{node} is no node of a cluster; let [store] url begin with redis:// or rediss://, or set cluster-enabled yes"
            )]),
            false => Unfit::NotYet(format!("{node}: {why}")),
        })
    }
}

/// Logs one change of the topology.
fn tell(before: &Map, map: &Map) {
    let list = |nodes: Vec<&Node>| nodes.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let moved = (0..SLOTS).filter(|slot| before.owner(*slot) != map.owner(*slot)).count();
    let come = map.nodes().iter().filter(|node| !before.nodes().contains(node)).collect();
    let gone = before.nodes().iter().filter(|node| !map.nodes().contains(node)).collect();
    tracing::info!(
        primaries = map.nodes().len(),
        slots_moved = moved,
        slots_unserved = usize::from(SLOTS) - map.served(),
        come = list(come),
        gone = list(gone),
        "the topology of the store has changed"
    );
}
