//! The rate limit for deliveries without a valid signature, for each source and each peer. Deliveries with a valid signature are not
//! limited.
//!
//! A peer has a bucket of its own, so a stranger who floods a source uses up its own share, and the failures of the provider, whose secret
//! may be wrong, still leave a record. All peers together share one more bucket, so that many strangers do not fill the disk either.

use crate::peer::Peer;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The most peers of one source that are remembered, at about 100 bytes each. All further ones share one bucket.
const PEERS: usize = 1024;

/// How long a peer that fails no more is remembered, for operators.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Stands for all peers for which there was no room. No peer has this address.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// One token, in the billionths that [`Bucket::nano_tokens`] counts.
const TOKEN: u64 = 1_000_000_000;

/// The most deliveries without a valid signature per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Of all peers of a source together.
    pub(crate) all: u32,
    /// Of one peer.
    pub(crate) peer: u32,
}

/// The limit that a delivery exceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Throttled {
    /// That of all peers of the source together.
    All,
    /// That of one peer.
    Peer,
}

/// A peer that sent deliveries without a valid signature, as operators see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unverified {
    /// Its address, or that of its /64. `None` stands for all peers for which there was no room.
    pub peer: Option<IpAddr>,
    /// How many it sent since it is remembered.
    pub failed: u64,
    /// How many of these were beyond the limits.
    pub refused: u64,
    /// How long ago it sent the last one.
    pub last: Duration,
}

/// The rate limits of one source.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The bucket of all peers, which is `None` before the first delivery.
    all: Option<Bucket>,
    peers: HashMap<IpAddr, Sender>,
    /// How many deliveries were refused since the last one that was admitted.
    refused: u64,
}

/// A peer that sent deliveries without a valid signature.
#[derive(Clone, Copy, Debug)]
struct Sender {
    bucket: Bucket,
    failed: u64,
    refused: u64,
}

/// A token bucket that holds the tokens of one second. It starts full.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// The number of tokens in billionths, so that one nanosecond at one token per second counts.
    nano_tokens: u64,
    /// When the tokens were last counted.
    at: Instant,
}

impl Bucket {
    const fn full(per_second: u32, now: Instant) -> Self {
        Self { nano_tokens: per_second as u64 * TOKEN, at: now }
    }

    /// Counts the tokens that were gained until now, and returns whether there is one.
    fn has_one(&mut self, per_second: u32, now: Instant) -> bool {
        let full = u64::from(per_second) * TOKEN;
        let past = now.saturating_duration_since(self.at).min(Duration::from_secs(1));
        let gained = u64::try_from(past.as_nanos()).unwrap_or(TOKEN) * u64::from(per_second);
        self.nano_tokens = self.nano_tokens.saturating_add(gained).min(full);
        self.at = now;
        self.nano_tokens >= TOKEN
    }

    const fn take_one(&mut self) {
        self.nano_tokens = self.nano_tokens.saturating_sub(TOKEN);
    }
}

impl Throttle {
    /// Admits one delivery from an address, and returns how many of the source were refused since the last one that was admitted. Fails if
    /// this one is refused too. Processes of this machine cannot be told apart, so they have no limit of their own.
    pub(crate) fn admit(&self, from: Option<IpAddr>, rates: Rates, now: Instant) -> Result<u64, Throttled> {
        let peer = from.map(Peer::direct);
        let is_counted = peer.is_none_or(|peer| peer.holder().is_some());
        let mut state = self.lock();
        let state = &mut *state;
        let all = state.all.get_or_insert(Bucket::full(rates.all, now));
        let has_room = all.has_one(rates.all, now);
        let sender = state.sender(peer.map_or(OTHERS, |peer| peer.network()), rates, now);
        sender.failed = sender.failed.saturating_add(1);
        let has_share = sender.bucket.has_one(rates.peer, now) || !is_counted;
        let throttled = match (has_share, has_room) {
            (true, true) => {
                sender.bucket.take_one();
                state.all.iter_mut().for_each(Bucket::take_one);
                return Ok(std::mem::take(&mut state.refused));
            }
            (false, _) => Throttled::Peer,
            (true, false) => Throttled::All,
        };
        sender.refused = sender.refused.saturating_add(1);
        state.refused = state.refused.saturating_add(1);
        Err(throttled)
    }

