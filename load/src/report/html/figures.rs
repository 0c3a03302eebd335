//! The figures of the page, as tables.

use super::escape::escape;
use crate::{
    report::{Report, as_f64},
    stats::Counts,
};
use std::fmt::{self, Write as _};

/// A table; the first cell of each row, and the first row if there is more than one column of values, are heads.
struct Table {
    title: &'static str,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Every table that has rows, as HTML.
pub(super) fn tables(report: &Report) -> String {
    let mut out = String::new();
    let tables = [
        openings(report),
        sizes(report),
        steps(report),
        parts(report),
        times(report),
        counts(report),
        figures(report),
        machine(report),
    ];
    for table in tables {
        if !table.rows.is_empty() {
            // Writing to a string can't fail.
            let _ = table.write(&mut out);
        }
    }
    out
}

impl Table {
    fn new(title: &'static str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Self {
        Self { title, head: head.iter().map(|text| (*text).to_owned()).collect(), rows: rows.collect() }
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        write!(out, "<h2>{}</h2>\n<table>", self.title)?;
        if !self.head.is_empty() {
            write_row(out, "th", &self.head)?;
        }
        for row in &self.rows {
            write_row(out, "td", row)?;
        }
        writeln!(out, "</table>")
    }
}

fn write_row(out: &mut String, kind: &str, cells: &[String]) -> fmt::Result {
    write!(out, "<tr>")?;
    for (column, cell) in cells.iter().enumerate() {
        let kind = if column == 0 { "th" } else { kind };
        write!(out, "<{kind}>{}</{kind}>", escape(cell))?;
    }
    writeln!(out, "</tr>")
}

fn openings(report: &Report) -> Table {
    let rows = report.openings.iter().map(|opening| {
        let is_complete = if opening.complete { "yes" } else { "no" };
        vec![
            opening.what.clone(),
            opening.streams.to_string(),
            format!("{:.3}", opening.seconds),
            opening.failed.to_string(),
            opening.overflows.to_string(),
            is_complete.to_owned(),
        ]
    });
    let head = ["", "streams", "seconds", "failed requests", "attempts at a full queue", "complete"];
    Table::new("Opening of streams", &head, rows)
}

/// One column for each number of streams.
fn sizes(report: &Report) -> Table {
    let sizes = &report.sizes;
    let kib = |bytes: Option<u64>| bytes.map_or("–".to_owned(), |bytes| (bytes >> 10).to_string());
    let row = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let server = |of: fn(&crate::proc::Process) -> u64| {
        sizes.iter().map(|size| kib(size.server.as_ref().map(of))).collect::<Vec<_>>()
    };
    let mut table = Table::new("Cost of idle streams", &[], std::iter::empty());
    if sizes.is_empty() {
        return table;
    }
    table.head = row("streams", sizes.iter().map(|size| size.streams.to_string()).collect());
    table.rows = vec![
        row("server, resident (RSS), KiB", server(|process| process.rss)),
        row("server, resident (PSS), KiB", server(|process| process.pss)),
        row("server, anonymous, KiB", server(|process| process.anonymous)),
        row("this tool, anonymous, KiB", sizes.iter().map(|size| kib(Some(size.own.anonymous))).collect()),
        row(
            "kernel, TCP buffers, KiB",
            sizes.iter().map(|size| kib(Some(size.kernel.tcp_buffers))).collect(),
        ),
        row("kernel, slab, KiB", sizes.iter().map(|size| kib(Some(size.kernel.slab))).collect()),
        row(
            "server, share of a processor, %",
            sizes.iter().map(|size| format!("{:.2}", size.server_cpu * 100.0)).collect(),
        ),
    ];
    table
}

fn steps(report: &Report) -> Table {
    let rows = report.steps.iter().map(|step| {
        let reached = format!("{:.0}", step.reached());
        let mut row = vec![format!("{} events/s", step.rate), reached, step.posted.accepted.to_string()];
        row.extend([step.deliveries, step.missing].map(|count| count.to_string()));
        row.extend([0.5, 0.99].map(|quantile| milliseconds(step.latency.at(quantile))));
        row.push(milliseconds(step.undisturbed.at(0.99)));
        row.extend(step.shares.iter().map(|(_, share)| format!("{:.1}", share * 100.0)));
        row
    });
    let mut head = vec![
        "",
        "reached, /s",
        "accepted",
        "delivered",
        "missing",
        "p50, ms",
        "p99, ms",
        "p99 while undisturbed, ms",
    ];
    let names: Vec<_> = report
        .steps
        .iter()
        .take(1)
        .flat_map(|step| &step.shares)
        .map(|(name, _)| format!("{name}, %"))
        .collect();
    head.extend(names.iter().map(String::as_str));
    Table::new("Rates", &head, rows)
}

fn parts(report: &Report) -> Table {
    let rows = report.parts.iter().map(|part| {
        let used = part.used;
        let mib = [used.anonymous, used.rss].map(|bytes| (bytes >> 20).to_string());
        let [anonymous, rss] = mib;
        let seconds = format!("{:.1}", as_f64(used.cpu_us) / 1e6);
        vec![
            part.name.clone(),
            part.processes.to_string(),
            anonymous,
            rss,
            used.descriptors.to_string(),
            seconds,
        ]
    });
    let head = ["", "processes", "anonymous, MiB", "resident, MiB", "descriptors", "processor time, s"];
    Table::new("Processes at the end", &head, rows)
}

fn times(report: &Report) -> Table {
    let times = report.times().into_iter().filter(|(_, times)| times.count() > 0);
    let rows = times.map(|(name, times)| {
        let mut row = vec![name.to_owned()];
        let quantiles = [0.5, 0.9, 0.99, 0.999].map(|quantile| times.at(quantile));
        row.extend(quantiles.into_iter().chain([times.longest()]).map(milliseconds));
        row.push(times.count().to_string());
        row
    });
    Table::new("Times in milliseconds", &["", "p50", "p90", "p99", "p99.9", "longest", "number"], rows)
}

/// A time in milliseconds with about three digits, which is what the histograms are good for.
fn milliseconds(us: u64) -> String {
    match as_f64(us) / 1e3 {
        ms if ms >= 100.0 => format!("{ms:.0}"),
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms => format!("{ms:.2}"),
    }
}

fn counts(report: &Report) -> Table {
    let Report { seen, posted, .. } = report;
    let words = |counts: &Counts| {
        counts.iter().map(|(word, count)| format!("{word}: {count}")).collect::<Vec<_>>().join(", ")
    };
    let rows = [
        ("events posted", posted.sent.to_string()),
        ("events accepted", posted.accepted.to_string()),
        ("events of the warm-up", report.warm_up_events.to_string()),
        ("deliveries", seen.deliveries.to_string()),
        ("lost", seen.lost.to_string()),
        ("duplicated", seen.duplicated.to_string()),
        ("out of order", seen.reordered.to_string()),
        ("statuses taken back without a correction", seen.status_back.to_string()),
        ("breaks of the chain without a reason", seen.unexplained.to_string()),
        ("accepted but not delivered in time", report.missing.to_string()),
        ("messages by type", words(&seen.messages)),
        ("closings by reason", words(&seen.closings)),
        ("snapshots that replaced what was known, by reason", words(&seen.reasons)),
        ("streams that ended, by how", words(&seen.ended)),
    ];
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    Table::new("Events and messages", &[], rows.map(|(name, value)| vec![name.to_owned(), value]))
}

fn figures(report: &Report) -> Table {
    let shares = [
        ("this tool's share of a processor", report.own_share()),
        ("the server's share of a processor", report.server_share()),
    ];
    let shares = shares.map(|(name, share)| vec![name.to_owned(), format!("{:.1} %", share * 100.0)]);
    let rows =
        report.figures().into_iter().map(|(name, value, unit)| vec![name, format!("{value:.3} {unit}")]);
    Table::new("Figures for a comparison", &[], rows.chain(shares))
}

fn machine(report: &Report) -> Table {
    let rows = report.machine.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    Table::new("The machine and its settings", &[], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_enough_for_a_narrow_window() {
        for (us, text) in [(40, "0.04"), (9_041, "9.04"), (72_640, "72.6"), (600_000_000, "600000")] {
            assert_eq!(milliseconds(us), text);
        }
    }
}
