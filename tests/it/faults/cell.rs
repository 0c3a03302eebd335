//! A cell: two nodes over one Redis, each through a proxy of its own; payments, their providers and watchers; and rounds in
//! which one fault happens under load, after which everything must come to agree.

use super::{
    kind::{Kind, Toll},
    lane::{Lane, Truth},
    report::{Figures, Heal},
};
use crate::support::{Gateway, PATIENCE, Proxy, Random, RedisServer, Setup, Store, Trouble};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const LANES: usize = 3;

/// How long after the end of a fault every stream may take to show the head, webhooks that were refused meanwhile included.
const HEAL: Duration = Duration::from_secs(10);

/// How the server keeps events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// One server that syncs before it answers.
    Single,
    /// A primary that syncs every second, and a replica that may lag.
    Replicated,
    /// A primary that syncs before it answers, and a replica that must have an event before it is acknowledged.
    Acked,
}

impl Shape {
    pub(super) const ALL: [Self; 3] = [Self::Single, Self::Replicated, Self::Acked];

    fn server_options(self) -> Vec<&'static str> {
        let fsync = if self == Self::Replicated { "everysec" } else { "always" };
        // A replica copies at once, and both ends notice each other's loss soon.
        let replication = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        [&["--appendfsync", fsync, "--enable-debug-command", "yes"], &replication[..]].concat()
    }

    fn store_lines(self) -> &'static str {
        match self {
            Self::Single => "durability = \"always\"",
            Self::Replicated => "durability = \"everysec\"",
            Self::Acked => "durability = \"always\"\nack_replicas = 1",
        }
    }
}

/// A server that copies the primary through a proxy.
pub(super) struct Replica {
    pub(super) server: RedisServer,
    pub(super) link: Proxy,
}

pub(super) struct Cell {
    pub(super) shape: Shape,
    pub(super) nodes: [Gateway; 2],
    pub(super) proxies: [Proxy; 2],
    pub(super) primary: RedisServer,
    pub(super) replica: Option<Replica>,
    pub(super) lanes: Vec<Lane>,
    pub(super) random: Random,
    pub(super) begun: Instant,
    pub(super) figures: Figures,
    name: String,
    payments: u64,
}

async fn node(proxy: &Proxy, shape: Shape) -> Gateway {
    let store =
        Store::Redis { url: format!("redis://{}", proxy.address), more: shape.store_lines().to_owned() };
    Gateway::with(Setup { store, ..Setup::stream("drain = \"1s\"") }).await
}

impl Cell {
    pub(super) async fn start(shape: Shape, name: String, seed: u64) -> Self {
        let primary = RedisServer::with(&shape.server_options()).await;
        let replica = if shape == Shape::Single {
            None
        } else {
            let server = RedisServer::with(&shape.server_options()).await;
            let link = Proxy::to(primary.address).await;
            server.replicate(link.address);
            Some(Replica { server, link })
        };
        if replica.is_some() {
            primary.until_replicated().await;
        }
        let proxies = [Proxy::to(primary.address).await, Proxy::to(primary.address).await];
        let nodes = [node(&proxies[0], shape).await, node(&proxies[1], shape).await];
        let mut cell = Self {
            shape,
            nodes,
            proxies,
            primary,
            replica,
            lanes: Vec::new(),
            random: Random::new(seed),
            begun: Instant::now(),
            figures: Figures::default(),
            name,
            payments: 0,
        };
        for _ in 0..LANES {
            let lane = cell.next_lane().await;
            cell.lanes.push(lane);
        }
        cell
    }

    async fn next_lane(&mut self) -> Lane {
        self.payments += 1;
        let payment = format!("pay_{}_{}", self.name, self.payments);
        let random = Random::new(self.random.below(u64::MAX));
        let opening = Lane::start(&self.nodes, payment, random);
        timeout(PATIENCE, opening).await.expect("streams open")
    }

