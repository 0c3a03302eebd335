//! All payments of a realm: `/v1/payments` and `/v1/payments/events`.

use crate::support::{
    ADMIN_TOKEN, Gateway, OPERATOR_KEY, PATIENCE, Setup, claims, eventually, generic, header, next_message,
    read_to_end, stays_silent, stripe, token,
};
use load::{
    http::request,
    sign::jwt_hs256,
    stream::{Next, Stream},
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The header with a token for all payments of a realm.
pub(crate) fn operator(realm: &str) -> Vec<(String, String)> {
    let token = jwt_hs256("ops", OPERATOR_KEY.as_bytes(), &claims(realm, &["*"]));
    vec![header("authorization", &format!("Bearer {token}"))]
}

async fn page(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.get(&format!("/v1/payments{query}"), &operator("default")).await;
    assert_eq!(answer.head.status, 200, "{query}: {}", answer.text());
    answer.json()
}

fn ids(payments: &Value) -> Vec<&str> {
    payments.as_array().unwrap().iter().map(|payment| payment["payment"].as_str().unwrap()).collect()
}

async fn events(gateway: &Gateway, query: &str) -> Stream {
    let stream = gateway.open(&format!("/v1/payments/events{query}"), &operator("default")).await;
    assert_eq!(stream.head.status, 200, "{:?}", stream.head);
    stream
}

/// Reads changes until payment `id` comes, or is told gone (nothing).
async fn until(stream: &mut Stream, id: &str) -> Option<Value> {
    loop {
        let (_, message) = next_message(stream).await;
        assert_eq!(message["type"], "changes", "{message}");
        if message["gone"].as_array().unwrap().iter().any(|gone| gone == id) {
            return None;
        }
        let payments = message["payments"].as_array().unwrap();
        if let Some(found) = payments.iter().find(|payment| payment["payment"] == id) {
            return Some(found.clone());
        }
    }
}

#[tokio::test]
async fn a_page_shows_each_payment_as_its_snapshot_does() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", 1_700_000_000)).await;
    gateway.post("stripe", &stripe("evt_1", "payment_intent.created", "pi_1", 1_700_000_000)).await;
    let list = page(&gateway, "").await;
    assert_eq!(ids(&list["payments"]), ["pi_1", "pay_1"], "the newest first");
    assert_eq!((&list["next"], &list["complete_since"]), (&Value::Null, &Value::Null));
    for listed in list["payments"].as_array().unwrap() {
        let snapshot = gateway.snapshot(listed["payment"].as_str().unwrap()).await;
        for field in ["seq", "status", "amount", "currency", "exponent", "captured", "refunded", "conflict"] {
            assert_eq!(listed[field], snapshot[field], "{field}");
        }
        for field in ["failure", "action"] {
            assert_eq!(listed.get(field), Some(&Value::Null));
        }
    }
    let payment = &list["payments"][0];
    assert_eq!((&payment["provider"], &payment["source"]), (&"stripe".into(), &"stripe".into()));
    assert_eq!(payment["live"], false);
    assert_eq!(payment["first_seen"], payment["changed"]);
}

#[tokio::test]
async fn pages_follow_one_another_and_filters_hold() {
    let gateway = Gateway::start().await;
    for number in 0..7 {
        gateway.accept(&generic("e1", "pending", &format!("pay_{number}"), 1_700_000_000)).await;
    }
    gateway.accept(&generic("e2", "confirmed", "pay_3", 1_700_000_100)).await;
    gateway.post("stripe", &stripe("evt_1", "payment_intent.created", "pi_1", 1_700_000_000)).await;
    let mut seen = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let list = page(&gateway, &query).await;
        seen.extend(ids(&list["payments"]).into_iter().map(ToOwned::to_owned));
        let Some(next) = list["next"].as_str() else { break };
        query = format!("?limit=3&before={next}");
    }
    assert_eq!(seen, ["pi_1", "pay_6", "pay_5", "pay_4", "pay_3", "pay_2", "pay_1", "pay_0"]);
    let first_seen = page(&gateway, "").await["payments"][2]["first_seen"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("?status=captured", vec!["pay_3"]),
        ("?status=captured&status=created", vec!["pi_1", "pay_3"]),
        ("?provider=stripe", vec!["pi_1"]),
        ("?source=acme&limit=1", vec!["pay_6"]),
        ("?currency=USD", vec![]),
        ("?currency=EUR&amount_min=10000&amount_max=10000&status=captured", vec!["pay_3"]),
        ("?amount_min=10001", vec![]),
        ("?first_seen_from=2100-01-01T00:00:00Z", vec![]),
        ("?first_seen_to=2020-01-01T00:00:00%2B01:00", vec![]),
        (&format!("?first_seen_from={first_seen}"), vec!["pi_1", "pay_6", "pay_5"]),
        (&format!("?first_seen_to={first_seen}&limit=2"), vec!["pay_4", "pay_3"]),
    ] {
        assert_eq!(ids(&page(&gateway, query).await["payments"]), expected, "{query}");
    }
}

