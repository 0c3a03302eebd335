//! The overview: all payments of one realm that the store's index holds, with the views of those that somebody looks at.
//!
//! The index is the truth: it says which payments there are and which of them changed. Notices only say where to look at once. While
//! there are readers, the index is looked at four times a second where notices came, and once a second everywhere; what changed is read from
//! its log once, for all readers. Each time that all is read, the overview is verified up to the least time of the partitions.
//!
//! | file | noun |
//! |---|---|
//! | `board`   | the payments in the order in which they came and in which they changed; pure |
//! | `filter`  | which of them a reader wants to see; pure |
//! | `summary` | what the list says of one payment; pure |

mod board;
mod filter;
mod summary;

pub use filter::Filter;

use super::{
    Hub,
    bell::{Bell, Ringer as _},
    lock,
};
use crate::{
    payment::{Cursor, Event, Kind, Name, PARTITIONS, Subject, Time},
    store::{Listed, Notice, NoticeBody, Store, StoreError},
};
use board::{Arrival, Board, Candidate, News};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};
use summary::{Fold, Summary};
use tokio::time::{Instant, MissedTickBehavior};

/// How often readers are told what has changed, at most.
const COALESCE: Duration = Duration::from_millis(250);

/// How often the whole index is looked at, so that what no notice announced is found.
const LOOK: Duration = Duration::from_secs(1);

/// How long an overview that nobody reads is kept.
const IDLE: Duration = Duration::from_secs(60);

/// How many logs are read at once.
const READS: usize = 16;

/// The most logs that are read for one page whose filter hides most of them.
const READS_PER_PAGE: usize = 2000;

/// The most events of notices that are kept until the next look.
const ANNOUNCED: usize = 8192;

/// How far a reconnect goes back before the time that its cursor names: longer than a commit takes, and than clocks differ.
const REPLAY: Duration = Duration::from_secs(5);

/// All payments of one realm, as this node knows them. The hub holds it as long as somebody reads it, and some time longer.
pub struct Overview {
    realm: Name,
    store: Arc<dyn Store>,
    /// A std mutex, since nothing is awaited while it is held.
    board: Mutex<Board>,
    /// Held while the index is read, so that one reader reads for all who wait.
    flight: tokio::sync::Mutex<()>,
    looks: Mutex<Looks>,
    /// The events of notices that came since the last look.
    announced: Mutex<Announced>,
    readers: Mutex<Vec<Arc<Bell>>>,
}

/// When the overview was looked at, and where it has to be.
struct Looks {
    /// When the last look at the whole index began that came to its end.
    whole: Option<Instant>,
    /// The partitions in which notices came since then.
    noted: [bool; PARTITIONS],
    /// When somebody last asked for something.
    asked: Instant,
}

/// The events of notices. They only spare reads of logs, so they may be forgotten at any time.
#[derive(Default)]
struct Announced {
    events: HashMap<Name, Vec<(Cursor, Arc<Event>)>>,
    count: usize,
}

/// A page of payments, in the order in which they came, the newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The JSON object of each.
    pub payments: Vec<Bytes>,
    /// Where the next page begins, if there may be one.
    pub next: Option<PagePlace>,
    /// All payments that changed since this time are in the list; `None` if all are.
    pub complete_since: Option<Time>,
}

/// A place between two pages: the payment that was looked at last. Its text form is `<milliseconds since 1970>.<payment>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PagePlace(Arrival);

impl fmt::Display for PagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self((first_seen, payment)) = self;
        write!(f, "{}.{payment}", first_seen.unix_ms())
    }
}

impl FromStr for PagePlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ms, payment) = text.split_once('.').ok_or("it has no dot")?;
        let first_seen = ms.parse().ok().and_then(|ms| Time::from_unix_ms(ms).ok());
        let first_seen = first_seen.ok_or("it does not begin with a time")?;
        Ok(Self((first_seen, payment.parse().map_err(|_| "it names no payment")?)))
    }
}

/// Why a reader that was here before has to begin anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// What it sent names no time.
    UnknownCursor,
    /// The list does not reach back so far.
    Evicted,
    /// Payments were erased since then, and nothing says which.
    Erased,
}

/// How a reader begins.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// With the newest page; with the reason why it cannot go on, if it was here before.
    Page(Page, Option<Restart>),
    /// Where it left off.
    Resumed,
}

