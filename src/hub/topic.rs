//! A topic: the live end of one watched log. It holds the cursor of the log's end, its watchers and the folded state, packed into
//! few bytes; frames, the whole log and the unpacked state only while something happens. It does no I/O: the hub reads the log for
//! it.

use super::{
    bell::Ringer,
    flight::Flight,
    frame::Frame,
    history::History,
    pull::{LogEnd, Pull},
    watchers::{Watcher, Watchers},
};
use crate::{
    payment::{Cursor, Event, Packed, PackedCursor, Phase, State, Subject, Tag, Time},
    store::Log,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// How many frames a topic keeps for readers that keep up. A reader that is further behind gets the history.
const RECENT: usize = 64;

/// The live end of one watched log. The hub holds it as long as it has a watcher. There may be a million of them, so it keeps what
/// it needs only now and then in a box.
pub struct Topic {
    subject: Subject,
    /// How many streams and long polls follow the log.
    followers: AtomicU32,
    /// A std mutex, since nothing is awaited while it is held.
    live: Mutex<LiveEnd>,
}

#[derive(Default)]
struct LiveEnd {
    /// Whether the fields below say what the log says: false until the log was first read, and while it has to be read again.
    trusted: bool,
    /// The payment's phase at the end of the log.
    phase: Option<Phase>,
    /// The log's last entry.
    end: PackedCursor,
    /// The tag of the log's first entry. Another one there means that the log was begun anew.
    first: Tag,
    /// When the last event was received, if there is one.
    last_at: Time,
    /// The fold of the log, unless the warm part has it unpacked.
    state: Packed,
    /// What is kept while something happens.
    warm: Option<Box<Warm>>,
    /// The number of reads of the log that have begun.
    reads: u32,
    /// The number of notices taken. If it changed during a read, the log that was read may be too old.
    notices: u32,
    watchers: Watchers,
}

/// What a topic keeps until a second or two have brought nothing new, and until it is trusted again.
#[derive(Default)]
struct Warm {
    /// Held while the log is read, so that one reader reads for all who wait.
    flight: Arc<Flight>,
    /// The value of `reads` when the topic was last distrusted: reads up to this number may bring what is distrusted.
    distrusted_at: u32,
    /// The `seq` of the newest notice that came while the topic was not trusted.
    unapplied: u64,
    /// The tag that the first entry had in the log that was erased last, if that happened while the log was watched. It is kept as
    /// long as the topic.
    erased: Tag,
    /// The fold of the log. If there is none, the packed state is the fold.
    state: Option<State>,
    /// The frames of the newest entries, without a gap; the last one is that of the log's end.
    recent: VecDeque<Arc<Frame>>,
    /// The topic of the payment that the id of this one points at, as long as this one has no log.
    target: Option<Arc<Topic>>,
    /// The whole log, as long as it ends at the topic's cursor, and the number of the read that brought it last.
    cached: Option<(Arc<History>, u32)>,
    /// It is on the hub's list of topics to cool.
    is_listed: bool,
    /// Something has come since the last tick.
    is_hot: bool,
}

/// A read of the log that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRead {
    number: u32,
    /// The number of notices taken before it began.
    notices: u32,
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

impl Topic {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, followers: AtomicU32::new(0), live: Mutex::default() }
    }

    /// The log.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Locks the state, also after a holder has panicked: every change under this lock is a single step, so the data is whole.
    fn live(&self) -> MutexGuard<'_, LiveEnd> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one watcher.
    pub(super) fn add(&self, watcher: Watcher) {
        self.live().watchers.add(watcher);
    }

    /// Removes one watcher. Returns whether it was the last one.
    pub(super) fn remove(&self, watcher: &Watcher) -> bool {
        let mut live = self.live();
        live.watchers.remove(watcher);
        live.watchers.as_slice().is_empty()
    }

    /// The lock for the one reader of the log.
    pub(super) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.live().warm().flight)
    }

    /// What this ringer is told by the topic, if it is one of its watchers.
    #[must_use]
    pub fn key_of(&self, ringer: &Arc<dyn Ringer>) -> Option<u32> {
        let live = self.live();
        live.watchers.as_slice().iter().find(|known| known.is_of(ringer)).map(|known| known.key)
    }

    /// How many streams and long polls follow the log.
    #[must_use]
    pub fn followers(&self) -> usize {
        usize::try_from(self.followers.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Counts a follower that comes, or one that goes.
    pub(super) fn count_follower(&self, comes: bool) {
        // Wraps to subtract. The counter guards no other memory.
        self.followers.fetch_add(if comes { 1 } else { u32::MAX }, Ordering::Relaxed);
    }

    /// Wakes the watchers.
    pub(super) fn ring(&self) {
        self.live().ring();
    }

    /// Whether somebody follows whatever the topic follows, and not only its own log.
    pub(super) fn is_followed(&self) -> bool {
        self.live().watchers.as_slice().iter().any(|watcher| !watcher.ringer.hears_own_log_alone())
    }

    /// Wakes the watchers who follow whatever the topic follows.
    pub(super) fn ring_followers(&self) {
        let live = self.live();
        let followers =
            live.watchers.as_slice().iter().filter(|watcher| !watcher.ringer.hears_own_log_alone());
        followers.for_each(|watcher| watcher.ringer.ring(watcher.key));
    }

    /// Takes the event that was appended to the log as entry `cursor`, by the notice that follows in the partition.
    pub(super) fn take(&self, cursor: Cursor, event: &Event) -> Effect {
        let mut live = self.live();
        live.notices = live.notices.wrapping_add(1);
        let begins_anew = cursor.seq == 1 && live.first != Tag::NONE && live.first != cursor.tag;
        if !live.trusted {
            live.warm().unapplied = cursor.seq;
            return Effect::Ignored;
        }
        let end = live.cursor();
        if cursor.seq <= end.seq && !begins_anew {
            // A read was ahead of this notice. If it brought an entry that has vanished since, this is another in its place.
            let is_known = live.tag_of(cursor.seq) == Some(cursor.tag);
            return if is_known { Effect::Ignored } else { Effect::Reload };
        }
        if cursor.seq != end.seq + 1 || begins_anew {
            return Effect::Reload;
        }
        let (state, recent) = live.unpack();
        let change = state.apply(event);
        let phase = state.phase();
        let frame = Frame::update(event, cursor, end.tag, state, change);
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Arc::new(frame));
        live.phase = phase;
        live.end = cursor.into();
        if cursor.seq == 1 {
            live.first = cursor.tag;
        }
        live.last_at = event.received_at;
        live.forget_log();
        live.ring();
        Effect::Applied
    }

    /// Takes the erasure of a log of the topic's partition, whose first entry had the tag `first`. Returns whether the topic's log may be
    /// that one, so that it has to be read again. It may be while a read is under way too, since that may have begun before the erasure.
    pub(super) fn erase(&self, first: Tag) -> bool {
        let mut live = self.live();
        let is_read = live.warm.as_ref().is_some_and(|warm| warm.flight.is_locked());
        let is_ours = first != Tag::NONE && live.first == first;
        if is_ours {
            let warm = live.warm();
            warm.erased = first;
            warm.recent.clear();
        }
        is_ours || first == Tag::NONE || is_read || !live.trusted
    }

    /// The updates after `cursor` of what the topic's watchers follow: its own log or, if `is_led`, that of the payment that its id points
    /// at. A watcher who followed the other of the two has to read the history.
    #[must_use]
    pub fn follow(&self, cursor: Cursor, is_led: bool) -> Pull {
        let live = self.live();
        match (live.target().cloned(), is_led) {
            (None, false) => live.pull(cursor),
            (Some(target), true) => {
                // One lock after the other: the target may follow this very topic.
                drop(live);
                target.pull(cursor)
            }
            (None, true) | (Some(_), false) => Pull::Behind,
        }
    }

    /// Whether a history that lacks the entry `cursor`, which a watcher has written, shows that this entry has vanished. If not, the
    /// history is older than the entry, since the topic went on while it was read or on its way, and has to be read again.
    #[must_use]
    pub fn has_lost(&self, cursor: Cursor, head: Cursor) -> bool {
        let target = self.target();
        let live = target.as_deref().unwrap_or(self).live();
        let is_known = live.tag_of(head.seq) == Some(head.tag);
        is_known && (head.seq >= cursor.seq || head == live.cursor())
    }

    /// The end of the log that the topic's watchers follow.
    #[must_use]
    pub fn followed_end(&self) -> LogEnd {
        self.target().map_or_else(|| self.log_end(), |target| target.log_end())
    }

    /// The topic whose log the topic's watchers follow, if it is not this one.
    #[must_use]
    pub fn target(&self) -> Option<Arc<Self>> {
        self.live().target().cloned()
    }

    /// Has the topic's watchers follow another topic as long as this one has no log. Returns whether they followed another one before.
    pub(super) fn point_at(&self, target: Option<Arc<Self>>) -> bool {
        let mut live = self.live();
        let before = live.warm.as_ref().and_then(|warm| warm.target.as_ref());
        let is_same = match (before, &target) {
            (None, None) => true,
            (Some(before), Some(target)) => Arc::ptr_eq(before, target),
            _ => false,
        };
        if is_same {
            return false;
        }
        let before = std::mem::replace(&mut live.warm.get_or_insert_default().target, target);
        drop(live);
        // Its last hold may be this one, and a topic is not dropped under the lock of another.
        drop(before);
        true
    }

    /// Whether the topic's log is empty, as far as the topic knows.
    pub(super) fn has_no_log(&self) -> bool {
        self.live().cursor() == Cursor::START
    }

    /// Whether the topic knows its log.
    pub(super) fn is_read(&self) -> bool {
        self.live().trusted
    }

    /// The payment's phase at the end of the log; `None` if there is no log.
    pub(super) fn phase_of_log(&self) -> Option<Option<Phase>> {
        let live = self.live();
        (live.cursor() != Cursor::START).then_some(live.phase)
    }

    /// The updates after `cursor`, as far as the topic keeps them.
    #[must_use]
    pub fn pull(&self, cursor: Cursor) -> Pull {
        self.live().pull(cursor)
    }

    /// The end of the log; that of an empty log until the log was read.
    #[must_use]
    pub fn log_end(&self) -> LogEnd {
        let live = self.live();
        let cursor = live.cursor();
        LogEnd { cursor, phase: live.phase, last_at: (cursor != Cursor::START).then_some(live.last_at) }
    }

    /// Applies no more notices until the log has been read again.
    pub(super) fn distrust(&self) {
        let mut live = self.live();
        live.trusted = false;
        let reads = live.reads;
        let warm = live.warm();
        (warm.distrusted_at, warm.unapplied, warm.cached) = (reads, 0, None);
    }

    /// The number of reads that have begun. A read that begins later brings all that is committed by now.
    pub(super) fn reads(&self) -> u32 {
        self.live().reads
    }

    /// The whole log, if a read with a number above `reads` brought it.
    pub(super) fn cached(&self, reads: u32) -> Option<Arc<History>> {
        let live = self.live();
        let cached = live.warm.as_ref()?.cached.as_ref();
        cached.filter(|(_, read)| *read > reads).map(|(history, _)| Arc::clone(history))
    }

    /// Keeps this history no longer. Readers who come later read the log again.
    pub(super) fn drop_history(&self, history: &Arc<History>) {
        let mut live = self.live();
        if let Some(warm) = live.warm.as_mut() {
            let dropped = warm.cached.take_if(|(kept, _)| Arc::ptr_eq(kept, history));
            drop(live);
            // Not under the lock, since it may be long.
            drop(dropped);
        }
    }

    /// Begins a read of the log, whose result goes to [`Topic::adopt`].
    pub(super) fn begin_read(&self) -> LogRead {
        let mut live = self.live();
        live.reads = live.reads.saturating_add(1);
        LogRead { number: live.reads, notices: live.notices }
    }

    /// Takes over a log that was read. `None` if it may lack an entry whose notice came during the read: then it has to be read
    /// again. A notice follows its commit, so a read that begins after a notice brings its entry.
    pub(super) fn adopt(&self, log: Log, read: LogRead) -> Option<Arc<History>> {
        let mut live = self.live();
        let live = &mut *live;
        let head = log.head();
        let (trusted, end, notices) = (live.trusted, live.cursor(), live.notices);
        let warm = live.warm();
        let holds_all = if trusted { log.after(end).is_some() } else { head.seq >= warm.unapplied };
        let is_old = !trusted && read.number <= warm.distrusted_at;
        if is_old || (notices != read.notices && !holds_all) {
            return None;
        }
        if let Some((history, found)) = warm.cached.as_mut().filter(|(history, _)| history.head == head) {
            *found = read.number;
            return Some(Arc::clone(history));
        }
        let history = Arc::new(History::new(&self.subject, log, warm.erased));
        let moved = head != end || !trusted;
        if head != end {
            warm.recent.clear();
        }
        warm.state = None;
        warm.cached = Some((Arc::clone(&history), read.number));
        warm.unapplied = 0;
        live.trusted = true;
        live.end = head.into();
        let entries = history.entries();
        live.first = history.first();
        live.last_at = entries.last().map_or(Time::default(), |entry| entry.event.received_at);
        let state = State::fold(entries.iter().map(|entry| &*entry.event));
        live.phase = state.phase();
        live.state = Packed::from(&state);
        if moved {
            live.ring();
        }
        Some(history)
    }

    /// Notes that something has come, which the hub lets the topic drop later. Returns whether the topic is not yet on the hub's
    /// list of topics to cool.
    pub(super) fn warm_up(&self) -> bool {
        let mut live = self.live();
        let warm = live.warm();
        warm.is_hot = true;
        !std::mem::replace(&mut warm.is_listed, true)
    }

    /// Drops the frames and the history, and packs the state, if nothing has come since the last tick and nobody reads the log.
    /// Returns whether it did. The hub calls this at every tick while the topic is on its list.
    pub(super) fn cool_down(&self) -> bool {
        let mut live = self.live();
        let is_to_be_read = !live.trusted && !live.watchers.as_slice().is_empty();
        let Some(warm) = &mut live.warm else { return true };
        let is_hot = std::mem::replace(&mut warm.is_hot, false);
        // A second reader must find the lock that the first one holds, and the next read what was distrusted.
        if is_hot || is_to_be_read || Arc::strong_count(&warm.flight) > 1 {
            return false;
        }
        let Some(Warm { state, erased, target, .. }) = live.warm.take().map(|warm| *warm) else {
            return true;
        };
        if let Some(state) = state {
            live.state = Packed::from(&state);
        }
        if target.is_some() || erased != Tag::NONE {
            live.warm = Some(Box::new(Warm { erased, target, ..Warm::default() }));
        }
        true
    }
}

