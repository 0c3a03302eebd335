//! Hostile payloads, ids and headers, of those who hold a secret and of those who do not.

use super::{has_reason, quarantine, source, with_sources};
use crate::support::{
    GENERIC_SECRET, Gateway, ProviderApi, STRIPE_SECRET, Setup, eventually, generic, header, now_s, signed,
    stripe,
};
use load::sign;
use serde_json::{Value, json};
use std::{net::TcpListener, time::Instant};

/// Posts a body that the shop's own system signed, and returns the outcome and its reason.
async fn outcome(gateway: &Gateway, body: &str) -> (String, String) {
    let answer = gateway.post_raw("acme", &signed("acme", body.as_bytes()), body.as_bytes()).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    let told = answer.json();
    let word = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    (word("outcome"), word("reason"))
}

#[tokio::test]
async fn deep_json_is_quarantined_at_any_depth() {
    let gateway = Gateway::start().await;
    for depth in [65, 1_000, 100_000, 500_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let count = depth / open.matches(['[', '{']).count() + 1;
            let nested = format!("{}1{}", open.repeat(count), close.repeat(count));
            if nested.len() > 1_000_000 {
                continue;
            }
            let inside = format!(r#"{{"id":"e1","event":"payment.pending","payment":{nested}}}"#);
            for body in [&nested, &inside, &open.repeat(count)] {
                let quarantined = ("quarantined".to_owned(), "too_deep".to_owned());
                assert_eq!(outcome(&gateway, body).await, quarantined, "{depth} {open}");
            }
        }
    }
}

#[tokio::test]
async fn xml_entities_are_neither_expanded_nor_fetched() {
    let gateway = Gateway::with(with_sources([source("wpg", "worldpay-wpg")])).await;
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let address = trap.local_addr().unwrap();
    let laughs: String = (1..10)
        .map(|number| format!("<!ENTITY l{number} \"{}\">", format!("&l{};", number - 1).repeat(10)))
        .collect();
    let order = |code: &str| {
        format!(
            "<paymentService><notify><orderStatusEvent orderCode=\"{code}\"><payment><lastEvent>AUTHORISED</lastEvent>\
             </payment></orderStatusEvent></notify></paymentService>"
        )
    };
    for (dtd, reason) in [
        (format!("<!DOCTYPE a [<!ENTITY l0 \"ha\">{laughs}]>"), "not_xml"),
        ("<!DOCTYPE a [<!ENTITY l9 SYSTEM \"file:///etc/passwd\">]>".to_owned(), "not_xml"),
        (format!("<!DOCTYPE a [<!ENTITY l9 SYSTEM \"http://{address}/e\">]>"), "not_xml"),
        (format!("<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://{address}/p\"> %p;]>"), "not_xml"),
        (format!("<!DOCTYPE a PUBLIC \"x\" \"http://{address}/d\" [<!ENTITY l9 \"x\">]>"), "not_xml"),
        // A document type that is only named is allowed, and not fetched; then nothing declares the entity.
        (format!("<!DOCTYPE a SYSTEM \"http://{address}/d\">"), "not_xml"),
    ] {
        let body = format!("{dtd}{}", order("&l9;"));
        let answer = gateway.post_raw(&format!("wpg?token={GENERIC_SECRET}"), &[], body.as_bytes()).await;
        assert_eq!(answer.head.status, 200);
        assert!(has_reason(&quarantine(&gateway, "wpg").await[0], reason), "{body}");
    }
    let body = format!("<!DOCTYPE a SYSTEM \"http://{address}/d\">{}", order("order-1"));
    gateway.post_raw(&format!("wpg?token={GENERIC_SECRET}"), &[], body.as_bytes()).await;
    assert_eq!(gateway.snapshot("order-1").await["status"], "authorized");
    assert!(trap.accept().is_err(), "something was fetched");
}

