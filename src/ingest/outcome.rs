//! The outcome of a delivery, and the answer to the provider: the acknowledgement rule.
//!
//! A provider that is answered with 2xx forgets the event, one that is answered with 4xx may give it up for good, and one that is
//! answered with 503 tries again. So 2xx stands for "stored durably" and for what another try would not improve; 4xx stands for
//! what is not the provider's, or not as it was signed; 503 stands for our own faults.

use super::reply::{Reply, ReplyBody};
use crate::{
    limits::LimitHit,
    payment::Cursor,
    source::{EventSummary, NoKey, Rejection, ReplyRule, Unclear},
    store::OutcomeKind,
};
use serde_json::json;
use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

/// When the provider should try again after a fault of ours: restarts and failovers take about that long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// When the provider should try again after too many deliveries without a valid signature.
const THROTTLED_FOR: Duration = Duration::from_secs(1);

/// The HTTP status of a delivery without a valid signature.
const UNAUTHORIZED: u16 = 401;

/// Why a delivery did not get past the HTTP server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The body took longer than this to arrive.
    Slow(Duration),
    /// The body broke off, or violates the rules of HTTP.
    Broken,
    /// There was no room for the body.
    Overload,
    /// The gateway failed while it handled the delivery.
    Defect,
}

impl Refusal {
    /// Returns the limit that the delivery hit, if any.
    pub(super) const fn limit(self) -> Option<LimitHit> {
        match self {
            Self::TooLarge(_) => Some(LimitHit::BodyBytes),
            Self::Slow(_) => Some(LimitHit::BodyTimeout),
            Self::Overload => Some(LimitHit::BufferedBytes),
            Self::Broken | Self::Defect => None,
        }
    }

    /// Returns whether the gateway is at fault, and not the sender.
    const fn is_our_fault(self) -> bool {
        matches!(self, Self::Overload | Self::Defect)
    }

    /// Returns the reason code.
    const fn code(self) -> &'static str {
        match self {
            Self::TooLarge(_) => "body_too_large",
            Self::Slow(_) => "body_timeout",
            Self::Broken => "broken_body",
            Self::Overload => "overload",
            Self::Defect => "defect",
        }
    }

    fn reply(self) -> Reply {
        let (status, detail): (_, Cow<'_, str>) = match self {
            Self::TooLarge(bytes) => (413, format!("A webhook has at most {bytes} bytes.").into()),
            Self::Slow(limit) => (408, format!("The body took over {limit:?}.").into()),
            Self::Broken => (400, "The body broke off or is malformed.".into()),
            Self::Overload => (503, "Too much is being delivered at once; send it again.".into()),
            Self::Defect => (503, "The gateway failed; send it again.".into()),
        };
        problem(status, self.code(), detail, self.is_our_fault().then_some(RETRY_AFTER))
    }
}

/// What became of a delivery.
pub(super) struct Dealt {
    /// The name of the secret that verified it, if one did.
    pub(super) secret: Option<Arc<str>>,
    /// What became of each of its events.
    pub(super) taken: Vec<Taken>,
}

impl From<Outcome> for Dealt {
    fn from(outcome: Outcome) -> Self {
        Self { secret: None, taken: vec![outcome.into()] }
    }
}

/// One event of a delivery, or a delivery without any: what is known about it, and what came of it.
pub(super) struct Taken {
    /// What is known about the event.
    pub(super) summary: EventSummary,
    /// What came of it.
    pub(super) outcome: Outcome,
}

impl From<Outcome> for Taken {
    fn from(outcome: Outcome) -> Self {
        Self { summary: EventSummary::default(), outcome }
    }
}

/// What came of an event. Every event has exactly one outcome; docs/src/providers/outcomes.md says what each means to providers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The event is new, and stored durably.
    Accepted(Cursor),
    /// The event is known already, and stored durably.
    Duplicate(Cursor),
    /// The event is verified, and not about a payment.
    Ignored,
    /// The event names a part of a payment that nobody knows yet, and is stored durably until somebody does.
    Waiting,
    /// The event is verified, but it is not understood or in conflict with another.
    Quarantined(Unclear),
    /// The delivery is not verified.
    Rejected(Rejection),
    /// The delivery is not verified, and one too many of its kind.
    Throttled(Rejection),
    /// The gateway could not take the delivery; the fault is ours.
    Deferred {
        /// The reason code, `store` or `overload`.
        reason: &'static str,
    },
    /// The delivery is not verified yet, because the key that it names is missing.
    Keyless {
        /// Whether too many unknown keys are asked for. Otherwise the key could not be fetched.
        too_many: bool,
    },
    /// The delivery was not read to its end, or the gateway failed while it handled it.
    Refused(Refusal),
}

impl From<NoKey> for Outcome {
    fn from(why: NoKey) -> Self {
        match why {
            NoKey::Refused(rejection) => Self::Rejected(rejection),
            NoKey::Unavailable => Self::Keyless { too_many: false },
            NoKey::TooMany => Self::Keyless { too_many: true },
        }
    }
}

