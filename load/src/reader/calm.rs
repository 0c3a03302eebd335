//! Which latencies count as undisturbed: those of spans of time in which the host took nothing of this machine's processors.
//!
//! What the host takes is told late and in steps, so a span counts only if nothing was told in it nor in the next one. The
//! choice goes by the host alone, never by the latencies; all of them stand in the report beside it.

use crate::stats::Times;
use std::mem;

/// The latencies of the last two spans, of which it is not known yet whether they count.
#[derive(Debug, Default)]
pub(super) struct Calm {
    stolen_us: u64,
    /// Of the span that goes on.
    current: Vec<u64>,
    /// Of the one before, if nothing was taken in it.
    before: Vec<u64>,
}

impl Calm {
    /// Begins while the host has taken so much.
    pub(super) fn new(stolen_us: u64) -> Self {
        Self { stolen_us, ..Self::default() }
    }

    /// Adds a latency, in microseconds.
    pub(super) fn record(&mut self, us: u64) {
        self.current.push(us);
    }

    /// Ends a span: so much has the host taken by now. What is sure to count is added.
    pub(super) fn tick(&mut self, stolen_us: u64, undisturbed: &mut Times) {
        if mem::replace(&mut self.stolen_us, stolen_us) == stolen_us {
            for us in self.before.drain(..) {
                undisturbed.record(us);
            }
            mem::swap(&mut self.before, &mut self.current);
        } else {
            self.before.clear();
            self.current.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_if_nothing_was_taken_in_it_nor_in_the_next() {
        let (mut calm, mut undisturbed) = (Calm::new(10), Times::default());
        for (us, stolen_us, counted) in [
            (1, 10, 0),
            // The first span counts now.
            (2, 10, 1),
            // Neither this one nor the second.
            (3, 20, 1),
            (4, 20, 1),
            (5, 20, 2),
            (6, 20, 3),
        ] {
            calm.record(us);
            calm.tick(stolen_us, &mut undisturbed);
            assert_eq!(undisturbed.count(), counted, "{us}");
        }
        assert_eq!((undisturbed.at(0.0), undisturbed.longest()), (1, 5));
    }
}
