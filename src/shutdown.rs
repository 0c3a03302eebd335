//! The two steps of a shutdown: drain (the node is not ready and closes its streams gradually), then stop (what is left is cut off).

use tokio_util::sync::CancellationToken;

/// The signal that everything which has to end waits for. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled when the drain starts.
    drain: CancellationToken,
    /// Cancelled when everything has to end.
    stop: CancellationToken,
}

impl Shutdown {
    /// Starts the drain. Further calls change nothing.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends everything; starts the drain too, if it has not started. Further calls change nothing.
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
