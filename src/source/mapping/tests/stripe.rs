//! What the events of Stripe mean, by its preset.

use super::{fixture, money, phase, read, total};
use crate::{
    payment::{
        ActionKind, Currency, DisputeState, Fact, FailureReason, Label, Maker, Money, Name, PartState, Phase,
        Phase::*, Reported, Time, TotalOf,
    },
    source::{
        mapping::{MappedEvent, NamedLabels, Terms},
        payload::{Place, unclear},
        preset::built_in,
    },
};
use serde_json::Value;

const PI: &str = "pi_3PqJt2KZvKYlo2C1";
const CH: &str = "ch_3PqJt2KZvKYlo2C1";
const CS: &str = "cs_test_a1B2c3D4";

fn refund(state: PartState) -> Fact {
    Fact::Refund(Reported {
        id: "re_3PqJt2KZvKYlo2C1".into(),
        amount: 2500,
        currency: "EUR".parse().ok(),
        state,
    })
}

fn dispute(state: DisputeState) -> Fact {
    Fact::Dispute(Reported {
        id: "dp_1PqJt2KZvKYlo2C1".into(),
        amount: 10_000,
        currency: "EUR".parse().ok(),
        state,
    })
}

/// A phase of 100 euros that says why it came to that, or what the customer has to do next.
fn because(failure: impl Into<Option<FailureReason>>, phase: Phase, action: Option<ActionKind>) -> Fact {
    let money = Some(Money { amount: 10_000, currency: "EUR".parse().unwrap() });
    Fact::Phase { phase, money, failure: failure.into(), action }
}

/// Returns every fixture of Stripe, with the payment that it is about and what it states.
fn stripe_events() -> Vec<(&'static str, &'static str, Fact)> {
    use DisputeState::{Lost, Open, UnderReview, Warning, Won};
    let warned = Reported { id: "issfr_1PqJt2KZvKYlo2C1".into(), amount: 0, currency: None, state: Warning };
    vec![
        ("payment_intent.created", PI, phase(Created, 10_000)),
        ("payment_intent.requires_action", PI, because(None, RequiresAction, Some(ActionKind::ThreeDs))),
        ("payment_intent.processing", PI, phase(Processing, 10_000)),
        ("payment_intent.partially_funded", PI, phase(Processing, 10_000)),
        ("payment_intent.amount_capturable_updated", PI, phase(Authorized, 10_000)),
        ("payment_intent.succeeded", PI, phase(Captured, 10_000)),
        ("payment_intent.succeeded.live.jpy", PI, money(Captured, 1200, "JPY")),
        ("payment_intent.payment_failed", PI, because(FailureReason::InsufficientFunds, Failed, None)),
        ("payment_intent.canceled", PI, because(FailureReason::Abandoned, Canceled, None)),
        ("charge.pending", PI, phase(Processing, 10_000)),
        ("charge.succeeded", PI, phase(Captured, 10_000)),
        ("charge.succeeded.uncaptured", PI, phase(Authorized, 10_000)),
        ("charge.succeeded.without_intent", CH, phase(Captured, 10_000)),
        ("charge.succeeded.expanded_intent", PI, phase(Captured, 10_000)),
        ("charge.captured.partial", PI, phase(Captured, 8_000)),
        ("charge.failed", PI, because(FailureReason::Declined, Failed, None)),
        ("charge.expired", PI, phase(Expired, 10_000)),
        ("charge.refunded", PI, total(TotalOf::Refunded, 2500)),
        ("refund.created.pending", PI, refund(PartState::Pending)),
        ("refund.updated.requires_action", PI, refund(PartState::Pending)),
        ("charge.refund.updated.succeeded", PI, refund(PartState::Succeeded)),
        ("refund.failed", PI, refund(PartState::Failed)),
        ("refund.updated.canceled", PI, refund(PartState::Failed)),
        ("refund.created.without_intent", CH, refund(PartState::Succeeded)),
        ("checkout.session.completed.paid", PI, phase(Captured, 10_000)),
        ("checkout.session.completed.unpaid", PI, phase(Processing, 10_000)),
        ("checkout.session.async_payment_succeeded", PI, phase(Captured, 10_000)),
        ("checkout.session.async_payment_failed", PI, phase(Failed, 10_000)),
        ("checkout.session.expired", CS, because(FailureReason::Abandoned, Expired, None)),
        ("charge.dispute.created.needs_response", PI, dispute(Open)),
        ("charge.dispute.created.inquiry", PI, dispute(Warning)),
        ("charge.dispute.updated.under_review", PI, dispute(UnderReview)),
        ("charge.dispute.funds_withdrawn", PI, dispute(Open)),
        ("charge.dispute.funds_reinstated.won", PI, dispute(Won)),
        ("charge.dispute.closed.lost", PI, dispute(Lost)),
        ("charge.dispute.closed.inquiry", PI, dispute(Won)),
        ("radar.early_fraud_warning.created", PI, Fact::Dispute(warned)),
        ("review.opened", PI, Fact::Note),
    ]
}

