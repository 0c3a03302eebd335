//! What a stream begins with.

use crate::support::{Gateway, generic, message, next_message, stripe};
use load::{sse::Item, stream::Next};
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_stream_is_marked_against_caches_and_buffers() {
    let gateway = Gateway::start().await;
    let stream = gateway.stream("pay_1").await;
    let head = &stream.head;
    assert_eq!(head.status, 200);
    assert!(head.header("content-type").unwrap().starts_with("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-cache, no-store, no-transform"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert_eq!(head.header("content-length"), None);
    assert_eq!(head.header("content-encoding"), None);
}

#[tokio::test]
async fn an_unknown_payment_waits_and_then_gets_its_first_event() {
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pay_1").await;
    let (id, first) = next_message(&mut stream).await;
    assert_eq!(id, "0-0");
    assert_eq!(first["type"], "snapshot");
    assert_eq!(first["payment"], "pay_1");
    assert_eq!(first["seq"], 0);
    assert_eq!(first["status"], "unknown");
    assert_eq!(first["up_to_date"], true);

    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let (_, update) = next_message(&mut stream).await;
    assert_eq!(update["type"], "update");
    assert_eq!(update["seq"], 1);
    assert_eq!(update["prev"], 0);
    assert_eq!(update["status"], "processing");
}

/// A page that reads a missing field shows `undefined`.
#[tokio::test]
async fn money_that_no_event_has_told_is_null_as_the_page_shows() {
    let page = include_str!("../../../docs/src/reference/wire.md");
    let shown = page.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pi_123").await;
    let snapshot = stream.event(crate::support::PATIENCE).await.unwrap();
    assert_eq!(snapshot.data, shown);

    let mut pending = generic("e1", "pending", "pi_123", 1_700_000_000);
    pending["payment"]
        .as_object_mut()
        .unwrap()
        .retain(|field, _| !["amount", "currency"].contains(&field.as_str()));
    gateway.accept(&pending).await;
    let (_, update) = next_message(&mut stream).await;
    assert_eq!(update["status"], "processing");
    for field in ["amount", "currency", "exponent"] {
        assert_eq!(update.get(field), Some(&Value::Null), "{field}: {update}");
    }
    let polled = gateway.snapshot("pi_123").await;
    for field in ["amount", "currency", "exponent"] {
        assert_eq!(polled.get(field), Some(&Value::Null), "{field}: {polled}");
    }
}

#[tokio::test]
async fn a_known_payment_begins_with_its_snapshot_and_goes_on_live() {
    let gateway = Gateway::start().await;
    let created = stripe("evt_1", "payment_intent.created", "pi_1", 1_700_000_000);
    let authorized = stripe("evt_2", "payment_intent.amount_capturable_updated", "pi_1", 1_700_000_010);
    for payload in [created, authorized] {
        assert_eq!(gateway.post("stripe", &payload).await.head.status / 100, 2);
    }
    let mut stream = gateway.stream("pi_1").await;
    let (_, snapshot) = next_message(&mut stream).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert!(snapshot["reason"].is_null(), "{snapshot}");
    assert!(snapshot["v"].is_u64(), "{snapshot}");
    assert_eq!(snapshot["seq"], 2);
    assert_eq!(snapshot["status"], "authorized");
    assert_eq!(snapshot["amount"], 10_000);
    assert_eq!(snapshot["currency"], "EUR");
    assert_eq!(snapshot["up_to_date"], true);
    let timeline = snapshot["timeline"].as_array().unwrap();
    let ids: Vec<_> = timeline.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["evt_1", "evt_2"]);

    let captured = stripe("evt_3", "payment_intent.succeeded", "pi_1", 1_700_000_020);
    assert_eq!(gateway.post("stripe", &captured).await.head.status / 100, 2);
    let (_, update) = next_message(&mut stream).await;
    assert_eq!(update["type"], "update");
    assert!(update["v"].is_u64(), "{update}");
    assert_eq!(update["payment"], "pi_1");
    assert_eq!((update["seq"].as_u64(), update["prev"].as_u64()), (Some(3), Some(2)));
    assert_eq!(update["status"], "captured");
    assert_eq!(update["amount"], 10_000);
    assert_eq!(update["currency"], "EUR");
    assert_eq!(update["event"]["id"], "evt_3");
    assert_eq!(update["event"]["type"], "payment_intent.succeeded");
    assert_eq!(update["event"]["occurred_at"], "2023-11-14T22:13:40.000Z");
    assert_eq!(update["up_to_date"], true);
    assert_eq!(stream.torn, 0);
}

#[tokio::test]
async fn an_event_that_comes_too_late_says_so() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_020)).await;
    gateway.accept(&generic("e3", "failed", "pay_1", 1_700_000_030)).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_010)).await;
    let (_, update) = next_message(&mut stream).await;
    assert_eq!(update["status"], "captured");
    assert_eq!(update["late"], true);
}

#[tokio::test]
async fn every_event_has_a_safe_id_and_state_needs_only_onmessage() {
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pay_1").await;
    for seq in 1..=5 {
        gateway.accept(&generic(&format!("e{seq}"), "pending", "pay_1", 1_700_000_000 + seq)).await;
    }
    for seq in 0..=5 {
        let event = stream.event(crate::support::PATIENCE).await.unwrap();
        assert_eq!(event.kind, "message");
        assert_eq!(message(&event)["seq"], seq);
        let ids: Vec<_> = event.lines.iter().filter_map(|line| line.strip_prefix("id: ")).collect();
        assert_eq!(ids, [event.id.as_str()], "one id line in each block");
        assert!(event.id.len() < 128);
        assert!(event.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{}", event.id);
        let data = event.lines.iter().filter(|line| line.starts_with("data:")).count();
        assert_eq!(data, 1, "the JSON stands on one line");
    }
    assert_eq!(stream.torn, 0, "every frame is written whole");
}

#[tokio::test]
async fn retry_is_random_within_its_range_and_stands_in_the_first_block() {
    let gateway = Gateway::start().await;
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        let mut stream = gateway.stream("pay_1").await;
        let Next::Item(Item::Retry(ms)) = stream.next().await.unwrap() else { panic!("no retry first") };
        assert!((1000..=2000).contains(&ms), "{ms}");
        seen.insert(ms);
        let Next::Item(Item::Event(first)) = stream.next().await.unwrap() else { panic!("no event second") };
        assert_eq!(first.lines[0], format!("retry: {ms}"));
        assert!(!first.data.is_empty(), "a blank line after retry alone fires an empty message");
    }
    assert!(seen.len() > 10, "20 draws of 1001 values: {seen:?}");
}
