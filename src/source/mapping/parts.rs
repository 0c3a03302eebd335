//! Parts: the provider's ids of captures, charges and refunds that an event names.

use super::{Mapping, Terms, entry::MapEntry};
use crate::{
    payment::{MAX_PARTS, Name},
    redact,
    source::payload::{Place, RequestParts, Unclear, unclear},
};
use serde_json::Value;

impl Mapping {
    /// Returns the places of the id of a part, for events of an entry that name no payment.
    pub(super) fn part_places<'a>(
        &'a self,
        terms: &Terms,
        entry: &'a MapEntry,
    ) -> impl Iterator<Item = &'a Place> {
        self.provider_places(terms, entry).iter().chain(&entry.part)
    }

    /// Returns the part that an event is about which names no payment. Fails if its id is missing, cannot be used, or may be a card number.
    pub(super) fn part(
        &self,
        terms: &Terms,
        entry: &MapEntry,
        parts: RequestParts<'_>,
        payload: &Value,
    ) -> Result<Name, Unclear> {
        let found = self.part_places(terms, entry).find_map(|at| Some((at, at.id(parts, payload)?)));
        let Some((at, id)) = found else { return unclear("missing_part_id", "part") };
        let Ok(id) = id.parse::<Name>() else { return unclear("bad_part_id", at) };
        if self.may_be_card(terms, at, &id) { unclear("pan_like_id", at) } else { Ok(id) }
    }

    /// Returns the parts that an event names, each once, `first` before the others. What cannot be used is left out, since no event is
    /// quarantined for a part beside its payment.
    pub(super) fn parts(
        &self,
        terms: &Terms,
        entry: &MapEntry,
        parts: RequestParts<'_>,
        payload: &Value,
        first: Option<Name>,
    ) -> Vec<Name> {
        let mut named: Vec<Name> = first.into_iter().collect();
        let places = entry.parts.as_ref().unwrap_or(&self.parts);
        for at in self.provider_places(terms, entry).iter().chain(places) {
            let id = at.id(parts, payload).and_then(|text| text.parse::<Name>().ok());
            match id {
                Some(id) if !named.contains(&id) && !self.may_be_card(terms, at, &id) => named.push(id),
                _ => {}
            }
        }
        named.truncate(MAX_PARTS);
        named
    }

    /// Returns the places of the provider's id of a payment, if the source names its payments by other ids and the preset says that these are
    /// parts. Then events that lack these, such as refunds without the shop's order number, find their payment by the provider's id.
    fn provider_places<'a>(&'a self, terms: &Terms, entry: &'a MapEntry) -> &'a [Place] {
        match terms.payment {
            Some(_) if self.payment_is_part => entry.payment.as_ref().unwrap_or(&self.payment),
            _ => &[],
        }
    }

    fn may_be_card(&self, terms: &Terms, at: &Place, id: &Name) -> bool {
        redact::is_pan_like(id.as_str()) && !terms.shared_ids && !self.own_ids.contains(at)
    }
}
