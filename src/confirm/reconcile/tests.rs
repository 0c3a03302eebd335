use super::{super::event, *};
use crate::{
    payment::{DisputeState, Money, PartState, Reported, Time, Trust},
    source::{ApiSettings, Source, SourceSettings},
    store::Entry,
};
use serde_json::json;
use std::sync::Arc;

fn payment() -> Name {
    "PM0123ABCD".parse().unwrap()
}

fn gocardless() -> Source {
    let (realm, secret) = ("shop".parse().unwrap(), "8f3b1c2d9a7e55aa".into());
    let api = Some(ApiSettings { client_id: None, key: "live_dHar4XY7LxsDOtmnkVtjNVWX".into(), url: None });
    let settings = SourceSettings::new("gocardless", "gocardless", realm, secret);
    Source::build(SourceSettings { api, ..settings }).unwrap()
}

/// The event that GoCardless' answer about a payment of 10.00 GBP becomes.
fn answer(status: &str, refunded: i64) -> Event {
    let source = gocardless();
    let body = json!({ "payments": {
        "id": payment(), "status": status, "amount": 1000, "amount_refunded": refunded, "currency": "GBP"
    }});
    let answer = source.api().unwrap().read(&payment(), body.to_string().as_bytes(), Time::LAST, 64).unwrap();
    let asked = Time::from_unix_s(9000).unwrap();
    event::following(None, &source, &payment(), answer, (asked, asked))
}

/// A webhook's event with these facts, that occurred at this second.
fn webhook(second: i64, facts: Vec<Fact>) -> Event {
    let at = Time::from_unix_s(second).unwrap();
    Event {
        id: format!("EV{second}").into(),
        trust: Trust::Verified,
        occurred_at: Some(at),
        facts,
        ..answer("confirmed", 0)
    }
}

fn log(events: Vec<Event>) -> Log {
    let entry = |event| Entry { tag: crate::payment::Tag::from_random(1), event: Arc::new(event) };
    Log { entries: events.into_iter().map(entry).collect() }
}

fn reconciled(known: Vec<Event>, answer: Event) -> (Vec<&'static str>, Status) {
    let lookup = Lookup { log: log(known), event: answer, appended: None };
    let reconciled = compared("gocardless", &payment(), &lookup);
    assert_eq!(reconciled.same, reconciled.differences.is_empty());
    (reconciled.differences, reconciled.provider.status)
}

fn captured() -> Fact {
    Fact::phase(Phase::Captured, Some(Money { amount: 1000, currency: "GBP".parse().unwrap() }))
}

fn dispute(state: DisputeState) -> Fact {
    Fact::Dispute(Reported { id: "PM0123ABCD".into(), amount: 0, currency: None, state })
}

fn capture(amount: i64) -> Fact {
    Fact::Capture(Reported {
        id: "part".into(),
        amount,
        currency: "GBP".parse().ok(),
        state: PartState::Succeeded,
    })
}

#[test]
fn a_field_that_an_answer_leaves_out_is_no_difference() {
    let paid = || webhook(1, vec![captured()]);
    let lost = || webhook(2, vec![dispute(DisputeState::Lost)]);
    for (known, answer, expected) in [
        // The log knows the dispute from its own events; the answer's status says the same.
        (vec![paid(), lost()], answer("charged_back", 0), (vec![], Status::ChargedBack)),
        (vec![paid(), lost()], answer("failed", 0), (vec![], Status::ChargedBack)),
        (
            vec![paid(), lost(), webhook(3, vec![dispute(DisputeState::Won)])],
            answer("paid_out", 0),
            (vec![], Status::Captured),
        ),
        (vec![webhook(1, vec![captured(), capture(700)])], answer("paid_out", 0), (vec![], Status::Captured)),
        // A field that the answer states is compared.
        (vec![paid()], answer("paid_out", 1000), (vec!["status", "refunded"], Status::Refunded)),
        (vec![paid(), lost()], answer("paid_out", 1000), (vec!["refunded"], Status::ChargedBack)),
        (vec![paid()], answer("submitted", 0), (vec!["status", "captured"], Status::Processing)),
        (
            vec![webhook(1, vec![captured(), capture(700)])],
            answer("submitted", 0),
            (vec!["status", "captured"], Status::Processing),
        ),
        (vec![], answer("paid_out", 0), (vec!["status", "amount", "currency", "captured"], Status::Captured)),
    ] {
        assert_eq!(reconciled(known, answer), expected);
    }
}
