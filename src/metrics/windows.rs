//! How much of the time is used for which the providers retry.

use super::labels::SourceLabel;
use prometheus_client::{
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use std::time::Duration;

/// The retry window of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryWindow {
    /// For how long deliveries have failed by our own fault. Zero if they do not.
    pub failing: Duration,
    /// For how long they may fail before events are lost or the endpoint is disabled, if the provider says so.
    pub length: Option<Duration>,
    /// Whether the provider now holds back all later events, because one is refused.
    pub blocks: bool,
}

/// The windows of all sources.
#[derive(Debug, Default)]
pub(super) struct RetryWindows {
    failing: Family<SourceLabel, Gauge>,
    length: Family<SourceLabel, Gauge>,
    blocked: Family<SourceLabel, Gauge>,
}

impl RetryWindows {
    pub(super) fn register(&self, to: &mut Registry) {
        to.register_with_unit(
            "webhooks_failing",
            "For how long webhooks have failed by the gateway's own fault, by source; 0 while they do not",
            Unit::Seconds,
            self.failing.clone(),
        );
        to.register_with_unit(
            "webhooks_retry_window",
            "For how long they may fail before events are lost or the endpoint is disabled; missing if unknown",
            Unit::Seconds,
            self.length.clone(),
        );
        to.register(
            "webhooks_queue_blocked",
            "Whether the provider holds back all later webhooks, because one is refused",
            self.blocked.clone(),
        );
    }

    pub(super) fn show(&self, source: &str, window: RetryWindow) {
        let label = SourceLabel { source: source.to_owned() };
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.failing.get_or_create(&label).set(seconds(window.failing));
        self.blocked.get_or_create(&label).set(i64::from(window.blocks));
        // What is not known must not show as a number.
        match window.length {
            Some(length) => drop(self.length.get_or_create(&label).set(seconds(length))),
            None => drop(self.length.remove(&label)),
        }
    }

    pub(super) fn forget(&self, source: &str) {
        let label = SourceLabel { source: source.to_owned() };
        for family in [&self.failing, &self.length, &self.blocked] {
            family.remove(&label);
        }
    }
}
