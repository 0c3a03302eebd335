//! One verified, normalised statement about one payment, and the facts it holds.

use super::{ActionKind, Binding, Currency, FailureReason, Label, Money, Name, Subject, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The number of facts that one event may hold.
pub const MAX_FACTS: usize = 8;

/// One event of a log. (`source`, `id`) identifies it within the payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The log that the event belongs to. It stands first in the JSON too, so that a reader sees at once whether the event concerns it.
    pub subject: Subject,
    /// The provider's event id; where it is absent or not signed, [`digest_identity`] takes its place.
    pub id: Arc<str>,
    /// The name of the source that received the event.
    pub source: Arc<str>,
    /// The name of the provider. Two sources of one provider may feed one log.
    pub provider: Arc<str>,
    /// The provider's own name of the event's type, for example `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// When the event occurred, by the provider's clock. An absent time sorts first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Time>,
    /// When its delivery was received, by the gateway's clock. Events are never ordered by it.
    pub received_at: Time,
    /// Whether the event is about real money, as against the provider's test mode.
    pub live: bool,
    /// How far the event may be trusted.
    pub trust: Trust,
    /// What the event says: 1 to [`MAX_FACTS`] facts. An event that binds a label or a part has none.
    pub facts: Vec<Fact>,
    /// The other ids of the payment that the event names: at most [`MAX_LABELS`](super::MAX_LABELS). They are no part of its identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// The provider's ids of parts of the payment that the event names: at most [`MAX_PARTS`](super::MAX_PARTS). They are no part of its
    /// identity. An event that names a part alone, and no payment, has that part first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Name>,
    /// For an event of the log of a label or a part: what it points at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
}

/// How far an event may be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A signature covers all of its facts.
    Verified,
    /// The gateway fetched it from the provider's API.
    Confirmed,
    /// No signature covers all of its facts, so they are folded as notes and never change a status.
    Hint,
}

/// One thing that an event says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The phase of the payment.
    Phase {
        /// The phase.
        phase: Phase,
        /// The payment's amount in this phase, if the event states it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        money: Option<Money>,
        /// Why the payment failed or has to be tried again, if the event states it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<FailureReason>,
        /// What the customer has to do next, if the event states it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<ActionKind>,
    },
    /// A capture, for providers that capture in parts or take a capture back.
    Capture(Reported<PartState>),
    /// A refund.
    Refund(Reported<PartState>),
    /// A running total, for providers that report totals.
    Total {
        /// What the total is of.
        of: TotalOf,
        /// The total in minor units of its currency.
        amount: i64,
        /// The currency of the total; `None` if neither the payload nor the source names one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        currency: Option<Currency>,
    },
    /// A dispute.
    Dispute(Reported<DisputeState>),
    /// Something that is shown in the timeline and changes nothing else.
    Note,
}

/// What an event says about one capture, refund or dispute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reported<S> {
    /// The provider's id of the capture, refund or dispute.
    pub id: Arc<str>,
    /// The amount in minor units of its currency.
    pub amount: i64,
    /// The currency of the amount; `None` if neither the payload nor the source names one.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The state that the event reports.
    pub state: S,
}

/// The phases of a payment, in the order of their ranks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The payment exists; nobody has tried to pay yet.
    Created,
    /// The customer has to act, for example for 3-D Secure.
    RequiresAction,
    /// An attempt was made and is not decided yet.
    Processing,
    /// An attempt failed; another may follow.
    Failed,
    /// The money is reserved.
    Authorized,
    /// The payment was called off.
    Canceled,
    /// The time to pay has run out.
    Expired,
    /// The money is taken.
    Captured,
}

/// The states of a capture or refund, in the order of their ranks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// It is under way.
    Pending,
    /// It is done.
    Succeeded,
    /// It did not happen, or was taken back.
    Failed,
}

/// What a running total is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalOf {
    /// All captures so far.
    Captured,
    /// All refunds so far.
    Refunded,
}

