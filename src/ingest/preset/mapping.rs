//! What a provider's payloads mean: from a verified payload to the facts of one event. Pure.

mod reads;

use super::{pointer::Pointer, raw::Amounts};
use crate::{
    ingest::{
        moment::TimeForm,
        place::{Around, Place},
    },
    payment::{
        ALL_PAYMENTS, Currency, DisputeState, Fact, Money, MoneyError, Name, PartState, Phase, Time, Told,
        TotalOf, digest_identity, parse_decimal, parse_minor,
    },
    redact,
};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// The longest word of a provider's that is kept.
const MAX_WORD: usize = 128;

/// The most decimal digits that the minor unit of a currency in ISO 4217 has.
const MAX_CASH_EXPONENT: u8 = 4;

/// The mapping of one preset.
#[derive(Clone, Debug)]
pub(in crate::ingest) struct Mapping {
    pub(super) id: Vec<IdFrom>,
    /// Joined by dots.
    pub(super) kind: Vec<Place>,
    /// The type of what has none.
    pub(super) otherwise: Option<String>,
    /// The first of them that is there.
    pub(super) occurred_at: Option<(Vec<Place>, TimeForm)>,
    pub(super) live: Option<(Place, BTreeMap<String, bool>)>,
    pub(super) payment: Vec<Place>,
    /// Where ids stand that the provider itself makes, and that may be long numbers. One in ten of these passes Luhn's check,
    /// and none is a card's: the provider counts them up, and no shop or customer can write there. Everywhere else an id
    /// that looks like a card number has to be taken for one (I8).
    pub(super) own_ids: Vec<Place>,
    pub(super) amounts: Amounts,
    /// Currencies whose minor unit is the provider's own, and assets, which ISO 4217 does not know.
    pub(super) exponents: Vec<Currency>,
    pub(super) entries: Vec<Entry>,
}

/// Where an event's id stands. One that is not signed identifies nothing: it is kept in the delivery log, for those who look
/// for it there by the provider's word.
#[derive(Clone, Debug)]
pub(super) struct IdFrom {
    pub(super) from: Place,
    pub(super) signed: bool,
}

/// What the events of some types mean.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kinds: Vec<String>,
    pub(super) when: Vec<(Place, Vec<String>)>,
    pub(super) payment: Option<Vec<Place>>,
    pub(super) facts: Vec<FactEntry>,
}

/// How to read one fact, which is left out where nothing stands at `only_if`.
#[derive(Clone, Debug)]
pub(super) struct FactEntry {
    pub(super) only_if: Option<Pointer>,
    pub(super) rule: FactRule,
}

/// How to read one fact.
#[derive(Clone, Debug)]
pub(super) enum FactRule {
    Phase { phase: Word<Phase>, money: Option<MoneyRule> },
    Capture(PartRule<PartState>),
    Refund(PartRule<PartState>),
    Dispute(PartRule<DisputeState>),
    Total { of: TotalOf, amount: MoneyRule },
    Note,
}

/// How to read one capture, refund or dispute. Without a rule for it, its amount is 0: nothing is told of any.
#[derive(Clone, Debug)]
pub(super) struct PartRule<S> {
    pub(super) id: Pointer,
    pub(super) amount: Option<MoneyRule>,
    pub(super) state: Word<S>,
}

/// A phase or state: always the same, or by the provider's word for it.
#[derive(Clone, Debug)]
pub(super) enum Word<T> {
    Is(T),
    At { at: Pointer, words: BTreeMap<String, T> },
}

/// Where an amount and its currency stand.
#[derive(Clone, Debug)]
pub(super) struct MoneyRule {
    pub(super) amount: Pointer,
    pub(super) currency: Option<Pointer>,
}

/// What a source says about how its payloads are to be read.
#[derive(Clone, Debug, Default)]
pub(in crate::ingest) struct Terms {
    /// In place of all pointers of the preset.
    pub(in crate::ingest) payment: Option<Vec<Place>>,
    /// Of amounts that come without one.
    pub(in crate::ingest) currency: Option<Currency>,
    /// Whether the source is for real money; if it does not say, either is taken.
    pub(in crate::ingest) live: Option<bool>,
    /// Whether the shop makes the ids of its payments and their parts, and so vouches that none is a card number.
    pub(in crate::ingest) shared_ids: bool,
}

/// What is known of a payload, understood or not.
#[derive(Debug, Default)]
pub(in crate::ingest) struct Reading {
    /// The event's identity: the provider's id if it has one that can be used, or once it was read what stands for it.
    pub(in crate::ingest) id: Option<Arc<str>>,
    /// The provider's id where no signature covers it, fit to leave.
    pub(in crate::ingest) unsigned_id: Option<String>,
    /// The provider's type, fit to leave.
    pub(in crate::ingest) kind: Arc<str>,
    /// The payment that it is about.
    pub(in crate::ingest) payment: Option<Name>,
}

/// What an event says, once it was understood.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::ingest) struct Statement {
    pub(in crate::ingest) id: Arc<str>,
    pub(in crate::ingest) payment: Name,
    pub(in crate::ingest) occurred_at: Option<Time>,
    pub(in crate::ingest) live: bool,
    pub(in crate::ingest) facts: Vec<Fact>,
}

