//! The same step by hand: an operator asks for one payment at once, and is told where the gateway and the provider differ.

use super::{Confirmations, Failed, step::Step};
use crate::{
    payment::{Cursor, Event, Fact, Name, Phase, State, Status, TotalOf, View},
    store::Log,
};
use serde::Serialize;

/// What an operator is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reconciled {
    /// Whose payment.
    pub source: String,
    /// Which.
    pub payment: Name,
    /// Whether the gateway knew what the provider says.
    pub same: bool,
    /// What they differ in: `status`, `amount`, `currency`, `captured`, `refunded`.
    pub differences: Vec<&'static str>,
    /// What the gateway knew.
    pub gateway: View,
    /// What the provider says. Refunds, disputes and parts of a capture that its answer does not speak of stand as the gateway knows
    /// them: not every provider tells all with a payment.
    pub provider: View,
    /// The event that was appended, if the answer was news.
    pub appended: Option<News>,
    /// What the gateway knows now.
    pub now: View,
}

/// An event that was appended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct News {
    /// Its place in the log.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// The provider's word.
    pub r#type: String,
}

/// Why a payment was not reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// No source of that name.
    #[error("no source of this name is configured")]
    UnknownSource,
    /// Its provider cannot be asked.
    #[error("the source has no credentials to ask its provider with; add [source.api] to it")]
    NoApi,
    /// It was asked in vain.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl Confirmations {
    /// Asks for one payment at once, whether a confirmation is owed or not, and appends what is new.
    pub async fn reconcile(&self, source: &str, payment: &Name) -> Result<Reconciled, ReconcileError> {
        let source = self.sources.get(source).ok_or(ReconcileError::UnknownSource)?;
        let api = source.api().ok_or(ReconcileError::NoApi)?;
        let asked = self.step(&source, api, payment).await;
        let outcome = match &asked {
            Ok(Step { appended: Some(_), .. }) => "appended",
            Ok(_) => "same",
            Err(failed) => failed.outcome(),
        };
        self.metrics.confirmation(source.name(), outcome);
        // What an operator typed may be anything; what was understood is a payment.
        let shown = asked.is_ok().then_some(tracing::field::display(payment));
        tracing::info!(source = source.name(), payment = shown, outcome, "reconciled by hand");
        Ok(compared(source.name(), payment, &asked?))
    }
}

fn compared(source: &str, payment: &Name, step: &Step) -> Reconciled {
    let before = State::fold(step.log.entries.iter().map(|entry| &*entry.event));
    let mut after = before.clone();
    after.apply(&step.event);
    let gateway = before.view();
    let provider = completed(&step.log, &step.event).view();
    let differences = differences(&gateway, &provider);
    let news = |cursor: Cursor| News {
        seq: cursor.seq,
        id: step.event.id.to_string(),
        r#type: step.event.kind.to_string(),
    };
    Reconciled {
        source: source.to_owned(),
        payment: payment.clone(),
        same: differences.is_empty(),
        differences,
        gateway,
        provider,
        appended: step.appended.map(news),
        now: after.view(),
    }
}

/// What an answer says, where it says something, and else what the log does. A phase is always the answer's to tell, and so are the
/// parts of a capture where it does not speak of one.
fn completed(log: &Log, answer: &Event) -> State {
    let is_captured = State::fold([answer]).phase() == Some(Phase::Captured);
    let stands = |fact: &Fact| {
        let aspect = Aspect::of(fact);
        let is_told = || answer.facts.iter().any(|told| Aspect::of(told) == aspect);
        match aspect {
            Aspect::Phase => false,
            Aspect::Captures => is_captured && !is_told(),
            Aspect::Refunds | Aspect::Disputes => !is_told(),
        }
    };
    let mut state = State::default();
    for entry in &log.entries {
        let mut event = Event::clone(&entry.event);
        event.facts.retain(stands);
        state.apply(&event);
    }
    state.apply(answer);
    state
}

/// What a fact is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aspect {
    Phase,
    Captures,
    Refunds,
    Disputes,
}

impl Aspect {
    const fn of(fact: &Fact) -> Self {
        match fact {
            Fact::Phase { .. } | Fact::Note => Self::Phase,
            Fact::Capture(_) | Fact::Total { of: TotalOf::Captured, .. } => Self::Captures,
            Fact::Refund(_) | Fact::Total { of: TotalOf::Refunded, .. } => Self::Refunds,
            Fact::Dispute(_) => Self::Disputes,
        }
    }
}

/// The fields in which the provider's answer differs from what the gateway knew. A field that the answer does not state is
/// no difference.
fn differences(gateway: &View, provider: &View) -> Vec<&'static str> {
    let states_money = provider.amount.is_some();
    let all = [
        ("status", provider.status != Status::Unknown && gateway.status != provider.status),
        ("amount", states_money && gateway.amount != provider.amount),
        ("currency", states_money && gateway.currency != provider.currency),
        ("captured", states_money && gateway.captured != provider.captured),
        ("refunded", states_money && gateway.refunded != provider.refunded),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests;
