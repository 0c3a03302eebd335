//! A topic: the live end of one watched log. It holds the folded state, the cursor of the log's end and the watchers' bells,
//! and frames only while someone needs them. It does no I/O: the hub reads the log for it.

use super::{bell::Bell, frame::Frame, history::History};
use crate::{
    payment::{Cursor, Event, Phase, State, Subject, Tag, Time},
    store::Log,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many frames a topic keeps for readers that keep up. A reader that is further behind gets the history.
const RECENT: usize = 64;

/// The live end of one watched log. The hub holds it as long as it has a watcher.
pub(super) struct Topic {
    subject: Subject,
    /// Held while the log is read, so that one reader reads for all who wait. A Tokio mutex, since the read is awaited.
    pub(super) flight: tokio::sync::Mutex<()>,
    /// A std mutex, since nothing is awaited while it is held.
    live: Mutex<LiveEnd>,
}

#[derive(Default)]
struct LiveEnd {
    /// Whether the fields below say what the log says: false until the log was first read, and while it has to be read again.
    trusted: bool,
    /// The log's last entry.
    cursor: Cursor,
    /// The tag of the log's first entry. Another one there means that the log was begun anew.
    first: Tag,
    /// The tag that the first entry had in the log that was erased last, if that happened while the log was watched.
    erased: Tag,
    /// When the last event was received.
    last_at: Option<Time>,
    /// The fold of the log.
    state: State,
    /// The frames of the newest entries, without a gap; the last one is that of `cursor`.
    recent: VecDeque<Arc<Frame>>,
    /// The whole log, as long as it ends at `cursor`, and the number of the read that brought it last.
    cached: Option<(Arc<History>, u64)>,
    /// The number of reads of the log that have begun.
    reads: u64,
    /// The value of `reads` when the topic was last distrusted: reads up to this number may bring what is distrusted.
    distrusted_at: u64,
    /// The number of notices taken. If it grew during a read, the log that was read may be too old.
    notices: u64,
    /// The `seq` of the newest notice that came while the topic was not trusted.
    unapplied: u64,
    warmth: Warmth,
    bells: Vec<Arc<Bell>>,
}

/// Whether a topic holds frames or a history, and so is on the hub's list of topics to cool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Warmth {
    /// It holds neither.
    #[default]
    Cool,
    /// It holds some, and nothing has come since the last tick.
    Warm,
    /// Something has come since the last tick.
    Hot,
}

/// A read of the log that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRead {
    number: u64,
    /// The number of notices taken before it began.
    notices: u64,
}

/// What a notice did to a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    /// Its event was folded into the state, and the watchers were woken.
    Applied,
    /// None: its event was known, or the log is about to be read anyway.
    Ignored,
    /// It contradicts what the topic knows, so the log has to be read.
    Reload,
}

/// What a watcher's pull returns.
#[derive(Clone, Debug)]
pub enum Pull {
    /// No entry follows the cursor.
    Current,
    /// The entries after the cursor, all of them, in order.
    Frames(Vec<Arc<Frame>>),
    /// The topic does not keep what the watcher needs; it has to read the history.
    Behind,
}

/// The end of a log, as far as the topic knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogEnd {
    /// The last entry.
    pub cursor: Cursor,
    /// The payment's phase after it.
    pub phase: Option<Phase>,
    /// When its delivery was received.
    pub last_at: Option<Time>,
}

