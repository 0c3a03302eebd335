//! An append: what a store is given, and what came of it.

use crate::payment::{Cursor, Event};

/// What to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// The event.
    pub event: Event,
    /// Whether the source says that its payment ids are the shop's own, so that the log may hold other providers' events too.
    pub shared_ids: bool,
}

/// What came of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// The event is new, and durable.
    New {
        /// Its place in the log.
        cursor: Cursor,
    },
    /// The log already holds the same event.
    Duplicate {
        /// The original's place in the log.
        cursor: Cursor,
    },
    /// The event was not taken, and belongs in the quarantine.
    Conflict(Conflict),
}

/// Why a verified event was not taken into a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// An event of the same identity says something else.
    FactsDiffer,
    /// The log belongs to another provider.
    OtherProvider,
    /// The log holds [`MAX_LOG`](super::MAX_LOG) events.
    LogFull,
}

impl Conflict {
    /// The reason code for metrics, logs and records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FactsDiffer => "facts_differ",
            Self::OtherProvider => "other_provider",
            Self::LogFull => "log_full",
        }
    }
}
