//! The same snapshot as JSON, and what browsers ask before they ask.

use crate::support::{Gateway, PATIENCE, generic, header, next_message};
use load::http::{Connection, request};
use std::time::{Duration, Instant};
use tokio::time::timeout;

#[tokio::test]
async fn the_json_snapshot_is_that_of_the_stream() {
    let gateway = Gateway::start().await;
    for known in 0..2 {
        let (cursor, mut streamed) = next_message(&mut gateway.stream("pay_1").await).await;
        let answer = gateway.get("/v1/payments/pay_1", &gateway.bearer(&["pay_1"])).await;
        assert_eq!(answer.head.status, 200);
        assert!(answer.head.header("content-type").unwrap().starts_with("application/json"));
        let etag = answer.head.header("etag").unwrap();
        assert!(etag.starts_with(&format!("\"{cursor}.")) && etag.ends_with('"'), "{etag}");
        let mut polled = answer.json();
        for snapshot in [&mut streamed, &mut polled] {
            snapshot.as_object_mut().unwrap().remove("up_to_date");
        }
        assert_eq!(polled, streamed);
        gateway.accept(&generic(&format!("e{known}"), "pending", "pay_1", 1_700_000_000)).await;
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let first = gateway.get("/v1/payments/pay_1", &gateway.bearer(&["pay_1"])).await;
    let etag = first.head.header("etag").unwrap().to_owned();
    for known in [etag.clone(), format!("\"x\", {etag}"), format!("W/{etag}"), "*".to_owned()] {
        let mut headers = gateway.bearer(&["pay_1"]);
        headers.push(header("if-none-match", &known));
        let again = gateway.get("/v1/payments/pay_1", &headers).await;
        assert_eq!((again.head.status, again.body.len()), (304, 0), "{known}");
        assert_eq!(again.head.header("etag"), Some(etag.as_str()));
    }
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_001)).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    headers.push(header("if-none-match", &etag));
    let changed = gateway.get("/v1/payments/pay_1", &headers).await;
    assert_eq!((changed.head.status, changed.json()["seq"].as_u64()), (200, Some(2)));
}

#[tokio::test]
async fn a_long_poll_returns_with_the_change() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let first = gateway.get("/v1/payments/pay_1", &gateway.bearer(&["pay_1"])).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    headers.push(header("if-none-match", first.head.header("etag").unwrap()));
    headers.push(header("prefer", "wait=30"));
    let public = gateway.public;
    let waiting =
        tokio::spawn(
            async move { request(public, "GET", "/v1/payments/pay_1", &headers, b"").await.unwrap() },
        );
    // Whether the poll has begun is not to be seen from outside; it must return with the change either way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    let begun = Instant::now();
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_001)).await;
    let answer = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!((answer.head.status, answer.json()["status"].as_str()), (200, Some("captured")));
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for its own end");
}

#[tokio::test]
async fn a_long_poll_without_change_ends_with_304() {
    let gateway = Gateway::start().await;
    let first = gateway.get("/v1/payments/pay_1", &gateway.bearer(&["pay_1"])).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    headers.push(header("if-none-match", first.head.header("etag").unwrap()));
    headers.push(header("prefer", "wait=1"));
    let begun = Instant::now();
    let answer = gateway.get("/v1/payments/pay_1", &headers).await;
    assert_eq!(answer.head.status, 304);
    assert!(begun.elapsed() >= Duration::from_millis(900), "it did not wait");
}

#[tokio::test]
async fn head_gives_the_headers_without_the_body() {
    let gateway = Gateway::start().await;
    let bearer = gateway.bearer(&["pay_1"]);
    let got = gateway.get("/v1/payments/pay_1", &bearer).await;
    let mut connection = Connection::open(gateway.public).await.unwrap();
    let path = "/v1/payments/pay_1";
    let head = timeout(PATIENCE, connection.request("HEAD", path, &bearer, b"")).await.unwrap().unwrap();
    assert_eq!((head.head.status, head.body.len()), (200, 0));
    assert_eq!(head.head.header("etag"), got.head.header("etag"));
    // The connection is whole: no stray body is left on it.
    let again = timeout(PATIENCE, connection.request("GET", path, &bearer, b"")).await.unwrap().unwrap();
    assert_eq!(again.json(), got.json());
    // On a stream too, it neither hangs nor opens one.
    let path = "/v1/payments/pay_1/events";
    let head = timeout(PATIENCE, connection.request("HEAD", path, &bearer, b"")).await.unwrap().unwrap();
    assert_eq!(head.body.len(), 0);
    assert!(gateway.metric("paystream_streams_open", &[]).await < 0.5);
}

#[tokio::test]
async fn an_allowed_origin_may_read_and_may_ask_with_a_cursor() {
    let gateway = Gateway::start().await;
    let origin = header("origin", "https://shop.example");
    let preflight = [
        origin.clone(),
        header("access-control-request-method", "GET"),
        header("access-control-request-headers", "authorization,last-event-id"),
    ];
    for path in ["/v1/payments/pay_1/events", "/v1/payments/pay_1", "/v1/events?payment=pay_1"] {
        let answer = request(gateway.public, "OPTIONS", path, &preflight, b"").await.unwrap();
        assert_eq!(answer.head.status / 100, 2, "{path}");
        let word = |name: &str| answer.head.header(name).unwrap_or_default().to_ascii_lowercase();
        assert_eq!(word("access-control-allow-origin"), "https://shop.example");
        assert!(word("access-control-allow-methods").contains("get"));
        assert!(word("vary").contains("origin"));
        for name in ["authorization", "last-event-id"] {
            assert!(word("access-control-allow-headers").contains(name), "{path}: {name}");
        }

        let mut headers = gateway.bearer(&["pay_1"]);
        headers.push(origin.clone());
        let stream = gateway.open(path, &headers).await;
        let word = |name: &str| stream.head.header(name).unwrap_or_default().to_ascii_lowercase();
        assert_eq!(word("access-control-allow-origin"), "https://shop.example", "{path}");
        assert_eq!(word("access-control-allow-credentials"), "true", "the cookie must be let through");
        assert!(word("vary").contains("origin"));
        assert!(word("access-control-expose-headers").contains("etag"), "{path}");
    }
}

#[tokio::test]
async fn another_origin_is_never_reflected() {
    let gateway = Gateway::start().await;
    let path = "/v1/payments/pay_1";
    for origin in ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"]
    {
        let mut headers = gateway.bearer(&["pay_1"]);
        headers.push(header("origin", origin));
        let answer = gateway.get(path, &headers).await;
        assert_eq!(answer.head.header("access-control-allow-origin"), None, "{origin}");
        assert!(answer.head.header("vary").unwrap_or_default().to_ascii_lowercase().contains("origin"));
        headers.push(header("access-control-request-method", "GET"));
        let answer = request(gateway.public, "OPTIONS", path, &headers, b"").await.unwrap();
        assert_eq!(answer.head.header("access-control-allow-origin"), None, "{origin}");
    }
}
