//! What all streams of a node share, whichever sink drives them.

use super::{census::Census, moment::Moment, settings::Settings};
use crate::{clock, hub::Hub, limits::Limits, live::Live, metrics::Metrics, shutdown::Shutdown};
use std::sync::Arc;
use tokio::time::Instant;

/// The surroundings of a node's streams: the hub that feeds them, and what they decide by.
pub(super) struct Node {
    pub(super) hub: Arc<Hub>,
    pub(super) settings: Live<Settings>,
    pub(super) limits: Live<Limits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shutdown: Shutdown,
    pub(super) census: Arc<Census>,
    /// When this was made.
    pub(super) start: Instant,
}

impl Node {
    /// What streams decide by now.
    pub(super) fn moment(&self) -> Moment<'_> {
        let limits = self.limits.get();
        // As long as it takes to accept all clients that would come back, and a second at least.
        let all_ms = self.census.returning().saturating_mul(1000) / limits.accepts_per_second.max(1);
        Moment {
            now: Instant::now().into_std(),
            start: self.start.into_std(),
            wall: clock::now(),
            settings: self.settings.get(),
            stall: limits.stall,
            retry_ms: u64::try_from(all_ms).unwrap_or(u64::MAX).clamp(1000, u64::MAX / 2),
            stale: self.hub.stale(),
            is_draining: self.shutdown.is_draining(),
            metrics: &self.metrics,
        }
    }
}
