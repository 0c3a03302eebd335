//! The fold: from a set of events to what they mean together.
//!
//! State is a set of registers: the phase of each tier, the told amount, each capture, refund and dispute by id, each
//! total. Every register keeps its maximum by (`occurred_at`, rank, event id, fact index), so the fold is a join
//! (commutative, associative, idempotent) and order of arrival or repetition cannot matter: invariant I4.

use super::{
    Currency, DisputeState, Event, Fact, Money, PartState, Phase, Status, Time, Told, TotalOf, Trust,
};
use std::sync::Arc;

/// Grows whenever the same log may fold to another status or snapshot; part of every `ETag`.
pub const FOLD_VERSION: u32 = 3;

/// Tiers of phases: {created, requires_action, processing, failed}, {authorized}, {canceled, expired}, {captured}.
const TIERS: usize = 4;

/// What a log's events mean together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// The phase of each tier.
    tiers: [Option<Register<Tier>>; TIERS],
    /// The amount told last, by whatever phase.
    told: Option<Register<Money>>,
    /// Captures by id, sorted.
    captures: Parts<PartState>,
    /// Refunds by id, sorted.
    refunds: Parts<PartState>,
    /// Disputes by id, sorted.
    disputes: Parts<DisputeState>,
    /// The running total of captures.
    total_captured: Option<Register<Sum>>,
    /// The running total of refunds.
    total_refunded: Option<Register<Sum>>,
}

/// A phase, with the amount told beside it.
type Tier = (Phase, Option<Money>);

type Parts<S> = Vec<(Arc<str>, Register<Part<S>>)>;

/// One capture, refund or dispute.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part<S> {
    state: S,
    sum: Sum,
}

/// An amount in minor units, with its currency if that was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sum {
    amount: i64,
    currency: Option<Currency>,
}

/// What one event did to the state, for its update frame. The state itself knows no order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// The event changed nothing, because something newer was known.
    pub late: bool,
    /// The status went back, e.g. a capture that failed after all.
    pub correction: bool,
}

/// One value, kept at its maximum.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Register<T> {
    stamp: Stamp,
    value: T,
}

/// What registers are ordered by, in the order of its fields. `source` comes last: within a payment, two sources may use
/// one event id for different events.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Stamp {
    /// Milliseconds; an absent time sorts first.
    occurred_at: Option<i64>,
    rank: u8,
    event: Arc<str>,
    index: u8,
    source: Arc<str>,
}

impl<T: PartialEq> Register<T> {
    /// Keeps the larger of what stands in `place` and the new value. True if the register changed.
    fn join(place: &mut Option<Self>, stamp: Stamp, value: T) -> bool {
        if place.as_ref().is_some_and(|known| known.stamp >= stamp) {
            return false;
        }
        *place = Some(Self { stamp, value });
        true
    }
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

    /// Joins one event into the state and says what that did. An unverified word (a hint) is folded as a note.
    pub fn apply(&mut self, event: &Event) -> Change {
        if event.trust == Trust::Hint {
            return Change::default();
        }
        let before = self.standing();
        let newest = self.newest();
        let mut tells = false;
        let mut changed = false;
        for (index, fact) in event.facts.iter().enumerate() {
            tells |= *fact != Fact::Note;
            changed |= self.join(event, u8::try_from(index).unwrap_or(u8::MAX), fact);
        }
        let now = self.standing();
        // Old news may still fill a register that nothing had filled, e.g. that of a lower tier.
        let is_older = newest.is_some_and(|newest| event.occurred_at.map(Time::unix_ms) < newest);
        Change {
            late: tells && (!changed || (is_older && now == before)),
            correction: now.is_back_from(&before),
        }
    }

    /// When the newest of what is known happened; none if nothing is known.
    fn newest(&self) -> Option<Option<i64>> {
        let parts = [&self.captures, &self.refunds].into_iter().flatten().map(|(_, part)| &part.stamp);
        let disputes = self.disputes.iter().map(|(_, dispute)| &dispute.stamp);
        let totals =
            [&self.total_captured, &self.total_refunded].into_iter().flatten().map(|total| &total.stamp);
        let tiers = self.tiers.iter().flatten().map(|tier| &tier.stamp);
        tiers.chain(parts).chain(disputes).chain(totals).map(|stamp| stamp.occurred_at).max()
    }

