//! What was wrong in a run, and what the reader of its report has to know.

use super::{Report, Workload, as_f64};
use crate::stats::Counts;

/// The share of a processor above which this tool itself may limit the figures.
const BUSY: f64 = 0.85;

/// The share of steal time above which it shows in latencies.
const TAKEN: f64 = 0.005;

/// The lag of the publisher, in microseconds, above which latencies are not the server's alone.
const LATE_US: u64 = 5_000;

impl Report {
    /// Adds the problems of the run, and the notes that its reader needs.
    pub(crate) fn judge(&mut self) {
        let seen = &self.seen;
        let words = |counts: &Counts| {
            let words: Vec<_> = counts.iter().map(|(word, count)| format!("{word}: {count}")).collect();
            words.join(", ")
        };
        for (count, what) in [
            (seen.lost, "events lost"),
            (seen.duplicated, "events duplicated"),
            (seen.reordered, "events out of order"),
            (seen.status_back, "statuses taken back without a correction"),
            (seen.unexplained, "breaks of the chain without a reason"),
            (self.posted.not_sent, "events not sent though they were due"),
        ] {
            if count > 0 {
                self.problems.push(format!("{count} {what}"));
            }
        }
        let mut cut = seen.ended.clone();
        cut.retain(|how, _| !how.ends_with("after closing"));
        for (counts, what) in [
            (&seen.failed, "requests for a stream failed"),
            (&cut, "streams ended without a closing"),
            (&self.posted.failed, "posts failed"),
        ] {
            if !counts.is_empty() {
                let count: u64 = counts.values().sum();
                self.problems.push(format!("{count} {what} ({})", words(counts)));
            }
        }
        for opening in self.openings.iter().filter(|opening| opening.overflows > 0) {
            let (what, overflows) = (&opening.what, opening.overflows);
            self.notes.push(format!(
                "{what}: the listener's queue was full at {overflows} attempts to connect; each is repeated after a second or more"
            ));
        }
        self.judge_growth();
        let share = self.own_share();
        if share > BUSY {
            let percent = share * 100.0;
            self.notes.push(format!(
                "this tool took {percent:.0} % of a processor, so its own limits may show in the figures"
            ));
        }
        let taken = self.taken_share();
        if taken > TAKEN {
            let percent = taken * 100.0;
            self.notes.push(format!(
                "the host took {percent:.1} % of this machine's processors while it measured, which may cause long latencies"
            ));
        }
        let lag_us = self.posted.lag.at(0.99);
        if lag_us > LATE_US {
            let ms = as_f64(lag_us) / 1e3;
            self.notes.push(format!(
                "the publisher itself was late by {ms:.1} ms at p99, which is part of every time from when an event was due"
            ));
        }
    }

    /// Says whether the server's memory and descriptors grew in the second half of a soak.
    fn judge_growth(&mut self) {
        if self.workload != Workload::Soak {
            return;
        }
        let trends = self.trends();
        if trends.is_empty() {
            let why = "the run was too short, or the server's processes were not named (--pid)";
            self.notes.push(format!("whether the server's memory grows cannot be told: {why}"));
        }
        for trend in trends {
            let told = if trend.is_flat() { &mut self.notes } else { &mut self.problems };
            told.push(trend.to_string());
        }
    }
}
