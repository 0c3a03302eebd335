//! Who may read what: tokens, their carriers, and the refusals before any data.

use crate::support::{
    ADMIN_TOKEN, Gateway, Key, OPERATOR_KEY, Setup, TOKEN_KEY, claims, generic, header, next_message, now_s,
    token,
};
use load::sign::{base64_url, hmac_sha256, jwt_hs256};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PATHS: [&str; 3] = ["/v1/payments/pay_1/events", "/v1/events?payment=pay_1", "/v1/payments/pay_1"];

#[tokio::test]
async fn all_three_carriers_bring_a_token() {
    let gateway = Gateway::start().await;
    let token = token("default", &["pay_1"]);
    let cookie = format!("theme=dark; paystream_token={token}; x=y");
    for (path, headers) in [
        ("/v1/payments/pay_1/events".to_owned(), vec![header("authorization", &format!("Bearer {token}"))]),
        ("/v1/payments/pay_1/events".to_owned(), vec![header("authorization", &format!("bearer {token}"))]),
        ("/v1/payments/pay_1/events".to_owned(), vec![header("cookie", &cookie)]),
        (format!("/v1/payments/pay_1/events?access_token={token}"), vec![]),
        (format!("/v1/events?payment=pay_1&access_token={token}"), vec![]),
    ] {
        let mut stream = gateway.open(&path, &headers).await;
        assert_eq!(stream.head.status, 200, "{path} {headers:?}");
        assert_eq!(next_message(&mut stream).await.1["type"], "snapshot");
    }
}

/// A token of `k1` whose claims were changed.
fn with(claim: &str, value: Value) -> String {
    let mut claims = claims("default", &["pay_1"]);
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims)
}

/// A token of `k1` with two changed times.
fn both(one: &str, at: u64, other: &str, other_at: u64) -> String {
    let mut claims = claims("default", &["pay_1"]);
    claims["iat"] = at.min(other_at).into();
    claims[one] = at.into();
    claims[other] = other_at.into();
    jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims)
}

#[tokio::test]
async fn a_bad_token_is_401_before_any_data() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let good = token("default", &["pay_1"]);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let none = format!(
        "{}.{}.",
        base64_url(json!({ "alg": "none", "typ": "JWT", "kid": "k1" }).to_string().as_bytes()),
        good.split('.').nth(1).unwrap()
    );
    let other_alg = {
        let head = base64_url(json!({ "alg": "HS512", "typ": "JWT", "kid": "k1" }).to_string().as_bytes());
        let message = format!("{head}.{}", good.split('.').nth(1).unwrap());
        format!("{message}.{}", base64_url(&hmac_sha256(TOKEN_KEY.as_bytes(), message.as_bytes())))
    };
    let now = now_s();
    let mut refused: BTreeMap<String, f64> = BTreeMap::new();
    for (token, reason) in [
        (String::new(), "token"),
        ("garbage".to_owned(), "malformed_token"),
        ("a.b.c".to_owned(), "malformed_token"),
        (format!("{message}."), "bad_signature"),
        (format!("{message}.{}", signature.chars().rev().collect::<String>()), "bad_signature"),
        (none, "wrong_algorithm"),
        (other_alg, "wrong_algorithm"),
        (jwt_hs256("k9", TOKEN_KEY.as_bytes(), &claims("default", &["pay_1"])), "unknown_key"),
        (jwt_hs256("k1", OPERATOR_KEY.as_bytes(), &claims("default", &["pay_1"])), "bad_signature"),
        (with("aud", "another".into()), "wrong_audience"),
        (with("aud", Value::Null), "bad_claim"),
        (with("exp", Value::Null), "bad_claim"),
        (with("iat", Value::Null), "bad_claim"),
        (with("realm", Value::Null), "bad_claim"),
        (with("payments", Value::Null), "bad_claim"),
        (with("exp", (now - 3600).into()), "expired"),
        (with("nbf", (now + 3600).into()), "not_yet_valid"),
        (with("iat", (now + 3600).into()), ""),
        (with("iat", (now + 700).into()), "not_yet_valid"),
        // Within the leeway for clocks that differ, but its own times contradict each other.
        (both("exp", now - 10, "iat", now + 10), "never_valid"),
        (both("exp", now - 10, "nbf", now + 10), "never_valid"),
        (with("exp", (now + 25 * 3600).into()), "lifetime_too_long"),
        (with("realm", "elsewhere".into()), "realm_not_allowed"),
        (with("payments", json!(["*"])), "operator_not_allowed"),
    ] {
        for path in PATHS {
            let answer = gateway.get(path, &[header("authorization", &format!("Bearer {token}"))]).await;
            assert_eq!(answer.head.status, 401, "{path}, {reason}: {}", answer.text());
            assert!(answer.head.header("content-type").unwrap().starts_with("application/problem+json"));
            let told = answer.json()["reason"].as_str().unwrap().to_owned();
            assert!(told.contains(reason), "{told} is not {reason}");
            *refused.entry(told).or_default() += 1.0;
            assert!(!answer.text().contains("processing"), "data before admission");
        }
    }
    for path in PATHS {
        let answer = gateway.get(path, &[]).await;
        assert_eq!(
            (answer.head.status, answer.json()["reason"].as_str()),
            (401, Some("missing_token")),
            "{path}"
        );
    }
    refused.insert("missing_token".to_owned(), 3.0);
    for (reason, times) in refused {
        let label = format!("reason=\"{reason}\"");
        let counted = gateway.metric("paystream_refusals_total", &[&label]).await;
        assert!((counted - times).abs() < 0.1, "{reason}: {counted} instead of {times}");
    }
}

