//! The drive: when a stream writes, and when and how it ends.
//!
//! A sink owns a connection and calls [`Drive::step`] again and again, each time doing what the answer says. The drive itself
//! does no I/O, reads no clock and has no task. Everything that it decides by comes with the call: the [`Moment`] says what time
//! it is, whether the node drains and whether the store is lost; the topics hold the news. So all sinks decide alike, and tests
//! need no socket. Only the spread of its deadlines is random.
//!
//! A sink calls `step` when the stream begins, when the bytes that it wrote have left, when the bell has rung, and when the
//! deadline of [`Next::Wait`] has passed; a call too many is harmless. While the connection takes no bytes the sink does not
//! call, so a stalled reader costs no more than an idle one. The next call shows by its time that the reader has stalled.

use super::{
    census::Seat,
    content::Content,
    inspect::{StreamId, StreamInfo},
    moment::Moment,
    reason::{Closing, Ending},
    session::Session,
};
use crate::{
    hub::{History, Topic},
    payment::Time,
};
use bytes::BytesMut;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The share of the drain's time in which streams get their closings; the rest is for the last bytes to leave.
const DRAIN_SHARE: f64 = 0.8;

/// A heartbeat follows news after this share of the longest silence at the earliest, since many streams may have had the same news
/// or have begun together.
const AFTER_NEWS: f64 = 0.75;

/// A heartbeat follows another one after this share of the longest silence at the earliest: the streams are spread already, and each
/// heartbeat that comes too early costs something.
const AFTER_HEARTBEAT: f64 = 0.97;

/// The same after a reload, which concerns all streams at once.
const AFTER_RELOAD: f64 = 0.5;

/// How many times for heartbeats there are in the longest silence: one in 234 ms, if that is 15 s.
const HEARTBEAT_TIMES: u32 = 64;

/// Whether the key that signed a stream's token is still accepted. Keys may be removed while the stream is open. Streams whose
/// tokens are alike share it.
///
/// A box in a shared pointer, since a pointer to a trait object takes twice the memory in each stream.
pub type Stands = Arc<Box<dyn Fn() -> bool + Send + Sync>>;

/// The decisions of one stream. It holds the stream's seat in the census until it is dropped.
pub(super) struct Drive<C: Content = Session> {
    session: C,
    seat: Seat,
    stands: Option<Stands>,
    deadlines: Deadlines,
    /// The lane whose history the sink reads at present.
    reading: Option<u16>,
    until_finished: bool,
    heartbeat_events: bool,
    /// Whether the last `stale` event said that the store is lost.
    said_stale: bool,
    /// Whether the deadline of the stream's age was drawn anew, for the drain.
    is_draining: bool,
}

/// What a client asks of a stream beside its payments, and when the stream has to end apart from its age.
pub(super) struct Terms {
    /// It ends when all of its payments are finished.
    pub(super) until_finished: bool,
    /// Whether heartbeats are events that a script can see.
    pub(super) heartbeat_events: bool,
    /// When the token expires.
    pub(super) expires_at: Option<Time>,
    /// It ends when this says that the token's key is no longer accepted.
    pub(super) stands: Option<Stands>,
}

/// When a stream has to do something, in milliseconds since it began: 49 days fit, and then its age is over at the latest. They
/// are short because there is one of these for each stream.
struct Deadlines {
    /// When the stream began, in milliseconds since the node's first moment: half of what an `Instant` takes.
    began: u64,
    /// When the next heartbeat is due.
    heartbeat: u32,
    /// When the stream has reached its maximum age, or has to close in the drain.
    max_age: u32,
    /// When the token expires; [`NEVER`] without a token.
    expiry: u32,
    /// When the sink was to call again at the latest. A sink that calls much later could not write.
    due: u32,
}

/// No deadline.
const NEVER: u32 = u32::MAX;

/// What the sink does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Write the bytes in the buffer, and call again when they have left.
    Write,
    /// Read the history of [`Drive::behind`] and hand it to [`Drive::catch_up`]; meanwhile go on calling.
    Read,
    /// Call again at this time, or when the bell has rung.
    Wait(Instant),
    /// End the response in this way; the last event was written.
    End(Ending),
}

impl Drive {
    /// Begins a stream, with what the histories of its lanes, in their order, hold for them in `out`.
    pub(super) fn begin(
        mut seat: Seat,
        mut session: Session,
        terms: Terms,
        histories: &[Arc<History>],
        at: &Moment<'_>,
        out: &mut BytesMut,
    ) -> Self {
        session.begin(&mut seat, histories, at, out);
        Self::of(seat, session, terms, at)
    }

    /// The topic whose history [`Next::Read`] asked for, with the number of its lane.
    pub(super) fn behind(&self) -> Option<(usize, &Arc<Topic>)> {
        let lane = usize::from(self.reading?);
        Some((lane, self.session.topics().nth(lane)?))
    }