/// The id of a payment is a part of the address that the provider is asked at.
#[tokio::test]
async fn a_payment_s_id_chooses_no_address() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(api.setup()).await;
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let address = trap.local_addr().unwrap();
    let ids = [
        format!("http://{address}/x"),
        format!("//{address}/x"),
        format!("@{address}"),
        format!("tr_1@{address}/"),
        "..".to_owned(),
        ".".to_owned(),
        "../../admin".to_owned(),
        "tr_1/../../keys".to_owned(),
        "..%2f..%2fkeys".to_owned(),
        "tr_1?embed=all#x".to_owned(),
        "tr_1\\..\\x".to_owned(),
        "tr_1;x=%00".to_owned(),
    ];
    let form = |id: &str| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("id", id).finish()
    };
    for id in &ids {
        let answer = gateway.post_raw(&ProviderApi::webhook(), &[], form(id).as_bytes()).await;
        assert_eq!(answer.head.status, 200, "{id}: {}", answer.text());
    }
    api.set("tr_last", "paid");
    gateway.post_raw(&ProviderApi::webhook(), &[], form("tr_last").as_bytes()).await;
    eventually("the last one is confirmed", async || {
        gateway.snapshot("tr_last").await["status"] == "captured"
    })
    .await;
    for asked in api.asked() {
        assert!(
            !asked.contains(['/', '?', '#', '\\', '@']) && ![".", "..", ""].contains(&&*asked),
            "{asked}"
        );
    }
    assert!(trap.accept().is_err(), "something was asked elsewhere");
    eventually("those that are steps in a path are given up", async || {
        let records = quarantine(&gateway, "mollie").await;
        records.iter().filter(|record| has_reason(record, "bad_payment_id")).count() >= 2
    })
    .await;
}

#[tokio::test]
async fn nobody_writes_lines_into_the_log() {
    for format in ["text", "json"] {
        let setup = Setup { log: format!("format = \"{format}\""), ..Setup::default() };
        let gateway = Gateway::with(setup).await;
        let evils = [
            "\nFORGED",
            "\r\nFORGED",
            "\u{1b}[2J\u{1b}[31mFORGED",
            "\u{2028}FORGED",
            "\u{85}FORGED",
            "\u{202e}FORGED",
            "\u{0}FORGED",
            "\u{7f}FORGED\u{8}",
            "\u{9b}31mFORGED",
            "\",\"level\":\"FORGED",
        ];
        for evil in evils {
            let mut payloads = vec![generic(&format!("e{evil}"), "pending", "pay_1", now_s())];
            payloads.push(generic("e1", &format!("pending{evil}"), "pay_1", now_s()));
            payloads.push(generic("e1", "pending", &format!("pay{evil}"), now_s()));
            let mut amount = generic("e2", "pending", "pay_1", now_s());
            amount["payment"]["amount"] = json!(evil);
            payloads.push(amount);
            for payload in &payloads {
                gateway.accept(payload).await;
            }
            let body = b"{}";
            let coded: String = form_urlencoded::byte_serialize(evil.as_bytes()).collect();
            for name in [format!("acme{coded}"), format!("acme?x={coded}"), coded] {
                gateway.post_raw(&name, &[header("x-signature", "x\u{1b}[31mFORGED")], body).await;
            }
        }
        let log = gateway.log();
        let is_plain = |letter: char| {
            letter == '\n' || !letter.is_control() && !"\u{2028}\u{2029}\u{202e}".contains(letter)
        };
        assert!(log.chars().all(is_plain), "{format}: {log:?}");
        for line in log.lines() {
            match format {
                "json" => {
                    let line: Value =
                        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                    assert_ne!(line["level"], "FORGED");
                }
                // Each line begins with its time.
                _ => assert!(line.starts_with("20"), "{line}"),
            }
        }
    }
}

#[tokio::test]
async fn a_delivery_is_good_for_its_own_source_alone() {
    let gateway = Gateway::with(with_sources([source("twin", "generic-timestamped")])).await;
    let body = generic("e1", "confirmed", "pay_1", now_s()).to_string().into_bytes();
    let stripe_body = stripe("evt_1", "payment_intent.succeeded", "pi_1", now_s()).to_string().into_bytes();
    let timed = sign::stripe(STRIPE_SECRET, now_s(), &stripe_body);
    for (source, headers, body) in [
        ("other", signed("acme", &body), &body),
        ("stripe", signed("acme", &body), &body),
        ("twin", signed("acme", &body), &body),
        ("acme", timed.clone(), &stripe_body),
        ("other", timed.clone(), &stripe_body),
    ] {
        assert_eq!(gateway.post_raw(source, &headers, body).await.head.status, 401, "{source}");
    }
    // And again: a replay is a duplicate, and one of an old time is refused.
    for expected in ["accepted", "duplicate", "duplicate"] {
        assert_eq!(gateway.post_raw("stripe", &timed, &stripe_body).await.json()["outcome"], expected);
    }
    let old = sign::stripe(STRIPE_SECRET, now_s() - 301, &stripe_body);
    assert_eq!(gateway.post_raw("stripe", &old, &stripe_body).await.head.status, 401);
}

