//! Frames: the JSON of updates and snapshots, encoded once for all streams.
//!
//! The parts that differ between streams are left out: the `id:` line, and the end of the object, where a stream says whether
//! it is up to date. JSON escapes every control character, so no provider's string can end a line.

use crate::{
    payment::{
        ActionKind, Change, Cursor, Event, Fact, FailureReason, State, Status, Subject, Tag, Time, Trust,
        View, WordObject,
    },
    store::{Entry, Log},
};
use bytes::Bytes;
use serde::Serialize;
use std::sync::{Arc, atomic::AtomicU32};

/// The version of the JSON that browsers read: the `v` of every event.
pub(crate) const WIRE_VERSION: u32 = 1;

/// One update: the payment after one entry of its log.
#[derive(Debug)]
pub struct Frame {
    /// The entry.
    pub cursor: Cursor,
    /// The tag of the entry before it.
    pub previous: Tag,
    /// When the delivery of its event was received.
    pub received_at: Time,
    /// When the event occurred, by the provider's clock.
    pub occurred_at: Option<Time>,
    /// The payment.
    pub subject: Subject,
    /// To how many streams it was written since receipts last looked.
    pub streams: Arc<AtomicU32>,
    /// The JSON object without its closing brace.
    pub json: Bytes,
}

#[derive(Serialize)]
struct UpdateObject<'a> {
    v: u32,
    r#type: &'static str,
    payment: &'a str,
    seq: u64,
    prev: u64,
    #[serde(flatten)]
    view: View,
    event: Occurrence<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    correction: bool,
}

#[derive(Serialize)]
struct SnapshotObject<'a> {
    v: u32,
    r#type: &'static str,
    payment: &'a str,
    seq: u64,
    #[serde(flatten)]
    view: View,
    timeline: Vec<TimelineEntry<'a>>,
}

/// An event as its readers see it.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<WordObject<FailureReason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<WordObject<ActionKind>>,
}

/// One entry of the timeline: the event, and the status after it in the order of arrival.
#[derive(Serialize)]
struct TimelineEntry<'a> {
    seq: u64,
    status: Status,
    #[serde(flatten)]
    event: Occurrence<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    correction: bool,
}

impl<'a> Occurrence<'a> {
    fn of(event: &'a Event) -> Self {
        // An unverified word is not shown to a customer.
        let told = event.facts.iter().find_map(|fact| match fact {
            Fact::Phase { failure, action, .. } if event.trust != Trust::Hint => Some((*failure, *action)),
            _ => None,
        });
        let (failure, action) = told.unwrap_or_default();
        Self {
            id: &event.id,
            r#type: &event.kind,
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            live: event.live,
            // Absent where it is what everyone expects.
            trust: (event.trust != Trust::Verified).then_some(event.trust),
            failure: failure.map(FailureReason::object),
            action: action.map(ActionKind::object),
        }
    }
}

impl Frame {
    /// The frame of one entry, from the state after it.
    pub(super) fn update(
        event: &Event,
        cursor: Cursor,
        previous: Tag,
        state: &State,
        change: Change,
    ) -> Self {
        let json = open_object(&UpdateObject {
            v: WIRE_VERSION,
            r#type: "update",
            payment: event.subject.id.as_str(),
            seq: cursor.seq,
            prev: cursor.seq.saturating_sub(1),
            view: state.view(),
            event: Occurrence::of(event),
            late: change.late,
            correction: change.correction,
        });
        let (subject, streams) = (event.subject.clone(), Arc::default());
        let (received_at, occurred_at) = (event.received_at, event.occurred_at);
        Self { cursor, previous, received_at, occurred_at, subject, streams, json }
    }

    /// The frames of all entries of a log.
    pub(super) fn updates(log: &Log) -> Vec<Arc<Self>> {
        let mut state = State::default();
        let mut previous = Tag::NONE;
        let frame = |(entry, seq): (&Entry, u64)| {
            let change = state.apply(&entry.event);
            let cursor = Cursor { tag: entry.tag, seq };
            let frame = Self::update(&entry.event, cursor, previous, &state, change);
            previous = entry.tag;
            Arc::new(frame)
        };
        log.entries.iter().zip(1..).map(frame).collect()
    }
}

/// The snapshot of a payment at the end of its log: a JSON object without its closing brace.
pub(super) fn snapshot(subject: &Subject, log: &Log) -> Bytes {
    let mut state = State::default();
    let entry = |(entry, seq): (&'_ Entry, u64)| {
        let Change { late, correction } = state.apply(&entry.event);
        (seq, state.status(), late, correction)
    };
    let steps: Vec<_> = log.entries.iter().zip(1..).map(entry).collect();
    let timeline = log.entries.iter().zip(steps).map(|(entry, (seq, status, late, correction))| {
        TimelineEntry { seq, status, event: Occurrence::of(&entry.event), late, correction }
    });
    open_object(&SnapshotObject {
        v: WIRE_VERSION,
        r#type: "snapshot",
        payment: subject.id.as_str(),
        seq: log.head().seq,
        timeline: timeline.collect(),
        view: state.view(),
    })
}