    /// One fault under load, and the proof that nothing came of it that must not.
    pub(super) async fn round(&mut self, kind: Kind) {
        self.resume().await;
        sleep(Duration::from_millis(self.random.below(100))).await;
        for lane in &mut self.lanes {
            lane.remember();
        }
        let toll = timeout(2 * PATIENCE, self.strike(kind)).await.expect("the fault itself ends");
        let (taken, truths) = self.settle(&toll).await;
        let shown = toll.healed.unwrap_or_else(|| toll.end.elapsed());
        assert!(shown < HEAL, "healed only after {shown:?}");
        let (mut gone, mut told) = (0, 0);
        for (lane, truth) in self.lanes.iter().zip(&truths) {
            timeout(PATIENCE, lane.until_fresh()).await.expect("nobody is told stale for ever");
            gone += lane.check_log(truth, &toll);
            told += lane.check_watchers(&toll, toll.moved);
            lane.check_nodes(&self.nodes, truth).await;
        }
        self.figures.heals.entry(kind).or_default().push(Heal { taken, shown, gone, told });
        self.renew().await;
    }

    /// Lets the providers post, until each has been acknowledged something.
    async fn resume(&self) {
        for lane in &self.lanes {
            let acks = lane.provider.post.book().acks;
            lane.provider.resume();
            let moves = async {
                while lane.provider.post.book().acks == acks {
                    assert!(!lane.provider.task.is_finished(), "a provider has failed");
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(PATIENCE, moves).await.expect("webhooks are taken");
        }
    }

    /// Waits until the providers have been acknowledged what they were about, and pauses them.
    pub(super) async fn park(&self) {
        for lane in &self.lanes {
            lane.provider.park();
        }
        for lane in &self.lanes {
            timeout(PATIENCE, lane.provider.parked()).await.expect("webhooks are taken again");
        }
    }

    /// Waits until every stream shows what the server holds. Returns when webhooks were taken again, and the logs.
    pub(super) async fn settle(&self, toll: &Toll) -> (Duration, Vec<Truth>) {
        self.park().await;
        let taken = toll.end.elapsed();
        let truths: Vec<_> = self.lanes.iter().map(|lane| lane.truth(&self.primary)).collect();
        for (lane, truth) in self.lanes.iter().zip(&truths) {
            if timeout(PATIENCE, lane.until_shown(truth, toll.moved)).await.is_err() {
                let shown: Vec<_> =
                    lane.watchers.iter().map(|watcher| (watcher.home, watcher.shows())).collect();
                panic!("{} never shows its log: {truth:?}, but {shown:?}", lane.payment);
            }
        }
        (taken, truths)
    }

    /// Puts new payments in the place of those that have had enough events.
    async fn renew(&mut self) {
        for index in 0..LANES {
            if self.lanes[index].is_done() {
                let next = self.next_lane().await;
                let lane = std::mem::replace(&mut self.lanes[index], next);
                self.figures.take(&lane);
            }
        }
    }

    /// The figures of all rounds.
    pub(super) fn finish(mut self) -> Figures {
        for lane in &self.lanes {
            self.figures.take(lane);
        }
        self.figures
    }

    /// One of the two nodes.
    pub(super) fn draw_node(&mut self) -> usize {
        usize::try_from(self.random.below(2)).unwrap()
    }

    /// A span between the two, in milliseconds.
    pub(super) fn draw_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random.below(most - least + 1))
    }

    /// Begins a trouble between one node and the server, or both nodes and the server.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let hit = self.random.below(3);
        for (proxy, index) in self.proxies.iter().zip(0..) {
            if hit == index || hit == 2 {
                proxy.set(trouble);
            }
        }
    }

    pub(super) fn calm(&self) {
        self.proxies.iter().for_each(|proxy| proxy.set(Trouble::None));
    }

    pub(super) fn lead_to(&self, server: SocketAddr) {
        self.proxies.iter().for_each(|proxy| proxy.lead_to(server));
    }

    /// The last lines of what the nodes and the server logged, for whoever has to find out.
    pub(super) fn logs(&self) -> String {
        let tail = |log: String| {
            let lines: Vec<_> = log.lines().filter(|line| !line.contains("outcome=\"accepted\"")).collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        let [first, second] = self.nodes.each_ref().map(|node| tail(node.log()));
        format!("node 0:\n{first}\nnode 1:\n{second}\nserver:\n{}", tail(self.primary.log()))
    }
}
