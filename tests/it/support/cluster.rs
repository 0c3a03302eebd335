//! A real Redis cluster of a test's own, and one that all tests of a run share. Dropping it kills it.

use super::{RedisServer, eventually, free_address, shared};
use tokio::sync::OnceCell;

/// How long a node may be silent before the others give it up.
const NODE_TIMEOUT_MS: &str = "1000";

/// Primaries, each with the same number of replicas. The first servers are the primaries at the start.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<RedisServer>,
    primaries: usize,
}

impl Cluster {
    /// Three primaries with a replica each.
    pub(crate) async fn start() -> Self {
        Self::with(3, 1, &[]).await
    }

    /// So many primaries with so many replicas each, and further options of the command line. The slots are shared evenly.
    pub(crate) async fn with(primaries: usize, replicas: usize, options: &[&str]) -> Self {
        let count = primaries * (1 + replicas);
        let starting = (0..count).map(|_| Self::node(options));
        let servers = futures_util::future::join_all(starting).await;
        let cluster = Self { servers, primaries };
        for (number, server) in cluster.servers.iter().enumerate() {
            server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for number in 0..primaries {
            let (first, last) = cluster.range(number);
            let range = ["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()];
            assert!(cluster.servers[number].ask(&range).starts_with("+OK"));
        }
        for server in &cluster.servers[1..] {
            cluster.meet(server);
        }
        cluster.until_met(count).await;
        for (number, replica) in cluster.servers[primaries..].iter().enumerate() {
            let id = cluster.servers[number % primaries].id();
            eventually("the replica follows", async || {
                replica.ask(&["CLUSTER", "REPLICATE", &id]).starts_with("+OK")
            })
            .await;
        }
        cluster.until_ok().await;
        if replicas > 0 {
            for primary in &cluster.servers[..primaries] {
                primary.until_replicated().await;
            }
        }
        // A replica that subscribes or is promoted before everybody knows it is heard by nobody.
        let slots = |server: &RedisServer| server.ask(&["CLUSTER", "NODES"]).matches(" slave ").count();
        eventually("all replicas are known", async || {
            cluster.servers.iter().all(|server| {
                slots(server) + usize::from(server.ask(&["ROLE"]).contains("slave")) >= replicas * primaries
            })
        })
        .await;
        cluster
    }

    /// A node that belongs to no cluster yet.
    async fn node(options: &[&str]) -> RedisServer {
        // Its bus would else listen 10,000 above, where other tests' clients have their ports.
        let bus = free_address().port().to_string();
        let mut all = vec!["--cluster-enabled", "yes", "--cluster-port", &bus];
        all.extend(["--cluster-node-timeout", NODE_TIMEOUT_MS, "--cluster-require-full-coverage", "no"]);
        all.extend(["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"]);
        all.extend(options);
        RedisServer::with(&all).await
    }

    /// Adds a primary without slots, and returns its place.
    pub(crate) async fn add(&mut self) -> usize {
        let server = Self::node(&[]).await;
        self.meet(&server);
        self.servers.push(server);
        self.until_met(self.servers.len()).await;
        self.until_ok().await;
        self.servers.len() - 1
    }

    fn meet(&self, server: &RedisServer) {
        let first = &self.servers[0];
        let info = first.ask(&["CONFIG", "GET", "cluster-port"]);
        let bus = info.lines().last().unwrap().trim().to_owned();
        let port = first.address.port().to_string();
        assert!(server.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).starts_with("+OK"));
    }

    async fn until_met(&self, count: usize) {
        eventually("all nodes have met", async || {
            let knows = |server: &RedisServer| {
                let nodes = server.ask(&["CLUSTER", "NODES"]);
                nodes.matches("connected").count() - nodes.matches("disconnected").count() == count
                    && !nodes.contains("handshake")
            };
            self.servers.iter().all(knows)
        })
        .await;
    }

    /// Waits until every node that runs says that all is well.
    pub(crate) async fn until_ok(&self) {
        eventually("the cluster is ready", async || {
            let is_ok = |server: &RedisServer| {
                let info = server.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            };
            self.servers.iter().filter(|server| server.is_running()).all(is_ok)
        })
        .await;
    }

    /// The slots that a primary has at the start.
    fn range(&self, number: usize) -> (usize, usize) {
        let bound = |number: usize| number * 16_384 / self.primaries;
        (bound(number), bound(number + 1) - 1)
    }

    /// The address for `[store] url`, which names three of the nodes.
    pub(crate) fn url(&self) -> String {
        let seeds: Vec<_> = self.servers.iter().take(3).map(|server| server.address.to_string()).collect();
        format!("redis+cluster://{}", seeds.join(","))
    }

    /// The place of the primary that serves a slot, as the first node that runs sees it.
    pub(crate) fn owner(&self, slot: u16) -> usize {
        let running = self.servers.iter().find(|server| server.is_running()).unwrap();
        let nodes = running.ask(&["CLUSTER", "NODES"]);
        let line = nodes.lines().find(|line| {
            line.contains("master") && line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
            })
        });
        let line = line.unwrap_or_else(|| panic!("nobody serves {slot}:\n{nodes}"));
        let address = line.split(' ').nth(1).unwrap().split('@').next().unwrap();
        self.servers.iter().position(|server| server.address.to_string() == address).unwrap()
    }

    /// The slot of a key, as Redis computes it.
    pub(crate) fn slot(&self, key: &str) -> u16 {
        let running = self.servers.iter().find(|server| server.is_running()).unwrap();
        running.ask(&["CLUSTER", "KEYSLOT", key]).trim_start_matches(':').trim().parse().unwrap()
    }

    /// Begins to move a slot.
    pub(crate) fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (slot, [source, target]) = (slot.to_string(), [from, to].map(|place| &self.servers[place]));
        assert!(target.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source.id()]).starts_with("+OK"));
        assert!(source.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target.id()]).starts_with("+OK"));
    }

    /// Moves at most `count` keys of a slot that is being moved. Returns how many it moved.
    pub(crate) fn move_keys(&self, slot: u16, from: usize, to: usize, count: usize) -> usize {
        let answer =
            self.servers[from].ask(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count.to_string()]);
        let keys: Vec<_> = answer.lines().skip(2).step_by(2).collect();
        if !keys.is_empty() {
            let port = self.servers[to].address.port().to_string();
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(&keys);
            assert!(self.servers[from].ask(&migrate).starts_with('+'));
        }
        keys.len()
    }

    /// Gives a slot whose keys were moved to its new owner.
    pub(crate) fn end_move(&self, slot: u16, from: usize, to: usize) {
        let id = self.servers[to].id();
        let primaries = self
            .servers
            .iter()
            .enumerate()
            .filter(|(_, server)| server.is_running() && server.ask(&["ROLE"]).contains("master"));
        let mut places: Vec<_> = primaries.map(|(place, _)| place).collect();
        // First the new owner, then the old one, then the others.
        places.sort_by_key(|place| {
            if *place == to {
                0
            } else if *place == from {
                1
            } else {
                2
            }
        });
        for place in places {
            let answer = self.servers[place].ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]);
            assert!(answer.starts_with("+OK"), "{answer}");
        }
    }

    /// Moves a slot as `redis-cli` does.
    pub(crate) fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        while self.move_keys(slot, from, to, 100) > 0 {}
        self.end_move(slot, from, to);
    }
}

/// The address of a cluster that all tests of this run share. It ends with the run.
pub(crate) async fn shared_cluster() -> String {
    static URL: OnceCell<String> = OnceCell::const_new();
    shared(&URL, async || {
        let cluster = Cluster::start().await;
        (cluster.url(), cluster)
    })
    .await
}

/// A prefix that no other test of this run has.
pub(crate) fn fresh_prefix() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
