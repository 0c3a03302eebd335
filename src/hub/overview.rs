//! The overview: all payments of one realm that the store's index holds, with the views of those that somebody looks at.
//!
//! The index is the truth: it says which payments there are and which of them changed. Notices only say where to look at once. While
//! there are readers, the index is looked at four times a second where notices came, and once a second everywhere; what changed is read from
//! its log once, for all readers. Each time that all is read, the overview is verified up to the least time of the partitions.
//!
//! | file | noun |
//! |---|---|
//! | `page`    | pages of payments |
//! | `following` | those who are told what changes |
//! | `keep`    | what the hub does for its overviews |
//! | `board`   | the payments in the order in which they came and in which they changed; pure |
//! | `filter`  | which of them a reader wants to see; pure |
//! | `summary` | what the list says of one payment; pure |

mod board;
mod filter;
mod following;
mod keep;
mod page;
mod summary;

pub use filter::Filter;
pub use following::{Beginning, Changes, Following, Restart, TooFarBehind};
pub use page::{Page, PagePlace};

use super::{
    bell::{Bell, Ringer as _},
    locks::lock,
};
use crate::{
    payment::{Cursor, Event, Name, PARTITIONS, Subject},
    store::{Listed, Store, StoreError},
};
use board::Board;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use summary::{Fold, Summary};
use tokio::time::Instant;

/// How often the whole index is looked at, so that what no notice announced is found.
const LOOK: Duration = Duration::from_secs(1);

/// How many logs are read at once.
const READS: usize = 16;

/// The most events of notices that are kept until the next look.
const ANNOUNCED: usize = 8192;

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

#[cfg(test)]
mod tests;
