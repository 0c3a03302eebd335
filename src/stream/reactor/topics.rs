//! The topics that the streams of one thread watch. Each is watched once, and has a list of the streams that want its news.

use super::{
    inbox::{Inbox, Read},
    slab::{Key, Slab},
};
use crate::hub::{Hub, Ringer, Topic, Watch};
use std::sync::Arc;
use tokio::{runtime::Handle, task::AbortHandle};

/// The topics of one thread by key. The hub tells these keys to the thread's inbox.
pub(super) struct Topics {
    hub: Arc<Hub>,
    /// Where logs are read.
    runtime: Handle,
    inbox: Arc<Inbox>,
    /// The inbox, as the hub knows it.
    ringer: Arc<dyn Ringer>,
    topics: Slab<Watched>,
    places: Slab<Seating>,
    /// The number of the last read.
    reads: u32,
}

/// One topic.
struct Watched {
    /// It is watched by the thread's inbox until this leaves the slab.
    topic: Arc<Topic>,
    /// The first place in the list of its streams.
    first: Option<Key>,
    /// The read of its log that is under way. Boxed, because few topics have one.
    reading: Option<Box<Reading>>,
}

/// A read of a log. Dropping it ends the read.
struct Reading {
    number: u32,
    /// The number of the read that has to follow, for streams that asked since this one began.
    then: Option<u32>,
    task: AbortHandle,
}

/// The place of one lane in the list of its topic.
struct Seating {
    topic: Key,
    stream: Key,
    before: Option<Key>,
    after: Option<Key>,
    /// The place of the stream's next lane.
    sibling: Option<Key>,
}

impl Topics {
    /// No topics. Logs are read on the runtime from which this is called.
    pub(super) fn new(hub: Arc<Hub>, inbox: Arc<Inbox>) -> Self {
        Self {
            hub,
            runtime: Handle::current(),
            ringer: Arc::clone(&inbox) as Arc<dyn Ringer>,
            inbox,
            topics: Slab::default(),
            places: Slab::default(),
            reads: 0,
        }
    }

    /// Puts a stream into the lists of the topics that these watches hold. Returns its places, for [`Topics::leave`]. `None` if
    /// there is no room, which four billion streams would take.
    pub(super) fn enter(&mut self, stream: Key, watches: &[Watch]) -> Option<Key> {
        let mut places = None;
        for watch in watches.iter().rev() {
            let topic = self.topic_or_new(watch)?;
            let after = self.topics.get(topic)?.first;
            let place = Seating { topic, stream, before: None, after, sibling: places };
            let place = self.places.insert(place)?;
            if let Some(after) = after {
                self.places.get_mut(after)?.before = Some(place);
            }
            self.topics.get_mut(topic)?.first = Some(place);
            places = Some(place);
        }
        places
    }

    /// The key of a topic; it is watched from now on, if it was not before.
    fn topic_or_new(&mut self, watch: &Watch) -> Option<Key> {
        if let Some(known) = watch.topic().key_of(&self.ringer).and_then(|slot| Key::new(slot as usize)) {
            return Some(known);
        }
        let topic = watch.share(Arc::clone(&self.ringer), self.topics.vacancy()?.slot());
        self.topics.insert(Watched { topic, first: None, reading: None })
    }

    /// Takes a stream out of all lists in which it has places. Topics without a stream are no longer watched.
    pub(super) fn leave(&mut self, places: Key) {
        let mut next = Some(places);
        while let Some(Seating { topic, before, after, sibling, .. }) =
            next.and_then(|place| self.places.remove(place))
        {
            if let Some(after) = after.and_then(|after| self.places.get_mut(after)) {
                after.before = before;
            }
            if let Some(before) = before.and_then(|before| self.places.get_mut(before)) {
                before.after = after;
            } else if after.is_none() {
                self.forget(topic);
            } else if let Some(topic) = self.topics.get_mut(topic) {
                topic.first = after;
            }
            next = sibling;
        }
    }

    /// Ends the watch of a topic.
    fn forget(&mut self, key: Key) {
        if let Some(Watched { topic, .. }) = self.topics.remove(key) {
            self.hub.leave(&topic, &self.ringer, key.slot());
        }
    }

    /// The first place in the list of a topic.
    pub(super) fn first(&self, topic: Key) -> Option<Key> {
        self.topics.get(topic)?.first
    }

    /// The stream at a place, and the place after it.
    pub(super) fn at(&self, place: Key) -> Option<(Key, Option<Key>)> {
        self.places.get(place).map(|place| (place.stream, place.after))
    }

    /// The key of the topic of a stream's lane, counted from 0.
    pub(super) fn of_lane(&self, places: Key, lane: usize) -> Option<Key> {
        let mut place = self.places.get(places)?;
        for _ in 0..lane {
            place = self.places.get(place.sibling?)?;
        }
        Some(place.topic)
    }

    /// Asks for the history of a topic as it is now or later, which comes to the inbox. Returns the number of the read that brings
    /// it. A read that has begun before may bring less than the stream has seen already, so another one follows it.
    pub(super) fn read(&mut self, topic: Key) -> Option<u32> {
        let watched = self.topics.get_mut(topic)?;
        if let Some(reading) = watched.reading.as_deref_mut() {
            return Some(*reading.then.get_or_insert_with(|| next_number(&mut self.reads)));
        }
        let number = next_number(&mut self.reads);
        self.begin(topic, number)
    }

    /// Notes that a read has ended, and begins the one that has to follow. Returns whether it is one that was waited for.
    pub(super) fn was_read(&mut self, topic: Key, number: u32) -> bool {
        let Some(watched) = self.topics.get_mut(topic) else { return false };
        let Some(reading) = watched.reading.take_if(|reading| reading.number == number) else { return false };
        if let Some(number) = reading.then {
            self.begin(topic, number);
        }
        true
    }

    fn begin(&mut self, topic: Key, number: u32) -> Option<u32> {
        let watched = self.topics.get_mut(topic)?;
        let (history, inbox) = (self.hub.history_in_time(&watched.topic), Arc::clone(&self.inbox));
        let read = async move { inbox.was_read(Read { topic, number, history: history.await }) };
        let task = self.runtime.spawn(read).abort_handle();
        watched.reading = Some(Box::new(Reading { number, then: None, task }));
        Some(number)
    }
}

/// Counts one read more. No read has the number 0.
fn next_number(reads: &mut u32) -> u32 {
    *reads = reads.checked_add(1).unwrap_or(1);
    *reads
}

impl Drop for Topics {
    fn drop(&mut self) {
        for Watched { topic, .. } in self.topics.drain() {
            if let Some(key) = topic.key_of(&self.ringer) {
                self.hub.leave(&topic, &self.ringer, key);
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
impl Topics {
    /// The bytes that one more stream takes, and one more topic.
    pub(super) const BYTES: (usize, usize) = (size_of::<Seating>(), size_of::<Watched>());
}
