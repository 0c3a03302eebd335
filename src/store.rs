//! The store: the log of every payment, and word of what is new in it.
//!
//! One trait, small on purpose. Every store passes the conformance suite in `tests/it/contract.rs`, unchanged. The store
//! is where truth is: `append` is one atomic step (dedupe, `seq`, log, feed, publication), and everything else is derived
//! from what it holds. It knows events and cursors; it knows neither who posted nor who watches.

pub mod embedded;
mod owed;
mod record;
pub mod redis;

pub use owed::{Backlog, Claim, ClaimTerms, Delay, MAX_OWED, MAX_PAUSE, Owed, Settlement};
pub use record::{
    GivenUp, OutcomeKind, RECORDS_PER_SOURCE, ReasonCode, ReasonCodeError, Record, RecordCursor,
    RecordCursorError, RecordLog, RecordPage,
};

use crate::{
    metrics::Metrics,
    payment::{Cursor, Event, Name, Subject, Tag},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// The most events that one log holds; one more is a [`Conflict::LogFull`]. A real payment has a dozen or two.
pub const MAX_LOG: usize = 512;

/// References that each partition's feed keeps. A reader that is further behind gets [`Feed::Gone`] and re-reads the logs
/// it watches. 256 partitions × 1 024 references of about 100 bytes are 26 MB.
pub const FEED_LEN: u64 = 1024;

/// Notices that may wait for the hub; beyond, it is told that it lagged and heals from the feeds.
pub const NOTICE_BACKLOG: usize = 8192;

/// Where events are kept. Shared by all tasks; every method may be called concurrently.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends one event, durably and at most once, in one atomic step. Returns only after what it says is durable as
    /// configured (a duplicate's original too), so the caller may acknowledge at once.
    async fn append(&self, append: Append) -> Result<Appended, StoreError>;

    /// The whole log of a subject, in order; an empty one for a subject never heard of, or past its time to live.
    async fn read(&self, subject: &Subject) -> Result<Log, StoreError>;

    /// Live notices from now on, in order within a partition. A hint that there is news, not the truth: a receiver that
    /// lags, or sees a broken chain of tags, reads the feed.
    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>>;

    /// The references of a partition's feed from place `from` on, in order, at most [`FEED_LEN`]. [`Feed::Gone`] if the feed
    /// does not hold that place, be it older than what is kept or newer than the head; an empty feed is read from 1.
    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError>;

    /// The newest place of each partition's feed, indexed by partition. 256 of them.
    async fn heads(&self) -> Result<Vec<Head>, StoreError>;

    /// Keeps a record for the operators' tools in a bounded log of its source; the oldest go first.
    async fn record(&self, record: Record) -> Result<(), StoreError>;

    /// Reads a page of a source's records, newest first: at most `limit` of those that are older than `before`, or else of all.
    async fn records(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage, StoreError>;

    /// Notes that a payment of a source has to be confirmed, `after` from now at the earliest, durably before it returns. What
    /// is owed already is due then at the latest, and its attempts begin anew; what is just being worked on will be owed anew.
    async fn owe(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError>;

    /// Claims the debt of a source that has been due longest, for this caller alone until its lease is over.
    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError>;

    /// Says what became of a claimed debt. Nothing, if its lease was over and another has it.
    async fn settle(&self, owed: Owed, settlement: Settlement) -> Result<(), StoreError>;

    /// What each source is owed that is owed anything, claimed or not, and whether there still is such a source or not.
    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError>;

    /// Whether an append would succeed now: reachable, and durable as configured.
    async fn health(&self) -> Result<(), StoreError>;

    /// Returns each time that notices may have been lost, and what else may be. For one waiter at a time. A store whose
    /// notices cannot be lost never returns.
    async fn interrupted(&self) -> Interruption {
        std::future::pending().await
    }

    /// The notice of place `pos` in `partition`'s feed should have come by now. A store that never received it subscribes
    /// anew.
    fn missed(&self, _partition: u8, _pos: u64) {}

    /// Lets go of everything; what must last was written before it was acknowledged. What is asked afterwards is refused.
    async fn close(&self);
}

/// Which store, and how: `[store]` of the configuration.
#[derive(Clone, Debug)]
pub enum Settings {
    /// A folder on this machine.
    Embedded(embedded::Settings),
    /// A Redis server that several nodes share.
    Redis(redis::Settings),
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(embedded::Settings { path, history }) => {
                write!(f, "embedded in {}, history {history:?}", path.display())
            }
            Self::Redis(settings) => settings.fmt(f),
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder.
    #[error(transparent)]
    Embedded(embedded::OpenError),
    /// The server.
    #[error(transparent)]
    Redis(redis::OpenError),
}

/// Opens the store that is configured.
pub async fn open(settings: Settings, metrics: Arc<Metrics>) -> Result<Arc<dyn Store>, OpenError> {
    match settings {
        Settings::Embedded(settings) => {
            let open = move || embedded::Embedded::open(&settings, metrics);
            let opened = tokio::task::spawn_blocking(open).await;
            let store = opened.unwrap_or_else(|defect| std::panic::resume_unwind(defect.into_panic()));
            Ok(Arc::new(store.map_err(OpenError::Embedded)?))
        }
        Settings::Redis(settings) => {
            Ok(Arc::new(redis::Redis::open(settings, metrics).await.map_err(OpenError::Redis)?))
        }
    }
}

/// What to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The event.
    pub event: Event,
    /// The source says that its payment ids are the shop's own, so the log may hold other providers' events too.
    pub shared_ids: bool,
}

/// What came of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It is new, and durable.
    New {
        /// Its place in the log.
        cursor: Cursor,
    },
    /// The same event was there already; this is where.
    Duplicate {
        /// The original's place in the log.
        cursor: Cursor,
    },
    /// It was not taken; it belongs in quarantine.
    Conflict(Conflict),
}

