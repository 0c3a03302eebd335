//! What every store promises about the audit trail, and about what is too old to be kept.

use super::{
    LONG,
    backend::Backend,
    records::{newest, record},
};
use paystream::{
    payment::Time,
    store::{AUDIT_ENTRIES, AuditAction, AuditEntry, Expiry, RecordLog, Store},
};
use std::sync::Arc;
use tokio::task::JoinSet;

fn entry(number: usize) -> AuditEntry {
    let target = Some(number.to_string());
    AuditEntry { target, ..AuditEntry::new(Some("ann".into()), AuditAction::Discard) }
}

/// The numbers of the entries, the newest first, read in pages.
async fn numbers(store: &dyn Store, limit: usize) -> Vec<usize> {
    let (mut before, mut numbers) = (None, Vec::new());
    loop {
        let page = store.audit_trail(before, limit).await.unwrap();
        assert!(page.entries.len() <= limit);
        let number = |entry: &AuditEntry| entry.target.as_ref().unwrap().parse::<usize>().unwrap();
        numbers.extend(page.entries.iter().map(|(_, entry)| number(entry)));
        before = page.next;
        if before.is_none() {
            return numbers;
        }
    }
}

pub(super) async fn i1_the_audit_trail_survives_is_bounded_and_read_a_page_at_a_time(place: impl Backend) {
    let store = place.open(LONG).await;
    assert!(numbers(&*store, 3).await.is_empty());
    for number in 0..7 {
        store.audit(entry(number)).await.unwrap();
    }
    assert_eq!(numbers(&*store, 3).await, [6, 5, 4, 3, 2, 1, 0]);
    for (cursor, expected) in [("0-0", 0), ("18446744073709551615-18446744073709551615", 7)] {
        let page = store.audit_trail(cursor.parse().ok(), 20).await.unwrap();
        assert_eq!(page.entries.len(), expected, "{cursor}");
    }
    drop(store);
    let store = place.open(LONG).await;
    assert_eq!(numbers(&*store, 100).await, [6, 5, 4, 3, 2, 1, 0]);
    let mut tasks = JoinSet::new();
    for number in 7..AUDIT_ENTRIES + 10 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.audit(entry(number)).await.unwrap() });
        if number % 256 == 0 {
            while tasks.join_next().await.is_some() {}
        }
    }
    tasks.join_all().await;
    let mut left = numbers(&*store, 1000).await;
    assert_eq!(left.len(), AUDIT_ENTRIES);
    left.sort_unstable();
    assert!(left[0] >= 7, "the oldest ones are gone: {:?}", &left[..9]);
}

/// The embedded store goes by the time of an entry, and Redis by the time at which it came, which here is the same.
pub(super) async fn what_is_too_old_is_removed_and_nothing_else(place: impl Backend) {
    let store = place.open(LONG).await;
    let now = paystream::clock::now();
    let at = |ms: i64| Time::from_unix_ms(now.unix_ms() + ms).unwrap();
    for number in 0..700 {
        for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
            let record = record(log, "acme", number);
            store.record(paystream::store::Record { at: now, ..record }).await.unwrap();
        }
    }
    store.audit(entry(1)).await.unwrap();
    store.health().await.unwrap();
    let before = Expiry { deliveries: at(-60_000), audit: at(-60_000) };
    assert_eq!(store.expire(before).await.unwrap(), 0);
    let after = Expiry { audit: at(-60_000), deliveries: at(60_000) };
    assert_eq!(store.expire(after).await.unwrap(), 700);
    assert_eq!(newest(&*store, RecordLog::Deliveries, "acme", 9).await, []);
    assert_eq!(newest(&*store, RecordLog::Quarantine, "acme", 1000).await.len(), 700);
    assert_eq!(numbers(&*store, 9).await, [1]);
    let after = Expiry { deliveries: at(60_000), audit: at(60_000) };
    assert_eq!(store.expire(after).await.unwrap(), 1);
    assert!(numbers(&*store, 9).await.is_empty());
    // What comes later is kept as ever.
    store.audit(entry(2)).await.unwrap();
    store.record(record(RecordLog::Deliveries, "acme", 1)).await.unwrap();
    store.health().await.unwrap();
    assert_eq!(numbers(&*store, 9).await, [2]);
    assert_eq!(newest(&*store, RecordLog::Deliveries, "acme", 9).await.len(), 1);
    assert_eq!(Expiry::at(now), Expiry { deliveries: at(-45 * 86_400_000), audit: at(-400 * 86_400_000) });
}
