//! The clock of a reactor's thread: the moment by which its streams decide, and the ticks of its timer wheel.

use super::wheel::TICK_MS;
use crate::stream::{moment::Moment, node::Node};
use std::time::{Duration, Instant};

/// After so many streams the time is read again: they take less than a millisecond.
const STREAMS_PER_MOMENT: u32 = 32;

/// The moment by which streams decide, read anew now and then.
pub(super) struct Clock<'a> {
    node: &'a Node,
    at: Moment<'a>,
    /// How many streams have decided by it.
    used: u32,
}

impl<'a> Clock<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Self { node, at: node.moment(), used: 0 }
    }

    pub(super) fn read(&mut self) -> &Moment<'a> {
        self.used += 1;
        if self.used > STREAMS_PER_MOMENT {
            (self.at, self.used) = (self.node.moment(), 0);
        }
        &self.at
    }

    pub(super) fn now(&mut self) -> Instant {
        self.at = self.node.moment();
        self.at.now
    }
}

/// The ticks of a timer wheel, counted from its start. They wrap around after 6.8 years.
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn from_now() -> Self {
        Self(Instant::now())
    }

    /// The tick in which a time lies.
    pub(super) fn at(&self, time: Instant) -> u32 {
        let ticks = time.saturating_duration_since(self.0).as_millis() / u128::from(TICK_MS);
        u32::try_from(ticks & u128::from(u32::MAX)).unwrap_or(0)
    }

    /// How long it is until a tick begins; nothing for one that is past.
    pub(super) fn until(&self, tick: u32) -> Duration {
        let now = self.0.elapsed();
        let ahead = tick.wrapping_sub(self.at(self.0 + now));
        if ahead == 0 || ahead > u32::MAX / 2 {
            return Duration::ZERO;
        }
        let into = u64::try_from(now.as_micros() % u128::from(TICK_MS * 1000)).unwrap_or(0);
        (Duration::from_millis(TICK_MS) * ahead).saturating_sub(Duration::from_micros(into))
    }
}
