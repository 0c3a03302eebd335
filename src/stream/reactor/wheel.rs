//! The timer wheel: when each stream of a thread is to be looked at again. Setting, moving and firing a timer takes a few steps
//! however many there are, and nothing is ever swept.
//!
//! Time is counted in ticks. A timer lies in the slot of its tick; one beyond the last slot lies in that slot, and is placed anew
//! when the wheel comes there. A timer that is moved to a later time stays where it lies until then, since most are moved again
//! before they fire.

/// The length of a tick in milliseconds: a timer fires at most two of them late.
pub(super) const TICK_MS: u64 = 50;

/// The number of slots.
const SLOTS: usize = LAP as usize;

/// The number of ticks after which the wheel comes to a slot again: 51 seconds, which is longer than most heartbeats.
const LAP: u32 = 1024;

/// How many timers are allocated at a time.
const CHUNK: usize = 512;

/// No timer.
const NONE: u32 = u32::MAX;

/// The timer is the first of its slot: the rest of `before` is the slot's number. Below it, `before` is a timer's number.
const IS_FIRST: u32 = 1 << 31;

/// Timers by number. A number is below 2³¹.
pub(super) struct Wheel {
    /// The first timer of each slot.
    slots: Box<[u32; SLOTS]>,
    /// One bit for each slot that has a timer.
    used: Box<[u64; SLOTS / 64]>,
    /// In chunks, so that growth copies nothing.
    timers: Vec<Vec<Timer>>,
    /// The last tick that was fired.
    now: u32,
}

#[derive(Clone, Copy)]
struct Timer {
    /// The tick at which it fires. Ticks wrap around after 6.8 years, and no timer lies further ahead than half of that.
    at: u32,
    /// The timer before it in its slot, or [`IS_FIRST`] and the slot; [`NONE`] if the timer is not set.
    before: u32,
    /// The timer after it in its slot.
    after: u32,
}

const UNSET: Timer = Timer { at: 0, before: NONE, after: NONE };

impl Wheel {
    /// A wheel without timers, which has fired all up to tick 0.
    pub(super) fn new() -> Self {
        Self { slots: Box::new([NONE; SLOTS]), used: Box::new([0; SLOTS / 64]), timers: Vec::new(), now: 0 }
    }

    /// Sets a timer to fire at tick `at`, or moves it there; one that is past fires at the next tick.
    pub(super) fn set(&mut self, timer: u32, at: u32) {
        let at = if is_after(at, self.now) { at } else { self.now.wrapping_add(1) };
        self.allocate(timer);
        if let Some(known) = self.timer(timer).filter(|known| known.before != NONE)
            && !is_after(known.at, at)
        {
            known.at = at;
            return;
        }
        self.cancel(timer);
        self.place(timer, at);
    }

    /// Unsets a timer. One that is not set stays so.
    pub(super) fn cancel(&mut self, timer: u32) {
        let Some(known) = self.timer(timer) else { return };
        let Timer { before, after, .. } = std::mem::replace(known, UNSET);
        if before == NONE {
            return;
        }
        if let Some(after) = self.timer(after) {
            after.before = before;
        }
        if before & IS_FIRST == 0 {
            if let Some(before) = self.timer(before) {
                before.after = after;
            }
        } else {
            self.set_first((before & !IS_FIRST) as usize, after);
        }
    }

    /// Whether a timer is set.
    pub(super) fn is_set(&self, timer: u32) -> bool {
        let index = timer as usize;
        let timer = self.timers.get(index / CHUNK).and_then(|chunk| chunk.get(index % CHUNK));
        timer.is_some_and(|timer| timer.before != NONE)
    }

    /// Moves on to tick `now`, and appends to `due` the timers that fire until then. They are unset.
    pub(super) fn advance(&mut self, now: u32, due: &mut Vec<u32>) {
        while let Some(tick) = self.next().filter(|tick| !is_after(*tick, now)) {
            self.now = tick;
            let slot = slot_of(tick);
            let mut next = self.slots.get(slot).copied().unwrap_or(NONE);
            self.set_first(slot, NONE);
            while let Some(timer) = self.timer(next) {
                let Timer { at, after, .. } = std::mem::replace(timer, UNSET);
                if is_after(at, tick) {
                    self.place(next, at);
                } else {
                    due.push(next);
                }
                next = after;
            }
        }
        if is_after(now, self.now) {
            self.now = now;
        }
    }

    /// The next tick at which [`Wheel::advance`] has something to do. `None` if no timer is set.
    pub(super) fn next(&self) -> Option<u32> {
        let first = slot_of(self.now.wrapping_add(1));
        let words = SLOTS / 64;
        // The word of the first slot is looked at twice: for the slots from there on, and at last for those before.
        for step in 0..=words {
            let index = (first / 64 + step) % words;
            let mut word = self.used.get(index).copied().unwrap_or(0);
            if step == 0 {
                word &= u64::MAX << (first % 64);
            } else if step == words {
                word &= !(u64::MAX << (first % 64));
            }
            if word != 0 {
                let slot = index * 64 + word.trailing_zeros() as usize;
                let ahead = (slot + SLOTS - first) % SLOTS;
                return Some(self.now.wrapping_add(1).wrapping_add(u32::try_from(ahead).unwrap_or(0)));
            }
        }
        None
    }

