//! One verified, normalised statement about one payment, and the facts it holds.

use super::{Money, Subject, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The most facts one event may hold.
pub const MAX_FACTS: usize = 8;

/// One event of a log. Its identity is (`source`, `id`) within the payment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The provider's event id; where that is absent or unsigned, [`digest_identity`] stands for it.
    pub id: Arc<str>,
    /// Name of the source it came through.
    pub source: Arc<str>,
    /// Name of the provider: two sources of one provider may feed one log.
    pub provider: Arc<str>,
    /// The provider's own word, e.g. `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// When it happened, by the provider's clock; absent sorts first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Time>,
    /// When its delivery was received, by ours. Never orders.
    pub received_at: Time,
    /// The log that it belongs to.
    pub subject: Subject,
    /// Real money, as against the provider's test mode.
    pub live: bool,
    /// How far its word may be taken.
    pub trust: Trust,
    /// What it says: 1 to [`MAX_FACTS`].
    pub facts: Vec<Fact>,
}

/// How far an event's word may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Its signature covers all that it says.
    Verified,
    /// Fetched from the provider's API over our own connection.
    Confirmed,
    /// Not, or not wholly, covered by a signature: folded as a note, never changes a status.
    Hint,
}

/// One thing that an event says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Where the payment stands, with its money if told.
    Phase {
        /// The phase.
        phase: Phase,
        /// The amount that goes with it, if told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        money: Option<Money>,
    },
    /// One capture, for providers that capture in parts or take a capture back.
    Capture(Told<PartState>),
    /// One refund.
    Refund(Told<PartState>),
    /// A running total, for providers that report those.
    Total {
        /// Of what.
        of: TotalOf,
        /// In minor units of the payment's currency.
        amount: i64,
    },
    /// One dispute.
    Dispute(Told<DisputeState>),
    /// Kept in the timeline, changes nothing.
    Note,
}

/// What is told of one capture, refund or dispute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told<S> {
    /// The provider's id of it.
    pub id: Arc<str>,
    /// In minor units of the payment's currency.
    pub amount: i64,
    /// Where it stands.
    pub state: S,
}

/// The phases, in rank order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Known, nothing attempted.
    Created,
    /// The customer has something to do, e.g. 3-D Secure.
    RequiresAction,
    /// Attempted, no answer yet.
    Processing,
    /// An attempt failed; another may follow.
    Failed,
    /// The money is reserved.
    Authorized,
    /// Called off.
    Canceled,
    /// Ran out of time.
    Expired,
    /// The money is taken.
    Captured,
}

/// Where one capture or refund stands, in rank order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Under way.
    Pending,
    /// Done.
    Succeeded,
    /// Did not happen, or was taken back.
    Failed,
}

/// What a running total is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalOf {
    /// All that was captured so far.
    Captured,
    /// All that was refunded so far.
    Refunded,
}

/// Where one dispute stands, in rank order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// An inquiry: no money has moved.
    Warning,
    /// The money is contested.
    Open,
    /// Evidence was handed in.
    UnderReview,
    /// For the merchant.
    Won,
    /// For the customer.
    Lost,
}

/// The first 16 bytes of a SHA-256.
pub type Digest = [u8; 16];

impl Event {
    /// Digest of what it is within its payment: source and id.
    #[must_use]
    pub fn identity(&self) -> Digest {
        let mut hash = Sha256::new();
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hash.update((self.source.len() as u64).to_be_bytes());
        hash.update(self.source.as_bytes());
        hash.update(self.id.as_bytes());
        first(&hash.finalize())
    }

    /// Digest of type and facts. The same identity with another digest is a conflict; bodies are never compared, since
    /// honest retries change their bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        digest(&(&self.kind, &self.facts))
    }
}

/// What stands for an event id that is absent or unsigned: a digest of type, facts and `occurred_at`, as
/// `sha256:` and 32 hex digits.
#[must_use]
pub fn digest_identity(kind: &str, facts: &[Fact], occurred_at: Option<Time>) -> Arc<str> {
    let digest = digest(&(kind, facts, occurred_at));
    format!("sha256:{}", hex::encode(digest)).into()
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
                Fact::Phase {
                    phase: Phase::Captured,
                    money: Some(Money { amount: 10_000, currency: "EUR".parse().unwrap() }),
                },
                Fact::Dispute(Told { id: "dp_1".into(), amount: -5, state: DisputeState::UnderReview }),
                Fact::Total { of: TotalOf::Refunded, amount: 9 },
                Fact::Note,
            ],
        };
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
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
