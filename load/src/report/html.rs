//! The report as an HTML page, with charts, without a script and without references to the network.

mod charts;
mod escape;
mod figures;
mod plot;

use super::Report;
use charts::charts;
use escape::escape;
use plot::Plot;
use std::fmt::Write as _;

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let verdict = if report.problems.is_empty() { "ok" } else { "failed" };
    let workload = report.workload;
    let Report { streams, payments, seconds, .. } = report;
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{workload}: {verdict}</title>\n<style>{STYLE}</style></head><body>\n\
         <h1>{workload}: <span class=\"{verdict}\">{verdict}</span></h1>\n\
         <p>{streams} streams on {payments} payments, {seconds:.1} s. Begun on {}, with {}.<br>{}</p>\n\
         <p><code>load {}</code></p>\n",
        escape(&report.date()),
        escape(&report.version),
        escape(&machine(report)),
        escape(&report.arguments.join(" "))
    );
    // Writing to a string can't fail.
    for (class, word, texts) in [("failed", "Problem", &report.problems), ("note", "Note", &report.notes)] {
        for text in texts {
            let _ = writeln!(out, "<p class=\"{class}\">{word}: {}</p>", escape(text));
        }
    }
    let drawn: String = charts(report).into_iter().filter_map(Plot::draw).collect();
    if !drawn.is_empty() {
        let _ = writeln!(out, "<div class=\"charts\">\n{drawn}</div>");
    }
    out.push_str(&figures::tables(report));
    out.push_str("</body></html>\n");
    out
}

/// The machine in one line: processor, cores, memory, kernel.
fn machine(report: &Report) -> String {
    let value = |wanted: &str| {
        let found = report.machine.iter().find(|(name, _)| name == wanted);
        found.map_or("unknown", |(_, value)| value.as_str())
    };
    let [processor, cores, memory, kernel] = ["processor", "cores", "memory", "kernel"].map(value);
    format!("Machine: {processor}, {cores} cores, {memory}, {kernel}.")
}

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:15px/1.5 system-ui,sans-serif;max-width:84rem;margin:0 auto;padding:1rem;color:#111;background:#fff;overflow-wrap:anywhere}\
h1{margin:0;font-size:1.6rem}h2{margin:1.5rem 0 .4rem;font-size:1.1rem}p{margin:.5rem 0}\
.failed{color:#b91c1c}.ok{color:#15803d}.note{color:#92400e}\
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,21rem),1fr));gap:1rem;margin-top:1rem}\
figure{margin:0;max-width:36rem;display:flex;flex-direction:column}figure>svg{width:100%;height:auto;margin-top:auto}\
figcaption{font-weight:600}\
.legend{list-style:none;margin:.2rem 0 .5rem;padding:0;display:flex;flex-wrap:wrap;gap:0 1rem;font-size:13px}\
.swatch{width:32px;height:12px;vertical-align:middle}\
text{font:12px system-ui,sans-serif;fill:#374151}.grid{stroke:#e5e7eb}.axis{stroke:#6b7280}.grid,.axis{fill:none}\
table{border-collapse:collapse;font-size:13px;overflow-wrap:normal}\
th,td{padding:.15rem .8rem .15rem 0;border-bottom:1px solid #e5e7eb;vertical-align:top;text-align:left;font-weight:normal}\
td{font-variant-numeric:tabular-nums}\
@media(max-width:36rem){body{padding:.5rem}table{font-size:11px}th,td{padding-right:.3rem}}";