    /// Joins one fact. True if a register changed.
    fn join(&mut self, event: &Event, index: u8, fact: &Fact) -> bool {
        let stamp = |rank: u8| Stamp {
            occurred_at: event.occurred_at.map(Time::unix_ms),
            rank,
            event: Arc::clone(&event.id),
            index,
            source: Arc::clone(&event.source),
        };
        match fact {
            Fact::Phase { phase, money } => {
                let stamp = stamp(*phase as u8);
                let told = money.is_some_and(|money| Register::join(&mut self.told, stamp.clone(), money));
                let tier = self.tiers.get_mut(tier(*phase));
                tier.is_some_and(|place| Register::join(place, stamp, (*phase, *money))) || told
            }
            Fact::Capture(told) => join_part(&mut self.captures, told, stamp(told.state as u8)),
            Fact::Refund(told) => join_part(&mut self.refunds, told, stamp(told.state as u8)),
            Fact::Dispute(told) => join_part(&mut self.disputes, told, stamp(told.state as u8)),
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

    /// The status, first match: a dispute lost, one open or under review, all refunded, some refunded, the phase, nothing.
    #[must_use]
    pub fn status(&self) -> Status {
        let disputed =
            |wanted: &[DisputeState]| self.disputes.iter().any(|(_, d)| wanted.contains(&d.value.state));
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
        self.tiers
            .iter()
            .rev()
            .flatten()
            .map(|register| register.value.0)
            .find(|phase| *phase != Phase::Captured)
    }

    /// The amount told last, with its currency.
    #[must_use]
    pub fn told(&self) -> Option<Money> {
        self.told.as_ref().map(|register| register.value)
    }

    /// The payment's amount in minor units: the one told last or, as long as none was told, what was captured.
    #[must_use]
    pub fn amount(&self) -> Option<i64> {
        let captured = Some(self.captured()).filter(|captured| *captured > 0);
        self.told().map(|money| money.amount).or(captured)
    }

    /// The payment's currency: that of the amount told last, else of the newest capture, refund or dispute, in this order.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        let told = self.told().map(|money| money.currency);
        told.or_else(|| newest_currency(&self.captures, self.total_captured.as_ref()))
            .or_else(|| newest_currency(&self.refunds, self.total_refunded.as_ref()))
            .or_else(|| newest_currency(&self.disputes, None))
    }

    /// What was captured, in minor units: the parts if any are told that did not fail, else what went with the phase unless it
    /// was taken back.
    #[must_use]
    pub fn captured(&self) -> i64 {
        let is_told = |part: &(Arc<str>, Register<Part<PartState>>)| part.1.value.state != PartState::Failed;
        if self.captures.iter().any(is_told) || self.total_captured.is_some() {
            return settled(&self.captures, self.total_captured.as_ref());
        }
        let [.., top] = &self.tiers;
        top.as_ref()
            .filter(|top| !self.is_taken_back(top))
            .and_then(|register| register.value.1.or_else(|| self.told()))
            .map_or(0, |money| money.amount)
    }

    /// What was refunded, in minor units.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        settled(&self.refunds, self.total_refunded.as_ref())
    }

    /// Captured meets canceled or expired. Voiding the rest of a partial capture is none.
    #[must_use]
    pub fn conflict(&self) -> bool {
        let [_, authorized, ended, _] = &self.tiers;
        let reserved = authorized.as_ref().and_then(|register| register.value.1).map(|money| money.amount);
        let partial = reserved.is_some_and(|reserved| (1..reserved).contains(&self.captured()));
        ended.is_some() && self.is_captured() && !partial
    }

    fn is_captured(&self) -> bool {
        let [.., top] = &self.tiers;
        top.as_ref().is_some_and(|top| !self.is_taken_back(top))
            || settled(&self.captures, self.total_captured.as_ref()) > 0
    }

