//! A slab: values in numbered slots. It grows by chunks, which never move, so that its memory follows the number of values and
//! no growth copies all of them.

use std::num::NonZeroU32;

/// How many bytes are allocated at a time: whole pages, and a size that the allocator does not round up.
const CHUNK_BYTES: usize = 20 << 10;

/// The number of a slot. It is kept plus one, so that an optional key needs no more memory than a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Key(NonZeroU32);

/// Values by the number of their slot. A slot is used again after its value was removed.
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Slot<T>>>,
    /// The first of the free slots, which form a list.
    free: Option<Key>,
    /// How many slots were ever used.
    len: usize,
}

enum Slot<T> {
    Free(Option<Key>),
    Used(T),
}

impl Key {
    /// The key of this slot. `None` if there are four billion slots before it.
    pub(super) fn new(slot: usize) -> Option<Self> {
        u32::try_from(slot).ok()?.checked_add(1).and_then(NonZeroU32::new).map(Self)
    }

    /// The number of the slot, counted from 0.
    pub(super) const fn slot(self) -> u32 {
        self.0.get() - 1
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: None, len: 0 }
    }
}

impl<T> Slab<T> {
    /// How many slots are allocated at a time.
    const CHUNK: usize =
        if CHUNK_BYTES > size_of::<Slot<T>>() { CHUNK_BYTES / size_of::<Slot<T>>() } else { 1 };

    /// The slot that the next value gets. `None` if there are four billion values.
    pub(super) fn vacancy(&self) -> Option<Key> {
        self.free.or_else(|| Key::new(self.len))
    }

    /// Puts a value into the slot of [`Slab::vacancy`], and returns its number.
    pub(super) fn insert(&mut self, value: T) -> Option<Key> {
        let key = self.vacancy()?;
        if self.free.is_some() {
            if let Some(slot) = self.slot(key)
                && let Slot::Free(next) = std::mem::replace(slot, Slot::Used(value))
            {
                self.free = next;
            }
        } else {
            if self.len.is_multiple_of(Self::CHUNK) {
                self.chunks.push(Vec::with_capacity(Self::CHUNK));
            }
            self.chunks.last_mut()?.push(Slot::Used(value));
            self.len += 1;
        }
        Some(key)
    }

    /// How many slots were ever used.
    pub(super) const fn slots(&self) -> usize {
        self.len
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.slot(key)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        let index = key.slot() as usize;
        match self.chunks.get(index / Self::CHUNK)?.get(index % Self::CHUNK)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let free = self.free;
        let slot = self.slot(key).filter(|slot| matches!(slot, Slot::Used(_)))?;
        let removed = std::mem::replace(slot, Slot::Free(free));
        self.free = Some(key);
        match removed {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    fn slot(&mut self, key: Key) -> Option<&mut Slot<T>> {
        let index = key.slot() as usize;
        self.chunks.get_mut(index / Self::CHUNK)?.get_mut(index % Self::CHUNK)
    }

    /// Takes all values out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        let slots = std::mem::take(self).chunks.into_iter().flatten();
        slots.filter_map(|slot| match slot {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// It holds what a map would hold, and uses no more slots than it ever had values.
        #[test]
        fn it_is_a_map_that_chooses_its_keys(steps in prop::collection::vec((any::<bool>(), 0_usize..400), 1..600)) {
            let (mut slab, mut map, mut most) = (Slab::default(), HashMap::new(), 0);
            for (value, (inserts, choice)) in steps.into_iter().enumerate() {
                if inserts || map.is_empty() {
                    let vacancy = slab.vacancy();
                    let key = slab.insert(value);
                    prop_assert_eq!(key, vacancy);
                    prop_assert_eq!(map.insert(key.unwrap(), value), None);
                    most = most.max(map.len());
                } else {
                    let mut keys: Vec<Key> = map.keys().copied().collect();
                    keys.sort_unstable();
                    let key = keys[choice % keys.len()];
                    prop_assert_eq!(slab.remove(key), map.remove(&key));
                    prop_assert_eq!(slab.remove(key), None);
                }
                for (key, value) in &map {
                    prop_assert_eq!(slab.get(*key), Some(value));
                }
                prop_assert_eq!(slab.len, most);
            }
            let (mut drained, mut values): (Vec<usize>, Vec<usize>) = (slab.drain().collect(), map.into_values().collect());
            drained.sort_unstable();
            values.sort_unstable();
            prop_assert_eq!(drained, values);
            prop_assert_eq!(slab.vacancy(), Key::new(0));
        }
    }
}
