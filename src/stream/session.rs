//! A session: what one stream writes. Its only state is a cursor for each payment.
//!
//! It pulls updates from the topics and encodes them into a buffer; [`super::drive`] decides when. It knows no deadline, no
//! socket and no HTTP.

use super::{
    census::Seat,
    content::{CHUNK, Content},
    lane::{Lane, Missed},
    moment::Moment,
    reason::{Closing, Reset},
    residents::pause_ms,
    settings::Settings,
    wire,
};
use crate::{
    hub::{Frame, History, Pull, Topic},
    metrics::ResumeKind,
    payment::{Name, PartitionSet, Subject, Time},
};
use bytes::BytesMut;
use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// The payments of one stream, and what the client wants to see of them.
pub(super) struct Session {
    lanes: Lanes,
}

/// The lanes of a stream. Nearly all streams have one, which needs no memory of its own.
enum Lanes {
    One(Lane),
    Several(Box<[Lane]>),
}

impl From<Vec<Lane>> for Lanes {
    fn from(lanes: Vec<Lane>) -> Self {
        match <[Lane; 1]>::try_from(lanes) {
            Ok([lane]) => Self::One(lane),
            Err(lanes) => Self::Several(lanes.into()),
        }
    }
}

impl Deref for Lanes {
    type Target = [Lane];

    fn deref(&self) -> &[Lane] {
        match self {
            Self::One(lane) => std::slice::from_ref(lane),
            Self::Several(lanes) => lanes,
        }
    }
}

impl DerefMut for Lanes {
    fn deref_mut(&mut self) -> &mut [Lane] {
        match self {
            Self::One(lane) => std::slice::from_mut(lane),
            Self::Several(lanes) => lanes,
        }
    }
}

impl Session {
    pub(super) fn new(lanes: Vec<Lane>) -> Self {
        Self { lanes: lanes.into() }
    }

    /// The topics of the lanes, in their order.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.lanes.iter().map(Lane::topic)
    }

    /// Writes the stream's `retry:`, then what the histories of its lanes, in their order, hold for them.
    pub(super) fn begin(
        &mut self,
        seat: &mut Seat,
        histories: &[Arc<History>],
        at: &Moment<'_>,
        out: &mut BytesMut,
    ) {
        wire::retry(out, at.draw_retry_ms());
        for (index, history) in histories.iter().enumerate() {
            self.catch_up(seat, index, history, at, out);
        }
    }

    /// Writes what a lane's history holds for it: a snapshot, or the updates after its cursor.
    pub(super) fn catch_up(
        &mut self,
        seat: &mut Seat,
        index: usize,
        history: &History,
        at: &Moment<'_>,
        out: &mut BytesMut,
    ) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        let resumes = &at.metrics.resumes;
        match lane.catch_up(history) {
            Missed::Nothing => {
                resumes.count(ResumeKind::Ready);
                wire::ready(out, &self.id(), &history.payment, history.asked.as_ref(), history.head.seq);
            }
            Missed::Replay(frames) => {
                resumes.count(ResumeKind::Exact);
                self.updates(seat, index, frames, at, out);
            }
            Missed::Updates(frames) => self.updates(seat, index, frames, at, out),
            Missed::Outdated => {}
            Missed::Snapshot(reset) => {
                if seat.is_noted {
                    let realm = lane.topic().subject().realm.clone();
                    let payment = Subject::payment(realm, history.payment.clone());
                    seat.note_snapshot(&payment, history.head.seq, reset == Some(Reset::Erased));
                }
                resumes.count(reset.map_or(ResumeKind::Fresh, Reset::counted));
                wire::snapshot(out, &self.id(), &history.snapshot, history.asked.as_ref(), reset);
            }
        }
    }

    /// Writes updates until the chunk is full; the rest is pulled at the next step.
    fn updates(
        &mut self,
        seat: &mut Seat,
        index: usize,
        frames: &[Arc<Frame>],
        at: &Moment<'_>,
        out: &mut BytesMut,
    ) {
        let mut rest = frames.iter().peekable();
        while let Some(frame) = rest.next() {
            let Some(lane) = self.lanes.get_mut(index) else { return };
            let is_news = lane.pass(frame);
            self.pass_twins(index, frame);
            wire::update(out, &self.id(), &frame.json, rest.peek().is_none());
            seat.note_update(frame);
            if is_news {
                observe_latency(frame, at);
            }
            if out.len() >= CHUNK {
                return;
            }
        }
    }

    /// Moves the other lanes that have come to the same payment, under another of its ids, so that an update is written once.
    fn pass_twins(&mut self, index: usize, frame: &Frame) {
        for other in (0..self.lanes.len()).filter(|other| *other != index) {
            let (Some(lane), Some(twin)) = (self.lanes.get(index), self.lanes.get(other)) else { return };
            if twin.stands_before(frame)
                && twin.is_twin_of(lane)
                && let Some(twin) = self.lanes.get_mut(other)
            {
                twin.pass(frame);
            }
        }
    }

    fn id(&self) -> impl std::fmt::Display {
        wire::Joined(self.lanes.iter().map(Lane::cursor))
    }
}

