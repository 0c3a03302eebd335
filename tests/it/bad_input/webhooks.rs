//! What is posted to a source and should not have been.

use crate::support::{
    GENERIC_SECRET, Gateway, OTHER_SECRET, STRIPE_SECRET, Setup, Source, generic, header, now_s, signed,
    stripe,
};
use load::{http::request, sign};
use serde_json::json;

async fn outcome(gateway: &Gateway, outcome: &str, reason: &str) -> u64 {
    let labels = [format!("outcome=\"{outcome}\""), format!("reason=\"{reason}\"")];
    gateway.events(&labels.each_ref().map(String::as_str)).await
}

#[tokio::test]
async fn a_wrong_or_missing_signature_is_401_with_a_reason_and_counted() {
    let gateway = Gateway::start().await;
    let payload = generic("e1", "confirmed", "pay_1", 1_700_000_000);
    let body = payload.to_string().into_bytes();
    let right = signed("acme", &body)[1].1.clone();
    let stripe_body = stripe("evt_1", "payment_intent.succeeded", "pay_1", now_s()).to_string().into_bytes();
    let mut refused = 0;
    for (source, headers, body) in [
        ("acme", vec![], &body),
        ("acme", vec![header("x-signature", "")], &body),
        ("acme", vec![header("x-signature", "nonsense")], &body),
        ("acme", vec![header("x-signature", &right[..62])], &body),
        ("acme", vec![header("x-signature", &"0".repeat(64))], &body),
        ("acme", sign::generic(OTHER_SECRET, &body), &body),
        ("acme", sign::generic(GENERIC_SECRET, b"another body"), &body),
        ("stripe", vec![], &stripe_body),
        ("stripe", vec![header("stripe-signature", "t=,v1=")], &stripe_body),
        ("stripe", vec![header("stripe-signature", &format!("t={},v0={right}", now_s()))], &stripe_body),
        ("stripe", sign::stripe(GENERIC_SECRET, now_s(), &stripe_body), &stripe_body),
    ] {
        let answer = gateway.post_raw(source, &headers, body).await;
        refused += 1;
        assert_eq!(answer.head.status, 401, "{source} {headers:?}");
        let problem = answer.head.header("content-type").unwrap();
        assert!(problem.starts_with("application/problem+json"), "{problem}");
        let problem = answer.json();
        assert_eq!(problem["status"], 401);
        assert!(problem["title"].is_string() && problem["reason"].is_string(), "{problem}");
        assert!(!answer.text().contains(&right), "it gives the right signature away");
        let reason = problem["reason"].as_str().unwrap().to_owned();
        assert!(outcome(&gateway, "rejected", &reason).await > 0, "{reason} is not counted");
        assert!(gateway.log().contains(&reason), "{reason} is not logged");
    }
    assert_eq!(gateway.events(&["outcome=\"rejected\""]).await, refused);
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 0);
}

