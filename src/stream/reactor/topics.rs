//! The topics that the streams of one thread watch. Each is watched once, and has a list of the streams that want its news.

use super::{inbox::Inbox, slab::Slab};
use crate::hub::{Ringer, Topic, Watch};
use std::sync::Arc;
use tokio::task::AbortHandle;

/// The topics of one thread by key. The hub tells these keys to the thread's inbox.
pub(super) struct Topics {
    inbox: Arc<Inbox>,
    topics: Slab<Watched>,
    places: Slab<Seating>,
    /// The number of the last read.
    reads: u32,
}

/// One topic.
struct Watched {
    watch: Watch,
    /// The first place in the list of its streams.
    first: Option<u32>,
    /// The read of its log that is under way.
    reading: Option<Reading>,
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
    topic: u32,
    stream: u32,
    before: Option<u32>,
    after: Option<u32>,
    /// The place of the stream's next lane.
    sibling: Option<u32>,
}

impl Topics {
    pub(super) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, topics: Slab::default(), places: Slab::default(), reads: 0 }
    }

    /// Puts a stream into the lists of the topics that these watches hold. Returns its places, for [`Topics::leave`]. `None` if
    /// there is no room, which four billion streams would take.
    pub(super) fn enter(&mut self, stream: u32, watches: &[Watch]) -> Option<u32> {
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
    fn topic_or_new(&mut self, watch: &Watch) -> Option<u32> {
        let ringer = Arc::clone(&self.inbox) as Arc<dyn Ringer>;
        if let Some(known) = watch.topic().key_of(&ringer) {
            return Some(known);
        }
        let watch = watch.for_ringer(ringer, self.topics.vacancy()?);
        self.topics.insert(Watched { watch, first: None, reading: None })
    }

    /// Takes a stream out of all lists in which it has places. Topics without a stream are no longer watched.
    pub(super) fn leave(&mut self, places: u32) {
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
                self.topics.remove(topic);
            } else if let Some(topic) = self.topics.get_mut(topic) {
                topic.first = after;
            }
            next = sibling;
        }
    }

    /// The first place in the list of a topic.
    pub(super) fn first(&self, topic: u32) -> Option<u32> {
        self.topics.get(topic)?.first
    }

    /// The stream at a place, and the place after it.
    pub(super) fn at(&self, place: u32) -> Option<(u32, Option<u32>)> {
        self.places.get(place).map(|place| (place.stream, place.after))
    }

    /// The key of the topic of a stream's lane, counted from 0.
    pub(super) fn of_lane(&self, places: u32, lane: usize) -> Option<u32> {
        let mut place = self.places.get(places)?;
        for _ in 0..lane {
            place = self.places.get(place.sibling?)?;
        }
        Some(place.topic)
    }

    /// Asks for the history of a topic as it is now or later. Returns the number of the read that brings it. A read that has begun
    /// before may bring less than the stream has seen already, so another one follows it. `spawn` begins a read.
    pub(super) fn read(
        &mut self,
        topic: u32,
        spawn: impl FnOnce(&Arc<Topic>, u32) -> AbortHandle,
    ) -> Option<u32> {
        let watched = self.topics.get_mut(topic)?;
        if let Some(reading) = &mut watched.reading {
            if reading.then.is_none() {
                self.reads = self.reads.wrapping_add(1);
                reading.then = Some(self.reads);
            }
            return reading.then;
        }
        self.reads = self.reads.wrapping_add(1);
        let number = self.reads;
        watched.reading = Some(Reading { number, then: None, task: spawn(watched.watch.topic(), number) });
        Some(number)
    }

    /// Notes that a read has ended, and begins the one that has to follow. Returns whether it is one that was waited for.
    pub(super) fn was_read(
        &mut self,
        topic: u32,
        number: u32,
        spawn: impl FnOnce(&Arc<Topic>, u32) -> AbortHandle,
    ) -> bool {
        let Some(watched) = self.topics.get_mut(topic) else { return false };
        let Some(reading) = watched.reading.take_if(|reading| reading.number == number) else { return false };
        if let Some(number) = reading.then {
            let task = spawn(watched.watch.topic(), number);
            watched.reading = Some(Reading { number, then: None, task });
        }
        true
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}