#[cfg(test)]
impl Topic {
    /// Whether it keeps more than its end.
    pub(super) fn is_warm(&self) -> bool {
        self.live().warm.is_some()
    }
}

impl LiveEnd {
    /// The log's last entry.
    fn cursor(&self) -> Cursor {
        self.end.into()
    }

    /// What is kept while something happens. Whoever asks for it has the hub put the topic on its list.
    fn warm(&mut self) -> &mut Warm {
        self.warm.get_or_insert_default()
    }

    /// The topic that is followed in place of this one, which has no log.
    fn target(&self) -> Option<&Arc<Topic>> {
        self.warm.as_ref()?.target.as_ref().filter(|_| self.cursor() == Cursor::START)
    }

    fn pull(&self, cursor: Cursor) -> Pull {
        if cursor == self.cursor() && (self.trusted || cursor != Cursor::START) {
            return Pull::Current;
        }
        let follows = |frame: &Arc<Frame>| frame.previous == cursor.tag && frame.cursor.seq == cursor.seq + 1;
        let kept = self.warm.as_ref().map(|warm| &warm.recent);
        let place = kept.and_then(|recent| recent.iter().position(follows));
        match kept.zip(place) {
            Some((recent, place)) => Pull::Frames(recent.range(place..).cloned().collect()),
            None => Pull::Behind,
        }
    }

