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
    moment::Moment,
    reason::{Closing, Ending},
    session::Session,
};
use crate::{hub::History, payment::Time};
use bytes::BytesMut;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The share of the drain's time in which streams get their closings; the rest is for the last bytes to leave.
const DRAIN_SHARE: f64 = 0.8;

/// Whether the key that signed a stream's token is still accepted. Keys may be removed while the stream is open.
pub type Stands = Box<dyn Fn() -> bool + Send + Sync>;

/// The decisions of one stream. It holds the stream's seat in the census until it is dropped.
pub(super) struct Drive {
    session: Session,
    seat: Seat,
    until_finished: bool,
    stands: Option<Stands>,
    deadlines: Deadlines,
    /// The lane whose history the sink reads at present.
    reading: Option<usize>,
    /// Whether the last `stale` event said that the store is lost.
    said_stale: bool,
}

/// When a stream has to end, apart from its age.
pub(super) struct Terms {
    /// It ends when all of its payments are finished.
    pub(super) until_finished: bool,
    /// When the token expires.
    pub(super) expires_at: Option<Time>,
    /// It ends when this says that the token's key is no longer accepted.
    pub(super) stands: Option<Stands>,
}

struct Deadlines {
    /// When the next heartbeat is due.
    heartbeat: Instant,
    /// When the stream has reached its maximum age.
    max_age: Instant,
    /// When the token expires.
    expiry: Option<Instant>,
    /// When the stream closes in the drain; drawn when the drain begins.
    drain: Option<Instant>,
    /// When the sink was to call again at the latest. A sink that calls much later could not write.
    due: Instant,
}

/// What the sink does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Write the bytes in the buffer, and call again when they have left.
    Write,
    /// Read [`Drive::history`] and hand it to [`Drive::catch_up`]; meanwhile go on calling.
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
        seat.began = true;
        session.begin(histories, at, out);
        let deadlines = Deadlines {
            heartbeat: at.now + between(at.settings.heartbeat, 0.8),
            max_age: at.now + between(at.settings.max_age, 0.8),
            expiry: terms.expires_at.map(|expires_at| at.instant_of(expires_at)),
            drain: None,
            due: at.now,
        };
        let Terms { until_finished, stands, .. } = terms;
        Self { session, seat, until_finished, stands, deadlines, reading: None, said_stale: false }
    }

    /// Decides what the sink does next, and appends to `out` what is to be written.
    pub(super) fn step(&mut self, at: &Moment<'_>, out: &mut BytesMut) -> Next {
        if let Some(why) = self.seat.closed {
            return Next::End(why.ending());
        }
        if let Some(why) = self.must_end(at) {
            return self.close(why, at, out);
        }
        let behind = self.session.pull(at, out);
        if self.said_stale != at.is_stale {
            self.said_stale = at.is_stale;
            self.session.stale(at.is_stale, out);
        }
        if out.is_empty() {
            if self.reading.is_none() && behind.is_some() {
                self.reading = behind;
                return Next::Read;
            }
            if let Some(why) = self.may_end(at) {
                return self.close(why, at, out);
            }
            if self.deadlines.heartbeat <= at.now {
                self.session.heartbeat(out);
            }
        }
        if out.is_empty() {
            self.deadlines.due = self.next_deadline(at);
            return Next::Wait(self.deadlines.due);
        }
        self.deadlines.wrote(at);
        Next::Write
    }

    /// Reads the history that [`Next::Read`] asked for. The future ends only with an answer of the store.
    pub(super) fn history(&self) -> Option<impl Future<Output = Arc<History>> + Send + use<>> {
        self.session.history(self.reading?)
    }

    /// Takes the history that [`Next::Read`] asked for, and appends to `out` what it holds for the stream.
    pub(super) fn catch_up(&mut self, history: &History, at: &Moment<'_>, out: &mut BytesMut) {
        if let Some(lane) = self.reading.take() {
            self.session.catch_up(lane, history, at, out);
        }
    }

    /// The reason to end at once, whatever is still unsaid.
    fn must_end(&self, at: &Moment<'_>) -> Option<Closing> {
        let is_expired = self.deadlines.expiry.is_some_and(|expiry| expiry <= at.now);
        let is_revoked = self.stands.as_ref().is_some_and(|stands| !stands());
        if is_expired || is_revoked {
            return Some(Closing::TokenExpired);
        }
        (at.now > self.deadlines.due + at.stall).then_some(Closing::Stalled)
    }

    /// The reason to end now that everything known has been written.
    fn may_end(&mut self, at: &Moment<'_>) -> Option<Closing> {
        if self.until_finished && self.session.is_over(&at.settings, at.wall) {
            return Some(Closing::Finished);
        }
        if at.is_draining {
            let window = at.settings.drain.mul_f64(DRAIN_SHARE);
            let drain = *self.deadlines.drain.get_or_insert_with(|| at.now + between(window, 0.0));
            if drain <= at.now {
                return Some(Closing::Drain);
            }
        }
        (self.deadlines.max_age <= at.now).then_some(Closing::MaxAge)
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
        let first = deadlines.heartbeat.min(deadlines.max_age);
        [deadlines.expiry, deadlines.drain, finish].into_iter().flatten().fold(first, Instant::min)
    }
}

impl Deadlines {
    /// Bytes were handed to the sink, which is to call again as soon as they have left.
    fn wrote(&mut self, at: &Moment<'_>) {
        self.due = at.now;
        self.heartbeat = at.now + between(at.settings.heartbeat, 0.8);
    }

    /// A reload may have shortened the silence that is allowed. It wakes all streams at once, so their heartbeats are spread
    /// widely.
    fn shorten_heartbeat(&mut self, at: &Moment<'_>) {
        if self.heartbeat > at.now + at.settings.heartbeat {
            self.heartbeat = at.now + between(at.settings.heartbeat, 0.5);
        }
    }
}

/// A random span between `least` × `span` and `span`, so that what began together does not go on together.
fn between(span: Duration, least: f64) -> Duration {
    span.mul_f64(rand::random_range(least..=1.0))
}

#[cfg(test)]
mod tests;
