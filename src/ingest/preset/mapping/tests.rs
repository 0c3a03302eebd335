use super::*;
use crate::ingest::place::Options;
use crate::ingest::preset::{built_in, of_text};
use crate::payment::Phase::*;
use http::HeaderMap;

const PI: &str = "pi_3PqJt2KZvKYlo2C1";
const CH: &str = "ch_3PqJt2KZvKYlo2C1";
const CS: &str = "cs_test_a1B2c3D4";

fn read(mapping: &Mapping, terms: &Terms, payload: &str) -> Result<Option<Statement>, Unclear> {
    let payload = serde_json::from_str(payload).unwrap();
    let around = Around { headers: &HeaderMap::new(), query: "", options: &Options::new() };
    mapping.read(terms, around, &payload, &mut Reading::default())
}

fn phase(phase: Phase, amount: i64) -> Fact {
    money(phase, amount, "EUR")
}

fn money(phase: Phase, amount: i64, currency: &str) -> Fact {
    Fact::Phase { phase, money: Some(Money { amount, currency: currency.parse().unwrap() }) }
}

fn total(of: TotalOf, amount: i64) -> Fact {
    Fact::Total { of, amount, currency: "EUR".parse().ok() }
}

fn refund(state: PartState) -> Fact {
    Fact::Refund(Told { id: "re_3PqJt2KZvKYlo2C1".into(), amount: 2500, currency: "EUR".parse().ok(), state })
}

fn dispute(state: DisputeState) -> Fact {
    Fact::Dispute(Told {
        id: "dp_1PqJt2KZvKYlo2C1".into(),
        amount: 10_000,
        currency: "EUR".parse().ok(),
        state,
    })
}

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ingest/fixtures/stripe");
    std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap()
}

/// Every fixture, with the payment that it is about and what it says of it.
fn stripe_events() -> Vec<(&'static str, &'static str, Fact)> {
    use DisputeState::{Lost, Open, UnderReview, Warning, Won};
    let warned = Told { id: "issfr_1PqJt2KZvKYlo2C1".into(), amount: 0, currency: None, state: Warning };
    vec![
        ("payment_intent.created", PI, phase(Created, 10_000)),
        ("payment_intent.requires_action", PI, phase(RequiresAction, 10_000)),
        ("payment_intent.processing", PI, phase(Processing, 10_000)),
        ("payment_intent.partially_funded", PI, phase(Processing, 10_000)),
        ("payment_intent.amount_capturable_updated", PI, phase(Authorized, 10_000)),
        ("payment_intent.succeeded", PI, phase(Captured, 10_000)),
        ("payment_intent.succeeded.live.jpy", PI, money(Captured, 1200, "JPY")),
        ("payment_intent.payment_failed", PI, phase(Failed, 10_000)),
        ("payment_intent.canceled", PI, phase(Canceled, 10_000)),
        ("charge.pending", PI, phase(Processing, 10_000)),
        ("charge.succeeded", PI, phase(Captured, 10_000)),
        ("charge.succeeded.uncaptured", PI, phase(Authorized, 10_000)),
        ("charge.succeeded.without_intent", CH, phase(Captured, 10_000)),
        ("charge.succeeded.expanded_intent", PI, phase(Captured, 10_000)),
        ("charge.captured.partial", PI, phase(Captured, 8_000)),
        ("charge.failed", PI, phase(Failed, 10_000)),
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
        ("checkout.session.expired", CS, phase(Expired, 10_000)),
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
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ingest/fixtures/stripe");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, stripe_events().len() + ignored.len() + unclear.len(), "a fixture is not in the table");
    for (name, payment, fact) in stripe_events() {
        let text = fixture(name);
        let payload: Value = serde_json::from_str(&text).unwrap();
        let expected = Statement {
            id: payload["id"].as_str().unwrap().into(),
            payment: payment.parse().unwrap(),
            occurred_at: Some(Time::from_unix_s(payload["created"].as_i64().unwrap()).unwrap()),
            live: name.contains("live"),
            facts: if name == "charge.refunded" {
                vec![total(TotalOf::Captured, 10_000), fact]
            } else {
                vec![fact]
            },
        };
        assert_eq!(read(&stripe, &Terms::default(), &text), Ok(Some(expected)), "{name}");
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
        let statement = read(&stripe, &Terms::default(), &text).unwrap().unwrap();
        assert_eq!(statement.facts, [money(Captured, 500, kept)]);
        assert_eq!(kept.parse::<Currency>().unwrap().exponent(), exponent);
    }
}

#[test]
fn a_source_may_say_where_its_payment_stands_and_which_mode_it_is_for() {
    let stripe = built_in("stripe").unwrap().unwrap().mapping;
    let order =
        Terms { payment: Some(vec!["/data/object/metadata/order_id".parse().unwrap()]), ..Terms::default() };
    let statement = read(&stripe, &order, &fixture("payment_intent.created")).unwrap().unwrap();
    assert_eq!(statement.payment.as_str(), "order-1042");
    let without = read(&stripe, &order, &fixture("refund.created.pending"));
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
            Ok(Some(statement)) => assert!(matches && statement.live == live, "{name} {live}"),
            other => assert!(!matches && other == unclear("live_mismatch", "/livemode"), "{name} {live}"),
        }
    }
}

