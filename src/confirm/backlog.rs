//! The backlog of pending confirmations, as metrics and operators see it. It covers all sources of the store, also those for which no
//! node asks any more because they were renamed, removed, or lost their `[source.api]`.

use crate::{
    metrics::{Metrics, SourceLabel},
    source::{Source, Sources},
    store::{Backlog, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

/// Reports the backlogs to metrics and log, and remembers what it reported.
#[derive(Default)]
pub(super) struct BacklogReport {
    /// The sources that asked at the last report. After a reload they are other objects, which is how a reload is noticed.
    sources: Vec<Arc<Source>>,
    /// The names of all sources whose gauges were set so far.
    measured: BTreeSet<Arc<str>>,
    /// The names of the sources for which nobody asks and that were logged since the last reload.
    warned: HashSet<Arc<str>>,
}

impl BacklogReport {
    /// Measures all backlogs of `store`, and warns, at the start and after a reload, of those for which nobody asks. `asking` are the
    /// sources whose providers can be asked, `all` are all configured ones. If the store does not answer, nothing changes.
    pub(super) async fn update(
        &mut self,
        asking: &[Arc<Source>],
        all: &Sources,
        store: &dyn Store,
        metrics: &Metrics,
    ) {
        let Ok(backlogs) = store.backlogs().await else { return };
        if !self.are_same(asking) {
            self.sources = asking.to_vec();
            self.warned.clear();
        }
        self.measure(&backlogs, metrics);
        let names = asking.iter().map(|source| source.name()).collect::<HashSet<_>>();
        for (name, backlog) in backlogs.iter().filter(|(name, _)| !names.contains(&***name)) {
            if self.warned.insert(Arc::clone(name)) {
                warn(name, *backlog, all.get(name).is_some());
            }
        }
    }

    /// Whether these are the sources of the last report.
    fn are_same(&self, sources: &[Arc<Source>]) -> bool {
        let pairs = || self.sources.iter().zip(sources);
        self.sources.len() == sources.len() && pairs().all(|(old, new)| Arc::ptr_eq(old, new))
    }

    fn measure(&mut self, backlogs: &BTreeMap<Arc<str>, Backlog>, metrics: &Metrics) {
        // Also report sources whose backlog is now empty; otherwise their gauges keep the old value.
        self.measured.extend(self.sources.iter().map(|source| Arc::from(source.name())));
        self.measured.extend(backlogs.keys().cloned());
        for source in &self.measured {
            let backlog = backlogs.get(source).copied().unwrap_or_default();
            let name = SourceLabel { source: source.to_string() };
            let count = i64::try_from(backlog.count).unwrap_or(i64::MAX);
            let oldest = i64::try_from(backlog.oldest.as_secs()).unwrap_or(i64::MAX);
            metrics.confirmations_owed.get_or_create(&name).set(count);
            metrics.confirmations_oldest.get_or_create(&name).set(oldest);
        }
    }
}

fn warn(source: &str, backlog: Backlog, is_configured: bool) {
    let remedy = if is_configured {
        "the source has no [source.api], or a preset that asks on demand alone; restore it"
    } else {
        "no source of this name is configured; restore it with its [source.api]"
    };
    tracing::warn!(
        source,
        pending = backlog.count,
        oldest_s = backlog.oldest.as_secs(),
        "confirmations are pending for which this node does not ask: {remedy}"
    );
}
