//! Which connections are let in: how many there may be, in all, of one listener and of one peer, and for how long one may stay
//! without saying anything.
//!
//! A connection holds one [`Admission`], whoever serves it, and gives everything back by dropping it. Until its first request it
//! also holds a [`Silent`], and its counterpart [`Silence`] says when that has taken too long. Who waits for a place gets that of
//! the connection that has been idle for longest (`idle`). This file counts; it reads and writes no socket and does not know HTTP.

use super::idle::Idle;
use crate::{
    limits::{LimitHit, Limits},
    metrics::{ListenerLabel, Metrics},
    peer::{Peer, Proxies},
    tally::{Holder, Tally},
};
use prometheus_client::metrics::gauge::Gauge;
use std::{future::pending, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, sleep_until, timeout},
};

/// How often a full listener looks for a connection to close.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places of several listeners together, and what each peer has of them.
#[derive(Debug)]
pub struct Places {
    free: Semaphore,
    /// The places that streams leave to others.
    kept: usize,
    by_peer: Tally,
    silent_by_peer: Tally,
}

impl Places {
    /// So many places, of which streams leave `kept` to others.
    #[must_use]
    pub fn new(places: usize, kept: usize) -> Arc<Self> {
        let free = Semaphore::new(places.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { free, kept, by_peer: Tally::default(), silent_by_peer: Tally::default() })
    }
}

/// Lets connections into one listener.
pub struct Entrance {
    /// The places of this listener alone.
    own: Semaphore,
    /// The places that it shares with other listeners.
    shared: Arc<Places>,
    proxies: Arc<Proxies>,
    /// Whether connections from declared proxies begin with a header of the PROXY protocol.
    pub(super) takes_proxy_protocol: bool,
    open: Gauge,
    silent: Gauge,
    metrics: Arc<Metrics>,
    /// The connections that make room for others.
    pub(super) idle: Arc<Idle>,
}

impl Entrance {
    /// The entrance of the listener `name`, which has at most `most` connections, each on a place of `places`.
    #[must_use]
    pub fn new(
        name: &'static str,
        most: usize,
        places: Arc<Places>,
        proxies: Arc<Proxies>,
        takes_proxy_protocol: bool,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let label = ListenerLabel { listener: name };
        Arc::new(Self {
            own: Semaphore::new(most.min(Semaphore::MAX_PERMITS)),
            shared: places,
            proxies,
            takes_proxy_protocol,
            open: metrics.connections_open.get_or_create_owned(&label),
            silent: metrics.connections_silent.get_or_create_owned(&label),
            metrics,
            idle: Arc::default(),
        })
    }

    /// The proxies that are believed.
    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Whether another stream on a connection of its own leaves enough places to others: free ones, and those of idle
    /// connections, which make room.
    pub(super) fn has_room(&self) -> bool {
        let Places { free, kept, .. } = &*self.shared;
        free.available_permits() + self.idle.count() >= *kept
    }

    /// Waits until one more connection is allowed. While it waits, idle connections are closed, the longest idle first.
    pub(super) async fn admit(self: &Arc<Self>) -> Admission {
        self.place(&self.own).await;
        // Made before the next wait, so that its drop gives back the place if the wait is cancelled.
        let mut admission =
            Admission { entrance: Arc::clone(self), peer: None, has_shared: false, is_open: false };
        self.place(&self.shared.free).await;
        admission.has_shared = true;
        admission
    }

    /// Takes one of the places, without a guard: [`Admission`] gives it back.
    async fn place(&self, places: &Semaphore) {
        if let Ok(permit) = places.try_acquire() {
            permit.forget();
            return;
        }
        self.metrics.limit_hits.count(LimitHit::Connections);
        loop {
            if self.idle.close_one() {
                self.metrics.limit_hits.count(LimitHit::IdleConnections);
            }
            match timeout(LOOK_AGAIN, places.acquire()).await {
                Ok(Ok(permit)) => return permit.forget(),
                // The semaphore is never closed.
                Ok(Err(_)) => pending::<()>().await,
                Err(_) => {}
            }
        }
    }
}

/// The place of one connection. Dropping it gives the place to another; whoever serves the connection keeps it that long.
pub(super) struct Admission {
    entrance: Arc<Entrance>,
    /// By whom the connection is counted, once that is known.
    peer: Option<Holder>,
    /// Whether it has a shared place, and not only one of its listener.
    has_shared: bool,
    /// Whether it is the place of an open connection, and not of one that is still to come.
    is_open: bool,
}

impl Admission {
    /// Says that the place is that of an open connection from now on.
    pub(super) fn open(&mut self) {
        self.is_open = true;
        self.entrance.open.inc();
    }

    /// Counts the connection as one of `peer`, and as silent until the [`Silent`] is dropped. An error if the peer has as many
    /// as it may have. A declared proxy may have any number, since it has many clients.
    pub(super) fn enter(&mut self, peer: Peer, limits: &Limits) -> Result<(Silent, Silence), LimitHit> {
        let Limits { connections_per_peer, silent_connections_per_peer, .. } = *limits;
        let Self { entrance, .. } = self;
        let holder = peer.holder().filter(|_| !entrance.proxies.trusts(peer.address()));
        if !entrance.shared.by_peer.take(holder, 1, connections_per_peer) {
            return Err(LimitHit::ConnectionsPerPeer);
        }
        self.peer = holder;
        if !entrance.shared.silent_by_peer.take(holder, 1, silent_connections_per_peer) {
            return Err(LimitHit::SilentConnectionsPerPeer);
        }
        entrance.silent.inc();
        let (spoke, has_spoken) = oneshot::channel();
        let silent = Silent { entrance: Arc::clone(entrance), peer: holder, _spoke: spoke };
        Ok((silent, Silence { has_spoken }))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Self { entrance, peer, has_shared, is_open } = self;
        if *is_open {
            entrance.open.dec();
        }
        entrance.shared.by_peer.give_back(*peer, 1);
        if *has_shared {
            entrance.shared.free.add_permits(1);
        }
        entrance.own.add_permits(1);
    }
}

