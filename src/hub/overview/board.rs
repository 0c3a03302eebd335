//! The board: what a node knows of all payments of a realm, in the order in which they came and in the order in which they changed. Pure.
//!
//! Each change of a payment gives it the next number, and a payment has only the number of its last change. So a reader needs no more than
//! the number up to which it has read: what follows is what changed since, each payment once and at its newest, however slow the
//! reader is.

use super::{
    filter::Filter,
    summary::{Fold, Summary},
};
use crate::{
    payment::{Cursor, Event, Name, PARTITIONS, Time},
    store::{IndexPart, Listed},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    ops::Bound,
    sync::Arc,
};

/// Payments that have left and whose readers are still told. A reader that is further behind has to begin anew.
const GONE: usize = 8192;

/// Payments whose folds are kept, so that their next events need no read of their logs. A fold takes about a kilobyte.
const FOLDS: usize = 20_000;

/// All payments of a realm, as the index and their logs say.
pub(super) struct Board {
    parts: Vec<Part>,
    entries: HashMap<Name, Entry>,
    by_arrival: BTreeSet<(Time, Name)>,
    by_change: BTreeMap<u64, Name>,
    /// The number of the last change.
    last: u64,
    /// The payments that have left, with the numbers of these changes.
    gone: VecDeque<(u64, Name)>,
    /// The number of the newest change that `gone` does not hold any more.
    forgotten: u64,
    /// The payments that changed and were not read since.
    dirty: HashSet<Name>,
    /// How many folds are kept.
    folds: usize,
    /// Everything that was appended before this time has been read.
    verified: Time,
    complete_since: Option<Time>,
    erased: Option<Time>,
}

/// What the board knows of one partition.
#[derive(Default)]
struct Part {
    /// Its payments in the order of their changes, as the index has them.
    order: BTreeSet<(Time, u64, Name)>,
    /// The store's time at the last read.
    now: Time,
    /// Whether it has to be read from the beginning.
    is_doubted: bool,
}

/// One payment.
struct Entry {
    first_seen: Time,
    changed: Time,
    seq: u64,
    /// The number of its last change.
    number: u64,
    /// What it comes to; nothing if it was not read since its last change.
    summary: Option<Arc<Summary>>,
    /// The fold of its log as it was read last, if it is kept.
    fold: Option<Box<Fold>>,
}

/// A place in the order of arrival: the payment that was looked at last.
pub(super) type Arrival = (Time, Name);

/// A payment of the board, in the order of arrival.
pub(super) struct Candidate {
    pub(super) listed: Listed,
    pub(super) summary: Option<Arc<Summary>>,
}

/// What a reader has not seen yet.
#[derive(Default)]
pub(super) struct News {
    /// The JSON of the payments that changed and pass the filter.
    pub(super) changed: Vec<Bytes>,
    /// Those that left, or do not pass the filter any more.
    pub(super) gone: Vec<Name>,
    /// The number up to which the reader has read now.
    pub(super) number: u64,
    /// Whether there is no more.
    pub(super) is_all: bool,
    /// Whether the reader cannot be told any more what has left.
    pub(super) is_behind: bool,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            parts: (0..PARTITIONS).map(|_| Part::default()).collect(),
            entries: HashMap::new(),
            by_arrival: BTreeSet::new(),
            by_change: BTreeMap::new(),
            last: 0,
            gone: VecDeque::new(),
            forgotten: 0,
            dirty: HashSet::new(),
            folds: 0,
            verified: Time::default(),
            complete_since: None,
            erased: None,
        }
    }
}

impl Board {
    pub(super) const fn verified(&self) -> Time {
        self.verified
    }

    pub(super) const fn complete_since(&self) -> Option<Time> {
        self.complete_since
    }

