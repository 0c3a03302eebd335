//! The streams of this node: what they share, and what runs beside them.

use super::{census::Census, moment::Moment, settings::Settings};
use crate::{clock, hub::Hub, limits::Limits, live::Live, metrics::Metrics, shutdown::Shutdown};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};

/// How long a request waits for the store before it is refused.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// All streams of this node. [`Streams::open`] begins one, [`Streams::snapshot`] answers those who cannot stream.
pub struct Streams {
    pub(super) hub: Arc<Hub>,
    pub(super) settings: Live<Settings>,
    pub(super) limits: Live<Limits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shutdown: Shutdown,
    pub(super) census: Arc<Census>,
}

impl Streams {
    /// A node without streams. [`Streams::run`] has to run beside them.
    #[must_use]
    pub fn new(
        hub: Arc<Hub>,
        settings: Live<Settings>,
        limits: Live<Limits>,
        metrics: Arc<Metrics>,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let census = Census::new(Arc::clone(&metrics));
        Arc::new(Self { hub, settings, limits, metrics, shutdown, census })
    }

    /// Measures the time that streams are open, and wakes them when a drain begins. Ends when everything stops.
    pub async fn run(&self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut drains = false;
        loop {
            tokio::select! {
                () = self.shutdown.stopped() => return,
                () = self.shutdown.draining(), if !drains => {
                    drains = true;
                    self.census.begin_drain();
                    self.hub.ring_all();
                }
                _ = tick.tick() => {
                    self.metrics.stream_time(self.census.open() as u64, 1000, self.hub.is_stale());
                }
            }
        }
    }

    /// Wakes every stream, so that it looks at its grant and at the settings again.
    pub fn review(&self) {
        self.hub.ring_all();
    }

    /// Returns once no stream is open.
    pub async fn drained(&self) {
        self.census.emptied().await;
    }

    /// What streams decide by now.
    pub(super) fn moment(&self) -> Moment<'_> {
        let limits = self.limits.get();
        // As long as it takes to accept all clients that would come back, and a second at least.
        let all_ms = self.census.returning().saturating_mul(1000) / limits.accepts_per_second.max(1);
        Moment {
            now: Instant::now().into_std(),
            wall: clock::now(),
            settings: self.settings.get(),
            stall: limits.stall,
            retry_ms: u64::try_from(all_ms).unwrap_or(u64::MAX).clamp(1000, u64::MAX / 2),
            is_stale: self.hub.is_stale(),
            is_draining: self.shutdown.is_draining(),
            metrics: &self.metrics,
        }
    }
}
