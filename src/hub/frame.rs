//! Frames: the JSON of updates and snapshots, encoded once for all streams.
//!
//! What differs between streams is left off: the `id:` line, and the end of the object, where a stream says whether it is
//! up to date. JSON escapes every control character, so no provider's string can end a line.

use crate::{
    payment::{Change, Cursor, Event, State, Status, Subject, Tag, Time, Trust},
    store::Log,
};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;

/// Version of the JSON on the wire; the `v` of every message.
pub(crate) const WIRE_VERSION: u32 = 1;

/// One update: what the log's entry at `cursor` made of the payment.
#[derive(Debug)]
pub struct Frame {
    /// The entry.
    pub cursor: Cursor,
    /// The tag of the entry before it.
    pub previous: Tag,
    /// When its delivery was received.
    pub received_at: Time,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<Time>,
    /// The JSON object without its closing brace.
    pub json: Bytes,
}

/// A payment as it stands at the end of its log: the JSON object without its closing brace.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The JSON object without its closing brace.
    pub json: Bytes,
}

#[derive(Serialize)]
struct Update<'a> {
    v: u32,
    r#type: &'static str,
    payment: &'a str,
    seq: u64,
    prev: u64,
    #[serde(flatten)]
    standing: Standing,
    event: Occurrence<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    correction: bool,
}

#[derive(Serialize)]
struct Whole<'a> {
    v: u32,
    r#type: &'static str,
    payment: &'a str,
    seq: u64,
    #[serde(flatten)]
    standing: Standing,
    timeline: Vec<Line<'a>>,
}

/// What the fold says, in an update as in a snapshot. Every field is always present: what no event has told is `null`.
#[derive(Serialize)]
struct Standing {
    status: Status,
    amount: Option<i64>,
    currency: Option<String>,
    /// Decimal digits of the currency's minor unit.
    exponent: Option<u8>,
    captured: i64,
    refunded: i64,
    conflict: bool,
}

#[derive(Serialize)]
struct Occurrence<'a> {
    id: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<Time>,
    received_at: Time,
    live: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<Trust>,
}

/// One line of the timeline: the event, and the status after it in the order of arrival.
#[derive(Serialize)]
struct Line<'a> {
    seq: u64,
    status: Status,
    #[serde(flatten)]
    event: Occurrence<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    correction: bool,
}

impl Standing {
    fn of(state: &State) -> Self {
        Self {
            status: state.status(),
            amount: state.amount(),
            currency: state.currency().map(|currency| currency.code().to_owned()),
            exponent: state.currency().map(|currency| currency.exponent()),
            captured: state.captured(),
            refunded: state.refunded(),
            conflict: state.conflict(),
        }
    }
}

impl<'a> Occurrence<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            id: &event.id,
            r#type: &event.kind,
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            live: event.live,
            // Said only where it is not what everyone expects.
            trust: (event.trust != Trust::Verified).then_some(event.trust),
        }
    }
}

impl Frame {
    /// The frame of one entry, given the state after it.
    pub(super) fn update(
        event: &Event,
        cursor: Cursor,
        previous: Tag,
        state: &State,
        change: Change,
    ) -> Self {
        let json = open_object(&Update {
            v: WIRE_VERSION,
            r#type: "update",
            payment: event.subject.id.as_str(),
            seq: cursor.seq,
            prev: cursor.seq.saturating_sub(1),
            standing: Standing::of(state),
            event: Occurrence::of(event),
            late: change.late,
            correction: change.correction,
        });
        Self { cursor, previous, received_at: event.received_at, occurred_at: event.occurred_at, json }
    }

    /// The frames of all entries of a log.
    pub(super) fn updates(log: &Log) -> Vec<Arc<Self>> {
        let mut state = State::default();
        let mut previous = Tag::NONE;
        let frame = |(entry, seq): (&crate::store::Entry, u64)| {
            let change = state.apply(&entry.event);
            let cursor = Cursor { tag: entry.tag, seq };
            let frame = Self::update(&entry.event, cursor, previous, &state, change);
            previous = entry.tag;
            Arc::new(frame)
        };
        log.entries.iter().zip(1..).map(frame).collect()
    }
}

impl Snapshot {
    pub(super) fn new(subject: &Subject, log: &Log) -> Self {
        let mut state = State::default();
        let line = |(entry, seq): (&'_ crate::store::Entry, u64)| {
            let Change { late, correction } = state.apply(&entry.event);
            (seq, state.status(), late, correction)
        };
        let steps: Vec<_> = log.entries.iter().zip(1..).map(line).collect();
        let timeline = log.entries.iter().zip(steps).map(|(entry, (seq, status, late, correction))| Line {
            seq,
            status,
            event: Occurrence::of(&entry.event),
            late,
            correction,
        });
        let json = open_object(&Whole {
            v: WIRE_VERSION,
            r#type: "snapshot",
            payment: subject.id.as_str(),
            seq: log.head().seq,
            standing: Standing::of(&state),
            timeline: timeline.collect(),
        });
        Self { json }
    }
}

/// The JSON of an object without its closing brace, so that a stream can add to it.
fn open_object(object: &impl Serialize) -> Bytes {
    // Plain structs of strings and numbers: serialising them cannot fail.
    let mut json = serde_json::to_vec(object).unwrap_or_else(|_| b"{}".to_vec());
    json.pop();
    json.into()
}
