//! What operators see of open streams, and how they end some: by the route and by the command, on both stores.

use crate::support::{
    ADMIN_TOKEN, Gateway, PATIENCE, RedisServer, Setup, Store, TOKEN_KEY, claims, eventually, generic,
    header, message, next_message, now_s, paystream, stays_silent,
};
use load::{
    http::{Response, request},
    sign,
    stream::Stream,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

async fn ask(gateway: &Gateway, method: &str, path: &str) -> Response {
    let token = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, method, &format!("/admin/{path}"), &token, b"").await.unwrap()
}

/// The payments of the streams that a query finds, and how many there are.
async fn found(gateway: &Gateway, query: &str) -> (u64, BTreeSet<String>) {
    let answer = ask(gateway, "GET", &format!("streams{query}")).await;
    assert_eq!(answer.head.status, 200, "{query}: {}", answer.text());
    let answer = answer.json();
    let payments = answer["streams"].as_array().unwrap().iter().map(|stream| stream["payments"][0].clone());
    let payments = payments.map(|payment| payment.as_str().unwrap_or("all").to_owned()).collect();
    (answer["count"].as_u64().unwrap(), payments)
}

/// Opens the stream of a payment with a token of this subject.
async fn open(gateway: &Gateway, payment: &str, subject: &str) -> Stream {
    let mut claims = claims("default", &[payment]);
    claims["sub"] = subject.into();
    let token = sign::jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims);
    let token = [header("authorization", &format!("Bearer {token}"))];
    let mut stream = gateway.open(&format!("/v1/payments/{payment}/events"), &token).await;
    assert_eq!(next_message(&mut stream).await.1["payment"], payment);
    stream
}

/// Reads until the stream is closed, and returns what it says last.
async fn closing(stream: &mut Stream) -> Value {
    loop {
        let message = message(&stream.event(PATIENCE).await.unwrap());
        if message["type"] == "closing" {
            assert!(stream.event(PATIENCE).await.is_err(), "nothing follows");
            return message;
        }
    }
}

async fn streams_are_listed_and_closed(gateway: &Gateway) {
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let mut one = open(gateway, "pay_1", "customer-1").await;
    let mut other = open(gateway, "pay_2", "customer-1").await;
    let mut third = open(gateway, "pay_3", "customer-2").await;
    let mut nobody = gateway.stream("pay_4").await;
    next_message(&mut nobody).await;
    let all =
        |payments: &[&str]| payments.iter().map(|payment| (*payment).to_owned()).collect::<BTreeSet<_>>();
    for (query, expected) in [
        ("", &["pay_1", "pay_2", "pay_3", "pay_4"][..]),
        ("?subject=customer-1", &["pay_1", "pay_2"]),
        ("?payment=pay_3", &["pay_3"]),
        ("?payment=pay_3&realm=default&subject=customer-2", &["pay_3"]),
        ("?realm=other", &[]),
        ("?min_age_s=3600", &[]),
        ("?min_lag=1", &[]),
        ("?client=203.0.113.7", &[]),
    ] {
        assert_eq!(found(gateway, query).await, (expected.len() as u64, all(expected)), "{query}");
    }
    assert_eq!(found(gateway, "?limit=2").await.0, 4, "all are counted");
    let listed = ask(gateway, "GET", "streams?payment=pay_1").await.json()["streams"][0].clone();
    assert_eq!(
        (&listed["subject"], &listed["realm"], &listed["lag"], &listed["client"]),
        (&"customer-1".into(), &"default".into(), &0.into(), &Value::Null),
        "{listed}"
    );

    // One is closed and told why; no other is.
    let id = listed["id"].as_str().unwrap().to_owned();
    let closed = ask(gateway, "DELETE", &format!("streams/{id}?reason=a%20%22test%22")).await;
    assert_eq!(closed.json(), json!({ "closed": 1 }));
    let said = closing(&mut one).await;
    assert_eq!((&said["reason"], &said["detail"]), (&"operator".into(), &"a \"test\"".into()));
    eventually("it is gone", async || found(gateway, "").await.0 == 3).await;
    let again = ask(gateway, "DELETE", &format!("streams/{id}")).await;
    assert_eq!((again.head.status, &again.json()["reason"]), (404, &"unknown_stream".into()));

    // All of a subject, and no stream of another.
    let mut command = paystream();
    command.args(["streams", "close", "--subject", "customer-1", "--reason", "locked", "--config"]);
    command.arg(gateway.config_path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "closed: 1\n");
    assert_eq!(closing(&mut other).await["detail"], "locked");
    stays_silent(&mut third, Duration::from_millis(200)).await;
    gateway.accept(&generic("e2", "confirmed", "pay_3", now_s())).await;
    assert_eq!(next_message(&mut third).await.1["seq"], 1, "it goes on");
    eventually("two are left", async || found(gateway, "").await == (2, all(&["pay_3", "pay_4"]))).await;

    let closed = ask(gateway, "DELETE", "streams?payment=pay_3&realm=default").await;
    assert_eq!(closed.json(), json!({ "closed": 1 }));
    assert_eq!(closing(&mut third).await["detail"], "closed by an operator");
    let trail = ask(gateway, "GET", "audit?action=close").await.json();
    let entries = trail["entries"].as_array().unwrap();
    let said: Vec<_> = entries.iter().map(|entry| entry["target"].as_str().unwrap_or("-")).collect();
    assert_eq!(said, ["-", "subject customer-1", &format!("stream {id}")], "{trail}");
    assert!(entries[0]["payment"].is_string() && !trail.to_string().contains("pay_3"), "{trail}");
    let counted = gateway.metric("paystream_stream_closes_total", &["reason=\"operator\""]).await;
    assert!((counted - 3.0).abs() < 0.1, "{counted}");
    drop(nobody);
    eventually("none is left", async || found(gateway, "").await.0 == 0).await;
}

