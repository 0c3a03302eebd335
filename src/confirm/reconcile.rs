//! A look-up by hand: an operator asks for one payment at once, and gets a comparison of the gateway and the provider.

use super::{
    failed::Failed,
    lookup::{Lookup, Lookups},
};
use crate::{
    metrics::Metrics,
    payment::{Cursor, Event, Fact, Name, Phase, State, Status, TotalOf, View},
    source::Sources,
    store::Log,
};
use serde::Serialize;

/// The comparison that an operator gets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reconciled {
    /// The name of the source whose provider was asked.
    pub source: String,
    /// The id of the payment.
    pub payment: Name,
    /// Whether the gateway knew all that the provider says.
    pub same: bool,
    /// The fields in which they differ: `status`, `amount`, `currency`, `captured`, `refunded`.
    pub differences: Vec<&'static str>,
    /// The payment as the gateway knew it before.
    pub gateway: View,
    /// The payment as the provider describes it. Refunds, disputes and parts of a capture that its answer leaves out are as the gateway
    /// knows them, because not every provider reports all of them with a payment.
    pub provider: View,
    /// The event that was appended, if the answer was news.
    pub appended: Option<News>,
    /// The payment as the gateway knows it now.
    pub now: View,
}

/// The event that was appended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct News {
    /// Its sequence number in the payment's log.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// Its type, in the provider's own word.
    pub r#type: String,
}

/// Why a payment was not reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// No source of this name is configured.
    #[error("no source of this name is configured")]
    UnknownSource,
    /// The source has no `[source.api]`.
    #[error("the source has no credentials to ask its provider with; add [source.api] to it")]
    NoApi,
    /// The look-up failed.
    #[error(transparent)]
    Failed(#[from] Failed),
}

/// Looks up one payment at once, appends what is new, and compares the answer with what the gateway knew.
pub(super) async fn reconcile(
    lookups: &Lookups,
    sources: &Sources,
    metrics: &Metrics,
    source: &str,
    payment: &Name,
) -> Result<Reconciled, ReconcileError> {
    let source = sources.get(source).ok_or(ReconcileError::UnknownSource)?;
    let api = source.api().ok_or(ReconcileError::NoApi)?;
    let looked_up = lookups.look_up(&source, api, payment).await;
    let outcome = looked_up.as_ref().map_or_else(Failed::outcome, Lookup::outcome);
    metrics.confirmation(source.name(), outcome);
    // An operator may have typed anything; only a payment that the provider knows is safe to log.
    let shown = looked_up.is_ok().then_some(tracing::field::display(payment));
    tracing::info!(source = source.name(), payment = shown, outcome = outcome.word(), "reconciled by hand");
    Ok(compared(source.name(), payment, &looked_up?))
}

fn compared(source: &str, payment: &Name, lookup: &Lookup) -> Reconciled {
    let before = State::fold(lookup.log.entries.iter().map(|entry| &*entry.event));
    let mut after = before.clone();
    after.apply(&lookup.event);
    let gateway = before.view();
    let provider = completed(&lookup.log, &lookup.event).view();
    let differences = differences(&gateway, &provider);
    let news = |cursor: Cursor| News {
        seq: cursor.seq,
        id: lookup.event.id.to_string(),
        r#type: lookup.event.kind.to_string(),
    };
    Reconciled {
        source: source.to_owned(),
        payment: payment.clone(),
        same: differences.is_empty(),
        differences,
        gateway,
        provider,
        appended: lookup.appended.map(news),
        now: after.view(),
    }
}

/// The payment by the provider's answer, completed from the log where the answer is silent. The phase always comes from the answer.
/// If the answer does not say that the payment is captured, the log's captures do not count either.
fn completed(log: &Log, answer: &Event) -> State {
    let is_captured = State::fold([answer]).phase() == Some(Phase::Captured);
    let still_counts = |fact: &Fact| {
        let aspect = Aspect::of(fact);
        let is_answered = || answer.facts.iter().any(|answered| Aspect::of(answered) == aspect);
        match aspect {
            Aspect::Phase => false,
            Aspect::Captures => is_captured && !is_answered(),
            Aspect::Refunds | Aspect::Disputes => !is_answered(),
        }
    };
    let mut state = State::default();
    for entry in &log.entries {
        let mut event = Event::clone(&entry.event);
        event.facts.retain(still_counts);
        state.apply(&event);
    }
    state.apply(answer);
    state
}

/// The part of a payment that a fact describes.
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
