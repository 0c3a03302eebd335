//! Which latencies count as undisturbed: those of short spans of time in which, before which and after which the machine was quiet:
//! it paused for nobody, and what its last pause held up had been made up for.
//!
//! The choice goes by the machine's [pauses](crate::pauses) alone, never by the latencies; all of these stand in the report beside it.

use crate::stats::Times;
use std::mem;

/// How long a span is.
pub(super) const SPAN_US: u64 = 5_000;

/// The latencies of the last two spans, of which it is not known yet whether they count.
#[derive(Debug, Default)]
pub(super) struct Calm {
    /// Pauses until now, if the machine is quiet.
    pauses: Option<u64>,
    /// Of the span that goes on.
    current: Vec<u64>,
    /// Of the one before, if nothing was seen in it nor before it.
    before: Vec<u64>,
    /// Nothing was seen in the span before.
    quiet: bool,
}

impl Calm {
    /// Adds a latency, in microseconds.
    pub(super) fn record(&mut self, us: u64) {
        if self.quiet {
            self.current.push(us);
        }
    }

    /// Ends a span: so many pauses were there until now, if the machine is quiet. What is sure to count is added.
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
            // Nobody watches, then somebody begins to.
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