    /// Takes the history of [`Drive::behind`], read after [`Next::Read`] had asked for it, and appends to `out` what it holds for
    /// the stream.
    pub(super) fn catch_up(&mut self, history: &History, at: &Moment<'_>, out: &mut BytesMut) {
        if let Some(lane) = self.reading.take() {
            self.session.catch_up(&mut self.seat, lane.into(), history, at, out);
        }
    }

    /// Gives up the read that [`Next::Read`] asked for, since the sink cannot write what it brings. The next step asks again.
    pub(super) const fn give_up_read(&mut self) {
        self.reading = None;
    }
}

impl<C: Content> Drive<C> {
    /// The decisions of a stream whose content has begun.
    pub(super) fn of(mut seat: Seat, session: C, terms: Terms, at: &Moment<'_>) -> Self {
        seat.began = true;
        let Terms { until_finished, heartbeat_events, expires_at, stands } = terms;
        let mut deadlines = Deadlines {
            began: at.uptime_ms(at.now),
            heartbeat: 0,
            max_age: ms(between(at.settings.max_age, 0.8)),
            expiry: expires_at.map_or(NEVER, |expires_at| ms(at.instant_of(expires_at) - at.now)),
            due: 0,
        };
        deadlines.postpone_heartbeat(AFTER_NEWS, at);
        Self {
            session,
            seat,
            stands,
            deadlines,
            reading: None,
            until_finished,
            heartbeat_events,
            said_stale: false,
            is_draining: false,
        }
    }

    /// Decides what the sink does next, and appends to `out` what is to be written.
    pub(super) fn step(&mut self, at: &Moment<'_>, out: &mut BytesMut) -> Next {
        self.decide(C::pull, at, out)
    }

    /// Like [`Drive::step`], for a sink that has been told of no news since it was last told to wait: the deadline has passed, and
    /// nothing else. For a heartbeat the topics are not looked at, which would cost more than all the rest of it.
    pub(super) fn tick(&mut self, at: &Moment<'_>, out: &mut BytesMut) -> Next {
        // What ends a stream in order comes after everything known, also if the bell has rung just now.
        if self.until_finished || at.is_draining || self.deadlines.max_age <= self.deadlines.now(at) {
            return self.step(at, out);
        }
        self.decide(|_, _, _, _| None, at, out)
    }

