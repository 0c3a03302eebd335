//! What a provider answers about a payment, and why an answer cannot be used.

use crate::{
    payment::{Fact, Label, Name, Time},
    source::payload::Unclear,
};
use std::sync::Arc;

/// Why an answer cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerError {
    /// The answer is not in the format of the API, so it does not come from there but from something faulty in front of it.
    Malformed,
    /// The answer is not understood, or it is not about the payment that was asked for.
    Unclear(Unclear),
}

/// What a provider answers about the payment that it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentAnswer {
    /// The provider's own word for the state of the payment, masked and printable.
    pub kind: Arc<str>,
    /// When the payment last changed, if the provider says so.
    pub occurred_at: Option<Time>,
    /// `true` for real money, `false` for the provider's test mode.
    pub live: bool,
    /// The facts that the answer states.
    pub facts: Vec<Fact>,
    /// The other ids of the payment that the answer names.
    pub labels: Vec<Label>,
    /// The ids of parts of the payment that the answer names.
    pub parts: Vec<Name>,
}

impl From<Unclear> for AnswerError {
    fn from(unclear: Unclear) -> Self {
        Self::Unclear(unclear)
    }
}
