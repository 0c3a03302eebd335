//! A cell: nodes over one Redis, each through a proxy of its own; payments, their providers and watchers; and rounds in
//! which one fault happens under load, after which everything must come to agree.

use super::{
    kind::{Kind, Toll},
    lane::{Lane, Truth, truth},
    report::{Figures, Heal},
};
use crate::support::{
    GENERIC_SECRET, Gateway, PATIENCE, Proxy, Random, RedisServer, Setup, Source, Store, Trouble,
};
use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const LANES: usize = 3;

/// How long anything may wait for its payment once the binding is durable and the store is well.
const AT_MOST: Duration = Duration::from_secs(2);

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
    /// As a single one, under nodes that either take webhooks or stream.
    Halves,
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Single, Self::Replicated, Self::Acked, Self::Halves];

    fn server_options(self) -> Vec<&'static str> {
        let fsync = if self == Self::Replicated { "everysec" } else { "always" };
        // A replica copies at once, and both ends notice each other's loss soon.
        let replication = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        [&["--appendfsync", fsync, "--enable-debug-command", "yes"], &replication[..]].concat()
    }

    pub(super) const fn has_replica(self) -> bool {
        matches!(self, Self::Replicated | Self::Acked)
    }

    /// What each node is. The first two take webhooks, the last two stream.
    const fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Halves => &["ingest", "ingest", "stream", "stream"],
            _ => &["all", "all"],
        }
    }

    fn store_lines(self) -> &'static str {
        match self {
            Self::Single | Self::Halves => "durability = \"always\"",
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
    pub(super) nodes: Vec<Gateway>,
    /// The way of each node to the server.
    pub(super) proxies: Vec<Proxy>,
    pub(super) primary: RedisServer,
    pub(super) replica: Option<Replica>,
    pub(super) lanes: Vec<Lane>,
    pub(super) random: Random,
    pub(super) begun: Instant,
    pub(super) figures: Figures,
    name: String,
    payments: u64,
}

/// A node that reaches the server through this proxy.
async fn node(role: &'static str, proxy: &Proxy, shape: Shape) -> Gateway {
    let url = format!("redis://{}", proxy.address);
    let store = Store::Redis { url, more: shape.store_lines().to_owned() };
    // Its preset knows labels, and parts by which events that name no payment find it.
    let preset = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/parts.toml");
    let sources = vec![Source::new("acme", preset, "default", GENERIC_SECRET)];
    Gateway::with_role(role, Setup { store, sources, ..Setup::stream("drain = \"1s\"") }).await
}

impl Cell {
    pub(super) async fn start(shape: Shape, name: String, seed: u64) -> Self {
        let primary = RedisServer::with(&shape.server_options()).await;
        let replica = if shape.has_replica() {
            let server = RedisServer::with(&shape.server_options()).await;
            let link = Proxy::to(primary.address).await;
            server.replicate(link.address);
            primary.until_replicated().await;
            Some(Replica { server, link })
        } else {
            None
        };
        let (mut nodes, mut proxies) = (Vec::new(), Vec::new());
        for role in shape.roles() {
            let proxy = Proxy::to(primary.address).await;
            nodes.push(node(role, &proxy, shape).await);
            proxies.push(proxy);
        }
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
        let opening = Lane::start(self.taking(), self.streaming(), payment, random);
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
        if toll.rolls_back {
            // What the labels pointed at may be lost, and nobody says it again.
            self.lanes.iter_mut().for_each(Lane::leave_label);
        }
        let (taken, waited, truths) = self.settle(&toll).await;
        let shown = toll.healed.unwrap_or_else(|| toll.end.elapsed());
        assert!(shown < HEAL, "healed only after {shown:?}");
        let (mut gone, mut told) = (0, 0);
        for (lane, truth) in self.lanes.iter().zip(&truths) {
            timeout(PATIENCE, lane.until_fresh()).await.expect("nobody is told stale for ever");
            gone += lane.check_log(truth, &toll);
            told += lane.check_watchers(&toll, toll.moved);
            lane.check_nodes(self.streaming(), truth).await;
        }
        self.figures.waited(waited);
        self.figures.heals.entry(kind).or_default().push(Heal { taken, shown, gone, told });
        self.renew().await;
    }

