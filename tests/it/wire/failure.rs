//! Why a payment failed, and what the customer has to do next.

use crate::support::{ADMIN_TOKEN, Gateway, eventually, header, next_message, stripe};
use load::http::request;
use serde_json::{Value, json};

fn with(mut event: Value, member: &str, value: Value) -> Value {
    event["data"]["object"][member] = value;
    event
}

#[tokio::test]
async fn a_page_learns_why_a_payment_failed_and_what_comes_next_until_it_is_paid() {
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pi_1").await;
    let (_, unknown) = next_message(&mut stream).await;
    assert_eq!((&unknown["failure"], &unknown["action"]), (&Value::Null, &Value::Null));

    let asked = stripe("evt_1", "payment_intent.requires_action", "pi_1", 1_700_000_000);
    let failed = stripe("evt_2", "payment_intent.payment_failed", "pi_1", 1_700_000_001);
    let stolen = json!({ "code": "card_declined", "decline_code": "stolen_card", "type": "card_error" });
    let poor = json!({ "code": "card_declined", "decline_code": "insufficient_funds", "type": "card_error" });
    let again = stripe("evt_3", "payment_intent.payment_failed", "pi_1", 1_700_000_002);
    let paid = stripe("evt_4", "payment_intent.succeeded", "pi_1", 1_700_000_003);
    for (event, failure, action) in [
        (
            with(asked, "next_action", json!({ "type": "use_stripe_sdk" })),
            Value::Null,
            json!({ "kind": "3ds" }),
        ),
        (with(failed, "last_payment_error", stolen), json!({ "reason": "declined" }), Value::Null),
        (with(again, "last_payment_error", poor), json!({ "reason": "insufficient_funds" }), Value::Null),
        (paid, Value::Null, Value::Null),
    ] {
        assert_eq!(gateway.post("stripe", &event).await.head.status, 200);
        let (_, update) = next_message(&mut stream).await;
        assert_eq!((&update["failure"], &update["action"]), (&failure, &action), "{update}");
        assert!(!update.to_string().contains("stolen"), "{update}");
    }

    let snapshot = gateway.get("/v1/payments/pi_1", &gateway.bearer(&["pi_1"])).await.json();
    let reasons: Vec<&Value> =
        snapshot["timeline"].as_array().unwrap().iter().map(|entry| &entry["failure"]["reason"]).collect();
    assert_eq!(reasons, [&Value::Null, &json!("declined"), &json!("insufficient_funds"), &Value::Null]);
}

#[tokio::test]
async fn the_provider_s_own_code_is_for_operators() {
    let gateway = Gateway::start().await;
    let failed = stripe("evt_1", "payment_intent.payment_failed", "pi_1", 1_700_000_000);
    let error = json!({ "code": "card_declined", "decline_code": "pickup_card" });
    assert_eq!(gateway.post("stripe", &with(failed, "last_payment_error", error)).await.head.status, 200);
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    // The provider does not wait for the record.
    eventually("the delivery is recorded", async || {
        let page =
            request(gateway.admin, "GET", "/admin/deliveries?source=stripe", &operator, b"").await.unwrap();
        page.json()["records"][0]["failure_code"] == "pickup_card"
    })
    .await;
    let page = gateway.get("/v1/payments/pi_1", &gateway.bearer(&["pi_1"])).await.text();
    assert!(!page.contains("pickup"), "{page}");
}