/// What has changed for a reader.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The JSON object of each payment that changed and passes the filter.
    pub payments: Vec<Bytes>,
    /// The payments that left the list, or that do not pass the filter any more.
    pub gone: Vec<Name>,
    /// All payments that changed since this time are in the list; `None` if all are.
    pub complete_since: Option<Time>,
    /// Whether this is all.
    pub is_all: bool,
}

/// The reader is so far behind that nothing says any more what has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooFarBehind;

/// A reader of an overview that is told what changes. Its state is a number and a time, however slow it is.
pub struct Following {
    overview: Arc<Overview>,
    bell: Arc<Bell>,
    filter: Filter,
    /// The number of the last change that it was told of.
    number: u64,
    /// It was told of everything that was appended before this time.
    told: Time,
}

impl Overview {
    fn new(realm: Name, store: Arc<dyn Store>) -> Self {
        let looks = Looks { whole: None, noted: [false; PARTITIONS], asked: Instant::now() };
        Self {
            realm,
            store,
            board: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
            looks: Mutex::new(looks),
            announced: Mutex::default(),
            readers: Mutex::default(),
        }
    }

    /// How many readers follow it.
    pub fn readers(&self) -> usize {
        lock(&self.readers).len()
    }

    /// Notes that something happened in a partition.
    fn note(&self, partition: u8) {
        if let Some(noted) = lock(&self.looks).noted.get_mut(usize::from(partition)) {
            *noted = true;
        }
    }

    /// Keeps the event of a notice until the next look, if somebody follows.
    fn announce(&self, cursor: Cursor, event: &Arc<Event>) {
        if self.readers() == 0 {
            return;
        }
        let mut announced = lock(&self.announced);
        if announced.count >= ANNOUNCED {
            *announced = Announced::default();
        }
        announced.count += 1;
        let events = announced.events.entry(event.subject.id.clone()).or_default();
        events.push((cursor, Arc::clone(event)));
    }

    /// Reads a page: at most `limit` of the payments that pass the filter and came before a place. It says what was appended before it was
    /// asked for.
    pub async fn page(
        &self,
        filter: &Filter,
        before: Option<&PagePlace>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.see_all().await?;
        self.page_of(filter, before, limit).await
    }

    async fn page_of(
        &self,
        filter: &Filter,
        before: Option<&PagePlace>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let (mut payments, mut reads) = (Vec::new(), 0);
        let mut place = before.map(|PagePlace(place)| place.clone());
        let is_full = loop {
            let most = if filter.looks_at_no_view() { limit - payments.len() } else { READS * 8 };
            let older = lock(&self.board).older(place.as_ref(), filter, most);
            if older.is_empty() {
                break false;
            }
            let unread = older.iter().filter(|candidate| candidate.summary.is_none());
            let unread: Vec<_> = unread.map(|candidate| candidate.listed.clone()).collect();
            reads += unread.len();
            let mut read = self.read(unread).await?;
            for Candidate { listed, summary } in older {
                let summary = summary.or_else(|| read.remove(&listed.payment));
                if let Some(summary) = summary.filter(|summary| filter.takes(listed.first_seen, summary)) {
                    payments.push(summary.json.clone());
                }
                place = Some((listed.first_seen, listed.payment));
                if payments.len() == limit {
                    break;
                }
            }
            if payments.len() == limit || reads >= READS_PER_PAGE {
                break true;
            }
        };
        let board = lock(&self.board);
        let has_more = is_full && !board.older(place.as_ref(), filter, 1).is_empty();
        let next = place.filter(|_| has_more).map(PagePlace);
        Ok(Page { payments, next, complete_since: board.complete_since() })
    }

    /// Begins to follow the overview: `bell` rings whenever [`Following::pull`] may have something new. `cursor` is the text of the time up
    /// to which the reader was told everything, if it was here before; a page has at most `limit` payments.
    pub async fn follow(
        self: &Arc<Self>,
        bell: Arc<Bell>,
        filter: Filter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Following, Beginning), StoreError> {
        lock(&self.readers).push(Arc::clone(&bell));
        // Made before anything is awaited, so that its drop takes the bell away again.
        let (number, told) = (0, Time::default());
        let mut following = Following { overview: Arc::clone(self), bell, filter, number, told };
        self.see_all().await?;
        let restart = match cursor.map(|cursor| self.resume(cursor)) {
            Some(Ok(number)) => {
                let unread = lock(&self.board).unread_after(number);
                self.read(unread).await?;
                following.number = number;
                return Ok((following, Beginning::Resumed));
            }
            Some(Err(restart)) => Some(restart),
            None => None,
        };
        {
            let board = lock(&self.board);
            (following.number, following.told) = (board.last(), board.verified());
        }
        let page = self.page_of(&following.filter, None, limit).await?;
        Ok((following, Beginning::Page(page, restart)))
    }

