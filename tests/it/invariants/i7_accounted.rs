//! I7: every event ends in one outcome, visible in metrics and log.

use crate::support::{Gateway, generic, signed, stripe};

#[tokio::test]
async fn i7_the_outcomes_add_up_to_the_deliveries() {
    let gateway = Gateway::start().await;
    let (told, other) =
        (generic("e1", "pending", "pay_1", 1_700_000_000), generic("e1", "failed", "pay_1", 1_700_000_000));
    let customer = stripe("evt_1", "customer.created", "cus_1", 1_700_000_000);
    let mut deliveries = 0;
    for (source, payload, times) in [
        ("acme", &told, 3),
        ("acme", &other, 2),
        ("acme", &serde_json::json!({ "event": "payment.pending" }), 1),
        ("acme", &serde_json::json!([]), 1),
        ("stripe", &customer, 2),
    ] {
        for _ in 0..times {
            let answer = gateway.post(source, payload).await;
            assert_eq!(answer.head.status / 100, 2, "{payload}: {}", answer.text());
            deliveries += 1;
        }
    }
    let body = told.to_string().into_bytes();
    for _ in 0..2 {
        let mut headers = signed("acme", &body);
        headers[1].1.replace_range(..2, "zz");
        assert_eq!(gateway.post_raw("acme", &headers, &body).await.head.status, 401);
        deliveries += 1;
    }
    for (outcome, expected) in [
        ("accepted", 1),
        ("duplicate", 2),
        ("ignored", 2),
        ("quarantined", 4),
        ("rejected", 2),
        ("deferred", 0),
    ] {
        assert_eq!(gateway.events(&[&format!("outcome=\"{outcome}\"")]).await, expected, "{outcome}");
    }
    assert_eq!(gateway.events(&[]).await, deliveries);
    let log = gateway.log();
    for outcome in ["accepted", "duplicate", "ignored", "quarantined", "rejected"] {
        assert!(log.contains(outcome), "{outcome} is not in the log:\n{log}");
    }
}