#[tokio::test]
async fn a_stream_begins_with_the_newest_page_and_goes_on_with_every_change() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    gateway.accept(&generic("e1", "pending", "pay_2", 1_700_000_000)).await;
    let mut stream = events(&gateway, "?limit=1").await;
    assert!(stream.head.header("content-type").unwrap().starts_with("text/event-stream"));
    let (id, first) = next_message(&mut stream).await;
    assert!(id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    assert_eq!((&first["type"], &first["v"]), (&"page".into(), &1.into()));
    assert_eq!((ids(&first["payments"]), first.get("reason")), (vec!["pay_2"], None));
    let older = page(&gateway, &format!("?before={}", first["next"].as_str().unwrap())).await;
    assert_eq!(ids(&older["payments"]), ["pay_1"]);

    let posted = Instant::now();
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_100)).await;
    let changed = until(&mut stream, "pay_1").await.unwrap();
    assert_eq!((&changed["status"], &changed["seq"]), (&"captured".into(), &2.into()));
    assert!(posted.elapsed() < Duration::from_secs(20), "{:?}", posted.elapsed());
    gateway.accept(&generic("e1", "pending", "pay_3", 1_700_000_200)).await;
    assert_eq!(until(&mut stream, "pay_3").await.unwrap()["status"], "processing");
    stays_silent(&mut stream, Duration::from_millis(1500)).await;
}

#[tokio::test]
async fn a_payment_that_leaves_the_filter_is_told_gone() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let mut open = events(&gateway, "?status=processing").await;
    let mut captured = events(&gateway, "?status=captured").await;
    assert_eq!(ids(&next_message(&mut open).await.1["payments"]), ["pay_1"]);
    assert_eq!(ids(&next_message(&mut captured).await.1["payments"]), [""; 0]);
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_100)).await;
    assert_eq!(until(&mut open, "pay_1").await, None);
    assert!(until(&mut captured, "pay_1").await.is_some());
}

#[tokio::test]
async fn a_reconnect_gets_what_it_missed_even_from_a_gateway_that_was_killed() {
    let mut gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let mut stream = events(&gateway, "").await;
    let (cursor, _) = next_message(&mut stream).await;
    drop(stream);
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_100)).await;
    gateway.accept(&generic("e1", "pending", "pay_2", 1_700_000_100)).await;
    for _ in 0..2 {
        let mut headers = operator("default");
        headers.push(header("last-event-id", &cursor));
        let mut stream = gateway.open("/v1/payments/events", &headers).await;
        let (_, missed) = next_message(&mut stream).await;
        assert_eq!(missed["type"], "changes", "{missed}");
        let told = |id: &str| {
            let payments = missed["payments"].as_array().unwrap();
            payments.iter().find(|payment| payment["payment"] == id).map(|payment| payment["status"].clone())
        };
        assert_eq!((told("pay_1"), told("pay_2")), (Some("captured".into()), Some("processing".into())));
        gateway.kill();
        gateway.restart().await;
    }
    // What is no cursor gets the page, with the reason.
    let mut headers = operator("default");
    headers.push(header("last-event-id", "0-0"));
    let mut stream = gateway.open("/v1/payments/events", &headers).await;
    let (_, page) = next_message(&mut stream).await;
    assert_eq!((&page["type"], &page["reason"]), (&"page".into(), &"unknown_cursor".into()));
}

#[tokio::test]
async fn heartbeats_age_and_drain_are_those_of_every_stream() {
    let mut gateway = Gateway::with(Setup::stream("heartbeat = \"1s\"\ndrain = \"1s\"")).await;
    let mut stream = events(&gateway, "?heartbeat=event").await;
    next_message(&mut stream).await;
    let heartbeat = loop {
        let event = stream.event(PATIENCE).await.unwrap();
        if event.kind == "heartbeat" {
            break event;
        }
    };
    assert_eq!(heartbeat.data, "{}");
    assert!(!heartbeat.id.is_empty());
    gateway.terminate();
    let (messages, _) = read_to_end(&mut stream).await;
    let last = messages.last().unwrap();
    assert_eq!((&last["type"], &last["reason"]), (&"closing".into(), &"drain".into()));
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let gateway = Gateway::with(Setup { access: "leeway = \"0s\"".to_owned(), ..Setup::default() }).await;
    let mut claims = claims("default", &["*"]);
    let iat = claims["iat"].as_u64().unwrap();
    claims["exp"] = (iat + 3).into();
    let token = jwt_hs256("ops", OPERATOR_KEY.as_bytes(), &claims);
    let mut stream = gateway.open(&format!("/v1/payments/events?access_token={token}"), &[]).await;
    let (messages, _) = read_to_end(&mut stream).await;
    assert_eq!(messages.last().unwrap()["reason"], "token_expired");
}

