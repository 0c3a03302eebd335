//! Reports of parts of one run, made at the same time by several tools, as one report. Percentiles come from the sum of the histograms.

use super::{Opening, Report, Second, Size, Step, THIS_TOOL, VERSION};
use crate::{proc::Kernel, stats::Posted};
use anyhow::{Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// A part of the run, and which of its figures no earlier part has told already.
struct Part<'a> {
    name: String,
    report: &'a Report,
    /// The server of the part before may be the same; it must not count twice.
    has_server: bool,
    /// The same for the machine, whose kernel all parts see that run there.
    has_machine: bool,
}

/// Adds reports of one workload. Fails if the workloads, or the steps that they took, differ.
pub(crate) fn merge(reports: &[(PathBuf, Report)]) -> Result<Report> {
    let parts = parts(reports);
    let mut merged = Report {
        version: VERSION.to_owned(),
        arguments: std::env::args().skip(1).collect(),
        machine: machine(&parts),
        ..Report::default()
    };
    let Some(Part { report: first, .. }) = parts.first() else { return Ok(merged) };
    (merged.workload, merged.started, merged.host) = (first.workload, first.started, first.host.clone());
    merged.openings = vec![Opening { complete: true, ..Opening::default() }; first.openings.len()];
    merged.sizes = vec![Size::default(); first.sizes.len()];
    merged.steps = vec![Step::default(); first.steps.len()];
    for part in &parts {
        let Part { name, report, .. } = part;
        ensure!(
            report.workload == first.workload
                && report.sizes.len() == first.sizes.len()
                && report.steps.len() == first.steps.len()
                && report
                    .openings
                    .iter()
                    .map(|opening| &opening.what)
                    .eq(first.openings.iter().map(|opening| &opening.what)),
            "{name} is of another run than {}: only reports of the same workload, with the same steps, can be merged",
            reports.first().map_or_else(String::new, |(path, _)| path.display().to_string()),
        );
        add(&mut merged, part);
        merged.problems.extend(report.problems.iter().map(|problem| format!("{name}: {problem}")));
        merged.notes.extend(report.notes.iter().map(|note| format!("{name}: {note}")));
    }
    merged.series = series(&parts, merged.started);
    Ok(merged)
}

fn parts(reports: &[(PathBuf, Report)]) -> Vec<Part<'_>> {
    let (mut servers, mut machines) = (BTreeSet::new(), BTreeSet::new());
    let parts = reports.iter().map(|(path, report)| Part {
        name: path.display().to_string(),
        report,
        has_server: servers.insert((&report.host, &report.pids)) || report.host.is_empty(),
        has_machine: machines.insert(&report.host) || report.host.is_empty(),
    });
    parts.collect()
}

fn add(merged: &mut Report, part: &Part<'_>) {
    let report = part.report;
    merged.started = merged.started.min(report.started);
    merged.seconds = merged.seconds.max(report.seconds);
    merged.streams += report.streams;
    merged.payments += report.payments;
    merged.missing += report.missing;
    merged.warm_up_events += report.warm_up_events;
    merged.seen.add(&report.seen);
    add_posted(&mut merged.posted, &report.posted);
    for (sum, step) in merged.steps.iter_mut().zip(&report.steps) {
        add_step(sum, step, part);
    }
    for of in report.parts.iter().filter(|of| part.has_server || of.name == THIS_TOOL) {
        match merged.parts.iter_mut().find(|sum| sum.name == of.name) {
            Some(sum) => {
                sum.processes += of.processes;
                sum.used.add(&of.used);
            }
            None => merged.parts.push(of.clone()),
        }
    }
    for (sum, opening) in merged.openings.iter_mut().zip(&report.openings) {
        sum.what.clone_from(&opening.what);
        sum.streams += opening.streams;
        sum.seconds = sum.seconds.max(opening.seconds);
        sum.failed += opening.failed;
        sum.overflows += if part.has_machine { opening.overflows } else { 0 };
        sum.complete &= opening.complete;
    }
    for (sum, size) in merged.sizes.iter_mut().zip(&report.sizes) {
        add_size(sum, size, part);
    }
    add_size(&mut merged.before, &report.before, part);
    if let Some(size) = &report.opened {
        add_size(merged.opened.get_or_insert_default(), size, part);
    }
    merged.own_cpu_us += report.own_cpu_us;
    merged.measured_us = merged.measured_us.max(report.measured_us);
    merged.stolen_us = merged.stolen_us.max(report.stolen_us);
    if part.has_machine {
        merged.paused_us += report.paused_us;
    }
    if part.has_server {
        merged.pids.extend(&report.pids);
        merged.server_cpu_us += report.server_cpu_us;
        if let Some(server) = &report.server_after {
            merged.server_after.get_or_insert_default().add(server);
        }
    }
}

