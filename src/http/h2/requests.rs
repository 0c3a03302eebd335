//! The tasks in which the requests of one connection run.

use super::{progress::Progress, stalls::Stalls};
use crate::{limits::LimitHit, metrics::Metrics, shutdown::Shutdown};
use hyper::rt::Executor;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

tokio::task_local! {
    /// The progress of the response to the request whose task this is.
    static PROGRESS: Progress;
}

/// The progress of the response to the request whose task calls this: one that [`Requests`] runs.
pub(super) fn progress() -> Progress {
    PROGRESS.get()
}

/// Runs the requests of one connection, each of which hyper spawns as a task. It knows whether any is running, and resets
/// those whose responses stall.
#[derive(Clone)]
pub(super) struct Requests {
    pub(super) tasks: TaskTracker,
    shutdown: Shutdown,
    /// How long a response may wait.
    stall: Duration,
    pub(super) stalls: Arc<Stalls>,
    metrics: Arc<Metrics>,
}

impl Requests {
    /// Of a new connection, the responses of which may wait for `stall`.
    pub(super) fn new(stall: Duration, shutdown: Shutdown, metrics: Arc<Metrics>) -> Self {
        Self { tasks: TaskTracker::new(), shutdown, stall, stalls: Arc::default(), metrics }
    }

    /// Returns when no request was running at the start and at the end of one whole `timeout`. It replaces a timeout for
    /// request heads, which hyper has for HTTP/1 only.
    pub(super) async fn idle(&self, timeout: Duration) {
        let mut ticks = interval(timeout);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_idle = false;
        loop {
            ticks.tick().await;
            let is_idle = self.tasks.is_empty();
            if was_idle && is_idle {
                return;
            }
            was_idle = is_idle;
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Requests {
    fn execute(&self, request: F) {
        let Self { shutdown, stalls, metrics, .. } = self.clone();
        let progress = Progress::new(self.stall, Arc::clone(&stalls));
        let request = PROGRESS.scope(progress.clone(), request);
        self.tasks.spawn(async move {
            tokio::select! {
                // The request is polled first, because only then is it known whether bytes of its response wait.
                biased;
                () = request => {}
                () = progress.stalled() => {
                    metrics.limit_hits.count(LimitHit::Stall);
                    stalls.count();
                }
                () = shutdown.stopped() => {}
            }
        });
    }
}
