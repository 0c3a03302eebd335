//! Two reports side by side.

use super::Report;
use std::{
    ffi::OsStr,
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Shown where a report has no such figure, and where a ratio to zero would be.
const NONE: &str = "–";

/// Makes a table of what two reports measured, with the ratio of the second to the first. The columns are headed by the names of the
/// reports' files.
pub(crate) fn table([first, second]: &[(&PathBuf, Report); 2]) -> String {
    let names = names(first.0, second.0);
    let widths = names.each_ref().map(|name| name.chars().count().max(12) + 2);
    let [before, after] = [&first.1, &second.1].map(Report::figures);
    let only_after = after.iter().filter(|(name, ..)| before.iter().all(|(known, ..)| known != name));
    let rows: Vec<_> = before.iter().chain(only_after).map(|(name, _, unit)| (name, unit)).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    // Writing to a string can't fail.
    for (name, report) in names.iter().zip([&first.1, &second.1]) {
        let _ = writeln!(out, "{name}: {}, {}, {}", report.workload, report.version, report.date());
    }
    let [a, b] = widths;
    let _ = writeln!(out, "\n{:<width$}{:>a$}{:>b$}{:>9}", "", names[0], names[1], "ratio");
    for (name, unit) in rows {
        let [was, is] = [&before, &after]
            .map(|figures| figures.iter().find(|(known, ..)| known == name).map(|(_, value, _)| *value));
        let [left, right] =
            [was, is].map(|value| value.map_or(NONE.to_owned(), |value| format!("{value:.3}")));
        let row = format!("{name:<width$}{left:>a$}{right:>b$}{:>9} {unit}", ratio(was, is));
        let _ = writeln!(out, "{}", row.trim_end());
    }
    for (name, report) in names.iter().zip([&first.1, &second.1]) {
        for problem in &report.problems {
            let _ = writeln!(out, "PROBLEM in {name}: {problem}");
        }
    }
    out
}

/// The second figure as a multiple of the first.
fn ratio(first: Option<f64>, second: Option<f64>) -> String {
    let ratio = first.zip(second).map(|(first, second)| second / first).filter(|ratio| ratio.is_finite());
    ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.2}×"))
}

/// The names of two files; with their folders, if the names alone are the same.
fn names(first: &Path, second: &Path) -> [String; 2] {
    let differ = first.file_name() != second.file_name();
    [first, second].map(|path| {
        let name = path.file_name().filter(|_| differ).unwrap_or(path.as_os_str());
        OsStr::to_string_lossy(name).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Opening, Workload};

    fn storm(seconds: f64, overflows: u64) -> Report {
        let opening =
            Opening { what: "arrive".to_owned(), streams: 5, seconds, overflows, ..Opening::default() };
        Report { workload: Workload::Storm, openings: vec![opening], ..Report::default() }
    }

    fn compared(first: (&str, Report), second: (&str, Report)) -> String {
        let paths = [first.0, second.0].map(PathBuf::from);
        table(&[(&paths[0], first.1), (&paths[1], second.1)])
    }

    #[test]
    fn nothing_against_nothing_is_no_ratio_and_what_one_report_lacks_is_shown() {
        let mut slower = storm(3.0, 0);
        slower.posted.lag.record(1_000);
        let text = compared(("out/before.json", storm(2.0, 0)), ("out/after.json", slower));
        let row = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(row("attempts that found a full queue"), ["0.000", "0.000", "–"]);
        assert_eq!(row("arrive: 5 streams"), ["2.000", "3.000", "1.50×", "s"]);
        assert_eq!(row("publisher's lag p99"), ["–", "1.000", "–", "ms"]);
        assert_eq!(row(" "), ["before.json", "after.json", "ratio"]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn files_of_one_name_are_told_apart_by_their_folders() {
        let text = compared(("monday/report.json", storm(1.0, 2)), ("friday/report.json", storm(1.0, 4)));
        assert!(text.contains("monday/report.json") && text.contains("friday/report.json"), "{text}");
    }
}