/// Adds what was posted at the same time, not one after the other.
fn add_posted(sum: &mut Posted, posted: &Posted) {
    let elapsed_us = sum.elapsed_us.max(posted.elapsed_us);
    sum.add(posted);
    sum.elapsed_us = elapsed_us;
}

fn add_step(sum: &mut Step, step: &Step, part: &Part<'_>) {
    sum.rate += step.rate;
    add_posted(&mut sum.posted, &step.posted);
    sum.deliveries += step.deliveries;
    sum.latency.add(&step.latency);
    sum.undisturbed.add(&step.undisturbed);
    sum.missing += step.missing;
    for (name, share) in step.shares.iter().filter(|(name, _)| part.has_server || name == THIS_TOOL) {
        match sum.shares.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += share,
            None => sum.shares.push((name.clone(), *share)),
        }
    }
}

fn add_size(sum: &mut Size, size: &Size, part: &Part<'_>) {
    sum.streams += size.streams;
    sum.own.add(&size.own);
    if part.has_server
        && let Some(server) = &size.server
    {
        sum.server.get_or_insert_default().add(server);
        sum.server_cpu += size.server_cpu;
    }
    if part.has_machine {
        let Kernel { tcp_buffers, slab, sockets, overflows } = size.kernel;
        sum.kernel.tcp_buffers += tcp_buffers;
        sum.kernel.slab += slab;
        sum.kernel.sockets += sockets;
        sum.kernel.overflows += overflows;
    }
}

