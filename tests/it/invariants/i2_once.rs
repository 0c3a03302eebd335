//! I2: one event, one `seq`.

use crate::support::{GENERIC_SECRET, Gateway, Setup, Source, generic, signed, stripe};
use load::{http::request, sign};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn i2_a_thousand_concurrent_duplicates_give_one_seq() {
    let gateway = Gateway::start().await;
    let mut posting = JoinSet::new();
    for _ in 0..1000 {
        let ingest = gateway.ingest;
        let body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
        posting.spawn(async move {
            let headers = signed("acme", &body);
            request(ingest, "POST", "/webhooks/acme", &headers, &body).await.unwrap().head.status
        });
    }
    let statuses = posting.join_all().await;
    assert!(statuses.iter().all(|status| status / 100 == 2), "{statuses:?}");
    let snapshot = gateway.snapshot("pay_1").await;
    assert_eq!(snapshot["seq"], 1);
    assert_eq!(snapshot["timeline"].as_array().unwrap().len(), 1);
    assert_eq!(gateway.events(&["outcome=\"accepted\""]).await, 1);
    assert_eq!(gateway.events(&["outcome=\"duplicate\""]).await, 999);
}

/// Posts both and tells the `seq` after that, and how many of all events were quarantined.
async fn after_both(gateway: &Gateway, source: &str, payment: &str, both: [Value; 2]) -> (u64, u64) {
    for payload in both {
        let answer = gateway.post(source, &payload).await;
        assert_eq!(answer.head.status / 100, 2, "{payload}: {}", answer.text());
    }
    let quarantined = gateway.events(&["outcome=\"quarantined\""]).await;
    (gateway.snapshot(payment).await["seq"].as_u64().unwrap(), quarantined)
}

#[tokio::test]
async fn i2_the_same_id_with_other_facts_is_quarantined_and_never_overwrites() {
    let gateway = Gateway::start().await;
    let told = generic("e1", "pending", "pay_1", 1_700_000_000);
    let mut other = generic("e1", "confirmed", "pay_1", 1_700_000_000);
    assert_eq!(after_both(&gateway, "acme", "pay_1", [told.clone(), other.clone()]).await, (1, 1));
    assert_eq!(gateway.snapshot("pay_1").await["status"], "processing");
    other = told.clone();
    other["payment"]["amount"] = "99.00".into();
    assert_eq!(after_both(&gateway, "acme", "pay_1", [told, other]).await, (1, 2));
    assert_eq!(gateway.snapshot("pay_1").await["amount"], 10_000);
    assert_eq!(gateway.events(&["reason=\"facts_differ\""]).await, 2);
}

#[tokio::test]
async fn i2_an_honest_retry_may_change_its_bytes() {
    let gateway = Gateway::start().await;
    let told = generic("e1", "pending", "pay_1", 1_700_000_000);
    let mut retried = told.clone();
    retried["delivery"] = json!({ "attempt": 2 });
    assert_eq!(after_both(&gateway, "acme", "pay_1", [told, retried]).await, (1, 0));
    let told = stripe("evt_1", "payment_intent.created", "pi_1", 1_700_000_000);
    let mut retried = told.clone();
    retried["pending_webhooks"] = 3.into();
    assert_eq!(after_both(&gateway, "stripe", "pi_1", [told, retried]).await, (1, 0));
}

#[tokio::test]
async fn i2_without_an_id_what_it_says_and_when_stands_for_it() {
    let gateway = Gateway::start().await;
    let mut told = generic("", "pending", "pay_1", 1_700_000_000);
    told.as_object_mut().unwrap().remove("id");
    let mut later = told.clone();
    later["timestamp"] = 1_700_000_009.into();
    assert_eq!(after_both(&gateway, "acme", "pay_1", [told.clone(), told.clone()]).await, (1, 0));
    assert_eq!(after_both(&gateway, "acme", "pay_1", [later, told]).await, (2, 0));
}

#[tokio::test]
async fn i2_two_sources_may_use_one_id_for_different_events() {
    let mut setup = Setup::default();
    setup.sources.push(Source::new("acme-two", "generic", "default", GENERIC_SECRET));
    let gateway = Gateway::with(setup).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let body = generic("e1", "confirmed", "pay_1", 1_700_000_001).to_string().into_bytes();
    let answer = gateway.post_raw("acme-two", &sign::generic(GENERIC_SECRET, &body), &body).await;
    assert_eq!(answer.head.status / 100, 2);
    let snapshot = gateway.snapshot("pay_1").await;
    assert_eq!((&snapshot["seq"], &snapshot["status"]), (&2.into(), &"captured".into()));
}
