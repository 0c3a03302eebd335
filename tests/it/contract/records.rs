//! What every store promises to those who look for what came of deliveries: records, bounded, newest first, a page at a time.

use super::{LONG, backend::Backend};
use paystream::{
    payment::Time,
    store::{
        GivenUp, OutcomeKind, RECORDS_PER_SHARE, RECORDS_PER_SOURCE, ReasonCode, Record, RecordLog, Store,
    },
};
use std::sync::Arc;
use tokio::task::JoinSet;

pub(crate) fn record(log: RecordLog, source: &str, number: i64) -> Record {
    let at = Time::from_unix_s(number).unwrap();
    Record {
        log,
        source: source.into(),
        at,
        outcome: OutcomeKind::Quarantined,
        reason: ReasonCode::known("unknown_state"),
        event: Some(format!("evt_{number}").into()),
        unsigned_id: None,
        part: None,
        failure_code: None,
        kind: Some("note".into()),
        payment: Some("pay".parse().unwrap()),
        seq: None,
        place: Some("/data/status".to_owned()),
        found: None,
        bytes: Some(2),
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: None,
    }
}

pub(super) async fn records_are_bounded_and_newest_first(place: impl Backend) {
    let store = place.open(LONG).await;
    let total = RECORDS_PER_SOURCE as i64 + 10;
    for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
        let mut tasks = JoinSet::new();
        for number in 0..total - 3 {
            let store = Arc::clone(&store);
            tasks.spawn(async move { store.record(record(log, "acme", number)).await.unwrap() });
        }
        tasks.join_all().await;
        for number in total - 3..total {
            store.record(record(log, "acme", number)).await.unwrap();
        }
        store.record(record(log, "acme-test", 0)).await.unwrap();
    }
    // The store checks its health after earlier commands, so records that nobody waited for are there now.
    store.health().await.unwrap();
    for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
        let expected: Vec<_> = (total - 3..total).rev().map(|number| record(log, "acme", number)).collect();
        assert_eq!(newest(&*store, log, "acme", 3).await, expected);
        assert_eq!(newest(&*store, log, "acme", usize::MAX).await.len(), RECORDS_PER_SOURCE);
        assert_eq!(newest(&*store, log, "acme-test", 9).await, [record(log, "acme-test", 0)]);
        assert_eq!(newest(&*store, log, "nobody", 9).await, []);
    }
}

pub(super) async fn newest(store: &dyn Store, log: RecordLog, source: &str, limit: usize) -> Vec<Record> {
    store.records(log, source, None, limit).await.unwrap().records
}

pub(super) async fn records_are_read_a_page_at_a_time(place: impl Backend) {
    let store = place.open(LONG).await;
    let log = RecordLog::Quarantine;
    for number in 0..7 {
        store.record(record(log, "acme", number)).await.unwrap();
        store.record(record(log, "acme-test", number)).await.unwrap();
    }
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let page = store.records(log, "acme", before, 3).await.unwrap();
        pages.push(page.records);
        // A record that comes meanwhile is newer, so the pages stay the same.
        store.record(record(log, "acme", 100)).await.unwrap();
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let page = |numbers: std::ops::Range<i64>| -> Vec<_> {
        numbers.rev().map(|number| record(log, "acme", number)).collect()
    };
    assert_eq!(pages, [page(4..7), page(1..4), page(0..1)]);
    // A cursor of another store, or of another time, is accepted as a place like any other.
    for (text, expected) in [("0-0", 0), ("18446744073709551615-18446744073709551615", 10)] {
        let page = store.records(log, "acme", text.parse().ok(), 20).await.unwrap();
        assert_eq!((page.records.len(), page.next), (expected, None), "{text}");
    }
}

fn quarantined(reason: &'static str, number: i64) -> Record {
    Record { reason: ReasonCode::known(reason), ..record(RecordLog::Quarantine, "acme", number) }
}

/// One record of each of some shares, all of which are older than the junk.
fn honest() -> Vec<Record> {
    let confirmation = Some(GivenUp { attempts: 3, since: Time::from_unix_s(1).unwrap() });
    vec![
        quarantined("facts_differ", 1),
        quarantined("missing_currency", 2),
        // Junk of this reason comes in deliveries, and this is an answer of the provider.
        Record { confirmation, ..quarantined("bad_amount", 3) },
    ]
}

/// Fills the share of one reason, and once more.
async fn fill(store: &Arc<dyn Store>, reason: &'static str, numbers: std::ops::Range<i64>) {
    let mut tasks = JoinSet::new();
    for number in numbers {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.record(quarantined(reason, number)).await.unwrap() });
    }
    tasks.join_all().await;
}

/// Reads the whole quarantine in pages.
async fn all(store: &dyn Store) -> Vec<Record> {
    let (mut before, mut records) = (None, Vec::new());
    loop {
        let page = store.records(RecordLog::Quarantine, "acme", before, 300).await.unwrap();
        records.extend(page.records);
        before = page.next;
        if before.is_none() {
            return records;
        }
    }
}

/// Strangers posted 1,100 deliveries of one reason in 1.5 seconds, and no other record was left.
pub(super) async fn nobody_s_junk_displaces_a_record_of_another_reason(place: impl Backend) {
    let store = place.open(LONG).await;
    let most = RECORDS_PER_SHARE as i64;
    for record in honest() {
        store.record(record).await.unwrap();
    }
    fill(&store, "missing_type", 10..10 + 2 * most).await;
    fill(&store, "bad_amount", 10..10 + most + 7).await;
    store.record(quarantined("facts_differ", 99_999)).await.unwrap();

    let records = all(&*store).await;
    let of = |reason: &str, is_answer: bool| {
        let is_of = |record: &&Record| {
            record.reason.as_ref().unwrap().as_str() == reason && record.confirmation.is_some() == is_answer
        };
        records.iter().filter(is_of).count()
    };
    assert_eq!([of("missing_type", false), of("bad_amount", false)], [RECORDS_PER_SHARE; 2]);
    assert_eq!([of("facts_differ", false), of("missing_currency", false), of("bad_amount", true)], [2, 1, 1]);
    assert_eq!(records.len(), 2 * RECORDS_PER_SHARE + 4);
    assert_eq!(records[0], quarantined("facts_differ", 99_999));
    assert_eq!(records[records.len() - 3..], honest().into_iter().rev().collect::<Vec<_>>());
}

/// A store that is opened anew still knows which record is of which share.
pub(super) async fn i1_records_of_the_quarantine_survive_with_their_shares(place: impl Backend) {
    let store = place.open(LONG).await;
    let most = RECORDS_PER_SHARE as i64;
    for record in honest() {
        store.record(record).await.unwrap();
    }
    fill(&store, "missing_type", 10..10 + most).await;
    drop(store);
    let store = place.open(LONG).await;
    fill(&store, "missing_type", 10 + most..10 + most + 5).await;
    let records = all(&*store).await;
    assert_eq!(records.len(), RECORDS_PER_SHARE + 3);
    assert_eq!(records[RECORDS_PER_SHARE..], honest().into_iter().rev().collect::<Vec<_>>());
    // The first ones were written at the same time, so any of them may have been the oldest.
    let mut newest: Vec<_> = records[..5].iter().map(|record| record.at).collect();
    newest.sort_unstable();
    let expected: Vec<_> =
        (10 + most..10 + most + 5).map(|number| Time::from_unix_s(number).unwrap()).collect();
    assert_eq!(newest, expected, "the newest stay");
}