#[test]
fn stripe_events_mean_what_the_table_says() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let ignored = ["checkout.session.completed.free", "customer.created", "v2.thin"];
    let unclear = [("refund.created.without_payment", "missing_payment")];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/fixtures/stripe");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, stripe_events().len() + ignored.len() + unclear.len(), "a fixture is not in the table");
    for (name, payment, fact) in stripe_events() {
        let text = fixture(name);
        let payload: Value = serde_json::from_str(&text).unwrap();
        let expected = MappedEvent {
            id: payload["id"].as_str().unwrap().into(),
            payment: Some(payment.parse().unwrap()),
            occurred_at: Some(Time::from_unix_s(payload["created"].as_i64().unwrap()).unwrap()),
            live: name.contains("live"),
            facts: if name == "charge.refunded" {
                vec![total(TotalOf::Captured, 10_000), fact]
            } else {
                vec![fact]
            },
            labels: NamedLabels::default(),
            parts: Vec::new(),
        };
        let mapped = read(&stripe, &Terms::default(), &text).map(|mapped| {
            mapped.map(|mapped| MappedEvent { labels: NamedLabels::default(), parts: Vec::new(), ..mapped })
        });
        assert_eq!(mapped, Ok(Some(expected)), "{name}");
    }
    for name in ignored {
        assert_eq!(read(&stripe, &Terms::default(), &fixture(name)), Ok(None), "{name}");
    }
    for (name, code) in unclear {
        assert_eq!(read(&stripe, &Terms::default(), &fixture(name)).unwrap_err().code, code, "{name}");
    }
}

#[test]
fn stripe_s_minor_units_are_not_always_iso_s() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let yen = fixture("payment_intent.succeeded.live.jpy").replace("1200", "500");
    for (told, kept, exponent) in
        [("isk", "ISK/2", 2), ("ugx", "UGX/2", 2), ("mga", "MGA/0", 0), ("jpy", "JPY", 0)]
    {
        let text = yen.replace("\"jpy\"", &format!("\"{told}\""));
        let mapped = read(&stripe, &Terms::default(), &text).unwrap().unwrap();
        assert_eq!(mapped.facts, [money(Captured, 500, kept)]);
        assert_eq!(kept.parse::<Currency>().unwrap().exponent(), exponent);
    }
}

#[test]
fn a_source_may_say_where_its_payment_stands_and_which_mode_it_is_for() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let order =
        Terms { payment: Some(vec!["/data/object/metadata/order_id".parse().unwrap()]), ..Terms::default() };
    let mapped = read(&stripe, &order, &fixture("payment_intent.created")).unwrap().unwrap();
    assert_eq!(mapped.payment.unwrap().as_str(), "order-1042");
    // Stripe's own id of the payment is learned from the one, and leads the other to the order.
    let ids = |parts: &[Name]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(&mapped.parts), ["pi_3PqJt2KZvKYlo2C1"]);
    let refund = read(&stripe, &order, &fixture("refund.created.pending")).unwrap().unwrap();
    assert_eq!((refund.payment, ids(&refund.parts)[0].as_str()), (None, "pi_3PqJt2KZvKYlo2C1"));
    let without = read(&stripe, &order, &fixture("refund.created.without_payment"));
    assert_eq!(without, unclear("missing_payment", "/data/object/metadata/order_id"));

    for (name, live, matches) in [
        ("payment_intent.succeeded", false, true),
        ("payment_intent.succeeded", true, false),
        ("payment_intent.succeeded.live.jpy", true, true),
        ("payment_intent.succeeded.live.jpy", false, false),
    ] {
        let terms = Terms { live: Some(live), ..Terms::default() };
        let result = read(&stripe, &terms, &fixture(name));
        match result {
            Ok(Some(mapped)) => assert!(matches && mapped.live == live, "{name} {live}"),
            other => assert!(!matches && other == unclear("live_mismatch", "/livemode"), "{name} {live}"),
        }
    }
}