    pub(super) const fn erased(&self) -> Option<Time> {
        self.erased
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// Doubts everything, since the store may have gone back.
    pub(super) fn doubt(&mut self) {
        self.parts.iter_mut().for_each(|part| part.is_doubted = true);
        self.forget_folds();
    }

    /// From which time on a partition has to be read. Later appends may have the time of the last one, so that is read again.
    pub(super) fn read_from(&self, partition: u8) -> (u8, Time) {
        let part = self.parts.get(usize::from(partition)).filter(|part| !part.is_doubted);
        let last = part.and_then(|part| part.order.last());
        (partition, last.map_or(Time::default(), |(changed, ..)| *changed))
    }

    /// Takes what the index says of partitions, each from the time beside it on. Returns those that have to be read from the beginning, since
    /// payments are missing there. `is_watched` says that what changed is going to be read.
    pub(super) fn take(&mut self, read: Vec<((u8, Time), IndexPart)>, is_watched: bool) -> Vec<u8> {
        let (mut changed, mut doubted) = (Vec::new(), Vec::new());
        let mut states = Vec::with_capacity(read.len());
        for ((index, from), part) in read {
            let is_whole = from == Time::default();
            if is_whole {
                self.keep_only(index, &part.listed);
            }
            let IndexPart { listed, count, now, complete_since, erased } = part;
            changed.extend(listed.into_iter().map(|listed| (index, listed)));
            self.complete_since = self.complete_since.max(complete_since);
            self.erased = self.erased.max(erased);
            states.push((index, is_whole, count, now));
        }
        changed.sort_by_key(|(_, listed)| (listed.changed, listed.seq));
        changed.into_iter().for_each(|(index, listed)| self.list(index, listed, is_watched));
        for (index, is_whole, count, now) in states {
            self.leave_out(index, count);
            let Some(part) = self.parts.get_mut(usize::from(index)) else { continue };
            part.now = now;
            // What is read from the beginning counts as it is.
            part.is_doubted = !is_whole && part.order.len() as u64 != count;
            if part.is_doubted {
                doubted.push(index);
            }
        }
        doubted
    }

    /// Removes the payments of a partition that the index does not have any more.
    fn keep_only(&mut self, index: u8, listed: &[Listed]) {
        let listed: HashSet<_> = listed.iter().map(|listed| &listed.payment).collect();
        let known = self.parts.get(usize::from(index)).into_iter().flat_map(|part| &part.order);
        let left: Vec<_> = known.filter(|(.., payment)| !listed.contains(payment)).cloned().collect();
        left.into_iter().for_each(|(.., payment)| self.remove(index, &payment));
    }

    /// Removes the payments that the index has left out for want of room, if it has fewer than the board.
    fn leave_out(&mut self, index: u8, count: u64) {
        while let Some(part) = self.parts.get(usize::from(index))
            && part.order.len() as u64 > count
            && let Some((changed, _, oldest)) = part.order.first().cloned()
            && Some(changed) < self.complete_since
        {
            self.remove(index, &oldest);
        }
    }

    /// Puts a payment at the place that the index says.
    fn list(&mut self, partition: u8, listed: Listed, is_watched: bool) {
        let Listed { payment, first_seen, changed, seq } = listed;
        let known = self.entries.get(&payment);
        if known
            .is_some_and(|known| (known.first_seen, known.changed, known.seq) == (first_seen, changed, seq))
        {
            return;
        }
        if known.is_some_and(|known| known.first_seen != first_seen) {
            // It came anew, so nothing of what was known of it counts any more.
            self.unlist(partition, &payment);
        }
        self.last += 1;
        let number = self.last;
        self.by_change.insert(number, payment.clone());
        if is_watched {
            self.dirty.insert(payment.clone());
        }
        let order = self.parts.get_mut(usize::from(partition)).map(|part| &mut part.order);
        if let Some(entry) = self.entries.get_mut(&payment) {
            self.by_change.remove(&entry.number);
            let place = (entry.changed, entry.seq, payment);
            (entry.changed, entry.seq, entry.number, entry.summary) = (changed, seq, number, None);
            if let Some(order) = order {
                order.remove(&place);
                order.insert((changed, seq, place.2));
            }
            return;
        }
        order.map(|order| order.insert((changed, seq, payment.clone())));
        self.by_arrival.insert((first_seen, payment.clone()));
        self.entries.insert(payment, Entry { first_seen, changed, seq, number, summary: None, fold: None });
    }

    fn unlist(&mut self, partition: u8, payment: &Name) -> bool {
        let Some(entry) = self.entries.remove(payment) else { return false };
        self.folds -= usize::from(entry.fold.is_some());
        if let Some(part) = self.parts.get_mut(usize::from(partition)) {
            part.order.remove(&(entry.changed, entry.seq, payment.clone()));
        }
        self.by_arrival.remove(&(entry.first_seen, payment.clone()));
        self.by_change.remove(&entry.number);
        self.dirty.remove(payment);
        true
    }

    fn remove(&mut self, partition: u8, payment: &Name) {
        if self.unlist(partition, payment) {
            self.last += 1;
            self.gone.push_back((self.last, payment.clone()));
            if self.gone.len() > GONE
                && let Some((number, _)) = self.gone.pop_front()
            {
                self.forgotten = number;
            }
        }
    }

    /// What changed and has to be read.
    pub(super) fn dirty(&self) -> Vec<Listed> {
        self.dirty.iter().filter_map(|payment| self.listed(payment)).collect()
    }

    /// What changed after number `number` and was not read yet.
    pub(super) fn unread_after(&self, number: u64) -> Vec<Listed> {
        let changed = self.by_change.range((Bound::Excluded(number), Bound::Unbounded));
        let unread = changed
            .filter(|(_, payment)| self.entries.get(*payment).is_some_and(|entry| entry.summary.is_none()));
        unread.filter_map(|(_, payment)| self.listed(payment)).collect()
    }

    fn listed(&self, payment: &Name) -> Option<Listed> {
        let Entry { first_seen, changed, seq, .. } = *self.entries.get(payment)?;
        Some(Listed { payment: payment.clone(), first_seen, changed, seq })
    }

    /// Goes on with the fold of a payment by the events of notices. Returns whether they are all that is new.
    pub(super) fn go_on(&mut self, listed: &Listed, events: &[(Cursor, Arc<Event>)]) -> bool {
        let Some(entry) = self.entries.get_mut(&listed.payment) else { return false };
        let known = entry.fold.take();
        self.folds -= usize::from(known.is_some());
        let Some(fold) = Fold::go_on(known.map(|fold| *fold), listed.seq, events) else { return false };
        let summary = Arc::new(fold.summary(listed));
        self.put(listed, Some((fold, summary)));
        true
    }

    /// Takes what was read of a payment; nothing if its log is gone. What is older than the index says is left.
    pub(super) fn put(&mut self, listed: &Listed, read: Option<(Fold, Arc<Summary>)>) {
        let Some(entry) = self.entries.get_mut(&listed.payment) else { return };
        if (entry.changed, entry.seq) != (listed.changed, listed.seq) {
            return;
        }
        let (fold, summary) = read.unzip();
        entry.summary = summary;
        if self.dirty.remove(&listed.payment) {
            // Readers may have passed its number while it was not read yet.
            self.by_change.remove(&entry.number);
            self.last += 1;
            entry.number = self.last;
            self.by_change.insert(self.last, listed.payment.clone());
            // What has just changed may change again soon.
            self.folds -= usize::from(entry.fold.is_some());
            entry.fold = fold.map(Box::new);
            self.folds += usize::from(entry.fold.is_some());
            if self.folds > FOLDS {
                self.forget_folds();
            }
        }
    }

    fn forget_folds(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.fold = None);
        self.folds = 0;
    }

