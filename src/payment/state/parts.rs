//! The parts of a payment: its captures, refunds or disputes by id, and what they sum up to.

use super::register::{Register, Stamp};
use crate::payment::{Currency, PartState, Reported};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The captures, the refunds or the disputes of a payment, sorted by id. A vector, since most payments have one or none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Parts<S>(Vec<(Arc<str>, Register<Part<S>>)>);

/// One capture, refund or dispute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Part<S> {
    state: S,
    sum: Sum,
}

/// An amount in minor units, with its currency if an event states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) amount: i64,
    pub(super) currency: Option<Currency>,
}

impl<S> Default for Parts<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Copy> Parts<S> {
    /// Joins one fact about a part. Returns whether a register changed.
    pub(super) fn join(&mut self, reported: &Reported<S>, stamp: Stamp) -> bool {
        let sum = Sum { amount: reported.amount, currency: reported.currency };
        let value = Part { state: reported.state, sum };
        match self.0.binary_search_by(|(id, _)| id.cmp(&reported.id)) {
            Ok(place) => self.0.get_mut(place).is_some_and(|(_, known)| known.replace_older(stamp, value)),
            Err(place) => {
                self.0.insert(place, (Arc::clone(&reported.id), Register { stamp, value }));
                true
            }
        }
    }

    /// The state of each part, with the stamp that set it.
    pub(super) fn states(&self) -> impl Iterator<Item = (&Stamp, S)> {
        self.0.iter().map(|(_, part)| (&part.stamp, part.value.state))
    }

    /// The currency of the newest of these parts and this running total, among those that have one.
    pub(super) fn newest_currency(&self, total: Option<&Register<Sum>>) -> Option<Currency> {
        let parts = self.0.iter().map(|(_, part)| (&part.stamp, part.value.sum.currency));
        let stated = parts.chain(total.map(|total| (&total.stamp, total.value.currency)));
        stated.filter(|(_, currency)| currency.is_some()).max_by_key(|(stamp, _)| *stamp)?.1
    }
}

impl Parts<PartState> {
    /// The sum, in minor units, of the parts that succeeded and of this running total. A preset feeds parts or totals; where a
    /// provider reports both (Stripe's `charge.refunded` beside its refund objects), neither may be counted on top of the
    /// other: the larger one counts, and the total loses the parts that failed after it was reported.
    pub(super) fn settled(&self, total: Option<&Register<Sum>>) -> i64 {
        let sum = |state: PartState, after: Option<Option<i64>>| -> i64 {
            let parts = self.0.iter().map(|(_, part)| part);
            let counts = |part: &&Register<Part<PartState>>| {
                part.value.state == state && after.is_none_or(|after| part.stamp.occurred_at > after)
            };
            parts.filter(counts).fold(0, |sum, part| sum.saturating_add(part.value.sum.amount))
        };
        let succeeded = sum(PartState::Succeeded, None);
        let Some(total) = total else { return succeeded };
        let failed_since = sum(PartState::Failed, Some(total.stamp.occurred_at));
        succeeded.max(total.value.amount.saturating_sub(failed_since))
    }
}
