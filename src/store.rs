//! The store: the log of every payment, and live notices of what is new in it.
//!
//! The store holds the truth: `append` is one atomic step (dedupe, `seq`, log, feed, publication), and everything else is derived
//! from what it holds. There is one interface and one implementation for each kind of store; each passes the conformance suite in
//! `tests/it/contract.rs`, unchanged. The store knows events and cursors; it knows neither who posted nor who watches.
//!
//! | file | noun |
//! |---|---|
//! | `interface` | the trait [`Store`] |
//! | `append`    | what is appended, and what came of it |
//! | `log`       | a subject's events in commit order |
//! | `feed`      | references to the newest events of a partition |
//! | `index`     | the payments of a realm that changed most recently |
//! | `notice`    | live messages about appends |
//! | `audit`     | what operators changed |
//! | `expiry`    | how long records and the audit trail are kept |
//! | `record`    | lines of a source's delivery log and quarantine |
//! | `work_queue` | the work queue of pending confirmations, and of parts for which events wait |
//! | `labels`    | binding other ids to payments |
//! | `parts`     | finding the payments of events that name a part alone |
//! | `rewrites`  | what an erasure takes of other payments, until it is written again |
//! | `erase`     | removing all about one payment |
//! | `backup`    | a copy of a store that is in use |
//! | `error`     | why a store could not do it |
//! | `embedded`, `redis` | the two stores |

mod append;
mod audit;
mod backup;
pub mod embedded;
mod erase;
mod error;
mod expiry;
mod feed;
mod index;
mod interface;
mod labels;
mod log;
mod notice;
mod parts;
mod record;
pub mod redis;
mod rewrites;
mod work_queue;

pub use append::{Append, Appended, Conflict};
pub use audit::{AUDIT_ENTRIES, AuditAction, AuditEntry, AuditPage, PaymentDigest};
pub use backup::Backup;
pub use erase::{Erased, Erasure};
pub use error::StoreError;
pub use expiry::Expiry;
pub use feed::{FEED_LEN, Feed, Head, Reference, Referent};
pub use index::{IndexPart, Listed, RECENT};
pub use interface::Store;
pub use labels::Labels;
pub use log::{Entry, Log, MAX_LOG};
pub use notice::{Interruption, NOTICE_BACKLOG, Notice, NoticeBody, NoticedEvent};
pub use parts::{MAX_WAIT, Parts, Placement};
pub use record::{
    Finding, GivenUp, HELD_BYTES, HELD_FOR, HELD_PER_SHARE, Held, HeldId, HeldIdError, Holding, OutcomeKind,
    QuarantineClass, RECORDS_PER_SHARE, RECORDS_PER_SOURCE, ReasonCode, ReasonCodeError, Record,
    RecordCursor, RecordCursorError, RecordLog, RecordPage, Settling, ValueKind,
};
pub use redis::Login;
pub use work_queue::{
    Backlog, Claim, ClaimTerms, Delay, MAX_PAUSE, MAX_PENDING, Pending, QueueKind, Settlement,
};

use crate::metrics::Metrics;
use std::{fmt, sync::Arc, time::Duration};

/// Which store to use, and how: `[store]` of the configuration.
#[derive(Clone, Debug)]
pub enum Settings {
    /// A folder on this machine.
    Embedded(embedded::Settings),
    /// A Redis server that several nodes share.
    Redis(redis::Settings),
}

impl Settings {
    /// How long a log lives after its last event.
    #[must_use]
    pub const fn history(&self) -> Duration {
        match self {
            Self::Embedded(settings) => settings.history,
            Self::Redis(settings) => settings.history,
        }
    }

    /// How many payments of a realm the index holds at most; 0 for no index.
    #[must_use]
    pub const fn recent(&self) -> usize {
        match self {
            Self::Embedded(settings) => settings.recent,
            Self::Redis(settings) => settings.recent,
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(embedded::Settings { path, history, .. }) => {
                write!(f, "embedded in {}, history {history:?}", path.display())
            }
            Self::Redis(settings) => settings.fmt(f),
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder was refused.
    #[error(transparent)]
    Embedded(embedded::FolderError),
    /// The Redis server was refused.
    #[error(transparent)]
    Redis(redis::ServerError),
}

/// Opens the store that is configured. Returns with it how its connections log in, if it has any.
pub async fn open(
    settings: Settings,
    metrics: Arc<Metrics>,
) -> Result<(Arc<dyn Store>, Option<Login>), OpenError> {
    match settings {
        Settings::Embedded(settings) => {
            let open = move || embedded::Embedded::open(&settings, metrics);
            let opened = tokio::task::spawn_blocking(open).await;
            let store = opened.unwrap_or_else(|defect| std::panic::resume_unwind(defect.into_panic()));
            Ok((Arc::new(store.map_err(OpenError::Embedded)?), None))
        }
        Settings::Redis(settings) => {
            let store = redis::Redis::open(settings, metrics).await.map_err(OpenError::Redis)?;
            let login = store.login();
            Ok((Arc::new(store), Some(login)))
        }
    }
}

#[cfg(test)]
pub(crate) mod fake;
