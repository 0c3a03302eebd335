//! What comes in as a webhook: who can make one up, who can fill what is kept, and what can be made to take long or to win for ever.

mod payloads;

use crate::support::{ADMIN_TOKEN, GENERIC_SECRET, Gateway, Setup, Source, generic, header, now_s, signed};
use futures_util::future::join_all;
use hmac::{Hmac, KeyInit as _, Mac as _};
use load::{
    http::{Response, request},
    sign,
};
use serde_json::{Value, json};
use sha1::Sha1;

const BRAINTREE_SECRET: &str = "public1:private-key-5f0c";

/// A setup with further sources.
fn with_sources(sources: impl IntoIterator<Item = Source>) -> Setup {
    let mut setup = Setup::default();
    setup.sources.extend(sources);
    setup
}

fn source(name: &str, provider: &str) -> Source {
    Source::new(name, provider, "default", GENERIC_SECRET)
}

async fn get(gateway: &Gateway, path: &str) -> Response {
    request(gateway.ingest, "GET", path, &[], b"").await.unwrap()
}

/// All records of a source's quarantine, newest first.
async fn quarantine(gateway: &Gateway, source: &str) -> Vec<Value> {
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    let (mut before, mut records) = (String::new(), Vec::new());
    loop {
        let path = format!("/admin/quarantine?source={source}&limit=1000{before}");
        let page = request(gateway.admin, "GET", &path, &operator, b"").await.unwrap();
        assert_eq!(page.head.status, 200, "{}", page.text());
        let page = page.json();
        records.extend(page["records"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return records,
        }
    }
}

fn has_reason(record: &Value, reason: &str) -> bool {
    record["reason"] == reason
}

/// A form as Braintree posts it.
fn braintree_form(signature: &str, payload: &str) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("bt_signature", signature).append_pair("bt_payload", payload);
    form.finish().into_bytes()
}

/// What Braintree itself signs.
fn braintree_signature(payload: &str) -> String {
    use sha1::Digest as _;
    let key = Sha1::digest(b"private-key-5f0c");
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(payload.as_bytes());
    format!("public1|{}", hex::encode(mac.finalize().into_bytes()))
}

fn braintree() -> Source {
    Source { secrets: vec![BRAINTREE_SECRET.to_owned()], ..source("bt", "braintree") }
}

/// A stranger posted 1,100 answers to challenges as deliveries in 1.5 seconds, and no honest record was left.
#[tokio::test]
async fn what_a_get_signs_is_never_a_delivery() {
    let gateway = Gateway::with(with_sources([braintree()])).await;
    let honest = braintree_form(&braintree_signature("bm8geG1s\n"), "bm8geG1s\n");
    assert_eq!(gateway.post_raw("bt", &[], &honest).await.head.status, 200);
    for number in 0..50 {
        let challenge = format!("{number:020x}{}", "f".repeat(number % 13));
        let answer = get(&gateway, &format!("/webhooks/bt?bt_challenge={challenge}")).await.text();
        assert_eq!(answer, braintree_signature(&challenge), "the provider's own question is answered");
        for payload in
            [challenge.clone(), format!("{challenge}\n"), format!("{challenge} "), challenge.to_uppercase()]
        {
            let answer = gateway.post_raw("bt", &[], &braintree_form(&answer, &payload)).await;
            assert!(matches!(answer.head.status, 401 | 429), "{payload:?}: {}", answer.text());
        }
    }
    let records = quarantine(&gateway, "bt").await;
    assert!(records.len() == 1 && has_reason(&records[0], "missing_type"), "{records:?}");
}

/// A challenge that is repeated in an answer would let anybody put text of their own under the gateway's address.
#[tokio::test]
async fn a_get_repeats_nothing_of_what_was_asked() {
    let names = ["adyen-platform", "checkout", "mollie", "paddle", "razorpay", "xendit"];
    let gateway =
        Gateway::with(with_sources(names.map(|name| source(name, name)).into_iter().chain([braintree()])))
            .await;
    let text = "20f9f8ed05f77439fe95";
    let keys = [
        "challenge",
        "hub.challenge",
        "crc_token",
        "validationToken",
        "echostr",
        "bt_challengE",
        "token",
        "id",
    ];
    for name in names.into_iter().chain(["acme", "stripe", "bt"]) {
        for key in keys {
            let query = format!("hub.mode=subscribe&hub.verify_token={GENERIC_SECRET}&{key}={text}");
            let answer = get(&gateway, &format!("/webhooks/{name}?{query}")).await;
            assert_eq!(answer.text(), "This address takes webhooks by POST.\n", "{name} {key}");
        }
        let form = format!("challenge={text}&bt_challenge={text}&type=url_verification");
        let answer = gateway.post_raw(&format!("{name}?{form}"), &[], form.as_bytes()).await;
        assert_eq!(answer.head.status, 401, "{name}: {}", answer.text());
        assert!(!answer.text().contains(text), "{name}: {}", answer.text());
    }
    for challenge in [
        "",
        "20f9",
        "20F9F8ED05F77439FE95",
        "PD94bWwgdmVyc2lvbj0i",
        &"a".repeat(33),
        "20f9f8ed05f77439fe9%0A",
    ] {
        let answer = get(&gateway, &format!("/webhooks/bt?bt_challenge={challenge}")).await.text();
        assert!(!answer.contains('|'), "{challenge} is signed: {answer}");
    }
}