impl Content for Session {
    /// Writes what the topics hold after the lanes' cursors, until the chunk is full. Returns the first lane that needs its
    /// history, if any does.
    fn pull(&mut self, seat: &mut Seat, at: &Moment<'_>, out: &mut BytesMut) -> Option<usize> {
        let mut behind = None;
        for index in 0..self.lanes.len() {
            match self.lanes.get(index).map(Lane::pull) {
                Some(Pull::Frames(frames)) => self.updates(seat, index, &frames, at, out),
                Some(Pull::Behind) => behind = behind.or(Some(index)),
                Some(Pull::Current) | None => {}
            }
            if out.len() >= CHUNK {
                break;
            }
        }
        behind
    }

    fn note_end(&self, seat: &Seat) {
        for lane in self.lanes.iter() {
            seat.note_end(&lane.followed_subject(), lane.cursor().seq);
        }
    }

    /// Whether the client has seen all there is, and all payments are finished.
    fn is_over(&self, settings: &Settings, now: Time) -> bool {
        self.lanes.iter().all(|lane| lane.is_over(settings, now))
    }

    /// When all payments are finished, if nothing more happens to them.
    fn finishes_at(&self, settings: &Settings) -> Option<Time> {
        let mut last = None;
        for lane in self.lanes.iter() {
            last = last.max(Some(lane.finishes_at(settings)?));
        }
        last
    }

    /// Whether the log of a lane, or the one that it leads to, is of one of these partitions.
    fn is_of(&self, partitions: &PartitionSet) -> bool {
        self.lanes.iter().any(|lane| {
            let is_of = |topic: &Topic| partitions.contains(topic.subject().partition());
            is_of(lane.topic()) || lane.topic().target().is_some_and(|target| is_of(&target))
        })
    }

    /// Writes that the store is lost, or back.
    fn stale(&self, is_stale: bool, out: &mut BytesMut) {
        wire::stale(out, &self.id(), is_stale);
    }

    /// Writes a heartbeat: an event that a script can see, or a comment.
    fn heartbeat(&self, is_event: bool, out: &mut BytesMut) {
        if is_event {
            let seqs: Vec<_> = self.lanes.iter().map(|lane| lane.cursor().seq).collect();
            wire::event_heartbeat(out, &self.id(), &seqs);
        } else {
            wire::comment_heartbeat(out);
        }
    }

    /// Writes the last event of the stream.
    fn close(&self, why: Closing, at: &Moment<'_>, out: &mut BytesMut) {
        wire::closing(out, &self.id(), why, at.draw_retry_ms());
    }

    fn dismiss(&self, why: &str, at: &Moment<'_>, out: &mut BytesMut) {
        wire::dismissed(out, &self.id(), why, pause_ms(at));
    }

    fn about(&self) -> (Option<Name>, Vec<Name>, u64) {
        let subjects = || self.lanes.iter().map(|lane| lane.topic().subject());
        let realm = subjects().next().map(|subject| subject.realm.clone());
        let lag = self.lanes.iter().map(Lane::lag).sum();
        (realm, subjects().map(|subject| subject.id.clone()).collect(), lag)
    }
}

fn observe_latency(frame: &Frame, at: &Moment<'_>) {
    #[expect(clippy::cast_precision_loss, reason = "a span in milliseconds is far below 2^53")]
    let seconds = |since: Time| at.wall.since_ms(since).max(0) as f64 / 1000.0;
    at.metrics.receipt_to_write_seconds.observe(seconds(frame.received_at));
    if let Some(occurred_at) = frame.occurred_at {
        at.metrics.provider_to_write_seconds.observe(seconds(occurred_at));
    }
}
