//! I5: a stream sees only what its token grants, in its realm.

use crate::support::{Gateway, generic, header, message, next_message, stays_silent, token};
use std::time::Duration;

#[tokio::test]
async fn i5_a_stream_carries_its_own_payment_only() {
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pay_0").await;
    next_message(&mut stream).await;
    for n in 1..=50 {
        gateway.accept(&generic("e1", "pending", &format!("pay_{n}"), 1_700_000_000)).await;
    }
    gateway.accept(&generic("last", "pending", "pay_0", 1_700_000_000)).await;
    let (_, update) = next_message(&mut stream).await;
    assert_eq!((&update["payment"], &update["event"]["id"]), (&"pay_0".into(), &"last".into()));
}

#[tokio::test]
async fn i5_the_same_id_in_another_realm_is_another_payment() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let bearer = |realm: &str| [header("authorization", &format!("Bearer {}", token(realm, &["pay_1"])))];
    let mut ours = gateway.open("/v1/payments/pay_1/events", &bearer("default")).await;
    let mut theirs = gateway.open("/v1/payments/pay_1/events", &bearer("other")).await;
    assert_eq!(next_message(&mut ours).await.1["seq"], 1);
    assert_eq!(next_message(&mut theirs).await.1["status"], "unknown");
    let posted = generic("x1", "confirmed", "pay_1", 1_700_000_000);
    assert_eq!(gateway.post("other", &posted).await.head.status / 100, 2);
    assert_eq!(next_message(&mut theirs).await.1["event"]["id"], "x1");
    stays_silent(&mut ours, Duration::from_millis(500)).await;
    let polled = gateway.get("/v1/payments/pay_1", &bearer("default")).await;
    assert_eq!(polled.json()["status"], "processing");
}

#[tokio::test]
async fn i5_replay_is_authorised_like_live() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "secret", 1_700_000_000)).await;
    let (cursor, _) = next_message(&mut gateway.stream("secret").await).await;
    gateway.accept(&generic("e2", "confirmed", "secret", 1_700_000_000)).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    for path in
        ["/v1/payments/secret/events", "/v1/payments/secret", "/v1/events?payment=pay_1&payment=secret"]
    {
        for cursor in [None, Some("0-0"), Some(cursor.as_str())] {
            headers.truncate(1);
            headers.extend(cursor.map(|cursor| header("last-event-id", cursor)));
            let answer = gateway.get(path, &headers).await;
            assert_eq!(answer.head.status, 403, "{path} with {cursor:?}");
            assert!(
                !answer.text().contains("e1") && !answer.text().contains("captured"),
                "{}",
                answer.text()
            );
        }
    }
    // A cursor of that payment, brought to one that is granted, opens nothing either.
    let mut stream = gateway.resume("pay_1", &cursor).await;
    let first = message(&stream.event(crate::support::PATIENCE).await.unwrap());
    assert_eq!((&first["payment"], &first["status"]), (&"pay_1".into(), &"unknown".into()));
}

#[tokio::test]
async fn i5_a_refusal_does_not_tell_whether_the_payment_exists() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "known", 1_700_000_000)).await;
    let bearer = gateway.bearer(&["pay_1"]);
    let known = gateway.get("/v1/payments/known", &bearer).await;
    let unknown = gateway.get("/v1/payments/other", &bearer).await;
    assert_eq!(
        (known.head.status, known.text()),
        (unknown.head.status, unknown.text().replace("other", "known"))
    );
}