/// The states of all parts, second by second of the wall clock. A part that has no sample of a second is as it was before.
fn series(parts: &[Part<'_>], started: u64) -> Vec<Second> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    let second = |report: &Report, at: f64| report.started - started + at as u64;
    let all: Vec<BTreeMap<u64, &Second>> = parts
        .iter()
        .map(|part| {
            part.report.series.iter().map(|sample| (second(part.report, sample.at), sample)).collect()
        })
        .collect();
    let seconds: BTreeSet<u64> = all.iter().flat_map(|samples| samples.keys().copied()).collect();
    let sum = |at: u64| {
        let mut sum = Second { at: super::as_f64(at), ..Second::default() };
        for (part, samples) in parts.iter().zip(&all) {
            let Some((_, sample)) = samples.range(..=at).next_back() else { continue };
            sum.ready += sample.ready;
            sum.sent += sample.sent;
            sum.accepted += sample.accepted;
            sum.deliveries += sample.deliveries;
            if part.has_server {
                sum.rss += sample.rss;
                sum.descriptors += sample.descriptors;
                sum.cpu_us += sample.cpu_us;
            }
        }
        sum
    };
    seconds.into_iter().map(sum).collect()
}

/// What the machines are; where they differ, each of the values.
fn machine(parts: &[Part<'_>]) -> Vec<(String, String)> {
    let mut told: Vec<(String, BTreeSet<String>)> = Vec::new();
    for (name, value) in parts.iter().flat_map(|part| &part.report.machine) {
        match told.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => drop(values.insert(value.clone())),
            None => told.push((name.clone(), BTreeSet::from([value.clone()]))),
        }
    }
    told.into_iter()
        .map(|(name, values)| (name, values.into_iter().collect::<Vec<_>>().join(" / ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{proc::Process, report::Workload};

    fn part(host: &str, latencies_us: &[u64]) -> Report {
        let mut report = Report {
            workload: Workload::Unicast,
            host: host.to_owned(),
            pids: vec![7],
            started: 1_000,
            streams: 10,
            server_cpu_us: 500,
            own_cpu_us: 300,
            measured_us: 1_000,
            before: Size { server: Some(Process::default()), ..Size::default() },
            opened: Some(Size {
                streams: 10,
                server: Some(Process { anonymous: 20_000, ..Process::default() }),
                ..Size::default()
            }),
            series: vec![Second { at: 1.2, ready: 10, rss: 50, ..Second::default() }],
            ..Report::default()
        };
        for us in latencies_us {
            report.seen.latency.record(*us);
        }
        report.posted.elapsed_us = 2_000_000;
        let shares = vec![("ingest".to_owned(), 0.25), (THIS_TOOL.to_owned(), 0.5)];
        report.steps =
            vec![Step { rate: 500.0, latency: report.seen.latency.clone(), shares, ..Step::default() }];
        report
    }

    fn merged(reports: Vec<Report>) -> Result<Report> {
        let named = reports.into_iter().enumerate().map(|(n, report)| (format!("{n}.json").into(), report));
        merge(&named.collect::<Vec<_>>())
    }

    #[test]
    fn percentiles_are_those_of_all_times_together() {
        // The means of the parts' medians and p99 would be 50.5 and 505.
        let (mut fast, mut slow) = (vec![1; 980], vec![1_000; 20]);
        fast.extend([100; 980]);
        slow.extend([1_000; 20]);
        let sum = merged(vec![part("a", &fast), part("b", &slow)]).unwrap();
        assert_eq!(sum.seen.latency.count(), 2_000);
        let at = [0.4, 0.5, 0.9, 0.99].map(|quantile| sum.seen.latency.at(quantile));
        assert_eq!(at, [1, 100, 100, 1_000]);
        assert_eq!(sum.steps[0].latency.at(0.99), 1_000);
        assert_eq!((sum.streams, sum.posted.elapsed_us), (20, 2_000_000));
    }

    #[test]
    fn a_server_that_two_parts_saw_counts_once() {
        let bytes = |report: &Report| report.bytes_per_stream()[0].1;
        let one = merged(vec![part("a", &[]), part("a", &[])]).unwrap();
        assert_eq!(
            (one.server_cpu_us, one.own_cpu_us, one.series[0].rss, one.series[0].ready),
            (500, 600, 50, 20)
        );
        assert_eq!(bytes(&one), Some(1_000.0));
        let shares =
            |report: &Report| report.steps[0].shares.iter().map(|(_, share)| *share).collect::<Vec<_>>();
        assert_eq!((shares(&one), one.steps[0].rate), (vec![0.25, 1.0], 1_000.0));
        let two = merged(vec![part("a", &[]), part("b", &[])]).unwrap();
        assert_eq!(shares(&two), [0.5, 1.0]);
        assert_eq!((two.server_cpu_us, two.series[0].rss), (1_000, 100));
        assert_eq!(bytes(&two), Some(2_000.0));
    }

    #[test]
    fn reports_of_different_runs_are_refused_and_problems_keep_their_file() {
        let other = Report { workload: Workload::Storm, ..part("a", &[]) };
        let error = merged(vec![part("a", &[]), other]).unwrap_err().to_string();
        assert!(error.contains("1.json is of another run than 0.json"), "{error}");
        let wrong = Report { problems: vec!["2 events lost".to_owned()], ..part("b", &[]) };
        assert_eq!(merged(vec![part("a", &[]), wrong]).unwrap().problems, ["1.json: 2 events lost"]);
    }
}