    /// Everything that was listed has been read, if nothing is left to be read.
    pub(super) fn verify(&mut self) {
        if self.dirty.is_empty() {
            let least = self.parts.iter().map(|part| part.now).min().unwrap_or_default();
            self.verified = self.verified.max(least);
        }
    }

    /// The number after which everything follows that changed at or after a time.
    pub(super) fn number_before(&self, time: Time) -> u64 {
        let since = self.entries.values().filter(|entry| entry.changed >= time).map(|entry| entry.number);
        since.min().map_or(self.last, |first| first.saturating_sub(1))
    }

    /// The payments that came before a place, the newest first, as far as the filter takes their times: at most `most`.
    pub(super) fn older(&self, before: Option<&Arrival>, filter: &Filter, most: usize) -> Vec<Candidate> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let from = filter.first_seen_from.unwrap_or_default();
        let older = self.by_arrival.range((Bound::Unbounded, end)).rev();
        let older = older.take_while(|(first_seen, _)| *first_seen >= from);
        let taken = older.filter(|(first_seen, _)| filter.takes_time(*first_seen)).take(most);
        let candidate = |(_, payment): &Arrival| {
            let summary = self.entries.get(payment)?.summary.clone();
            Some(Candidate { listed: self.listed(payment)?, summary })
        };
        taken.filter_map(candidate).collect()
    }

    /// What a reader that has read up to number `number` has not seen yet, until there are about `room` bytes.
    pub(super) fn news(&self, number: u64, filter: &Filter, room: usize) -> News {
        let mut news = News { number, is_all: true, is_behind: number < self.forgotten, ..News::default() };
        let mut bytes = 0;
        for (number, payment) in self.by_change.range((Bound::Excluded(number), Bound::Unbounded)) {
            if bytes >= room {
                news.is_all = false;
                break;
            }
            news.number = *number;
            let Some(entry) = self.entries.get(payment) else { continue };
            let Some(summary) = &entry.summary else { continue };
            if filter.takes(entry.first_seen, summary) {
                bytes += summary.json.len();
                news.changed.push(summary.json.clone());
            } else if filter.may_have_taken(entry.first_seen, summary) {
                bytes += payment.as_str().len();
                news.gone.push(payment.clone());
            }
        }
        if news.is_all {
            news.number = self.last;
        }
        let begin = self.gone.partition_point(|(gone, _)| *gone <= number);
        let gone = self.gone.range(begin..).take_while(|(gone, _)| *gone <= news.number);
        // One that came back is told as it is now, or is told with the rest.
        news.gone.extend(
            gone.map(|(_, payment)| payment).filter(|gone| !self.entries.contains_key(*gone)).cloned(),
        );
        news
    }
}
