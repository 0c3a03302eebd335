//! What is held has an end: its body is removed from the disk, whether or not anybody looks for it.

use super::*;
use crate::store::{
    HELD_FOR, HELD_PER_SHARE, Held, HeldId, Holding, OutcomeKind, ReasonCode, Record, RecordLog,
};
use futures_util::future::join_all;
use serde_json::json;

fn held(at: Time) -> Record {
    Record {
        log: RecordLog::Quarantine,
        source: "acme".into(),
        at,
        outcome: OutcomeKind::Quarantined,
        reason: ReasonCode::known("bad_amount"),
        event: None,
        unsigned_id: None,
        kind: None,
        payment: None,
        part: None,
        failure_code: None,
        seq: None,
        place: None,
        found: None,
        bytes: None,
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: Some(HeldId::new(at)),
    }
}

#[tokio::test]
async fn a_body_is_removed_once_its_time_is_over_and_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
    let open = || open_by(Machinery { clock: Arc::clone(&clock), ..Machinery::default() }, dir.path());
    let store = open();
    let time = || Time::from_unix_ms(now.load(Ordering::SeqCst)).unwrap();
    let hold = async |store: &Embedded| store.hold(held(time()), json!({ "body": 1 })).await.unwrap();
    let first = held(time());
    let id = first.held.unwrap();
    store.hold(first, json!({ "body": 1 })).await.unwrap();
    join_all((1..HELD_PER_SHARE).map(|_| hold(&store))).await;
    assert_eq!(hold(&store).await, Holding::Full);
    let for_ms = i64::try_from(HELD_FOR.as_millis()).unwrap();
    now.fetch_add(for_ms, Ordering::SeqCst);
    assert!(
        matches!(store.held("acme", id).await.unwrap(), Some(Held::Waiting(..))),
        "its last day is not over"
    );
    assert_eq!(hold(&store).await, Holding::Full);
    now.fetch_add(1, Ordering::SeqCst);
    assert_eq!(store.held("acme", id).await.unwrap(), None);
    assert_eq!(hold(&store).await, Holding::Held(1));
    store.close_blocking();
    // The writer looks for what is over when it starts, and from time to time.
    let store = open();
    let recent = Arc::clone(&store.open.read().unwrap().as_ref().unwrap().recent);
    let left = || {
        let end = super::super::layout::held_before(u64::MAX);
        recent.newest_in(&super::super::layer::Layer::default(), b"b", &end, 9999).unwrap().len()
    };
    let started = Instant::now();
    while left() != 1 {
        assert!(started.elapsed() < Duration::from_secs(30), "{} are left", left());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
