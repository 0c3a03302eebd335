//! Whether something grew during the second half of a run. What grows in the first half fills caches and logs; what still grows after that
//! may have no end.

use super::{Report, Second, as_f64};

/// A run of fewer samples in its second half is too short to tell.
const FEWEST: usize = 30;

/// The most samples that are compared pair by pair; of more, every n-th is taken.
const MOST: usize = 600;

/// The growth of one quantity over the second half.
pub(super) struct Trend {
    pub(super) what: &'static str,
    unit: &'static str,
    /// By what it is divided to be told in `unit`.
    scale: f64,
    pub(super) per_second: f64,
    /// How long the second half was.
    seconds: f64,
    /// The median over it.
    level: f64,
    /// The growth over all of it up to which it counts as flat.
    allowed: f64,
}

impl Report {
    /// The trends of the server's memory and descriptors; none if nothing measured them, or not for long enough.
    pub(super) fn trends(&self) -> Vec<Trend> {
        let half = self.series.len() / 2;
        let samples = self.series.get(half..).unwrap_or_default();
        if samples.len() < FEWEST || samples.iter().any(|sample| sample.rss == 0) {
            return Vec::new();
        }
        let points = |part: fn(&Second) -> u64| {
            samples.iter().map(|sample| (sample.at, as_f64(part(sample)))).collect::<Vec<_>>()
        };
        // Two percent are more than what an allocator keeps or returns from one minute to the next. A small server has a floor beside it.
        let memory = points(|sample| sample.rss);
        let descriptors = points(|sample| sample.descriptors);
        vec![
            Trend::new("server memory", "KB", 1e3, &memory, (0.02, 2_097_152.0)),
            Trend::new("server descriptors", "descriptors", 1.0, &descriptors, (0.01, 16.0)),
        ]
    }
}

impl Trend {
    fn new(
        what: &'static str,
        unit: &'static str,
        scale: f64,
        points: &[(f64, f64)],
        (share, floor): (f64, f64),
    ) -> Self {
        let seconds =
            points.last().map_or(0.0, |(last, _)| last - points.first().map_or(*last, |(first, _)| *first));
        let level = median(points.iter().map(|(_, value)| *value).collect());
        let per_second = typical_slope(points);
        Self { what, unit, scale, per_second, seconds, level, allowed: (level * share).max(floor) }
    }

    pub(super) fn is_flat(&self) -> bool {
        self.per_second * self.seconds <= self.allowed
    }
}

impl std::fmt::Display for Trend {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, unit, scale, per_second, seconds, level, allowed } = self;
        let verdict = if self.is_flat() { "flat" } else { "NOT flat" };
        write!(
            out,
            "{what} in the second half: {:+.2} {unit}/s, {:+.0} {unit} over {seconds:.0} s at {:.0} {unit}; up to {:+.0} count as flat: {verdict}",
            per_second / scale,
            per_second * seconds / scale,
            level / scale,
            allowed / scale
        )
    }
}

/// The median of the slopes of all pairs of points (Theil and Sen). Unlike that of a least-squares line, it is not bent by a few seconds in
/// which all streams return.
fn typical_slope(points: &[(f64, f64)]) -> f64 {
    let thin: Vec<_> = points.iter().step_by(points.len().div_ceil(MOST).max(1)).collect();
    let pairs = thin.iter().enumerate().flat_map(|(n, (x, y))| {
        thin.iter()
            .skip(n + 1)
            .filter(move |(other, _)| other > x)
            .map(move |(other, value)| (value - y) / (other - x))
    });
    median(pairs.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Workload;

    /// A soak of so many seconds in which memory and descriptors are what these functions say.
    fn soak(seconds: u32, rss: fn(u64) -> u64, descriptors: fn(u64) -> u64) -> Report {
        let second = |at: u32| Second {
            at: f64::from(at),
            rss: rss(at.into()),
            descriptors: descriptors(at.into()),
            ..Second::default()
        };
        Report { workload: Workload::Soak, series: (0..seconds).map(second).collect(), ..Report::default() }
    }

    fn problems(mut report: Report) -> Vec<String> {
        report.judge();
        report.problems
    }

    #[test]
    fn growth_in_the_first_half_and_spikes_are_no_leak() {
        // Caches fill for 10 minutes, then all streams return every 5 minutes and take twice the memory for 20 s.
        let rss =
            |at: u64| 200_000_000 + at.min(600) * 100_000 + if at % 300 > 280 { 200_000_000 } else { 0 };
        let quiet = soak(1_800, rss, |at| 10_000 + at % 50);
        let told: Vec<_> = quiet.trends().iter().map(ToString::to_string).collect();
        assert!(told.iter().all(|trend| trend.ends_with(": flat")), "{told:?}");
        assert!(problems(quiet).is_empty());
    }

    #[test]
    fn a_leak_is_told_with_its_slope() {
        let rss = |at: u64| 200_000_000 + at * 60_000 + if at % 300 > 280 { 200_000_000 } else { 0 };
        let told = problems(soak(1_800, rss, |_| 10_000));
        assert!(
            told.len() == 1 && told[0].starts_with("server memory in the second half: +60.00 KB/s"),
            "{told:?}"
        );
        assert!(told[0].ends_with("NOT flat"), "{told:?}");
        let told = problems(soak(1_800, |_| 200_000_000, |at| 10_000 + at));
        assert!(
            told.len() == 1 && told[0].starts_with("server descriptors in the second half: +1.00"),
            "{told:?}"
        );
        // What falls is no leak.
        assert!(problems(soak(1_800, |at| 400_000_000 - at * 100_000, |_| 10)).is_empty());
    }

    #[test]
    fn a_soak_that_is_too_short_says_so() {
        let mut short = soak(50, |at| 1_000_000 + at * 1_000_000, |_| 10);
        short.judge();
        assert!(short.problems.is_empty());
        assert!(short.notes.iter().any(|note| note.contains("cannot be told")), "{:?}", short.notes);
    }
}
