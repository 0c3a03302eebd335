//! The one word for a page.

use super::Phase;
use serde::Serialize;
use std::fmt;

/// What a payment's log means, in one word. Chosen by [`super::State::status`], first match of: a dispute lost, one open,
/// refunds, the phase, nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No event yet.
    Unknown,
    /// Known, nothing attempted.
    Created,
    /// The customer has something to do.
    RequiresAction,
    /// Attempted, no answer yet.
    Processing,
    /// An attempt failed; another may follow.
    Failed,
    /// The money is reserved.
    Authorized,
    /// Called off.
    Canceled,
    /// Ran out of time.
    Expired,
    /// The money is taken.
    Captured,
    /// Some of it went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// The customer's bank contests it.
    Disputed,
    /// The customer's bank took it back.
    ChargedBack,
}

impl Status {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Created => "created",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::Authorized => "authorized",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Captured => "captured",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
            Self::ChargedBack => "charged_back",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Option<Phase>> for Status {
    fn from(phase: Option<Phase>) -> Self {
        match phase {
            None => Self::Unknown,
            Some(Phase::Created) => Self::Created,
            Some(Phase::RequiresAction) => Self::RequiresAction,
            Some(Phase::Processing) => Self::Processing,
            Some(Phase::Failed) => Self::Failed,
            Some(Phase::Authorized) => Self::Authorized,
            Some(Phase::Canceled) => Self::Canceled,
            Some(Phase::Expired) => Self::Expired,
            Some(Phase::Captured) => Self::Captured,
        }
    }
}
