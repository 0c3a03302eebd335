//! The metrics that operators see: one registry, one struct with all metrics, and their text for Prometheus.
//!
//! No label holds a payment, a token or anything else that a client chooses: the names of sources come from the configuration, and all
//! other label values from closed sets in the code (`labels`).

mod disk;
mod labels;
#[cfg(target_os = "linux")]
mod process;

pub use disk::DiskSpace;
pub use labels::{
    AdminRefusal, CloseReason, ConfirmationLabels, ConfirmationOutcome, EventLabels, HealCause, LabelOutcome,
    ListenerLabel, ReasonLabel, RefusalReason, ReloadCause, ReloadLabels, ReloadOutcome, ResumeKind,
    SourceLabel, StoreFault,
};

use crate::limits::LimitHit;
use disk::DiskCollector;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Upper bounds of the buckets for times inside the gateway, in seconds: from 0.1 ms to 10 s.
const LATENCY_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds of the buckets for the time from a provider's event to its webhook, in seconds: from 50 ms to a day.
const PROVIDER_BUCKETS: [f64; 12] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0];

/// All metrics of one process. A field is named after what it counts; its documentation says which labels and which unit it has.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Events by source, outcome and reason.
    pub events: Family<EventLabels, Counter>,
    /// Questions to providers, by source and outcome.
    pub confirmations: Family<ConfirmationLabels, Counter>,
    /// Pending confirmations of each source in the whole store, so all of its nodes report the same number. A confirmation whose
    /// doubtful answer is asked for again stays pending for up to about a minute, and counts too.
    pub confirmations_owed: Family<SourceLabel, Gauge>,
    /// For how long the oldest of them has been pending, or pending since its last answer, in seconds.
    pub confirmations_oldest: Family<SourceLabel, Gauge>,
    /// The time of one append to the store, until it is durable, in seconds.
    pub append_seconds: Histogram,
    /// The time from a webhook's receipt to the write of its frame to a stream, in seconds; one observation per stream and event.
    pub receipt_to_write_seconds: Histogram,
    /// The time from the provider's own time of an event to the write of its frame to a stream, in seconds.
    pub provider_to_write_seconds: Histogram,
    /// Connections open now, by listener.
    pub connections_open: Family<ListenerLabel, Gauge>,
    /// Those of them that have not sent a whole request head yet, by listener.
    pub connections_silent: Family<ListenerLabel, Gauge>,
    /// Streams open now.
    pub streams_open: Gauge,
    /// Long polls that wait now.
    pub long_polls_open: Gauge,
    /// Streams opened, by how they were resumed.
    pub resumes: Counts<ResumeKind>,
    /// Streams closed, by reason.
    pub closes: Counts<CloseReason>,
    /// Heals of a partition, by cause.
    pub heals: Counts<HealCause>,
    /// Faults of the connections to a Redis store, by kind.
    pub store_faults: Counts<StoreFault>,
    /// Hits of limits, by name.
    pub limit_hits: Counts<LimitHit>,
    /// Payments of which an operator's erasure removed something.
    pub erasures: Counter,
    /// Labels that events name and that were not known, by what became of them.
    pub labels: Counts<LabelOutcome>,
    /// Refusals of streams and snapshots, by reason.
    pub refusals: Counts<RefusalReason>,
    /// Requests that the admin listener refused, by reason.
    pub admin_refusals: Counts<AdminRefusal>,
    /// Reloads of the configuration, by what asked for them and how they ended.
    pub reloads: Family<ReloadLabels, Counter>,
    /// The space of the filesystem that the embedded store writes to.
    disk: Arc<DiskCollector>,
    /// Milliseconds that streams were open, summed over all streams.
    stream_ms: AtomicU64,
    /// The part of them in which the store was lost.
    stale_stream_ms: AtomicU64,
    uptime_ratio: Gauge<f64, AtomicU64>,
    /// Deliveries that the webhooks' success ratio counts.
    verified: AtomicU64,
    /// The part of them that was deferred.
    deferred: AtomicU64,
    success_ratio: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero, in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            events: Family::default(),
            confirmations: Family::default(),
            confirmations_owed: Family::default(),
            confirmations_oldest: Family::default(),
            append_seconds: Histogram::new(LATENCY_BUCKETS),
            receipt_to_write_seconds: Histogram::new(LATENCY_BUCKETS),
            provider_to_write_seconds: Histogram::new(PROVIDER_BUCKETS),
            connections_open: Family::default(),
            connections_silent: Family::default(),
            streams_open: Gauge::default(),
            long_polls_open: Gauge::default(),
            resumes: Counts::default(),
            closes: Counts::default(),
            heals: Counts::default(),
            store_faults: Counts::default(),
            limit_hits: Counts::default(),
            erasures: Counter::default(),
            labels: Counts::default(),
            refusals: Counts::default(),
            admin_refusals: Counts::default(),
            reloads: Family::default(),
            disk: Arc::default(),
            stream_ms: AtomicU64::new(0),
            stale_stream_ms: AtomicU64::new(0),
            uptime_ratio: Gauge::default(),
            verified: AtomicU64::new(0),
            deferred: AtomicU64::new(0),
            success_ratio: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        #[cfg(target_os = "linux")]
        self.registry.register_collector(Box::new(process::ProcessCollector));
        let to = self.registry.sub_registry_with_prefix("paystream");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("profile", profile())]);
        to.register("build", "The version of this program, and how it was compiled", build);
        to.register("events", "Events by source, outcome and reason", self.events.clone());
        to.register(
            "confirmations",
            "Questions to providers, by source and outcome",
            self.confirmations.clone(),
        );
        to.register(
            "confirmations_owed",
            "Pending confirmations, including doubtful answers that are asked for again within about a minute",
            self.confirmations_owed.clone(),
        );
        to.register_with_unit(
            "confirmations_oldest",
            "How long the oldest confirmation has been pending, or pending since its last answer",
            Unit::Seconds,
            self.confirmations_oldest.clone(),
        );
        to.register_with_unit(
            "append",
            "Time of one durable append",
            Unit::Seconds,
            self.append_seconds.clone(),
        );
        to.register_with_unit(
            "receipt_to_write",
            "From a webhook's receipt to the write of its frame to a stream",
            Unit::Seconds,
            self.receipt_to_write_seconds.clone(),
        );
        to.register_with_unit(
            "provider_to_write",
            "From the provider's time of an event to the write of its frame to a stream",
            Unit::Seconds,
            self.provider_to_write_seconds.clone(),
        );
        to.register("connections_open", "Connections open now, by listener", self.connections_open.clone());
        to.register(
            "connections_silent",
            "Open connections that have not sent a whole request head yet, by listener",
            self.connections_silent.clone(),
        );
        to.register("streams_open", "Streams open now", self.streams_open.clone());
        to.register("long_polls_open", "Long polls that wait now", self.long_polls_open.clone());
        to.register(
            "stream_resumes",
            "Streams opened, by how they were resumed",
            self.resumes.family.clone(),
        );
        to.register("stream_closes", "Streams closed, by reason", self.closes.family.clone());
        to.register("heals", "Heals of a partition, by cause", self.heals.family.clone());
        to.register(
            "store_faults",
            "Faults of the connections to the store, by kind",
            self.store_faults.family.clone(),
        );
        to.register("limit_hits", "Hits of limits, by name", self.limit_hits.family.clone());
        to.register("refusals", "Streams and snapshots refused, by reason", self.refusals.family.clone());
        to.register(
            "labels",
            "Labels that events name and that were not known, by what became of them",
            self.labels.family.clone(),
        );
        to.register("erasures", "Payments erased by an operator", self.erasures.clone());
        to.register(
            "admin_refusals",
            "Requests that the admin listener refused, by reason",
            self.admin_refusals.family.clone(),
        );
        to.register(
            "reloads",
            "Reloads of the configuration, by what asked for them and how they ended",
            self.reloads.clone(),
        );
        to.register_collector(Box::new(Arc::clone(&self.disk)));
        to.register(
            "stream_uptime_ratio",
            "Share of all stream time in which the store was there to feed it",
            self.uptime_ratio.clone(),
        );
        to.register(
            "webhook_success_ratio",
            "Share of verified deliveries that were not deferred by our own fault",
            self.success_ratio.clone(),
        );
        self
    }

    /// Counts one event's outcome.
    pub fn event(&self, source: &str, outcome: &'static str, reason: &'static str) {
        self.events.get_or_create(&EventLabels { source: source.to_owned(), outcome, reason }).inc();
    }

    /// Counts one reload.
    pub fn reload(&self, cause: ReloadCause, outcome: ReloadOutcome) {
        self.reloads.get_or_create(&ReloadLabels { cause: cause.into(), outcome: outcome.into() }).inc();
    }

    /// Shows how full the filesystem of the data folder is.
    pub fn disk(&self, space: DiskSpace) {
        self.disk.set(space);
    }

    /// Counts one question to a provider.
    pub fn confirmation(&self, source: &str, outcome: ConfirmationOutcome) {
        let (source, outcome) = (source.to_owned(), outcome.into());
        self.confirmations.get_or_create(&ConfirmationLabels { source, outcome }).inc();
    }

    /// Counts one delivery that was verified, or that the gateway failed to take; `deferred` if the latter.
    pub fn delivery(&self, deferred: bool) {
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.deferred.fetch_add(u64::from(deferred), Ordering::Relaxed);
    }

    /// Counts the time of open streams: `streams` of them were open for `ms` milliseconds; `stale` if the store was lost meanwhile.
    pub fn stream_time(&self, streams: u64, ms: u64, stale: bool) {
        self.stream_ms.fetch_add(streams * ms, Ordering::Relaxed);
        if stale {
            self.stale_stream_ms.fetch_add(streams * ms, Ordering::Relaxed);
        }
    }

    /// The text that Prometheus scrapes (OpenMetrics 1.0).
    #[must_use]
    pub fn render(&self) -> String {
        let share = |part: &AtomicU64, whole: &AtomicU64| match whole.load(Ordering::Relaxed) {
            0 => 1.0,
            #[expect(clippy::cast_precision_loss, reason = "a ratio for people: 53 bits are plenty")]
            whole => 1.0 - part.load(Ordering::Relaxed) as f64 / whole as f64,
        };
        self.uptime_ratio.set(share(&self.stale_stream_ms, &self.stream_ms));
        self.success_ratio.set(share(&self.deferred, &self.verified));
        let mut out = String::new();
        // Writing to a string fails only if an encoder of this crate fails. What was written until then still helps.
        if text::encode(&mut out, &self.registry).is_err() {
            out.push_str("# an encoder failed\n");
        }
        out
    }
}

/// How the program was compiled.
const fn profile() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

/// Counters with one label, `reason`, whose values are the words of `R`.
#[derive(Clone)]
pub struct Counts<R> {
    family: Family<ReasonLabel, Counter>,
    words: PhantomData<fn(R)>,
}

impl<R: Into<&'static str>> Counts<R> {
    /// Counts one.
    pub fn count(&self, reason: R) {
        self.family.get_or_create(&ReasonLabel { reason: reason.into() }).inc();
    }
}

impl<R> Default for Counts<R> {
    fn default() -> Self {
        Self { family: Family::default(), words: PhantomData }
    }
}

impl<R> std::fmt::Debug for Counts<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.family.fmt(f)
    }
}

#[cfg(test)]
mod tests;
