//! The status: what a payment's log means, in one word.

use super::Phase;
use serde::Serialize;
use std::fmt;

/// What a payment's log means, in one word. `State::status` chooses it, first match of: a dispute lost, one open, refunds, the
/// phase, nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The log holds no event, or none that states a phase.
    Unknown,
    /// The payment exists; nobody has tried to pay yet.
    Created,
    /// The customer has to act, for example for 3-D Secure.
    RequiresAction,
    /// An attempt was made and is not decided yet.
    Processing,
    /// An attempt failed; another may follow.
    Failed,
    /// The money is reserved.
    Authorized,
    /// The payment was called off.
    Canceled,
    /// The time to pay has run out.
    Expired,
    /// The money is taken.
    Captured,
    /// A part of the captured money was refunded.
    PartiallyRefunded,
    /// All of the captured money was refunded.
    Refunded,
    /// The customer's bank contests the payment.
    Disputed,
    /// The customer's bank took the money back.
    ChargedBack,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unknown,
        Self::Created,
        Self::RequiresAction,
        Self::Processing,
        Self::Failed,
        Self::Authorized,
        Self::Canceled,
        Self::Expired,
        Self::Captured,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Disputed,
        Self::ChargedBack,
    ];

    /// The status as JSON spells it.
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