impl Topic {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, flight: tokio::sync::Mutex::default(), live: Mutex::default() }
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Locks the state, also after a holder has panicked: every change under this lock is a single step, so the data is whole.
    fn live(&self) -> MutexGuard<'_, LiveEnd> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one watcher.
    pub(super) fn add(&self, bell: &Arc<Bell>) {
        self.live().bells.push(Arc::clone(bell));
    }

    /// Removes one watcher. Returns whether it was the last one.
    pub(super) fn remove(&self, bell: &Arc<Bell>) -> bool {
        let mut live = self.live();
        if let Some(place) = live.bells.iter().position(|known| Arc::ptr_eq(known, bell)) {
            live.bells.swap_remove(place);
        }
        live.bells.is_empty()
    }

    /// Wakes the watchers.
    pub(super) fn ring(&self) {
        self.live().ring();
    }

    /// Takes the event that was appended to the log as entry `cursor`, by the notice that follows in the partition.
    pub(super) fn take(&self, cursor: Cursor, event: &Event) -> Effect {
        let mut live = self.live();
        live.notices += 1;
        let begins_anew = cursor.seq == 1 && live.first != Tag::NONE && live.first != cursor.tag;
        if !live.trusted {
            live.unapplied = cursor.seq;
            return Effect::Ignored;
        }
        if cursor.seq <= live.cursor.seq && !begins_anew {
            // A read was ahead of this notice. If it brought an entry that has vanished since, this is another in its place.
            let is_known = live.tag_of(cursor.seq) == Some(cursor.tag);
            return if is_known { Effect::Ignored } else { Effect::Reload };
        }
        if cursor.seq != live.cursor.seq + 1 || begins_anew {
            return Effect::Reload;
        }
        let change = live.state.apply(event);
        let frame = Frame::update(event, cursor, live.cursor.tag, &live.state, change);
        if live.recent.len() == RECENT {
            live.recent.pop_front();
        }
        live.recent.push_back(Arc::new(frame));
        live.cursor = cursor;
        if cursor.seq == 1 {
            live.first = cursor.tag;
        }
        live.last_at = Some(event.received_at);
        live.cached = None;
        live.ring();
        Effect::Applied
    }

    /// Takes the erasure of a log of the topic's partition, whose first entry had the tag `first`. Returns whether the topic's log may be
    /// that one, so that it has to be read again. It may be while a read is under way too, since that may have begun before the erasure.
    pub(super) fn erase(&self, first: Tag) -> bool {
        let is_read = self.flight.try_lock().is_err();
        let mut live = self.live();
        let is_ours = first != Tag::NONE && live.first == first;
        if is_ours {
            live.erased = first;
            live.recent.clear();
        }
        is_ours || first == Tag::NONE || is_read || !live.trusted
    }

    /// The frames after `cursor`, as far as the topic keeps them.
    pub(super) fn pull(&self, cursor: Cursor) -> Pull {
        let live = self.live();
        if cursor == live.cursor && (live.trusted || cursor != Cursor::START) {
            return Pull::Current;
        }
        let follows = |frame: &Arc<Frame>| frame.previous == cursor.tag && frame.cursor.seq == cursor.seq + 1;
        match live.recent.iter().position(follows) {
            Some(place) => Pull::Frames(live.recent.range(place..).cloned().collect()),
            None => Pull::Behind,
        }
    }

    pub(super) fn end(&self) -> LogEnd {
        let live = self.live();
        LogEnd { cursor: live.cursor, phase: live.state.phase(), last_at: live.last_at }
    }

    /// Applies no more notices until the log has been read again.
    pub(super) fn distrust(&self) {
        let mut live = self.live();
        live.trusted = false;
        live.distrusted_at = live.reads;
        live.unapplied = 0;
        live.cached = None;
    }

    /// The number of reads that have begun. A read that begins later brings all that is committed by now.
    pub(super) fn reads(&self) -> u64 {
        self.live().reads
    }

    /// The whole log, if a read with a number above `reads` brought it.
    pub(super) fn cached(&self, reads: u64) -> Option<Arc<History>> {
        self.live().cached.as_ref().filter(|(_, read)| *read > reads).map(|(history, _)| Arc::clone(history))
    }

    /// Begins a read of the log, whose result goes to [`Topic::adopt`].
    pub(super) fn begin_read(&self) -> LogRead {
        let mut live = self.live();
        live.reads += 1;
        LogRead { number: live.reads, notices: live.notices }
    }

    /// Takes over a log that was read. `None` if it may lack an entry whose notice came during the read: then it has to be read
    /// again. A notice follows its commit, so a read that begins after a notice brings its entry.
    pub(super) fn adopt(&self, log: Log, read: LogRead) -> Option<Arc<History>> {
        let mut live = self.live();
        let head = log.head();
        let holds_all =
            if live.trusted { log.after(live.cursor).is_some() } else { head.seq >= live.unapplied };
        let is_old = !live.trusted && read.number <= live.distrusted_at;
        if is_old || (live.notices != read.notices && !holds_all) {
            return None;
        }
        if let Some((history, found)) = live.cached.as_mut().filter(|(history, _)| history.head == head) {
            *found = read.number;
            return Some(Arc::clone(history));
        }
        let history = Arc::new(History::new(&self.subject, log, live.erased));
        let moved = head != live.cursor || !live.trusted;
        if head != live.cursor {
            live.recent.clear();
        }
        live.trusted = true;
        live.unapplied = 0;
        live.cursor = head;
        let entries = history.entries();
        live.first = history.first();
        live.last_at = entries.last().map(|entry| entry.event.received_at);
        live.state = State::fold(entries.iter().map(|entry| &*entry.event));
        live.cached = Some((Arc::clone(&history), read.number));
        if moved {
            live.ring();
        }
        Some(history)
    }

    /// Notes that the topic holds something to drop later. Returns whether it was cool, and so is not on the hub's list of
    /// topics to cool yet.
    pub(super) fn warm_up(&self) -> bool {
        let mut live = self.live();
        let was = std::mem::replace(&mut live.warmth, Warmth::Hot);
        was == Warmth::Cool
    }

    /// Drops the frames and the history if nothing has come since the last tick. Returns whether the topic is cool now. The hub
    /// calls this at every tick while the topic is on its list.
    pub(super) fn cool_down(&self) -> bool {
        let mut live = self.live();
        if std::mem::replace(&mut live.warmth, Warmth::Warm) == Warmth::Hot {
            return false;
        }
        live.warmth = Warmth::Cool;
        live.cached = None;
        live.recent = VecDeque::new();
        true
    }
}

impl LiveEnd {
    /// The tag of entry `seq`, if the topic still holds it.
    fn tag_of(&self, seq: u64) -> Option<Tag> {
        if seq == self.cursor.seq {
            return Some(self.cursor.tag);
        }
        let recent = self.recent.iter().find(|frame| frame.cursor.seq == seq).map(|frame| frame.cursor.tag);
        recent.or_else(|| {
            let (history, _) = self.cached.as_ref()?;
            let index = usize::try_from(seq).ok()?.checked_sub(1)?;
            history.entries().get(index).map(|entry| entry.tag)
        })
    }

    fn ring(&self) {
        for bell in &self.bells {
            bell.ring();
        }
    }
}
