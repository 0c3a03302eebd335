mod stripe;

use super::*;
use crate::payment::{Money, PartState, Phase::*, Reported};
use crate::source::payload::OptionValues;
use crate::source::preset::{built_in, of_text};
use http::HeaderMap;

fn read(mapping: &Mapping, terms: &Terms, payload: &str) -> Result<Option<MappedEvent>, Unclear> {
    let payload = serde_json::from_str(payload).unwrap();
    let parts = RequestParts { headers: &HeaderMap::new(), query: "", options: &OptionValues::new() };
    mapping.read(terms, Time::LAST, parts, &payload, &mut EventSummary::default())
}

fn phase(phase: Phase, amount: i64) -> Fact {
    money(phase, amount, "EUR")
}

fn money(phase: Phase, amount: i64, currency: &str) -> Fact {
    Fact::phase(phase, Some(Money { amount, currency: currency.parse().unwrap() }))
}

fn total(of: TotalOf, amount: i64) -> Fact {
    Fact::Total { of, amount, currency: "EUR".parse().ok() }
}

/// Returns the payload of one of Stripe's fixtures.
fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/fixtures/stripe");
    std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
}

/// Returns a generic payload in which one text replaces another.
fn generic(from: &str, to: &str) -> String {
    let payload = r#"{"id":"evt_1","event":"payment.confirmed","timestamp":"2026-09-21T14:13:20Z","payment":
        {"id":"pay_1","status":"confirmed","amount":12.34,"currency":"EUR","tx_hash":"0xabc"}}"#;
    assert!(payload.contains(from), "{from}");
    payload.replace(from, to)
}

