//! A topic: the live end of one watched log. Compact folded state, a cursor, the watchers' bells; frames only while
//! someone needs them.

use super::{Bell, Frame, Snapshot, lock};
use crate::{
    payment::{Cursor, Phase, State, Subject, Tag, Time},
    store::{Log, Notice},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

/// The most frames that a topic keeps for readers that keep up; who is further behind reads the store.
const RECENT: usize = 64;

/// The live end of one watched log.
pub(super) struct Topic {
    subject: Subject,
    /// Held while the log is read, so that one reader reads for all who wait.
    pub(super) flight: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What stands below is what the log says. False until the log was first read, and while it has to be read anew.
    trusted: bool,
    /// The log's last entry.
    cursor: Cursor,
    /// The log's first entry: another one means another log.
    first: Tag,
    /// When the last event was received.
    last_at: Option<Time>,
    state: State,
    /// Frames of the newest entries, without a hole, the last one at `cursor`.
    recent: VecDeque<Arc<Frame>>,
    /// The whole log, as long as it ends at `cursor`, and the number of the read that found it so.
    cached: Option<(Arc<History>, u64)>,
    /// Reads of the log begun so far, and how many of them had begun when it was last distrusted: what those bring may be the
    /// very thing that was distrusted.
    reads: u64,
    distrusted_at: u64,
    /// Notices heard so far, and the `seq` of the newest that could not be applied: they tell whether a log that was read
    /// meanwhile may be too old.
    heard: u64,
    unapplied: u64,
    warmth: Warmth,
    bells: Vec<Arc<Bell>>,
}

/// Whether a topic holds frames or a history, and so is on the hub's list of topics to cool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Warmth {
    /// It holds none.
    #[default]
    Cool,
    /// It does, and nothing came since the last tick.
    Warm,
    /// Something came since the last tick.
    Hot,
}

/// A read of the log that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    number: u64,
    /// What had been heard before it.
    heard: u64,
}

/// What a topic did with a notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It is folded in, and the watchers are woken.
    Applied,
    /// It was known, or the log is about to be read anyhow.
    Nothing,
    /// It does not fit what we know: read the log.
    Reload,
}

/// What a watcher's pull brings.
#[derive(Clone, Debug)]
pub enum Pull {
    /// Nothing after the cursor.
    Current,
    /// The entries after the cursor, all of them, in order.
    Frames(Vec<Arc<Frame>>),
    /// The topic does not keep what is needed: ask for the history.
    Behind,
}

/// Where a log stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Its last entry.
    pub cursor: Cursor,
    /// The payment's phase.
    pub phase: Option<Phase>,
    /// When its last event was received.
    pub last_at: Option<Time>,
}