#[tokio::test]
async fn an_erased_payment_is_told_gone_and_listed_no_more() {
    let gateway = Gateway::start().await;
    for payment in ["pay_1", "pay_2"] {
        gateway.accept(&generic("e1", "pending", payment, 1_700_000_000)).await;
    }
    let mut stream = events(&gateway, "").await;
    next_message(&mut stream).await;
    let admin = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    let erased = request(gateway.admin, "DELETE", "/admin/payments/pay_1?realm=default", &admin, b"").await;
    assert_eq!(erased.unwrap().head.status, 200);
    assert_eq!(until(&mut stream, "pay_1").await, None);
    assert_eq!(ids(&page(&gateway, "").await["payments"]), ["pay_2"]);
}

#[tokio::test]
async fn only_a_token_for_all_payments_opens_the_list() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let named = vec![header("authorization", &format!("Bearer {}", token("default", &["pay_1", "events"])))];
    for path in ["/v1/payments", "/v1/payments/events", "/v1/payments?x=1"] {
        let refused = gateway.get(path, &named).await;
        assert_eq!(
            (refused.head.status, &refused.json()["reason"]),
            (403, &"needs_all_payments".into()),
            "{path}"
        );
        let refused = gateway.get(path, &[]).await;
        assert_eq!(
            (refused.head.status, &refused.json()["reason"]),
            (401, &"missing_token".into()),
            "{path}"
        );
    }
    // Another realm's list is another one.
    let other = gateway.get("/v1/payments", &operator("other")).await;
    assert_eq!(other.json()["payments"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn events_is_no_payments_id() {
    let gateway = Gateway::start().await;
    for path in ["/v1/payments/events/events", "/v1/events?payment=events"] {
        let refused = gateway.get(path, &operator("default")).await;
        assert_eq!((refused.head.status, &refused.json()["reason"]), (400, &"bad_payment".into()), "{path}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("/v1/payments/events"), "{path}");
    }
    gateway.post("acme", &generic("e1", "pending", "events", 1_700_000_000)).await;
    let quarantined = [r#"outcome="quarantined""#, r#"reason="bad_payment_id""#];
    eventually("it is quarantined", async || gateway.events(&quarantined).await == 1).await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_the_list() {
    let gateway = Gateway::start().await;
    for path in ["/v1/payments", "/v1/payments/events", "/v1/payments?limit=0"] {
        for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false)] {
            let mut headers = operator("default");
            headers.push(header("origin", origin));
            let mut stream = gateway.open(path, &headers).await;
            let answer = stream.head.header("access-control-allow-origin");
            assert_eq!(answer == Some(origin), allowed, "{path} {origin}");
            drop(stream.next().await);
        }
    }
}

#[tokio::test]
async fn a_realm_has_so_many_streams_and_no_more() {
    let gateway = Gateway::with(Setup::limits("streams_per_realm = 2")).await;
    let mut open = vec![events(&gateway, "").await, events(&gateway, "").await];
    for stream in &mut open {
        next_message(stream).await;
    }
    let mut third = events(&gateway, "").await;
    let (messages, _) = read_to_end(&mut third).await;
    assert_eq!(messages.last().unwrap()["reason"], "overload");
    assert!((gateway.metric("paystream_limit_hits_total", &["streams_per_realm"]).await - 1.0).abs() < 0.1);
    assert!((gateway.metric("paystream_streams_open", &[]).await - 2.0).abs() < 0.1);
    let other = gateway.open("/v1/payments/events", &operator("other")).await;
    assert_eq!(other.head.status, 200);
    open.pop();
    eventually("a place is free again", async || {
        let mut stream = events(&gateway, "").await;
        next_message(&mut stream).await.1["type"] == "page"
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_all_payments_never_ends_by_itself() {
    let gateway = Gateway::start().await;
    let refused = gateway.get("/v1/payments/events?until=finished", &operator("default")).await;
    assert_eq!((refused.head.status, &refused.json()["reason"]), (400, &"bad_parameter".into()));
    let mut headers = operator("default");
    headers.push(header("accept", "application/json"));
    assert_eq!(gateway.get("/v1/payments/events", &headers).await.head.status, 406);
    let mut stream = events(&gateway, "").await;
    assert!(matches!(stream.next().await.unwrap(), Next::Item(_)));
}
