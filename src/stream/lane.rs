//! A lane: one payment of a stream, and how far the stream has come in its log.

use super::{reason::Reset, settings::Settings};
use crate::{
    hub::{Follower, Frame, History, LogEnd, Pull, Topic},
    payment::{Cursor, PackedCursor, Phase, Subject, Tag, Time},
};
use std::{sync::Arc, time::Duration};

/// An expired payment may still be paid for a while, so a stream that ends with its payment waits at least this long.
const EXPIRED_LINGER: Duration = Duration::from_secs(24 * 3600);

/// One payment of a stream. Whoever drives the stream watches the topic as long as the lane lives.
pub(super) struct Lane {
    follower: Follower,
    /// The last entry that the stream has written.
    cursor: PackedCursor,
    /// The tag of the first entry of the log that the stream follows.
    first: Tag,
    wants: Wants,
    /// The `seq` of the last entry in the history that the lane began with. Events up to it are a replay; later ones are
    /// news, whose latency is measured however they reach the stream. No log comes near four billion entries.
    began_at: u32,
}

/// What a lane has to write next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wants {
    /// The whole payment; with the reason why the client's cursor cannot be honoured, if it sent one.
    Snapshot(Option<Reset>),
    /// What the client missed since its cursor.
    Resume,
    /// Whatever happens next.
    Live,
    /// Whatever happens next to the payment that the id points at, which is a label.
    Led,
}