/// Each signature that is looked at may cost a MAC of the body.
#[tokio::test]
async fn many_signatures_are_not_all_looked_at() {
    let gateway = Gateway::start().await;
    let body = generic("e1", "pending", "pay_1", now_s()).to_string().into_bytes();
    let right = signed("acme", &body)[1].clone();
    let wrong = header("x-signature", &"0".repeat(64));
    for (before, status) in [(0, 200), (3, 200), (4, 401), (40, 401)] {
        let mut headers = vec![wrong.clone(); before];
        headers.push(right.clone());
        assert_eq!(gateway.post_raw("acme", &headers, &body).await.head.status, status, "{before}");
    }
    let body = stripe("evt_1", "payment_intent.created", "pi_1", now_s()).to_string().into_bytes();
    let line = sign::stripe(STRIPE_SECRET, now_s(), &body).pop().unwrap().1;
    let (time, right) = line.split_once(',').unwrap();
    for (line, status) in [
        (format!("{time},t=1,{right}"), 401),
        (format!("{time},{}{right}", format!("v1={},", "0".repeat(64)).repeat(200)), 401),
        (format!("{time},{right}"), 200),
    ] {
        let answer = gateway.post_raw("stripe", &[header("stripe-signature", &line)], &body).await;
        assert_eq!(answer.head.status, status, "{line}");
    }
}

/// The last of several members of one name counts, as in the JSON libraries of the providers. What else is there counts nowhere.
#[tokio::test]
async fn a_repeated_key_has_one_meaning() {
    let gateway = Gateway::start().await;
    let body = format!(
        r#"{{"id":"a","id":"b","event":"payment.failed","event":"payment.confirmed","timestamp":{0},"timestamp":{0},
            "payment":{{"id":"pay_a","amount":"1.00","currency":"USD"}},
            "payment":{{"id":"pay_a","id":"pay_b","amount":"2.00","amount":"3.00","currency":"EUR"}}}}"#,
        now_s()
    );
    assert_eq!(outcome(&gateway, &body).await.0, "accepted");
    assert_eq!(outcome(&gateway, &body).await.0, "duplicate");
    assert_eq!(gateway.snapshot("pay_a").await["seq"], 0);
    let snapshot = gateway.snapshot("pay_b").await;
    assert_eq!((&snapshot["status"], &snapshot["captured"]), (&json!("captured"), &json!(300)));
}

#[tokio::test]
async fn no_set_of_keys_makes_a_payload_slow() {
    let gateway = Gateway::with(with_sources([source("hook", "mollie-classic")])).await;
    let began = Instant::now();
    // All keys in one object that is read, in ascending, descending and colliding order.
    for key in
        [|n: u32| format!("{n:08}"), |n| format!("{:08}", u32::MAX - n), |n| format!("{}{n}", "a".repeat(4))]
    {
        let members: String = (0..60_000).map(|number| format!("\"{}\":1,", key(number))).collect();
        let body = format!(
            r#"{{"event":"payment.pending","payment":{{{members}"id":"pay_1","amount":"1.00","currency":"EUR"}}}}"#
        );
        assert!(["accepted", "duplicate"].contains(&&*outcome(&gateway, &body).await.0));
        let form: String = (0..60_000).map(|number| format!("{}=1&", key(number))).collect();
        let form = format!("{form}id=tr_1");
        let answer = gateway.post_raw(&format!("hook?token={GENERIC_SECRET}"), &[], form.as_bytes()).await;
        assert_eq!(answer.head.status, 200, "{}", answer.text());
    }
    assert!(began.elapsed() < crate::support::PATIENCE / 2, "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_flood_of_bad_signatures_is_429_and_leaves_honest_deliveries_alone() {
    let gateway = Gateway::with(Setup::limits("failed_signatures_per_second = 20")).await;
    let flood = async {
        let mut statuses = Vec::new();
        for number in 0..300 {
            let body = generic(&format!("x{number}"), "failed", "pay_1", now_s()).to_string().into_bytes();
            let headers = [header("x-signature", &"0".repeat(64))];
            statuses.push(gateway.post_raw("acme", &headers, &body).await.head.status);
        }
        statuses
    };
    let honest = async {
        for number in 0..50 {
            gateway.accept(&generic(&format!("e{number}"), "pending", "pay_1", now_s())).await;
        }
    };
    let (statuses, ()) = tokio::join!(flood, honest);
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let snapshot = gateway.snapshot("pay_1").await;
    assert_eq!((&snapshot["status"], &snapshot["seq"]), (&json!("processing"), &json!(50)));
    assert_eq!(quarantine(&gateway, "acme").await, Vec::<Value>::new());
    let lines = gateway.log().matches("bad_signature").count();
    assert!(lines < 300, "{lines} lines of the log");
}
