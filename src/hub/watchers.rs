//! The watchers of one topic.

use super::bell::Ringer;
use std::sync::Arc;

/// Who is woken. Most topics have one watcher, which needs no memory of its own.
#[derive(Default)]
pub(super) enum Watchers {
    #[default]
    None,
    One(Watcher),
    Several(Box<Several>),
}

/// The watchers of a topic that has several. Boxed, so that a topic with one is no larger for it.
pub(super) struct Several(Vec<Watcher>);

/// Who is woken when a topic has news.
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) ringer: Arc<dyn Ringer>,
    /// What the ringer is told.
    pub(super) key: u32,
}

impl Watcher {
    pub(super) fn is_of(&self, ringer: &Arc<dyn Ringer>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.ringer), Arc::as_ptr(ringer))
    }
}

impl Watchers {
    pub(super) fn as_slice(&self) -> &[Watcher] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => &several.0,
        }
    }

    pub(super) fn add(&mut self, watcher: Watcher) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(watcher),
            Self::One(one) => Self::Several(Box::new(Several(vec![one, watcher]))),
            Self::Several(mut several) => {
                several.0.push(watcher);
                Self::Several(several)
            }
        }
    }

    pub(super) fn remove(&mut self, watcher: &Watcher) {
        let is_it = |known: &Watcher| known.key == watcher.key && known.is_of(&watcher.ringer);
        match self {
            Self::One(one) if is_it(one) => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Several(several) => {
                if let Some(place) = several.0.iter().position(is_it) {
                    several.0.swap_remove(place);
                }
                if several.0.len() == 1
                    && let Some(one) = several.0.pop()
                {
                    *self = Self::One(one);
                }
            }
        }
    }
}
