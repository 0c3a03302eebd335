//! Attacks by way of labels and of parts: a payer who wants another payment's page, its events, or its silence.

use crate::{
    labels::Order,
    parts::{OF_ORDER, operator, pair, webhook},
    support::{Gateway, STRIPE_SECRET, Setup, Source, Store, now_s},
};
use load::{http::Response, sign};
use serde_json::{Value, json};

/// Sources of one realm and of another, whose payments are the shop's orders.
async fn gateway() -> Gateway {
    let source = |name: &str, realm: &str| Source {
        more: OF_ORDER.to_owned(),
        ..Source::new(name, "stripe", realm, STRIPE_SECRET)
    };
    let sources = vec![source("stripe", "default"), source("stripe-other", "other")];
    Gateway::with(Setup { store: Store::AsTheRunSays, sources, ..Setup::default() }).await
}

async fn post_to(gateway: &Gateway, source: &str, secret: &str, payload: &Value) -> Response {
    let body = payload.to_string().into_bytes();
    gateway.post_raw(source, &sign::stripe(secret, now_s(), &body), &body).await
}

async fn types(gateway: &Gateway, payment: &str) -> Vec<String> {
    let snapshot = gateway.snapshot(payment).await;
    let Some(timeline) = snapshot["timeline"].as_array() else { return Vec::new() };
    timeline.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

fn outcome(answer: &Response) -> Value {
    answer.json()["outcome"].clone()
}

#[tokio::test]
async fn a_forged_webhook_teaches_no_part() {
    let gateway = gateway().await;
    let (victim, names, refund) = pair(1);
    let mut forged = names.clone();
    forged["data"]["object"]["metadata"]["order_id"] = json!("order-evil");
    assert_eq!(post_to(&gateway, "stripe", "whsec_guessed", &forged).await.head.status, 401);
    assert_eq!(outcome(&gateway.post("stripe", &refund).await), "waiting", "nobody has named the payment");
    gateway.post("stripe", &names).await;
    assert_eq!(types(&gateway, &victim.number).await, ["payment_intent.succeeded", "charge.refunded"]);
    assert!(types(&gateway, "order-evil").await.is_empty());
}

/// What a payer writes stands in metadata, in descriptions and in the `client_reference_id` of a Payment Link.
#[tokio::test]
async fn whatever_a_payer_writes_is_neither_a_part_nor_a_label() {
    let gateway = gateway().await;
    let (victim, names, refund) = pair(1);
    let evil = Order::new(666);
    for (kind, step) in [("payment_intent.succeeded", 1), ("checkout.session.completed", 2)] {
        let mut webhook = webhook(&evil, kind, step);
        let object = &mut webhook["data"]["object"];
        for key in ["client_reference_id", "description", "receipt_email", "customer_email"] {
            object[key] = json!(victim.payment);
        }
        for key in ["payment_intent", "charge", "id", "part"] {
            object["metadata"][key] = json!(victim.payment);
        }
        assert_eq!(outcome(&gateway.post("stripe", &webhook).await), "accepted");
    }
    assert_eq!(outcome(&gateway.post("stripe", &refund).await), "waiting");
    gateway.post("stripe", &names).await;
    assert_eq!(types(&gateway, &victim.number).await, ["payment_intent.succeeded", "charge.refunded"]);
    assert!(!types(&gateway, &evil.number).await.contains(&"charge.refunded".to_owned()));
}

#[tokio::test]
async fn a_part_of_another_realm_or_of_the_test_mode_brings_nothing() {
    let gateway = gateway().await;
    let (victim, names, refund) = pair(1);
    let mut test_mode = names.clone();
    test_mode["livemode"] = json!(names["livemode"] != true);
    test_mode["data"]["object"]["metadata"]["order_id"] = json!("order-evil");
    assert_eq!(outcome(&gateway.post("stripe", &test_mode).await), "accepted");
    let mut elsewhere = names.clone();
    elsewhere["data"]["object"]["metadata"]["order_id"] = json!("order-evil");
    let answer = post_to(&gateway, "stripe-other", STRIPE_SECRET, &elsewhere).await;
    assert_eq!(outcome(&answer), "accepted");
    assert_eq!(outcome(&gateway.post("stripe", &refund).await), "waiting");
    gateway.post("stripe", &names).await;
    assert_eq!(types(&gateway, &victim.number).await, ["payment_intent.succeeded", "charge.refunded"]);
    assert_eq!(types(&gateway, "order-evil").await, ["payment_intent.succeeded"]);
}

/// Even if a provider named a victim's part together with another payment, the victim's page loses nothing.
#[tokio::test]
async fn nobody_takes_the_events_of_a_part_away_from_its_payment() {
    for evil_is_first in [true, false] {
        let gateway = gateway().await;
        let (victim, names, refund) = pair(1);
        let mut evil = names.clone();
        (evil["id"], evil["data"]["object"]["metadata"]["order_id"]) =
            (json!("evt_evil"), json!("order-evil"));
        let both = if evil_is_first { [&evil, &names] } else { [&names, &evil] };
        for webhook in both {
            assert_eq!(outcome(&gateway.post("stripe", webhook).await), "accepted");
        }
        assert_eq!(outcome(&gateway.post("stripe", &refund).await), "accepted");
        assert_eq!(types(&gateway, &victim.number).await, ["payment_intent.succeeded", "charge.refunded"]);
    }
}

#[tokio::test]
async fn events_that_nobody_can_place_fill_a_bounded_room_and_hold_up_nothing() {
    let gateway = gateway().await;
    let (victim, names, _) = pair(1);
    let mut outcomes = Vec::new();
    for step in 0..70 {
        let answer = gateway.post("stripe", &webhook(&victim, "charge.refunded", 100 + step)).await;
        assert_eq!(answer.head.status, 200, "no event is refused: {}", answer.text());
        outcomes.push(answer.json());
    }
    assert!(outcomes[..64].iter().all(|answer| answer["outcome"] == "waiting"));
    assert!(outcomes[64..].iter().all(|answer| answer["reason"] == "too_many_waiting"), "{outcomes:?}");
    assert_eq!(gateway.metric("paystream_limit_hits_total", &["waiting_events"]).await, 6.0);
    let (other, other_names, other_refund) = pair(2);
    assert_eq!(outcome(&gateway.post("stripe", &other_refund).await), "waiting", "another part has room");
    gateway.post("stripe", &other_names).await;
    assert_eq!(types(&gateway, &other.number).await.len(), 2);
    assert_eq!(outcome(&gateway.post("stripe", &names).await), "accepted");
    assert_eq!(types(&gateway, &victim.number).await.len(), 65);
}

#[tokio::test]
async fn a_card_number_or_an_overlong_text_in_the_place_of_a_part_is_quarantined_and_shown_nowhere() {
    let gateway = gateway().await;
    let (_, _, refund) = pair(1);
    for (part, reason) in [("4242424242424242", "pan_like_id"), (&*"x".repeat(129), "bad_part_id")] {
        let mut webhook = refund.clone();
        webhook["data"]["object"]["payment_intent"] = json!(part);
        webhook["id"] = json!(format!("evt_{reason}"));
        let answer = gateway.post("stripe", &webhook).await.json();
        assert_eq!((&answer["outcome"], &answer["reason"]), (&json!("quarantined"), &json!(reason)));
    }
    let told = operator(&gateway, "/admin/waiting?source=stripe").await.text()
        + &operator(&gateway, "/admin/quarantine?source=stripe").await.text()
        + &gateway.log();
    assert!(!told.contains("4242424242424242"), "{told}");
}

/// A label's log and a part's log lie in realms of their own, which no source, token or configuration can name.
#[tokio::test]
async fn no_token_opens_the_logs_of_labels_and_parts() {
    let gateway = gateway().await;
    let (order, _, refund) = pair(1);
    gateway.post("stripe", &refund).await;
    for realm in ["part:test:stripe:default", "part:live:stripe:default", "label:default"] {
        let token = crate::support::token(realm, &[&order.payment]);
        let headers = [crate::support::header("authorization", &format!("Bearer {token}"))];
        let answer = gateway.get(&format!("/v1/payments/{}", order.payment), &headers).await;
        assert_eq!(answer.head.status, 401, "{realm}: {}", answer.text());
    }
}