    fn decide(
        &mut self,
        pull: impl FnOnce(&mut C, &mut Seat, &Moment<'_>, &mut BytesMut) -> Option<usize>,
        at: &Moment<'_>,
        out: &mut BytesMut,
    ) -> Next {
        if let Some(why) = self.seat.closed {
            return Next::End(why.ending());
        }
        if let Some(why) = self.must_end(at) {
            return self.close(why, at, out);
        }
        let behind = pull(&mut self.session, &mut self.seat, at, out);
        let is_stale = !at.stale.is_empty() && self.session.is_of(&at.stale);
        if self.said_stale != is_stale {
            self.said_stale = is_stale;
            self.session.stale(is_stale, out);
        }
        if out.is_empty() {
            // No request names more payments than 16 bits count.
            if let (None, Some(lane)) = (self.reading, behind.and_then(|lane| u16::try_from(lane).ok())) {
                self.reading = Some(lane);
                return Next::Read;
            }
            if let Some(why) = self.may_end(at) {
                return self.close(why, at, out);
            }
            if self.deadlines.heartbeat <= self.deadlines.now(at) {
                self.session.heartbeat(self.heartbeat_events, out);
                self.deadlines.wrote(AFTER_HEARTBEAT, at);
                return Next::Write;
            }
        }
        if out.is_empty() {
            let until = self.next_deadline(at);
            self.deadlines.due = self.deadlines.since_began(until, at);
            return Next::Wait(until);
        }
        self.deadlines.wrote(AFTER_NEWS, at);
        Next::Write
    }

    /// The reason to end at once, whatever is still unsaid.
    fn must_end(&self, at: &Moment<'_>) -> Option<Closing> {
        if let Some(why) = self.session.must_end() {
            return Some(why);
        }
        let now = self.deadlines.now(at);
        let is_expired = self.deadlines.expiry <= now;
        let is_revoked = self.stands.as_ref().is_some_and(|stands| !stands());
        if is_expired || is_revoked {
            return Some(Closing::TokenExpired);
        }
        (now > self.deadlines.due.saturating_add(ms(at.stall))).then_some(Closing::Stalled)
    }

    /// The reason to end now that everything known has been written.
    fn may_end(&mut self, at: &Moment<'_>) -> Option<Closing> {
        if self.until_finished && self.session.is_over(&at.settings, at.wall) {
            return Some(Closing::Finished);
        }
        let now = self.deadlines.now(at);
        if at.is_draining && !self.is_draining {
            self.is_draining = true;
            let window = at.settings.drain.mul_f64(DRAIN_SHARE);
            let drain = now.saturating_add(ms(between(window, 0.0)));
            self.deadlines.max_age = self.deadlines.max_age.min(drain);
        }
        let why = if self.is_draining { Closing::Drain } else { Closing::MaxAge };
        (self.deadlines.max_age <= now).then_some(why)
    }

    /// Ends the stream because an operator wants it to, and says why; the next step tells how it ends. Returns whether anything was
    /// written: a stream that was ended before says nothing more.
    pub(super) fn dismiss(&mut self, why: &str, at: &Moment<'_>, out: &mut BytesMut) -> bool {
        let is_open = self.seat.closed.is_none();
        if is_open {
            self.seat.closed = Some(Closing::Operator);
            self.session.dismiss(why, at, out);
        }
        is_open
    }

    /// When the stream began, in milliseconds since the node's first moment.
    pub(super) const fn began(&self) -> u64 {
        self.deadlines.began
    }

    /// How many events were not written yet.
    pub(super) fn lag(&self) -> u64 {
        self.session.about().2
    }

    /// What operators see of the stream, whose number the sink knows.
    pub(super) fn info(&self, id: StreamId, at: &Moment<'_>) -> StreamInfo {
        let (realm, payments, lag) = self.session.about();
        let age = Duration::from_millis(at.uptime_ms(at.now).saturating_sub(self.deadlines.began));
        let (subject, holders) = (self.seat.subject(), self.seat.holders());
        StreamInfo { id, realm, payments, subject, holders, age, lag }
    }

    fn close(&mut self, why: Closing, at: &Moment<'_>, out: &mut BytesMut) -> Next {
        self.seat.closed = Some(why);
        self.session.close(why, at, out);
        Next::Write
    }

    /// When the sink has to call again although nothing has happened.
    fn next_deadline(&mut self, at: &Moment<'_>) -> Instant {
        let finishes_at = if self.until_finished { self.session.finishes_at(&at.settings) } else { None };
        // One millisecond later, since the wall clock that decides is read in whole milliseconds.
        let finish = finishes_at.map(|finish| at.instant_of(finish) + Duration::from_millis(1));
        let deadlines = &mut self.deadlines;
        deadlines.shorten_heartbeat(at);
        let first = deadlines.heartbeat.min(deadlines.max_age).min(deadlines.expiry);
        let first = at.instant_at(deadlines.began + u64::from(first));
        finish.map_or(first, |finish| finish.min(first))
    }
}

impl<C: Content> Drop for Drive<C> {
    fn drop(&mut self) {
        if self.seat.is_noted {
            self.session.note_end(&self.seat);
        }
    }
}

impl Deadlines {
    /// The present time.
    fn now(&self, at: &Moment<'_>) -> u32 {
        self.since_began(at.now, at)
    }

    fn since_began(&self, time: Instant, at: &Moment<'_>) -> u32 {
        u32::try_from(at.uptime_ms(time).saturating_sub(self.began)).unwrap_or(NEVER).min(NEVER - 1)
    }

    /// Bytes were handed to the sink, which is to call again as soon as they have left. `least` is the share of the longest silence
    /// after which the next heartbeat may come.
    fn wrote(&mut self, least: f64, at: &Moment<'_>) {
        self.due = self.now(at);
        self.postpone_heartbeat(least, at);
    }

    /// Draws the time of the next heartbeat: at the latest when the silence is as long as is allowed, and `least` of that before at
    /// the earliest. The heartbeats of a node are moved to the same few times, a little earlier than drawn, so that its streams wait
    /// for few of them and each wake of a thread serves many streams.
    fn postpone_heartbeat(&mut self, least: f64, at: &Moment<'_>) {
        let silence = at.settings.heartbeat;
        let step = u64::from(ms(silence) / HEARTBEAT_TIMES).max(1);
        let since = self.began + u64::from(self.now(at));
        let drawn = since + u64::from(ms(between(silence, least)));
        let heartbeat = (drawn / step * step).saturating_sub(self.began);
        self.heartbeat = u32::try_from(heartbeat).unwrap_or(NEVER).min(NEVER - 1);
    }

    /// A reload may have shortened the silence that is allowed. It wakes all streams at once, so their heartbeats are spread
    /// widely.
    fn shorten_heartbeat(&mut self, at: &Moment<'_>) {
        let now = self.now(at);
        if self.heartbeat > now.saturating_add(ms(at.settings.heartbeat)) {
            self.postpone_heartbeat(AFTER_RELOAD, at);
        }
    }
}

/// Whole milliseconds, 49 days at most.
fn ms(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(NEVER).min(NEVER - 1)
}

/// A random span between `least` × `span` and `span`, so that what began together does not go on together.
fn between(span: Duration, least: f64) -> Duration {
    span.mul_f64(rand::random_range(least..=1.0))
}

#[cfg(test)]
mod tests;
