//! The fold: from a set of events to what they mean together.
//!
//! The state is a set of registers: the phase of each tier, the amount stated last, each capture, refund and dispute by id,
//! each running total. Every register keeps its maximum by (`occurred_at`, rank, event id, fact index), so the fold is a join
//! (commutative, associative, idempotent), and neither the order in which events arrive nor their repetition can matter
//! (invariant I4).

mod packed;
mod parts;
mod register;

pub use packed::Packed;

use super::{
    ActionKind, Currency, DisputeState, Event, Fact, FailureReason, Money, PartState, Phase, Status, Time,
    TotalOf, Trust, View,
};
use parts::{Parts, Sum};
use register::{Register, Stamp};
use serde::{Deserialize, Serialize};

/// The version of the fold: raised whenever the same log may fold to another status or snapshot. It is part of every `ETag`.
pub const FOLD_VERSION: u32 = 4;

/// Tiers of phases: {created, requires_action, processing, failed}, {authorized}, {canceled, expired}, {captured}.
const TIERS: usize = 4;

/// What a log's events mean together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The phase of each tier.
    tiers: [Option<Register<Tier>>; TIERS],
    /// The amount of the newest phase that states one.
    stated: Option<Register<Money>>,
    captures: Parts<PartState>,
    refunds: Parts<PartState>,
    disputes: Parts<DisputeState>,
    /// The running total of captures, if the provider reports one.
    total_captured: Option<Register<Sum>>,
    /// The running total of refunds, if the provider reports one.
    total_refunded: Option<Register<Sum>>,
}

/// A phase, and what its event states about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Tier {
    phase: Phase,
    money: Option<Money>,
    failure: Option<FailureReason>,
    action: Option<ActionKind>,
}

/// What one event changed, for its update frame. The state itself does not depend on the order of arrival, so it cannot say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The event changed nothing, because something newer was known.
    pub late: bool,
    /// The payment went back, for example because a capture failed after it had been reported as done.
    pub correction: bool,
}

impl State {
    /// Folds the events of a log, in any order.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// Joins one event into the state and returns what that changed. A [`Trust::Hint`] is folded as a note: it changes
    /// nothing.
    pub fn apply(&mut self, event: &Event) -> Change {
        if event.trust == Trust::Hint {
            return Change::default();
        }
        let before = self.visible();
        let newest = self.newest();
        let (mut has_news, mut changed) = (false, false);
        for (index, fact) in event.facts.iter().enumerate() {
            has_news |= *fact != Fact::Note;
            changed |= self.join(event, u8::try_from(index).unwrap_or(u8::MAX), fact);
        }
        let now = self.visible();
        // An old event may still fill a register that was empty, such as that of a lower tier, which nobody can see.
        let is_older = newest.is_some_and(|newest| event.occurred_at.map(Time::unix_ms) < newest);
        Change {
            late: has_news && (!changed || (is_older && now == before)),
            correction: now.is_back_from(&before),
        }
    }

    /// The time of the newest fact, in milliseconds; `None` if the state is empty, `Some(None)` if no event has a time.
    fn newest(&self) -> Option<Option<i64>> {
        let tiers = self.tiers.iter().flatten().map(|tier| &tier.stamp);
        let parts = self.captures.states().chain(self.refunds.states()).map(|(stamp, _)| stamp);
        let disputes = self.disputes.states().map(|(stamp, _)| stamp);
        let totals = self.total_captured.iter().chain(&self.total_refunded).map(|total| &total.stamp);
        tiers.chain(parts).chain(disputes).chain(totals).map(|stamp| stamp.occurred_at).max()
    }

    /// Joins one fact. Returns whether a register changed.
    fn join(&mut self, event: &Event, index: u8, fact: &Fact) -> bool {
        let stamp = |rank: u8| Stamp::new(event, index, rank);
        match fact {
            Fact::Phase { phase, money, failure, action } => {
                let stamp = stamp(*phase as u8);
                let stated =
                    money.is_some_and(|money| Register::join(&mut self.stated, stamp.clone(), money));
                let value = Tier { phase: *phase, money: *money, failure: *failure, action: *action };
                let tier = self.tiers.get_mut(tier(*phase));
                tier.is_some_and(|place| Register::join(place, stamp, value)) || stated
            }
            Fact::Capture(reported) => self.captures.join(reported, stamp(reported.state as u8)),
            Fact::Refund(reported) => self.refunds.join(reported, stamp(reported.state as u8)),
            Fact::Dispute(reported) => self.disputes.join(reported, stamp(reported.state as u8)),
            Fact::Total { of, amount, currency } => {
                let place = match of {
                    TotalOf::Captured => &mut self.total_captured,
                    TotalOf::Refunded => &mut self.total_refunded,
                };
                Register::join(place, stamp(*of as u8), Sum { amount: *amount, currency: *currency })
            }
            Fact::Note => false,
        }
    }

