//! The registry of sources: looked up by name for each delivery, replaced as a whole on reload.

use super::Source;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

type ByName = HashMap<Arc<str>, Arc<Source>>;

/// All sources of this process.
#[derive(Debug)]
pub struct Sources {
    /// The map is replaced and never changed, so that whoever reads it holds the lock for one clone of the `Arc`.
    by_name: RwLock<Arc<ByName>>,
}

impl Sources {
    /// A registry of these sources.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        Self { by_name: RwLock::new(Arc::new(by_name(sources))) }
    }

    /// Takes these sources in place of all that there are; each goes on with the keys that the source of its name has fetched.
    /// Deliveries in work end with the source that they began with.
    pub fn replace(&self, mut sources: Vec<Source>) {
        let mut known = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for source in &mut sources {
            if let Some(earlier) = known.get(source.name()) {
                source.inherit(earlier);
            }
        }
        *known = Arc::new(by_name(sources));
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Source>> {
        self.current().get(name).map(Arc::clone)
    }

    /// The sources whose providers can be asked.
    pub fn confirming(&self) -> Vec<Arc<Source>> {
        self.current().values().filter(|source| source.api().is_some()).map(Arc::clone).collect()
    }

    fn current(&self) -> Arc<ByName> {
        Arc::clone(&self.by_name.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn by_name(sources: Vec<Source>) -> ByName {
    sources.into_iter().map(|source| (source.name().into(), Arc::new(source))).collect()
}