#[tokio::test]
async fn streams_are_listed_and_closed_on_the_embedded_store() {
    let gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    streams_are_listed_and_closed(&gateway).await;
}

#[tokio::test]
async fn streams_are_listed_and_closed_on_redis() {
    let redis = RedisServer::start().await;
    streams_are_listed_and_closed(&Gateway::with(Setup::on(&redis)).await).await;
}

/// Streams that stay in HTTP are found and closed like those that leave it.
#[tokio::test]
async fn a_stream_of_all_payments_is_listed_and_closed_too() {
    let gateway = Gateway::start().await;
    let token = sign::jwt_hs256("ops", crate::support::OPERATOR_KEY.as_bytes(), &claims("default", &["*"]));
    let token = [header("authorization", &format!("Bearer {token}"))];
    let mut stream = gateway.open("/v1/payments/events", &token).await;
    next_message(&mut stream).await;
    assert_eq!(found(&gateway, "?realm=default").await, (1, BTreeSet::from(["all".to_owned()])));
    let closed = ask(&gateway, "DELETE", "streams?realm=default&reason=moved").await;
    assert_eq!(closed.json(), json!({ "closed": 1 }));
    assert_eq!(closing(&mut stream).await["detail"], "moved");
    eventually("it is gone", async || found(&gateway, "").await.0 == 0).await;
}

#[tokio::test]
async fn what_does_not_say_which_streams_closes_none() {
    let gateway = Gateway::start().await;
    let mut stream = open(&gateway, "pay_1", "customer-1").await;
    for (method, path, status, reason, said) in [
        ("DELETE", "streams", 400, "bad_parameter", "say which streams"),
        ("DELETE", "streams?reason=x", 400, "bad_parameter", "say which streams"),
        ("DELETE", "streams?subjet=customer-1", 400, "bad_parameter", "`subject`"),
        ("DELETE", "streams?payment=pay_1", 400, "bad_parameter", "needs its `realm`"),
        ("DELETE", "streams?subject=customer-1&reason=", 400, "bad_parameter", "1 to 200 characters"),
        (
            "DELETE",
            "streams?payment=pay_1&realm=default&reason=of%20pay_1",
            400,
            "bad_parameter",
            "leave its id out",
        ),
        ("DELETE", "streams/r0-0-0", 404, "unknown_stream", "GET /admin/streams"),
        ("DELETE", "streams/%FF", 404, "unknown_stream", "GET /admin/streams"),
        ("DELETE", "streams/h0?subject=x", 400, "bad_parameter", "allowed: `reason`"),
        ("GET", "streams?client=localhost", 400, "bad_parameter", "an IP address"),
        ("GET", "streams?min_lag=-1", 400, "bad_parameter", "a number of events"),
        ("GET", "streams?limit=1001", 400, "bad_parameter", "a number from 1 to 1000"),
        ("GET", "streams?payment=pay_2", 404, "unknown_payment", "there is pay_1"),
    ] {
        let answer = ask(&gateway, method, path).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (status, &reason.into()), "{path}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{path}: {detail}");
    }
    stays_silent(&mut stream, Duration::from_millis(200)).await;
    assert_eq!(ask(&gateway, "GET", "audit").await.json()["entries"], json!([]));
    let none = request(gateway.admin, "DELETE", "/admin/streams?realm=default", &[], b"").await.unwrap();
    assert_eq!(none.head.status, 401);
    assert_eq!(found(&gateway, "").await.0, 1);
}

/// A client that does not read cannot be told, and holds nothing up.
#[tokio::test]
async fn many_streams_of_a_payment_are_closed_at_once() {
    let gateway = Gateway::start().await;
    let mut streams = Vec::new();
    for number in 0..300 {
        let subject = if number % 3 == 0 { "busy" } else { "calm" };
        streams.push(open(&gateway, "pay_1", subject).await);
    }
    assert_eq!(found(&gateway, "?subject=busy").await.0, 100);
    let closed = ask(&gateway, "DELETE", "streams?subject=busy&reason=enough").await;
    assert_eq!(closed.json(), json!({ "closed": 100 }));
    for (number, stream) in streams.iter_mut().enumerate() {
        if number % 3 == 0 {
            assert_eq!(closing(stream).await["detail"], "enough");
        }
    }
    eventually("the others are left", async || found(&gateway, "").await.0 == 200).await;
}
