//! The streams of this node, and what runs beside them.

use super::{census::Census, node::Node, reactor::Reactors, residents::Residents, settings::Settings};
use crate::{
    hub::Hub, limits::Limits, live::Live, metrics::Metrics, payment::PARTITIONS, shutdown::Shutdown,
};
use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};

/// How long a request waits for the store before it is refused.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// All streams of this node. [`Streams::open`] begins one, [`Streams::snapshot`] answers those who cannot stream.
pub struct Streams {
    pub(super) node: Arc<Node>,
    /// Where streams go whose sockets leave HTTP. Until it is set, all stay.
    pub(super) reactors: OnceLock<Arc<Reactors>>,
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
        let (residents, start) = (Residents::default(), Instant::now());
        let node = Arc::new(Node { hub, settings, limits, metrics, shutdown, census, residents, start });
        Arc::new(Self { node, reactors: OnceLock::new() })
    }

    /// Starts the threads that drive the sockets of streams which leave HTTP: one for each core. They read logs on the runtime
    /// from which this is called. Fails if the system has no threads or descriptors for them.
    pub fn start_reactors(&self) -> io::Result<()> {
        let reactors = Reactors::start(&self.node)?;
        // A second call changes nothing: the threads that it started end with their handle.
        let _ = self.reactors.set(Arc::new(reactors));
        Ok(())
    }

    /// Measures the time that streams are open, and wakes them when a drain begins. Ends when everything stops, or too early if a
    /// thread that drives sockets fails; the streams that left HTTP are then cut.
    pub async fn run(&self) {
        let reactors = self.reactors.get();
        let _ends_with_us = reactors.map(|reactors| reactors.stop_guard());
        let reactor_ended = async {
            match reactors {
                Some(reactors) => reactors.ended().await,
                None => std::future::pending().await,
            }
        };
        let mut reactor_ended = std::pin::pin!(reactor_ended);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut measured = Instant::now();
        let mut drains = false;
        let Node { hub, metrics, shutdown, census, .. } = &*self.node;
        loop {
            tokio::select! {
                () = shutdown.stopped() => return,
                () = &mut reactor_ended => {
                    tracing::error!("a thread that drives streams has ended");
                    return;
                }
                () = shutdown.draining(), if !drains => {
                    drains = true;
                    census.begin_drain();
                    hub.ring_all();
                }
                _ = tick.tick() => {
                    let now = Instant::now();
                    let seconds = (now - measured).as_secs_f64();
                    measured = now;
                    #[expect(clippy::cast_precision_loss, reason = "streams are counted in 53 bits")]
                    let (open, stale) = (census.open() as f64, hub.stale().len() as f64);
                    // Payments are spread evenly over the partitions, and so are streams.
                    metrics.stream_time(open * seconds, stale / PARTITIONS as f64);
                }
            }
        }
    }

    /// Whether the store keeps an index of all payments.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.node.hub.has_index()
    }

    /// Wakes every stream, so that it looks at its grant and at the settings again.
    pub fn review(&self) {
        self.node.hub.ring_all();
    }

    /// Returns once all threads that drive streams have looked at what they were handed, which takes a moment while they work.
    pub async fn answer(&self) {
        if let Some(reactors) = self.reactors.get() {
            reactors.answer().await;
        }
    }

    /// Returns once no stream is open.
    pub async fn drained(&self) {
        self.node.census.emptied().await;
    }
}
