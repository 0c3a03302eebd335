//! How each fault is done, and what it may have cost.

use super::{
    cell::{Cell, Shape},
    kind::{Kind, Toll},
};
use crate::support::{PATIENCE, Trouble, ask_at};
use std::time::{Duration, Instant};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

/// How long the last event of a quiet payment may take if its notice is lost.
const QUIET: Duration = Duration::from_millis(2500);

/// By how much `everysec` lets the file be behind, if the disk is slow.
const EVERY_SECOND: Duration = Duration::from_secs(2);

impl Cell {
    /// Does it, from beginning to end.
    pub(super) async fn strike(&mut self, kind: Kind) -> Toll {
        match kind {
            Kind::Delay => {
                let delay = self.draw_ms(20, 220);
                self.disturb(Trouble::Delay(delay), 200, 800).await
            }
            Kind::Throttle => {
                let rate = 4_000 + self.random.below(20_000);
                self.disturb(Trouble::Throttle(rate), 200, 800).await
            }
            Kind::Refuse => self.disturb(Trouble::Refuse, 50, 800).await,
            Kind::Drop => self.disturb(Trouble::Drop, 50, 800).await,
            Kind::BlackHole => self.disturb(Trouble::BlackHole, 100, 2500).await,
            Kind::LostNotices => self.disturb(Trouble::LostNotices, 100, 1200).await,
            Kind::DeafSubscriptions => self.disturb(Trouble::DeafSubscriptions, 100, 2000).await,
            Kind::Cut => {
                let node = self.draw_node();
                self.proxies[node].cut();
                Toll::nothing()
            }
            Kind::KillSubscriptions => self.command(&["CLIENT", "KILL", "TYPE", "pubsub"]),
            Kind::FlushScripts => self.command(&["SCRIPT", "FLUSH"]),
            Kind::FlushAll => {
                self.command(&["FLUSHALL"]);
                Toll::lost_after(self.begun)
            }
            Kind::StopServer => {
                let time = self.draw_ms(200, 1500);
                self.primary.pause();
                sleep(time).await;
                self.primary.resume();
                Toll::nothing()
            }
            Kind::BusyServer => {
                let time = self.draw_ms(200, 1500).as_secs_f64().to_string();
                let address = self.primary.address;
                spawn_blocking(move || ask_at(address, &["DEBUG", "SLEEP", &time])).await.unwrap().unwrap();
                Toll::nothing()
            }
            Kind::FullMemory => {
                self.command(&["CONFIG", "SET", "maxmemory", "100kb"]);
                let time = self.draw_ms(50, 800);
                sleep(time).await;
                self.command(&["CONFIG", "SET", "maxmemory", "0"])
            }
            Kind::KillServer | Kind::WipeServer => self.kill_server(kind == Kind::WipeServer).await,
            Kind::Promote => self.promote().await,
            Kind::LostLastNotice => self.lose_last_notice(Trouble::LostNotices).await,
            Kind::DeafToLastNotice => self.lose_last_notice(Trouble::DeafSubscriptions).await,
            Kind::KillNode => self.kill_node().await,
            Kind::RollingRestart => self.restart_nodes().await,
        }
    }

    async fn disturb(&mut self, trouble: Trouble, least_ms: u64, most_ms: u64) -> Toll {
        let time = self.draw_ms(least_ms, most_ms);
        self.trouble(trouble);
        sleep(time).await;
        self.calm();
        Toll::nothing()
    }

    fn command(&self, command: &[&str]) -> Toll {
        let answer = self.primary.ask(command);
        assert!(!answer.starts_with('-'), "{command:?}: {answer}");
        Toll::nothing()
    }

    async fn kill_server(&mut self, wipe: bool) -> Toll {
        let time = self.draw_ms(0, 500);
        let killed = Instant::now();
        self.primary.kill();
        if wipe {
            self.primary.wipe();
        }
        sleep(time).await;
        self.primary.restart().await;
        if self.replica.is_some() {
            self.primary.until_replicated().await;
        }
        match self.shape {
            _ if wipe => Toll::lost_after(self.begun),
            // While an earlier sync is still under way, Redis answers before it writes.
            Shape::Replicated => Toll::lost_after(killed - EVERY_SECOND),
            Shape::Single | Shape::Acked => Toll::nothing(),
        }
    }

