//! Which charts the page shows, and of what.

use super::plot::{Line, Plot};
use crate::{
    report::{Report, Second, as_f64},
    stats::Times,
};

/// Every chart; those for which the run has no data draw nothing.
pub(super) fn charts(report: &Report) -> [Plot; 5] {
    [latencies(report), rates(report), streams(report), server_memory(report), memory_by_streams(report)]
}

/// Latency by percentile: each further nine of the percentile is as wide as the one before.
fn latencies(report: &Report) -> Plot {
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let points = |times: &Times| {
        let count = as_f64(times.count());
        // Of n times, nothing can be said beyond the percentile that one of them lies above.
        let steps = (0_u8..=40).map(|step| 10_f64.powf(f64::from(step) / 10.0));
        let quantiles = steps.take_while(|part| *part <= count).map(|part| 1.0 - 1.0 / part);
        quantiles
            .map(|quantile| (nines(quantile), as_f64(times.at(quantile).max(1)) / 1e3))
            .collect::<Vec<_>>()
    };
    let lines = report.times().map(|(name, times)| Line::new(name, points(times).into_iter()));
    Plot {
        title: "Latency by percentile",
        x: "percentile",
        y: "milliseconds",
        lines: lines.into(),
        ticks: [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
            .map(|quantile| (nines(quantile), format!("{}", quantile * 100.0)))
            .to_vec(),
        is_logarithmic: true,
    }
}

fn rates(report: &Report) -> Plot {
    let line = |name: &str, of: fn(&Second) -> u64| {
        let pairs = report.series.windows(2).filter_map(|pair| {
            let [before, after] = pair else { return None };
            let time = (after.at - before.at).max(1e-3);
            Some((after.at, as_f64(of(after).saturating_sub(of(before))) / time))
        });
        Line::new(name, pairs)
    };
    Plot {
        title: "Rates over time",
        x: "seconds",
        y: "per second",
        lines: vec![
            line("deliveries", |second| second.deliveries),
            line("posts accepted", |second| second.accepted),
            line("posts sent", |second| second.sent),
        ],
        ..Plot::default()
    }
}

fn streams(report: &Report) -> Plot {
    let points = report.series.iter().map(|second| (second.at, as_f64(second.ready as u64)));
    Plot {
        title: "Streams over time",
        x: "seconds",
        y: "streams that have had their first message",
        lines: vec![Line::new("open streams", points)],
        ..Plot::default()
    }
}

fn server_memory(report: &Report) -> Plot {
    let points = report.series.iter().map(|second| (second.at, mib(second.rss)));
    Plot {
        title: "The server's memory over time",
        x: "seconds",
        y: "MiB",
        lines: vec![Line::new("resident memory (RSS)", points)],
        ..Plot::default()
    }
}

fn memory_by_streams(report: &Report) -> Plot {
    let at = |streams: usize| as_f64(streams as u64);
    let sizes = || report.sizes.iter();
    let server = sizes().filter_map(|size| Some((at(size.streams), mib(size.server?.anonymous))));
    let own = sizes().map(|size| (at(size.streams), mib(size.own.anonymous)));
    Plot {
        title: "Memory by number of streams",
        x: "streams",
        y: "MiB of anonymous memory",
        lines: vec![Line::new("server", server), Line::new("this tool", own)],
        ..Plot::default()
    }
}

fn mib(bytes: u64) -> f64 {
    as_f64(bytes) / 1_048_576.0
}
