//! The summary of one payment: its view, and what filters look at. Pure.

use super::filter::bit;
use crate::{
    payment::{Currency, Cursor, Event, State, Status, Tag, Time, View},
    store::{Listed, Log},
};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;

/// What the list says of one payment, as of one entry of its log.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) status: Status,
    pub(super) amount: Option<i64>,
    pub(super) currency: Option<Currency>,
    /// The provider and the source of its first event.
    pub(super) provider: Arc<str>,
    pub(super) source: Arc<str>,
    /// The statuses that it ever had, in the order of its log.
    pub(super) had: u16,
    /// Whether its amount or currency was ever another one.
    pub(super) is_repriced: bool,
    /// Its JSON object.
    pub(super) json: Bytes,
}

/// The fold of a log up to one entry, to go on with when the next one comes.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    state: State,
    had: u16,
    is_repriced: bool,
    /// The last entry.
    cursor: Cursor,
    /// Of the first event: its provider, its source, and whether it is about real money.
    provider: Arc<str>,
    source: Arc<str>,
    live: bool,
}

#[derive(Serialize)]
struct ListedObject<'a> {
    payment: &'a str,
    seq: u64,
    #[serde(flatten)]
    view: View,
    provider: &'a str,
    source: &'a str,
    live: bool,
    first_seen: Time,
    changed: Time,
}

impl Fold {
    /// A fold that begins with the first event of a log.
    fn begin(tag: Tag, event: &Event) -> Self {
        let mut fold = Self {
            state: State::default(),
            had: 0,
            is_repriced: false,
            cursor: Cursor::START,
            provider: Arc::clone(&event.provider),
            source: Arc::clone(&event.source),
            live: event.live,
        };
        fold.apply(tag, event);
        fold
    }

    /// The fold of a log up to the entry that the index names; nothing if the log is gone.
    pub(super) fn of(listed: &Listed, log: &Log) -> Option<Self> {
        let length = usize::try_from(listed.seq).unwrap_or(usize::MAX).min(log.entries.len());
        let (first, rest) = log.entries.get(..length)?.split_first()?;
        let mut fold = Self::begin(first.tag, &first.event);
        rest.iter().for_each(|entry| fold.apply(entry.tag, &entry.event));
        Some(fold)
    }

    /// Goes on with the events of notices up to entry `seq`. Returns nothing if they do not follow, so that the log has to be read.
    pub(super) fn go_on(known: Option<Self>, seq: u64, events: &[(Cursor, Arc<Event>)]) -> Option<Self> {
        let mut fold = known;
        for (cursor, event) in events.iter().filter(|(cursor, _)| cursor.seq <= seq) {
            match &mut fold {
                None if cursor.seq == 1 => fold = Some(Self::begin(cursor.tag, event)),
                Some(fold) if cursor.seq == fold.cursor.seq + 1 => fold.apply(cursor.tag, event),
                Some(fold) if *cursor == fold.cursor => {}
                // One is missing, or one came in place of another.
                _ => return None,
            }
        }
        fold.filter(|fold| fold.cursor.seq == seq)
    }

    fn apply(&mut self, tag: Tag, event: &Event) {
        let before = (self.state.amount(), self.state.currency());
        self.state.apply(event);
        self.had |= bit(self.state.status());
        self.is_repriced |= before.0.is_some() && before != (self.state.amount(), self.state.currency());
        self.cursor = Cursor { tag, seq: self.cursor.seq + 1 };
    }

    /// What the list says of the payment.
    pub(super) fn summary(&self, listed: &Listed) -> Summary {
        let view = self.state.view();
        let object = ListedObject {
            payment: listed.payment.as_str(),
            seq: listed.seq,
            view,
            provider: &self.provider,
            source: &self.source,
            live: self.live,
            first_seen: listed.first_seen,
            changed: listed.changed,
        };
        Summary {
            status: view.status,
            amount: view.amount,
            currency: view.currency,
            provider: Arc::clone(&self.provider),
            source: Arc::clone(&self.source),
            had: self.had,
            is_repriced: self.is_repriced,
            // Plain numbers and strings: writing them to memory cannot fail.
            json: serde_json::to_vec(&object).unwrap_or_default().into(),
        }
    }
}