#[tokio::test]
async fn a_stranger_writes_nothing_into_the_quarantine() {
    let gateway = Gateway::with(with_sources([braintree()])).await;
    let body = b"not json".to_vec();
    for _ in 0..5 {
        let forged = [
            ("acme", vec![]),
            ("acme", sign::generic("a guess of the secret", &body)),
            ("acme", sign::stripe("a guess of the secret", now_s(), &body)),
            ("stripe", sign::stripe("a guess of the secret", now_s(), &body)),
            ("bt", vec![]),
        ];
        for (name, headers) in forged {
            assert_eq!(gateway.post_raw(name, &headers, &body).await.head.status, 401, "{name}");
        }
    }
    for name in ["acme", "stripe", "bt"] {
        assert_eq!(quarantine(&gateway, name).await, Vec::<Value>::new(), "{name}");
    }
}

/// Whoever can cause events of one reason, as a payer who writes into a field of the shop, displaces no record of another one.
#[tokio::test]
async fn junk_of_one_reason_evicts_no_record_of_another() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let mut unknown = generic("e2", "pending", "pay_1", now_s());
    unknown["payment"]["amount"] = json!("12.345");
    gateway.accept(&unknown).await;
    let junk: Vec<_> = (0..1_100)
        .map(|number| {
            let mut junk = generic(&format!("junk{number}"), "pending", "x", now_s());
            junk["payment"]["id"] = json!("4242424242424242");
            junk
        })
        .collect();
    let mut refused = 0;
    for some in junk.chunks(100) {
        let answers = join_all(some.iter().map(|junk| gateway.post("acme", junk))).await;
        refused += answers.iter().filter(|answer| answer.head.status == 503).count();
    }
    // What finds no room is sent again, so that neither evicts the other.
    assert_eq!(refused, 1_100 - 1_024);
    let records = quarantine(&gateway, "acme").await;
    let count = |reason| records.iter().filter(|record| has_reason(record, reason)).count();
    assert_eq!([count("facts_differ"), count("bad_amount"), count("pan_like_id")], [1, 1, 1024]);
    let [.., newer, older] = &records[..] else { panic!("{records:?}") };
    assert!(has_reason(newer, "bad_amount") && has_reason(older, "facts_differ"), "the newest come first");
}

/// An event of the year 2286 was accepted, and all later news lost against it.
#[tokio::test]
async fn nothing_happens_in_the_future() {
    let mut patient = source("patient", "generic");
    patient.more = "max_future = \"1h\"".to_owned();
    let gateway = Gateway::with(with_sources([source("checkout", "checkout"), patient])).await;
    let year_2286 = 9_999_999_999;
    // The time of this payload is signed, so it is refused like that of a signature: the provider sends it again.
    let outcome = async |source: &str, payload: Value| {
        let body = payload.to_string().into_bytes();
        let answer = gateway.post_raw(source, &sign::generic(GENERIC_SECRET, &body), &body).await;
        (answer.head.status, answer.json()["reason"].as_str().unwrap_or_default().to_owned())
    };
    let (accepted, refused) = ((200, String::new()), (401, "future_timestamp".to_owned()));
    for (source, ahead_s, expected) in [
        ("acme", 200, &accepted),
        ("acme", 400, &refused),
        ("patient", 3_500, &accepted),
        ("patient", 3_700, &refused),
    ] {
        let payload = generic(
            &format!("{source}{ahead_s}"),
            "pending",
            &format!("{source}_{ahead_s}"),
            now_s() + ahead_s,
        );
        assert_eq!(outcome(source, payload).await, *expected, "{source} {ahead_s}");
    }
    assert_eq!(outcome("acme", generic("e1", "failed", "pay_1", year_2286)).await, refused);
    gateway.accept(&generic("e2", "pending", "pay_1", now_s() - 60)).await;
    gateway.accept(&generic("e3", "confirmed", "pay_1", now_s())).await;
    let snapshot = gateway.snapshot("pay_1").await;
    assert_eq!((&snapshot["status"], &snapshot["seq"]), (&json!("captured"), &json!(2)));

    // Checkout.com signs no time, but its events have one.
    let event = |id: &str, kind: &str, at: &str| json!({ "id": id, "type": kind, "created_on": at, "data": { "id": "pay_2", "amount": 100, "currency": "EUR" } });
    let checkout = async |payload: Value| {
        let body = payload.to_string().into_bytes();
        let mac = hex::encode(sign::hmac_sha256(GENERIC_SECRET.as_bytes(), &body));
        gateway.post_raw("checkout", &[header("cko-signature", &mac)], &body).await.json()
    };
    let quarantined = json!({ "outcome": "quarantined", "reason": "future_time" });
    for at in ["2286-11-20T17:46:39Z", "9998-12-31T23:59:59.999Z"] {
        assert_eq!(checkout(event(at, "payment_declined", at)).await, quarantined);
    }
    assert_eq!(
        checkout(event("e4", "payment_captured", "2026-01-01T00:00:00Z")).await["outcome"],
        "accepted"
    );
    assert_eq!(gateway.snapshot("pay_2").await["status"], "captured");
    let records = quarantine(&gateway, "checkout").await;
    assert!(records.len() == 2 && records.iter().all(|record| record["where"] == "/created_on /timestamp"
        || record["where"] == "/created_on"), "{records:?}");
}