    /// The state as its readers see it.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            status: self.status(),
            amount: self.amount(),
            currency: self.currency(),
            captured: self.captured(),
            refunded: self.refunded(),
            conflict: self.conflict(),
            failure: self.top().and_then(|tier| tier.failure),
            action: self.top().and_then(|tier| tier.action),
        }
    }

    /// The status, first match of: a dispute lost, one open or under review, all refunded, some refunded, the phase, nothing.
    #[must_use]
    pub fn status(&self) -> Status {
        let disputed =
            |wanted: &[DisputeState]| self.disputes.states().any(|(_, state)| wanted.contains(&state));
        let (captured, refunded) = (self.captured(), self.refunded());
        if disputed(&[DisputeState::Lost]) {
            Status::ChargedBack
        } else if disputed(&[DisputeState::Open, DisputeState::UnderReview]) {
            Status::Disputed
        } else if captured > 0 && refunded >= captured {
            Status::Refunded
        } else if refunded > 0 {
            Status::PartiallyRefunded
        } else {
            self.phase().into()
        }
    }

    /// The phase of the highest tier that has one.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        if self.is_captured() {
            return Some(Phase::Captured);
        }
        self.top().map(|tier| tier.phase)
    }

    /// The tier that decides the phase. `None` if the payment is captured, or if no event states a phase.
    fn top(&self) -> Option<&Tier> {
        if self.is_captured() {
            return None;
        }
        // A capture that was taken back leaves the phase to the lower tiers.
        let mut tiers = self.tiers.iter().rev().flatten().map(|register| &register.value);
        tiers.find(|tier| tier.phase != Phase::Captured)
    }

    /// The amount of the newest phase that states one, with its currency.
    #[must_use]
    pub fn stated(&self) -> Option<Money> {
        self.stated.as_ref().map(|register| register.value)
    }

    /// The payment's amount in minor units: that of the newest phase that states one; as long as none does, the sum that was
    /// captured, if any was.
    #[must_use]
    pub fn amount(&self) -> Option<i64> {
        let captured = Some(self.captured()).filter(|captured| *captured > 0);
        self.stated().map(|money| money.amount).or(captured)
    }

    /// The payment's currency: that of the newest phase that states an amount, else of the newest capture, refund or dispute,
    /// in this order.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        let stated = self.stated().map(|money| money.currency);
        stated
            .or_else(|| self.captures.newest_currency(self.total_captured.as_ref()))
            .or_else(|| self.refunds.newest_currency(self.total_refunded.as_ref()))
            .or_else(|| self.disputes.newest_currency(None))
    }

    /// The sum that was captured, in minor units: of the captures and their running total if events report any that did not
    /// fail; else the amount of the captured phase, unless it was taken back.
    #[must_use]
    pub fn captured(&self) -> i64 {
        if self.captures.states().any(|(_, state)| state != PartState::Failed)
            || self.total_captured.is_some()
        {
            return self.captures.settled(self.total_captured.as_ref());
        }
        let [.., top] = &self.tiers;
        top.as_ref()
            .filter(|top| !self.is_taken_back(top))
            .and_then(|register| register.value.money.or_else(|| self.stated()))
            .map_or(0, |money| money.amount)
    }

    /// The sum that was refunded, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        self.refunds.settled(self.total_refunded.as_ref())
    }

    /// Whether the payment was both captured and canceled or expired. Voiding the rest of a partial capture is no conflict.
    #[must_use]
    pub fn conflict(&self) -> bool {
        let [_, authorized, ended, _] = &self.tiers;
        let reserved =
            authorized.as_ref().and_then(|register| register.value.money).map(|money| money.amount);
        let partial = reserved.is_some_and(|reserved| (1..reserved).contains(&self.captured()));
        ended.is_some() && self.is_captured() && !partial
    }

    fn is_captured(&self) -> bool {
        let [.., top] = &self.tiers;
        top.as_ref().is_some_and(|top| !self.is_taken_back(top))
            || self.captures.settled(self.total_captured.as_ref()) > 0
    }

    /// Whether a capture failed after the captured phase was reported, as direct debits may for days.
    fn is_taken_back(&self, top: &Register<Tier>) -> bool {
        let mut states = self.captures.states();
        states.any(|(stamp, state)| state == PartState::Failed && stamp.occurred_at > top.stamp.occurred_at)
    }

    fn visible(&self) -> Visible {
        Visible { view: self.view(), phase: self.phase() }
    }
}

/// What a page can see of a state, compared before and after an event.
#[derive(PartialEq, Eq)]
struct Visible {
    view: View,
    phase: Option<Phase>,
}

impl Visible {
    /// Whether the payment went back from `before` to `self`.
    fn is_back_from(&self, before: &Self) -> bool {
        let (now, was) = (&self.view, &before.view);
        // A captured sum that only became known more exactly (8 000 of the 10 000 reserved) is no step back.
        let uncaptured = now.captured < was.captured && now.captured == 0;
        let is_lost = |view: &View| view.status == Status::ChargedBack;
        self.phase.map(tier) < before.phase.map(tier)
            || uncaptured
            || now.refunded < was.refunded
            || (is_lost(was) && !is_lost(now))
    }
}

/// The index of a phase's tier.
const fn tier(phase: Phase) -> usize {
    match phase {
        Phase::Created | Phase::RequiresAction | Phase::Processing | Phase::Failed => 0,
        Phase::Authorized => 1,
        Phase::Canceled | Phase::Expired => 2,
        Phase::Captured => 3,
    }
}

#[cfg(test)]
mod tests;