impl Outcome {
    /// Returns whether the provider may forget the event.
    pub(super) const fn is_taken(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored | Self::Waiting | Self::Quarantined(_) => {
                true
            }
            Self::Rejected(_) | Self::Throttled(_) | Self::Deferred { .. } => false,
            Self::Keyless { .. } | Self::Refused(_) => false,
        }
    }

    /// Returns which of the seven outcomes it is.
    pub(super) const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Accepted(_) => OutcomeKind::Accepted,
            Self::Duplicate(_) => OutcomeKind::Duplicate,
            Self::Ignored => OutcomeKind::Ignored,
            Self::Waiting => OutcomeKind::Waiting,
            Self::Quarantined(_) => OutcomeKind::Quarantined,
            Self::Rejected(_) | Self::Throttled(_) => OutcomeKind::Rejected,
            Self::Refused(refusal) if !refusal.is_our_fault() => OutcomeKind::Rejected,
            Self::Deferred { .. } | Self::Keyless { .. } | Self::Refused(_) => OutcomeKind::Deferred,
        }
    }

    /// Returns the word for metrics, logs, records and answers.
    pub(super) const fn word(&self) -> &'static str {
        self.kind().word()
    }

    /// Returns whether the outcome says how well the gateway works. A rejection does not, nor does a delivery that strangers crowd
    /// out.
    pub(super) fn tells_of_us(&self) -> bool {
        self.kind() != OutcomeKind::Rejected && !matches!(self, Self::Keyless { too_many: true })
    }

    /// Returns whether someone without a secret could have caused the outcome, as often as they like.
    pub(super) const fn is_unproven(&self) -> bool {
        match self {
            Self::Rejected(rejection) | Self::Throttled(rejection) => rejection.is_unproven(),
            Self::Refused(refusal) => !matches!(refusal, Refusal::Defect),
            Self::Keyless { .. } => true,
            _ => false,
        }
    }

    /// Returns the reason code, which is empty if the word says everything.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored | Self::Waiting => "",
            Self::Quarantined(unclear) => unclear.code,
            Self::Rejected(rejection) | Self::Throttled(rejection) => rejection.code(),
            Self::Deferred { reason } => reason,
            Self::Keyless { too_many: false } => "key_unavailable",
            Self::Keyless { too_many: true } => "key_fetches",
            Self::Refused(refusal) => refusal.code(),
        }
    }

    /// Returns the place in the payload where the reason was found, if it was found there.
    pub(super) fn place(&self) -> Option<&str> {
        match self {
            Self::Quarantined(unclear) => Some(&unclear.at),
            _ => None,
        }
    }

    /// Returns the event's position in its payment's log, if it has one.
    pub(super) const fn seq(&self) -> Option<u64> {
        match self {
            Self::Accepted(cursor) | Self::Duplicate(cursor) => Some(cursor.seq),
            _ => None,
        }
    }

    /// Returns the answer to a delivery with this outcome alone.
    fn reply(&self) -> Reply {
        match self {
            Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored | Self::Waiting => {
                taken(&json!({ "outcome": self.word() }))
            }
            Self::Quarantined(_) => taken(&json!({ "outcome": self.word(), "reason": self.reason() })),
            Self::Rejected(rejection @ Rejection::ContentEncoding) => {
                problem(415, rejection.code(), rejection.detail(), None)
            }
            Self::Rejected(rejection) => problem(UNAUTHORIZED, rejection.code(), rejection.detail(), None),
            Self::Throttled(rejection) => {
                let detail = "Too many deliveries of this source had no valid signature.";
                problem(429, rejection.code(), detail, Some(THROTTLED_FOR))
            }
            Self::Deferred { reason } => {
                problem(503, reason, "The event could not be stored; send it again.", Some(RETRY_AFTER))
            }
            Self::Keyless { .. } => {
                let detail = "The key that it was signed with is not at hand yet; send it again.";
                problem(503, self.reason(), detail, Some(RETRY_AFTER))
            }
            Self::Refused(refusal) => refusal.reply(),
        }
    }
}

/// Builds the answer to a delivery that was taken.
fn taken(body: &serde_json::Value) -> Reply {
    Reply { status: 200, body: ReplyBody::Json(body.to_string()) }
}

/// Returns the answer to a delivery. The provider sends a delivery again, as a whole, unless all of its events are taken.
pub(super) fn reply(outcomes: &[&Outcome], rule: &ReplyRule) -> Reply {
    let worst = outcomes.iter().find(|outcome| !outcome.is_taken());
    match (worst, outcomes, &rule.accepted) {
        (Some(outcome @ Outcome::Rejected(_)), ..) => {
            let reply = outcome.reply();
            // Every other rejection has a status that HTTP defines for it.
            let status = rule.refused.filter(|_| reply.status == UNAUTHORIZED).unwrap_or(reply.status);
            Reply { status, ..reply }
        }
        (Some(outcome), ..) => outcome.reply(),
        (None, _, Some(body)) => Reply { status: 200, body: ReplyBody::Text(body.clone()) },
        (None, [outcome], None) => outcome.reply(),
        (None, several, None) => {
            let mut counts = BTreeMap::new();
            several.iter().for_each(|outcome| *counts.entry(outcome.word()).or_insert(0) += 1);
            taken(&json!({ "outcomes": counts }))
        }
    }
}

/// Builds an answer that says why a delivery was not taken.
fn problem(
    status: u16,
    reason: &'static str,
    detail: impl Into<Cow<'static, str>>,
    retry_after: Option<Duration>,
) -> Reply {
    Reply { status, body: ReplyBody::Problem { reason, detail: detail.into(), retry_after } }
}