    /// The fold of the log to go on with, and the frames of its newest entries.
    fn unpack(&mut self) -> (&mut State, &mut VecDeque<Arc<Frame>>) {
        let Self { state, warm, .. } = self;
        let Warm { state: unpacked, recent, .. } = &mut **warm.get_or_insert_default();
        (unpacked.get_or_insert_with(|| State::from(&*state)), recent)
    }

    /// Drops the log that was read.
    fn forget_log(&mut self) {
        if let Some(warm) = &mut self.warm {
            warm.cached = None;
        }
    }

    /// The tag of entry `seq`, if the topic still holds it.
    fn tag_of(&self, seq: u64) -> Option<Tag> {
        let end = self.cursor();
        if seq == end.seq {
            return Some(end.tag);
        }
        let warm = self.warm.as_ref()?;
        let recent = warm.recent.iter().find(|frame| frame.cursor.seq == seq).map(|frame| frame.cursor.tag);
        recent.or_else(|| {
            let (history, _) = warm.cached.as_ref()?;
            let index = usize::try_from(seq).ok()?.checked_sub(1)?;
            history.entries().get(index).map(|entry| entry.tag)
        })
    }

    fn ring(&self) {
        for watcher in self.watchers.as_slice() {
            watcher.ringer.ring(watcher.key);
        }
    }
}
