//! A session: what one stream says, and when. Its only state is a cursor for each payment and a few deadlines.
//!
//! It writes into a buffer and says what it waits for; it knows no socket, no task and no HTTP. The sink that drives it
//! asks only when the socket can take more, so a stalled reader costs what an idle one costs.

use super::{Place, Settings, Streams, wire, wire::Closing};
use crate::{
    clock,
    hub::{Bell, Frame, History, Pull, Standing, Watch},
    metrics::ResumeKind,
    payment::{Cursor, Phase, Time},
};
use bytes::BytesMut;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A sink is handed about this much at a time, so that a long replay to a slow reader waits in the store and not in memory.
const CHUNK: usize = 16 << 10;

/// An expired payment may still be paid for a while; after this long in silence its page is done.
const EXPIRED_LINGER: Duration = Duration::from_secs(24 * 3600);

/// What a stream says, and when.
pub(super) struct Session {
    streams: Arc<Streams>,
    place: Place,
    lanes: Vec<Lane>,
    bell: Arc<Bell>,
    options: Options,
    deadlines: Deadlines,
    told_stale: bool,
}

/// What the request asked for.
pub(super) struct Options {
    /// Heartbeats that a script can see.
    pub(super) heartbeat_events: bool,
    /// End when all payments are finished.
    pub(super) until_finished: bool,
    /// Whether the key that signed the token still stands.
    pub(super) stands: Option<super::Stands>,
}

struct Deadlines {
    heartbeat: Instant,
    max_age: Instant,
    expiry: Option<Instant>,
    drain: Option<Instant>,
    /// When the sink was last told to come back at the latest.
    due: Option<Instant>,
}

/// One payment of a stream.
pub(super) struct Lane {
    watch: Watch,
    cursor: Cursor,
    wants: Wants,
    /// The last entry of the history that the lane began with. What is told of it is replay; what follows is news, whose
    /// latency is measured however it reaches the stream.
    began_at: u64,
}

/// What a lane has to say first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wants {
    /// The payment as it stands; with the reason why the client's cursor could not be honoured, if it sent one.
    Snapshot(Option<ResumeKind>),
    /// What was missed since the client's cursor.
    Resume,
    /// What comes.
    Live,
}

/// What a session does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Something was written; ask again when it is gone.
    Wrote,
    /// A lane needs its history: get it with [`Session::history`], then [`Session::tell`].
    Load(usize),
    /// Nothing to say before this, unless the bell rings.
    Wait(Instant),
    /// The last word was written.
    End(Closing),
}

