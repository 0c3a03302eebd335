//! The registry of sources. Each delivery looks its source up by name; a reload replaces all sources at once.

use super::Source;
use crate::payment::Name;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

/// Sources by name.
type ByName = HashMap<Arc<str>, Arc<Source>>;

/// All sources of this process, by name.
#[derive(Debug)]
pub struct Sources {
    /// The map is replaced and never changed, so that a reader holds the lock only while it clones the `Arc`.
    by_name: RwLock<Arc<ByName>>,
}

impl Sources {
    /// Builds a registry of these sources.
    #[must_use]
    pub fn new(sources: Vec<Source>) -> Self {
        Self { by_name: RwLock::new(Arc::new(by_name(sources))) }
    }

    /// Replaces all sources by these. Each keeps the keys that the earlier source of its name has fetched. A delivery in progress
    /// ends with the source that it began with.
    pub fn replace(&self, mut sources: Vec<Source>) {
        let mut known = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for source in &mut sources {
            if let Some(earlier) = known.get(source.name()) {
                source.inherit(earlier);
            }
        }
        *known = Arc::new(by_name(sources));
    }

    /// Returns the source of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Source>> {
        self.current().get(name).map(Arc::clone)
    }

    /// Returns all sources, in the order of their names.
    pub fn all(&self) -> Vec<Arc<Source>> {
        let mut all: Vec<_> = self.current().values().map(Arc::clone).collect();
        all.sort_unstable_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// Returns the sources whose providers are asked for the payments of their events.
    pub fn confirming(&self) -> Vec<Arc<Source>> {
        self.current().values().filter(|source| source.confirms_events()).map(Arc::clone).collect()
    }

    /// Returns the names of the sources of a realm, and of all others.
    pub fn by_realm(&self, realm: &Name) -> (BTreeSet<Arc<str>>, BTreeSet<Arc<str>>) {
        let current = self.current();
        let name = |(name, source): (&Arc<str>, &Arc<Source>)| (Arc::clone(name), source.realm() == realm);
        let (ours, others): (Vec<_>, Vec<_>) = current.iter().map(name).partition(|(_, is_ours)| *is_ours);
        let names = |named: Vec<(Arc<str>, bool)>| named.into_iter().map(|(name, _)| name).collect();
        (names(ours), names(others))
    }

    fn current(&self) -> Arc<ByName> {
        Arc::clone(&self.by_name.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn by_name(mut sources: Vec<Source>) -> ByName {
    let examiners: Arc<[_]> = sources.iter().map(|source| Arc::clone(&source.examiner)).collect();
    sources.iter_mut().for_each(|source| source.beside = Arc::clone(&examiners));
    sources.into_iter().map(|source| (source.name().into(), Arc::new(source))).collect()
}
