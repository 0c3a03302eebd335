//! Slows down who guesses the operators' token: each wrong token of a peer is answered later than the one before, and leaves a line
//! in the log.
//!
//! A right token is never delayed, whoever else guesses from the same address, so a stranger cannot lock the operators out. So the
//! delay only makes guessing slow; what makes it hopeless is the length of the token.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The delay of a peer's first wrong token. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest delay. It is reached with the eighth wrong token.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// How long a peer has to guess nothing until its wrong tokens are forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// The most answers to one peer that wait for their delay. A further wrong token is refused at once, so that guessers do not fill
/// the memory with waiting requests.
const WAITING: u32 = 16;

/// The most peers that are remembered, at about 100 bytes each. All further ones count as one.
const PEERS: usize = 1024;

/// Stands for all peers for which there was no room. No peer has this address.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The least time between two lines about one peer.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The wrong tokens of the last minutes, by peer.
#[derive(Default)]
pub(super) struct Guesses {
    peers: Mutex<HashMap<IpAddr, Guesser>>,
}

/// A peer that sent wrong tokens.
struct Guesser {
    /// How many it sent.
    wrong: u32,
    /// When it sent the last one.
    last: Instant,
    /// When the last line about it was logged.
    logged: Option<Instant>,
    /// How many answers to it wait for their delay.
    waiting: u32,
}

/// What to do about a wrong token.
pub(super) struct Guess<'g> {
    /// How many wrong tokens the peer has sent, with this one.
    pub(super) wrong: u32,
    /// Whether a line is due. There is at most one a second about a peer, and it gives the number.
    pub(super) is_logged: bool,
    /// The delay of the answer, or `None` if too many answers to this peer wait already.
    pub(super) wait: Option<Wait<'g>>,
}

/// The delay of one answer. It counts as waiting until this is dropped.
pub(super) struct Wait<'g> {
    pub(super) delay: Duration,
    peer: IpAddr,
    guesses: &'g Guesses,
}

impl Guesses {
    /// Notes a wrong token of the peer whose [`Peer::network`](crate::peer::Peer::network) is `peer`.
    pub(super) fn wrong(&self, peer: Option<IpAddr>) -> Guess<'_> {
        let (now, peer) = (Instant::now(), peer.unwrap_or(OTHERS));
        let mut peers = self.lock();
        if peers.len() >= PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, guesser| guesser.waiting > 0 || now - guesser.last < MEMORY);
        }
        let has_room = peers.len() < PEERS || peers.contains_key(&peer);
        let peer = if has_room { peer } else { OTHERS };
        let guesser = peers.entry(peer).or_insert(Guesser { wrong: 0, last: now, logged: None, waiting: 0 });
        if now - guesser.last >= MEMORY {
            guesser.wrong = 0;
        }
        guesser.wrong = guesser.wrong.saturating_add(1);
        guesser.last = now;
        let is_logged = guesser.logged.is_none_or(|logged| now - logged >= BETWEEN_LINES);
        if is_logged {
            guesser.logged = Some(now);
        }
        let waits = guesser.waiting < WAITING;
        guesser.waiting += u32::from(waits);
        let wrong = guesser.wrong;
        let wait = waits.then(|| Wait { delay: delay(wrong), peer, guesses: self });
        Guess { wrong, is_logged, wait }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Guesser>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(guesser) = self.guesses.lock().get_mut(&self.peer) {
            guesser.waiting = guesser.waiting.saturating_sub(1);
        }
    }
}

/// The delay of the answer to the wrong token with this number, counted from 1.
fn delay(wrong: u32) -> Duration {
    let doublings = wrong.saturating_sub(1).min(16);
    (FIRST_DELAY * (1 << doublings)).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;
    use tokio::time::advance;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(Peer::direct(text.parse().unwrap()).network())
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_grows_to_its_limit_and_is_forgotten_after_a_quiet_time() {
        let guesses = Guesses::default();
        let delay = |peer| guesses.wrong(ip(peer)).wait.unwrap().delay.as_millis();
        let delays: Vec<_> = (0..10).map(|_| delay("10.0.0.1")).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        assert_eq!(delay("10.0.0.2"), 100, "another peer");
        assert_eq!(delay("::ffff:10.0.0.1"), 10_000, "the same peer, written otherwise");
        advance(MEMORY - Duration::from_secs(1)).await;
        assert_eq!(delay("10.0.0.1"), 10_000);
        advance(MEMORY).await;
        assert_eq!(delay("10.0.0.1"), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn the_addresses_of_one_ipv6_network_are_one_peer() {
        let guesses = Guesses::default();
        for (number, peer) in (1..).zip(["fd00::1", "fd00::2", "fd00:0:0:0:ffff::"]) {
            assert_eq!(guesses.wrong(ip(peer)).wrong, number, "{peer}");
        }
        assert_eq!(guesses.wrong(ip("fd00:0:0:1::1")).wrong, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_answers_to_a_peer_wait() {
        let guesses = Guesses::default();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| guesses.wrong(ip("10.0.0.1")).wait.unwrap()).collect();
        assert!(guesses.wrong(ip("10.0.0.1")).wait.is_none());
        assert!(guesses.wrong(ip("10.0.0.2")).wait.is_some(), "another peer");
        waiting.pop();
        assert!(guesses.wrong(ip("10.0.0.1")).wait.is_some(), "one is answered");
    }

    #[tokio::test(start_paused = true)]
    async fn many_peers_cost_bounded_memory_and_cannot_make_one_another_forgotten() {
        let guesses = Guesses::default();
        for number in 0..u32::try_from(PEERS).unwrap() * 3 {
            guesses.wrong(Some(Ipv4Addr::from(0x0a00_0000 + number).into()));
        }
        assert!(guesses.lock().len() <= PEERS + 1);
        assert_eq!(guesses.wrong(ip("10.0.0.0")).wrong, 2, "the first one is still known");
        assert!(guesses.wrong(ip("192.0.2.1")).wrong > 2000, "who found no room counts with the others");
        advance(MEMORY).await;
        assert_eq!(guesses.wrong(ip("192.0.2.1")).wrong, 1, "there is room again");
        assert_eq!(guesses.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_leaves_a_line_a_second() {
        let guesses = Guesses::default();
        let logged = || (0..100).filter(|_| guesses.wrong(ip("10.0.0.1")).is_logged).count();
        assert_eq!(logged(), 1);
        advance(BETWEEN_LINES).await;
        assert_eq!(logged(), 1);
    }
}
