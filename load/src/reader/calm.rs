//! Selects the latencies that count as undisturbed. Time is divided into short spans. A latency counts if the machine was quiet in its
//! span, in the one before and in the one after: there was no pause, and the consequences of the last pause were over.
//!
//! The selection uses only the machine's [pauses](crate::pauses), never the latencies. The report has all latencies beside them.

use crate::{pauses::Look, stats::Times};
use std::{collections::VecDeque, mem};

/// The latencies for which it is not known yet whether they count.
#[derive(Debug, Default)]
pub(super) struct Calm {
    /// Whether somebody looks at the pauses, so that it will be known.
    watched: bool,
    /// The number of pauses at the end of the last span, if the machine was quiet.
    pauses: Option<u64>,
    /// The latencies since the last span that is known, each after the time of its arrival. In another process than the one that watches
    /// the machine these are a few spans.
    current: VecDeque<(u64, u64)>,
    /// The latencies of the span before, if the machine was quiet in it and in the one before it.
    before: Vec<u64>,
    /// Whether the machine was quiet in the span before.
    quiet: bool,
}

impl Calm {
    /// Adds a latency that ends now. Both are in microseconds.
    pub(super) fn record(&mut self, now_us: u64, us: u64) {
        if self.watched {
            self.current.push_back((now_us, us));
        }
    }

    /// Ends a span. Latencies that are now sure to count are recorded.
    pub(super) fn take(&mut self, look: Look, undisturbed: &mut Times) {
        let Look::At { at_us, pauses } = look else {
            *self = Self::default();
            return;
        };
        self.watched = true;
        let known = mem::replace(&mut self.pauses, pauses);
        let quiet = pauses.is_some() && known == pauses;
        let was_quiet = mem::replace(&mut self.quiet, quiet);
        let length = self.current.partition_point(|(arrived_us, _)| *arrived_us <= at_us);
        let span = self.current.drain(..length).map(|(_, us)| us);
        if quiet {
            for us in self.before.drain(..) {
                undisturbed.record(us);
            }
            if was_quiet {
                self.before.extend(span);
            }
        } else {
            self.before.clear();
        }
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
            calm.record(us, us);
            calm.take(Look::At { at_us: us, pauses }, &mut undisturbed);
            assert_eq!(undisturbed.count(), counted, "{us}");
        }
        assert_eq!((undisturbed.at(0.0), undisturbed.longest()), (4, 8));
    }

    #[test]
    fn looks_that_come_late_count_the_same_latencies() {
        let (mut calm, mut undisturbed) = (Calm::default(), Times::default());
        let at = |at_us, pauses| Look::At { at_us, pauses };
        calm.record(5, 5);
        assert!(calm.current.is_empty(), "nobody watches, so nothing may pile up");
        calm.take(at(10, Some(0)), &mut undisturbed);
        for arrived_us in (15..=85).step_by(10) {
            calm.record(arrived_us, arrived_us);
        }
        // Six spans of which one had a pause; what arrived at 75 and 85 belongs to spans that are not over.
        for (at_us, pauses) in
            [(20, Some(0)), (30, Some(0)), (40, Some(0)), (50, Some(1)), (60, Some(1)), (70, Some(1))]
        {
            calm.take(at(at_us, pauses), &mut undisturbed);
        }
        assert_eq!((undisturbed.count(), undisturbed.longest()), (1, 25));
        calm.take(at(80, Some(1)), &mut undisturbed);
        assert_eq!((undisturbed.count(), undisturbed.longest()), (2, 65));
        calm.take(Look::Over, &mut undisturbed);
        calm.record(95, 95);
        assert!(calm.current.is_empty());
    }
}
