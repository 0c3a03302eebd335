//! The report as a page: plots drawn into it, no script, no network.

use super::{Report, as_f64, table};
use crate::stats::Times;
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
/// Room for the axes' numbers.
const MARGIN: f64 = 56.0;

const COLOURS: [&str; 5] = ["#0b63ce", "#c2410c", "#15803d", "#7e22ce", "#475569"];

struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

struct Plot {
    title: String,
    x: String,
    y: String,
    lines: Vec<Line>,
    /// Texts of the x axis, where they are not its numbers.
    ticks: Vec<(f64, String)>,
    logarithmic: bool,
}

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let verdict = if report.problems.is_empty() { "ok" } else { "failed" };
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}: {1}</title>\n<style>{STYLE}</style>\n\
         <h1>{0}: <span class=\"{1}\">{1}</span></h1>\n<p><code>load {2}</code></p>\n",
        escape(&report.workload),
        verdict,
        escape(&report.arguments.join(" "))
    );
    // Writing to a string can't fail.
    for (class, texts) in [("failed", &report.problems), ("note", &report.notes)] {
        for text in texts {
            let _ = writeln!(out, "<p class=\"{class}\">{}</p>", escape(text));
        }
    }
    for plot in plots(report) {
        out.push_str(&draw(&plot));
    }
    let _ =
        writeln!(out, "<h2>Figures</h2><pre>{}</pre><h2>Machine</h2><table>", escape(&table::table(report)));
    for (name, value) in &report.machine {
        let _ = writeln!(out, "<tr><td>{}<td>{}", escape(name), escape(value));
    }
    out.push_str("</table></html>\n");
    out
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:720px;margin:2rem auto;padding:0 1rem;color:#111;background:#fff}\
pre{background:#f3f4f6;padding:1rem;overflow-x:auto;font-size:12px}svg{width:100%;height:auto}td{padding:0 1rem 0 0}\
.failed{color:#b91c1c}.ok{color:#15803d}.note{color:#92400e}text{font:11px system-ui,sans-serif;fill:#374151}";

fn plots(report: &Report) -> Vec<Plot> {
    let mut plots = vec![latencies(report), memory(report), rates(report), streams(report)];
    plots.retain(|plot| plot.lines.iter().any(|line| line.points.len() > 1));
    plots
}

/// Latency by percentile; each further nine of it as wide as the one before.
fn latencies(report: &Report) -> Plot {
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let steps: Vec<f64> = (0..=40).map(|step| 1.0 - 10_f64.powf(-f64::from(step) / 10.0)).collect();
    let line = |name: &str, times: &Times| Line {
        name: name.to_owned(),
        points: if times.count() == 0 {
            Vec::new()
        } else {
            steps.iter().map(|step| (nines(*step), as_f64(times.at(*step).max(1)) / 1e3)).collect()
        },
    };
    Plot {
        title: "Latency".to_owned(),
        x: "percentile".to_owned(),
        y: "ms".to_owned(),
        lines: vec![
            line("due to delivered", &report.seen.latency),
            line("sent to delivered", &report.seen.from_sent),
            line("the same, while undisturbed", &report.seen.undisturbed),
            line("due to acknowledged", &report.posted.ack),
            line("publisher's own lag", &report.posted.lag),
            line("connect to first message", &report.seen.opening),
            line("reconnect to first message", &report.seen.resuming),
        ],
        ticks: [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
            .map(|quantile| (nines(quantile), format!("{}", quantile * 100.0)))
            .to_vec(),
        logarithmic: true,
    }
}

fn memory(report: &Report) -> Plot {
    let mib = |bytes: u64| as_f64(bytes) / 1_048_576.0;
    let at = |streams: usize| as_f64(streams as u64);
    let server = report.sizes.iter().filter_map(|size| Some((at(size.streams), mib(size.server?.anonymous))));
    let own = report.sizes.iter().map(|size| (at(size.streams), mib(size.own.anonymous)));
    Plot {
        title: "Memory against streams".to_owned(),
        x: "streams".to_owned(),
        y: "MiB, anonymous".to_owned(),
        lines: vec![
            Line { name: "server".to_owned(), points: server.collect() },
            Line { name: "this tool".to_owned(), points: own.collect() },
        ],
        ticks: Vec::new(),
        logarithmic: false,
    }
}

fn rates(report: &Report) -> Plot {
    let per_second = |name: &str, of: fn(&super::Second) -> u64| Line {
        name: name.to_owned(),
        points: report
            .series
            .windows(2)
            .filter_map(|pair| {
                let [before, after] = pair else { return None };
                let time = (after.at - before.at).max(1e-3);
                Some((after.at, as_f64(of(after).saturating_sub(of(before))) / time))
            })
            .collect(),
    };
    Plot {
        title: "Rates against time".to_owned(),
        x: "s".to_owned(),
        y: "per second".to_owned(),
        lines: vec![
            per_second("deliveries", |second| second.deliveries),
            per_second("accepted", |second| second.accepted),
            per_second("sent", |second| second.sent),
        ],
        ticks: Vec::new(),
        logarithmic: false,
    }
}

fn streams(report: &Report) -> Plot {
    let points = |of: fn(&super::Second) -> u64, per: f64| {
        report.series.iter().map(|second| (second.at, as_f64(of(second)) / per)).collect()
    };
    Plot {
        title: "Streams, and the server's memory, against time".to_owned(),
        x: "s".to_owned(),
        y: "thousands; MiB".to_owned(),
        lines: vec![
            Line { name: "streams, thousands".to_owned(), points: points(|second| second.ready as u64, 1e3) },
            Line { name: "server RSS, MiB".to_owned(), points: points(|second| second.rss, 1_048_576.0) },
        ],
        ticks: Vec::new(),
        logarithmic: false,
    }
}

fn draw(plot: &Plot) -> String {
    let all = || plot.lines.iter().flat_map(|line| line.points.iter().copied());
    let most_x = all().map(|(x, _)| x).fold(f64::MIN_POSITIVE, f64::max);
    let most_y = all().map(|(_, y)| y).fold(f64::MIN_POSITIVE, f64::max);
    let least_y = if plot.logarithmic {
        10_f64.powf(all().map(|(_, y)| y).fold(most_y, f64::min).log10().floor())
    } else {
        0.0
    };
    let most_y =
        if plot.logarithmic { 10_f64.powf(most_y.log10().ceil()).max(least_y * 10.0) } else { most_y * 1.05 };
    let place_x = |x: f64| MARGIN + x / most_x * (WIDTH - 2.0 * MARGIN);
    let place_y = |y: f64| {
        let share = if plot.logarithmic {
            (y.max(least_y) / least_y).log10() / (most_y / least_y).log10()
        } else {
            y / most_y
        };
        HEIGHT - MARGIN - share * (HEIGHT - 2.0 * MARGIN + 20.0)
    };
    let mut out = format!("<h2>{}</h2>\n<p>", escape(&plot.title));
    let lines = || plot.lines.iter().filter(|line| !line.points.is_empty()).zip(COLOURS);
    for (line, colour) in lines() {
        let _ = write!(out, "<b style=\"color:{colour}\">{}</b> ", escape(&line.name));
    }
    let title = escape(&plot.title);
    let _ = writeln!(out, "</p><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">");
    let ticks = if plot.ticks.is_empty() {
        round_steps(most_x).into_iter().map(|x| (x, short(x))).collect()
    } else {
        plot.ticks.clone()
    };
    for (x, text) in ticks.iter().filter(|(x, _)| *x <= most_x) {
        let (x, y) = (place_x(*x), HEIGHT - MARGIN + 16.0);
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>");
    }
    for y in if plot.logarithmic { decades(least_y, most_y) } else { round_steps(most_y) } {
        let (at, left, right) = (place_y(y), MARGIN - 6.0, WIDTH - MARGIN);
        let text = short(y);
        let _ = writeln!(
            out,
            "<line x1=\"{MARGIN}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e5e7eb\"/>\
             <text x=\"{left}\" y=\"{at:.1}\" text-anchor=\"end\">{text}</text>"
        );
    }
    for (line, colour) in lines() {
        let points = line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", place_x(*x), place_y(*y)));
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>"
        );
    }
    let (right, bottom) = (WIDTH - MARGIN, HEIGHT - 20.0);
    let (x, y) = (escape(&plot.x), escape(&plot.y));
    let _ = writeln!(
        out,
        "<text x=\"{right}\" y=\"{bottom}\" text-anchor=\"end\">{x}</text><text x=\"4\" y=\"12\">{y}</text></svg>"
    );
    out
}

/// From 0 to `most` in four to ten steps of 1, 2 or 5.
fn round_steps(most: f64) -> Vec<f64> {
    let decade = 10_f64.powf((most / 4.0).log10().floor());
    let step = [5.0, 2.0, 1.0].map(|factor| factor * decade).into_iter().find(|step| step * 4.0 <= most);
    let step = step.unwrap_or(decade);
    std::iter::successors(Some(0.0), |mark| Some(mark + step)).take_while(|mark| *mark <= most).collect()
}

/// The powers of ten between.
fn decades(least: f64, most: f64) -> Vec<f64> {
    std::iter::successors(Some(least), |mark| Some(mark * 10.0))
        .take_while(|mark| *mark <= most * 1.01)
        .collect()
}

/// A number in a few letters.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.0}k", n / 1e3),
        n if n >= 10.0 || n == 0.0 => format!("{n:.0}"),
        n if n >= 0.1 => format!("{n:.1}"),
        n => format!("{n:.3}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
