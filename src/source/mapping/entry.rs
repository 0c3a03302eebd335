//! `[[map]]`: what the events of some types mean, fact by fact.

use super::{
    coded::Coded,
    money::{MoneyReader, MoneyRule},
};
use crate::{
    payment::{ActionKind, DisputeState, Fact, FailureReason, Name, PartState, Phase, Reported, TotalOf},
    redact,
    source::payload::{Place, Pointer, RequestParts, Unclear, unclear},
};
use serde_json::Value;
use std::{borrow::Cow, collections::BTreeMap};

/// One entry of `[[map]]`: what the events of some types mean.
#[derive(Clone, Debug)]
pub(crate) struct MapEntry {
    /// The patterns of event types, in which `*` stands for any characters.
    pub(crate) kinds: Vec<String>,
    /// Places, and the texts of which one has to be there. An empty text stands for a place that holds none.
    pub(crate) when: Vec<(Place, Vec<String>)>,
    /// The places of the payment's id, in place of those of the mapping.
    pub(crate) payment: Option<Vec<Place>>,
    /// The places of other ids of the payment, in place of those of the mapping.
    pub(crate) labels: Option<Vec<Place>>,
    /// The places of ids of parts of the payment, in place of those of the mapping.
    pub(crate) parts: Option<Vec<Place>>,
    /// The places of the id of a part, for events that name no payment.
    pub(crate) part: Vec<Place>,
    /// The facts that these events state.
    pub(crate) facts: Vec<FactEntry>,
}

/// How to read one fact, which is left out if the payload has nothing at `only_if`.
#[derive(Clone, Debug)]
pub(crate) struct FactEntry {
    /// The place that has to hold something.
    pub(crate) only_if: Option<Pointer>,
    /// How to read the fact.
    pub(crate) rule: FactRule,
}

/// How to read one fact.
#[derive(Clone, Debug)]
pub(crate) enum FactRule {
    /// A phase of the payment, with the money of that phase.
    Phase {
        phase: Word<Phase>,
        money: Option<MoneyRule>,
        failure: Option<Coded<FailureReason>>,
        action: Option<Coded<ActionKind>>,
    },
    /// A capture.
    Capture(PartRule<PartState>),
    /// A refund.
    Refund(PartRule<PartState>),
    /// A dispute.
    Dispute(PartRule<DisputeState>),
    /// The sum of all captures or of all refunds.
    Total { of: TotalOf, amount: MoneyRule },
    /// A note, which changes no status.
    Note,
}

/// How to read one capture, refund or dispute. Without a rule for the amount, the amount is 0.
#[derive(Clone, Debug)]
pub(crate) struct PartRule<S> {
    /// The place of the part's id.
    pub(crate) id: Pointer,
    /// The places of the amount and its currency, if the payload has them.
    pub(crate) amount: Option<MoneyRule>,
    /// The state of the part.
    pub(crate) state: Word<S>,
}

/// How to read a phase or state.
#[derive(Clone, Debug)]
pub(crate) enum Word<T> {
    /// The phase or state is always this one.
    Is(T),
    /// The provider's word at a place decides.
    At { at: Pointer, words: BTreeMap<String, T> },
}

/// The reader of the facts of one payload.
pub(super) struct FactReader<'a> {
    /// The reader of amounts, which holds the payload.
    pub(super) money: MoneyReader<'a>,
    /// The places of ids that the provider itself makes and that may be long numbers.
    pub(super) own_ids: &'a [Place],
    /// Whether the shop makes the ids, and so vouches that none is a card number.
    pub(super) shared_ids: bool,
}

impl MapEntry {
    /// Returns whether the entry is for an event of this type with this payload.
    pub(super) fn matches(&self, kind: &str, parts: RequestParts<'_>, payload: &Value) -> bool {
        let holds = |(at, words): &(Place, Vec<String>)| {
            let text = at.text(parts, payload).unwrap_or_default();
            words.iter().any(|word| *word == text)
        };
        self.kinds.iter().any(|pattern| glob(pattern, kind)) && self.when.iter().all(holds)
    }
}