/// What a history holds for a lane.
pub(super) enum Missed<'a> {
    /// The client resumes and has missed nothing.
    Nothing,
    /// The client resumes and has missed these updates.
    Replay(&'a [Arc<Frame>]),
    /// These updates follow what the stream has written.
    Updates(&'a [Arc<Frame>]),
    /// The client needs the whole payment; with the reason why its cursor cannot be honoured, if it sent one.
    Snapshot(Option<Reset>),
    /// Nothing, since the history is older than what the stream has written. The next pull tells whether another is needed.
    Outdated,
}

impl Lane {
    /// A lane that begins at what the client sent: nothing, a cursor, or a text that is no cursor (`Some(None)`).
    pub(super) fn new(topic: Arc<Topic>, sent: Option<Option<Cursor>>) -> Self {
        let (cursor, wants) = match sent {
            None => (Cursor::START, Wants::Snapshot(None)),
            Some(None) => (Cursor::START, Wants::Snapshot(Some(Reset::UnknownCursor))),
            Some(Some(cursor)) => (cursor, Wants::Resume),
        };
        Self { follower: Follower::new(topic), cursor: cursor.into(), first: Tag::NONE, wants, began_at: 0 }
    }

    pub(super) fn topic(&self) -> &Arc<Topic> {
        self.follower.topic()
    }

    /// The payment whose log the stream follows: that of the id that was asked for, or the one that this id leads to.
    pub(super) fn followed_subject(&self) -> Subject {
        let topic = self.follower.topic();
        topic.target().map_or_else(|| topic.subject().clone(), |target| target.subject().clone())
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor.into()
    }

    /// How many events of the log the stream has not written yet.
    pub(super) fn lag(&self) -> u64 {
        self.topic().followed_end().cursor.seq.saturating_sub(self.cursor().seq)
    }

    /// Whether both lanes follow the log of one payment.
    pub(super) fn is_twin_of(&self, other: &Self) -> bool {
        let followed = |lane: &Self| lane.topic().target().unwrap_or_else(|| Arc::clone(lane.topic()));
        Arc::ptr_eq(&followed(self), &followed(other))
    }

    /// Whether this update is the next one after what the stream has written.
    pub(super) fn stands_before(&self, frame: &Frame) -> bool {
        self.cursor().tag == frame.previous && self.cursor().seq + 1 == frame.cursor.seq
    }

    /// Updates after the cursor that the topic holds in memory. A lane that has not begun needs its history first.
    pub(super) fn pull(&self) -> Pull {
        match self.wants {
            Wants::Live => self.follower.topic().follow(self.cursor(), false),
            Wants::Led => self.follower.topic().follow(self.cursor(), true),
            Wants::Snapshot(_) | Wants::Resume => Pull::Behind,
        }
    }

    /// Compares the lane with the log and returns what it has to write. After a snapshot the cursor is at the log's end;
    /// updates move it one by one, through [`Lane::pass`].
    pub(super) fn catch_up<'a>(&mut self, history: &'a History) -> Missed<'a> {
        let is_live = matches!(self.wants, Wants::Live | Wants::Led);
        if is_live
            && history.after(self.cursor()).is_none()
            && !self.topic().has_lost(self.cursor(), history.head)
        {
            return Missed::Outdated;
        }
        let is_led = history.asked.is_some();
        let wants = std::mem::replace(&mut self.wants, if is_led { Wants::Led } else { Wants::Live });
        if !is_live {
            self.began_at = u32::try_from(history.head.seq).unwrap_or(u32::MAX);
        }
        let followed = std::mem::replace(&mut self.first, history.first());
        let reset = match (wants, history.after(self.cursor())) {
            (Wants::Snapshot(reset), _) => reset.or(is_led.then_some(Reset::Label)),
            // Whoever waited has not been told yet which payment it is.
            (Wants::Resume, _) if is_led && self.cursor() == Cursor::START => Some(Reset::Label),
            (Wants::Live, _) if is_led => Some(Reset::Label),
            (Wants::Led, _) if !is_led || followed != history.first() => Some(Reset::Label),
            (Wants::Resume, Some([])) => return Missed::Nothing,
            (Wants::Resume, Some(frames)) => return Missed::Replay(frames),
            (Wants::Live | Wants::Led, Some(frames)) => return Missed::Updates(frames),
            (Wants::Live | Wants::Led, None) if followed != Tag::NONE && followed == history.erased => {
                Some(Reset::Erased)
            }
            (Wants::Live | Wants::Led, None) => Some(Reset::RolledBack),
            (Wants::Resume, None) if history.head == Cursor::START => Some(Reset::Evicted),
            (Wants::Resume, None) if self.cursor().seq > history.head.seq => Some(Reset::RolledBack),
            (Wants::Resume, None) => Some(Reset::UnknownCursor),
        };
        self.cursor = history.head.into();
        Missed::Snapshot(reset)
    }

    /// Moves the cursor to this update. Returns whether it is news rather than replay.
    pub(super) fn pass(&mut self, frame: &Frame) -> bool {
        self.cursor = frame.cursor.into();
        if frame.cursor.seq == 1 {
            self.first = frame.cursor.tag;
        }
        frame.cursor.seq > self.began_at.into()
    }

    /// Whether the client has seen the whole log, and the payment is finished.
    pub(super) fn is_over(&self, settings: &Settings, now: Time) -> bool {
        let end = self.follower.topic().followed_end();
        self.cursor() == end.cursor && finish(&end, settings).is_some_and(|at| at <= now)
    }

    /// When the payment is finished, if nothing more happens to it.
    pub(super) fn finishes_at(&self, settings: &Settings) -> Option<Time> {
        finish(&self.follower.topic().followed_end(), settings)
    }
}

/// When a payment is finished: it is captured, canceled or expired, and has been silent for long enough. Refunds and disputes
/// may follow, but a checkout page need not wait for them.
fn finish(end: &LogEnd, settings: &Settings) -> Option<Time> {
    let linger = match end.phase? {
        Phase::Captured | Phase::Canceled => settings.linger,
        Phase::Expired => settings.linger.max(EXPIRED_LINGER),
        Phase::Created | Phase::RequiresAction | Phase::Processing | Phase::Failed | Phase::Authorized => {
            return None;
        }
    };
    let linger_ms = i64::try_from(linger.as_millis()).ok()?;
    Time::from_unix_ms(end.last_at?.unix_ms().saturating_add(linger_ms)).ok()
}
