//! What every store promises of records that are held with their bodies: nothing displaces them, they are settled once, and an erasure finds
//! them.

use super::{
    LONG,
    backend::Backend,
    records::{newest, record},
};
use paystream::{
    payment::{Subject, Time},
    store::{Erasure, HELD_PER_SHARE, Held, HeldId, Holding, ReasonCode, Record, RecordLog, Settling, Store},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

fn now() -> Time {
    Time::from_unix_ms(jiff::Timestamp::now().as_millisecond()).unwrap()
}

fn held(reason: &'static str, number: i64) -> Record {
    Record {
        reason: ReasonCode::known(reason),
        held: Some(HeldId::new(now())),
        ..record(RecordLog::Quarantine, "acme", number)
    }
}

fn body(number: i64) -> Value {
    // Numbers keep their text.
    serde_json::from_str(&format!(r#"{{"body":{{"id":"evt_{number}","amount":10.00}}}}"#)).unwrap()
}

async fn hold(store: &dyn Store, record: &Record, number: i64) -> Holding {
    store.hold(record.clone(), body(number)).await.unwrap()
}

pub(super) async fn i1_a_held_record_survives_with_its_body(place: impl Backend) {
    let store = place.open(LONG).await;
    let one = held("bad_amount", 1);
    let id = one.held.unwrap();
    assert_eq!(store.held("acme", id).await.unwrap(), None);
    assert_eq!(hold(&*store, &one, 1).await, Holding::Held(1));
    drop(store);
    let store = place.open(LONG).await;
    assert_eq!(newest(&*store, RecordLog::Quarantine, "acme", 9).await, std::slice::from_ref(&one));
    assert_eq!(
        store.held("acme", id).await.unwrap(),
        Some(Held::Waiting(Box::new(one.clone()), body(1))),
        "with its body"
    );
    assert_eq!(store.held("other", id).await.unwrap(), None, "it belongs to its source");
    assert_eq!(
        hold(&*store, &held("bad_amount", 2), 2).await,
        Holding::Held(2),
        "the shares are known again"
    );
}

pub(super) async fn a_held_record_is_settled_once(place: impl Backend) {
    let store = place.open(LONG).await;
    let (one, other) = (held("bad_amount", 1), held("bad_amount", 2));
    let id = one.held.unwrap();
    hold(&*store, &one, 1).await;
    hold(&*store, &other, 2).await;
    let settle = async |id, said: Value| store.settle_held("acme", id, said).await.unwrap();
    assert_eq!(settle(HeldId::new(now()), json!(0)).await, Settling::Unknown);
    assert_eq!(store.settle_held("other", id, json!(0)).await.unwrap(), Settling::Unknown);
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { (number, store.settle_held("acme", id, json!(number)).await.unwrap()) });
    }
    let said = tasks.join_all().await;
    let first: Vec<_> = said.iter().filter(|(_, settling)| *settling == Settling::Now).collect();
    let [(first, _)] = first[..] else { panic!("one of them settles it: {said:?}") };
    for (number, settling) in &said {
        let expected = if number == first { Settling::Now } else { Settling::Before(json!(first)) };
        assert_eq!(*settling, expected);
    }
    assert_eq!(newest(&*store, RecordLog::Quarantine, "acme", 9).await, std::slice::from_ref(&other));
    drop(store);
    let store = place.open(LONG).await;
    assert_eq!(store.held("acme", id).await.unwrap(), Some(Held::Settled(json!(first))));
    assert_eq!(
        store.settle_held("acme", id, json!("again")).await.unwrap(),
        Settling::Before(json!(first)),
        "it is remembered"
    );
    assert_eq!(hold(&*store, &held("bad_amount", 3), 3).await, Holding::Held(2), "its room is free again");
}

/// A quarantine that is full keeps what it holds, whatever comes: the providers are told to come again.
pub(super) async fn nothing_displaces_what_is_held(place: impl Backend) {
    let store = place.open(LONG).await;
    let honest = held("bad_amount", 1);
    hold(&*store, &honest, 1).await;
    let mut tasks = JoinSet::new();
    for number in 0..HELD_PER_SHARE as i64 + 20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.hold(held("bad_amount", number), body(number)).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    let full = answers.iter().filter(|answer| **answer == Holding::Full).count();
    assert_eq!(full, 21, "a write whose answer is lost is not held twice");
    assert!(answers.contains(&Holding::Held(HELD_PER_SHARE)));
    // Neither do records without bodies, nor those of other reasons, and these have room of their own.
    for number in 0..3 {
        store.record(record(RecordLog::Quarantine, "acme", number)).await.unwrap();
    }
    assert_eq!(hold(&*store, &held("unknown_state", 2), 2).await, Holding::Held(1));
    assert_eq!(
        store.held("acme", honest.held.unwrap()).await.unwrap(),
        Some(Held::Waiting(Box::new(honest.clone()), body(1)))
    );
    let page = store.records(RecordLog::Quarantine, "acme", None, usize::MAX).await.unwrap();
    assert_eq!(page.records.len(), page.cursors.len());
    assert_eq!(page.next, page.cursors.last().copied());
    // One that is settled makes room for one.
    store.settle_held("acme", honest.held.unwrap(), json!("done")).await.unwrap();
    assert_eq!(hold(&*store, &held("bad_amount", 3), 3).await, Holding::Held(HELD_PER_SHARE));
    assert_eq!(hold(&*store, &held("bad_amount", 4), 4).await, Holding::Full);
}

pub(super) async fn an_erasure_removes_what_is_held_of_a_payment(place: impl Backend) {
    let store = place.open(LONG).await;
    let named = held("bad_amount", 1);
    // The payment of this one was not read, but its body names it.
    let unnamed = Record { payment: None, ..held("missing_payment", 2) };
    let other = Record { payment: Some("other".parse().unwrap()), ..held("bad_amount", 3) };
    hold(&*store, &named, 1).await;
    store.hold(unnamed.clone(), json!({ "body": { "order": ["pay"] } })).await.unwrap();
    hold(&*store, &other, 3).await;
    let subject = Subject::payment("default".parse().unwrap(), "pay".parse().unwrap());
    let of = Erasure { subject, sources: ["acme".into()].into(), others: [].into() };
    let erased = store.erase(of.clone()).await.unwrap();
    assert_eq!((erased.quarantined, erased.events), (2, 0));
    for gone in [&named, &unnamed] {
        assert_eq!(store.held("acme", gone.held.unwrap()).await.unwrap(), None);
    }
    assert_eq!(newest(&*store, RecordLog::Quarantine, "acme", 9).await, [other]);
    assert!(store.erase(of).await.unwrap().is_nothing());
    assert_eq!(hold(&*store, &held("bad_amount", 4), 4).await, Holding::Held(2), "their room is free again");
}