/// Why a verified payload, or an answer, was not understood: a reason code, and the pointer where it was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// The reason code.
    pub code: &'static str,
    /// The pointer.
    pub at: String,
}

fn unclear<T>(code: &'static str, at: impl ToString) -> Result<T, Unclear> {
    Err(Unclear { code, at: at.to_string() })
}

impl Mapping {
    /// Whether some of its ids are long numbers of the provider's own.
    pub(in crate::ingest) const fn has_own_ids(&self) -> bool {
        !self.own_ids.is_empty()
    }

    /// Whether some captured amount stands where no currency does, so that the source has to name it.
    pub(in crate::ingest) fn needs_currency(&self) -> bool {
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
    pub(in crate::ingest) fn read(
        &self,
        terms: &Terms,
        around: Around<'_>,
        payload: &Value,
        reading: &mut Reading,
    ) -> Result<Option<Statement>, Unclear> {
        let kind = self.kind(around, payload)?;
        reading.kind = redact::text(&kind, MAX_WORD).into();
        let id = self.event_id(around, payload, reading);
        let matches = |entry: &&Entry| entry.matches(&kind, around, payload);
        let Some(entry) = self.entries.iter().find(matches) else { return Ok(None) };
        if id.is_err() {
            return unclear("bad_event_id", "event.id");
        }
        let payment = self.payment(terms, entry, around, payload)?;
        reading.payment = Some(payment.clone());
        let live = self.live(terms, around, payload)?;
        let occurred_at = self.occurred_at(around, payload)?;
        let money = MoneyReader { mapping: self, terms, payload };
        let told = entry.facts.iter().filter(|fact| fact.is_told(payload));
        let facts: Vec<Fact> = told.map(|fact| fact.rule.read(&money)).collect::<Result<_, _>>()?;
        let id = reading.id.take().unwrap_or_else(|| digest_identity(&reading.kind, &facts, occurred_at));
        reading.id = Some(Arc::clone(&id));
        Ok(Some(Statement { id, payment, occurred_at, live, facts }))
    }

    fn kind(&self, around: Around<'_>, payload: &Value) -> Result<String, Unclear> {
        let words: Vec<_> = self.kind.iter().filter_map(|at| at.text(around, payload)).collect();
        match (&self.otherwise, words.is_empty()) {
            (_, false) => Ok(words.join(".")),
            (Some(otherwise), true) => Ok(otherwise.clone()),
            (None, true) => unclear("missing_type", list(&self.kind)),
        }
    }

    /// Notes the event's id, if there is one. An error if it is none that can be used.
    fn event_id(&self, around: Around<'_>, payload: &Value, reading: &mut Reading) -> Result<(), ()> {
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
        entry: &Entry,
        around: Around<'_>,
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

    fn live(&self, terms: &Terms, around: Around<'_>, payload: &Value) -> Result<bool, Unclear> {
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

    fn occurred_at(&self, around: Around<'_>, payload: &Value) -> Result<Option<Time>, Unclear> {
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

impl Entry {
    fn matches(&self, kind: &str, around: Around<'_>, payload: &Value) -> bool {
        let holds = |(at, words): &(Place, Vec<String>)| {
            let text = at.text(around, payload).unwrap_or_default();
            words.iter().any(|word| *word == text)
        };
        self.kinds.iter().any(|pattern| glob(pattern, kind)) && self.when.iter().all(holds)
    }
}

impl FactEntry {
    fn is_told(&self, payload: &Value) -> bool {
        self.only_if.as_ref().is_none_or(|at| at.follow(payload).is_some())
    }
}

/// Whether a text is of a pattern in which `*` stands for any characters.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

impl<T: Copy + PartialEq> Word<T> {
    fn may_be(&self, wanted: T) -> bool {
        match self {
            Self::Is(word) => *word == wanted,
            Self::At { words, .. } => words.values().any(|word| *word == wanted),
        }
    }

    fn read(&self, payload: &Value) -> Result<T, Unclear> {
        match self {
            Self::Is(word) => Ok(*word),
            Self::At { at, words } => match at.text(payload).and_then(|text| words.get(&*text).copied()) {
                Some(word) => Ok(word),
                None => unclear("unknown_state", at),
            },
        }
    }
}

impl FactRule {
    fn read(&self, money: &MoneyReader<'_>) -> Result<Fact, Unclear> {
        Ok(match self {
            Self::Phase { phase, money: rule } => {
                let phase = phase.read(money.payload)?;
                let told = rule.as_ref().map(|rule| money.told(rule, phase)).transpose()?;
                Fact::Phase { phase, money: told.flatten() }
            }
            Self::Capture(rule) => {
                let told = rule.read(money)?;
                let is_captured = told.state != PartState::Failed;
                let amount = rule.amount.as_ref().filter(|_| is_captured && told.currency.is_none());
                amount.map_or(Ok(Fact::Capture(told)), |rule| unclear("missing_currency", &rule.amount))?
            }
            Self::Refund(rule) => Fact::Refund(rule.read(money)?),
            Self::Dispute(rule) => Fact::Dispute(rule.read(money)?),
            Self::Total { of, amount: rule } => {
                let (amount, currency) = money.amount(rule)?;
                if *of == TotalOf::Captured && currency.is_none() {
                    return unclear("missing_currency", &rule.amount);
                }
                Fact::Total { of: *of, amount, currency }
            }
            Self::Note => Fact::Note,
        })
    }
}

impl<S: Copy + PartialEq> PartRule<S> {
    fn read(&self, money: &MoneyReader<'_>) -> Result<Told<S>, Unclear> {
        let Some(id) = self.id.text(money.payload) else { return unclear("missing_part_id", &self.id) };
        let Ok(id) = id.parse::<Name>() else { return unclear("bad_part_id", &self.id) };
        // Masked, it could no longer be told from another, and the one refund would overwrite the other.
        let is_here = |place: &Place| matches!(place, Place::Payload(at) if *at == self.id);
        let is_exempt = money.terms.shared_ids || money.mapping.own_ids.iter().any(is_here);
        if redact::is_pan_like(id.as_str()) && !is_exempt {
            return unclear("pan_like_id", &self.id);
        }
        let sum = self.amount.as_ref().map(|rule| money.amount(rule)).transpose()?;
        let (amount, currency) = sum.unwrap_or((0, None));
        let state = self.state.read(money.payload)?;
        Ok(Told { id: id.as_str().into(), amount, currency, state })
    }
}

/// Reads amounts from the text of a payload's numbers and strings.
struct MoneyReader<'a> {
    mapping: &'a Mapping,
    terms: &'a Terms,
    payload: &'a Value,
}

impl MoneyReader<'_> {
    /// The money that goes with a phase; none where no amount is told. Money that was captured has to have a currency that we
    /// know; of other phases it is left out without one.
    fn told(&self, rule: &MoneyRule, phase: Phase) -> Result<Option<Money>, Unclear> {
        let Some(text) = self.written(rule)? else { return Ok(None) };
        match self.currency_of(rule) {
            Some(currency) => Ok(Some(Money { amount: self.parse(&text, Some(currency), rule)?, currency })),
            None if phase == Phase::Captured => unclear("missing_currency", &rule.amount),
            None => Ok(None),
        }
    }

    /// The amount of a part or total, which nothing can stand for, and its currency if one is told.
    fn amount(&self, rule: &MoneyRule) -> Result<(i64, Option<Currency>), Unclear> {
        let Some(text) = self.written(rule)? else { return unclear("missing_amount", &rule.amount) };
        let currency = self.currency_of(rule);
        Ok((self.parse(&text, currency, rule)?, currency))
    }

    /// The text of the amount, if there is any. An object, a list or a truth value is no amount.
    fn written(&self, rule: &MoneyRule) -> Result<Option<Cow<'_, str>>, Unclear> {
        match rule.amount.text(self.payload) {
            None if rule.amount.is_mistyped(self.payload) => unclear("bad_amount", &rule.amount),
            text => Ok(text),
        }
    }

    /// The currency that is told, else the source's. A code that is not in ISO 4217 is an asset of the source's or of the
    /// preset's, or nothing.
    fn currency_of(&self, rule: &MoneyRule) -> Option<Currency> {
        let own = |code: &str| {
            self.mapping.exponents.iter().find(|own| own.code().eq_ignore_ascii_case(code)).copied()
        };
        let told = rule.currency.as_ref().and_then(|at| at.text(self.payload));
        let Some(code) = told else {
            return self.terms.currency.map(|currency| own(currency.code()).unwrap_or(currency));
        };
        let source = self.terms.currency.filter(|currency| currency.code().eq_ignore_ascii_case(&code));
        own(&code).or_else(|| code.parse().ok()).or(source)
    }

    fn parse(&self, text: &str, currency: Option<Currency>, rule: &MoneyRule) -> Result<i64, Unclear> {
        let amount = match (self.mapping.amounts, currency) {
            (Amounts::Minor, _) => parse_minor(text),
            (Amounts::Major, Some(currency)) => parse_decimal(text, currency.exponent()),
            (Amounts::Major, None) => Err(MoneyError::UnknownCurrency),
        };
        match amount {
            Ok(amount) if is_card_number(amount, currency) => unclear("pan_like_amount", &rule.amount),
            Ok(amount) if amount >= 0 => Ok(amount),
            Err(MoneyError::UnknownCurrency) => unclear("missing_currency", &rule.amount),
            Ok(_) | Err(_) => unclear("bad_amount", &rule.amount),
        }
    }
}

/// Whether an amount can only be a card number. Of assets with fine minor units it may well be one: four ether are a number of
/// nineteen digits that begins like a Visa card's.
fn is_card_number(amount: i64, currency: Option<Currency>) -> bool {
    let exponent = currency.map_or(0, |currency| currency.exponent());
    exponent <= MAX_CASH_EXPONENT && redact::is_pan_like_amount(amount, exponent)
}

#[cfg(test)]
mod tests;
