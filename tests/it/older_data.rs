//! Data of the version before: whoever installs a new gateway keeps logs, cursors, records and pending confirmations.
//!
//! The fixture is a data folder as a gateway of commit d5c1e98 left it when it was stopped, and beside it what that gateway said of it
//! over HTTP. Eight webhooks came to `acme`, two to `stripe`, four hints to `mollie`, whose API answered for one payment and was out of
//! order for two.

use paystream::{
    metrics::Metrics,
    payment::{Cursor, Name, PARTITIONS, State, Subject, Time},
    store::{
        Append, Appended, Claim, ClaimTerms, Delay, Feed, GivenUp, OutcomeKind, RECENT, RecordLog, Referent,
        Store,
        embedded::{Embedded, Settings},
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

/// The logs of the fixture are as old as it is, so they must not end before some 300 years are over.
const HISTORY: Duration = Duration::from_secs(300 * 365 * 86_400);

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/embedded-format-1.json")).unwrap()
}

/// Lays the fixture's files out. They are kept without the zeros at their end: the journal is 64 MiB of which a few KiB are used.
fn unpack(fixture: &Value, folder: &Path) {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    for file in fixture["files"].as_array().unwrap() {
        let name = file["path"].as_str().unwrap();
        let path = folder.join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut written = File::create(path).unwrap();
        written.write_all(&BASE64_STANDARD.decode(file["base64"].as_str().unwrap()).unwrap()).unwrap();
        written.set_len(file["length"].as_u64().unwrap()).unwrap();
    }
}

/// Today's store on the folder of the version before.
fn open(fixture: &Value) -> (TempDir, Embedded) {
    let folder = tempfile::tempdir().unwrap();
    unpack(fixture, folder.path());
    let settings = Settings { path: folder.path().to_owned(), history: HISTORY, recent: RECENT };
    let store = Embedded::open(&settings, Arc::new(Metrics::new())).unwrap();
    (folder, store)
}

fn subject(log: &Value) -> Subject {
    let text = |name: &str| log[name].as_str().unwrap();
    Subject::payment(text("realm").parse().unwrap(), text("payment").parse().unwrap())
}

#[tokio::test]
async fn logs_and_cursors_of_the_version_before_are_read() {
    let fixture = fixture();
    let (_folder, store) = open(&fixture);
    let mut tags = BTreeMap::new();
    for told in fixture["logs"].as_array().unwrap() {
        let log = store.read(&subject(told)).await.unwrap();
        let cursor: Cursor = told["cursor"].as_str().unwrap().parse().unwrap();
        assert_eq!(log.head(), cursor, "{told}");
        assert!(log.after(cursor).unwrap().is_empty(), "whoever has the cursor goes on from there");
        let state = State::fold(log.entries.iter().map(|entry| &*entry.event));
        assert_eq!(json!(state.status()), told["status"], "{told}");
        let events: Vec<_> = log.entries.iter().map(|entry| {
            let event = &entry.event;
            json!({ "id": event.id, "type": event.kind, "occurred_at": event.occurred_at, "received_at": event.received_at })
        }).collect();
        assert_eq!(json!(events), told["events"]);
        tags.extend(log.entries.iter().map(|entry| (entry.tag, subject(told))));
    }
    assert_eq!(tags.len(), 10);
    // The feeds hold a reference to each of these entries, and end where the heads say.
    let heads = store.heads().await.unwrap();
    assert_eq!(heads.len(), PARTITIONS);
    for (partition, head) in (0..=u8::MAX).zip(heads.into_iter().flatten()) {
        let Feed::References(references) = store.feed(partition, 1).await.unwrap() else {
            panic!("{head:?}")
        };
        assert_eq!(
            references.last().map_or((0, head.tag), |last| (last.pos, last.tag)),
            (head.pos, head.tag)
        );
        for reference in references {
            let Referent::Entry { subject, .. } = reference.to else { panic!("{reference:?}") };
            assert_eq!(tags.remove(&reference.tag), Some(subject));
        }
    }
    assert!(tags.is_empty(), "{tags:?}");
}

#[tokio::test]
async fn i2_what_the_version_before_has_seen_is_a_duplicate_and_its_logs_go_on() {
    let fixture = fixture();
    let (_folder, store) = open(&fixture);
    for told in fixture["logs"].as_array().unwrap() {
        let log = store.read(&subject(told)).await.unwrap();
        for (seq, entry) in (1..).zip(&log.entries) {
            let again = Append { event: (*entry.event).clone(), shared_ids: false };
            let cursor = Cursor { tag: entry.tag, seq };
            assert_eq!(store.append(again).await.unwrap(), Appended::Duplicate { cursor }, "{told}");
        }
        let mut event = (*log.entries[0].event).clone();
        event.id = "evt_new".into();
        let appended = store.append(Append { event, shared_ids: false }).await.unwrap();
        let Appended::New { cursor } = appended else { panic!("{appended:?}") };
        assert_eq!(cursor.seq, log.head().seq + 1);
        assert_eq!(store.read(&subject(told)).await.unwrap().after(log.head()).unwrap().len(), 1);
    }
}

#[tokio::test]
async fn records_of_the_version_before_are_listed_with_typed_fields() {
    use OutcomeKind::{Accepted, Duplicate, Ignored, Quarantined, Rejected};
    let fixture = fixture();
    let (_folder, store) = open(&fixture);
    let list = async |log, source| store.records(log, source, None, 100).await.unwrap().records;
    let mut listed = Vec::new();
    for (source, expected) in [
        (
            "acme",
            &[
                (Rejected, "bad_signature", None, None, None),
                (Accepted, "", Some("evt_5"), Some("pay_2"), Some(2)),
                (Accepted, "", Some("evt_4"), Some("pay_2"), Some(1)),
                (Quarantined, "bad_payment_id", Some("evt_3"), None, None),
                (Quarantined, "facts_differ", Some("evt_1"), Some("pay_1"), None),
                (Duplicate, "", Some("evt_2"), Some("pay_1"), Some(2)),
                (Accepted, "", Some("evt_2"), Some("pay_1"), Some(2)),
                (Accepted, "", Some("evt_1"), Some("pay_1"), Some(1)),
            ][..],
        ),
        (
            "stripe",
            &[
                (Ignored, "", Some("evt_s2"), None, None),
                (Accepted, "", Some("evt_s1"), Some("pi_1"), Some(1)),
            ],
        ),
    ] {
        let records = list(RecordLog::Deliveries, source).await;
        let fields: Vec<_> = records
            .iter()
            .map(|record| {
                let reason = record.reason.as_ref().map_or("", |reason| reason.as_str());
                let payment = record.payment.as_ref().map(Name::as_str);
                (record.outcome, reason, record.event.as_deref(), payment, record.seq)
            })
            .collect();
        assert_eq!(fields, expected, "{source}");
        listed.extend(records);
    }
    let quarantine = list(RecordLog::Quarantine, "acme").await;
    let places: Vec<_> = quarantine.iter().map(|record| (record.place.as_deref(), record.bytes)).collect();
    assert_eq!(places, [(Some("/payment/id"), Some(156)), (Some("log"), Some(154))]);
    let given_up = list(RecordLog::Quarantine, "mollie").await;
    let [record] = &given_up[..] else { panic!("{given_up:?}") };
    assert_eq!(record.payment.as_ref().unwrap().as_str(), "..");
    let since: Time = "2026-11-30T11:25:49.358Z".parse().unwrap();
    assert_eq!(record.confirmation, Some(GivenUp { attempts: 1, since }));

    listed.extend(list(RecordLog::Deliveries, "mollie").await);
    listed.extend(quarantine.into_iter().chain(given_up));
    let told = |value: &Value| ["log", "source", "at"].map(|name| value[name].to_string());
    let before: BTreeSet<_> = fixture["records"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(listed.iter().map(|record| told(&json!(record))).collect::<BTreeSet<_>>(), before);
    // A new one stands before them.
    let new = listed.swap_remove(0);
    store.record(new.clone()).await.unwrap();
    store.health().await.unwrap();
    let records = list(RecordLog::Deliveries, "acme").await;
    assert_eq!((records.len(), &records[0]), (9, &new));
}

#[tokio::test]
async fn confirmations_that_were_pending_in_the_version_before_are_claimed() {
    let (_folder, store) = open(&fixture());
    let backlogs = store.backlogs().await.unwrap();
    assert_eq!(
        backlogs.iter().map(|(source, backlog)| (&**source, backlog.count)).collect::<Vec<_>>(),
        [("mollie", 2)]
    );
    let terms = ClaimTerms { spacing: Duration::ZERO, lease: Duration::from_secs(3600) };
    let mut payments = BTreeSet::new();
    for _ in 0..2 {
        let claim = store.claim("mollie", terms).await.unwrap();
        let Claim::Pending(pending) = claim else { panic!("{claim:?}") };
        assert_eq!(pending.delay, Some(Delay::Failed));
        assert!(pending.attempts >= 2, "{pending:?}");
        payments.insert(pending.payment.to_string());
    }
    assert_eq!(payments, BTreeSet::from(["tr_late".to_owned(), "tr_open".to_owned()]));
}
