//! The memory for bodies of webhooks, shared so that no sender can take it from the others.
//!
//! Any sender may use all of it while nobody else needs it. When it is full, whoever holds the most makes room for whoever holds
//! less: the largest of its bodies that are still arriving is given up. So half-sent bodies, which cost a stranger nothing, do not
//! keep out the webhooks of others, however many there are and however they divide the memory among themselves.
//!
//! The bodies of one peer count together. A peer without a cap may stand for many senders, so each of its bodies counts alone.

use crate::{peer::Peer, tally::Holder};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The memory that bodies share.
#[derive(Debug)]
pub(super) struct Buffers {
    /// A std mutex, since nothing is awaited while it is held. It is taken once for each piece of a body that arrives.
    shelf: Mutex<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    /// Bytes that nobody holds.
    free: usize,
    /// The number of the next body.
    next: u64,
    senders: HashMap<Sender, Share>,
}

/// Whose bodies count together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Sender {
    Peer(Holder),
    /// A single body, by its number.
    Body(u64),
}

/// What one sender holds.
#[derive(Debug, Default)]
struct Share {
    /// The bytes of all its bodies.
    bytes: usize,
    /// Its bodies that are still arriving, by number.
    arriving: HashMap<u64, Arriving>,
}

#[derive(Debug)]
struct Arriving {
    bytes: usize,
    /// Notified when the body is given up.
    given_up: Arc<Notify>,
}

/// A body in memory. Its memory is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    buffers: Arc<Buffers>,
    number: u64,
    sender: Sender,
    given_up: Arc<Notify>,
    is_whole: bool,
}

/// There is no room for the body, or it had to make room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoRoom;

impl Buffers {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { shelf: Mutex::new(Shelf { free: bytes, next: 0, senders: HashMap::new() }) })
    }

    /// An empty body of `peer`. Only what arrives of it takes room, whatever length it announces.
    pub(super) fn hold(self: &Arc<Self>, peer: Option<Peer>) -> Held {
        let given_up = Arc::new(Notify::new());
        let mut shelf = self.shelf();
        let number = shelf.next;
        shelf.next += 1;
        let sender = peer.and_then(|peer| peer.holder()).map_or(Sender::Body(number), Sender::Peer);
        let arriving = Arriving { bytes: 0, given_up: Arc::clone(&given_up) };
        shelf.senders.entry(sender).or_default().arriving.insert(number, arriving);
        Held { bytes: Vec::new(), buffers: Arc::clone(self), number, sender, given_up, is_whole: false }
    }

    /// Locks the shelf, also after a holder has panicked: no step of a change can fail halfway.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Takes so many bytes for a body that is arriving. Without room, nothing changes but that others may have made room.
    fn take(&mut self, sender: Sender, number: u64, bytes: usize) -> Result<(), NoRoom> {
        let held = self.senders.get(&sender).ok_or(NoRoom)?.bytes.saturating_add(bytes);
        while self.free < bytes {
            self.make_room(held)?;
        }
        let share = self.senders.get_mut(&sender).ok_or(NoRoom)?;
        // It is missing if this body was given up.
        share.arriving.get_mut(&number).ok_or(NoRoom)?.bytes += bytes;
        share.bytes += bytes;
        self.free -= bytes;
        Ok(())
    }

    /// Gives up a body of the sender that holds the most, if it holds more than `held` bytes.
    fn make_room(&mut self, held: usize) -> Result<(), NoRoom> {
        let largest = self.senders.values_mut().filter(|share| !share.arriving.is_empty());
        let share =
            largest.max_by_key(|share| share.bytes).filter(|share| share.bytes > held).ok_or(NoRoom)?;
        let largest = share.arriving.iter().max_by_key(|(_, body)| body.bytes).map(|(number, _)| *number);
        let body = largest.and_then(|number| share.arriving.remove(&number)).ok_or(NoRoom)?;
        // Its task frees the memory within a moment. It is counted as free at once, so that nobody has to wait for that.
        share.bytes -= body.bytes;
        self.free += body.bytes;
        body.given_up.notify_one();
        Ok(())
    }

    /// Gives back what a body holds, unless it was given up before.
    fn give_back(&mut self, held: &Held) {
        let Some(share) = self.senders.get_mut(&held.sender) else { return };
        if share.arriving.remove(&held.number).is_some() || held.is_whole {
            share.bytes -= held.bytes.len();
            self.free += held.bytes.len();
        }
        if share.bytes == 0 && share.arriving.is_empty() {
            self.senders.remove(&held.sender);
        }
    }
}

