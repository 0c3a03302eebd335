use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn record() -> Record {
    Record {
        log: RecordLog::Deliveries,
        source: "acme".into(),
        at: Time::from_unix_s(1_790_000_000).unwrap(),
        outcome: OutcomeKind::Accepted,
        reason: None,
        event: Some("evt_1".into()),
        unsigned_id: None,
        part: None,
        failure_code: None,
        kind: Some("payment.captured".into()),
        payment: Some("pay_1".parse().unwrap()),
        seq: Some(1),
        place: None,
        found: None,
        bytes: Some(42),
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: None,
    }
}

fn quarantined() -> Record {
    Record {
        log: RecordLog::Quarantine,
        outcome: OutcomeKind::Quarantined,
        reason: ReasonCode::known("unknown_state"),
        unsigned_id: Some("whk_1".to_owned()),
        part: None,
        failure_code: Some("insufficient_funds".to_owned()),
        seq: None,
        place: Some("/data/status".to_owned()),
        ..record()
    }
}

fn given_up() -> Record {
    Record {
        event: None,
        unsigned_id: None,
        part: None,
        failure_code: None,
        kind: None,
        bytes: None,
        place: None,
        secret: None,
        diagnosis: None,
        confirmation: Some(GivenUp { attempts: 3, since: Time::from_unix_s(1_789_999_000).unwrap() }),
        ..quarantined()
    }
}

#[test]
fn a_record_is_typed_json_without_json_in_its_texts() {
    for (record, expected) in [
        (
            record(),
            json!({ "log": "deliveries", "source": "acme", "at": "2026-09-21T14:13:20.000Z", "outcome": "accepted",
                "event": "evt_1", "type": "payment.captured", "payment": "pay_1", "seq": 1, "bytes": 42 }),
        ),
        (
            quarantined(),
            json!({ "log": "quarantine", "source": "acme", "at": "2026-09-21T14:13:20.000Z", "outcome": "quarantined",
                "reason": "unknown_state", "event": "evt_1", "unsigned_id": "whk_1", "type": "payment.captured", "failure_code": "insufficient_funds",
                "payment": "pay_1", "where": "/data/status", "bytes": 42 }),
        ),
        (
            given_up(),
            json!({ "log": "quarantine", "source": "acme", "at": "2026-09-21T14:13:20.000Z", "outcome": "quarantined",
                "reason": "unknown_state", "payment": "pay_1",
                "confirmation": { "attempts": 3, "since": "2026-09-21T13:56:40.000Z" } }),
        ),
    ] {
        assert_eq!(json!(record), expected);
        assert_eq!(Record::from_bytes(&record.to_bytes().unwrap()).unwrap(), record);
    }
}

/// As the three places that made records wrote them before their fields had types.
#[test]
fn records_of_the_first_form_are_read() {
    for (bytes, expected) in [
        (
            r#"{"log":"deliveries","source":"acme","at":"2026-09-21T14:13:20.000Z","reason":"accepted","detail":"{\"event\":\"evt_1\",\"payment\":\"pay_1\",\"reason\":\"\",\"seq\":1,\"type\":\"payment.captured\",\"unsigned_id\":null}"}"#,
            Record { bytes: None, ..record() },
        ),
        (
            r#"{"log":"deliveries","source":"acme","at":"2026-09-21T14:13:20.000Z","reason":"rejected","detail":"{\"event\":null,\"payment\":null,\"reason\":\"bad_signature\",\"seq\":null,\"type\":\"\",\"unsigned_id\":null}"}"#,
            Record {
                outcome: OutcomeKind::Rejected,
                reason: ReasonCode::known("bad_signature"),
                event: None,
                kind: None,
                payment: None,
                seq: None,
                bytes: None,
                ..record()
            },
        ),
        (
            r#"{"log":"quarantine","source":"acme","at":"2026-09-21T14:13:20.000Z","reason":"unknown_state","detail":"{\"at\":\"/data/status\",\"bytes\":42,\"event\":\"evt_1\",\"payment\":\"pay_1\",\"type\":\"payment.captured\",\"unsigned_id\":\"whk_1\"}"}"#,
            Record { failure_code: None, ..quarantined() },
        ),
        (
            r#"{"log":"quarantine","source":"acme","at":"2026-09-21T14:13:20.000Z","reason":"unknown_state","detail":"{\"asked\":3,\"at\":null,\"payment\":\"pay_1\",\"since\":\"2026-09-21T13:56:40.000Z\",\"step\":\"confirm\"}"}"#,
            given_up(),
        ),
    ] {
        assert_eq!(Record::from_bytes(bytes.as_bytes()).unwrap(), expected, "{bytes}");
    }
}

/// While nodes are replaced one by one, the older ones list what the newer ones wrote.
#[test]
fn what_is_written_is_accepted_by_readers_of_the_first_form() {
    #[derive(Deserialize)]
    struct FirstForm {
        log: RecordLog,
        source: Arc<str>,
        at: Time,
        reason: String,
        detail: String,
    }
    for (record, reason) in [(record(), ""), (quarantined(), "unknown_state"), (given_up(), "unknown_state")]
    {
        let bytes = record.to_bytes().unwrap();
        let read: FirstForm = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((read.log, read.source, read.at), (record.log, record.source, record.at));
        assert_eq!((read.reason.as_str(), read.detail.as_str()), (reason, ""));
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches("\"reason\"").count(), 1, "{text}");
    }
}

#[test]
fn what_is_no_record_is_damage() {
    let without_outcome = json!({ "log": "quarantine", "source": "acme", "at": "2026-09-21T14:13:20.000Z" });
    let mut strange = json!(record());
    strange["reason"] = json!("Not A Code");
    for value in [Value::Null, json!({}), without_outcome, strange] {
        let error = Record::from_bytes(value.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains("a record"), "{error}");
    }
}

#[test]
fn a_page_tells_where_the_next_one_begins_only_if_there_is_more() {
    let records = |count| {
        let number = |major| (RecordCursor { major, minor: 0 }, record());
        (1..=count).rev().map(number).collect::<Vec<_>>()
    };
    for (there, limit, listed, next) in
        [(3, 2, 2, Some(2)), (2, 2, 2, None), (0, 2, 0, None), (1, 0, 0, None)]
    {
        let page = RecordPage::first(records(there), limit);
        assert_eq!((page.records.len(), page.next.map(|next| next.major)), (listed, next), "{there} {limit}");
    }
}

#[test]
fn a_reason_is_a_code_or_nothing() {
    for text in ["a", "log_full", "x2"] {
        assert_eq!(ReasonCode::parse(text.to_owned()).unwrap().unwrap().as_str(), text);
    }
    assert_eq!(ReasonCode::parse(String::new()), Ok(None));
    for text in ["Log", "log full", "log\n", "é", &"a".repeat(65)] {
        assert_eq!(ReasonCode::parse(text.to_owned()), Err(ReasonCodeError), "{text}");
    }
}

proptest! {
    #[test]
    fn a_cursor_is_its_text(major: u64, minor: u64) {
        let cursor = RecordCursor { major, minor };
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused(text in "[-+0-9a ]{0,6}") {
        let is_cursor = text.split_once('-').is_some_and(|(major, minor)| {
            [major, minor].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        });
        prop_assert_eq!(text.parse::<RecordCursor>().is_ok(), is_cursor, "{}", text);
    }
}