/// A generic payload with something put in place of something else.
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
        let statement = read(&mapping, &Terms::default(), &payload).unwrap().unwrap();
        assert_eq!(statement.facts, [money(phase, 1234, "EUR")], "{event}");
        assert_eq!((&*statement.id, statement.payment.as_str(), statement.live), ("evt_1", "pay_1", true));
        assert_eq!(statement.occurred_at, Time::from_unix_s(1_790_000_000).ok());
    }
    let other = generic("payment.confirmed", "payment.noticed");
    assert_eq!(read(&mapping, &Terms::default(), &other), Ok(None));
    let seconds = read(&mapping, &Terms::default(), &generic(r#""2026-09-21T14:13:20Z""#, "1790000000"));
    assert_eq!(seconds.unwrap().unwrap().occurred_at, Time::from_unix_s(1_790_000_000).ok());
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
    // Where the object that holds the amount is none.
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
    assert_eq!(facts, [Fact::Phase { phase: Processing, money: None }]);
}

#[test]
fn i8_an_amount_that_equals_a_card_number_is_quarantined() {
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    for amount in ["4242424242424242", "\"4242424242424242.00\"", "4.242424242424242e15", "42424242424242.42"]
    {
        let result = read(&mapping, &Terms::default(), &generic("12.34", amount));
        assert_eq!(result, unclear("pan_like_amount", "/payment/amount"), "{amount}");
    }
    // A third of an ether, in wei.
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
    // A valid check digit, as one in ten has.
    const ID: &str = "order_1736846575470";
    let mapping = built_in("generic").unwrap().unwrap().mapping;
    let statement = read(&mapping, &Terms::default(), &generic("pay_1", ID)).unwrap().unwrap();
    assert_eq!(statement.payment.as_str(), ID);
    let card = generic("pay_1", "order-4242424242424242");
    assert_eq!(read(&mapping, &Terms::default(), &card), unclear("pan_like_id", "/payment/id"));
    // It stands for all payments in a token, so nobody could read a payment of that name alone.
    assert_eq!(
        read(&mapping, &Terms::default(), &generic("pay_1", "*")),
        unclear("bad_payment_id", "/payment/id")
    );
    // The shop vouches for ids of its own.
    let shared = Terms { shared_ids: true, ..Terms::default() };
    assert_eq!(read(&mapping, &shared, &card).unwrap().unwrap().payment.as_str(), "order-4242424242424242");
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
    // API versions before 2020-08-27 tell no `amount_captured`.
    let old = text.replace(captured, "").replace(r#""refunded": false"#, r#""refunded": true"#);
    let old = old.replace(r#""amount_refunded": 2500"#, all);
    assert_eq!(read(&stripe, &Terms::default(), &old).unwrap().unwrap().facts, full);
    assert_eq!(
        facts(captured, "", all),
        [total(TotalOf::Refunded, 10_000)],
        "nothing is proved of the captured amount"
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
            read(&mapping, &terms, &generic(from, to)).map(|statement| match &statement.unwrap().facts[..] {
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

/// Numbers that card networks give out for tests.
#[test]
fn i8_a_number_that_a_provider_counts_up_is_no_card_s_and_any_other_may_be() {
    let shopify = built_in("shopify").unwrap().unwrap().mapping;
    let order = r#"{"id":4222222222222,"financial_status":"paid","total_price":"10.00","currency":"EUR","note":"4222222222222"}"#;
    let refund = r#"{"id":4222222222222,"order_id":6011000990139424,"kind":"refund","status":"success","amount":"5.00",
        "currency":"EUR","receipt":"4222222222222"}"#;
    let paid = read(&shopify, &Terms::default(), order).unwrap().unwrap();
    assert_eq!(paid.payment.as_str(), "4222222222222");
    let said = read(&shopify, &Terms::default(), refund).unwrap().unwrap();
    let told = Told {
        id: "4222222222222".into(),
        amount: 500,
        currency: "EUR".parse().ok(),
        state: PartState::Succeeded,
    };
    assert_eq!((said.payment.as_str(), said.facts), ("6011000990139424", vec![Fact::Refund(told)]));
    // Where a source looks for the shop's own number, anyone may have written a card's.
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
        Told { id: "c_1".into(), amount: 500, currency: "EUR".parse().ok(), state: PartState::Succeeded };
    let statement = read(capture).unwrap().unwrap();
    assert_eq!(statement.payment.as_str(), "7");
    assert_eq!(statement.facts, [Fact::Capture(captured), total(TotalOf::Captured, 750)]);
    assert_eq!(read(&capture.replace("\"EUR\"", "null")), unclear("missing_currency", "/data/amount"));
    let state = |state: &str| read(&format!(r#"{{"type":"x","data":{{"order":7,"state":"{state}"}}}}"#));
    assert_eq!(state("b").unwrap().unwrap().facts, [Fact::Phase { phase: Canceled, money: None }]);
    assert_eq!(state("c"), Ok(None));
}

#[test]
fn globs_match_whole_types() {
    for (pattern, text, expected) in [
        ("a.b", "a.b", true),
        ("a.b", "a.bc", false),
        ("a.*", "a.b.c", true),
        ("a.*", "b.a.", false),
        ("*.done", "x.done", true),
        ("*.done", ".done.", false),
        ("a*b*c", "a1b2c", true),
        ("a*b*c", "ac", false),
        ("a*a", "a", false),
        ("*", "", true),
    ] {
        assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
    }
}
