//! The shelf: which topics keep a history for readers who come right after one another. It bounds what all of them take together, since
//! all streams of a node may come back within a second, and a log may have hundreds of entries.

use super::{history::History, topic::Topic};
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

/// How many entries all histories on the shelf may have. One takes some 1.6 kB, so these take 26 MB; a shop's payment has four or five, so
/// these are some 3,000 payments.
const ENTRIES: usize = 16_384;

/// The histories that topics keep, the oldest first.
#[derive(Default)]
pub(super) struct Shelf {
    kept: VecDeque<(Weak<Topic>, Weak<History>)>,
    /// What they count for.
    entries: usize,
}

impl Shelf {
    /// Notes that a topic keeps this history, and returns those that have to make room for it.
    pub(super) fn keep(
        &mut self,
        topic: &Arc<Topic>,
        history: &Arc<History>,
    ) -> Vec<(Arc<Topic>, Arc<History>)> {
        self.kept.push_back((Arc::downgrade(topic), Arc::downgrade(history)));
        self.entries += weight(history);
        let mut removed = Vec::new();
        while self.entries > ENTRIES && self.kept.len() > 1 {
            let Some((topic, history)) = self.kept.pop_front() else { break };
            match history.upgrade() {
                Some(history) => {
                    self.entries -= weight(&history);
                    removed.extend(topic.upgrade().map(|topic| (topic, history)));
                }
                // It was dropped since the last look.
                None => self.look(),
            }
        }
        removed
    }

    /// Forgets the histories that their topics have dropped.
    pub(super) fn look(&mut self) {
        self.kept.retain(|(_, history)| history.strong_count() > 0);
        let alive = self.kept.iter().filter_map(|(_, history)| history.upgrade());
        self.entries = alive.map(|history| weight(&history)).sum();
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }
}

#[cfg(test)]
impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

/// What a history counts for; an empty one counts too.
fn weight(history: &History) -> usize {
    history.entries().len() + 1
}
