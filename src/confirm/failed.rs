//! Why a payment could not be confirmed by one look-up at its provider. The variants differ in how the gateway goes on: `patience`
//! decides when to retry by them. They hold nothing of a provider's answer and no credential, so they can be logged.

use crate::{
    metrics::ConfirmationOutcome,
    outbound::OutboundError,
    source::{AnswerError, Unclear},
    store::StoreError,
};
use std::time::Duration;

/// The reason why a look-up failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The provider's API is down, or cannot be reached.
    #[error("the provider cannot be asked: {why}")]
    Unavailable {
        /// What happened.
        why: String,
        /// How long the provider asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider's rate limit is exceeded.
    #[error("the provider's rate limit is exceeded")]
    Throttled {
        /// How long the provider asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider refuses the credentials, with this HTTP status.
    #[error("the provider refuses the source's api.key (status {0})")]
    Denied(u16),
    /// The provider has no such payment, or none that its API can return, and says so with this HTTP status.
    #[error("the provider does not know the payment (status {0})")]
    Unknown(u16),
    /// The answer does not fit the preset, or is about another payment. It may come from a proxy before the provider's API, or show a
    /// record that the provider has only half written, so a later answer may be a good one.
    #[error("the answer does not fit the preset: {} at {}", .0.code, .0.at)]
    Unclear(Unclear),
    /// The provider's API has no address for this payment, or the answer is in conflict with the payment's log. A retry cannot help.
    #[error("the payment cannot be confirmed: {} at {}", .0.code, .0.at)]
    Unfit(Unclear),
    /// Our own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failed {
    /// An answer whose body could not be read. A body in another format does not come from the provider's API but from a proxy before
    /// it, which answers while the API is down.
    pub(super) fn reading(error: AnswerError) -> Self {
        match error {
            AnswerError::Malformed => Self::Unavailable {
                why: "its answer is not in the format of its API".to_owned(),
                retry_after: None,
            },
            AnswerError::Unclear(unclear) => Self::Unclear(unclear),
        }
    }

    /// The failure of a request for a token: it says nothing about a payment.
    pub(super) fn of_token(self) -> Self {
        match self {
            Self::Unknown(status) => Self::Unavailable {
                why: format!("it answers a request for a token with status {status}"),
                retry_after: None,
            },
            other => other,
        }
    }

    /// The outcome for metrics and logs.
    pub(super) const fn outcome(&self) -> ConfirmationOutcome {
        match self {
            Self::Unavailable { .. } => ConfirmationOutcome::Unavailable,
            Self::Throttled { .. } => ConfirmationOutcome::Throttled,
            Self::Denied(_) => ConfirmationOutcome::Denied,
            Self::Unknown(_) => ConfirmationOutcome::Unknown,
            Self::Unclear(_) => ConfirmationOutcome::Unclear,
            Self::Unfit(_) => ConfirmationOutcome::Quarantined,
            Self::Store(_) => ConfirmationOutcome::Store,
        }
    }

    /// The place in the answer that the failure is about, if it is about one.
    pub(super) fn place(&self) -> Option<&str> {
        match self {
            Self::Unclear(unclear) | Self::Unfit(unclear) => Some(&unclear.at),
            _ => None,
        }
    }
}

impl From<OutboundError> for Failed {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::TooLong(_) => {
                Self::Unclear(Unclear { code: "answer_too_long", at: "answer".to_owned() })
            }
            OutboundError::Unanswered(_) => Self::Unavailable { why: error.to_string(), retry_after: None },
        }
    }
}