    /// Puts a timer that is not set into its slot, or into the last one.
    fn place(&mut self, timer: u32, at: u32) {
        let last = self.now.wrapping_add(LAP);
        let slot = slot_of(if is_after(at, last) { last } else { at });
        let first = self.slots.get(slot).copied().unwrap_or(NONE);
        if let Some(first) = self.timer(first) {
            first.before = timer;
        }
        if let Some(known) = self.timer(timer) {
            // There are fewer slots than 2³¹.
            *known = Timer { at, before: IS_FIRST | u32::try_from(slot).unwrap_or(0), after: first };
        }
        self.set_first(slot, timer);
    }

    fn set_first(&mut self, slot: usize, timer: u32) {
        if let (Some(first), Some(word)) = (self.slots.get_mut(slot), self.used.get_mut(slot / 64)) {
            *first = timer;
            let bit = 1 << (slot % 64);
            if timer == NONE { *word &= !bit } else { *word |= bit }
        }
    }

    fn timer(&mut self, timer: u32) -> Option<&mut Timer> {
        let index = timer as usize;
        self.timers.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    fn allocate(&mut self, timer: u32) {
        while self.timers.len() <= timer as usize / CHUNK {
            self.timers.push(vec![UNSET; CHUNK]);
        }
    }
}

/// Whether `tick` is later than `other`, of two that are less than half of all ticks apart.
const fn is_after(tick: u32, other: u32) -> bool {
    let ahead = tick.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}

const fn slot_of(tick: u32) -> usize {
    tick as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const TIMERS: u32 = 700;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u32),
        Cancel(u32),
        Advance(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let ahead = prop_oneof![0_u32..20, 0_u32..3_000, 1020_u32..1030, 0_u32..1_000_000];
        let timer = || 0_u32..TIMERS;
        prop_oneof![
            4 => (timer(), ahead.clone()).prop_map(|(timer, ahead)| Step::Set(timer, ahead)),
            1 => timer().prop_map(Step::Cancel),
            2 => ahead.prop_map(Step::Advance),
        ]
    }

    fn wheel_at(now: u32) -> Wheel {
        Wheel { now, ..Wheel::new() }
    }

    proptest! {
        /// Every timer fires once, at the first advance that reaches its tick, whenever the count of ticks wraps around.
        #[test]
        fn timers_fire_when_a_sorted_map_says(
            start in prop_oneof![Just(0_u32), any::<u32>(), Just(u32::MAX - 50)],
            steps in prop::collection::vec(step(), 1..300),
        ) {
            let mut wheel = wheel_at(start);
            let mut now = 0_u64;
            let mut model = BTreeMap::new();
            let tick = |time: u64| start.wrapping_add(u32::try_from(time).unwrap());
            for step in steps {
                match step {
                    Step::Set(timer, ahead) => {
                        wheel.set(timer, tick(now + u64::from(ahead)));
                        model.insert(timer, now + u64::from(ahead.max(1)));
                    }
                    Step::Cancel(timer) => {
                        wheel.cancel(timer);
                        model.remove(&timer);
                    }
                    Step::Advance(ahead) => {
                        now += u64::from(ahead);
                        let mut due = Vec::new();
                        wheel.advance(tick(now), &mut due);
                        due.sort_unstable();
                        let expected: Vec<u32> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
                        model.retain(|_, at| *at > now);
                        prop_assert_eq!(due, expected);
                    }
                }
                for timer in 0..TIMERS {
                    prop_assert_eq!(wheel.is_set(timer), model.contains_key(&timer));
                }
                // The thread sleeps until the next tick, which must not be later than the first timer.
                let first = model.values().min().copied();
                match (wheel.next(), first) {
                    (Some(next), Some(first)) => prop_assert!(!is_after(next, tick(first))),
                    (None, Some(_)) => prop_assert!(false, "a timer is forgotten"),
                    (_, None) => {}
                }
            }
        }
    }

    #[test]
    fn a_timer_that_is_moved_on_again_and_again_stays_in_its_slot() {
        let mut wheel = Wheel::new();
        wheel.set(0, 100);
        for at in 100..1100 {
            wheel.set(0, at);
            assert_eq!(wheel.next(), Some(100));
        }
        let mut due = Vec::new();
        wheel.advance(100, &mut due);
        assert_eq!((due.len(), wheel.next()), (0, Some(1099)));
        wheel.advance(1099, &mut due);
        assert_eq!((&due[..], wheel.next()), (&[0][..], None));
    }
}
