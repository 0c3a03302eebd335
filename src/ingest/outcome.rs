//! The outcome of a delivery, and the answer to the provider: the acknowledgement rule.
//!
//! A provider that is answered with 2xx forgets the event, one that is answered with 4xx may give it up for good, and one that is
//! answered with 503 tries again. So 2xx stands for "stored durably" and for what another try would not improve; 4xx stands for
//! what is not the provider's, or not as it was signed; 503 stands for our own faults.

use super::delivery::Reply;
use crate::{
    payment::Cursor,
    source::{EventSummary, NoKey, Rejection, ReplyRule, Unclear},
};
use serde_json::json;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// When the provider should try again after a fault of ours, in seconds: restarts and failovers take about that long.
const RETRY_AFTER_S: u32 = 5;

/// The HTTP status of a delivery without a valid signature.
const UNAUTHORIZED: u16 = 401;

/// The title of an answer with status 503.
const UNAVAILABLE: &str = "Service Unavailable";

/// The six kinds of outcomes, by which metrics, logs and records count them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum OutcomeKind {
    /// The event is new, and stored durably.
    Accepted,
    /// The event is known already, and stored durably.
    Duplicate,
    /// The event is not about a payment.
    Ignored,
    /// The event is verified, but not understood or in conflict with another.
    Quarantined,
    /// The delivery is not the provider's, or not acceptable.
    Rejected,
    /// The gateway could not take the delivery, and the provider should send it again.
    Deferred,
}

impl OutcomeKind {
    /// Returns the word for metrics, logs, records and answers.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
            Self::Deferred => "deferred",
        }
    }
}

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
    /// Returns the name of the limit that the delivery hit, if any.
    pub(super) const fn limit(self) -> Option<&'static str> {
        match self {
            Self::TooLarge(_) => Some("body_bytes"),
            Self::Slow(_) => Some("body_timeout"),
            Self::Overload => Some("buffered_bytes"),
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
        let (status, title, detail): (_, _, Cow<'_, str>) = match self {
            Self::TooLarge(bytes) => {
                (413, "Payload Too Large", format!("A webhook has at most {bytes} bytes.").into())
            }
            Self::Slow(limit) => (408, "Request Timeout", format!("The body took over {limit:?}.").into()),
            Self::Broken => (400, "Bad Request", "The body broke off or is malformed.".into()),
            Self::Overload => {
                (503, UNAVAILABLE, "Too much is being delivered at once; send it again.".into())
            }
            Self::Defect => (503, UNAVAILABLE, "The gateway failed; send it again.".into()),
        };
        problem(status, title, &detail, self.code(), self.is_our_fault().then_some(RETRY_AFTER_S))
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

/// What came of an event. Every event has exactly one outcome; README.md says what each means to providers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The event is new, and stored durably.
    Accepted(Cursor),
    /// The event is known already, and stored durably.
    Duplicate(Cursor),
    /// The event is verified, and not about a payment.
    Ignored,
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
    const fn is_taken(&self) -> bool {
        matches!(self, Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored | Self::Quarantined(_))
    }

    /// Returns which of the six outcomes it is.
    pub(super) const fn kind(&self) -> OutcomeKind {
        match self {
            Self::Accepted(_) => OutcomeKind::Accepted,
            Self::Duplicate(_) => OutcomeKind::Duplicate,
            Self::Ignored => OutcomeKind::Ignored,
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
            Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored => "",
            Self::Quarantined(unclear) => unclear.code,
            Self::Rejected(rejection) | Self::Throttled(rejection) => rejection.code(),
            Self::Deferred { reason } => reason,
            Self::Keyless { too_many: false } => "key_unavailable",
            Self::Keyless { too_many: true } => "key_fetches",
            Self::Refused(refusal) => refusal.code(),
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
            Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored => {
                taken(&json!({ "outcome": self.word() }))
            }
            Self::Quarantined(_) => taken(&json!({ "outcome": self.word(), "reason": self.reason() })),
            Self::Rejected(rejection @ Rejection::ContentEncoding) => {
                problem(415, "Unsupported Media Type", rejection.detail(), rejection.code(), None)
            }
            Self::Rejected(rejection) => {
                problem(UNAUTHORIZED, "Unauthorized", rejection.detail(), rejection.code(), None)
            }
            Self::Throttled(rejection) => {
                let detail = "Too many deliveries of this source had no valid signature.";
                problem(429, "Too Many Requests", detail, rejection.code(), Some(1))
            }
            Self::Deferred { reason } => {
                let detail = "The event could not be stored; send it again.";
                problem(503, UNAVAILABLE, detail, reason, Some(RETRY_AFTER_S))
            }
            Self::Keyless { .. } => {
                let detail = "The key that it was signed with is not at hand yet; send it again.";
                problem(503, UNAVAILABLE, detail, self.reason(), Some(RETRY_AFTER_S))
            }
            Self::Refused(refusal) => refusal.reply(),
        }
    }
}

/// Builds the answer to a delivery that was taken.
fn taken(body: &serde_json::Value) -> Reply {
    Reply { status: 200, content_type: "application/json", body: body.to_string(), retry_after_s: None }
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
        (None, _, Some(body)) => {
            Reply { status: 200, content_type: "text/plain", body: body.clone(), retry_after_s: None }
        }
        (None, [outcome], None) => outcome.reply(),
        (None, several, None) => {
            let mut counts = BTreeMap::new();
            several.iter().for_each(|outcome| *counts.entry(outcome.word()).or_insert(0) += 1);
            taken(&json!({ "outcomes": counts }))
        }
    }
}

/// Builds an answer according to RFC 9457, with our reason code.
fn problem(
    status: u16,
    title: &'static str,
    detail: &str,
    reason: &'static str,
    retry_after_s: Option<u32>,
) -> Reply {
    let body = json!({ "type": "about:blank", "title": title, "status": status, "detail": detail, "reason": reason });
    Reply { status, content_type: "application/problem+json", body: body.to_string(), retry_after_s }
}
