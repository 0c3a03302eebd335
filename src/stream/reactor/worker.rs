//! The worker: the loop of one reactor's thread.

use super::{
    arrival::{Arrival, Departure},
    clock::{Clock, Ticks},
    inbox::{Inbox, Mail, Read},
    inquiry::{SLOTS, StreamInquiry},
    line::{Line, Peer},
    slab::{Key, Slab},
    topics::Topics,
    wheel::Wheel,
};
use crate::{
    hub::History,
    limits::LimitHit,
    stream::{
        drive::{Drive, Next},
        inspect::StreamId,
        moment::Moment,
        node::Node,
        reason::Ending,
    },
};
use bytes::BytesMut;
use mio::{Events, Poll, Token, Waker, event::Event};
use std::{collections::VecDeque, io, sync::Arc, time::Duration};

/// The token of the inbox's waker; streams have the numbers of their slots.
const INBOX: Token = Token(usize::MAX);

/// How many events of sockets are taken at a time.
const EVENTS: usize = 1024;

/// How many streams whose timers have fired are looked at before the thread looks at its sockets and its inbox again, so that news
/// waits for less than a millisecond of heartbeats.
const DUE: usize = 64;

/// Bytes for what clients send after their requests, which is dropped.
const DRAIN_BYTES: usize = 4096;

/// One thread and its streams.
pub(super) struct Worker {
    /// The number of the thread.
    index: usize,
    /// What operators ask, the oldest question first.
    inquiries: VecDeque<StreamInquiry>,
    node: Arc<Node>,
    poll: Poll,
    inbox: Arc<Inbox>,
    streams: Slab<Stream>,
    topics: Topics,
    wheel: Wheel,
    ticks: Ticks,
    /// The streams whose timers have fired, and which are to be looked at. One that was looked at since has its timer set again.
    due: Vec<u32>,
    /// What a drive writes, and what goes to the socket: empty between two streams.
    out: BytesMut,
    frame: Vec<u8>,
    drain: Box<[u8; DRAIN_BYTES]>,
}

/// One stream.
struct Stream {
    drive: Drive,
    line: Line,
    /// Its places in the lists of its topics.
    places: Key,
    /// The number of the read that it waits for; 0 for none.
    read: u32,
}

