//! Payments of which each event of the provider states a part: what the events mean together.

use crate::{
    payment::{Event, State, Status, Subject, Time, Trust},
    source::{
        mapping::{EventSummary, Terms},
        payload::{OptionValues, RequestParts},
        preset::built_in,
    },
};
use http::HeaderMap;
use serde_json::{Value, json};

/// Returns the state of the payment after all payloads.
fn state(preset: &str, payloads: &[Value]) -> State {
    let mapping = built_in(preset).unwrap().unwrap().mapping;
    let parts = RequestParts { headers: &HeaderMap::new(), query: "", options: &OptionValues::new() };
    let events = payloads.iter().zip(0..).map(|(payload, number)| {
        let read = mapping.read(&Terms::default(), Time::LAST, parts, payload, &mut EventSummary::default());
        let said = read.unwrap().unwrap();
        Event {
            id: format!("evt_{number}").into(),
            source: "acme".into(),
            provider: preset.into(),
            kind: "any".into(),
            occurred_at: said.occurred_at,
            received_at: Time::from_unix_s(1_800_000_000).unwrap(),
            subject: Subject::payment("shop".parse().unwrap(), said.payment.unwrap()),
            live: true,
            trust: Trust::Verified,
            facts: said.facts,
            labels: said.labels.kept,
            parts: said.parts,
            binding: None,
        }
    });
    State::fold(&events.collect::<Vec<_>>())
}

fn paypal(kind: &str, id: &str, value: &str) -> Value {
    let related = json!({ "related_ids": { "order_id": "5O190127TN364715T", "capture_id": id } });
    let amount = json!({ "value": value, "currency_code": "USD" });
    let resource = json!({ "id": id, "amount": amount, "supplementary_data": related });
    json!({ "id": "WH-1", "event_type": kind, "create_time": "2026-10-23T17:23:52Z", "resource": resource })
}

#[test]
fn a_paypal_order_captured_in_parts_is_not_refunded_with_its_last_part() {
    let mut payloads = vec![
        paypal("PAYMENT.CAPTURE.COMPLETED", "27M47624FP291604U", "30.00"),
        paypal("PAYMENT.CAPTURE.COMPLETED", "3C679366HH908993F", "27.00"),
        paypal("PAYMENT.CAPTURE.REFUNDED", "1JU08902781691411", "27.00"),
    ];
    let two = state("paypal", &payloads);
    assert_eq!((two.captured(), two.refunded(), two.status()), (5700, 2700, Status::PartiallyRefunded));
    payloads.push(paypal("PAYMENT.CAPTURE.REFUNDED", "2KV08902781691422", "30.00"));
    assert_eq!(state("paypal", &payloads).status(), Status::Refunded);
}

fn transaction(kind: &str, id: u64, amount: &str) -> Value {
    json!({ "id": id, "order_id": 820_982_911, "kind": kind, "status": "success", "amount": amount, "currency": "USD",
        "test": false, "created_at": "2026-10-23T17:23:52Z" })
}

#[test]
fn a_shopify_order_paid_by_two_means_is_not_refunded_with_one_of_them() {
    let refund = transaction("refund", 3, "30.00");
    let mut payloads = vec![transaction("sale", 1, "10.00"), transaction("sale", 2, "30.00"), refund.clone()];
    let paid = state("shopify", &payloads);
    assert_eq!((paid.captured(), paid.refunded(), paid.status()), (4000, 3000, Status::PartiallyRefunded));
    // The refund and the order after it state the same transaction again.
    payloads.push(json!({ "id": 9, "order_id": 820_982_911, "created_at": "2026-10-23T17:23:52Z", "transactions": [refund] }));
    payloads.push(json!({ "id": 820_982_911, "financial_status": "partially_refunded", "currency": "USD", "total_price": "40.00",
        "test": false, "updated_at": "2026-10-23T17:23:53Z", "refunds": [{ "id": 9, "transactions": [refund] }] }));
    assert_eq!(state("shopify", &payloads).refunded(), 3000);
}

#[test]
fn a_shopify_dispute_ends_though_all_its_states_have_one_time() {
    let dispute = |status: &str| {
        json!({ "id": 7, "order_id": 820_982_911, "type": "chargeback", "status": status, "amount": "11.50", "currency": "CAD",
            "initiated_at": "2026-10-23T17:23:52Z" })
    };
    for (last, status) in [("won", Status::Captured), ("lost", Status::ChargedBack)] {
        let payloads = [
            transaction("sale", 1, "11.50"),
            dispute("needs_response"),
            dispute("under_review"),
            dispute(last),
        ];
        let said = state("shopify", &payloads);
        assert_eq!(said.status(), status, "{last}");
    }
}