    /// The number of the change after which a reader goes on that was told everything up to a time.
    fn resume(&self, cursor: &str) -> Result<u64, Restart> {
        let replay_ms = i64::try_from(REPLAY.as_millis()).unwrap_or_default();
        let ms = cursor.parse::<i64>().map_err(|_| Restart::UnknownCursor)?;
        let from = Time::from_unix_ms(ms.saturating_sub(replay_ms)).map_err(|_| Restart::UnknownCursor)?;
        let board = lock(&self.board);
        if from > board.verified() {
            return Err(Restart::UnknownCursor);
        }
        if Some(from) < board.complete_since() {
            return Err(Restart::Evicted);
        }
        if board.erased() >= Some(from) {
            return Err(Restart::Erased);
        }
        Ok(board.number_before(from))
    }

    /// Looks at the whole index, so that the overview lists everything that was appended until now.
    async fn see_all(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        lock(&self.looks).asked = asked;
        let _one_reader = self.flight.lock().await;
        if lock(&self.looks).whole.is_some_and(|whole| whole > asked) {
            return Ok(());
        }
        self.look((0..=u8::MAX).collect()).await?;
        lock(&self.board).verify();
        Ok(())
    }

    /// Looks at what may be new, reads what changed, and tells the readers.
    async fn tick(&self) -> Result<(), StoreError> {
        let (before, announced) = {
            let _one_reader = self.flight.lock().await;
            // Taken before the look, which thus lists all of them.
            let announced = std::mem::take(&mut *lock(&self.announced));
            let partitions = self.to_look_at();
            let before = lock(&self.board).last();
            if !partitions.is_empty() {
                self.look(partitions).await?;
            }
            (before, announced)
        };
        let unknown = {
            let mut board = lock(&self.board);
            let mut dirty = board.dirty();
            dirty.retain(|listed| {
                let events = announced.events.get(&listed.payment);
                !events.is_some_and(|events| board.go_on(listed, events))
            });
            dirty
        };
        self.read(unknown).await?;
        let has_news = {
            let mut board = lock(&self.board);
            board.verify();
            board.last() != before
        };
        if has_news {
            self.ring();
        }
        Ok(())
    }

    /// The partitions that have to be looked at now.
    fn to_look_at(&self) -> Vec<u8> {
        let looks = lock(&self.looks);
        let is_due = looks.whole.is_none_or(|whole| whole.elapsed() >= LOOK);
        (0..=u8::MAX).zip(looks.noted).filter(|(_, noted)| is_due || *noted).map(|(index, _)| index).collect()
    }

    /// Reads the index in these partitions. The caller holds the flight.
    async fn look(&self, partitions: Vec<u8>) -> Result<(), StoreError> {
        let began = Instant::now();
        let is_watched = {
            let mut looks = lock(&self.looks);
            for index in &partitions {
                if let Some(noted) = looks.noted.get_mut(usize::from(*index)) {
                    *noted = false;
                }
            }
            // At first all is listed, and nothing of that has changed for anybody.
            looks.whole.is_some() && self.readers() > 0
        };
        let is_whole = partitions.len() == PARTITIONS;
        let taken = self.take(partitions, is_watched).await;
        let mut looks = lock(&self.looks);
        match taken {
            Ok(()) if is_whole => looks.whole = Some(began),
            Ok(()) => {}
            // What was noted may have been missed.
            Err(_) => looks.noted = [true; PARTITIONS],
        }
        taken
    }

    async fn take(&self, mut partitions: Vec<u8>, is_watched: bool) -> Result<(), StoreError> {
        while !partitions.is_empty() {
            let from: Vec<_> = {
                let board = lock(&self.board);
                partitions.iter().map(|index| board.read_from(*index)).collect()
            };
            let parts = self.store.index(&self.realm, &from).await?;
            partitions = lock(&self.board).take(from.into_iter().zip(parts).collect(), is_watched);
        }
        Ok(())
    }

