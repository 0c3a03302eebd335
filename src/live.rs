//! Settings that can change while the process runs: one value that all its users share.
//!
//! A user reads the value at the moment of use, so a reload takes effect from the next read. Decisions by an older value stand.

use std::sync::{Arc, PoisonError, RwLock};

/// A handle to the current settings. Clones share the same settings.
///
/// It holds a std lock and not a watch channel, because a read is a short copy and nobody waits for a change.
#[derive(Clone, Debug, Default)]
pub struct Live<T>(Arc<RwLock<T>>);

impl<T: Copy> Live<T> {
    /// A handle to new settings.
    #[must_use]
    pub fn new(settings: T) -> Self {
        Self(Arc::new(RwLock::new(settings)))
    }

    /// A copy of the current settings. Use one copy wherever several of its values have to fit together.
    #[must_use]
    pub fn get(&self) -> T {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the settings for all handles.
    pub fn set(&self, settings: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}
