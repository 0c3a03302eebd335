//! Two reports side by side.

use super::Report;
use std::fmt::Write as _;

/// A table of what both measured, with the ratio.
pub(crate) fn table(before: &Report, after: &Report) -> String {
    let mut out = format!("{:<42}{:>14}{:>14}{:>9}\n", "", before.workload, after.workload, "ratio");
    let known = after.figures();
    for (name, value, unit) in before.figures() {
        if let Some((_, now, _)) = known.iter().find(|(other, ..)| *other == name) {
            let ratio = now / value;
            // Writing to a string can't fail.
            let _ = writeln!(out, "{name:<42}{value:>14.3}{now:>14.3}{ratio:>8.2}× {unit}");
        }
    }
    for (name, report) in [("first", before), ("second", after)] {
        for problem in &report.problems {
            let _ = writeln!(out, "PROBLEM in the {name}: {problem}");
        }
    }
    out
}