    /// Returns the peers that are remembered, those with the most deliveries first.
    pub(crate) fn peers(&self, now: Instant) -> Vec<Unverified> {
        let state = self.lock();
        let told = |(peer, sender): (&IpAddr, &Sender)| {
            let last = now.saturating_duration_since(sender.bucket.at);
            let peer = (*peer != OTHERS).then_some(*peer);
            (last < MEMORY).then_some(Unverified {
                peer,
                failed: sender.failed,
                refused: sender.refused,
                last,
            })
        };
        let mut peers: Vec<Unverified> = state.peers.iter().filter_map(told).collect();
        peers.sort_unstable_by_key(|peer| (std::cmp::Reverse(peer.failed), peer.peer));
        peers
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the state of a peer, or that of all peers for which there is no room.
    fn sender(&mut self, peer: IpAddr, rates: Rates, now: Instant) -> &mut Sender {
        if self.peers.len() >= PEERS && !self.peers.contains_key(&peer) {
            self.peers.retain(|_, sender| now.saturating_duration_since(sender.bucket.at) < MEMORY);
        }
        let has_room = self.peers.len() < PEERS || self.peers.contains_key(&peer);
        let fresh = Sender { bucket: Bucket::full(rates.peer, now), failed: 0, refused: 0 };
        self.peers.entry(if has_room { peer } else { OTHERS }).or_insert(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_second_brings_back_a_second_s_worth() {
        let throttle = Throttle::default();
        let (start, rates) = (Instant::now(), Rates { all: 3, peer: 3 });
        let through = |tries: usize, at_ms| {
            let now = start + Duration::from_millis(at_ms);
            (0..tries).filter(|_| throttle.admit(ip("192.0.2.1"), rates, now).is_ok()).count()
        };
        assert_eq!(through(10, 0), 3);
        assert_eq!(through(10, 334), 1);
        assert_eq!(
            throttle.admit(ip("192.0.2.1"), rates, start + Duration::from_secs(60)),
            Ok(9),
            "of the ten before, one passed"
        );
        assert_eq!(through(10, 60_000), 2);
    }

    #[test]
    fn a_peer_that_floods_leaves_the_others_their_share() {
        let throttle = Throttle::default();
        let (now, rates) = (Instant::now(), Rates { all: 10, peer: 4 });
        let through =
            |from: &str, tries| (0..tries).filter(|_| throttle.admit(ip(from), rates, now).is_ok()).count();
        assert_eq!(through("192.0.2.1", 1000), 4);
        assert_eq!(throttle.admit(ip("192.0.2.1"), rates, now), Err(Throttled::Peer));
        assert_eq!(through("2001:db8::1", 3), 3, "another one");
        assert_eq!(through("2001:db8::2", 3), 1, "the same network");
        assert_eq!(through("192.0.2.2", 3), 2, "the rest of what all have together");
        assert_eq!(throttle.admit(ip("192.0.2.3"), rates, now), Err(Throttled::All));
        let peers = throttle.peers(now);
        assert_eq!((peers[0].peer, peers[0].failed, peers[0].refused), (ip("192.0.2.1"), 1001, 997));
        assert_eq!(peers[1].peer, ip("2001:db8::"));
    }

    #[test]
    fn processes_of_this_machine_share_what_all_have() {
        let throttle = Throttle::default();
        let (now, rates) = (Instant::now(), Rates { all: 10, peer: 4 });
        assert_eq!((0..50).filter(|_| throttle.admit(ip("127.0.0.1"), rates, now).is_ok()).count(), 10);
    }

    #[test]
    fn many_peers_cost_bounded_memory() {
        let throttle = Throttle::default();
        let (start, rates) = (Instant::now(), Rates { all: u32::MAX, peer: 2 });
        for number in 0..u32::try_from(PEERS).unwrap() * 3 {
            let peer = Ipv4Addr::from(0x0a00_0000 + number).into();
            let _admitted = throttle.admit(Some(peer), rates, start);
        }
        assert_eq!(throttle.lock().peers.len(), PEERS + 1);
        assert_eq!(
            throttle.admit(ip("203.0.113.1"), rates, start),
            Err(Throttled::Peer),
            "one of the others"
        );
        let later = start + MEMORY;
        assert!(throttle.admit(ip("203.0.113.1"), rates, later).is_ok(), "there is room again");
        assert_eq!(throttle.peers(later).len(), 1);
    }
}
