//! Whether the gateway works: its runtime runs tasks, and each thread that drives streams looks at what it is handed.
//!
//! It depends on nothing outside the process: a store or a network that is away is not mended by a restart.

use crate::stream::Streams;
use std::sync::Arc;

/// Feels whether the gateway works. Clones feel the same one.
#[derive(Clone)]
pub struct Pulse(pub(super) Option<Arc<Streams>>);

impl Pulse {
    /// Returns once the runtime has run a new task and all threads that drive streams have answered.
    pub async fn beat(&self) {
        // A task that panics or is cancelled was run, too.
        let _ran = tokio::spawn(async {}).await;
        if let Some(streams) = &self.0 {
            streams.answer().await;
        }
    }
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulse").finish_non_exhaustive()
    }
}
