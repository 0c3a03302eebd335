//! Confirmations that are owed: payments of which a provider only hinted that something has changed, until it was asked what.
//!
//! A debt is keyed by (source, payment), so any number of hints at one payment are one debt. It outlives the node that
//! noted it: whoever claims it holds it for a lease, and what was not settled by then is claimed anew.

use crate::payment::{Name, Time};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// Confirmations that one source may be owed at once. One more is a [`StoreError::TooMuchOwed`](super::StoreError), so that its
/// webhook is sent again. 65 536 of about 300 bytes are 20 MB; at ten fetches a second they are two hours' work, or up to six if every answer is doubted.
pub const MAX_OWED: usize = 65_536;

/// The longest that anything is put off. Where a clock was set back since, what a store finds put off for longer is due after this.
pub const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// On which terms a debt is claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimTerms {
    /// The least time between two claims of one source, by whichever nodes.
    pub spacing: Duration,
    /// How long it is the claimant's alone. Longer than its work can take.
    pub lease: Duration,
}

/// What a claim brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The debt that has been due longest.
    Owed(Owed),
    /// None yet: the next one may be claimed after this time, if not another node is first.
    Later(Duration),
    /// Nothing is owed.
    Nothing,
}

/// A debt that was claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owed {
    /// Whose.
    pub source: Arc<str>,
    /// What is to be confirmed.
    pub payment: Name,
    /// Why it was put off last, if it was since the last hint, …
    pub delay: Option<Delay>,
    /// … how often in a row for that reason …
    pub attempts: u32,
    /// … and since when.
    pub delayed_since: Time,
    /// Since when it is owed, or was answered last.
    pub since: Time,
    /// Drawn at the claim: what a former claimant still does is not done.
    pub ticket: u64,
}

/// Why a debt was put off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    /// The answer may be older than the hint.
    Doubted,
    /// There was an answer, which is none to the question.
    Puzzled,
    /// There was no answer.
    Failed,
}

/// What became of a claimed debt. If hints came since it was claimed, the answer may be older than they are: it is owed anew
/// whatever became of it, its attempts begin anew, and it is due no later than they want it to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settlement {
    /// It is paid, or given up.
    Done,
    /// It was answered, but is owed anew from now on, and due after this time: the answer may be older than its hint.
    Doubted {
        /// See above.
        after: Duration,
    },
    /// It was answered, but not with what was asked for, and is due after this time.
    Puzzled {
        /// See above.
        after: Duration,
    },
    /// It was not answered, and is due after this time.
    Postponed {
        /// See above.
        after: Duration,
    },
    /// It was not answered; it is due after this time, and nothing of its source is claimed before.
    Paused {
        /// See above.
        after: Duration,
    },
}

impl Settlement {
    /// Why it is put off, and for how long; nothing if it is not.
    #[must_use]
    pub const fn delay(self) -> Option<(Delay, Duration)> {
        match self {
            Self::Done => None,
            Self::Doubted { after } => Some((Delay::Doubted, after)),
            Self::Puzzled { after } => Some((Delay::Puzzled, after)),
            Self::Postponed { after } | Self::Paused { after } => Some((Delay::Failed, after)),
        }
    }
}

/// What a source is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// How long the oldest has been owed, or owed since it was answered last; nothing if there is none.
    pub oldest: Duration,
}