impl Held {
    /// Appends what has arrived.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), NoRoom> {
        self.buffers.shelf().take(self.sender, self.number, data.len())?;
        // Copied, because even a few bytes would keep the whole read buffer alive.
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Returns when the body had to make room for another.
    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// Says that the body has arrived. From now on it does not make room, since its delivery is being processed.
    pub(super) fn finish(&mut self) -> Result<(), NoRoom> {
        let mut shelf = self.buffers.shelf();
        let share = shelf.senders.get_mut(&self.sender).ok_or(NoRoom)?;
        share.arriving.remove(&self.number).ok_or(NoRoom)?;
        self.is_whole = true;
        Ok(())
    }

    /// The body, as far as it has arrived.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let buffers = Arc::clone(&self.buffers);
        buffers.shelf().give_back(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 10_000;

    fn peer(last: u8) -> Option<Peer> {
        Some(Peer::direct([203, 0, 113, last].into()))
    }

    fn body(buffers: &Arc<Buffers>, peer: Option<Peer>, bytes: usize) -> Result<Held, NoRoom> {
        let mut held = buffers.hold(peer);
        held.push(&vec![0; bytes])?;
        Ok(held)
    }

    fn free(buffers: &Buffers) -> usize {
        buffers.shelf().free
    }

    #[test]
    fn alone_a_sender_may_use_all_and_gives_it_back() {
        let buffers = Buffers::new(ROOM);
        let mut held = body(&buffers, peer(1), ROOM).unwrap();
        assert_eq!(held.push(b"x"), Err(NoRoom));
        assert_eq!(free(&buffers), 0);
        drop(held);
        assert_eq!(free(&buffers), ROOM);
        let mut held = body(&buffers, None, ROOM).unwrap();
        held.finish().unwrap();
        drop(held);
        assert_eq!(free(&buffers), ROOM);
        assert!(buffers.shelf().senders.is_empty());
    }

    /// Each body takes half of what is left, so that a fixed share of the rest would soon be nothing.
    #[tokio::test]
    async fn however_half_sent_bodies_divide_the_memory_a_smaller_one_finds_room() {
        let buffers = Buffers::new(ROOM);
        let mut greedy: Vec<_> =
            (1..30).map(|turn| body(&buffers, None, (ROOM >> turn).max(1)).unwrap()).collect();
        while free(&buffers) > 0 {
            greedy.push(body(&buffers, None, 1).unwrap());
        }
        for _ in 0..20 {
            let mut honest = body(&buffers, None, 300).unwrap();
            honest.finish().unwrap();
        }
        greedy[0].given_up().await;
        assert_eq!(greedy[0].push(b"x"), Err(NoRoom));
        drop(greedy);
        assert_eq!(free(&buffers), ROOM);
    }

    #[test]
    fn many_small_bodies_of_one_peer_make_room_for_a_larger_one_of_another() {
        let buffers = Buffers::new(ROOM);
        let small: Vec<_> = (0..1000).map(|_| body(&buffers, peer(1), 10).unwrap()).collect();
        assert!(body(&buffers, peer(1), 1).is_err(), "a peer makes no room for itself");
        let honest = body(&buffers, peer(2), 4000).unwrap();
        assert_eq!(honest.bytes().len(), 4000);
        assert!(body(&buffers, peer(2), 4000).is_err(), "it has nearly as much already");
        drop((honest, small));
        assert_eq!(free(&buffers), ROOM);
    }

    #[test]
    fn a_body_that_has_arrived_makes_no_room() {
        let buffers = Buffers::new(ROOM);
        let mut whole = body(&buffers, peer(1), ROOM).unwrap();
        whole.finish().unwrap();
        assert!(body(&buffers, peer(2), 1).is_err());
        assert_eq!(whole.bytes().len(), ROOM);
    }
}