#[test]
fn a_refund_tells_what_was_captured_before() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let text = fixture("charge.refunded");
    let facts = |from: &str, to: &str, refunded: &str| {
        let text = text.replace(from, to).replace(r#""amount_refunded": 2500"#, refunded);
        read(&stripe, &Terms::default(), &text).unwrap().unwrap().facts
    };
    let (all, captured) = (r#""amount_refunded": 10000"#, r#""amount_captured": 10000,"#);
    assert!(text.contains(captured) && text.contains(r#""refunded": false"#));
    let full = [total(TotalOf::Captured, 10_000), total(TotalOf::Refunded, 10_000)];
    let told = facts(r#""refunded": false"#, r#""refunded": true"#, all);
    assert_eq!(told.iter().skip(1).cloned().collect::<Vec<_>>(), full);
    // API versions before 2020-08-27 have no `amount_captured`.
    let old = text.replace(captured, "").replace(r#""refunded": false"#, r#""refunded": true"#);
    let old = old.replace(r#""amount_refunded": 2500"#, all);
    assert_eq!(read(&stripe, &Terms::default(), &old).unwrap().unwrap().facts, full);
    assert_eq!(
        facts(captured, "", all),
        [total(TotalOf::Refunded, 10_000)],
        "nothing is proved of the captured amount"
    );
}

/// The labels that a fixture of Stripe names, for a source with these terms, and how many were left out.
fn labels(terms: &Terms, text: &str) -> (Vec<String>, usize) {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let NamedLabels { kept, left_out } = read(&stripe, terms, text).unwrap().unwrap().labels;
    let spelled = |label: Label| match label.maker {
        Maker::Provider => label.id.to_string(),
        Maker::Shop => format!("{} of the shop", label.id),
    };
    (kept.into_iter().map(spelled).collect(), left_out)
}

#[test]
fn stripe_s_own_ids_are_labels_and_what_a_customer_may_write_is_none() {
    for (name, expected) in [
        ("payment_intent.created", &[] as &[&str]),
        ("payment_intent.succeeded", &[CH]),
        ("charge.succeeded", &[CH]),
        ("charge.succeeded.without_intent", &[]),
        ("charge.succeeded.expanded_intent", &[CH]),
        ("charge.refunded", &[CH]),
        ("refund.failed", &[CH]),
        ("charge.dispute.closed.lost", &[CH]),
        ("radar.early_fraud_warning.created", &[CH]),
        ("checkout.session.completed.paid", &[CS]),
        ("checkout.session.completed.unpaid", &[CS]),
        ("checkout.session.expired", &[]),
    ] {
        let (named, left_out) = labels(&Terms::default(), &fixture(name));
        assert_eq!(
            (named.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), left_out),
            (expected, 0),
            "{name}"
        );
    }
    let invoiced = fixture("charge.succeeded")
        .replace("\"payment_intent\":", "\"invoice\": \"in_1\", \"payment_intent\":");
    assert_eq!(labels(&Terms::default(), &invoiced).0, [CH, "in_1"]);
}

#[test]
fn a_source_names_labels_of_its_own_beside_the_preset_s() {
    let pointer = |text: &str| Place::Payload(text.parse().unwrap());
    let terms = Terms {
        labels: vec![pointer("/data/object/metadata/order_id"), pointer("/data/object/metadata/cart")],
        ..Terms::default()
    };
    let with = |order: &str, cart: &str| {
        let mut payload: Value = serde_json::from_str(&fixture("charge.succeeded")).unwrap();
        payload["data"]["object"]["metadata"] = serde_json::json!({ "order_id": order, "cart": cart });
        labels(&terms, &payload.to_string())
    };
    let spelled = |labels: &[&str]| labels.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(with("1042", "c-7"), (spelled(&[CH, "1042 of the shop", "c-7 of the shop"]), 0));
    assert_eq!(with("1042", "1042"), (spelled(&[CH, "1042 of the shop"]), 0), "the same id once");
    assert_eq!(with("1042", PI), (spelled(&[CH, "1042 of the shop"]), 0), "the payment's own id is no label");
    let long = "x".repeat(129);
    for bad in ["*", "a b", "4242424242424242", "zażółć", &long] {
        assert_eq!(with(bad, ""), (spelled(&[CH]), 1), "{bad}: left out, and the event counts all the same");
    }
}