    /// Lets the providers post.
    pub(super) fn go(&self) {
        self.lanes.iter().for_each(|lane| lane.provider.resume());
    }

    /// Lets the providers post, until each has been acknowledged something.
    async fn resume(&self) {
        let before: Vec<_> = self.lanes.iter().map(|lane| lane.provider.post.book().acks).collect();
        self.go();
        for (lane, acks) in self.lanes.iter().zip(before) {
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

    /// Waits until every event has found its payment and every stream shows what the server holds. Returns when webhooks were taken again,
    /// how long events waited from then on, and the logs.
    pub(super) async fn settle(&self, toll: &Toll) -> (Duration, Duration, Vec<Truth>) {
        self.park().await;
        let taken = toll.end.elapsed();
        let parked = Instant::now();
        let truths = loop {
            let truths: Vec<_> = self.lanes.iter().map(|lane| truth(&self.primary, &lane.payment)).collect();
            let is_whole =
                self.lanes.iter().zip(&truths).all(|(lane, truth)| lane.lacks(truth, toll).is_empty());
            // What is missing by then is told by the check of the logs.
            // After a fault that may lose a binding, an event that need not find its payment may do so all the same, until then.
            if (is_whole && !toll.rolls_back) || parked.elapsed() > AT_MOST {
                break truths;
            }
            sleep(Duration::from_millis(10)).await;
        };
        let waited = if toll.rolls_back { Duration::ZERO } else { parked.elapsed() };
        for (lane, truth) in self.lanes.iter().zip(&truths) {
            if timeout(PATIENCE, lane.until_shown(truth, toll.moved)).await.is_err() {
                let shown: Vec<_> =
                    lane.watchers.iter().map(|watcher| (watcher.home, watcher.shows())).collect();
                panic!("{} never shows its log: {truth:?}, but {shown:?}", lane.payment);
            }
        }
        (taken, waited, truths)
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

    /// The nodes that take webhooks.
    fn taking(&self) -> &[Gateway; 2] {
        self.nodes.first_chunk().unwrap()
    }

    /// The nodes that stream; among all of them, they come last.
    fn streaming(&self) -> &[Gateway; 2] {
        self.nodes.last_chunk().unwrap()
    }

    /// Which of the streaming nodes this node is, if it is one.
    pub(super) fn as_streaming(&self, node: usize) -> Option<usize> {
        node.checked_sub(self.nodes.len() - 2)
    }

    /// One of `choices`.
    pub(super) fn draw(&mut self, choices: usize) -> usize {
        usize::try_from(self.random.below(choices as u64)).unwrap()
    }

    /// One of the nodes.
    pub(super) fn draw_node(&mut self) -> usize {
        self.draw(self.nodes.len())
    }

    /// A span between the two, in milliseconds.
    pub(super) fn draw_ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random.below(most - least + 1))
    }

    /// Begins a trouble between one node and the server, or all nodes and the server.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        let hit = self.draw(self.proxies.len() + 1);
        match self.proxies.get(hit) {
            Some(proxy) => proxy.set(trouble),
            None => self.proxies.iter().for_each(|proxy| proxy.set(trouble)),
        }
    }

    pub(super) fn calm(&self) {
        self.proxies.iter().for_each(|proxy| proxy.set(Trouble::None));
    }

    pub(super) fn lead_to(&self, server: SocketAddr) {
        self.proxies.iter().for_each(|proxy| proxy.lead_to(server));
    }

    /// Keeps what the nodes and the server logged, for whoever has to find out. Returns where.
    pub(super) fn keep_logs(&self) -> String {
        let folder =
            tempfile::Builder::new().prefix("paystream-faults-").disable_cleanup(true).tempdir().unwrap();
        for (index, node) in self.nodes.iter().enumerate() {
            fs::write(folder.path().join(format!("node-{index}.log")), node.log()).unwrap();
        }
        fs::write(folder.path().join("server.log"), self.primary.log()).unwrap();
        folder.path().display().to_string()
    }
}
