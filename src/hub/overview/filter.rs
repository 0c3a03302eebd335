//! Which payments of a realm a reader wants to see. Pure.

use super::summary::Summary;
use crate::payment::{Status, Time};

/// What a reader wants to see. An empty list, and a bound that is `None`, let everything pass.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// One of these providers.
    pub providers: Vec<String>,
    /// One of these sources.
    pub sources: Vec<String>,
    /// An amount in one of these currencies, by their codes.
    pub currencies: Vec<String>,
    /// An amount of at least so many minor units.
    pub amount_min: Option<i64>,
    /// An amount of at most so many minor units.
    pub amount_max: Option<i64>,
    /// Came into the index at this time or later.
    pub first_seen_from: Option<Time>,
    /// Came into the index before this time.
    pub first_seen_to: Option<Time>,
}

impl Filter {
    /// Whether the view of a payment does not matter.
    pub(super) fn looks_at_no_view(&self) -> bool {
        let Self { statuses, providers, sources, currencies, amount_min, amount_max, .. } = self;
        [statuses.is_empty(), providers.is_empty(), sources.is_empty(), currencies.is_empty()] == [true; 4]
            && amount_min.is_none()
            && amount_max.is_none()
    }

    /// Whether a payment that came into the index at this time passes.
    pub(super) fn takes_time(&self, first_seen: Time) -> bool {
        self.first_seen_from.is_none_or(|from| first_seen >= from)
            && self.first_seen_to.is_none_or(|to| first_seen < to)
    }

    /// Whether a payment passes.
    pub(super) fn takes(&self, first_seen: Time, summary: &Summary) -> bool {
        let takes_status = self.statuses.is_empty() || self.statuses.contains(&summary.status);
        takes_status && self.takes_money(summary) && self.takes_origin(first_seen, summary)
    }

    /// Whether a payment that does not pass may have passed before, so that its readers have to be told that it left.
    pub(super) fn may_have_taken(&self, first_seen: Time, summary: &Summary) -> bool {
        let had = |status: &Status| summary.had & bit(*status) != 0;
        (self.statuses.is_empty() || self.statuses.iter().any(had))
            && (summary.is_repriced || self.takes_money(summary))
            && self.takes_origin(first_seen, summary)
    }

    /// What an event may change.
    fn takes_money(&self, summary: &Summary) -> bool {
        let currency = summary.currency.as_ref().map_or("", |currency| currency.code());
        let amount = summary.amount;
        (self.currencies.is_empty() || self.currencies.iter().any(|wanted| wanted == currency))
            && self.amount_min.is_none_or(|least| amount.is_some_and(|amount| amount >= least))
            && self.amount_max.is_none_or(|most| amount.is_some_and(|amount| amount <= most))
    }

    /// What never changes.
    fn takes_origin(&self, first_seen: Time, summary: &Summary) -> bool {
        let takes = |wanted: &[String], is: &str| wanted.is_empty() || wanted.iter().any(|one| one == is);
        takes(&self.providers, &summary.provider)
            && takes(&self.sources, &summary.source)
            && self.takes_time(first_seen)
    }
}

/// A set that holds only this status.
pub(super) const fn bit(status: Status) -> u16 {
    1 << status as u16
}
