//! Mapping: what a provider's payloads mean. It turns a verified payload into the facts of one event.
//!
//! A mapping is the compiled form of `[event]` and `[[map]]` of a preset, and pure. It states no more than the payload does:
//! what it cannot tell for certain is an error, which puts the event in quarantine. It does not know who reads the events.

mod coded;
mod entry;
mod exact;
mod labels;
mod money;
mod parts;

pub(crate) use coded::{Coded, Codes};
pub(crate) use entry::{FactEntry, FactRule, MapEntry, PartRule, Word, glob};
pub(crate) use labels::NamedLabels;
pub(crate) use money::{Amounts, MoneyRule};

use super::payload::{MAX_FUTURE, Place, Pointer, RequestParts, TimeForm, Unclear, is_ahead, unclear};
use crate::{
    payment::{ALL_PAYMENTS, Currency, EVENTS, Fact, Name, Phase, Time, TotalOf, digest_identity},
    redact,
};
use entry::FactReader;
use money::MoneyReader;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The most bytes that are kept of a word which the provider chose.
const MAX_WORD: usize = 128;

/// The mapping of one preset.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// The places of the event's id; the first that holds one counts.
    pub(crate) id: Vec<IdFrom>,
    /// The places of the event's type; the texts found there are joined by dots.
    pub(crate) kind: Vec<Place>,
    /// The type of an event that has no text at any of these places.
    pub(crate) otherwise: Option<String>,
    /// The places of the event's time, and the form of the time; the first place that holds anything counts.
    pub(crate) occurred_at: Option<(Vec<Place>, TimeForm)>,
    /// The place that tells real money (`true`) from the provider's test mode (`false`), and what the texts there mean.
    pub(crate) live: Option<(Place, BTreeMap<String, bool>)>,
    /// The places of the payment's id; the first that holds one counts.
    pub(crate) payment: Vec<Place>,
    /// The places of other ids of the payment, which the provider makes.
    pub(crate) labels: Vec<Place>,
    /// The places of ids of parts of the payment, which the provider makes.
    pub(crate) parts: Vec<Place>,
    /// Whether the provider's id of a payment is a part where a source names its payments by other ids.
    pub(crate) payment_is_part: bool,
    /// The places of ids that the provider itself makes and that may be long numbers. One in ten of these passes Luhn's check,
    /// and none is a card number: the provider counts them up, and no shop or customer can write there. Everywhere else an id
    /// that looks like a card number has to be treated as one (I8).
    pub(crate) own_ids: Vec<Place>,
    /// The unit in which the provider writes amounts.
    pub(crate) amounts: Amounts,
    /// The currencies whose minor unit the provider defines itself, and assets, which ISO 4217 does not list.
    pub(crate) exponents: Vec<Currency>,
    /// The entries of `[[map]]`, in order; the first that matches an event counts.
    pub(crate) entries: Vec<MapEntry>,
}

/// The place of an event's id. An id that is not signed identifies nothing; it is kept in the delivery log only, for people who
/// look for a delivery by the id that the provider shows.
#[derive(Clone, Debug)]
pub(crate) struct IdFrom {
    /// The place.
    pub(crate) from: Place,
    /// Whether the signature covers the place.
    pub(crate) signed: bool,
}

/// What the settings of a source say about how its payloads are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The places of the payment's id, in place of all those of the preset.
    pub(crate) payment: Option<Vec<Place>>,
    /// The places of other ids of the payment that the shop vouches for, beside those of the preset.
    pub(crate) labels: Vec<Place>,
    /// The currency of amounts that come without one.
    pub(crate) currency: Option<Currency>,
    /// Whether the source is for real money. Without it, events of both modes are accepted.
    pub(crate) live: Option<bool>,
    /// Whether the shop makes the ids of its payments and their parts, and so vouches that none is a card number.
    pub(crate) shared_ids: bool,
    /// The longest that the time of an event may lie ahead of the time of receipt, in place of [`MAX_FUTURE`].
    pub(crate) max_future: Option<Duration>,
}

/// What is known about an event for logs and records, whether its payload is understood or not.
#[derive(Debug, Default)]
pub(crate) struct EventSummary {
    /// The event's identity: the provider's id if it has one that can be used, otherwise a digest of the event once it was read.
    pub(crate) id: Option<Arc<str>>,
    /// The provider's id if no signature covers it, masked and printable.
    pub(crate) unsigned_id: Option<String>,
    /// The provider's type of the event, masked and printable.
    pub(crate) kind: Arc<str>,
    /// The payment that the event is about.
    pub(crate) payment: Option<Name>,
    /// The part of a payment that the event is about, if it names no payment.
    pub(crate) part: Option<Name>,
    /// The provider's own code for the failure, masked and printable. Only operators see it.
    pub(crate) failure_code: Option<String>,
    /// By which of the source's keys its delivery was verified, if that is known.
    pub(crate) key: Option<Arc<str>>,
}