/// Held by a connection until its first request.
pub(super) struct Silent {
    entrance: Arc<Entrance>,
    peer: Option<Holder>,
    /// Dropped when the connection speaks.
    _spoke: oneshot::Sender<()>,
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.entrance.silent.dec();
        self.entrance.shared.silent_by_peer.give_back(self.peer, 1);
    }
}

/// The silence of a connection before its first request.
pub(super) struct Silence {
    has_spoken: oneshot::Receiver<()>,
}

impl Silence {
    /// Returns when the silence is over: at the first request, or else at `deadline` with an error.
    pub(super) async fn end(mut self, deadline: Instant) -> Result<(), LimitHit> {
        tokio::select! {
            _ = &mut self.has_spoken => Ok(()),
            () = sleep_until(deadline) => Err(LimitHit::FirstHeadTimeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::Abortable;
    use tokio::time::sleep;

    fn entrance(most: usize, places: usize, proxies: Proxies) -> Arc<Entrance> {
        let metrics = Arc::new(Metrics::new());
        Entrance::new("public", most, Places::new(places, 1), Arc::new(proxies), false, metrics)
    }

    fn peer(address: &str) -> Peer {
        Peer::direct(address.parse().unwrap())
    }

    #[tokio::test]
    async fn everything_is_given_back() {
        let entrance = entrance(2, 1, Proxies::default());
        let limits = Limits { connections_per_peer: 1, silent_connections_per_peer: 1, ..Limits::default() };
        for _ in 0..3 {
            let mut admission = entrance.admit().await;
            admission.open();
            let entered = admission.enter(peer("203.0.113.1"), &limits);
            assert!(entered.is_ok());
            assert!(!entrance.has_room());
            // The second place of the listener does not help: there is no shared one. The wait gives the first back.
            assert!(timeout(2 * LOOK_AGAIN, entrance.admit()).await.is_err());
        }
        assert_eq!((entrance.own.available_permits(), entrance.shared.free.available_permits()), (2, 1));
        assert_eq!((entrance.open.get(), entrance.silent.get()), (0, 0));
    }

    #[tokio::test]
    async fn a_peer_has_a_cap_and_one_for_silent_connections() {
        let entrance = entrance(9, 9, Proxies::default());
        let limits = Limits { connections_per_peer: 2, silent_connections_per_peer: 1, ..Limits::default() };
        let [mut first, mut second, mut third, mut other, mut local] = [
            entrance.admit().await,
            entrance.admit().await,
            entrance.admit().await,
            entrance.admit().await,
            entrance.admit().await,
        ];
        let (silent, silence) = first.enter(peer("203.0.113.1"), &limits).unwrap();
        assert_eq!(
            second.enter(peer("203.0.113.1"), &limits).err(),
            Some(LimitHit::SilentConnectionsPerPeer)
        );
        drop(second);
        drop(silent);
        assert_eq!(silence.end(Instant::now() + LOOK_AGAIN).await, Ok(()), "it has spoken");
        let mut second = entrance.admit().await;
        let _second = second.enter(peer("203.0.113.1"), &limits).unwrap();
        assert_eq!(third.enter(peer("203.0.113.1"), &limits).err(), Some(LimitHit::ConnectionsPerPeer));
        let _other = other.enter(peer("203.0.113.2"), &limits).unwrap();
        let _local = local.enter(peer("127.0.0.1"), &limits).unwrap();
        drop(first);
        assert!(third.enter(peer("203.0.113.1"), &limits).is_err(), "the other one is silent");
    }

    #[tokio::test]
    async fn a_declared_proxy_has_no_cap_but_its_clients_have() {
        let proxies = Proxies::new(vec![Proxies::parse("10.0.0.1").unwrap()], Default::default());
        let entrance = entrance(9, 9, proxies);
        let limits = Limits { connections_per_peer: 1, ..Limits::default() };
        let proxy = entrance.proxies().direct("10.0.0.1".parse().unwrap());
        let client = entrance.proxies().named("203.0.113.1".parse().unwrap());
        let mut admissions = Vec::new();
        for (peer, is_let_in) in [(proxy, true), (proxy, true), (client, true), (client, false)] {
            let mut admission = entrance.admit().await;
            assert_eq!(admission.enter(peer, &limits).is_ok(), is_let_in, "{peer:?}");
            admissions.push(admission);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_place_of_the_connection_that_was_idle_for_longest() {
        let entrance = entrance(2, 2, Proxies::default());
        let mut connections = Vec::new();
        for _ in 0..2 {
            let admission = entrance.admit().await;
            let (quiet, registration) = entrance.idle.quiet();
            connections.push(tokio::spawn(Abortable::new(
                async move {
                    let (_admission, _quiet) = (admission, quiet);
                    pending::<()>().await;
                },
                registration,
            )));
            sleep(Duration::from_millis(10)).await;
        }
        let begun = Instant::now();
        drop(entrance.admit().await);
        assert!(begun.elapsed() >= Duration::from_millis(400), "each has its time");
        sleep(Duration::from_secs(60)).await;
        assert!(connections[0].is_finished());
        assert!(!connections[1].is_finished(), "one place was enough");
        assert!(entrance.metrics.render().contains("limit_hits_total{reason=\"idle_connections\"} 1"));
    }
}