impl Lane {
    /// A lane that begins at what the client sent: nothing, a cursor, or what is none.
    pub(super) fn new(watch: Watch, sent: Option<Option<Cursor>>) -> Self {
        let (cursor, wants) = match sent {
            None => (Cursor::START, Wants::Snapshot(None)),
            Some(None) => (Cursor::START, Wants::Snapshot(Some(ResumeKind::UnknownCursor))),
            Some(Some(cursor)) => (cursor, Wants::Resume),
        };
        Self { watch, cursor, wants, began_at: 0 }
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The client has seen all there is, and the payment is finished.
    pub(super) fn is_over(&self, settings: &Settings, now: Time) -> bool {
        let standing = self.watch.standing();
        self.cursor == standing.cursor && finish(&standing, settings).is_some_and(|at| at <= now)
    }
}

/// When a payment is finished: captured, canceled or expired, and silent for long enough. Refunds and disputes may
/// follow, but a checkout page need not wait for them.
fn finish(standing: &Standing, settings: &Settings) -> Option<Time> {
    let linger = match standing.phase? {
        Phase::Captured | Phase::Canceled => settings.linger,
        Phase::Expired => settings.linger.max(EXPIRED_LINGER),
        _ => return None,
    };
    let linger_ms = i64::try_from(linger.as_millis()).ok()?;
    Time::from_unix_ms(standing.last_at?.unix_ms().saturating_add(linger_ms)).ok()
}

impl Session {
    /// A session that has said nothing yet. It keeps its place until it is dropped.
    pub(super) fn new(
        mut place: Place,
        lanes: Vec<Lane>,
        bell: Arc<Bell>,
        options: Options,
        expires_at: Option<Time>,
    ) -> Self {
        let now = Instant::now();
        let streams = Arc::clone(&place.streams);
        let settings = streams.settings.get();
        let deadlines = Deadlines {
            heartbeat: now + between(settings.heartbeat, 0.5),
            max_age: now + between(settings.max_age, 0.8),
            expiry: expires_at.map(|at| now + until(at)),
            drain: None,
            due: None,
        };
        place.began = true;
        Self { streams, place, lanes, bell, options, deadlines, told_stale: false }
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// What a lane needs to be told, as soon as the store has it.
    pub(super) fn history(&self, lane: usize) -> Option<impl Future<Output = Arc<History>> + Send + use<>> {
        self.lanes.get(lane).map(|lane| lane.watch.history_in_time())
    }

    /// Writes what is due now. `loading` says that a history is on its way: lanes that need one wait for it.
    pub(super) fn step(&mut self, now: Instant, loading: bool, out: &mut BytesMut) -> Step {
        if let Some(why) = self.place.closed {
            return Step::End(why);
        }
        if let Some(why) = self.must_end(now) {
            return self.close(why, out);
        }
        let mut load = None;
        for index in 0..self.lanes.len() {
            load = load.or(self.pull(index, out));
            if out.len() >= CHUNK {
                break;
            }
        }
        if self.told_stale != self.streams.hub.is_stale() {
            self.told_stale = !self.told_stale;
            wire::stale(out, &self.id(), self.told_stale);
        }
        if out.is_empty() {
            if let Some(lane) = load.filter(|_| !loading) {
                return Step::Load(lane);
            }
            if let Some(why) = self.may_end(now) {
                return self.close(why, out);
            }
        }
        if out.is_empty() && self.deadlines.heartbeat <= now {
            self.heartbeat(out);
        }
        if out.is_empty() {
            self.hurry(now);
            let due = self.next_deadline(now);
            self.deadlines.due = Some(due);
            return Step::Wait(due);
        }
        self.wrote(now);
        Step::Wrote
    }

    /// Writes what a lane's history has for it: a snapshot, or the updates after its cursor.
    pub(super) fn tell(&mut self, index: usize, history: &History, out: &mut BytesMut) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        if lane.wants != Wants::Live {
            lane.began_at = history.head.seq;
        }
        let reason = match (lane.wants, history.after(lane.cursor)) {
            (Wants::Snapshot(reason), _) => reason,
            (Wants::Resume, Some([])) => {
                lane.wants = Wants::Live;
                let (payment, seq) = (lane.watch.subject().id.clone(), lane.cursor.seq);
                self.streams.metrics.resumes.count(ResumeKind::Ready);
                return wire::ready(out, &self.id(), payment.as_str(), seq);
            }
            (wants, Some(frames)) => {
                if wants == Wants::Resume {
                    self.streams.metrics.resumes.count(ResumeKind::Exact);
                }
                lane.wants = Wants::Live;
                return self.write(index, frames, out);
            }
            (Wants::Live, None) => Some(ResumeKind::RolledBack),
            (Wants::Resume, None) if history.head == Cursor::START => Some(ResumeKind::Evicted),
            (Wants::Resume, None) if lane.cursor.seq > history.head.seq => Some(ResumeKind::RolledBack),
            (Wants::Resume, None) => Some(ResumeKind::UnknownCursor),
        };
        lane.wants = Wants::Live;
        lane.cursor = history.head;
        self.streams.metrics.resumes.count(reason.unwrap_or(ResumeKind::Fresh));
        let up_to_date = wire::up_to_date(true);
        let rest = reason.map(|reason| format!(r#","reason":"{}"{up_to_date}"#, reason.word()));
        wire::message(out, &self.id(), &history.snapshot.json, rest.as_deref().unwrap_or(up_to_date));
    }

    /// Begins the stream: its `retry:`, then what its lanes' histories, in their order, have for them.
    pub(super) fn begin(&mut self, histories: &[Arc<History>], out: &mut BytesMut) {
        wire::retry(out, self.streams.retry_ms());
        for (index, history) in histories.iter().enumerate() {
            self.tell(index, history, out);
        }
        self.wrote(Instant::now());
    }

    /// Writes what a live lane's topic has for it. Some if its history is needed first.
    fn pull(&mut self, index: usize, out: &mut BytesMut) -> Option<usize> {
        let lane = self.lanes.get(index)?;
        if lane.wants != Wants::Live {
            return Some(index);
        }
        match lane.watch.pull(lane.cursor) {
            Pull::Current => None,
            Pull::Behind => Some(index),
            Pull::Frames(frames) => {
                self.write(index, &frames, out);
                None
            }
        }
    }

    /// Writes frames until the chunk is full; the rest is pulled when the sink asks again.
    fn write(&mut self, index: usize, frames: &[Arc<Frame>], out: &mut BytesMut) {
        let wall = clock::now();
        let mut rest = frames.iter().peekable();
        while let Some(frame) = rest.next() {
            let Some(lane) = self.lanes.get_mut(index) else { return };
            lane.cursor = frame.cursor;
            let is_news = frame.cursor.seq > lane.began_at;
            wire::message(out, &self.id(), &frame.json, wire::up_to_date(rest.peek().is_none()));
            if is_news {
                self.observe(frame, wall);
            }
            if out.len() >= CHUNK {
                return;
            }
        }
    }

    fn observe(&self, frame: &Frame, wall: Time) {
        #[expect(clippy::cast_precision_loss, reason = "a span in milliseconds is far below 2^53")]
        let seconds = |since: Time| wall.since_ms(since).max(0) as f64 / 1000.0;
        let metrics = &self.streams.metrics;
        metrics.receipt_to_write_seconds.observe(seconds(frame.received_at));
        if let Some(occurred_at) = frame.occurred_at {
            metrics.provider_to_write_seconds.observe(seconds(occurred_at));
        }
    }

    /// Ends that let nothing more be said.
    fn must_end(&mut self, now: Instant) -> Option<Closing> {
        let expired = self.deadlines.expiry.is_some_and(|at| at <= now);
        let revoked = self.options.stands.as_ref().is_some_and(|stands| !stands());
        if expired || revoked {
            return Some(Closing::TokenExpired);
        }
        let stall = self.streams.limits.get().stall;
        self.deadlines.due.is_some_and(|due| now > due + stall).then_some(Closing::Stalled)
    }

    /// Ends that wait until all that is known was said.
    fn may_end(&mut self, now: Instant) -> Option<Closing> {
        let wall = clock::now();
        let settings = self.streams.settings.get();
        if self.options.until_finished && self.lanes.iter().all(|lane| lane.is_over(&settings, wall)) {
            return Some(Closing::Finished);
        }
        if self.streams.shutdown.is_draining() {
            let window = settings.drain.mul_f64(DRAIN_SHARE);
            let drain = *self.deadlines.drain.get_or_insert_with(|| now + between(window, 0.0));
            if drain <= now {
                return Some(Closing::Drain);
            }
        }
        (self.deadlines.max_age <= now).then_some(Closing::MaxAge)
    }

    fn close(&mut self, why: Closing, out: &mut BytesMut) -> Step {
        self.place.closed = Some(why);
        wire::closing(out, &self.id(), why, self.streams.retry_ms());
        Step::Wrote
    }

    fn heartbeat(&self, out: &mut BytesMut) {
        if self.options.heartbeat_events {
            let seqs: Vec<_> = self.lanes.iter().map(|lane| lane.cursor.seq).collect();
            wire::event_heartbeat(out, &self.id(), &seqs);
        } else {
            wire::comment_heartbeat(out);
        }
    }

    fn wrote(&mut self, now: Instant) {
        // Now the sink has room for more as soon as this is gone.
        self.deadlines.due = Some(now);
        self.deadlines.heartbeat = now + between(self.streams.settings.get().heartbeat, 0.8);
    }

    /// A reload may have shortened the silence that is allowed. All streams are told of it at once, and spread as at their
    /// start.
    fn hurry(&mut self, now: Instant) {
        let heartbeat = self.streams.settings.get().heartbeat;
        if self.deadlines.heartbeat > now + heartbeat {
            self.deadlines.heartbeat = now + between(heartbeat, 0.5);
        }
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        let deadlines = &self.deadlines;
        let first = deadlines.heartbeat.min(deadlines.max_age);
        let finish = || {
            let settings = self.streams.settings.get();
            let ends: Option<Vec<_>> =
                self.lanes.iter().map(|lane| finish(&lane.watch.standing(), &settings)).collect();
            // A millisecond more, since the wall clock that decides is read in whole ones.
            ends?.into_iter().max().map(|at| now + until(at) + Duration::from_millis(1))
        };
        let finish = if self.options.until_finished { finish() } else { None };
        [deadlines.expiry, deadlines.drain, finish].into_iter().flatten().fold(first, Instant::min)
    }

    fn id(&self) -> impl std::fmt::Display {
        wire::Joined(self.lanes.iter().map(|lane| lane.cursor))
    }
}

/// Streams get this share of the drain window for their closings; the rest is for the last bytes to leave.
const DRAIN_SHARE: f64 = 0.8;

/// A random span between `least` × `span` and `span`, so that what began together does not go on together.
fn between(span: Duration, least: f64) -> Duration {
    span.mul_f64(rand::random_range(least..=1.0))
}

/// From now until `at` by the wall clock; nothing if that is past.
fn until(at: Time) -> Duration {
    Duration::from_millis(u64::try_from(at.since_ms(clock::now())).unwrap_or(0))
}