/// The states of a dispute, in the order of their ranks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// The bank inquires; no money has moved.
    Warning,
    /// The money is contested.
    Open,
    /// The merchant has submitted evidence.
    UnderReview,
    /// The dispute was decided for the merchant.
    Won,
    /// The dispute was decided for the customer.
    Lost,
}

/// The first 16 bytes of a SHA-256.
pub type Digest = [u8; 16];

impl Fact {
    /// A phase, with the money that it states, without a failure or an action.
    #[must_use]
    pub const fn phase(phase: Phase, money: Option<Money>) -> Self {
        Self::Phase { phase, money, failure: None, action: None }
    }
}

impl Phase {
    /// Whether a payment in this phase may say why it failed, or why it has to be tried again.
    #[must_use]
    pub const fn may_have_failed(self) -> bool {
        matches!(self, Self::RequiresAction | Self::Failed | Self::Canceled | Self::Expired)
    }

    /// Whether a payment in this phase may say what the customer has to do next.
    #[must_use]
    pub const fn may_need_action(self) -> bool {
        matches!(self, Self::RequiresAction | Self::Processing)
    }
}

impl Event {
    /// The digest of what identifies the event within its payment: source and id.
    #[must_use]
    pub fn identity(&self) -> Digest {
        let mut hash = Sha256::new();
        // The length distinguishes ("ab", "c") from ("a", "bc").
        hash.update((self.source.len() as u64).to_be_bytes());
        hash.update(self.source.as_bytes());
        hash.update(self.id.as_bytes());
        first(&hash.finalize())
    }

    /// The digest of type and facts, in format 1. An event of the same identity with another digest is a conflict. Bodies are
    /// not compared, since providers may change their bytes when they retry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(&(&self.kind, format_1(&self.facts)))
    }
}

/// The id of an event whose own id is absent or not signed: a digest of type, facts and `occurred_at`, written as `sha256:`
/// and 32 hex digits.
#[must_use]
pub fn digest_identity(kind: &str, facts: &[Fact], occurred_at: Option<Time>) -> Arc<str> {
    let digest = digest(&(kind, format_1(facts), occurred_at));
    format!("sha256:{}", hex::encode(digest)).into()
}

/// The facts as events of format 1 held them: without the currency of captures, refunds, disputes and totals, and without the
/// failure and the action of phases. An event that an older version stored, and that its provider sends again, must have the
/// same digest, or the retry would be a conflict. For the same reason a table of reasons may be mended at any time.
fn format_1(facts: &[Fact]) -> Vec<Fact> {
    fn bare<S: Clone>(reported: &Reported<S>) -> Reported<S> {
        Reported { currency: None, ..reported.clone() }
    }
    let bare = |fact: &Fact| match fact {
        Fact::Capture(reported) => Fact::Capture(bare(reported)),
        Fact::Refund(reported) => Fact::Refund(bare(reported)),
        Fact::Dispute(reported) => Fact::Dispute(bare(reported)),
        Fact::Total { of, amount, .. } => Fact::Total { of: *of, amount: *amount, currency: None },
        Fact::Phase { phase, money, .. } => Fact::phase(*phase, *money),
        Fact::Note => Fact::Note,
    };
    facts.iter().map(bare).collect()
}

fn digest(content: &impl Serialize) -> Digest {
    // Plain structs of strings and numbers: serialising them cannot fail.
    let bytes = serde_json::to_vec(content).unwrap_or_default();
    first(&Sha256::digest(&bytes))
}