    /// The replica stops hearing from the primary, which goes on for a while and dies; the replica takes its place.
    async fn promote(&mut self) -> Toll {
        let acks = |cell: &Self| cell.lanes.iter().map(|lane| lane.provider.post.book().acks).sum::<u64>();
        let time = self.draw_ms(50, 700);
        let replica = self.replica.as_ref().unwrap();
        let copied = Instant::now();
        self.primary.until_copied_to(&replica.server).await;
        replica.link.set(Trouble::BlackHole);
        let before = acks(self);
        if self.shape == Shape::Replicated {
            let missing = async {
                while acks(self) < before + 3 {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(PATIENCE, missing).await.expect("a tail to be missing");
        }
        sleep(time).await;
        self.primary.kill();
        let replica = self.replica.as_mut().unwrap();
        replica.server.promote();
        std::mem::swap(&mut self.primary, &mut replica.server);
        let new = self.primary.address;
        self.lead_to(new);
        // The old primary comes back as the new one's replica.
        let replica = self.replica.as_mut().unwrap();
        replica.link.lead_to(new);
        replica.link.set(Trouble::None);
        replica.server.wipe();
        replica.server.restart().await;
        replica.server.replicate(replica.link.address);
        self.primary.until_replicated().await;
        match self.shape {
            Shape::Acked => Toll::rolled_back(),
            Shape::Single | Shape::Replicated => Toll::lost_after(copied),
        }
    }

    /// One node does not hear of the last event of a payment that is quiet otherwise. It has to find out by itself.
    async fn lose_last_notice(&mut self, trouble: Trouble) -> Toll {
        self.settle(&Toll::nothing()).await;
        let node = self.draw_node();
        let lane = usize::try_from(self.random.below(self.lanes.len() as u64)).unwrap();
        // At any time between two looks at the heads.
        let time = self.draw_ms(0, 1000);
        self.proxies[node].set(trouble);
        sleep(time).await;
        let lane = &self.lanes[lane];
        let post = &lane.provider.post;
        let (id, body) = post.next(&mut self.random);
        post.event(&id, &body, 1 - node).await;
        let appended = Instant::now();
        for watcher in lane.watchers.iter().filter(|watcher| watcher.home == node) {
            let shown = watcher.until(|shown| shown.seen.events.values().any(|shown| *shown == id));
            timeout(PATIENCE, shown).await.expect("the last event is shown");
        }
        let healed = appended.elapsed();
        assert!(healed <= QUIET, "the last event came after {healed:?}");
        self.calm();
        Toll { healed: Some(healed), ..Toll::nothing() }
    }

    async fn kill_node(&mut self) -> Toll {
        let node = self.draw_node();
        let time = self.draw_ms(0, 300);
        self.nodes[node].kill();
        let stays = self.random.below(2);
        let watchers = || self.lanes.iter().flat_map(|lane| &lane.watchers);
        // A balancer sends some to the other node; the others knock until theirs is back.
        for (watcher, index) in watchers().filter(|watcher| watcher.home == node).zip(0..) {
            if index % 2 == stays {
                watcher.go_to(1 - node);
            }
        }
        sleep(time).await;
        self.nodes[node].restart().await;
        let end = Toll::nothing();
        watchers().for_each(|watcher| watcher.go_to(watcher.home));
        Toll { moved: [node == 0, node == 1], ..end }
    }

    async fn restart_nodes(&mut self) -> Toll {
        for node in &mut self.nodes {
            node.stop().await;
            node.restart().await;
        }
        let end = Toll::nothing();
        let watchers = self.lanes.iter().flat_map(|lane| &lane.watchers);
        watchers.for_each(|watcher| watcher.go_to(watcher.home));
        Toll { moved: [true; 2], ..end }
    }
}
