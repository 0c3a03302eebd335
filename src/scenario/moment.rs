//! What can happen to a payment, in terms that belong to no provider.

use serde::Deserialize;

/// Something that can happen to a payment, whatever providers call it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(super) enum Moment {
    Created,
    RequiresAction,
    Processing,
    Failed,
    Authorized,
    Captured,
    Canceled,
    Expired,
    RefundPending,
    Refunded,
    /// The provider reports the total of all refunds so far, besides a refund or in place of it.
    RefundTotal,
    DisputeOpened,
    DisputeReviewed,
    DisputeWon,
    DisputeLost,
}

/// The share of the payment that is refunded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Share {
    Half,
    All,
}

/// Whether an event is about the payment itself or about what follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The payment is made: from its creation to its capture or its cancellation.
    Payment,
    /// The money goes back: a refund or a dispute.
    Reversal,
}

impl Moment {
    /// The stage that the moment belongs to.
    pub(super) fn stage(self) -> Stage {
        if self < Self::RefundPending { Stage::Payment } else { Stage::Reversal }
    }
}

impl Share {
    /// This share of an amount, rounded down.
    pub(super) const fn of(self, amount: i64) -> i64 {
        match self {
            Self::Half => amount / 2,
            Self::All => amount,
        }
    }
}