#[tokio::test]
async fn a_bad_token_is_not_saved_by_a_good_one_elsewhere() {
    let gateway = Gateway::start().await;
    let good = token("default", &["pay_1"]);
    let path = format!("/v1/payments/pay_1?access_token={good}");
    let answer = gateway.get(&path, &[header("authorization", "Bearer garbage")]).await;
    assert_eq!(answer.head.status, 401, "the first carrier counts, and nothing falls back");
}

/// An operator's token opens all payments, and `*` was then followed as a payment of that name: a stream without any news.
#[tokio::test]
async fn an_asterisk_is_no_payment_not_even_to_an_operator() {
    let gateway = Gateway::start().await;
    let operator = jwt_hs256("ops", OPERATOR_KEY.as_bytes(), &claims("default", &["*"]));
    for path in [
        "/v1/events?payment=*",
        "/v1/events?payment=%2A",
        "/v1/events?payment=pay_1&payment=*",
        "/v1/payments/*/events",
        "/v1/payments/%2A/events",
        "/v1/payments/*",
    ] {
        let bearer = [header("authorization", &format!("Bearer {operator}"))];
        // A stream would have no end to wait for.
        assert_eq!(gateway.open(path, &bearer).await.head.status, 400, "{path}");
        let answer = gateway.get(path, &bearer).await;
        assert_eq!(answer.head.header("content-type"), Some("application/problem+json"), "{path}");
        let told = answer.json();
        assert_eq!(told["reason"], "bad_payment", "{path}");
        assert!(told["detail"].as_str().unwrap().contains("stands for all payments"), "{told}");
    }
    let answer = gateway.get("/v1/payments/*", &[]).await;
    assert_eq!(answer.head.status, 401, "the token is looked at first");
    let bearer = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    let path = "/admin/sources/acme/payments/*/reconcile";
    let answer = load::http::request(gateway.admin, "POST", path, &bearer, b"").await.unwrap();
    assert_eq!((answer.head.status, &answer.json()["reason"]), (400, &json!("bad_payment")));
}

#[tokio::test]
async fn a_foreign_payment_is_403() {
    let gateway = Gateway::start().await;
    let headers = gateway.bearer(&["pay_2", "pay_10", "PAY_1", "pay_"]);
    for path in PATHS {
        let answer = gateway.get(path, &headers).await;
        assert_eq!(answer.head.status, 403, "{path}");
        assert!(answer.head.header("content-type").unwrap().starts_with("application/problem+json"));
    }
    assert!(gateway.metric("paystream_refusals_total", &["forbidden"]).await > 2.5);
}

#[tokio::test]
async fn an_operators_key_may_sign_for_all_payments_of_its_realms() {
    let mut setup = Setup::default();
    setup.keys.push(Key { realms: vec!["other".to_owned()], ..Key::new("narrow", OPERATOR_KEY, true) });
    let gateway = Gateway::with(setup).await;
    let all = claims("default", &["*"]);
    for (kid, status) in [("ops", 200), ("narrow", 401)] {
        let token = jwt_hs256(kid, OPERATOR_KEY.as_bytes(), &all);
        let headers = [header("authorization", &format!("Bearer {token}"))];
        assert_eq!(gateway.get("/v1/payments/anything", &headers).await.head.status, status, "{kid}");
    }
}
