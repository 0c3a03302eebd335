//! `[[map]]`: what the events of some types mean, fact by fact.

use super::money::{MoneyReader, MoneyRule};
use crate::{
    payment::{DisputeState, Fact, Name, PartState, Phase, Reported, TotalOf},
    redact,
    source::payload::{Place, Pointer, RequestParts, Unclear, unclear},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the events of some types mean.
#[derive(Clone, Debug)]
pub(crate) struct MapEntry {
    pub(crate) kinds: Vec<String>,
    pub(crate) when: Vec<(Place, Vec<String>)>,
    pub(crate) payment: Option<Vec<Place>>,
    pub(crate) facts: Vec<FactEntry>,
}

/// How to read one fact, which is left out where nothing stands at `only_if`.
#[derive(Clone, Debug)]
pub(crate) struct FactEntry {
    pub(crate) only_if: Option<Pointer>,
    pub(crate) rule: FactRule,
}

/// How to read one fact.
#[derive(Clone, Debug)]
pub(crate) enum FactRule {
    Phase { phase: Word<Phase>, money: Option<MoneyRule> },
    Capture(PartRule<PartState>),
    Refund(PartRule<PartState>),
    Dispute(PartRule<DisputeState>),
    Total { of: TotalOf, amount: MoneyRule },
    Note,
}

/// How to read one capture, refund or dispute. Without a rule for it, its amount is 0: nothing is told of any.
#[derive(Clone, Debug)]
pub(crate) struct PartRule<S> {
    pub(crate) id: Pointer,
    pub(crate) amount: Option<MoneyRule>,
    pub(crate) state: Word<S>,
}

/// A phase or state: always the same, or by the provider's word for it.
#[derive(Clone, Debug)]
pub(crate) enum Word<T> {
    Is(T),
    At { at: Pointer, words: BTreeMap<String, T> },
}

/// What it takes to read the facts of one payload.
pub(super) struct FactReader<'a> {
    /// Reads amounts, and holds the payload.
    pub(super) money: MoneyReader<'a>,
    /// Where long numbers stand that the provider itself makes.
    pub(super) own_ids: &'a [Place],
    /// Whether the shop makes the ids, and so vouches that none is a card number.
    pub(super) shared_ids: bool,
}

impl MapEntry {
    pub(super) fn matches(&self, kind: &str, around: RequestParts<'_>, payload: &Value) -> bool {
        let holds = |(at, words): &(Place, Vec<String>)| {
            let text = at.text(around, payload).unwrap_or_default();
            words.iter().any(|word| *word == text)
        };
        self.kinds.iter().any(|pattern| glob(pattern, kind)) && self.when.iter().all(holds)
    }
}

impl FactEntry {
    pub(super) fn is_told(&self, payload: &Value) -> bool {
        self.only_if.as_ref().is_none_or(|at| at.follow(payload).is_some())
    }
}

/// Whether a text is of a pattern in which `*` stands for any characters.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
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
    pub(super) fn may_be(&self, wanted: T) -> bool {
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
    pub(super) fn read(&self, reader: &FactReader<'_>) -> Result<Fact, Unclear> {
        Ok(match self {
            Self::Phase { phase, money: rule } => {
                let phase = phase.read(reader.money.payload)?;
                let told = rule.as_ref().map(|rule| reader.money.told(rule, phase)).transpose()?;
                Fact::Phase { phase, money: told.flatten() }
            }
            Self::Capture(rule) => {
                let told = rule.read(reader)?;
                let is_captured = told.state != PartState::Failed;
                let amount = rule.amount.as_ref().filter(|_| is_captured && told.currency.is_none());
                amount.map_or(Ok(Fact::Capture(told)), |rule| unclear("missing_currency", &rule.amount))?
            }
            Self::Refund(rule) => Fact::Refund(rule.read(reader)?),
            Self::Dispute(rule) => Fact::Dispute(rule.read(reader)?),
            Self::Total { of, amount: rule } => {
                let (amount, currency) = reader.money.amount(rule)?;
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
    fn read(&self, reader: &FactReader<'_>) -> Result<Reported<S>, Unclear> {
        let Some(id) = self.id.text(reader.money.payload) else {
            return unclear("missing_part_id", &self.id);
        };
        let Ok(id) = id.parse::<Name>() else { return unclear("bad_part_id", &self.id) };
        // Masked, it could no longer be told from another, and the one refund would overwrite the other.
        let is_here = |place: &Place| matches!(place, Place::Payload(at) if *at == self.id);
        let is_exempt = reader.shared_ids || reader.own_ids.iter().any(is_here);
        if redact::is_pan_like(id.as_str()) && !is_exempt {
            return unclear("pan_like_id", &self.id);
        }
        let sum = self.amount.as_ref().map(|rule| reader.money.amount(rule)).transpose()?;
        let (amount, currency) = sum.unwrap_or((0, None));
        let state = self.state.read(reader.money.payload)?;
        Ok(Reported { id: id.as_str().into(), amount, currency, state })
    }
}

impl FactEntry {
    /// Every pointer that [`FactRule::read`] may follow.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
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
