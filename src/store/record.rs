//! Records: one line of a source's delivery log or of its quarantine, as typed fields.
//!
//! The operators' tools are made of records, so that nobody has to parse words: the outcome is an enum, the reason a code, and
//! every other field has a type of its own. A record never holds a body, and what a provider wrote was masked before. Records are
//! read newest first, a page at a time; a [`RecordCursor`] names the place from which the next page goes on.
//!
//! This file knows no store and no provider. How a record becomes bytes is said in `record/stored.rs`, and which records are kept with a
//! body in `record/held.rs`.

mod class;
mod finding;
mod held;
mod held_id;
mod stored;

pub use class::QuarantineClass;
pub use finding::Finding;
pub(super) use held::body_bears;
pub use held::{HELD_BYTES, HELD_PER_SHARE, Held, Holding, Settling};
pub use held_id::{HELD_FOR, HeldId, HeldIdError};

use crate::payment::{Name, Time};
use serde::{Deserialize, Deserializer, Serialize};
use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

/// Records that the delivery log keeps for each source, and the most that one page of records has.
pub const RECORDS_PER_SOURCE: usize = 1024;

/// Records that the quarantine keeps of each share: of those of one source that have the same reason and come from the same class of
/// messages, which are deliveries and answers of the provider. A payer, or whoever else can cause events of one reason, displaces no
/// record of another reason. There are some forty reasons, and most sources see a few of them.
pub const RECORDS_PER_SHARE: usize = 1024;

/// The two logs that are kept for each source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordLog {
    /// What was verified, but not understood or in conflict.
    Quarantine,
    /// Every delivery, with what came of it.
    Deliveries,
}

/// One line of a source's quarantine or delivery log. As JSON it is an object whose members are named like the fields, except where the
/// field says otherwise; what is not known is left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The log that it belongs to.
    pub log: RecordLog,
    /// The source that the delivery was sent to.
    pub source: Arc<str>,
    /// When the delivery was received, or when the confirmation was given up.
    pub at: Time,
    /// What came of the event.
    pub outcome: OutcomeKind,
    /// Why, where the outcome does not say it all.
    #[serde(default, deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReasonCode>,
    /// The event's id: the provider's, or what stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Arc<str>>,
    /// The provider's id of the event, where no signature covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsigned_id: Option<String>,
    /// The provider's type of the event; `type` in JSON.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    /// The payment that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Name>,
    /// The part of a payment that the event is about, if it names no payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Name>,
    /// The provider's own code for why the payment failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<String>,
    /// The event's place in the payment's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Where in the payload, or in the provider's answer, the reason was found: a JSON pointer or the name of a header; `where` in JSON.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What was found there; only of an event that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<ValueKind>,
    /// The length of the delivery's body, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The name of the secret that verified the delivery, such as its reference in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Arc<str>>,
    /// Why the delivery was not verified, if that was looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Finding>,
    /// Present if the record is about a confirmation that was given up, and not about a delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<GivenUp>,
    /// Under which id the record is held with its body, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldId>,
}

/// What kind of value stands at a place of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    /// There is nothing.
    Nothing,
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A text that is empty.
    EmptyText,
    /// A text.
    Text,
    /// A list.
    List,
    /// An object.
    Object,
    /// A kind that only another version knows.
    #[serde(other)]
    Other,
}

impl Record {
    /// The share of its source's quarantine to which the record belongs, as a text without spaces: the class of the message and the
    /// reason. Held records have shares of their own, since nothing displaces them.
    pub(in crate::store) fn share(&self) -> String {
        let class = match (&self.held, &self.confirmation) {
            (Some(_), _) => "held",
            (None, Some(_)) => "answer",
            (None, None) => "delivery",
        };
        format!("{class}:{}", self.reason.as_ref().map_or("", ReasonCode::as_str))
    }
}