impl FactEntry {
    /// Returns whether the payload has the fact.
    pub(super) fn is_present(&self, payload: &Value) -> bool {
        self.only_if.as_ref().is_none_or(|at| at.follow(payload).is_some())
    }
}

/// Returns whether a text matches a pattern in which `*` stands for any characters.
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
    /// Returns whether a payload may give this phase or state.
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
    /// Reads the fact. Fails if a value that the fact needs is missing or unclear.
    pub(super) fn read(&self, reader: &FactReader<'_>) -> Result<Fact, Unclear> {
        Ok(match self {
            Self::Phase { phase, money: rule, failure, action } => {
                let payload = reader.money.payload;
                let phase = phase.read(payload)?;
                let money = rule.as_ref().map(|rule| reader.money.of_phase(rule, phase)).transpose()?;
                let failure = failure.as_ref().filter(|_| phase.may_have_failed());
                let action = action.as_ref().filter(|_| phase.may_need_action());
                // A failure with an unknown code is a decline. In other phases, a code may tell of something else than a failure.
                let reason = |coded: &Coded<FailureReason>| match phase {
                    Phase::Failed => coded.known_or_otherwise(payload),
                    _ => coded.known(payload),
                };
                Fact::Phase {
                    phase,
                    money: money.flatten(),
                    failure: failure.and_then(reason),
                    action: action.and_then(|coded| coded.known(payload)),
                }
            }
            Self::Capture(rule) => {
                let capture = rule.read(reader)?;
                let is_captured = capture.state != PartState::Failed;
                let amount = rule.amount.as_ref().filter(|_| is_captured && capture.currency.is_none());
                amount.map_or(Ok(Fact::Capture(capture)), |rule| unclear("missing_currency", &rule.amount))?
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
        // A masked id could not be told from another, and one refund would overwrite the other.
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
    /// Returns every pointer that [`FactRule::read`] may follow.
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.only_if.iter().chain(self.rule.pointers())
    }
}

impl FactRule {
    /// Returns the places of the part's id and of the amount, if the fact has them.
    pub(super) fn exact_places(&self) -> (Option<&Pointer>, Option<&Pointer>) {
        match self {
            Self::Phase { money, .. } => (None, money.as_ref().map(|rule| &rule.amount)),
            Self::Capture(rule) | Self::Refund(rule) => {
                (Some(&rule.id), rule.amount.as_ref().map(|rule| &rule.amount))
            }
            Self::Dispute(rule) => (Some(&rule.id), rule.amount.as_ref().map(|rule| &rule.amount)),
            Self::Total { amount, .. } => (None, Some(&amount.amount)),
            Self::Note => (None, None),
        }
    }

    /// Returns the provider's own code for the failure, if the payload has one and the phase is one that may have failed.
    pub(super) fn failure_code<'a>(&self, payload: &'a Value) -> Option<Cow<'a, str>> {
        let Self::Phase { phase, failure: Some(failure), .. } = self else { return None };
        phase.read(payload).ok().filter(|phase| phase.may_have_failed()).and_then(|_| failure.code(payload))
    }

    fn pointers(&self) -> Vec<&Pointer> {
        match self {
            Self::Phase { phase, money, failure, action } => {
                let money = money.iter().flat_map(MoneyRule::pointers);
                let codes = failure.iter().flat_map(Coded::pointers);
                let codes = codes.chain(action.iter().flat_map(Coded::pointers));
                phase.pointer().into_iter().chain(money).chain(codes).collect()
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

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs_match_whole_types() {
        for (pattern, text, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("a.*", "a.b.c", true),
            ("a.*", "b.a.", false),
            ("*.done", "x.done", true),
            ("*.done", ".done.", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }
}
