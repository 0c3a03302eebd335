//! What the operators see: one registry, one struct of metrics, one text rendering for Prometheus.
//!
//! No label carries a payment, a token or anything else that a client chooses; sources and reasons are closed sets of the
//! configuration and the code.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Seconds: from 0.1 ms to 10 s, for what happens inside the gateway.
const LATENCY_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Seconds: from 50 ms to a day, for what providers take until they tell us.
const PROVIDER_BUCKETS: [f64; 12] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0];

/// Labels of an event's outcome.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct Outcome {
    /// Name of the source.
    pub source: String,
    /// `accepted`, `duplicate`, `ignored`, `quarantined`, `rejected` or `deferred`.
    pub outcome: &'static str,
    /// Reason code; empty where the outcome says it all.
    pub reason: &'static str,
}

/// One label from a closed set.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct Reason {
    /// The reason code.
    pub reason: &'static str,
}

/// Labels of a confirmation's outcome.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct Confirmation {
    /// Name of the source.
    pub source: String,
    /// `appended`, `same`, `unavailable`, `throttled`, `denied`, `unknown`, `unclear`, `quarantined`, `given_up` or `store`.
    pub outcome: &'static str,
}

/// One source.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct SourceName {
    /// Its name.
    pub source: String,
}

/// All metrics. Fields are named after what they count; docs give label sets and units.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Events by source, outcome and reason.
    pub events: Family<Outcome, Counter>,
    /// Questions to providers, by source and outcome.
    pub confirmations: Family<Confirmation, Counter>,
    /// Confirmations that each source is owed, of the whole store: the same on all of its nodes. Those whose answer is only asked for
    /// again, for up to about a minute, count too.
    pub confirmations_owed: Family<SourceName, Gauge>,
    /// How long the oldest of them has been owed, or owed since its last answer, in seconds.
    pub confirmations_oldest: Family<SourceName, Gauge>,
    /// Time of one store append, durability included, in seconds.
    pub append_seconds: Histogram,
    /// From the webhook's receipt to the write of its frame to a stream, in seconds; one observation per stream and event.
    pub receipt_to_write_seconds: Histogram,
    /// From the provider's own time of the event to the write, in seconds.
    pub provider_to_write_seconds: Histogram,
    /// Streams open now.
    pub streams_open: Gauge,
    /// Streams opened, by how they were resumed: `fresh`, `exact`, `ready`, `evicted`, `unknown_cursor`, `rolled_back`.
    pub resumes: Family<Reason, Counter>,
    /// Streams closed, by reason; `gone` is a client that left.
    pub closes: Family<Reason, Counter>,
    /// Healings of a partition, by cause: `gap`, `lagged`, `interrupted`, `deaf`, `rolled_back`; `elsewhere` is
    /// one of all partitions.
    pub heals: Family<Reason, Counter>,
    /// Faults of the connections to a Redis store: `connect` (none could be opened), `lost` (one broke, or did not answer in
    /// time), `deaf` (notices did not come, or the connection that hears them broke), `bad_notice`, `replicas` (too few
    /// acknowledged).
    pub store_faults: Family<Reason, Counter>,
    /// Bounds that were hit, by their name in `[limits]` where they have one.
    pub limit_hits: Family<Reason, Counter>,
    /// Refusals of streams and snapshots, by reason: `token`, `forbidden`, `drain`, `overload`, `store`.
    pub refusals: Family<Reason, Counter>,
    stream_ms: AtomicU64,
    stale_stream_ms: AtomicU64,
    uptime_ratio: Gauge<f64, AtomicU64>,
    verified: AtomicU64,
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
            registry: Registry::with_prefix("paystream"),
            events: Family::default(),
            confirmations: Family::default(),
            confirmations_owed: Family::default(),
            confirmations_oldest: Family::default(),
            append_seconds: Histogram::new(LATENCY_BUCKETS),
            receipt_to_write_seconds: Histogram::new(LATENCY_BUCKETS),
            provider_to_write_seconds: Histogram::new(PROVIDER_BUCKETS),
            streams_open: Gauge::default(),
            resumes: Family::default(),
            closes: Family::default(),
            heals: Family::default(),
            store_faults: Family::default(),
            limit_hits: Family::default(),
            refusals: Family::default(),
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
        let to = &mut self.registry;
        to.register("events", "Events by source, outcome and reason", self.events.clone());
        to.register(
            "confirmations",
            "Questions to providers, by source and outcome",
            self.confirmations.clone(),
        );
        to.register(
            "confirmations_owed",
            "Confirmations that are owed, first answers and, for up to about a minute, second ones",
            self.confirmations_owed.clone(),
        );
        to.register_with_unit(
            "confirmations_oldest",
            "How long the oldest confirmation has been owed, or owed since its last answer",
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
        to.register("streams_open", "Streams open now", self.streams_open.clone());
        to.register("stream_resumes", "Streams opened, by how they were resumed", self.resumes.clone());
        to.register("stream_closes", "Streams closed, by reason", self.closes.clone());
        to.register("heals", "Healings of a partition, by cause", self.heals.clone());
        to.register(
            "store_faults",
            "Faults of the connections to the store, by kind",
            self.store_faults.clone(),
        );
        to.register("limit_hits", "Bounds that were hit, by name", self.limit_hits.clone());
        to.register("refusals", "Streams and snapshots refused, by reason", self.refusals.clone());
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
        self.events.get_or_create(&Outcome { source: source.to_owned(), outcome, reason }).inc();
    }

    /// Counts one question to a provider.
    pub fn confirmation(&self, source: &str, outcome: &'static str) {
        self.confirmations.get_or_create(&Confirmation { source: source.to_owned(), outcome }).inc();
    }

    /// Counts one delivery that was verified, or could not be taken though nothing was wrong with it.
    pub fn delivery(&self, deferred: bool) {
        self.verified.fetch_add(1, Ordering::Relaxed);
        self.deferred.fetch_add(u64::from(deferred), Ordering::Relaxed);
    }

    /// Counts time in which streams were open: `streams` of them for `ms` milliseconds, with or without the store.
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
        // Writing to a string fails only where an encoder of ours does; what was written until then still helps.
        if text::encode(&mut out, &self.registry).is_err() {
            out.push_str("# an encoder failed\n");
        }
        out
    }
}

/// Shorthand for families with one reason label.
pub trait CountReason {
    /// Counts one.
    fn count(&self, reason: &'static str);
}

impl CountReason for Family<Reason, Counter> {
    fn count(&self, reason: &'static str) {
        self.get_or_create(&Reason { reason }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::new();
        metrics.event("acme", "rejected", "bad_signature");
        metrics.closes.count("drain");
        metrics.delivery(false);
        metrics.delivery(true);
        metrics.stream_time(10, 1000, true);
        metrics.stream_time(30, 1000, false);
        let text = metrics.render();
        for line in [
            r#"paystream_events_total{source="acme",outcome="rejected",reason="bad_signature"} 1"#,
            r#"paystream_stream_closes_total{reason="drain"} 1"#,
            "paystream_webhook_success_ratio 0.5",
            "paystream_stream_uptime_ratio 0.75",
            "# UNIT paystream_append_seconds seconds",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
