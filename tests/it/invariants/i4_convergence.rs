//! I4: status depends on the set of events, not on their order or repetition.

use crate::support::{Gateway, stripe};
use serde_json::{Value, json};

/// A payment's life: authorised, captured, part of it refunded twice, one of these failed, disputed and won.
fn life(payment: &str) -> Vec<Value> {
    let intent = |n: u64, kind: &str| stripe(&format!("evt_{n}"), kind, payment, 1_700_000_000 + n);
    let about = |n: u64, kind: &str, object: Value| {
        let mut event = intent(n, kind);
        event["data"]["object"] = object;
        event
    };
    let refund = |id: &str, status: &str, amount: u64| {
        json!({ "id": id, "object": "refund", "payment_intent": payment, "charge": "ch_1",
            "amount": amount, "currency": "eur", "status": status })
    };
    let dispute = |status: &str| {
        json!({ "id": "dp_1", "object": "dispute", "payment_intent": payment, "charge": "ch_1",
            "amount": 10_000, "currency": "eur", "status": status })
    };
    vec![
        intent(1, "payment_intent.created"),
        intent(2, "payment_intent.requires_action"),
        intent(3, "payment_intent.payment_failed"),
        intent(4, "payment_intent.amount_capturable_updated"),
        intent(5, "payment_intent.succeeded"),
        about(6, "refund.created", refund("re_1", "succeeded", 3000)),
        about(7, "refund.created", refund("re_2", "pending", 2000)),
        about(8, "refund.failed", refund("re_2", "failed", 2000)),
        about(9, "charge.dispute.created", dispute("needs_response")),
        about(10, "charge.dispute.closed", dispute("won")),
    ]
}

/// What must not depend on the order: all but the payment's name and the timeline.
fn meaning(mut snapshot: Value) -> Value {
    let fields = snapshot.as_object_mut().unwrap();
    fields.remove("payment");
    fields.remove("timeline");
    snapshot
}

#[tokio::test]
async fn i4_every_order_of_arrival_ends_in_the_same_status() {
    let gateway = Gateway::start().await;
    let mut random = crate::support::Random::new(4);
    let mut expected: Option<Value> = None;
    for round in 0..20 {
        let payment = format!("pi_{round}");
        let mut events = life(&payment);
        if round > 0 {
            // Some come twice.
            let again: Vec<_> = events.iter().filter(|_| random.below(3) == 0).cloned().collect();
            events.extend(again);
            random.shuffle(&mut events);
        }
        for event in &events {
            let answer = gateway.post("stripe", event).await;
            assert_eq!(answer.head.status / 100, 2, "{}", answer.text());
        }
        let snapshot = meaning(gateway.snapshot(&payment).await);
        let order: Vec<_> = events.iter().map(|event| &event["id"]).collect();
        assert_eq!(&snapshot, expected.get_or_insert_with(|| snapshot.clone()), "{order:?}");
    }
    let expected = expected.unwrap();
    assert_eq!(expected["seq"], 10);
    assert_eq!(expected["status"], "partially_refunded");
    assert_eq!((&expected["captured"], &expected["refunded"]), (&10_000.into(), &3000.into()));
}

#[tokio::test]
async fn i4_a_follower_ends_with_what_a_newcomer_begins_with() {
    let gateway = Gateway::start().await;
    let mut events = life("pi_1");
    crate::support::Random::new(44).shuffle(&mut events);
    let mut stream = gateway.stream("pi_1").await;
    for event in &events {
        gateway.post("stripe", event).await;
    }
    let updates = crate::support::read_until(&mut stream, 10).await;
    let (last, snapshot) = (updates.last().unwrap(), gateway.snapshot("pi_1").await);
    for field in ["seq", "status", "amount", "currency", "captured", "refunded", "conflict"] {
        assert_eq!(last[field], snapshot[field], "{field}");
    }
}