fn first(hash: &[u8]) -> Digest {
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::Maker;

    #[test]
    fn an_event_survives_its_stored_form() {
        let event = Event {
            id: "evt_1".into(),
            source: "acme".into(),
            provider: "stripe".into(),
            kind: "charge.dispute.created".into(),
            occurred_at: Some(Time::from_unix_s(1_700_000_000).unwrap()),
            received_at: Time::from_unix_s(1_700_000_001).unwrap(),
            subject: Subject::payment("default".parse().unwrap(), "pi_1".parse().unwrap()),
            live: false,
            trust: Trust::Verified,
            facts: vec![
                Fact::phase(
                    Phase::Captured,
                    Some(Money { amount: 10_000, currency: "EUR".parse().unwrap() }),
                ),
                Fact::Phase {
                    phase: Phase::RequiresAction,
                    money: None,
                    failure: Some(FailureReason::AuthenticationFailed),
                    action: Some(ActionKind::ThreeDs),
                },
                Fact::Dispute(Reported {
                    id: "dp_1".into(),
                    amount: -5,
                    currency: "JPY".parse().ok(),
                    state: DisputeState::UnderReview,
                }),
                Fact::Total { of: TotalOf::Refunded, amount: 9, currency: "EUR".parse().ok() },
                Fact::Note,
            ],
            labels: vec![Label { id: "ch_1".parse().unwrap(), maker: Maker::Provider }],
            parts: vec!["cap_1".parse().unwrap()],
            binding: Some(Binding { payment: "pi_1".parse().unwrap(), maker: Maker::Shop }),
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
    }

    #[test]
    fn an_event_of_format_1_is_read_and_has_the_digest_of_one_that_names_its_currencies() {
        let event = |refund: &str| {
            let text = r#"{"id":"re_1","source":"acme","provider":"stripe","type":"refund.created",
                "received_at":"2026-11-30T10:00:00.000Z","subject":SUBJECT,"live":true,"trust":"verified",
                "facts":[{"refund":{"id":"re_1","amount":500REFUND,"state":"succeeded"}},
                    {"total":{"of":"refunded","amount":500REFUND}}]}"#;
            let subject = Subject::payment("default".parse().unwrap(), "pi_1".parse().unwrap());
            let subject = serde_json::to_string(&subject).unwrap();
            serde_json::from_str::<Event>(&text.replace("SUBJECT", &subject).replace("REFUND", refund))
                .unwrap()
        };
        let (format_1, now) = (event(""), event(r#","currency":"EUR""#));
        assert_ne!(format_1, now);
        assert_eq!(format_1.digest(), now.digest());
        // As version 0.1 of 29 November 2026 stored it.
        assert_eq!(hex::encode(format_1.digest()), "0d63dfb4ffe2148bd126c09bb00e21b9");
        let identity = |event: &Event| digest_identity(&event.kind, &event.facts, event.occurred_at);
        assert_eq!(identity(&format_1), identity(&now));
    }

    #[test]
    fn a_failure_and_an_action_never_change_what_an_event_is() {
        let says = |failure: Option<FailureReason>, action: Option<ActionKind>| {
            let facts = vec![Fact::Phase { phase: Phase::Failed, money: None, failure, action }];
            (digest(&("charge.failed", format_1(&facts))), digest_identity("charge.failed", &facts, None))
        };
        let (bare, identity) = says(None, None);
        for reason in [FailureReason::Declined, FailureReason::TryAgain] {
            assert_eq!(says(Some(reason), Some(ActionKind::Wait)), (bare, Arc::clone(&identity)));
        }
        // As version 0.1 of 30 November 2026 computed it, before events said why a payment failed.
        assert_eq!(&*identity, "sha256:5ac30219ad11508fd1eb8c6ad6777dff");
    }

    #[test]
    fn the_digest_stands_for_type_and_facts_alone() {
        let note = [Fact::Note];
        let at = Time::from_unix_s(1).ok();
        assert_eq!(digest_identity("a", &note, at), digest_identity("a", &note, at));
        assert_ne!(digest_identity("a", &note, at), digest_identity("a", &note, None));
        assert_ne!(digest_identity("a", &note, at), digest_identity("b", &note, at));
        assert_eq!(digest_identity("a", &note, None).len(), "sha256:".len() + 32);
    }
}