impl Topic {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, flight: tokio::sync::Mutex::default(), inner: Mutex::default() }
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub(super) fn add(&self, bell: &Arc<Bell>) {
        self.inner().bells.push(Arc::clone(bell));
    }

    /// Removes one watcher; true if it was the last one.
    pub(super) fn remove(&self, bell: &Arc<Bell>) -> bool {
        let mut inner = self.inner();
        if let Some(place) = inner.bells.iter().position(|known| Arc::ptr_eq(known, bell)) {
            inner.bells.swap_remove(place);
        }
        inner.bells.is_empty()
    }

    pub(super) fn ring(&self) {
        self.inner().ring();
    }

    /// Takes the notice that follows in the partition.
    pub(super) fn hear(&self, notice: &Notice) -> Heard {
        let mut inner = self.inner();
        inner.heard += 1;
        let begins_anew =
            notice.cursor.seq == 1 && inner.first != Tag::NONE && inner.first != notice.cursor.tag;
        if !inner.trusted {
            inner.unapplied = notice.cursor.seq;
            return Heard::Nothing;
        }
        if notice.cursor.seq <= inner.cursor.seq && !begins_anew {
            // We had read ahead of the notice; but if we read an entry that is no more, this is another one in its place.
            let is_known = inner.tag_of(notice.cursor.seq) == Some(notice.cursor.tag);
            return if is_known { Heard::Nothing } else { Heard::Reload };
        }
        if notice.cursor.seq != inner.cursor.seq + 1 || begins_anew {
            return Heard::Reload;
        }
        let change = inner.state.apply(&notice.event);
        let frame = Frame::update(&notice.event, notice.cursor, inner.cursor.tag, &inner.state, change);
        if inner.recent.len() == RECENT {
            inner.recent.pop_front();
        }
        inner.recent.push_back(Arc::new(frame));
        inner.cursor = notice.cursor;
        if notice.cursor.seq == 1 {
            inner.first = notice.cursor.tag;
        }
        inner.last_at = Some(notice.event.received_at);
        inner.cached = None;
        inner.ring();
        Heard::Applied
    }

    pub(super) fn pull(&self, cursor: Cursor) -> Pull {
        let inner = self.inner();
        if cursor == inner.cursor && (inner.trusted || cursor != Cursor::START) {
            return Pull::Current;
        }
        let follows = |frame: &Arc<Frame>| frame.previous == cursor.tag && frame.cursor.seq == cursor.seq + 1;
        match inner.recent.iter().position(follows) {
            Some(place) => Pull::Frames(inner.recent.range(place..).cloned().collect()),
            None => Pull::Behind,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let inner = self.inner();
        Standing { cursor: inner.cursor, phase: inner.state.phase(), last_at: inner.last_at }
    }

    /// The log has to be read anew before anything more is applied.
    pub(super) fn distrust(&self) {
        let mut inner = self.inner();
        inner.trusted = false;
        inner.distrusted_at = inner.reads;
        inner.unapplied = 0;
        inner.cached = None;
    }

    /// How many reads had begun when a reader came. A later one tells it all that was committed before it came.
    pub(super) fn reads(&self) -> u64 {
        self.inner().reads
    }

    /// The whole log, if a read that began after the first `reads` brought it.
    pub(super) fn cached(&self, reads: u64) -> Option<Arc<History>> {
        self.inner().cached.as_ref().filter(|(_, read)| *read > reads).map(|(history, _)| Arc::clone(history))
    }

    /// To be called before the log is read, and handed to [`Topic::adopt`] with it.
    pub(super) fn begin_read(&self) -> Read {
        let mut inner = self.inner();
        inner.reads += 1;
        Read { number: inner.reads, heard: inner.heard }
    }

    /// Takes over a log that was read, unless it may be older than what was heard while it was read: then `None`, and it
    /// has to be read again. A notice follows its commit, so a log read after it holds its entry.
    pub(super) fn adopt(&self, log: Log, read: Read) -> Option<Arc<History>> {
        let mut inner = self.inner();
        let head = log.head();
        let holds_all =
            if inner.trusted { log.after(inner.cursor).is_some() } else { head.seq >= inner.unapplied };
        let is_old = !inner.trusted && read.number <= inner.distrusted_at;
        if is_old || (inner.heard != read.heard && !holds_all) {
            return None;
        }
        if let Some((history, found)) = inner.cached.as_mut().filter(|(history, _)| history.head == head) {
            *found = read.number;
            return Some(Arc::clone(history));
        }
        let history = Arc::new(History::new(&self.subject, log));
        let moved = head != inner.cursor || !inner.trusted;
        if head != inner.cursor {
            inner.recent.clear();
        }
        inner.trusted = true;
        inner.unapplied = 0;
        inner.cursor = head;
        inner.first = history.log.entries.first().map_or(Tag::NONE, |entry| entry.tag);
        inner.last_at = history.log.entries.last().map(|entry| entry.event.received_at);
        inner.state = State::fold(history.log.entries.iter().map(|entry| &*entry.event));
        inner.cached = Some((Arc::clone(&history), read.number));
        if moved {
            inner.ring();
        }
        Some(history)
    }

    /// Something came that is to be dropped later. True if the topic was cool, and so has to be put on the list of those to
    /// be cooled.
    pub(super) fn warm_up(&self) -> bool {
        let mut inner = self.inner();
        let was = std::mem::replace(&mut inner.warmth, Warmth::Hot);
        was == Warmth::Cool
    }

    /// Called at every tick while the topic is warm: if nothing has come since the last one, drops what only a reader that
    /// was there in time needs. True if the topic is cool now.
    pub(super) fn cool_down(&self) -> bool {
        let mut inner = self.inner();
        if std::mem::replace(&mut inner.warmth, Warmth::Warm) == Warmth::Hot {
            return false;
        }
        inner.warmth = Warmth::Cool;
        inner.cached = None;
        inner.recent = VecDeque::new();
        true
    }
}

impl Inner {
    /// The tag of entry `seq`, as far as it is remembered: what was heard or read lately is.
    fn tag_of(&self, seq: u64) -> Option<Tag> {
        if seq == self.cursor.seq {
            return Some(self.cursor.tag);
        }
        let heard = self.recent.iter().find(|frame| frame.cursor.seq == seq).map(|frame| frame.cursor.tag);
        heard.or_else(|| {
            let (history, _) = self.cached.as_ref()?;
            let index = usize::try_from(seq).ok()?.checked_sub(1)?;
            history.log.entries.get(index).map(|entry| entry.tag)
        })
    }

    fn ring(&self) {
        for bell in &self.bells {
            bell.ring();
        }
    }
}

/// A whole log, folded: what a stream needs that begins, or that is further behind than the topic remembers.
pub struct History {
    /// The log's last entry.
    pub head: Cursor,
    /// The payment as it stands at `head`, encoded once for all.
    pub snapshot: Snapshot,
    log: Log,
    frames: OnceLock<Vec<Arc<Frame>>>,
}

impl History {
    fn new(subject: &Subject, log: Log) -> Self {
        Self { head: log.head(), snapshot: Snapshot::new(subject, &log), log, frames: OnceLock::new() }
    }

    /// The frames after `cursor`, or nothing if the log does not hold the entry that it names.
    #[must_use]
    pub fn after(&self, cursor: Cursor) -> Option<&[Arc<Frame>]> {
        self.log.after(cursor)?;
        let frames = self.frames.get_or_init(|| Frame::updates(&self.log));
        frames.get(usize::try_from(cursor.seq).ok()?..)
    }
}
