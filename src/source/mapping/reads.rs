//! Which parts of a payload a mapping may read, so that the others need not be kept.

use super::{Entry, FactEntry, FactRule, Mapping, MoneyRule, PartRule, Terms, Word};
use crate::ingest::{place::Place, preset::pointer::Pointer};

impl Mapping {
    /// Every pointer into a payload that [`read`](Self::read) may follow.
    pub(in crate::ingest) fn pointers<'a>(&'a self, terms: &'a Terms) -> Vec<&'a Pointer> {
        let ids = self.id.iter().map(|id| &id.from);
        let times = self.occurred_at.iter().flat_map(|(places, _)| places);
        let modes = self.live.iter().map(|(at, _)| at);
        let payments = self.payment.iter().chain(terms.payment.iter().flatten());
        let of_entry =
            |entry: &'a Entry| entry.when.iter().map(|(at, _)| at).chain(entry.payment.iter().flatten());
        let places = ids.chain(&self.kind).chain(times).chain(modes).chain(payments);
        let places = places.chain(self.entries.iter().flat_map(of_entry));
        let facts = self.entries.iter().flat_map(|entry| &entry.facts).flat_map(FactEntry::pointers);
        places.filter_map(Place::pointer).chain(facts).collect()
    }
}

impl FactEntry {
    fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.only_if.iter().chain(self.rule.pointers())
    }
}

impl FactRule {
    fn pointers(&self) -> Vec<&Pointer> {
        match self {
            Self::Phase { phase, money } => {
                phase.pointer().into_iter().chain(money.iter().flat_map(MoneyRule::pointers)).collect()
            }
            Self::Capture(rule) | Self::Refund(rule) => rule.pointers(),
            Self::Dispute(rule) => rule.pointers(),
            Self::Total { amount, .. } => amount.pointers().collect(),
            Self::Note => Vec::new(),
        }
    }
}

impl MoneyRule {
    fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        std::iter::once(&self.amount).chain(&self.currency)
    }
}

impl<S> PartRule<S> {
    fn pointers(&self) -> Vec<&Pointer> {
        let amount = self.amount.iter().flat_map(MoneyRule::pointers);
        std::iter::once(&self.id).chain(self.state.pointer()).chain(amount).collect()
    }
}

impl<T> Word<T> {
    fn pointer(&self) -> Option<&Pointer> {
        match self {
            Self::Is(_) => None,
            Self::At { at, .. } => Some(at),
        }
    }
}
