//! How much of something each of many holders has: connections by peer, streams by token, bytes by peer.
//!
//! A tally knows only those who hold something, so it is no longer than the list of what is held. Its entries are spread over
//! shards with locks of their own, because all threads that accept and serve connections change it.

use dashmap::{DashMap, Entry};
use std::num::NonZeroU64;

/// A holder: a peer or a token. Not zero, so that "no holder" costs no further byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Holder(NonZeroU64);

impl Holder {
    /// The holder of this number. Different numbers are different holders, except that 0 stands for 1.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(match NonZeroU64::new(number) {
            Some(number) => number,
            None => NonZeroU64::MIN,
        })
    }

    /// The number of the holder.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

/// What each holder has. An entry takes 16 bytes and its share of the table's free places, 40 bytes at most.
#[derive(Debug, Default)]
pub struct Tally(DashMap<Holder, usize>);

impl Tally {
    /// Gives `holder` so much more, unless it would then have more than `most`. Without a holder, nothing is counted.
    ///
    /// Returns whether it was given. Whoever was given something gives it back by [`Tally::give_back`].
    #[must_use]
    pub fn take(&self, holder: Option<Holder>, amount: usize, most: usize) -> bool {
        let Some(holder) = holder else { return true };
        match self.0.entry(holder) {
            Entry::Occupied(mut entry) => {
                let held = entry.get().saturating_add(amount);
                let is_given = held <= most;
                if is_given {
                    *entry.get_mut() = held;
                }
                is_given
            }
            Entry::Vacant(entry) => {
                let is_given = amount <= most;
                if is_given {
                    entry.insert(amount);
                }
                is_given
            }
        }
    }

    /// Takes back from `holder` what it was given.
    pub fn give_back(&self, holder: Option<Holder>, amount: usize) {
        let Some(Entry::Occupied(mut entry)) = holder.map(|holder| self.0.entry(holder)) else { return };
        let left = entry.get().saturating_sub(amount);
        if left == 0 {
            entry.remove();
        } else {
            *entry.get_mut() = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_holder_has_a_cap_of_its_own_and_nothing_stays_of_one_that_gave_all_back() {
        let tally = Tally::default();
        let (one, other) = (Some(Holder::new(7)), Some(Holder::new(8)));
        assert!(tally.take(one, 2, 3));
        assert!(!tally.take(one, 2, 3), "that would be four");
        assert!(tally.take(one, 1, 3), "what was refused was not counted");
        assert!(tally.take(other, 3, 3));
        assert!(!tally.take(Some(Holder::new(9)), 4, 3));
        tally.give_back(one, 1);
        assert!(tally.take(one, 1, 3));
        tally.give_back(one, 3);
        tally.give_back(other, 3);
        assert!(tally.0.is_empty());
    }

    #[test]
    fn without_a_holder_nothing_is_counted() {
        let tally = Tally::default();
        assert!(tally.take(None, 5, 1));
        tally.give_back(None, 5);
        assert!(tally.0.is_empty());
    }
}