#[test]
fn generic_events_mean_what_they_say() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    for (event, phase) in
        [("pending", Processing), ("confirmed", Captured), ("expired", Expired), ("failed", Failed)]
    {
        let payload = generic("payment.confirmed", &format!("payment.{event}"));
        let mapped = read(&mapping, &Terms::default(), &payload).unwrap().unwrap();
        assert_eq!(mapped.facts, [money(phase, 1234, "EUR")], "{event}");
        assert_eq!(
            (&*mapped.id, mapped.payment.as_ref().unwrap().as_str(), mapped.live),
            ("evt_1", "pay_1", true)
        );
        assert_eq!(mapped.occurred_at, Time::from_unix_s(1_790_000_000).ok());
    }
    let other = generic("payment.confirmed", "payment.noticed");
    assert_eq!(read(&mapping, &Terms::default(), &other), Ok(None));
    let seconds = read(&mapping, &Terms::default(), &generic(r#""2026-09-21T14:13:20Z""#, "1790000000"));
    assert_eq!(seconds.unwrap().unwrap().occurred_at, Time::from_unix_s(1_790_000_000).ok());
}

#[test]
fn an_event_does_not_happen_after_it_was_received() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let received_at = Time::from_unix_s(1_790_000_000).unwrap();
    let at = |terms: &Terms, time: &str| {
        let payload = serde_json::from_str(&generic(r#""2026-09-21T14:13:20Z""#, time)).unwrap();
        let parts = RequestParts { headers: &HeaderMap::new(), query: "", options: &OptionValues::new() };
        let read = mapping.read(terms, received_at, parts, &payload, &mut EventSummary::default());
        read.map(|mapped| mapped.unwrap().occurred_at.unwrap())
    };
    let future = || unclear("future_time", "/timestamp");
    let patient = Terms { max_future: Some(Duration::from_secs(3600)), ..Terms::default() };
    for (time, by_default, by_patient) in [
        ("0", Ok(0), Ok(0)),
        ("1790000300", Ok(1_790_000_300), Ok(1_790_000_300)),
        ("1790000301", future(), Ok(1_790_000_301)),
        ("1790003600", future(), Ok(1_790_003_600)),
        ("1790003601", future(), future()),
        ("9999999999", future(), future()),
        (r#""2286-11-20T17:46:39Z""#, future(), future()),
        (r#""9998-12-31T23:59:59.999Z""#, future(), future()),
    ] {
        let expected = |read: Result<i64, Unclear>| read.map(|s| Time::from_unix_s(s).unwrap());
        assert_eq!(at(&Terms::default(), time), expected(by_default), "{time}");
        assert_eq!(at(&patient, time), expected(by_patient), "{time}");
    }
}

#[test]
fn a_captured_amount_of_a_wrong_type_or_without_a_currency_is_quarantined() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let text = fixture("payment_intent.succeeded");
    let amount = r#""amount_received": 10000"#;
    assert!(text.contains(amount));
    let at = "/data/object/amount_received";
    for wrong in [r#"{"value": 10000}"#, "[10000]", "true", r#""ten""#, r#""""#] {
        let text = text.replace(amount, &format!(r#""amount_received": {wrong}"#));
        assert_eq!(read(&stripe, &Terms::default(), &text), unclear("bad_amount", at), "{wrong}");
    }
    for wrong in ["null", r#""""#, r#""gold""#, "7", "{}"] {
        let text = text.replace(r#""currency": "eur""#, &format!(r#""currency": {wrong}"#));
        assert_eq!(read(&stripe, &Terms::default(), &text), unclear("missing_currency", at), "{wrong}");
    }
    // The object that should hold the amount is not an object.
    let adyen = built_in("adyen").unwrap().unwrap().mapping;
    let capture = |amount: &str| {
        format!(
            r#"{{"id":"e_1","eventCode":"CAPTURE","success":"true","live":"false","pspReference":"P1",
                "eventDate":"2026-11-30T10:00:00+01:00","amount":{amount}}}"#
        )
    };
    for (amount, why) in
        [("500", "bad_amount"), (r#"{"value":500}"#, "missing_currency"), ("{}", "missing_amount")]
    {
        assert_eq!(
            read(&adyen, &Terms::default(), &capture(amount)),
            unclear(why, "/amount/value"),
            "{amount}"
        );
    }
    assert!(read(&adyen, &Terms::default(), &capture(r#"{"value":500,"currency":"EUR"}"#)).is_ok());
}

#[test]
fn an_amount_of_what_was_not_captured_may_lack_a_currency() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let text = fixture("payment_intent.processing").replace(r#""currency": "eur""#, r#""currency": null"#);
    let facts = read(&stripe, &Terms::default(), &text).unwrap().unwrap().facts;
    assert_eq!(facts, [Fact::phase(Processing, None)]);
}

#[test]
fn i8_an_amount_that_equals_a_card_number_is_quarantined() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    for amount in ["4242424242424242", "\"4242424242424242.00\"", "4.242424242424242e15", "42424242424242.42"]
    {
        let result = read(&mapping, &Terms::default(), &generic("12.34", amount));
        assert_eq!(result, unclear("pan_like_amount", "/payment/amount"), "{amount}");
    }
    // The amount is a third of an ether, in wei.
    let ether = Terms { currency: "ETH/18".parse().ok(), ..Terms::default() };
    let payload = generic("12.34", "0.4222222222222").replace("EUR", "ETH");
    assert!(read(&mapping, &ether, &payload).is_ok());
}

#[test]
fn i8_a_digest_stands_for_a_signed_event_id_that_holds_a_card_number() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let id = |id: &str| read(&mapping, &Terms::default(), &generic("evt_1", id)).unwrap().unwrap().id;
    for held in ["4242424242424242", "evt-4242-4242-4242-4242", "42424242424242421226"] {
        let digest = id(held);
        assert!(digest.starts_with("sha256:"), "{digest}");
        assert_eq!(digest, id("4000056655665556"), "it is a digest of the event and not of the id");
    }
    assert_eq!(&*id("evt_1736846575470"), "evt_1736846575470");
}

#[test]
fn an_id_of_milliseconds_is_no_card_number() {
    // The number has a valid check digit, as one in ten has.
    const ID: &str = "order_1736846575470";
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let mapped = read(&mapping, &Terms::default(), &generic("pay_1", ID)).unwrap().unwrap();
    assert_eq!(mapped.payment.unwrap().as_str(), ID);
    let card = generic("pay_1", "order-4242424242424242");
    assert_eq!(read(&mapping, &Terms::default(), &card), unclear("pan_like_id", "/payment/id"));
    // In a token, this name stands for all payments, so nobody could read a payment of that name alone.
    assert_eq!(
        read(&mapping, &Terms::default(), &generic("pay_1", "*")),
        unclear("bad_payment_id", "/payment/id")
    );
    // The shop vouches for its own ids.
    let shared = Terms { shared_ids: true, ..Terms::default() };
    assert_eq!(
        read(&mapping, &shared, &card).unwrap().unwrap().payment.unwrap().as_str(),
        "order-4242424242424242"
    );
}

#[test]
fn money_is_exact_or_left_out_or_refused() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let told = |amount: i64, currency: &str| Ok(Some(Money { amount, currency: currency.parse().unwrap() }));
    for (from, to, default, expected) in [
        ("12.34", "0.29", None, told(29, "EUR")),
        ("12.34", "\"72.00\"", None, told(7200, "EUR")),
        ("12.34", "1e2", None, told(10_000, "EUR")),
        ("\"EUR\"", "\"kwd\"", None, told(12_340, "KWD")),
        (",\"currency\":\"EUR\"", "", None, Err("missing_currency")),
        (",\"currency\":\"EUR\"", "", Some("USD"), told(1234, "USD")),
        ("\"EUR\"", "null", Some("USD"), told(1234, "USD")),
        ("\"EUR\"", "\"USDT\"", None, Err("missing_currency")),
        ("\"EUR\"", "\"usdt\"", Some("USDT/6"), told(12_340_000, "USDT/6")),
        ("\"EUR\"", "\"DOGE\"", Some("USDT/6"), Err("missing_currency")),
        ("\"amount\":12.34,", "", None, Ok(None)),
        ("12.34", "12.345", None, Err("bad_amount")),
        ("12.34", "-1", None, Err("bad_amount")),
        ("12.34", "\"a lot\"", None, Err("bad_amount")),
        ("12.34", "1e99", None, Err("bad_amount")),
        ("12.34", "{\"value\":12.34}", None, Err("bad_amount")),
        ("12.34", "[12.34]", None, Err("bad_amount")),
        ("12.34", "true", None, Err("bad_amount")),
        ("12.34", "null", None, Ok(None)),
    ] {
        let terms = Terms { currency: default.map(|code: &str| code.parse().unwrap()), ..Terms::default() };
        let result =
            read(&mapping, &terms, &generic(from, to)).map(|mapped| match &mapped.unwrap().facts[..] {
                [Fact::Phase { money, .. }] => *money,
                other => panic!("{other:?}"),
            });
        assert_eq!(result.map_err(|unclear| unclear.code), expected, "{to} with {default:?}");
    }
}

#[test]
fn what_is_not_understood_is_told_by_reason_and_place() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let long = format!("\"{}\"", "x".repeat(129));
    for (from, to, code, at) in [
        ("\"event\"", "\"evnt\"", "missing_type", "/event"),
        ("\"pay_1\"", "null", "missing_payment", "/payment/id"),
        ("\"pay_1\"", "[]", "missing_payment", "/payment/id"),
        ("\"pay_1\"", "\"\"", "bad_payment_id", "/payment/id"),
        ("\"pay_1\"", r#""pay 1""#, "bad_payment_id", "/payment/id"),
        ("\"pay_1\"", r#""pay\r\ndata: 1""#, "bad_payment_id", "/payment/id"),
        ("\"pay_1\"", &long, "bad_payment_id", "/payment/id"),
        ("\"pay_1\"", "\"4242 4242-4242 4242\"", "pan_like_id", "/payment/id"),
        ("\"pay_1\"", "4242424242424242", "pan_like_id", "/payment/id"),
        ("\"evt_1\"", r#""evt\u0000""#, "bad_event_id", "event.id"),
        ("\"evt_1\"", &long, "bad_event_id", "event.id"),
        ("\"2026-09-21T14:13:20Z\"", "\"soon\"", "bad_time", "/timestamp"),
        ("\"2026-09-21T14:13:20Z\"", "{}", "bad_time", "/timestamp"),
    ] {
        assert_eq!(read(&mapping, &Terms::default(), &generic(from, to)), unclear(code, at), "{to}");
    }
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    for (name, from, to, code) in [
        ("refund.created.pending", "re_3PqJt2KZvKYlo2C1", "4242424242424242", "pan_like_id"),
        ("refund.created.pending", "\"status\": \"pending\"", "\"status\": \"lost\"", "unknown_state"),
        ("refund.created.pending", "\"amount\": 2500", "\"amount\": null", "missing_amount"),
        ("refund.created.pending", "\"amount\": 2500", "\"amount\": 25.5", "bad_amount"),
        ("refund.created.pending", "\"id\": \"re_3PqJt2KZvKYlo2C1\"", "\"id\": \"\"", "bad_part_id"),
        ("payment_intent.created", "\"livemode\": false", "\"livemode\": \"maybe\"", "bad_live_mode"),
    ] {
        let text = fixture(name);
        assert!(text.contains(from), "{name}: {from}");
        assert_eq!(read(&stripe, &Terms::default(), &text.replace(from, to)).unwrap_err().code, code, "{to}");
    }
}

/// The numbers are those that card networks publish for tests.
#[test]
fn i8_a_number_that_a_provider_counts_up_is_no_card_s_and_any_other_may_be() {
    let shopify = built_in("shopify").unwrap().unwrap().mapping;
    let order = r#"{"id":4222222222222,"financial_status":"paid","total_price":"10.00","currency":"EUR","note":"4222222222222"}"#;
    let refund = r#"{"id":4222222222222,"order_id":6011000990139424,"kind":"refund","status":"success","amount":"5.00",
        "currency":"EUR","receipt":"4222222222222"}"#;
    let paid = read(&shopify, &Terms::default(), order).unwrap().unwrap();
    assert_eq!(paid.payment.unwrap().as_str(), "4222222222222");
    let said = read(&shopify, &Terms::default(), refund).unwrap().unwrap();
    let told = Reported {
        id: "4222222222222".into(),
        amount: 500,
        currency: "EUR".parse().ok(),
        state: PartState::Succeeded,
    };
    assert_eq!((said.payment.unwrap().as_str(), said.facts), ("6011000990139424", vec![Fact::Refund(told)]));
    // In a place that a source chose for the shop's own number, anyone may have written a card number.
    for (payload, at) in [(order, "/note"), (refund, "/receipt")] {
        let terms = Terms { payment: Some(vec![at.parse().unwrap()]), ..Terms::default() };
        assert_eq!(read(&shopify, &terms, payload), unclear("pan_like_id", at));
    }
    let terms = Terms { payment: Some(vec!["/id".parse().unwrap()]), ..Terms::default() };
    assert!(read(&shopify, &terms, order).is_ok(), "it is the provider's wherever it was asked for");
}

#[test]
fn an_absent_id_is_stood_for_by_what_the_event_says() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let id = |from: &str, to: &str| {
        let payload = generic(r#""id":"evt_1","#, "").replace(from, to);
        read(&mapping, &Terms::default(), &payload).unwrap().unwrap().id
    };
    let first = id("", "");
    assert!(first.starts_with("sha256:"), "{first}");
    assert_eq!(first, id("0xabc", "0xdef"), "what is not kept does not count");
    assert_eq!(first, id("12.34", "\"12.340\""), "nor does the spelling of a number");
    assert_ne!(first, id("12.34", "12.35"));
    assert_ne!(first, id("14:13:20Z", "14:13:21Z"));
}

#[test]
fn a_user_s_preset_reads_parts_totals_and_several_facts() {
    let text = r#"
        name = "acme"
        extends = "standard-webhooks"
        [event]
        payment = ["/data/order"]
        amounts = "major"
        [[map]]
        type = ["capture.*.done", "capture.done"]
        facts = [
            { fact = "capture", is = "succeeded", id = "/data/id", amount = "/data/amount", currency = "/data/currency" },
            { fact = "total", is = "captured", amount = "/data/sum", currency = "/data/currency" },
        ]
        [[map]]
        type = ["*"]
        when = { "/data/state" = ["a", "b"] }
        facts = [{ fact = "phase", at = "/data/state", words = { a = "authorized", b = "canceled" } }]
    "#;
    let mapping = of_text(text).unwrap().mapping;
    let read = |payload: &str| read(&mapping, &Terms::default(), payload);
    let capture = r#"{"type":"capture.card.done","data":{"order":7,"id":"c_1","amount":"5","sum":7.5,"currency":"EUR"}}"#;
    let captured =
        Reported { id: "c_1".into(), amount: 500, currency: "EUR".parse().ok(), state: PartState::Succeeded };
    let mapped = read(capture).unwrap().unwrap();
    assert_eq!(mapped.payment.unwrap().as_str(), "7");
    assert_eq!(mapped.facts, [Fact::Capture(captured), total(TotalOf::Captured, 750)]);
    assert_eq!(read(&capture.replace("\"EUR\"", "null")), unclear("missing_currency", "/data/amount"));
    let state = |state: &str| read(&format!(r#"{{"type":"x","data":{{"order":7,"state":"{state}"}}}}"#));
    assert_eq!(state("b").unwrap().unwrap().facts, [Fact::phase(Canceled, None)]);
    assert_eq!(state("c"), Ok(None));
}
