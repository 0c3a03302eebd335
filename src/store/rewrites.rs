//! What an erasure takes with the log of a label or a part although it concerns other payments, until it is written again.

use super::{Append, Erased, Erasure, Store, StoreError};
use crate::payment::{Event, Subject};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Mutex;

/// Events that are to be written again. If the store fails between, they are kept in memory, and written with the next erasure or whatever
/// is bound next.
pub(super) struct Rewrites {
    store: Arc<dyn Store>,
    /// By log. Held from before a log is erased until its events are written again.
    unfinished: Mutex<BTreeMap<Subject, Vec<Event>>>,
    /// Whether there are any.
    is_unfinished: AtomicBool,
}

impl Rewrites {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, unfinished: Mutex::default(), is_unfinished: AtomicBool::new(false) }
    }

    /// Erases a log, and writes these of its events again. `forget` is told of each log that was written again.
    pub(super) async fn erase_all_but(
        &self,
        kept: Vec<Event>,
        erasure: Erasure,
        forget: impl Fn(&Subject),
    ) -> Result<Erased, StoreError> {
        // Held until they are written again: if somebody wrote them before the log is erased, they would count as written.
        let mut unfinished = self.unfinished.lock().await;
        forget(&erasure.subject);
        unfinished.insert(erasure.subject.clone(), kept);
        self.is_unfinished.store(true, Ordering::Relaxed);
        let erased = self.store.erase(erasure).await?;
        self.write_again(&mut unfinished, forget).await?;
        Ok(erased)
    }

    /// Writes what is left of earlier erasures.
    pub(super) async fn finish(&self, forget: impl Fn(&Subject)) -> Result<(), StoreError> {
        self.write_again(&mut *self.unfinished.lock().await, forget).await
    }

    /// The same, for those whose work must go on if it fails. An erasure that is under way writes its events itself.
    pub(super) async fn finish_in_passing(&self, forget: impl Fn(&Subject)) {
        if self.is_unfinished.load(Ordering::Relaxed)
            && let Ok(mut unfinished) = self.unfinished.try_lock()
            && let Err(error) = self.write_again(&mut unfinished, forget).await
        {
            tracing::warn!(%error, "bindings that an erasure took from other payments are not written again yet");
        }
    }

    /// An event that is there already is a duplicate.
    async fn write_again(
        &self,
        unfinished: &mut BTreeMap<Subject, Vec<Event>>,
        forget: impl Fn(&Subject),
    ) -> Result<(), StoreError> {
        while let Some(mut entry) = unfinished.first_entry() {
            while let Some(event) = entry.get().first() {
                self.store.append(Append { event: event.clone(), shared_ids: true }).await?;
                entry.get_mut().remove(0);
            }
            let (log, _) = entry.remove_entry();
            forget(&log);
        }
        self.is_unfinished.store(false, Ordering::Relaxed);
        Ok(())
    }
}
