//! Replay: an event that the quarantine holds goes the way of a delivery again, by the preset and the configuration of now, but for its
//! signature, which was checked when it came.
//!
//! It keeps the identity that it had then, and the time at which it was received. So it is appended once, however often it is replayed, and an
//! answer that was lost in a crash is found again: the entry in the log says that it came from this record.

use super::{Ingest, outcome::Outcome};
use crate::{
    clock,
    payment::{Name, State, Subject, Time, View},
    source::{Kept, NotReplayable, Source},
    store::{HELD_BYTES, Held, HeldId, Log, OutcomeKind, Record, Settling, StoreError},
};
use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};

/// What became of one event of a record that was replayed.
#[derive(Clone, Debug, Serialize)]
struct Replayed {
    /// What came of the event now.
    outcome: OutcomeKind,
    /// Why, where the outcome does not say it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Where in the body that was found; `where` in JSON.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// The event's place in the log of its payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    /// The payment before the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<View>,
    /// The payment with the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<View>,
}

/// Why a record was not replayed or discarded. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// There is no such record, or its time is over.
    #[error("no record of this id is held; it may have been held for longer than 45 days")]
    Unknown,
    /// The event cannot be read again.
    #[error("the event cannot be replayed: {0}")]
    NotReplayable(#[from] NotReplayable),
    /// What is held cannot be read by this version.
    #[error("what is held of the event cannot be read: {0}")]
    Unreadable(String),
    /// As many deliveries are in work as may be.
    #[error("too many deliveries are in work; ask again")]
    Overloaded,
    /// The store failed. Some events of a delivery may be appended already, and are not appended again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ingest {
    /// Replays what a source holds under an id, and settles it unless the event is still not understood. The answer is an object with
    /// `settled`, and `events`: for each its outcome and the payment before and after. A record that was settled before has the answer
    /// of that time.
    pub async fn replay(&self, source: &Source, id: HeldId) -> Result<Value, ReplayError> {
        let (record, body) = match self.store.held(source.name(), id).await? {
            None => return Err(ReplayError::Unknown),
            Some(Held::Settled(said)) => return Ok(said),
            Some(Held::Waiting(record, body)) => (record, body),
        };
        let kept = Kept::deserialize(&body).map_err(|why| ReplayError::Unreadable(why.to_string()))?;
        source.can_replay(&kept, HELD_BYTES)?;
        let _permit = self.deliveries.try_acquire().map_err(|_| ReplayError::Overloaded)?;
        let events = self.replay_events(source, &record, &kept).await?;
        let is_settled = events.iter().all(|event| event.outcome != OutcomeKind::Quarantined);
        for Replayed { outcome, reason, seq, .. } in &events {
            let outcome = outcome.word();
            tracing::info!(source = source.name(), id = %id, outcome, reason, seq, "replayed");
        }
        let said =
            json!({ "settled": is_settled, "action": "replayed", "at": clock::now(), "events": events });
        if is_settled { self.settle(source, id, said).await } else { Ok(said) }
    }

    /// Returns whether what a source holds can be replayed: `kept` is what the store has of an event.
    pub fn may_replay(&self, source: &Source, kept: &Value) -> Result<(), ReplayError> {
        let kept = Kept::deserialize(kept).map_err(|why| ReplayError::Unreadable(why.to_string()))?;
        Ok(source.can_replay(&kept, HELD_BYTES)?)
    }

    /// Discards what a source holds under an id. A record that was settled before has the answer of that time.
    pub async fn discard(&self, source: &Source, id: HeldId) -> Result<Value, ReplayError> {
        let said = json!({ "settled": true, "action": "discarded", "at": clock::now() });
        let said = self.settle(source, id, said).await?;
        tracing::info!(source = source.name(), id = %id, "discarded");
        Ok(said)
    }

    async fn settle(&self, source: &Source, id: HeldId, said: Value) -> Result<Value, ReplayError> {
        match self.store.settle_held(source.name(), id, said.clone()).await? {
            Settling::Now => Ok(said),
            Settling::Before(said) => Ok(said),
            Settling::Unknown => Err(ReplayError::Unknown),
        }
    }

    async fn replay_events(
        &self,
        source: &Source,
        record: &Record,
        kept: &Kept,
    ) -> Result<Vec<Replayed>, ReplayError> {
        let reread = match source.reread(record.at, kept) {
            Ok(reread) => reread,
            Err(unclear) => return Ok(vec![Replayed::of(&Outcome::Quarantined(unclear))]),
        };
        let mut replayed = Vec::with_capacity(reread.len());
        for (summary, meaning) in reread {
            let (outcome, payment) = match meaning {
                Ok(None) => (Outcome::Ignored, None),
                Err(unclear) => (Outcome::Quarantined(unclear), None),
                Ok(Some(mapped)) => {
                    let (appended, payment) =
                        self.append_mapped(source, record.at, clock::now(), &summary, mapped).await;
                    (appended.unwrap_or_else(Outcome::Quarantined), payment)
                }
            };
            if let Outcome::Deferred { .. } = outcome {
                return Err(StoreError::Unavailable("the event could not be appended".into()).into());
            }
            replayed.push(self.compared(source, record.at, outcome, payment).await?);
        }
        Ok(replayed)
    }

    /// What came of an event, with its payment before and after.
    async fn compared(
        &self,
        source: &Source,
        received_at: Time,
        outcome: Outcome,
        payment: Option<Name>,
    ) -> Result<Replayed, StoreError> {
        let mut replayed = Replayed::of(&outcome);
        let Some(payment) = payment else { return Ok(replayed) };
        let log = self.store.read(&Subject::payment(source.realm().clone(), payment)).await?;
        let all = log.entries.len();
        let entry = outcome.seq().and_then(|seq| usize::try_from(seq).ok());
        let own =
            entry.and_then(|seq| Some((seq, log.entries.get(seq.checked_sub(1)?)?))).filter(|(_, entry)| {
                *entry.event.source == *source.name() && entry.event.received_at == received_at
            });
        let (before, after) = match own {
            Some((seq, _)) => {
                replayed.outcome = OutcomeKind::Accepted;
                (seq - 1, seq)
            }
            None => (all, all),
        };
        replayed.before = Some(view(&log, before));
        replayed.after = Some(view(&log, after));
        Ok(replayed)
    }
}

impl Replayed {
    fn of(outcome: &Outcome) -> Self {
        Self {
            outcome: outcome.kind(),
            reason: Some(outcome.reason()).filter(|reason| !reason.is_empty()),
            place: outcome.place().map(str::to_owned),
            seq: outcome.seq(),
            before: None,
            after: None,
        }
    }
}

/// The payment by the first `count` events of its log.
fn view(log: &Log, count: usize) -> View {
    State::fold(log.entries.iter().take(count).map(|entry| &*entry.event)).view()
}