/// What an event means, once its payload was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MappedEvent {
    /// The event's identity: the provider's id, or a digest of the event.
    pub(crate) id: Arc<str>,
    /// The payment that the event is about. `None` if it names a part alone, which is the first of `parts`.
    pub(crate) payment: Option<Name>,
    /// When the event happened, if the payload says so.
    pub(crate) occurred_at: Option<Time>,
    /// `true` for real money, `false` for the provider's test mode.
    pub(crate) live: bool,
    /// The facts that the event states; there is at least one.
    pub(crate) facts: Vec<Fact>,
    /// The other ids of the payment that the event names.
    pub(crate) labels: NamedLabels,
    /// The ids of parts of the payment that the event names; at least one if it names no payment.
    pub(crate) parts: Vec<Name>,
}

impl Mapping {
    /// Returns every pointer into a payload that [`read`](Self::read) may follow.
    pub(crate) fn pointers<'a>(&'a self, terms: &'a Terms) -> Vec<&'a Pointer> {
        let ids = self.id.iter().map(|id| &id.from);
        let times = self.occurred_at.iter().flat_map(|(places, _)| places);
        let modes = self.live.iter().map(|(at, _)| at);
        let payments = self.payment.iter().chain(terms.payment.iter().flatten());
        let of_entry = |entry: &'a MapEntry| {
            let when = entry.when.iter().map(|(at, _)| at);
            let ids = entry.payment.iter().flatten().chain(entry.labels.iter().flatten());
            when.chain(ids).chain(entry.parts.iter().flatten()).chain(&entry.part)
        };
        let places = ids.chain(&self.kind).chain(times).chain(modes).chain(payments);
        let places = places.chain(&self.labels).chain(&terms.labels).chain(&self.parts);
        let places = places.chain(self.entries.iter().flat_map(of_entry));
        let facts = self.entries.iter().flat_map(|entry| &entry.facts).flat_map(FactEntry::pointers);
        places.filter_map(Place::pointer).chain(facts).collect()
    }

    /// Returns whether some ids are long numbers that the provider itself makes.
    pub(crate) const fn has_own_ids(&self) -> bool {
        !self.own_ids.is_empty()
    }

    /// Returns whether some captured amount comes without a currency, so that the source has to name it.
    pub(crate) fn needs_currency(&self) -> bool {
        let needs = |rule: &Option<MoneyRule>| rule.as_ref().is_some_and(|rule| rule.currency.is_none());
        self.entries.iter().flat_map(|entry| &entry.facts).any(|fact| match &fact.rule {
            FactRule::Phase { phase, money, .. } => phase.may_be(Phase::Captured) && needs(money),
            FactRule::Capture(part) => needs(&part.amount),
            FactRule::Total { of: TotalOf::Captured, amount } => amount.currency.is_none(),
            FactRule::Total { .. } | FactRule::Refund(_) | FactRule::Dispute(_) | FactRule::Note => false,
        })
    }

    /// Returns what a verified payload means, or `None` if it is not about a payment. Writes what is known about the event to
    /// `summary`, even if the payload is not understood. Fails if an entry matches the payload, but a value that it needs is
    /// missing or unclear, or the event has happened after it was received.
    pub(crate) fn read(
        &self,
        terms: &Terms,
        received_at: Time,
        parts: RequestParts<'_>,
        payload: &Value,
        summary: &mut EventSummary,
    ) -> Result<Option<MappedEvent>, Unclear> {
        let kind = self.kind(parts, payload)?;
        summary.kind = redact::text(&kind, MAX_WORD).into();
        let id = self.event_id(parts, payload, summary);
        let matches = |entry: &&MapEntry| entry.matches(&kind, parts, payload);
        let Some(entry) = self.entries.iter().find(matches) else { return Ok(None) };
        if id.is_err() {
            return unclear("bad_event_id", "event.id");
        }
        let payment = self.payment(terms, entry, parts, payload)?;
        let part = if payment.is_none() { Some(self.part(terms, entry, parts, payload)?) } else { None };
        (summary.payment, summary.part) = (payment.clone(), part.clone());
        let live = self.live(terms, parts, payload)?;
        let occurred_at = self.occurred_at(terms, received_at, parts, payload)?;
        let (amounts, exponents, currency) = (self.amounts, &*self.exponents, terms.currency);
        let money = MoneyReader { amounts, exponents, currency, payload };
        let reader = FactReader { money, own_ids: &self.own_ids, shared_ids: terms.shared_ids };
        let present = || entry.facts.iter().filter(|fact| fact.is_present(payload));
        let code = present().find_map(|fact| fact.rule.failure_code(payload));
        summary.failure_code = code.map(|code| redact::text(&code, MAX_WORD));
        let facts: Vec<Fact> = present().map(|fact| fact.rule.read(&reader)).collect::<Result<_, _>>()?;
        let id = summary.id.take().unwrap_or_else(|| digest_identity(&summary.kind, &facts, occurred_at));
        summary.id = Some(Arc::clone(&id));
        let labels = self.labels(terms, entry, parts, payload, payment.as_ref());
        let parts = self.parts(terms, entry, parts, payload, part);
        Ok(Some(MappedEvent { id, payment, occurred_at, live, facts, labels, parts }))
    }

    /// Returns the provider's type of an event.
    fn kind(&self, parts: RequestParts<'_>, payload: &Value) -> Result<String, Unclear> {
        let words: Vec<_> = self.kind.iter().filter_map(|at| at.text(parts, payload)).collect();
        match (&self.otherwise, words.is_empty()) {
            (_, false) => Ok(words.join(".")),
            (Some(otherwise), true) => Ok(otherwise.clone()),
            (None, true) => unclear("missing_type", list(&self.kind)),
        }
    }

    /// Writes the event's id to `summary`, if there is one. Fails if there is an id that cannot be used.
    fn event_id(
        &self,
        parts: RequestParts<'_>,
        payload: &Value,
        summary: &mut EventSummary,
    ) -> Result<(), ()> {
        let text = |id: &IdFrom| id.from.text(parts, payload).filter(|text| !text.is_empty());
        let Some((id, text)) = self.id.iter().find_map(|id| Some((id, text(id)?))) else { return Ok(()) };
        if id.signed {
            let name = text.parse::<Name>().map_err(|_| ())?;
            // If the id holds a card number, a digest of the event replaces it. A digest of the id itself could soon be guessed.
            let is_kept = !redact::is_pan_like(name.as_str()) || self.own_ids.contains(&id.from);
            summary.id = is_kept.then(|| name.as_str().into());
        } else {
            summary.unsigned_id = Some(redact::id(&text, MAX_WORD));
        }
        Ok(())
    }

    /// Returns the payment that an event is about, or `None` if the entry can do with a part and there is no payment's id. Fails if the id
    /// is missing, cannot be used, or may be a card number.
    fn payment(
        &self,
        terms: &Terms,
        entry: &MapEntry,
        parts: RequestParts<'_>,
        payload: &Value,
    ) -> Result<Option<Name>, Unclear> {
        let places = terms.payment.as_ref().or(entry.payment.as_ref()).unwrap_or(&self.payment);
        let Some((at, id)) = places.iter().find_map(|at| Some((at, at.id(parts, payload)?))) else {
            let has_part = self.part_places(terms, entry).any(|at| at.id(parts, payload).is_some());
            let looked_at: Vec<_> = places.iter().chain(&entry.part).cloned().collect();
            return if has_part { Ok(None) } else { unclear("missing_payment", list(&looked_at)) };
        };
        if redact::is_pan_like(&id) && !terms.shared_ids && !self.own_ids.contains(at) {
            return unclear("pan_like_id", at);
        }
        match id.parse::<Name>() {
            Ok(id) if ![ALL_PAYMENTS, EVENTS].contains(&id.as_str()) => Ok(Some(id)),
            _ => unclear("bad_payment_id", at),
        }
    }

    /// Returns whether an event is about real money. Fails if the source is for the other mode.
    fn live(&self, terms: &Terms, parts: RequestParts<'_>, payload: &Value) -> Result<bool, Unclear> {
        let word = self.live.as_ref().and_then(|(at, words)| Some((at, words, at.text(parts, payload)?)));
        let stated = match word {
            None => None,
            Some((at, words, word)) => match words.get(&*word) {
                Some(live) => Some((at, *live)),
                None => return unclear("bad_live_mode", at),
            },
        };
        match (stated, terms.live) {
            (Some((at, live)), Some(wanted)) if live != wanted => unclear("live_mismatch", at),
            (Some((_, live)), _) | (None, Some(live)) => Ok(live),
            (None, None) => Ok(true),
        }
    }

    /// Returns when an event happened, if the payload says so. Fails if the time is not in the expected form, or lies ahead of the
    /// receipt by more than a clock may be wrong: what is newer would never count against it.
    fn occurred_at(
        &self,
        terms: &Terms,
        received_at: Time,
        parts: RequestParts<'_>,
        payload: &Value,
    ) -> Result<Option<Time>, Unclear> {
        let Some((places, form)) = &self.occurred_at else { return Ok(None) };
        let Some(at) = places.iter().find(|at| at.is_there(parts, payload)) else { return Ok(None) };
        match at.text(parts, payload).and_then(|text| form.read(&text)) {
            Some(time) if is_ahead(time, received_at, terms.max_future.unwrap_or(MAX_FUTURE)) => {
                unclear("future_time", at)
            }
            Some(time) => Ok(Some(time)),
            None => unclear("bad_time", at),
        }
    }
}

/// Writes places into one text, for errors.
fn list(places: &[Place]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
