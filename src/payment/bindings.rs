//! What a label points at: its bindings to payments, and the choice of the payment that its readers get.
//!
//! The bindings are a join: a set of payments that only grows, each with the least (`occurred_at`, event id) that bound it. The choice depends
//! on these sets and on the states of the payments, which are joins too, so the order in which webhooks arrive cannot matter.

use super::{Binding, Event, Label, Maker, Name, Phase, Subject, Time, Trust};
use std::{collections::BTreeMap, sync::Arc};

/// The payments that a label holds of one scope. An order that is paid at the second or third attempt has two or three.
pub const MAX_BOUND: usize = 8;

/// The type of the events in a label's log.
const BOUND: &str = "label.bound";

/// What a label points at: the fold of its log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bindings {
    scopes: BTreeMap<Scope, BTreeMap<Name, BoundAt>>,
    /// When the newest event of the log was received.
    newest: Option<Time>,
}

/// The scope of a label: the same text may be an id of several providers, and of the shop, in both modes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Scope {
    live: bool,
    /// The provider that made the label; `None` if the shop did.
    provider: Option<Arc<str>>,
}

/// The time and the id of the event that bound a payment.
type BoundAt = (Option<Time>, Arc<str>);

/// What a binding adds to those that are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addition {
    /// Nothing: the payment is known by this event or an earlier one.
    Known,
    /// A payment, or an earlier event by which it is bound.
    New,
    /// A payment, but the label holds [`MAX_BOUND`] others already.
    Full,
}

impl Event {
    /// The event that binds a label of this one to its payment. `None` if the label must not be bound: nobody vouches for the event, the
    /// label is the payment's own id, or its log could not be named.
    #[must_use]
    pub fn binding(&self, label: &Label) -> Option<Self> {
        let Subject { realm, id: payment, .. } = &self.subject;
        if self.trust == Trust::Hint || label.id == *payment {
            return None;
        }
        Some(Self {
            // No id has a space, so no two pairs have one text.
            id: format!("{} {payment}", self.id).into(),
            source: Arc::clone(&self.source),
            provider: Arc::clone(&self.provider),
            kind: BOUND.into(),
            occurred_at: self.occurred_at,
            received_at: self.received_at,
            subject: Subject::label(realm, label.id.clone())?,
            live: self.live,
            trust: self.trust,
            facts: Vec::new(),
            labels: Vec::new(),
            parts: Vec::new(),
            binding: Some(Binding { payment: payment.clone(), maker: label.maker }),
        })
    }
}

impl Bindings {
    /// The bindings of a label's log, in its order.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut bindings = Self::default();
        events.into_iter().for_each(|event| bindings.apply(event));
        bindings
    }

    /// Adds what one event of the label's log says.
    pub fn apply(&mut self, event: &Event) {
        let addition = self.addition(event);
        self.newest = self.newest.max(Some(event.received_at));
        let Some((scope, payment, at)) = parts(event).filter(|_| addition == Addition::New) else { return };
        self.scopes.entry(scope).or_default().insert(payment.clone(), at);
    }

    /// What an event of the label's log would add.
    #[must_use]
    pub fn addition(&self, event: &Event) -> Addition {
        let Some((scope, payment, at)) = parts(event) else { return Addition::Known };
        let bound = self.scopes.get(&scope);
        match bound.and_then(|bound| bound.get(payment)) {
            Some(known) if *known <= at => Addition::Known,
            Some(_) => Addition::New,
            None if bound.is_some_and(|bound| bound.len() >= MAX_BOUND) => Addition::Full,
            None => Addition::New,
        }
    }

    /// When the newest event of the log was received.
    #[must_use]
    pub const fn newest(&self) -> Option<Time> {
        self.newest
    }

    /// The payments, without repetition.
    #[must_use]
    pub fn payments(&self) -> Vec<Name> {
        let mut payments: Vec<_> = self.scopes.values().flat_map(BTreeMap::keys).cloned().collect();
        payments.sort_unstable();
        payments.dedup();
        payments
    }

    /// The payment that the label points at: of those that have a log, the one with money (captured, or else authorized), and of several
    /// such the one that was bound last. Real money goes before tests, and ids that a provider made before those of the shop: a customer
    /// may have had a hand in the latter. `None` if no payment has a log. `phase` says a payment's phase, or `None` if it has no log.
    pub fn choose(&self, phase: impl Fn(&Name) -> Option<Option<Phase>>) -> Option<&Name> {
        let mut scopes: Vec<_> = self.scopes.iter().collect();
        // Of two providers that use one text, the one that used it first goes first.
        scopes.sort_by_key(|(scope, bound)| (!scope.live, scope.provider.is_none(), bound.values().min()));
        scopes.into_iter().find_map(|(_, bound)| {
            let known = bound.iter().filter_map(|(payment, at)| Some((money(phase(payment)?), at, payment)));
            known.max().map(|(_, _, payment)| payment)
        })
    }
}

/// How much money a payment of this phase has brought.
const fn money(phase: Option<Phase>) -> u8 {
    match phase {
        Some(Phase::Captured) => 2,
        Some(Phase::Authorized) => 1,
        _ => 0,
    }
}

/// The parts of an event of a label's log.
fn parts(event: &Event) -> Option<(Scope, &Name, BoundAt)> {
    let Binding { payment, maker } = event.binding.as_ref()?;
    let provider = (*maker == Maker::Provider).then(|| Arc::clone(&event.provider));
    Some((Scope { live: event.live, provider }, payment, (event.occurred_at, Arc::clone(&event.id))))
}

#[cfg(test)]
mod tests;
