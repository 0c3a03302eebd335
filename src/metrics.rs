//! The metrics that operators see: one registry, one struct with all metrics, and their text for Prometheus.
//!
//! No label holds a payment, a token or anything else that a client chooses: the names of sources come from the configuration, and all
//! other label values from closed sets in the code (`labels`).

mod buckets;
mod counts;
mod folder;
mod labels;
#[cfg(target_os = "linux")]
mod process;
mod servers;
mod windows;

pub use counts::Counts;
pub use folder::{DiskSpace, JournalUse};
pub use labels::{
    AdminRefusal, CertificateLabel, CloseReason, ConfirmationLabels, ConfirmationOutcome, EventLabels,
    HandshakeOutcome, HealCause, LabelOutcome, ListenerLabel, PartOutcome, ReasonLabel, RefusalReason,
    ReloadCause, ReloadLabels, ReloadOutcome, ResumeKind, ServerLabel, SourceLabel, StoreFault,
};
pub use servers::Servers;
pub use windows::RetryWindow;

use crate::limits::LimitHit;
use buckets::LATENCY_BUCKETS;
use folder::FolderCollector;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use std::sync::{Arc, atomic::AtomicU64};
use strum::VariantArray as _;
use windows::RetryWindows;

/// Upper bounds of the buckets for the time from a provider's event to its webhook, in seconds: from 50 ms to a day.
const PROVIDER_BUCKETS: [f64; 12] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0];

