//! What a watched label points at: the payments that it is bound to, and which of them its watchers follow.
//!
//! There is one of these for each watched id that has no log of its own and whose label is bound, shared by all who ask for that id. The
//! payments are watched like any others; a ring of one of them reaches the askers through a queue of the hub, since it comes under the lock
//! of a topic, and a topic must not be called under the lock of another.

use super::{bell::Ringer, topic::Topic, watchers::Watcher};
use crate::payment::{Bindings, Name};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// A watched label.
pub(super) struct Pointing {
    /// What the payments tell their news.
    watcher: Watcher,
    /// Held while the label's log is read, so that a read that began earlier does not overwrite what a later one brought.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// A std mutex, since nothing is awaited while it is held. It is taken before the locks of topics, and never under one.
    state: Mutex<Pointed>,
}

#[derive(Default)]
struct Pointed {
    bindings: Bindings,
    /// The topics of the payments that the label is bound to.
    payments: BTreeMap<Name, Arc<Topic>>,
    /// Nobody asks any more.
    is_over: bool,
}

/// The askers to whom news of their payments are due. The hub tells them.
#[derive(Default)]
pub(super) struct Due {
    /// Each asker stands here once at most.
    askers: Mutex<Vec<Arc<PaymentBell>>>,
    /// Notified when an asker was added.
    added: Notify,
}

/// Rings for one asker whenever one of its payments has news.
pub(super) struct PaymentBell {
    asker: Weak<Topic>,
    /// The asker stands in the queue.
    is_due: AtomicBool,
    due: Arc<Due>,
    /// Itself, for the queue.
    own: Weak<Self>,
}

impl Pointing {
    /// The label of an asker, without any payment so far.
    pub(super) fn new(asker: &Arc<Topic>, due: &Arc<Due>) -> Self {
        let (asker, due) = (Arc::downgrade(asker), Arc::clone(due));
        let bell = Arc::new_cyclic(|own| PaymentBell {
            asker,
            is_due: AtomicBool::new(false),
            due,
            own: own.clone(),
        });
        Self {
            watcher: Watcher { ringer: bell, key: 0 },
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Locks the state, also after a holder has panicked: every change under this lock is a single step, so the data is whole.
    fn state(&self) -> MutexGuard<'_, Pointed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has to watch the payments of the label.
    pub(super) const fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// The topic of a payment that is watched already.
    pub(super) fn topic(&self, payment: &Name) -> Option<Arc<Topic>> {
        self.state().payments.get(payment).cloned()
    }

    /// Adds a payment that is watched from now on. Returns false if the asker has gone, so that the payment has to be left again.
    pub(super) fn add(&self, topic: Arc<Topic>) -> bool {
        let mut state = self.state();
        if !state.is_over {
            state.payments.insert(topic.subject().id.clone(), topic);
        }
        !state.is_over
    }

    /// Replaces the bindings by those that were read.
    pub(super) fn bind(&self, bindings: Bindings) {
        self.state().bindings = bindings;
    }

    /// Has the asker follow the payment that the label points at now. Returns whether that is another one than before.
    pub(super) fn choose(&self, asker: &Topic) -> bool {
        let state = self.state();
        let phase = |payment: &Name| state.payments.get(payment).and_then(|topic| topic.phase_of_log());
        let chosen = state.bindings.choose(phase).and_then(|payment| state.payments.get(payment)).cloned();
        asker.point_at(chosen)
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }

    /// Ends it, since the asker has gone or the label is not bound any more. Returns the payments, which have to be left.
    pub(super) fn end(&self) -> Vec<Arc<Topic>> {
        let mut state = self.state();
        state.is_over = true;
        std::mem::take(&mut state.payments).into_values().collect()
    }
}

impl Due {
    /// Waits until askers are due, and returns them.
    pub(super) async fn askers(&self) -> Vec<Arc<Topic>> {
        self.added.notified().await;
        let bells = std::mem::take(&mut *self.askers.lock().unwrap_or_else(PoisonError::into_inner));
        // The flag is cleared before the asker is told, so a ring that comes meanwhile is not lost.
        let asker = |bell: Arc<PaymentBell>| {
            bell.is_due.store(false, Ordering::Release);
            bell.asker.upgrade()
        };
        bells.into_iter().filter_map(asker).collect()
    }
}

impl Ringer for PaymentBell {
    fn hears_own_log_alone(&self) -> bool {
        true
    }

    fn ring(&self, _key: u32) {
        if let Some(own) = self.own.upgrade()
            && !self.is_due.swap(true, Ordering::AcqRel)
        {
            self.due.askers.lock().unwrap_or_else(PoisonError::into_inner).push(own);
            self.due.added.notify_one();
        }
    }
}
