//! Mapping: what a provider's payloads mean, from a verified payload to the facts of one event.
//!
//! A mapping is the compiled form of `[event]` and `[[map]]` of a preset, and pure. It says no more than the payload does: what it
//! cannot tell for sure is an error, which puts the event in quarantine. It does not know who reads the events.

mod entry;
mod money;

pub(crate) use entry::{FactEntry, FactRule, MapEntry, PartRule, Word, glob};
pub(crate) use money::{Amounts, MoneyRule};

use super::payload::{Place, Pointer, RequestParts, TimeForm, Unclear, unclear};
use crate::{
    payment::{ALL_PAYMENTS, Currency, Fact, Name, Phase, Time, TotalOf, digest_identity},
    redact,
};
use entry::FactReader;
use money::MoneyReader;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The longest word of a provider's that is kept.
const MAX_WORD: usize = 128;

/// The mapping of one preset.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) id: Vec<IdFrom>,
    /// Joined by dots.
    pub(crate) kind: Vec<Place>,
    /// The type of what has none.
    pub(crate) otherwise: Option<String>,
    /// The first of them that is there.
    pub(crate) occurred_at: Option<(Vec<Place>, TimeForm)>,
    pub(crate) live: Option<(Place, BTreeMap<String, bool>)>,
    pub(crate) payment: Vec<Place>,
    /// Where ids stand that the provider itself makes, and that may be long numbers. One in ten of these passes Luhn's check,
    /// and none is a card's: the provider counts them up, and no shop or customer can write there. Everywhere else an id
    /// that looks like a card number has to be taken for one (I8).
    pub(crate) own_ids: Vec<Place>,
    pub(crate) amounts: Amounts,
    /// Currencies whose minor unit is the provider's own, and assets, which ISO 4217 does not know.
    pub(crate) exponents: Vec<Currency>,
    pub(crate) entries: Vec<MapEntry>,
}

/// Where an event's id stands. One that is not signed identifies nothing: it is kept in the delivery log, for those who look
/// for it there by the provider's word.
#[derive(Clone, Debug)]
pub(crate) struct IdFrom {
    pub(crate) from: Place,
    pub(crate) signed: bool,
}

/// What a source says about how its payloads are to be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// In place of all pointers of the preset.
    pub(crate) payment: Option<Vec<Place>>,
    /// Of amounts that come without one.
    pub(crate) currency: Option<Currency>,
    /// Whether the source is for real money; if it does not say, either is taken.
    pub(crate) live: Option<bool>,
    /// Whether the shop makes the ids of its payments and their parts, and so vouches that none is a card number.
    pub(crate) shared_ids: bool,
}

/// What is known of a payload, understood or not.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The event's identity: the provider's id if it has one that can be used, or once it was read what stands for it.
    pub(crate) id: Option<Arc<str>>,
    /// The provider's id where no signature covers it, fit to leave.
    pub(crate) unsigned_id: Option<String>,
    /// The provider's type, fit to leave.
    pub(crate) kind: Arc<str>,
    /// The payment that it is about.
    pub(crate) payment: Option<Name>,
}

/// What an event says, once it was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) id: Arc<str>,
    pub(crate) payment: Name,
    pub(crate) occurred_at: Option<Time>,
    pub(crate) live: bool,
    pub(crate) facts: Vec<Fact>,
}

impl Mapping {
    /// Every pointer into a payload that [`read`](Self::read) may follow.
    pub(crate) fn pointers<'a>(&'a self, terms: &'a Terms) -> Vec<&'a Pointer> {
        let ids = self.id.iter().map(|id| &id.from);
        let times = self.occurred_at.iter().flat_map(|(places, _)| places);
        let modes = self.live.iter().map(|(at, _)| at);
        let payments = self.payment.iter().chain(terms.payment.iter().flatten());
        let of_entry =
            |entry: &'a MapEntry| entry.when.iter().map(|(at, _)| at).chain(entry.payment.iter().flatten());
        let places = ids.chain(&self.kind).chain(times).chain(modes).chain(payments);
        let places = places.chain(self.entries.iter().flat_map(of_entry));
        let facts = self.entries.iter().flat_map(|entry| &entry.facts).flat_map(FactEntry::pointers);
        places.filter_map(Place::pointer).chain(facts).collect()
    }

    /// Whether some of its ids are long numbers of the provider's own.
    pub(crate) const fn has_own_ids(&self) -> bool {
        !self.own_ids.is_empty()
    }

    /// Whether some captured amount stands where no currency does, so that the source has to name it.
    pub(crate) fn needs_currency(&self) -> bool {
        let needs = |rule: &Option<MoneyRule>| rule.as_ref().is_some_and(|rule| rule.currency.is_none());
        self.entries.iter().flat_map(|entry| &entry.facts).any(|fact| match &fact.rule {
            FactRule::Phase { phase, money } => phase.may_be(Phase::Captured) && needs(money),
            FactRule::Capture(part) => needs(&part.amount),
            FactRule::Total { of: TotalOf::Captured, amount } => amount.currency.is_none(),
            FactRule::Total { .. } | FactRule::Refund(_) | FactRule::Dispute(_) | FactRule::Note => false,
        })
    }

