//! Those who follow an overview: where they begin, and what they are told.

use super::{
    super::{bell::Bell, locks::lock},
    Overview,
    board::News,
    filter::Filter,
    page::Page,
};
use crate::{
    payment::{Name, Time},
    store::StoreError,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// How far a reconnect goes back before the time that its cursor names: longer than a commit takes, and than clocks differ.
const REPLAY: Duration = Duration::from_secs(5);

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
