//! A partition: its watched logs, and its continuity, that is which notice is the next one and which shows that one is missing.

use super::{
    pointing::{Due, Pointing},
    topic::Topic,
};
use crate::{
    payment::Subject,
    store::{Head, Notice},
};
use std::{
    borrow::Borrow,
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::Arc,
};

/// What this node knows of one partition.
#[derive(Default)]
pub(super) struct Partition {
    /// The last entry of the feed that a notice announced or a heal read.
    last: Head,
    /// The watched logs. A set whose members are found by their subject, which a map would hold a second time.
    topics: HashSet<BySubject>,
    /// The bound labels of those of them that have no log.
    pointings: HashMap<Subject, Arc<Pointing>>,
    /// A heal is under way. Notices are not applied meanwhile, since the heal reads on until it has reached the head.
    healing: bool,
    /// There may be news that the heal has not read, so it reads once more.
    heal_again: bool,
}

/// A topic that counts as its subject.
struct BySubject(Arc<Topic>);

impl Borrow<Subject> for BySubject {
    fn borrow(&self) -> &Subject {
        self.0.subject()
    }
}

impl Hash for BySubject {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.subject().hash(state);
    }
}

impl PartialEq for BySubject {
    fn eq(&self, other: &Self) -> bool {
        self.0.subject() == other.0.subject()
    }
}

impl Eq for BySubject {}

/// How a notice continues its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Continuity {
    /// It follows the last entry: apply it.
    Next,
    /// It is known already.
    Old,
    /// A notice before it is missing, or the feed is another one than before.
    Gap,
}

impl Partition {
    /// Takes a notice. If it is the next one, its entry is the last one from now on.
    pub(super) fn take(&mut self, notice: &Notice) -> Continuity {
        if self.healing {
            self.heal_again = true;
            return Continuity::Old;
        }
        if notice.pos == self.last.pos + 1 && notice.previous == self.last.tag {
            self.last = Head { pos: notice.pos, tag: notice.tag };
            Continuity::Next
        } else if notice.pos < self.last.pos || (notice.pos == self.last.pos && notice.tag == self.last.tag) {
            Continuity::Old
        } else {
            Continuity::Gap
        }
    }

    /// Asks for a heal. Returns whether the caller has to start it; one that is under way reads once more instead.
    pub(super) fn begin_heal(&mut self) -> bool {
        self.heal_again = true;
        !std::mem::replace(&mut self.healing, true)
    }

    /// Whether the heal that is under way has to read once more. If not, it is over.
    pub(super) fn continue_heal(&mut self) -> bool {
        self.healing = std::mem::take(&mut self.heal_again);
        self.healing
    }

    /// Continues after this entry of the feed.
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
        self.topics.iter().map(|BySubject(topic)| topic)
    }

    pub(super) fn topic(&self, subject: &Subject) -> Option<Arc<Topic>> {
        self.topics.get(subject).map(|BySubject(topic)| Arc::clone(topic))
    }

    pub(super) fn topic_or_new(&mut self, subject: &Subject) -> Arc<Topic> {
        self.topic(subject).unwrap_or_else(|| {
            let topic = Arc::new(Topic::new(subject.clone()));
            self.topics.insert(BySubject(Arc::clone(&topic)));
            topic
        })
    }

    pub(super) fn forget(&mut self, subject: &Subject) {
        self.topics.remove(subject);
    }

    /// Takes out what a topic does to follow another.
    pub(super) fn take_pointing(&mut self, subject: &Subject) -> Option<Arc<Pointing>> {
        self.pointings.remove(subject)
    }

    /// The label of a watched log, if it is bound.
    pub(super) fn pointing(&self, subject: &Subject) -> Option<Arc<Pointing>> {
        self.pointings.get(subject).cloned()
    }

    /// The watched logs whose labels are bound.
    pub(super) fn askers(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics().filter(|topic| self.pointings.contains_key(topic.subject()))
    }

    /// What a topic does to follow another. `None` if nobody follows the topic any more.
    pub(super) fn pointing_or_new(&mut self, topic: &Arc<Topic>, due: &Arc<Due>) -> Option<Arc<Pointing>> {
        let subject = topic.subject();
        let is_watched = self.topics.get(subject).is_some_and(|BySubject(known)| Arc::ptr_eq(known, topic));
        let known = self.pointings.entry(subject.clone());
        (is_watched && topic.is_followed())
            .then(|| Arc::clone(known.or_insert_with(|| Arc::new(Pointing::new(topic, due)))))
    }

    /// Forgets the label of a topic, unless it is another one by now.
    pub(super) fn forget_pointing(&mut self, subject: &Subject, pointing: &Arc<Pointing>) {
        if self.pointing(subject).is_some_and(|known| Arc::ptr_eq(&known, pointing)) {
            self.pointings.remove(subject);
        }
    }
}