    /// Reads payments from their logs.
    async fn read(&self, payments: Vec<Listed>) -> Result<HashMap<Name, Arc<Summary>>, StoreError> {
        let read = |listed: Listed| async move {
            let subject = Subject::payment(self.realm.clone(), listed.payment.clone());
            let log = self.store.read(&subject).await?;
            let read = Fold::of(&listed, &log).map(|fold| {
                let summary = Arc::new(fold.summary(&listed));
                (fold, summary)
            });
            let summary = read.as_ref().map(|(_, summary)| Arc::clone(summary));
            lock(&self.board).put(&listed, read);
            Ok(summary.map(|summary| (listed.payment, summary)))
        };
        let reads = stream::iter(payments).map(read).buffer_unordered(READS);
        reads.try_filter_map(|read| std::future::ready(Ok(read))).try_collect().await
    }

    /// Wakes the readers.
    fn ring(&self) {
        lock(&self.readers).iter().for_each(|bell| bell.ring(0));
    }
}

impl Following {
    /// What has changed since the last pull, until there are about `room` bytes; nothing if nothing has.
    pub fn pull(&mut self, room: usize) -> Result<Option<Changes>, TooFarBehind> {
        let board = lock(&self.overview.board);
        let News { changed, gone, number, is_all, is_behind } = board.news(self.number, &self.filter, room);
        if is_behind {
            return Err(TooFarBehind);
        }
        self.number = number;
        if is_all {
            self.told = self.told.max(board.verified());
        }
        let complete_since = board.complete_since();
        let is_empty = changed.is_empty() && gone.is_empty();
        Ok((!is_empty).then_some(Changes { payments: changed, gone, complete_since, is_all }))
    }

    /// The time up to which the reader was told everything, in milliseconds since 1970: its cursor.
    #[must_use]
    pub const fn cursor(&self) -> i64 {
        self.told.unix_ms()
    }

    /// All payments that changed since this time are in the list; `None` if all are.
    #[must_use]
    pub fn complete_since(&self) -> Option<Time> {
        lock(&self.overview.board).complete_since()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        lock(&self.overview.readers).retain(|bell| !Arc::ptr_eq(bell, &self.bell));
    }
}

impl Hub {
    /// The overview of a realm. The first who asks for it has it read.
    #[must_use]
    pub fn overview(self: &Arc<Self>, realm: &Name) -> Arc<Overview> {
        let mut overviews = lock(&self.overviews);
        if let Some(overview) = overviews.get(realm) {
            return Arc::clone(overview);
        }
        let overview = Arc::new(Overview::new(realm.clone(), Arc::clone(&self.store)));
        overviews.insert(realm.clone(), Arc::clone(&overview));
        let (hub, kept) = (Arc::clone(self), Arc::clone(&overview));
        tokio::spawn(async move { hub.keep(kept).await });
        overview
    }

    /// Keeps an overview up to date as long as it is followed, and forgets it when nobody has read it for a while.
    async fn keep(self: Arc<Self>, overview: Arc<Overview>) {
        let mut tick = tokio::time::interval(COALESCE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stopped.cancelled() => return,
                _ = tick.tick() => {}
            }
            if overview.readers() > 0 {
                lock(&overview.looks).asked = Instant::now();
                if let Err(error) = overview.tick().await {
                    tracing::debug!(%error, "looking at the index again");
                }
            } else if lock(&overview.looks).asked.elapsed() >= IDLE {
                let mut overviews = lock(&self.overviews);
                // One handle is the hub's, and one is this task's.
                if Arc::strong_count(&overview) == 2 {
                    overviews.remove(&overview.realm);
                    return;
                }
            }
        }
    }

    /// Tells the overviews where to look.
    pub(super) fn note(&self, notice: &Notice) {
        let overviews = lock(&self.overviews);
        if overviews.is_empty() {
            return;
        }
        match &notice.body {
            NoticeBody::Appended { seq, event } if event.subject.kind == Kind::Payment => {
                let Some(overview) = overviews.get(&event.subject.realm) else { return };
                overview.announce(Cursor { tag: notice.tag, seq: *seq }, event);
                overview.note(notice.partition);
            }
            NoticeBody::Appended { .. } => {}
            NoticeBody::Erased { .. } => {
                for overview in overviews.values() {
                    // Which log it was is not known, and a new one may begin under the same id.
                    *lock(&overview.announced) = Announced::default();
                    overview.note(notice.partition);
                }
            }
        }
    }

    /// Has the overviews read everything again, since the store may have gone back.
    pub(super) fn doubt_overviews(&self) {
        for overview in lock(&self.overviews).values() {
            lock(&overview.board).doubt();
        }
    }

    /// Wakes the readers of all overviews.
    pub(super) fn ring_overviews(&self) {
        lock(&self.overviews).values().for_each(|overview| overview.ring());
    }
}

#[cfg(test)]
mod tests;
