//! Records as bytes: what the stores keep.
//!
//! There are two forms. The first held `reason` and `detail`, a text that was JSON again; the second is the JSON of a [`Record`]. This
//! file reads both and writes the second, in a way that readers of the first accept: a node of the version before may share a Redis
//! with newer ones, and a data folder may have to go back to it. So `reason` and `detail` are always there, as texts.

use super::{GivenUp, OutcomeKind, ReasonCode, Record, RecordLog};
use crate::{
    payment::{Name, Time},
    store::StoreError,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::sync::Arc;

/// The reason that stands for the outcome [`OutcomeKind::Waiting`] in what is stored.
const WAITING: &str = "waiting";

/// A record as it is written, with the members without which readers of the first form refuse it.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// Empty where the record has no reason of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    detail: &'static str,
}

/// Which of the two forms a stored record has: the first has no outcome.
#[derive(Deserialize)]
struct Form {
    outcome: Option<IgnoredAny>,
}

/// A record in the first form.
#[derive(Deserialize)]
struct First {
    log: RecordLog,
    source: Arc<str>,
    at: Time,
    /// A reason code in the quarantine, an outcome in the delivery log.
    reason: String,
    /// A [`Detail`] as JSON.
    detail: String,
}

/// What the first form says in a text.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Detail {
    event: Option<Arc<str>>,
    unsigned_id: Option<String>,
    r#type: Option<Arc<str>>,
    payment: Option<Name>,
    seq: Option<u64>,
    reason: String,
    at: Option<String>,
    bytes: Option<u64>,
    asked: Option<u32>,
    since: Option<Time>,
}

impl Record {
    /// The record as a store keeps it.
    pub(in crate::store) fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        if self.outcome == OutcomeKind::Waiting {
            // The version before refuses a page of records with an outcome that it does not know.
            let told =
                Self { outcome: OutcomeKind::Accepted, reason: ReasonCode::known(WAITING), ..self.clone() };
            return told.to_bytes();
        }
        let reason = self.reason.is_none().then_some("");
        serde_json::to_vec(&Written { record: self, reason, detail: "" }).map_err(corrupt)
    }

    /// A record that a store kept, in either form.
    pub(in crate::store) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let Form { outcome } = serde_json::from_slice(bytes).map_err(corrupt)?;
        match outcome {
            Some(_) => serde_json::from_slice(bytes).map(Self::once_told).map_err(corrupt),
            None => serde_json::from_slice::<First>(bytes).map_err(corrupt)?.into_record(),
        }
    }
}

impl Record {
    /// The record as it was before it was written: an event that waits was told as accepted.
    fn once_told(self) -> Self {
        let is_waiting = self.outcome == OutcomeKind::Accepted
            && self.reason.as_ref().is_some_and(|reason| reason.as_str() == WAITING);
        if is_waiting { Self { outcome: OutcomeKind::Waiting, reason: None, ..self } } else { self }
    }
}

impl First {
    fn into_record(self) -> Result<Record, StoreError> {
        let Self { log, source, at, reason, detail } = self;
        // A detail that is not JSON was never written by the gateway; such a record keeps what its other fields say.
        let detail: Detail = serde_json::from_str(&detail).unwrap_or_default();
        let (outcome, reason) = match log {
            RecordLog::Quarantine => (OutcomeKind::Quarantined, reason),
            RecordLog::Deliveries => {
                let word = serde::de::value::StrDeserializer::<serde_json::Error>::new(&reason);
                (OutcomeKind::deserialize(word).map_err(corrupt)?, detail.reason)
            }
        };
        let confirmation = detail.asked.zip(detail.since);
        Ok(Record {
            log,
            source,
            at,
            outcome,
            reason: ReasonCode::parse(reason).map_err(corrupt)?,
            event: detail.event,
            unsigned_id: detail.unsigned_id,
            kind: detail.r#type.filter(|kind| !kind.is_empty()),
            payment: detail.payment,
            part: None,
            failure_code: None,
            seq: detail.seq,
            place: detail.at,
            found: None,
            bytes: detail.bytes,
            secret: None,
            diagnosis: None,
            confirmation: confirmation.map(|(attempts, since)| GivenUp { attempts, since }),
            held: None,
        })
    }
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a record: {error}"))
}