/// All metrics of one process. A field is named after what it counts; its documentation says which labels and which unit it has.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Events by source, outcome and reason.
    pub events: Family<EventLabels, Counter>,
    /// Deliveries of each source that say how well the gateway works: those that it verified, and those that it failed to take.
    pub webhooks: Family<SourceLabel, Counter>,
    /// Those of them that failed by our own fault.
    pub webhooks_failed: Family<SourceLabel, Counter>,
    /// How much of the time is used for which the providers retry, by source.
    windows: RetryWindows,
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
    /// Beginnings of connections to listeners with TLS, by how they went.
    pub tls_handshakes: Counts<HandshakeOutcome>,
    /// When each certificate expires, in seconds since 1970.
    certificate_not_after: Family<CertificateLabel, Gauge>,
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
    /// Parts of payments that events name and that were not known, and events that name a part alone, by what became of them.
    pub parts: Counts<PartOutcome>,
    /// Parts for which events wait, in the whole store, so all of its nodes report the same number.
    pub parts_waiting: Gauge,
    /// For how long the oldest of them has been waiting, in seconds.
    pub parts_waiting_oldest: Gauge,
    /// Refusals of streams and snapshots, by reason.
    pub refusals: Counts<RefusalReason>,
    /// Requests that the admin listener refused, by reason.
    pub admin_refusals: Counts<AdminRefusal>,
    /// Reloads of the configuration, by what asked for them and how they ended.
    pub reloads: Family<ReloadLabels, Counter>,
    /// Whether the last reload put a new configuration in use (1), or was refused (0). 1 before the first one.
    pub last_reload_successful: Gauge,
    /// Whether the store does now what this node needs of it (1) or not (0): it takes appends as durably as configured or, on a node
    /// without webhooks, answers.
    pub store_ready: Gauge,
    /// Events that providers were asked for, by source and outcome.
    backfilled: Family<ConfirmationLabels, Counter>,
    /// How each Redis server does that the store uses as a primary.
    pub store_servers: Servers,
    /// How full the data folder of the embedded store is.
    folder: Arc<FolderCollector>,
    /// The time that streams were open, summed over all streams, in seconds.
    stream_seconds: Counter<f64, AtomicU64>,
    /// The part of it in which the store was lost.
    stale_stream_seconds: Counter<f64, AtomicU64>,
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
            webhooks: Family::default(),
            webhooks_failed: Family::default(),
            windows: RetryWindows::default(),
            confirmations: Family::default(),
            confirmations_owed: Family::default(),
            confirmations_oldest: Family::default(),
            append_seconds: Histogram::new(LATENCY_BUCKETS),
            receipt_to_write_seconds: Histogram::new(LATENCY_BUCKETS),
            provider_to_write_seconds: Histogram::new(PROVIDER_BUCKETS),
            connections_open: Family::default(),
            connections_silent: Family::default(),
            tls_handshakes: Counts::default(),
            certificate_not_after: Family::default(),
            streams_open: Gauge::default(),
            long_polls_open: Gauge::default(),
            resumes: Counts::default(),
            closes: Counts::default(),
            heals: Counts::default(),
            store_faults: Counts::default(),
            limit_hits: Counts::default(),
            erasures: Counter::default(),
            labels: Counts::default(),
            parts: Counts::default(),
            parts_waiting: Gauge::default(),
            parts_waiting_oldest: Gauge::default(),
            refusals: Counts::default(),
            admin_refusals: Counts::default(),
            reloads: Family::default(),
            last_reload_successful: Gauge::default(),
            store_ready: Gauge::default(),
            backfilled: Family::default(),
            store_servers: Servers::default(),
            folder: Arc::default(),
            stream_seconds: Counter::default(),
            stale_stream_seconds: Counter::default(),
        };
        metrics.last_reload_successful.set(1);
        metrics.store_ready.set(1);
        // Every series that can be known beforehand begins at 0: otherwise no rate shows its first event.
        for cause in ReloadCause::VARIANTS {
            for outcome in ReloadOutcome::VARIANTS {
                let _at_zero = metrics.reloads.get_or_create(&ReloadLabels::new(*cause, *outcome));
            }
        }
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
            "webhooks",
            "Deliveries that were verified, or that the gateway failed to take, by source",
            self.webhooks.clone(),
        );
        to.register(
            "webhooks_failed",
            "Those of them that failed by the gateway's own fault, so that the provider sends them again, by source",
            self.webhooks_failed.clone(),
        );
        self.windows.register(to);
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
        to.register(
            "tls_handshakes",
            "Connections to listeners with TLS, by how they began",
            self.tls_handshakes.family(),
        );
        to.register_with_unit(
            "tls_certificate_not_after",
            "When each certificate expires, since 1970",
            Unit::Seconds,
            self.certificate_not_after.clone(),
        );
        to.register("streams_open", "Streams open now", self.streams_open.clone());
        to.register("long_polls_open", "Long polls that wait now", self.long_polls_open.clone());
        to.register("stream_resumes", "Streams opened, by how they were resumed", self.resumes.family());
        to.register("stream_closes", "Streams closed, by reason", self.closes.family());
        to.register("heals", "Heals of a partition, by cause", self.heals.family());
        to.register(
            "store_faults",
            "Faults of the connections to the store, by kind",
            self.store_faults.family(),
        );
        to.register("limit_hits", "Hits of limits, by name", self.limit_hits.family());
        to.register("refusals", "Streams and snapshots refused, by reason", self.refusals.family());
        to.register(
            "labels",
            "Labels that events name and that were not known, by what became of them",
            self.labels.family(),
        );
        to.register(
            "parts",
            "Parts that events name and that were not known, and events that name a part alone, by what became of them",
            self.parts.family(),
        );
        to.register("parts_waiting", "Parts for which events wait", self.parts_waiting.clone());
        to.register_with_unit(
            "parts_waiting_oldest",
            "For how long the oldest part has been waiting for its payment",
            Unit::Seconds,
            self.parts_waiting_oldest.clone(),
        );
        to.register("erasures", "Payments erased by an operator", self.erasures.clone());
        to.register(
            "admin_refusals",
            "Requests that the admin listener refused, by reason",
            self.admin_refusals.family(),
        );
        to.register(
            "reloads",
            "Reloads of the configuration, by what asked for them and how they ended",
            self.reloads.clone(),
        );
        to.register(
            "config_last_reload_successful",
            "Whether the last reload of the configuration was successful",
            self.last_reload_successful.clone(),
        );
        to.register(
            "store_ready",
            "Whether the store does now what this node needs of it, as durably as configured",
            self.store_ready.clone(),
        );
        to.register(
            "backfilled_events",
            "Events that a provider was asked for, by source and outcome",
            self.backfilled.clone(),
        );
        self.store_servers.register(to);
        to.register_collector(Box::new(Arc::clone(&self.folder)));
        to.register_with_unit(
            "stream",
            "Time that streams were open, summed over all streams",
            Unit::Seconds,
            self.stream_seconds.clone(),
        );
        to.register_with_unit(
            "stream_stale",
            "The part of it in which the store was not there to feed them",
            Unit::Seconds,
            self.stale_stream_seconds.clone(),
        );
        self
    }

    /// Counts one event's outcome.
    pub fn event(&self, source: &str, outcome: &'static str, reason: &'static str) {
        self.events.get_or_create(&EventLabels { source: source.to_owned(), outcome, reason }).inc();
    }

    /// Shows a configured source, before its first event; `asks` says whether its provider can be asked for payments.
    pub fn source(&self, source: &str, asks: bool) {
        let label = SourceLabel { source: source.to_owned() };
        let _at_zero = (self.webhooks.get_or_create(&label), self.webhooks_failed.get_or_create(&label));
        for outcome in ConfirmationOutcome::VARIANTS.iter().filter(|_| asks) {
            let labels = ConfirmationLabels { source: source.to_owned(), outcome: outcome.word() };
            let _at_zero = self.confirmations.get_or_create(&labels);
        }
    }

    /// Counts an event that a provider was asked for, by source and outcome.
    pub fn backfilled(&self, source: &str, outcome: &'static str) {
        let labels = ConfirmationLabels { source: source.to_owned(), outcome };
        self.backfilled.get_or_create(&labels).inc();
    }

    /// Counts a fault of the connections to a Redis server, given by host and port.
    pub fn store_fault(&self, server: &str, fault: StoreFault) {
        self.store_faults.count(fault);
        self.store_servers.fault(server, fault);
    }

    /// Shows how much of a source's retry window is used.
    pub fn retry_window(&self, source: &str, window: RetryWindow) {
        self.windows.show(source, window);
    }

    /// Shows the retry window of a source no more.
    pub fn forget_retry_window(&self, source: &str) {
        self.windows.forget(source);
    }

    /// Shows when certificates expire, by name in seconds since 1970, and no others than these. Of several with one name, the first to
    /// expire counts.
    pub fn certificates(&self, certificates: &[(&str, u64)]) {
        self.certificate_not_after.clear();
        let mut latest_first = certificates.to_vec();
        latest_first.sort_by_key(|(_, not_after)| std::cmp::Reverse(*not_after));
        for (name, not_after) in latest_first {
            let label = CertificateLabel { certificate: name.to_owned() };
            self.certificate_not_after
                .get_or_create(&label)
                .set(i64::try_from(not_after).unwrap_or(i64::MAX));
        }
    }

    /// Counts one reload.
    pub fn reload(&self, cause: ReloadCause, outcome: ReloadOutcome) {
        self.reloads.get_or_create(&ReloadLabels::new(cause, outcome)).inc();
        self.last_reload_successful.set(i64::from(outcome == ReloadOutcome::Done));
    }

    /// Shows how full the filesystem of the data folder is.
    pub fn disk(&self, space: DiskSpace) {
        self.folder.set_space(space);
    }

    /// Shows how far the tree of the embedded store is behind its journal.
    pub fn journal(&self, journal: JournalUse) {
        self.folder.set_journal(journal);
    }

    /// Counts one question to a provider.
    pub fn confirmation(&self, source: &str, outcome: ConfirmationOutcome) {
        let (source, outcome) = (source.to_owned(), outcome.into());
        self.confirmations.get_or_create(&ConfirmationLabels { source, outcome }).inc();
    }

    /// Counts one delivery that was verified, or that the gateway failed to take; `failed` if it failed by our own fault.
    pub fn webhook(&self, source: &str, failed: bool) {
        let label = SourceLabel { source: source.to_owned() };
        self.webhooks.get_or_create(&label).inc();
        if failed {
            self.webhooks_failed.get_or_create(&label).inc();
        }
    }

    /// Counts the time of open streams, in seconds, summed over all streams; `stale` is the share of them, up to 1, for
    /// which the store was lost meanwhile.
    pub fn stream_time(&self, seconds: f64, stale: f64) {
        self.stream_seconds.inc_by(seconds);
        if stale > 0.0 {
            self.stale_stream_seconds.inc_by(seconds * stale);
        }
    }

    /// The text that Prometheus scrapes (OpenMetrics 1.0).
    #[must_use]
    pub fn render(&self) -> String {
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

#[cfg(test)]
mod tests;
