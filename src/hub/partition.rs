//! Continuity of one partition: which notice is the next one, and which means that something was missed.

use super::topic::Topic;
use crate::{
    payment::Subject,
    store::{Head, Notice},
};
use std::{collections::HashMap, sync::Arc};

/// What this node knows of one partition.
#[derive(Default)]
pub(super) struct Partition {
    /// The last feed entry that was heard, or read in a heal.
    last: Head,
    /// The watched logs.
    topics: HashMap<Subject, Arc<Topic>>,
    /// A heal is under way; notices need not be applied meanwhile, since it reads on until it has met the head.
    pub(super) healing: bool,
    /// Something was heard during the heal, so it reads once more.
    pub(super) heard_while_healing: bool,
}

/// What a notice is to its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// The one after the last: apply it.
    Next,
    /// Known already.
    Old,
    /// Something before it was missed, or the feed is not the one we knew.
    Hole,
}

impl Partition {
    pub(super) fn hear(&mut self, notice: &Notice) -> Heard {
        if self.healing {
            self.heard_while_healing = true;
            return Heard::Old;
        }
        if notice.pos == self.last.pos + 1 && notice.previous == self.last.tag {
            self.last = Head { pos: notice.pos, tag: notice.cursor.tag };
            Heard::Next
        } else if notice.pos < self.last.pos
            || (notice.pos == self.last.pos && notice.cursor.tag == self.last.tag)
        {
            Heard::Old
        } else {
            Heard::Hole
        }
    }

    pub(super) fn resume_at(&mut self, head: Head) {
        self.last = head;
    }

    pub(super) fn last(&self) -> Head {
        self.last
    }

    pub(super) fn is_at(&self, head: Head) -> bool {
        self.last == head
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    pub(super) fn topic(&self, subject: &Subject) -> Option<Arc<Topic>> {
        self.topics.get(subject).cloned()
    }

    pub(super) fn topic_or_new(&mut self, subject: &Subject) -> Arc<Topic> {
        let new = || Arc::new(Topic::new(subject.clone()));
        Arc::clone(self.topics.entry(subject.clone()).or_insert_with(new))
    }

    pub(super) fn forget(&mut self, subject: &Subject) {
        self.topics.remove(subject);
    }
}
