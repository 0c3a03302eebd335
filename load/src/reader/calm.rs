//! Selects the latencies that count as undisturbed. Time is divided into short spans. A latency counts if the machine was quiet in its
//! span, in the one before and in the one after: there was no pause, and the consequences of the last pause were over.
//!
//! The selection uses only the machine's [pauses](crate::pauses), never the latencies. The report has all latencies beside them.

use crate::stats::Times;
use std::mem;

/// The length of a span.
pub(super) const SPAN_US: u64 = 5_000;

/// The latencies of the last two spans, for which it is not known yet whether they count.
#[derive(Debug, Default)]
pub(super) struct Calm {
    /// The number of pauses at the end of the last span, if the machine was quiet.
    pauses: Option<u64>,
    /// The latencies of the current span.
    current: Vec<u64>,
    /// The latencies of the span before, if the machine was quiet in it and in the one before it.
    before: Vec<u64>,
    /// Whether the machine was quiet in the span before.
    quiet: bool,
}

impl Calm {
    /// Adds a latency, in microseconds.
    pub(super) fn record(&mut self, us: u64) {
        if self.quiet {
            self.current.push(us);
        }
    }

    /// Ends a span. `pauses` is the number of pauses so far, if the machine is quiet. Latencies that are now sure to count are recorded.
    pub(super) fn tick(&mut self, pauses: Option<u64>, undisturbed: &mut Times) {
        let known = mem::replace(&mut self.pauses, pauses);
        let quiet = pauses.is_some() && known == pauses;
        let was_quiet = mem::replace(&mut self.quiet, quiet);
        if quiet {
            for us in self.before.drain(..) {
                undisturbed.record(us);
            }
            if was_quiet {
                mem::swap(&mut self.before, &mut self.current);
            }
        } else {
            self.before.clear();
        }
        self.current.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_if_it_and_both_its_neighbours_were_quiet() {
        let (mut calm, mut undisturbed) = (Calm::default(), Times::default());
        for (us, pauses, counted) in [
            // Nothing watches at first, then something does.
            (1, None, 0),
            (2, Some(7), 0),
            (3, Some(7), 0),
            (4, Some(7), 0),
            // The fourth span counts: it, the third and this one were quiet.
            (5, Some(7), 1),
            // A pause: neither this span nor its neighbours count.
            (6, Some(8), 1),
            (7, Some(8), 1),
            (8, Some(8), 1),
            (9, Some(8), 2),
            (10, None, 2),
            (11, None, 2),
        ] {
            calm.record(us);
            calm.tick(pauses, &mut undisturbed);
            assert_eq!(undisturbed.count(), counted, "{us}");
        }
        assert_eq!((undisturbed.at(0.0), undisturbed.longest()), (4, 8));
    }
}