    /// What a verified payload says; `None` if that is not about a payment. What is known of it goes to `reading`, also
    /// where it is not understood.
    pub(crate) fn read(
        &self,
        terms: &Terms,
        around: RequestParts<'_>,
        payload: &Value,
        reading: &mut Reading,
    ) -> Result<Option<Statement>, Unclear> {
        let kind = self.kind(around, payload)?;
        reading.kind = redact::text(&kind, MAX_WORD).into();
        let id = self.event_id(around, payload, reading);
        let matches = |entry: &&MapEntry| entry.matches(&kind, around, payload);
        let Some(entry) = self.entries.iter().find(matches) else { return Ok(None) };
        if id.is_err() {
            return unclear("bad_event_id", "event.id");
        }
        let payment = self.payment(terms, entry, around, payload)?;
        reading.payment = Some(payment.clone());
        let live = self.live(terms, around, payload)?;
        let occurred_at = self.occurred_at(around, payload)?;
        let (amounts, exponents, currency) = (self.amounts, &*self.exponents, terms.currency);
        let money = MoneyReader { amounts, exponents, currency, payload };
        let reader = FactReader { money, own_ids: &self.own_ids, shared_ids: terms.shared_ids };
        let told = entry.facts.iter().filter(|fact| fact.is_told(payload));
        let facts: Vec<Fact> = told.map(|fact| fact.rule.read(&reader)).collect::<Result<_, _>>()?;
        let id = reading.id.take().unwrap_or_else(|| digest_identity(&reading.kind, &facts, occurred_at));
        reading.id = Some(Arc::clone(&id));
        Ok(Some(Statement { id, payment, occurred_at, live, facts }))
    }

    fn kind(&self, around: RequestParts<'_>, payload: &Value) -> Result<String, Unclear> {
        let words: Vec<_> = self.kind.iter().filter_map(|at| at.text(around, payload)).collect();
        match (&self.otherwise, words.is_empty()) {
            (_, false) => Ok(words.join(".")),
            (Some(otherwise), true) => Ok(otherwise.clone()),
            (None, true) => unclear("missing_type", list(&self.kind)),
        }
    }

    /// Notes the event's id, if there is one. An error if it is none that can be used.
    fn event_id(&self, around: RequestParts<'_>, payload: &Value, reading: &mut Reading) -> Result<(), ()> {
        let text = |id: &IdFrom| id.from.text(around, payload).filter(|text| !text.is_empty());
        let Some((id, text)) = self.id.iter().find_map(|id| Some((id, text(id)?))) else { return Ok(()) };
        if id.signed {
            let name = text.parse::<Name>().map_err(|_| ())?;
            // A digest of the event stands for an id that holds a card number, and not one of the id, which is soon guessed.
            let is_kept = !redact::is_pan_like(name.as_str()) || self.own_ids.contains(&id.from);
            reading.id = is_kept.then(|| name.as_str().into());
        } else {
            reading.unsigned_id = Some(redact::id(&text, MAX_WORD));
        }
        Ok(())
    }

    fn payment(
        &self,
        terms: &Terms,
        entry: &MapEntry,
        around: RequestParts<'_>,
        payload: &Value,
    ) -> Result<Name, Unclear> {
        let places = terms.payment.as_ref().or(entry.payment.as_ref()).unwrap_or(&self.payment);
        let Some((at, id)) = places.iter().find_map(|at| Some((at, at.id(around, payload)?))) else {
            return unclear("missing_payment", list(places));
        };
        if redact::is_pan_like(&id) && !terms.shared_ids && !self.own_ids.contains(at) {
            return unclear("pan_like_id", at);
        }
        match id.parse::<Name>() {
            Ok(id) if id.as_str() != ALL_PAYMENTS => Ok(id),
            _ => unclear("bad_payment_id", at),
        }
    }

    fn live(&self, terms: &Terms, around: RequestParts<'_>, payload: &Value) -> Result<bool, Unclear> {
        let told = self.live.as_ref().and_then(|(at, words)| Some((at, words, at.text(around, payload)?)));
        let told = match told {
            None => None,
            Some((at, words, word)) => match words.get(&*word) {
                Some(live) => Some((at, *live)),
                None => return unclear("bad_live_mode", at),
            },
        };
        match (told, terms.live) {
            (Some((at, told)), Some(wanted)) if told != wanted => unclear("live_mismatch", at),
            (Some((_, live)), _) | (None, Some(live)) => Ok(live),
            (None, None) => Ok(true),
        }
    }

    fn occurred_at(&self, around: RequestParts<'_>, payload: &Value) -> Result<Option<Time>, Unclear> {
        let Some((places, form)) = &self.occurred_at else { return Ok(None) };
        let Some(at) = places.iter().find(|at| at.is_there(around, payload)) else { return Ok(None) };
        match at.text(around, payload).and_then(|text| form.read(&text)) {
            Some(time) => Ok(Some(time)),
            None => unclear("bad_time", at),
        }
    }
}

fn list(places: &[Place]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
