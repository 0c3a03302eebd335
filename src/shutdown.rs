//! The two steps of an end: drain (no longer ready, streams are told to go), then stop (whatever is left is cut).

use tokio_util::sync::CancellationToken;

/// Shared by everything that has to end. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Shutdown {
    /// Starts the drain. Idempotent.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Cuts what is left; implies the drain. Idempotent.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// Whether the drain has started.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Returns once the drain has started.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Returns once everything has to end.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}
