//! A set of partitions. Pure.

use super::PARTITIONS;
use std::fmt;

/// Some of the 256 partitions: one bit for each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct PartitionSet([u64; PARTITIONS / 64]);

impl PartitionSet {
    /// No partition.
    pub const NONE: Self = Self([0; PARTITIONS / 64]);
    /// All partitions.
    pub const ALL: Self = Self([u64::MAX; PARTITIONS / 64]);

    /// Adds a partition.
    pub const fn insert(&mut self, partition: u8) {
        #[expect(clippy::indexing_slicing, reason = "a byte has four values of its upper two bits")]
        let word = &mut self.0[(partition / 64) as usize];
        *word |= 1 << (partition % 64);
    }

    /// Whether a partition is in the set.
    #[must_use]
    pub const fn contains(&self, partition: u8) -> bool {
        #[expect(clippy::indexing_slicing, reason = "a byte has four values of its upper two bits")]
        let word = self.0[(partition / 64) as usize];
        word >> (partition % 64) & 1 == 1
    }

    /// Whether there is none in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The partitions in their order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |partition| self.contains(*partition))
    }

    /// Those that are in this set and not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        self.iter().filter(|partition| !other.contains(*partition)).collect()
    }

    /// Those that are in either set.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }
}

impl FromIterator<u8> for PartitionSet {
    fn from_iter<T: IntoIterator<Item = u8>>(partitions: T) -> Self {
        let mut set = Self::NONE;
        partitions.into_iter().for_each(|partition| set.insert(partition));
        set
    }
}

impl fmt::Debug for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let some: PartitionSet = [0, 63, 64, 255].into_iter().collect();
        assert_eq!((some.len(), some.iter().collect::<Vec<_>>()), (4, vec![0, 63, 64, 255]));
        assert!(some.contains(63) && !some.contains(62) && PartitionSet::NONE.is_empty());
        assert_eq!(PartitionSet::ALL.without(some).len(), 252);
        assert_eq!(PartitionSet::ALL.without(some).with(some), PartitionSet::ALL);
    }
}