impl Worker {
    /// A worker, to be run on a thread of its own, and its inbox.
    pub(super) fn new(index: usize, node: Arc<Node>) -> io::Result<(Self, Arc<Inbox>)> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(Waker::new(poll.registry(), INBOX)?));
        let hub = Arc::clone(&node.hub);
        let worker = Self {
            index,
            inquiries: VecDeque::new(),
            node,
            poll,
            inbox: Arc::clone(&inbox),
            streams: Slab::default(),
            topics: Topics::new(hub, Arc::clone(&inbox)),
            wheel: Wheel::new(),
            ticks: Ticks::from_now(),
            due: Vec::new(),
            out: BytesMut::new(),
            frame: Vec::new(),
            drain: Box::new([0; DRAIN_BYTES]),
        };
        Ok((worker, inbox))
    }

    /// Drives the streams until the inbox says that it is over.
    pub(super) fn run(mut self) {
        let node = Arc::clone(&self.node);
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let wait = if self.due.is_empty() && self.inquiries.is_empty() {
                self.wheel.next().map(|tick| self.ticks.until(tick))
            } else {
                Some(Duration::ZERO)
            };
            match self.poll.poll(&mut events, wait) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a reactor cannot wait for its sockets; its streams are cut");
                    return self.inbox.stop();
                }
            }
            let mail = self.inbox.take();
            if mail.is_over {
                return;
            }
            let mut clock = Clock::new(&node);
            for event in &events {
                self.socket(event, clock.read());
            }
            self.take(mail, &mut clock);
            self.inquire(&mut clock);
            self.wheel.advance(self.ticks.at(clock.now()), &mut self.due);
            for slot in self.due.split_off(self.due.len().saturating_sub(DUE)) {
                self.due(slot, clock.read());
            }
        }
    }

    /// Does what the sockets of a stream say.
    fn socket(&mut self, event: &Event, at: &Moment<'_>) {
        let Some(key) = Key::new(event.token().0) else { return };
        let Some(stream) = self.streams.get_mut(key) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            match stream.line.drain(&mut self.drain[..]) {
                Peer::Present => {}
                Peer::Gone => return self.remove(key),
                Peer::Floods => {
                    at.metrics.limit_hits.count(LimitHit::StrayBytes);
                    return self.remove(key);
                }
            }
        }
        if event.is_writable() && stream.line.is_waiting() {
            self.flush(key, at);
        }
    }

    /// Does what has come to the inbox.
    fn take(&mut self, mail: Mail, clock: &mut Clock<'_>) {
        self.inquiries.extend(mail.inquiries);
        for arrival in mail.arrivals {
            self.arrive(arrival, clock.read());
        }
        for read in mail.histories {
            self.catch_up(&read, clock);
        }
        for topic in mail.rung {
            let mut next = Key::new(topic as usize).and_then(|topic| self.topics.first(topic));
            while let Some((stream, after)) = next.and_then(|place| self.topics.at(place)) {
                self.turn(stream, clock.read());
                next = after;
            }
        }
    }

    /// Goes on with the oldest question of the operators.
    fn inquire(&mut self, clock: &mut Clock<'_>) {
        let Some(mut inquiry) = self.inquiries.pop_front() else { return };
        let end = (inquiry.next + SLOTS).min(self.streams.slots());
        for slot in inquiry.next..end {
            let Some(key) = Key::new(slot) else { break };
            let Some(stream) = self.streams.get(key) else { continue };
            let (at, began) = (clock.read(), stream.drive.began());
            let id = StreamId::Reactor { thread: self.index, slot: key.slot(), began };
            let info = stream.drive.info(id, at);
            if !stream.line.is_ending
                && inquiry.filter.has(&info)
                && let Some(why) = inquiry.take(info)
            {
                self.dismiss(key, &why, at);
            }
        }
        inquiry.next = end;
        if end < self.streams.slots() {
            self.inquiries.push_front(inquiry);
        } else {
            inquiry.answer();
        }
    }

    /// Ends a stream because an operator wants it to. A client that does not read cannot be told.
    fn dismiss(&mut self, key: Key, why: &str, at: &Moment<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let is_told = stream.drive.dismiss(why, at, &mut self.out);
        if stream.line.is_waiting() {
            self.out.clear();
            stream.line.reset_at_end();
            return self.remove(key);
        }
        if is_told && self.send(key, at) {
            self.turn(key, at);
        }
    }

    /// Takes a stream over and writes its beginning.
    fn arrive(&mut self, arrival: Arrival, at: &Moment<'_>) {
        let Arrival { drive, watches, out, departure } = arrival;
        let Departure { socket, tls, head, framing, stray, guard } = departure;
        let mut line = Line::new(socket, tls, framing, stray, guard);
        let Some(key) = self.streams.vacancy() else { return };
        if let Err(error) = line.register(self.poll.registry(), token(key)) {
            tracing::error!(%error, "a reactor cannot watch a socket; its stream is cut");
            return;
        }
        let Some(places) = self.topics.enter(key, &watches) else { return };
        self.frame.extend_from_slice(&head);
        line.frame(&out, &mut self.frame);
        self.streams.insert(Stream { drive, line, places, read: 0 });
        if self.write(key, at) {
            self.turn(key, at);
        }
    }

    /// Hands a history to the streams that wait for it.
    fn catch_up(&mut self, read: &Read, clock: &mut Clock<'_>) {
        let Read { topic, number, history } = read;
        if !self.topics.was_read(*topic, *number) {
            return;
        }
        let mut next = self.topics.first(*topic);
        while let Some((key, after)) = next.and_then(|place| self.topics.at(place)) {
            next = after;
            let Some(stream) = self.streams.get_mut(key) else { continue };
            if stream.read != *number {
                continue;
            }
            stream.read = 0;
            // A stream whose socket takes no more gets its history as soon as it does: it asks again.
            self.feed(key, history, clock.read());
        }
    }

    /// Hands a history to one stream, and goes on with it.
    fn feed(&mut self, key: Key, history: &History, at: &Moment<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.line.is_waiting() {
            return stream.drive.give_up_read();
        }
        stream.drive.catch_up(history, at, &mut self.out);
        if self.out.is_empty() || self.send(key, at) {
            self.turn(key, at);
        }
    }

    /// Looks at a stream whose timer has fired, unless something else has looked at it since, or another has its slot.
    fn due(&mut self, slot: u32, at: &Moment<'_>) {
        if self.wheel.is_set(slot) {
            return;
        }
        let Some(key) = Key::new(slot as usize) else { return };
        match self.streams.get_mut(key) {
            Some(stream) if stream.line.is_waiting() => {
                at.metrics.limit_hits.count(LimitHit::Stall);
                stream.line.reset_at_end();
                self.remove(key);
            }
            _ => self.go_on(key, Drive::tick, at),
        }
    }

    /// Lets a stream write until it has to wait for something. One whose socket takes no more is left alone: as long as it waits
    /// it costs nothing, and it pulls what it has missed when there is room.
    fn turn(&mut self, key: Key, at: &Moment<'_>) {
        self.go_on(key, Drive::step, at);
    }

    fn go_on(&mut self, key: Key, step: fn(&mut Drive, &Moment<'_>, &mut BytesMut) -> Next, at: &Moment<'_>) {
        loop {
            let Some(stream) = self.streams.get_mut(key) else { return };
            if stream.line.is_waiting() || stream.line.is_ending {
                return;
            }
            match step(&mut stream.drive, at, &mut self.out) {
                Next::Write => {
                    if !self.send(key, at) {
                        return;
                    }
                }
                Next::Read => self.read(key),
                Next::Wait(until) => {
                    // A timer fires when its tick has passed.
                    let tick = self.ticks.at(until).wrapping_add(1);
                    return self.wheel.set(key.slot(), tick);
                }
                Next::End(ending) => return self.end(key, ending, at),
            }
        }
    }

    /// Begins to read the history that a stream needs.
    fn read(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let Some((lane, _)) = stream.drive.behind() else { return };
        let Some(topic) = self.topics.of_lane(stream.places, lane) else { return };
        stream.read = self.topics.read(topic).unwrap_or(0);
    }

    /// Writes what the drive has put into `out`. Returns whether all of it has left.
    fn send(&mut self, key: Key, at: &Moment<'_>) -> bool {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.line.frame(&self.out, &mut self.frame);
        }
        self.out.clear();
        self.write(key, at)
    }

    /// Writes what is in `frame`. Returns whether all of it has left; if not, the stream is looked at when there is room, or is
    /// gone.
    fn write(&mut self, key: Key, at: &Moment<'_>) -> bool {
        let written = self.streams.get_mut(key).map(|stream| stream.line.write(&self.frame));
        self.frame.clear();
        match written {
            Some(Ok(())) => self.has_left(key, at),
            Some(Err(_)) | None => {
                self.remove(key);
                false
            }
        }
    }

    /// Whether nothing waits for the socket. If something does, has the stream looked at when there is room, or when it has waited
    /// for too long: a reader that takes bytes within this time is told that it stalled, by its drive.
    fn has_left(&mut self, key: Key, at: &Moment<'_>) -> bool {
        let Some(stream) = self.streams.get_mut(key) else { return false };
        if !stream.line.is_waiting() {
            return true;
        }
        if stream.line.await_room(self.poll.registry(), token(key)).is_err() {
            self.remove(key);
        } else {
            self.wheel.set(key.slot(), self.ticks.at(at.now + 2 * at.stall));
        }
        false
    }

    /// Writes what waits for a socket that has room, and goes on with the stream when all has left.
    fn flush(&mut self, key: Key, at: &Moment<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        match stream.line.flush() {
            Err(_) => return self.remove(key),
            Ok(_) if stream.line.is_waiting() => {
                return self.wheel.set(key.slot(), self.ticks.at(at.now + 2 * at.stall));
            }
            Ok(_) => {}
        }
        if stream.line.is_ending || stream.line.await_room(self.poll.registry(), token(key)).is_err() {
            return self.remove(key);
        }
        self.turn(key, at);
    }

    /// Ends a stream whose last event was written.
    fn end(&mut self, key: Key, ending: Ending, at: &Moment<'_>) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if ending == Ending::Clean {
            stream.line.is_ending = true;
            self.frame.extend_from_slice(stream.line.last_frame());
            if !self.write(key, at) {
                return;
            }
        }
        if let Some(stream) = self.streams.get_mut(key) {
            // What the client has sent is read before, since the kernel would otherwise reset the connection, and the client
            // might not see the last event.
            stream.line.drain(&mut self.drain[..]);
        }
        self.remove(key);
    }

    /// Drops a stream and closes its connection.
    fn remove(&mut self, key: Key) {
        if let Some(stream) = self.streams.remove(key) {
            self.topics.leave(stream.places);
            self.wheel.cancel(key.slot());
        }
    }
}

/// The token by which the system names the socket of a stream.
const fn token(key: Key) -> Token {
    Token(key.slot() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Topic;

    /// There may be a million of each, so what they take is decided, not grown into. Beside it a stream has what its connection
    /// holds, and a topic what the hub keeps of it.
    #[test]
    fn an_idle_stream_and_its_topic_take_few_bytes() {
        // The socket knows more of itself in a debug build.
        let debug = size_of::<mio::net::TcpStream>().saturating_sub(4).next_multiple_of(8);
        let (place, topic) = Topics::BYTES;
        assert!(size_of::<Stream>() - debug + place <= 168, "{} {debug} {place}", size_of::<Stream>());
        // With the counters of its `Arc`, a topic just fits into 160 bytes, a size that the allocator has.
        assert!(size_of::<Topic>() + 16 <= 160, "{}", size_of::<Topic>());
        assert!(topic <= 24, "{topic}");
    }
}
