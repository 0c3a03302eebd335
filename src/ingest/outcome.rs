//! What came of a delivery, and what the provider is told: the acknowledgement rule.
//!
//! A provider that hears 2xx forgets the event, one that hears 4xx may give it up for good, one that hears 503 tries again.
//! So 2xx stands for "durably ours" and for what another try would not make better; 4xx for what is not the provider's,
//! or not as it was signed; 503 for our own faults.

use super::reply::{Reply, ReplyBody};
use crate::{
    limits::LimitHit,
    payment::Cursor,
    source::{NoKey, Reading, Rejection, ReplyRule, Unclear},
    store::OutcomeKind,
};
use serde_json::json;
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// When to try again after a fault of ours: restarts and failovers take about that long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// When to try again after too many deliveries without a valid signature.
const THROTTLED_FOR: Duration = Duration::from_secs(1);

/// The status of what is not signed.
const UNAUTHORIZED: u16 = 401;

/// Why a delivery got no further than the HTTP server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its body is longer than so many bytes.
    TooLarge(usize),
    /// Its body took longer than this.
    Slow(Duration),
    /// Its body broke off, or is none by the rules of HTTP.
    Broken,
    /// There was no room for its body.
    Overload,
    /// The gateway failed at it.
    Defect,
}

impl Refusal {
    /// Which of the bounds it hit, if any.
    pub(super) const fn limit(self) -> Option<LimitHit> {
        match self {
            Self::TooLarge(_) => Some(LimitHit::BodyBytes),
            Self::Slow(_) => Some(LimitHit::BodyTimeout),
            Self::Overload => Some(LimitHit::BufferedBytes),
            Self::Broken | Self::Defect => None,
        }
    }

    const fn is_our_fault(self) -> bool {
        matches!(self, Self::Overload | Self::Defect)
    }

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

/// One event of a delivery, or a delivery without any: what is known of it, and what came of it.
pub(super) struct Taken {
    pub(super) reading: Reading,
    pub(super) outcome: Outcome,
}

impl From<Outcome> for Taken {
    fn from(outcome: Outcome) -> Self {
        Self { reading: Reading::default(), outcome }
    }
}

/// Exactly one for each event; the doc of the contract that they are the words of is the README's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// New, and durable.
    Accepted(Cursor),
    /// Known already, and durable.
    Duplicate(Cursor),
    /// Verified, not about a payment.
    Ignored,
    /// Verified, not understood or in conflict.
    Quarantined(Unclear),
    /// Not verified.
    Rejected(Rejection),
    /// Not verified, one of too many.
    Throttled(Rejection),
    /// Our fault.
    Deferred {
        /// `store` or `overload`.
        reason: &'static str,
    },
    /// Not verified yet, for want of the key that it names.
    Keyless {
        /// Because too many are named that nobody knows, and not because it could not be fetched.
        too_many: bool,
    },
    /// Not read to its end, or not worked through.
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
    /// Whether the provider may forget it.
    const fn is_taken(&self) -> bool {
        matches!(self, Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored | Self::Quarantined(_))
    }

    /// Which of the six outcomes it is.
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

    /// The word for metrics and logs.
    pub(super) const fn word(&self) -> &'static str {
        self.kind().word()
    }

    /// Whether it tells how well we do. What is refused does not, nor what strangers crowd out.
    pub(super) fn tells_of_us(&self) -> bool {
        self.kind() != OutcomeKind::Rejected && !matches!(self, Self::Keyless { too_many: true })
    }

    /// Whether someone without a secret could have brought it about, as often as they like.
    pub(super) const fn is_unproven(&self) -> bool {
        match self {
            Self::Rejected(rejection) | Self::Throttled(rejection) => rejection.is_unproven(),
            Self::Refused(refusal) => !matches!(refusal, Refusal::Defect),
            Self::Keyless { .. } => true,
            _ => false,
        }
    }

    /// The reason code; empty where the word says it all.
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

    /// Where in the payload the reason was found, if it was there.
    pub(super) fn place(&self) -> Option<&str> {
        match self {
            Self::Quarantined(unclear) => Some(&unclear.at),
            _ => None,
        }
    }

    /// Its place in the log, if it has one.
    pub(super) const fn seq(&self) -> Option<u64> {
        match self {
            Self::Accepted(cursor) | Self::Duplicate(cursor) => Some(cursor.seq),
            _ => None,
        }
    }

    /// What the provider is told, if it is the only one.
    fn reply(&self) -> Reply {
        match self {
            Self::Accepted(_) | Self::Duplicate(_) | Self::Ignored => {
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

fn taken(body: &serde_json::Value) -> Reply {
    Reply { status: 200, body: ReplyBody::Json(body.to_string()) }
}

/// What the provider is told of a delivery. One that is not wholly ours yet is sent again, whole.
pub(super) fn reply(outcomes: &[&Outcome], rule: &ReplyRule) -> Reply {
    let worst = outcomes.iter().find(|outcome| !outcome.is_taken());
    match (worst, outcomes, &rule.accepted) {
        (Some(outcome @ Outcome::Rejected(_)), ..) => {
            let reply = outcome.reply();
            // Anything else that we refuse for has a status of HTTP's own.
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

fn problem(
    status: u16,
    reason: &'static str,
    detail: impl Into<Cow<'static, str>>,
    retry_after: Option<Duration>,
) -> Reply {
    Reply { status, body: ReplyBody::Problem { reason, detail: detail.into(), retry_after } }
}