/// The JSON of an object without its closing brace, so that a stream can add to it.
fn open_object(object: &impl Serialize) -> Bytes {
    // Plain structs of strings and numbers: serialising them cannot fail.
    let mut json = serde_json::to_vec(object).unwrap_or_else(|_| b"{}".to_vec());
    json.pop();
    json.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Money, Phase};

    fn event(id: &str, second: i64, trust: Trust, fact: Fact) -> Entry {
        let event = Event {
            id: id.into(),
            source: "acme".into(),
            provider: "generic".into(),
            kind: "payment.changed".into(),
            occurred_at: Time::from_unix_s(second).ok(),
            received_at: Time::from_unix_s(10).unwrap(),
            subject: Subject::payment("default".parse().unwrap(), "pay_1".parse().unwrap()),
            live: true,
            trust,
            facts: vec![fact],
            labels: Vec::new(),
            parts: Vec::new(),
            binding: None,
        };
        Entry { tag: Tag::from_random(1), event: Arc::new(event) }
    }

    fn text(json: &[u8]) -> &str {
        std::str::from_utf8(json).unwrap()
    }

    /// Browsers read these bytes: a change here is a change of the wire's version.
    #[test]
    fn updates_and_snapshots_are_spelled_as_promised() {
        let money = Some(Money { amount: 4200, currency: "EUR".parse().unwrap() });
        let log = Log {
            entries: vec![
                event("evt_1", 9, Trust::Verified, Fact::phase(Phase::Processing, None)),
                event("evt_2", 9, Trust::Confirmed, Fact::phase(Phase::Captured, money)),
                event("evt_3", 8, Trust::Verified, Fact::phase(Phase::Failed, None)),
            ],
        };
        let updates = Frame::updates(&log);
        let expected = [
            r#"{"v":1,"type":"update","payment":"pay_1","seq":1,"prev":0,"status":"processing","amount":null,"currency":null,"exponent":null,"captured":0,"refunded":0,"conflict":false,"failure":null,"action":null,"event":{"id":"evt_1","type":"payment.changed","occurred_at":"1970-01-01T00:00:09.000Z","received_at":"1970-01-01T00:00:10.000Z","live":true}"#,
            r#"{"v":1,"type":"update","payment":"pay_1","seq":2,"prev":1,"status":"captured","amount":4200,"currency":"EUR","exponent":2,"captured":4200,"refunded":0,"conflict":false,"failure":null,"action":null,"event":{"id":"evt_2","type":"payment.changed","occurred_at":"1970-01-01T00:00:09.000Z","received_at":"1970-01-01T00:00:10.000Z","live":true,"trust":"confirmed"}"#,
            r#"{"v":1,"type":"update","payment":"pay_1","seq":3,"prev":2,"status":"captured","amount":4200,"currency":"EUR","exponent":2,"captured":4200,"refunded":0,"conflict":false,"failure":null,"action":null,"event":{"id":"evt_3","type":"payment.changed","occurred_at":"1970-01-01T00:00:08.000Z","received_at":"1970-01-01T00:00:10.000Z","live":true},"late":true"#,
        ];
        for (update, expected) in updates.iter().zip(expected) {
            assert_eq!(text(&update.json), expected);
        }
        let subject = &log.entries[0].event.subject;
        assert_eq!(
            text(&snapshot(subject, &log)),
            r#"{"v":1,"type":"snapshot","payment":"pay_1","seq":3,"status":"captured","amount":4200,"currency":"EUR","exponent":2,"captured":4200,"refunded":0,"conflict":false,"failure":null,"action":null,"timeline":[{"seq":1,"status":"processing","id":"evt_1","type":"payment.changed","occurred_at":"1970-01-01T00:00:09.000Z","received_at":"1970-01-01T00:00:10.000Z","live":true},{"seq":2,"status":"captured","id":"evt_2","type":"payment.changed","occurred_at":"1970-01-01T00:00:09.000Z","received_at":"1970-01-01T00:00:10.000Z","live":true,"trust":"confirmed"},{"seq":3,"status":"captured","id":"evt_3","type":"payment.changed","occurred_at":"1970-01-01T00:00:08.000Z","received_at":"1970-01-01T00:00:10.000Z","live":true,"late":true}]"#
        );
    }

    #[test]
    fn why_a_payment_failed_stands_in_its_frames_unless_nobody_vouches_for_it() {
        let failed = Fact::Phase {
            phase: Phase::Failed,
            money: None,
            failure: Some(FailureReason::ContactBank),
            action: None,
        };
        let log = Log { entries: vec![event("evt_1", 9, Trust::Verified, failed.clone())] };
        let json = Frame::updates(&log)[0].json.clone();
        assert!(text(&json).contains(r#""failure":{"reason":"contact_bank"},"action":null,"event":"#));
        assert!(
            text(&json).contains(r#""live":true,"failure":{"reason":"contact_bank"}}"#),
            "{}",
            text(&json)
        );
        let hint = Log { entries: vec![event("evt_1", 9, Trust::Hint, failed)] };
        assert!(!text(&Frame::updates(&hint)[0].json).contains("contact_bank"));
    }
}
