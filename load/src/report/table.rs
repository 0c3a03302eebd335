//! The report as text for a terminal.

use super::{Report, as_f64};
use crate::stats::{Counts, Times};
use std::fmt::{self, Write as _};

/// The whole report as text.
pub(crate) fn table(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = write_table(&mut out, report);
    out
}

fn write_table(out: &mut String, report: &Report) -> fmt::Result {
    let Report { workload, streams, payments, seconds, .. } = report;
    writeln!(out, "\n{workload}: {streams} streams on {payments} payments, {seconds:.1} s")?;
    writeln!(out, "  {}, {}", report.version, report.date())?;
    for opening in &report.openings {
        let mark = if opening.complete { "" } else { "  INCOMPLETE" };
        let (what, streams, seconds) = (&opening.what, opening.streams, opening.seconds);
        let failed = opening.failed;
        writeln!(out, "  {what:<12} {streams:>8} streams in {seconds:>8.3} s, {failed} failed{mark}")?;
    }
    write_sizes(out, report)?;
    write_steps(out, report)?;
    writeln!(
        out,
        "  {:<38}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "ms", "p50", "p90", "p99", "p99.9", "most", "times"
    )?;
    for (name, times) in report.times() {
        write_times(out, name, times)?;
    }
    let posted = &report.posted;
    if posted.sent > 0 {
        let per_second = as_f64(posted.accepted) / (as_f64(posted.elapsed_us.max(1)) / 1e6);
        let (sent, accepted) = (posted.sent, posted.accepted);
        writeln!(out, "  posted       {sent}, accepted {accepted} ({per_second:.0}/s)")?;
    }
    if report.warm_up_events > 0 {
        writeln!(out, "  warm-up      {} events before, checked but not timed", report.warm_up_events)?;
    }
    write_counts(out, "messages", &report.seen.messages)?;
    write_counts(out, "closings", &report.seen.closings)?;
    write_counts(out, "new starts", &report.seen.reasons)?;
    let seen = &report.seen;
    writeln!(
        out,
        "  continuity   lost {}, duplicated {}, reordered {}, status taken back {}, unexplained {}, missing {}",
        seen.lost, seen.duplicated, seen.reordered, seen.status_back, seen.unexplained, report.missing
    )?;
    let [own, server, host] =
        [report.own_share(), report.server_share(), report.taken_share()].map(|share| share * 100.0);
    writeln!(
        out,
        "  processor    this tool {own:.0} %, the server {server:.0} % of one; the host took {host:.1} % of all"
    )?;
    for (name, value, unit) in report.figures().iter().filter(|(name, ..)| name.contains("per ")) {
        writeln!(out, "  {name:<38}{value:>12.1} {unit}")?;
    }
    for note in &report.notes {
        writeln!(out, "  note: {note}")?;
    }
    for problem in &report.problems {
        writeln!(out, "  PROBLEM: {problem}")?;
    }
    writeln!(out, "{}", if report.problems.is_empty() { "ok" } else { "FAILED" })
}

fn write_sizes(out: &mut String, report: &Report) -> fmt::Result {
    if report.sizes.is_empty() {
        return Ok(());
    }
    let header = [
        "streams",
        "server RSS",
        "server PSS",
        "server anon",
        "own anon",
        "TCP buffers",
        "slab",
        "server CPU",
    ];
    writeln!(out, "  {}", header.map(|name| format!("{name:>12}")).concat())?;
    for size in &report.sizes {
        let server = size.server.unwrap_or_default();
        let kib = |bytes: u64| format!("{:>8} KiB", bytes >> 10);
        writeln!(
            out,
            "  {:>12}{}{}{}{}{}{}{:>10.2} %",
            size.streams,
            kib(server.rss),
            kib(server.pss),
            kib(server.anonymous),
            kib(size.own.anonymous),
            kib(size.kernel.tcp_buffers),
            kib(size.kernel.slab),
            size.server_cpu * 100.0
        )?;
    }
    Ok(())
}

/// What each rate came to, and what the processes used.
fn write_steps(out: &mut String, report: &Report) -> fmt::Result {
    if let Some(step) = report.steps.first() {
        let parts: String = step.shares.iter().map(|(name, _)| format!("{name:>12} %")).collect();
        let head =
            ["events/s", "reached/s", "accepted", "delivered", "missing", "p50 ms", "p99 ms", "quiet p99"];
        writeln!(out, "  {}{parts}", head.map(|name| format!("{name:>11}")).concat())?;
    }
    for step in &report.steps {
        let (accepted, delivered, missing) = (step.posted.accepted, step.deliveries, step.missing);
        let ms = |times: &Times, quantile| as_f64(times.at(quantile)) / 1e3;
        let [p50, p99] = [0.5, 0.99].map(|quantile| ms(&step.latency, quantile));
        let quiet = ms(&step.undisturbed, 0.99);
        write!(
            out,
            "  {:>11}{:>11.0}{accepted:>11}{delivered:>11}{missing:>11}{p50:>11.2}{p99:>11.2}{quiet:>11.2}",
            step.rate,
            step.reached()
        )?;
        let shares: String =
            step.shares.iter().map(|(_, share)| format!("{:>14.1}", share * 100.0)).collect();
        writeln!(out, "{shares}")?;
    }
    for part in &report.parts {
        let (name, processes, used) = (&part.name, part.processes, part.used);
        let [rss, anonymous] = [used.rss >> 20, used.anonymous >> 20];
        let seconds = as_f64(used.cpu_us) / 1e6;
        writeln!(
            out,
            "  {name:<12} {processes:>4} processes: {anonymous:>7} MiB of their own ({rss} MiB resident), {} descriptors, {seconds:.1} s of a processor",
            used.descriptors
        )?;
    }
    Ok(())
}

fn write_times(out: &mut String, name: &str, times: &Times) -> fmt::Result {
    if times.count() == 0 {
        return Ok(());
    }
    write!(out, "  {name:<38}")?;
    for quantile in [0.5, 0.9, 0.99, 0.999] {
        write!(out, "{:>10.2}", as_f64(times.at(quantile)) / 1e3)?;
    }
    writeln!(out, "{:>10.2}{:>12}", as_f64(times.longest()) / 1e3, times.count())
}

fn write_counts(out: &mut String, name: &str, counts: &Counts) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = counts.iter().map(|(word, count)| format!("{word} {count}")).collect();
    writeln!(out, "  {name:<12} {}", told.join(", "))
}
