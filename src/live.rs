//! Settings that may change while the process runs: one value, shared by all who go by it.
//!
//! Whoever holds a [`Live`] reads it at the moment of use, so that a reload counts from the next look on. What was decided
//! by an older value is not decided anew.

use std::sync::{Arc, PoisonError, RwLock};

/// A handle on the current settings. Clones are handles on the same ones.
#[derive(Clone, Debug, Default)]
pub struct Live<T>(Arc<RwLock<T>>);

impl<T: Copy> Live<T> {
    /// Begins with `settings`.
    #[must_use]
    pub fn new(settings: T) -> Self {
        Self(Arc::new(RwLock::new(settings)))
    }

    /// A copy of the settings as they are now. Held for as long as several of them have to fit together.
    #[must_use]
    pub fn get(&self) -> T {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the settings for all holders.
    pub fn set(&self, settings: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
}