#[tokio::test]
async fn a_stale_or_future_timestamp_is_401_with_a_reason() {
    let mut setup = Setup::default();
    setup.sources.push(Source::new("timed", "generic-timestamped", "default", GENERIC_SECRET));
    let gateway = Gateway::with(setup).await;
    let timed = |at: u64, body: &[u8]| {
        let message = [format!("{at}.").as_bytes(), body].concat();
        let signature = hex::encode(sign::hmac_sha256(GENERIC_SECRET.as_bytes(), &message));
        vec![header("x-timestamp", &at.to_string()), header("x-signature", &signature)]
    };
    for (offset, status) in
        [(-3600, 401), (-301, 401), (-200, 200), (0, 200), (200, 200), (330, 401), (3600, 401)]
    {
        let at = now_s().checked_add_signed(offset).unwrap();
        let payment = format!("pay{offset}");
        let body = generic("e1", "pending", &payment, at).to_string().into_bytes();
        let stripe_body =
            stripe("evt_1", "payment_intent.created", &format!("pi{offset}"), at).to_string().into_bytes();
        for (source, headers, body) in [
            ("timed", timed(at, &body), &body),
            ("stripe", sign::stripe(STRIPE_SECRET, at, &stripe_body), &stripe_body),
        ] {
            let answer = gateway.post_raw(source, &headers, body).await;
            assert_eq!(answer.head.status / 100, status / 100, "{source} at {offset}: {}", answer.text());
            if status == 401 {
                let reason = answer.json()["reason"].as_str().unwrap().to_owned();
                assert!(reason.contains("timestamp"), "{source} at {offset}: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn one_right_signature_among_wrong_ones_is_enough() {
    let gateway = Gateway::start().await;
    let body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    let right = signed("acme", &body)[1].clone();
    for headers in [
        vec![header("x-signature", &"0".repeat(64)), right.clone()],
        vec![right.clone(), header("x-signature", "nonsense")],
    ] {
        assert_eq!(gateway.post_raw("acme", &headers, &body).await.head.status / 100, 2, "{headers:?}");
    }
    let body = stripe("evt_1", "payment_intent.created", "pi_1", now_s()).to_string().into_bytes();
    let right = signed("stripe", &body)[1].1.clone();
    let (time, signature) = right.split_once(',').unwrap();
    let both = format!("{time},v1={},{signature}", "0".repeat(64));
    assert_eq!(
        gateway.post_raw("stripe", &[header("stripe-signature", &both)], &body).await.head.status / 100,
        2
    );
}

#[tokio::test]
async fn an_unknown_source_is_404_and_another_method_405() {
    let gateway = Gateway::start().await;
    let body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    for source in ["nobody", "ACME", "acme/", "acme%00", "acme%0d%0aX-Evil:%20yes", "..%2f..%2fetc", ""] {
        let answer = gateway.post_raw(source, &signed("acme", &body), &body).await;
        assert_eq!(answer.head.status, 404, "{source}");
        assert_eq!(answer.head.header("x-evil"), None);
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = request(gateway.ingest, method, "/webhooks/acme", &[], b"").await.unwrap();
        assert_eq!(answer.head.status, 405, "{method}");
    }
}

#[tokio::test]
async fn an_oversize_body_is_413() {
    let gateway = Gateway::with(Setup::limits("body_bytes = 10000")).await;
    for (size, status) in [(9_000, 200), (10_001, 413), (200_000, 413)] {
        let mut payload = generic("e1", "pending", "pay_1", 1_700_000_000);
        payload["padding"] = "x".repeat(size - payload.to_string().len() - 13).into();
        let body = payload.to_string().into_bytes();
        assert_eq!(body.len(), size);
        let answer = gateway.post_raw("acme", &signed("acme", &body), &body).await;
        assert_eq!(answer.head.status / 100, status / 100, "{size}: {}", answer.text());
        assert!(status == 200 || answer.head.status == 413);
    }
    assert!(gateway.metric("paystream_limit_hits_total", &["body_bytes"]).await > 1.5);
}

#[tokio::test]
async fn what_is_verified_and_not_understood_is_quarantined_and_acknowledged() {
    let gateway = Gateway::start().await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let mut no_payment = generic("e1", "pending", "pay_1", 1_700_000_000);
    no_payment["payment"] = json!({});
    let mut bad_amount = generic("e2", "pending", "pay_1", 1_700_000_000);
    bad_amount["payment"]["amount"] = "12.345".into();
    let mut long_id = generic("e3", "pending", "pay_1", 1_700_000_000);
    long_id["payment"]["id"] = "x".repeat(129).into();
    let mut odd_id = generic("e4", "pending", "pay_1", 1_700_000_000);
    odd_id["payment"]["id"] = "pay\r\n_1".into();
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"not json".to_vec(),
        b"{\"id\": ".to_vec(),
        b"\xff\xfe\x00".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        deep.into_bytes(),
        no_payment.to_string().into_bytes(),
        bad_amount.to_string().into_bytes(),
        long_id.to_string().into_bytes(),
        odd_id.to_string().into_bytes(),
    ];
    let count = bodies.len() as u64;
    for body in bodies {
        let answer = gateway.post_raw("acme", &signed("acme", &body), &body).await;
        let text = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        assert_eq!(answer.head.status / 100, 2, "{text}: {}", answer.text());
    }
    assert_eq!(gateway.events(&["outcome=\"quarantined\""]).await, count);
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 0);
}

#[tokio::test]
async fn another_providers_event_on_the_same_payment_is_quarantined() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let answer = gateway.post("stripe", &stripe("evt_1", "payment_intent.succeeded", "pay_1", now_s())).await;
    assert_eq!(answer.head.status / 100, 2);
    assert_eq!(outcome(&gateway, "quarantined", "other_provider").await, 1);
    assert_eq!(gateway.snapshot("pay_1").await["status"], "processing");
}

#[tokio::test]
async fn a_full_log_quarantines_what_comes_after() {
    let gateway = Gateway::start().await;
    for number in 0..513 {
        gateway.accept(&generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000 + number)).await;
    }
    assert_eq!(outcome(&gateway, "quarantined", "log_full").await, 1);
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 512);
}

#[tokio::test]
async fn what_is_not_about_a_payment_is_ignored_and_acknowledged() {
    let gateway = Gateway::start().await;
    for kind in ["customer.created", "invoice.paid", "product.updated"] {
        let answer = gateway.post("stripe", &stripe(kind, kind, "obj_1", now_s())).await;
        assert_eq!(answer.head.status / 100, 2, "{kind}");
    }
    assert_eq!(gateway.events(&["outcome=\"ignored\""]).await, 3);
}

#[tokio::test]
async fn a_storm_of_failed_signatures_is_429_to_what_fails_and_nothing_to_what_does_not() {
    let gateway = Gateway::with(Setup::limits("failed_signatures_per_second = 5")).await;
    let body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(gateway.post_raw("acme", &[], &body).await.head.status);
    }
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    assert_eq!(gateway.post_raw("acme", &signed("acme", &body), &body).await.head.status / 100, 2);
}

#[tokio::test]
async fn a_source_that_is_no_text_is_unknown() {
    let gateway = Gateway::start().await;
    let operator = vec![header("authorization", &format!("Bearer {}", crate::support::ADMIN_TOKEN))];
    for (address, method, path, headers) in [
        (gateway.ingest, "POST", "/webhooks/%FF", &vec![]),
        (gateway.ingest, "GET", "/webhooks/%FF", &vec![]),
        (gateway.admin, "GET", "/admin/sources/%FF/quarantine", &operator),
        (gateway.admin, "GET", "/admin/sources/%FF/deliveries", &operator),
    ] {
        let answer = request(address, method, path, headers, b"").await.unwrap();
        assert_eq!(answer.head.status, 404, "{method} {path}");
        assert!(
            answer.head.header("content-type").unwrap().starts_with("application/problem+json"),
            "{path}"
        );
        assert_eq!(answer.json()["reason"], "unknown_source", "{method} {path}");
    }
}
