//! A disk in memory that loses power: of what was not synced, any part may be there afterwards.

use super::{Disk, Extent};
use rand::{RngExt as _, rngs::ChaCha8Rng, seq::SliceRandom as _};
use std::{
    io,
    sync::{Arc, Mutex},
};

/// A clone is the same disk.
#[derive(Clone)]
pub(in crate::store::embedded) struct SimulatedDisk {
    extent: Extent,
    state: Arc<Mutex<State>>,
    /// Called before each sync.
    at_sync: Arc<Mutex<Option<Hook>>>,
}

type Hook = Box<dyn FnMut() + Send>;

#[derive(Clone)]
struct State {
    /// What is durable, by segment.
    durable: Vec<Vec<u8>>,
    /// What was written and not synced: segment, place, bytes.
    pending: Vec<(usize, usize, Vec<u8>)>,
    /// Operations until every further one fails.
    left: usize,
}

impl SimulatedDisk {
    pub(in crate::store::embedded) fn new(extent: Extent) -> Self {
        let durable = vec![vec![0; extent.bytes]; extent.segments];
        Self::holding(extent, State { durable, pending: Vec::new(), left: usize::MAX })
    }

    fn holding(extent: Extent, state: State) -> Self {
        Self { extent, state: Arc::new(Mutex::new(state)), at_sync: Arc::default() }
    }

    /// Has `hook` called before each sync, while what is to be synced was written.
    pub(in crate::store::embedded) fn at_sync(&self, hook: impl FnMut() + Send + 'static) {
        *self.at_sync.lock().unwrap() = Some(Box::new(hook));
    }

    /// Lets this many further operations succeed.
    pub(super) fn fail_after(&self, operations: usize) {
        self.state.lock().unwrap().left = operations;
    }

    /// The disk as it may be after the power was lost: pieces of what was not synced are there, in any order, and others are not.
    pub(in crate::store::embedded) fn after_power_loss(&self, random: &mut ChaCha8Rng) -> Self {
        let mut state = self.state.lock().unwrap().clone();
        let mut pieces = Vec::new();
        for (slot, mut at, bytes) in state.pending.drain(..) {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(random.random_range(1..=rest.len()));
                pieces.push((slot, at, piece.to_vec()));
                (at, rest) = (at + piece.len(), after);
            }
        }
        pieces.shuffle(random);
        let kept = random.random_range(0.0..=1.0);
        pieces.retain(|_| random.random_bool(kept));
        for (slot, at, piece) in pieces {
            state.durable[slot][at..at + piece.len()].copy_from_slice(&piece);
        }
        state.left = usize::MAX;
        Self::holding(self.extent, state)
    }

    fn changed(&self, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Self {
        let mut state = self.state.lock().unwrap().clone();
        assert!(state.pending.is_empty());
        change(&mut state.durable);
        Self::holding(self.extent, state)
    }

    /// A copy of the disk with other bits in one place.
    pub(super) fn with(&self, slot: usize, at: usize, mask: u8) -> Self {
        self.changed(|segments| segments[slot][at] ^= mask)
    }

    /// A copy of the disk with an empty segment.
    pub(super) fn without(&self, slot: usize) -> Self {
        self.changed(|segments| segments[slot].fill(0))
    }

    /// A copy of the disk where one segment stands in the place of another.
    pub(super) fn moved(&self, from: usize, to: usize) -> Self {
        self.changed(|segments| segments.swap(from, to))
    }
}

impl State {
    fn operate(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("the power is lost"))?;
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn extent(&self) -> Extent {
        self.extent
    }

    fn read(&self, slot: usize) -> io::Result<Vec<u8>> {
        let state = self.state.lock().unwrap();
        let mut segment = state.durable[slot].clone();
        for (_, at, bytes) in state.pending.iter().filter(|(written, ..)| *written == slot) {
            segment[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        Ok(segment)
    }

    fn write(&self, slot: usize, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        assert!(at + bytes.len() <= self.extent.bytes, "beyond the segment");
        // The write that the power loss interrupts may have reached the disk in part.
        state.pending.push((slot, at, bytes.to_vec()));
        state.operate()
    }

    fn sync(&self, slot: usize) -> io::Result<()> {
        if let Some(hook) = &mut *self.at_sync.lock().unwrap() {
            hook();
        }
        let mut state = self.state.lock().unwrap();
        state.operate()?;
        let (synced, pending) =
            std::mem::take(&mut state.pending).into_iter().partition(|(written, ..)| *written == slot);
        state.pending = pending;
        let synced: Vec<(usize, usize, Vec<u8>)> = synced;
        for (slot, at, bytes) in synced {
            state.durable[slot][at..at + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}