    /// Whether a capture that was told as a phase failed afterwards, as direct debits may for days.
    fn is_taken_back(&self, top: &Register<(Phase, Option<Money>)>) -> bool {
        let failed = |part: &&(Arc<str>, Register<Part<PartState>>)| part.1.value.state == PartState::Failed;
        let mut failures = self.captures.iter().filter(failed);
        failures.any(|(_, part)| part.stamp.occurred_at > top.stamp.occurred_at)
    }

    fn standing(&self) -> Standing {
        Standing {
            tier: self.phase().map(tier),
            captured: self.captured(),
            refunded: self.refunded(),
            lost: self.disputes.iter().any(|(_, dispute)| dispute.value.state == DisputeState::Lost),
            status: self.status(),
            phase: self.phase(),
            amount: self.amount(),
            currency: self.currency(),
            conflict: self.conflict(),
        }
    }
}

/// What a page can see, and what of it can go back.
#[derive(PartialEq, Eq)]
struct Standing {
    tier: Option<usize>,
    captured: i64,
    refunded: i64,
    lost: bool,
    status: Status,
    phase: Option<Phase>,
    amount: Option<i64>,
    currency: Option<Currency>,
    conflict: bool,
}

impl Standing {
    fn is_back_from(&self, before: &Self) -> bool {
        // A captured sum that only became known more exactly (8 000 of the 10 000 reserved) is no step back.
        let uncaptured = self.captured < before.captured && self.captured == 0;
        self.tier < before.tier
            || uncaptured
            || self.refunded < before.refunded
            || (before.lost && !self.lost)
    }
}

const fn tier(phase: Phase) -> usize {
    match phase {
        Phase::Created | Phase::RequiresAction | Phase::Processing | Phase::Failed => 0,
        Phase::Authorized => 1,
        Phase::Canceled | Phase::Expired => 2,
        Phase::Captured => 3,
    }
}

fn join_part<S: Copy>(parts: &mut Parts<S>, told: &Told<S>, stamp: Stamp) -> bool {
    let sum = Sum { amount: told.amount, currency: told.currency };
    let value = Part { state: told.state, sum };
    match parts.binary_search_by(|(id, _)| id.cmp(&told.id)) {
        Ok(place) => parts.get_mut(place).is_some_and(|(_, known)| {
            let newer = known.stamp < stamp;
            if newer {
                *known = Register { stamp, value };
            }
            newer
        }),
        Err(place) => {
            parts.insert(place, (Arc::clone(&told.id), Register { stamp, value }));
            true
        }
    }
}

/// What parts and a running total come to. A preset feeds one or the other; where a provider tells both (Stripe's
/// `charge.refunded` beside its refund objects), neither may be counted on top of the other: the larger one stands, and
/// the total loses the parts that failed after it was told.
fn settled(parts: &Parts<PartState>, total: Option<&Register<Sum>>) -> i64 {
    let sum = |state: PartState, after: Option<Option<i64>>| -> i64 {
        let counts = |part: &&(Arc<str>, Register<Part<PartState>>)| {
            part.1.value.state == state && after.is_none_or(|after| part.1.stamp.occurred_at > after)
        };
        parts.iter().filter(counts).fold(0, |sum, part| sum.saturating_add(part.1.value.sum.amount))
    };
    let succeeded = sum(PartState::Succeeded, None);
    let Some(total) = total else { return succeeded };
    let failed_since = sum(PartState::Failed, Some(total.stamp.occurred_at));
    succeeded.max(total.value.amount.saturating_sub(failed_since))
}

/// The currency of the newest of these registers that has one.
fn newest_currency<S>(parts: &Parts<S>, total: Option<&Register<Sum>>) -> Option<Currency> {
    let parts = parts.iter().map(|(_, part)| (&part.stamp, part.value.sum.currency));
    let told = parts.chain(total.map(|total| (&total.stamp, total.value.currency)));
    told.filter(|(_, currency)| currency.is_some()).max_by_key(|(stamp, _)| *stamp)?.1
}

#[cfg(test)]
mod tests;
