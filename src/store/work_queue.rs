//! The work queue of pending confirmations: payments of which a provider only hinted that something has changed, until the provider
//! was asked what.
//!
//! A pending confirmation is keyed by (source, payment), so any number of hints at one payment are one item of work. It outlives the
//! node that added it: whoever claims it holds it for a lease, and if it is not settled by then, it can be claimed again.

use crate::payment::{Name, PART_REALM, Time};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use strum::IntoStaticStr;

/// Pending confirmations that one source may have. One more is a [`StoreError::TooManyPending`](super::StoreError), so that the
/// provider sends its webhook again. 65 536 of about 300 bytes are 20 MB; at ten questions a second they are two hours' work, or up to
/// six if every answer is doubted.
pub const MAX_PENDING: usize = 65_536;

/// The longest that a confirmation is postponed. If a clock was set back, a store may find one that is postponed for longer; it is due
/// after this time.
pub const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The kinds of work. The name of a queue says which one it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueueKind {
    /// Pending confirmations: the queue is named after its source, and an item after the payment.
    Confirmations,
    /// Parts for which events wait: the queue is named like the realm of their logs, and an item after the part.
    Parts,
}

impl QueueKind {
    /// The kind of work in a queue. No source is named like the realm of a part, since names of sources have no colon.
    pub(super) fn of(queue: &str) -> Self {
        if queue.starts_with(PART_REALM) { Self::Parts } else { Self::Confirmations }
    }
}

/// The terms of a claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimTerms {
    /// The least time between two claims of one source, by all nodes together.
    pub spacing: Duration,
    /// How long the claim excludes other claimants. It has to be longer than the work can take.
    pub lease: Duration,
}

/// The answer to a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The pending confirmation that has been due longest.
    Pending(Pending),
    /// None is due yet. The next one may be claimed after this time, unless another node claims it first.
    Later(Duration),
    /// The source has no pending confirmations.
    Nothing,
}

/// A pending confirmation that was claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// The source whose provider is to be asked.
    pub source: Arc<str>,
    /// The payment to confirm.
    pub payment: Name,
    /// The reason for the last delay, if there was one since the last hint.
    pub delay: Option<Delay>,
    /// How often in a row the confirmation was delayed for that reason.
    pub attempts: u32,
    /// When the first delay of that row began.
    pub delayed_since: Time,
    /// When the confirmation became pending, or was answered last.
    pub since: Time,
    /// Drawn at random at the claim. A settlement with the ticket of an earlier claim changes nothing.
    pub ticket: u64,
}

/// The reason why a confirmation was delayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delay {
    /// The answer may be older than the hint.
    Doubted,
    /// There was an answer, but not to the question.
    Puzzled,
    /// There was no answer.
    Failed,
}

/// What came of a claimed confirmation. If hints came after the claim, the answer may be older than they are: whatever the
/// settlement, the confirmation stays pending, its attempts begin anew, and it is due no later than the hints ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Settlement {
    /// The payment is confirmed, or the confirmation is given up.
    Done,
    /// There was an answer that may be older than the hint. The confirmation is pending anew from now on.
    Doubted {
        /// How long from now it is due.
        after: Duration,
    },
    /// There was an answer, but not to the question.
    Puzzled {
        /// How long from now it is due.
        after: Duration,
    },
    /// There was no answer.
    Postponed {
        /// How long from now it is due.
        after: Duration,
    },
    /// There was no answer, and nothing of the source can be claimed for a time.
    Paused {
        /// How long from now it is due, and the source's other confirmations can be claimed.
        after: Duration,
    },
}

impl Settlement {
    /// The word for the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// How long from now the confirmation is due again, in seconds. `None` if it is done.
    #[must_use]
    pub fn after_s(self) -> Option<f64> {
        self.delay().map(|(_, after)| after.as_secs_f64())
    }

    /// The reason for a delay and its length; nothing if the settlement is no delay.
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

/// The pending confirmations of one source, in numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// How many there are.
    pub count: u64,
    /// For how long the oldest has been pending, or pending since its last answer; zero if there is none.
    pub oldest: Duration,
}
