//! I7: every event ends in one outcome, visible in metrics and log.

use crate::support::{ADMIN_TOKEN, Gateway, Setup, eventually, generic, header, signed, stripe};
use load::http::request;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn i7_the_outcomes_add_up_to_the_deliveries() {
    let gateway = Gateway::start().await;
    let (told, other) =
        (generic("e1", "pending", "pay_1", 1_700_000_000), generic("e1", "failed", "pay_1", 1_700_000_000));
    let customer = stripe("evt_1", "customer.created", "cus_1", 1_700_000_000);
    let mut deliveries = 0;
    for (source, payload, times) in [
        ("acme", &told, 3),
        ("acme", &other, 2),
        ("acme", &serde_json::json!({ "event": "payment.pending" }), 1),
        ("acme", &serde_json::json!([]), 1),
        ("stripe", &customer, 2),
    ] {
        for _ in 0..times {
            let answer = gateway.post(source, payload).await;
            assert_eq!(answer.head.status / 100, 2, "{payload}: {}", answer.text());
            deliveries += 1;
        }
    }
    let body = told.to_string().into_bytes();
    for _ in 0..2 {
        let mut headers = signed("acme", &body);
        headers[1].1.replace_range(..2, "zz");
        assert_eq!(gateway.post_raw("acme", &headers, &body).await.head.status, 401);
        deliveries += 1;
    }
    for (outcome, expected) in [
        ("accepted", 1),
        ("duplicate", 2),
        ("ignored", 2),
        ("quarantined", 4),
        ("rejected", 2),
        ("deferred", 0),
    ] {
        assert_eq!(gateway.events(&[&format!("outcome=\"{outcome}\"")]).await, expected, "{outcome}");
    }
    assert_eq!(gateway.events(&[]).await, deliveries);
    let log = gateway.log();
    for outcome in ["accepted", "duplicate", "ignored", "quarantined", "rejected"] {
        assert!(log.contains(outcome), "{outcome} is not in the log:\n{log}");
    }
}

#[tokio::test]
async fn i7_what_was_not_read_to_its_end_is_accounted_for_too() {
    let gateway = Gateway::with(Setup::limits("body_bytes = 1000\nbody_timeout = \"1s\"")).await;
    let post = "POST /webhooks/acme HTTP/1.1\r\nhost: x\r\n";
    for (request, status) in [
        (format!("{post}content-length: 1001\r\n\r\n"), 413),
        (format!("{post}transfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001)), 413),
        (format!("{post}content-length: 1000\r\n\r\n{{"), 408),
        (format!("{post}transfer-encoding: chunked\r\n\r\nno length\r\n"), 400),
    ] {
        let mut socket = TcpStream::connect(gateway.ingest).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {said}");
    }
    for (reason, expected) in [("body_too_large", 2), ("body_timeout", 1), ("broken_body", 1)] {
        let labels = ["outcome=\"rejected\"", &format!("reason=\"{reason}\"")];
        assert_eq!(gateway.events(&labels).await, expected, "{reason}");
        let lines = gateway.log().matches(reason).count() as u64;
        assert_eq!(lines, expected, "{}", gateway.log());
    }
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    let listed = async |query: &str| {
        let path = format!("/admin/deliveries?source=acme{query}");
        request(gateway.admin, "GET", &path, &operator, b"").await.unwrap().json()
    };
    eventually("each is in the delivery log", async || {
        listed("").await["records"].as_array().unwrap().len() == 4
    })
    .await;
    // A page at a time, and with fields of their own.
    let mut reasons = Vec::new();
    let mut page = listed("&limit=3").await;
    loop {
        for record in page["records"].as_array().unwrap() {
            assert_eq!(
                (&record["outcome"], &record["source"]),
                (&json!("rejected"), &json!("acme")),
                "{record}"
            );
            assert!(record["bytes"].is_u64() && record.get("detail").is_none(), "{record}");
            reasons.push(record["reason"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(reasons.len(), 3, "{page}");
        page = listed(&format!("&limit=3&before={next}")).await;
    }
    reasons.sort_unstable();
    assert_eq!(reasons, ["body_timeout", "body_too_large", "body_too_large", "broken_body"]);
}
