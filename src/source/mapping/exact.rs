//! Which values of a payload a mapping reads, and which of them are ids, times and amounts: what is kept of a payload has to leave these as
//! they are, or it would mean something else.

use super::{Mapping, Terms};
use crate::{
    redact::Exact,
    source::payload::{Place, Pointer},
};
use serde_json::Value;
use std::ptr;

impl Mapping {
    /// Returns all places that [`read`](Self::read) may look at.
    pub(crate) fn places<'a>(&'a self, terms: &'a Terms) -> Vec<Place> {
        let ids = self.id.iter().map(|id| &id.from);
        let entries = self.entries.iter();
        let of_entries = entries.flat_map(|entry| {
            let when = entry.when.iter().map(|(at, _)| at);
            when.chain(entry.payment.iter().flatten()).chain(entry.labels.iter().flatten())
        });
        let times = self.occurred_at.iter().flat_map(|(places, _)| places);
        let modes = self.live.iter().map(|(at, _)| at);
        let payments = self.payment.iter().chain(terms.payment.iter().flatten());
        let labels = self.labels.iter().chain(&terms.labels);
        let places = ids.chain(&self.kind).chain(times).chain(modes).chain(payments).chain(labels);
        let beside = places.chain(of_entries).filter(|at| at.pointer().is_none()).cloned();
        let within = self.pointers(terms).into_iter().map(|at| Place::Payload(at.clone()));
        beside.chain(within).collect()
    }

    /// Returns whether a place beside the payload holds an id, so that it is masked by the rule for ids.
    pub(crate) fn is_id(&self, terms: &Terms, place: &Place) -> bool {
        self.ids(terms).any(|(at, _)| at == place)
    }

    /// Returns the values of an event that are read, and how each may be masked.
    pub(crate) fn exact(&self, terms: &Terms, event: &Value) -> Exact {
        let mut exact = Exact::default();
        for pointer in self.pointers(terms) {
            exact.read.extend(pointer.way(event).into_iter().map(ptr::from_ref));
            exact.read.extend(end_of(pointer, event).map(ptr::from_ref));
        }
        let mut note = |pointer: &Pointer, is_vouched: bool| {
            let Some(value) = end_of(pointer, event).map(ptr::from_ref) else { return };
            exact.values.insert(value);
            if is_vouched {
                exact.vouched.insert(value);
            }
        };
        for (place, is_vouched) in self.ids(terms) {
            if let Some(pointer) = place.pointer() {
                note(pointer, is_vouched || self.own_ids.contains(place));
            }
        }
        for pointer in self.occurred_at.iter().flat_map(|(places, _)| places).filter_map(Place::pointer) {
            note(pointer, false);
        }
        let is_own = |at: &Pointer| self.own_ids.iter().any(|own| own.pointer() == Some(at));
        for fact in self.entries.iter().flat_map(|entry| &entry.facts) {
            let (id, amount) = fact.rule.exact_places();
            id.into_iter().for_each(|id| note(id, terms.shared_ids || is_own(id)));
            amount.into_iter().for_each(|amount| note(amount, false));
        }
        exact
    }

    /// The places of ids of events, payments and labels, and whether the shop vouches for them.
    fn ids<'a>(&'a self, terms: &'a Terms) -> impl Iterator<Item = (&'a Place, bool)> {
        let events = self.id.iter().map(|id| (&id.from, false));
        let entries = self.entries.iter();
        let of_entries = entries.flat_map(|entry| entry.payment.iter().chain(&entry.labels).flatten());
        let payments = self.payment.iter().chain(terms.payment.iter().flatten());
        let labels = self.labels.iter().chain(&terms.labels);
        events.chain(payments.chain(labels).chain(of_entries).map(|place| (place, terms.shared_ids)))
    }
}

/// The scalar that a pointer reads: what is there or, in place of an expanded object, its id.
fn end_of<'a>(pointer: &Pointer, event: &'a Value) -> Option<&'a Value> {
    match pointer.follow(event)? {
        Value::Object(members) => members.get("id"),
        value => Some(value),
    }
}