/// Why a verified event was not taken into a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// An event of the same identity says something else.
    FactsDiffer,
    /// The log belongs to another provider.
    OtherProvider,
    /// The log holds [`MAX_LOG`] events.
    LogFull,
}

impl Conflict {
    /// The reason code for metrics, logs and quarantine.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FactsDiffer => "facts_differ",
            Self::OtherProvider => "other_provider",
            Self::LogFull => "log_full",
        }
    }
}

/// A subject's events in commit order: entry `i` has `seq` = i + 1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The entries, at most [`MAX_LOG`].
    pub entries: Vec<Entry>,
}

/// One entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Drawn at the append.
    pub tag: Tag,
    /// What was appended.
    pub event: Arc<Event>,
}

impl Log {
    /// The cursor of the last entry; [`Cursor::START`] if there is none.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.entries
            .last()
            .map_or(Cursor::START, |last| Cursor { tag: last.tag, seq: self.entries.len() as u64 })
    }

    /// The entries after `cursor`, or nothing if the log does not hold the entry that it names.
    #[must_use]
    pub fn after(&self, cursor: Cursor) -> Option<&[Entry]> {
        let seq = usize::try_from(cursor.seq).ok()?;
        let stands = match seq.checked_sub(1) {
            None => cursor == Cursor::START,
            Some(index) => self.entries.get(index)?.tag == cursor.tag,
        };
        if stands { self.entries.get(seq..) } else { None }
    }
}

/// Word of one append.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// Whose feed.
    pub partition: u8,
    /// Its place in that feed.
    pub pos: u64,
    /// The tag of the feed's entry before it.
    pub previous: Tag,
    /// Its place in the log; the tag is the feed entry's too.
    pub cursor: Cursor,
    /// What was appended.
    pub event: Arc<Event>,
}

/// What a read of a feed brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Feed {
    /// The references, in order.
    References(Vec<Reference>),
    /// They are not kept any more, or never were; this is the feed's newest place.
    Gone(Head),
}

/// What a watcher has to make good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interruption {
    /// Notices may have been lost: compare the heads.
    Missed,
    /// The store is another server now, or the old one begun anew. What was read from it lately may never have been: read
    /// everything that is watched.
    Elsewhere,
}

/// One reference of a feed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// Place in the feed, from 1.
    pub pos: u64,
    /// The tag of the entry that it refers to.
    pub tag: Tag,
    /// Whose log.
    pub subject: Subject,
    /// Place in that log.
    pub seq: u64,
}

/// The newest place of a feed; the default one is that of an empty feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// From 1; 0 for an empty feed.
    pub pos: u64,
    /// The tag at `pos`.
    pub tag: Tag,
}

/// The store could not do it: always our fault, never the caller's, and worth another try later.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, or it did not answer in time.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What it holds can't be read.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// More is waiting than it may hold back.
    #[error("the store has too many appends waiting")]
    Overloaded,
    /// The source is owed [`MAX_OWED`] confirmations.
    #[error("the source is owed too many confirmations")]
    TooMuchOwed,
}

#[cfg(test)]
pub(crate) mod fake;