/// Reads a reason. An empty text says that there is none, as stored records do.
fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ReasonCode>, D::Error> {
    ReasonCode::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A confirmation that was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GivenUp {
    /// How often the provider was asked in a row.
    pub attempts: u32,
    /// Since when the confirmation was pending.
    pub since: Time,
}

/// What came of an event. Each event has exactly one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// New, and durable.
    Accepted,
    /// Known before, and durable.
    Duplicate,
    /// Verified, and not about a payment.
    Ignored,
    /// Durable, but not in a payment's log yet: it names a part alone, and nobody knows the payment.
    Waiting,
    /// Verified, and not understood or in conflict.
    Quarantined,
    /// Not verified, or not acceptable as a request.
    Rejected,
    /// Not taken because of a fault of ours; the provider sends it again.
    Deferred,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Duplicate,
        Self::Ignored,
        Self::Waiting,
        Self::Quarantined,
        Self::Rejected,
        Self::Deferred,
    ];

    /// The word for metrics, logs and answers; the same as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Waiting => "waiting",
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
            Self::Deferred => "deferred",
        }
    }
}

/// A reason code, such as `bad_signature`: 1 to 64 lower-case letters, digits and underscores. The codes are the program's own words,
/// but several rooms have some, and a store may hold codes of another version; so the set is open and only the form is checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReasonCode(Cow<'static, str>);

/// The text is no reason code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a reason code: expected 1 to 64 lower-case letters, digits and underscores")]
pub struct ReasonCodeError;

impl ReasonCode {
    /// The longest code, in bytes.
    const MAX: usize = 64;

    /// A code that is written in the program; none for an empty text, which says that there is no reason.
    #[must_use]
    pub fn known(code: &'static str) -> Option<Self> {
        debug_assert!(code.is_empty() || is_code(code), "{code:?} is no reason code");
        (!code.is_empty()).then_some(Self(Cow::Borrowed(code)))
    }

    /// A code that is read from outside of the program; none for an empty text.
    pub fn parse(text: String) -> Result<Option<Self>, ReasonCodeError> {
        match text.as_str() {
            "" => Ok(None),
            code if is_code(code) => Ok(Some(Self(Cow::Owned(text)))),
            _ => Err(ReasonCodeError),
        }
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_code(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=ReasonCode::MAX).contains(&text.len()) && text.bytes().all(is_part)
}

/// The place of a record in its log. A newer record has a greater one. What the two numbers mean is the store's own; to everyone else the
/// text `<major>-<minor>` is opaque.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecordCursor {
    /// What records are ordered by first.
    pub major: u64,
    /// What records of the same `major` are ordered by.
    pub minor: u64,
}

/// The text is no place of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the cursor of a record: expected <number>-<number>")]
pub struct RecordCursorError;

impl fmt::Display for RecordCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for RecordCursor {
    type Err = RecordCursorError;

    fn from_str(text: &str) -> Result<Self, RecordCursorError> {
        // `u64::from_str` accepts a sign; a cursor has none.
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().map_err(|_| RecordCursorError),
            false => Err(RecordCursorError),
        };
        let (major, minor) = text.split_once('-').ok_or(RecordCursorError)?;
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl TryFrom<String> for RecordCursor {
    type Error = RecordCursorError;

    fn try_from(text: String) -> Result<Self, RecordCursorError> {
        text.parse()
    }
}

impl From<RecordCursor> for String {
    fn from(cursor: RecordCursor) -> Self {
        cursor.to_string()
    }
}

/// Some records of one log, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Record>,
    /// The place of each of them.
    pub cursors: Vec<RecordCursor>,
    /// The cursor of the last of them, if the log holds older ones: the next page is what comes before it.
    pub next: Option<RecordCursor>,
}

impl RecordPage {
    /// The first `limit` of `records`, which are newest first and one more than that if there are so many.
    pub(super) fn first(mut records: Vec<(RecordCursor, Record)>, limit: usize) -> Self {
        let has_more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().map(|(cursor, _)| *cursor).filter(|_| has_more);
        let (cursors, records) = records.into_iter().unzip();
        Self { records, cursors, next }
    }
}

#[cfg(test)]
mod tests;