/// 90,000 attributes took 12 seconds, in which no health check was answered.
#[tokio::test]
async fn no_xml_takes_long() {
    let gateway = Gateway::with(with_sources([source("wpg", "worldpay-wpg")])).await;
    let post = async |body: String| {
        let answer = gateway.post_raw(&format!("wpg?token={GENERIC_SECRET}"), &[], body.as_bytes()).await;
        assert_eq!(answer.head.status, 200, "{}", answer.text());
    };
    let attributes = |count: usize| (0..count).map(|number| format!(" a{number}=''")).collect::<String>();
    let spaces =
        |count: usize| (0..count).map(|number| format!(" xmlns:n{number}='u{number}'")).collect::<String>();
    let many = [
        (format!("<a{}/>", attributes(90_000)), "too_long"),
        (format!("<a>{}</a>", "<b c=''/>".repeat(90_000)), "too_long"),
        (format!("<a{}/>", attributes(6_000)), "too_many_attributes"),
        (format!("<a b='>'{}/>", attributes(6_000)), "too_many_attributes"),
        (format!("<!-- ' --><a{}/>", attributes(6_000)), "too_many_attributes"),
        (format!("<a>{}</a>", "<b xmlns:c='d'>".repeat(2_000)), "too_many_attributes"),
        (format!("<a{}>{}</a>", spaces(60), "<n1:b/>".repeat(8_000)), "missing_type"),
        (format!("<a>{}</a>", "<b c='1' d='2' e='3'/>".repeat(2_900)), "missing_type"),
        ("<a>".repeat(20_000), "not_xml"),
        (format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000)), "too_deep"),
        (format!("<a>{}</a>", "<![CDATA[]]>".repeat(5_000)), "missing_type"),
        (format!("<a>{}</a>", "&#38;".repeat(13_000)), "missing_type"),
    ];
    let mut slowest = std::time::Duration::ZERO;
    let posts = join_all(many.iter().cycle().take(4 * many.len()).map(|(body, _)| post(body.clone())));
    let mut posts = std::pin::pin!(posts);
    loop {
        let started = std::time::Instant::now();
        tokio::select! {
            _ = &mut posts => break,
            live = gateway.admin("/livez") => assert_eq!(live.head.status, 200),
        }
        slowest = slowest.max(started.elapsed());
    }
    assert!(slowest < std::time::Duration::from_secs(5), "a health check took {slowest:?}");
    for reason in ["too_long", "too_many_attributes", "missing_type", "not_xml", "too_deep"] {
        let expected = 4 * many.iter().filter(|(_, of)| *of == reason).count();
        let counted = gateway.events(&["outcome=\"quarantined\"", &format!("reason=\"{reason}\"")]).await;
        assert_eq!(counted, expected as u64, "{reason}");
    }
}

/// A large delivery is computed apart from the threads that serve all others.
#[tokio::test]
async fn large_payloads_do_not_stop_the_gateway() {
    let gateway = Gateway::start().await;
    let mut payload = generic("large", "confirmed", "pay_large", now_s());
    payload["payment"]["lines"] = (0..60_000).map(|number| json!([number])).collect();
    let body = payload.to_string().into_bytes();
    let headers = signed("acme", &body);
    let posts = join_all((0..32).map(|_| gateway.post_raw("acme", &headers, &body)));
    let others = async {
        for number in 0..20 {
            gateway
                .accept(&generic(&format!("e{number}"), "pending", &format!("pay_{number}"), now_s()))
                .await;
            assert_eq!(gateway.admin("/livez").await.head.status, 200);
        }
    };
    let (answers, ()) = tokio::join!(posts, others);
    assert!(answers.iter().all(|answer| answer.head.status == 200));
    assert_eq!(gateway.snapshot("pay_large").await["seq"], 1);
}
