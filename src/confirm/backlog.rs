//! What is owed, as metrics and operators are told: also what nobody on this node can claim, since its source was renamed, removed, or
//! lost its `[source.api]`.

use super::Confirmations;
use crate::{metrics::SourceName, source::Source};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// What was told before.
#[derive(Default)]
pub(super) struct Told {
    /// Whose debts were claimed then; another look at the configuration makes other sources of them.
    sources: Vec<Arc<Source>>,
    /// Whose debts were measured.
    measured: BTreeSet<Arc<str>>,
    /// Whose debts nobody claims, so that it is said once.
    unclaimed: HashSet<Arc<str>>,
}

impl Told {
    /// Whether these are the sources of before.
    fn are_same(&self, sources: &[Arc<Source>]) -> bool {
        let pairs = || self.sources.iter().zip(sources);
        self.sources.len() == sources.len() && pairs().all(|(old, new)| Arc::ptr_eq(old, new))
    }
}

impl Confirmations {
    /// Tells the metrics what is owed; and the operator, at the start and after a reload, to which sources it is that do not ask.
    pub(super) async fn tell_backlogs(&self, sources: &[Arc<Source>], told: &mut Told) {
        let Ok(backlogs) = self.store.backlogs().await else { return };
        if !told.are_same(sources) {
            told.sources = sources.to_vec();
            told.unclaimed.clear();
        }
        // What is owed no more is measured too, or it would stand as it was.
        told.measured.extend(sources.iter().map(|source| Arc::from(source.name())));
        told.measured.extend(backlogs.keys().cloned());
        for source in &told.measured {
            let backlog = backlogs.get(source).copied().unwrap_or_default();
            let name = SourceName { source: source.to_string() };
            let count = i64::try_from(backlog.count).unwrap_or(i64::MAX);
            let oldest = i64::try_from(backlog.oldest.as_secs()).unwrap_or(i64::MAX);
            self.metrics.confirmations_owed.get_or_create(&name).set(count);
            self.metrics.confirmations_oldest.get_or_create(&name).set(oldest);
        }
        for (name, backlog) in &backlogs {
            let is_claimed = sources.iter().any(|source| source.name() == &**name);
            if is_claimed || !told.unclaimed.insert(Arc::clone(name)) {
                continue;
            }
            let lacks = match self.sources.get(name) {
                Some(_) => "the source has no [source.api]; give it back",
                None => "no source of this name is configured; give it back its name and [source.api]",
            };
            tracing::warn!(
                source = &**name,
                owed = backlog.count,
                oldest = ?backlog.oldest,
                "confirmations are owed that nobody here asks for: {lacks}"
            );
        }
    }
}
