//! The receipt of a payment: what each page was told and when, on both stores; and that nothing waits for it.

use crate::support::{
    ADMIN_TOKEN, Gateway, PATIENCE, RedisServer, Setup, Store, TOKEN_KEY, claims, eventually, generic,
    header, next_message, now_s, paystream, token,
};
use load::{
    http::{Response, request},
    sign,
    stream::Stream,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The token of a page, with this subject.
fn page(payment: &str, subject: &str) -> String {
    let mut claims = claims("default", &[payment]);
    claims["sub"] = subject.into();
    sign::jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims)
}

fn bearer(token: &str) -> Vec<(String, String)> {
    vec![header("authorization", &format!("Bearer {token}"))]
}

/// Opens the stream of a payment where `cursor` left off, and reads its first message.
async fn open(gateway: &Gateway, payment: &str, token: &str, cursor: Option<&str>) -> (Stream, String) {
    let mut headers = bearer(token);
    headers.extend(cursor.map(|cursor| header("last-event-id", cursor)));
    let mut stream = gateway.open(&format!("/v1/payments/{payment}/events"), &headers).await;
    let (cursor, _) = next_message(&mut stream).await;
    (stream, cursor)
}

async fn admin(gateway: &Gateway, query: &str) -> Response {
    request(gateway.admin, "GET", &format!("/admin/receipts{query}"), &bearer(ADMIN_TOKEN), b"")
        .await
        .unwrap()
}

/// The receipt of a payment, once it has what is waited for.
async fn receipt(gateway: &Gateway, payment: &str, what: &str, has: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = admin(gateway, &format!("?payment={payment}&realm=default")).await;
        let said = answer.json();
        if answer.head.status == 200 && has(&said) {
            return said;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}: {said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The line of a stream.
fn stream<'a>(receipt: &'a Value, id: &str) -> &'a Value {
    let streams = receipt["streams"].as_array().unwrap();
    streams.iter().find(|stream| stream["stream"] == id).unwrap_or(&Value::Null)
}

/// The moments of one kind.
fn moments<'a>(receipt: &'a Value, what: &str) -> Vec<&'a Value> {
    let timeline = receipt["timeline"].as_array().unwrap();
    timeline.iter().filter(|moment| moment["what"] == what).collect()
}

/// A page says that it has shown an entry.
async fn shown(gateway: &Gateway, payment: &str, headers: &[(String, String)], body: &str) -> Response {
    let path = format!("/v1/payments/{payment}/shown");
    request(gateway.public, "POST", &path, headers, body.as_bytes()).await.unwrap()
}

async fn the_receipt_tells_what_each_page_was_told_and_when(gateway: &Gateway) {
    let (ann, ben) = (page("pay_1", "ann"), page("pay_1", "ben"));
    let (mut first, _) = open(gateway, "pay_1", &ann, None).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let (cursor, _) = next_message(&mut first).await;
    drop(first);
    // Ben comes later, and is told all at once.
    let (mut second, _) = open(gateway, "pay_1", &ben, None).await;
    receipt(gateway, "pay_1", "the first stream is closed", |said| stream(said, "sub:ann")["open"] == false)
        .await;
    gateway.accept(&generic("e2", "confirmed", "pay_1", now_s())).await;
    assert_eq!(next_message(&mut second).await.1["seq"], 2);
    let (resumed, _) = open(gateway, "pay_1", &ann, Some(&cursor)).await;
    let text = [header("content-type", "text/plain;charset=UTF-8")];
    let path = format!("/v1/payments/pay_1/shown?access_token={ann}");
    let answer = request(gateway.public, "POST", &path, &text, b"{\"seq\":2}").await.unwrap();
    assert_eq!((answer.head.status, answer.text().as_str()), (204, ""));
    // A repeated delivery is told too.
    gateway.accept(&generic("e2", "confirmed", "pay_1", now_s())).await;

    let said = receipt(gateway, "pay_1", "all is there", |said| {
        let ann = stream(said, "sub:ann");
        ann["shown"].as_array().is_some_and(|shown| shown.len() == 1)
            && ann["resumed"] == 1
            && stream(said, "sub:ben")["written"].as_array().is_some_and(|written| written.len() == 2)
            && moments(said, "received").len() == 3
    })
    .await;
    assert_eq!(
        (&said["payment"], &said["realm"], &said["sampled"]),
        (&json!("pay_1"), &json!("default"), &json!(false))
    );
    let timeline = said["timeline"].as_array().unwrap();
    let times: Vec<_> = timeline.iter().map(|moment| moment["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{said}");
    for seq in [1, 2] {
        let words: Vec<_> = timeline
            .iter()
            .filter(|moment| moment["seq"] == seq && moment["outcome"] != "duplicate")
            .map(|moment| moment["what"].as_str().unwrap())
            .filter(|what| {
                ["received", "verified", "appended", "heard", "fanned_out", "written", "shown"].contains(what)
            })
            .collect();
        let mut order = words.clone();
        order.dedup();
        let expected = ["received", "verified", "appended", "heard", "fanned_out", "written"];
        assert_eq!(order[..6], expected, "{seq}: {said}");
    }
    let verified = moments(&said, "verified");
    assert!(
        verified.iter().all(|moment| {
            moment["key"].as_str().is_some_and(|key| key.ends_with("acme-0.secret"))
                && moment["source"] == "acme"
        }),
        "{said}"
    );
    assert!(moments(&said, "appended").iter().all(|moment| moment["took_us"].as_u64() > Some(0)), "{said}");
    let heard = moments(&said, "heard");
    assert!(heard.len() == 2 && heard.iter().all(|moment| moment["node"] == heard[0]["node"]), "{said}");
    let ann = stream(&said, "sub:ann");
    assert_eq!((&ann["subject"], &ann["token"]), (&json!("ann"), &Value::Null));
    assert_eq!(
        (&ann["opened"], &ann["resumed"], &ann["closed"], &ann["open"]),
        (&1.into(), &1.into(), &1.into(), &true.into())
    );
    let written: Vec<_> = ann["written"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["seq"].as_u64(), one["as"].as_str()))
        .collect();
    assert_eq!(written, [(Some(0), Some("snapshot")), (Some(1), Some("update")), (Some(2), Some("update"))]);
    assert_eq!((&ann["shown"][0]["seq"], &ann["reason"]), (&2.into(), &"gone".into()));
    let duplicate =
        moments(&said, "received").into_iter().find(|moment| moment["outcome"] == "duplicate").unwrap();
    assert_eq!(duplicate["seq"], 2);
    let text = said.to_string();
    for secret in [ann["token"].as_str().unwrap_or("no token"), &page("pay_1", "ann"), ADMIN_TOKEN] {
        assert!(!text.contains(secret), "{secret}");
    }
    drop((resumed, second));

    // The command says the same, and what it does not know is told with what is like it.
    let run = |arguments: &[&str]| {
        let mut command = paystream();
        command.args(["receipts", "--config"]).arg(gateway.config_path()).args(arguments);
        async move { tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap() }
    };
    let output = run(&["pay_1"]).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("verified") && printed.contains("sub:ann: opened 1, resumed 1"), "{printed}");
    let output = run(&["pay_1", "--json"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["payment"], "pay_1");
    let output = run(&["pay_l"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is pay_1"));
}

#[tokio::test]
async fn a_receipt_tells_what_each_page_was_told_on_the_embedded_store() {
    let gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    the_receipt_tells_what_each_page_was_told_and_when(&gateway).await;
}

#[tokio::test]
async fn a_receipt_tells_what_each_page_was_told_on_redis() {
    let redis = RedisServer::start().await;
    let gateway = Gateway::with(Setup::on(&redis)).await;
    the_receipt_tells_what_each_page_was_told_and_when(&gateway).await;
    let key = redis.keys("*:receipt:*").pop().unwrap();
    let left_ms: u64 = redis.ask(&["PTTL", &key]).trim().trim_start_matches(':').parse().unwrap();
    assert!((44 * 86_400_000..=45 * 86_400_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn every_node_that_hears_of_an_event_is_in_its_receipt() {
    let redis = RedisServer::start().await;
    let nodes = [Gateway::with(Setup::on(&redis)).await, Gateway::with(Setup::on(&redis)).await];
    let (mut one, _) = open(&nodes[0], "pay_1", &page("pay_1", "ann"), None).await;
    let (mut other, _) = open(&nodes[1], "pay_1", &page("pay_1", "ben"), None).await;
    nodes[0].accept(&generic("e1", "pending", "pay_1", now_s())).await;
    for stream in [&mut one, &mut other] {
        assert_eq!(next_message(stream).await.1["seq"], 1);
    }
    let said =
        receipt(&nodes[1], "pay_1", "both have heard", |said| moments(said, "fanned_out").len() == 2).await;
    let named: Vec<_> = moments(&said, "heard").iter().map(|moment| moment["node"].clone()).collect();
    assert!(named.len() == 2 && named[0] != named[1], "{said}");
    assert!(moments(&said, "fanned_out").iter().all(|moment| moment["streams"] == 1), "{said}");
}

#[tokio::test]
async fn a_flood_of_streams_is_sampled_and_all_of_them_are_counted() {
    let gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    let mut streams = Vec::new();
    for number in 0..130 {
        streams.push(open(&gateway, "pay_1", &page("pay_1", &format!("page-{number}")), None).await.0);
    }
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    for stream in &mut streams {
        assert_eq!(next_message(stream).await.1["seq"], 1);
    }
    let said = receipt(&gateway, "pay_1", "the event is written", |said| {
        moments(said, "fanned_out").iter().filter_map(|moment| moment["streams"].as_u64()).sum::<u64>() == 130
            && moments(said, "written").len() == 200
    })
    .await;
    assert_eq!((&said["sampled"], said["streams"].as_array().unwrap().len()), (&true.into(), 100));
    // Whoever is noted at all is noted wholly.
    for stream in said["streams"].as_array().unwrap() {
        assert_eq!(
            (stream["written"].as_array().unwrap().len(), &stream["opened"]),
            (2, &1.into()),
            "{stream}"
        );
    }
}

/// Notes of a store that does not answer are dropped and counted; nobody waits for them.
#[tokio::test]
async fn receipts_that_cannot_be_written_hold_up_no_webhook_and_no_stream() {
    let redis = RedisServer::start().await;
    let gateway = Gateway::with(Setup::on(&redis)).await;
    let (mut watched, _) = open(&gateway, "pay_0", &page("pay_0", "ann"), None).await;
    // What a receipt is written into is something else, so that the server refuses it and nothing but it.
    gateway.accept(&generic("e0", "pending", "pay_0", now_s())).await;
    receipt(&gateway, "pay_0", "it is written", |said| !said["streams"].as_array().unwrap().is_empty()).await;
    let key = redis.keys("*:receipt:*").pop().unwrap();
    redis.ask(&["SET", &key, "no hash"]);
    next_message(&mut watched).await;
    let mut slowest = Duration::ZERO;
    for number in 1..40 {
        let began = Instant::now();
        gateway.accept(&generic(&format!("e{number}"), "pending", "pay_0", now_s())).await;
        assert_eq!(next_message(&mut watched).await.1["seq"], number + 1);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    eventually("what was refused is counted", async || {
        gateway.metric("paystream_receipts_dropped_total", &["reason=\"store\""]).await > 0.0
    })
    .await;
    assert!(gateway.metric("paystream_receipts_dropped_total", &["reason=\"queue\""]).await < 1.0);
}

#[tokio::test]
async fn a_page_may_say_what_it_has_shown_and_nobody_else_for_it() {
    let gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let mine = bearer(&page("pay_1", "ann"));
    for (headers, payment, body, status, reason) in [
        (vec![], "pay_1", "{\"seq\":1}", 401, "missing_token"),
        (bearer("no.token.atall"), "pay_1", "{\"seq\":1}", 401, "malformed_token"),
        (bearer(&token("other", &["pay_1"])), "pay_2", "{\"seq\":1}", 403, "foreign_payment"),
        (mine.clone(), "pay_2", "{\"seq\":0}", 403, "foreign_payment"),
        (mine.clone(), "%0A", "{\"seq\":0}", 400, "bad_payment"),
        (mine.clone(), "pay_1", "", 400, "bad_acknowledgement"),
        (mine.clone(), "pay_1", "{\"seq\":-1}", 400, "bad_acknowledgement"),
        (mine.clone(), "pay_1", "{\"seq\":1,\"card\":\"4242424242424242\"}", 400, "bad_acknowledgement"),
        (mine.clone(), "pay_1", "{\"seq\":2}", 400, "unknown_entry"),
        (mine.clone(), "pay_1", "{\"seq\":18446744073709551615}", 400, "unknown_entry"),
        (mine.clone(), "pay_1", &"x".repeat(257), 413, "bad_acknowledgement"),
    ] {
        let answer = shown(&gateway, payment, &headers, body).await;
        assert_eq!(
            (answer.head.status, &answer.json()["reason"]),
            (status, &reason.into()),
            "{payment} {body}"
        );
    }
    // A cookie is added by the browser to the requests of any page.
    let cookie = |origin: &str| {
        vec![header("cookie", &format!("paystream_token={}", page("pay_1", "ben"))), header("origin", origin)]
    };
    let own = format!("http://{}", gateway.public);
    for (origin, status) in
        [("https://evil.example", 403), ("null", 403), ("https://shop.example", 204), (&own, 204)]
    {
        let answer = shown(&gateway, "pay_1", &cookie(origin), "{\"seq\":1}").await;
        assert_eq!(answer.head.status, status, "{origin}: {}", answer.text());
    }
    let answer = shown(&gateway, "pay_1", &mine, "{\"seq\":1}").await;
    assert_eq!(answer.head.status, 204);
    let listed = [mine.clone(), vec![header("origin", "https://shop.example")]].concat();
    let answer = shown(&gateway, "pay_1", &listed, "{\"seq\":1}").await;
    assert_eq!(answer.head.header("access-control-allow-origin"), Some("https://shop.example"));

    // A token that goes on and on is told to stop, another one is not.
    let mut refused = None;
    for _ in 0..30 {
        let answer = shown(&gateway, "pay_1", &mine, "{\"seq\":1}").await;
        if answer.head.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    assert_eq!(refused.json()["reason"], "too_many_acknowledgements");
    assert!(refused.head.header("retry-after").is_some());
    assert!(gateway.metric("paystream_limit_hits_total", &["acknowledgements"]).await > 0.0);
    assert_eq!(
        shown(&gateway, "pay_1", &bearer(&page("pay_1", "eve")), "{\"seq\":1}").await.head.status,
        204
    );

    let said = receipt(&gateway, "pay_1", "eve is noted", |said| stream(said, "sub:eve").is_object()).await;
    assert!(!said.to_string().contains("4242"), "{said}");
    let closed = request(gateway.public, "GET", "/v1/payments/pay_1/shown", &mine, b"").await.unwrap();
    assert_eq!((closed.head.status, closed.head.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn an_erasure_takes_the_receipt_and_an_open_page_does_not_bring_it_back() {
    let redis = RedisServer::start().await;
    let nodes = [Gateway::with(Setup::on(&redis)).await, Gateway::with(Setup::on(&redis)).await];
    nodes[0].accept(&generic("e1", "pending", "pay_erased", now_s())).await;
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(open(node, "pay_erased", &page("pay_erased", "ann"), None).await.0);
    }
    receipt(&nodes[0], "pay_erased", "the pages are noted", |said| stream(said, "sub:ann")["opened"] == 2)
        .await;
    let path = "/admin/payments/pay_erased?realm=default";
    let erased = request(nodes[1].admin, "DELETE", path, &bearer(ADMIN_TOKEN), b"").await.unwrap().json();
    assert!(erased["removed"]["receipts"].as_u64() > Some(0), "{erased}");
    for stream in &mut streams {
        assert_eq!(next_message(stream).await.1["reason"], "erased");
    }
    drop(streams);
    // More than it takes until something is written.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let answer = admin(&nodes[0], "?payment=pay_erased").await;
    assert_eq!((answer.head.status, &answer.json()["reason"]), (404, &"unknown_payment".into()));
    let keys = redis.ask(&["KEYS", "*"]);
    assert!(!keys.contains("pay_erased"), "{keys}");
}

#[tokio::test]
async fn the_receipts_need_the_token_and_a_query_that_is_understood() {
    let gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    for token in [vec![], bearer("wrong-token-of-some-length"), bearer(&token("default", &["pay_1"]))] {
        let answer =
            request(gateway.admin, "GET", "/admin/receipts?payment=pay_1", &token, b"").await.unwrap();
        assert_eq!(answer.head.status, 401);
    }
    for (query, status, reason) in [
        ("", 400, "bad_payment"),
        ("?payment=*", 400, "bad_payment"),
        ("?payment=pay_1&payment=pay_2", 400, "bad_parameter"),
        ("?payment=pay_1&colour=red", 400, "bad_parameter"),
        ("?payment=pay_1&live=maybe", 400, "bad_parameter"),
        ("?payment=pay_1&realm=", 400, "bad_parameter"),
        ("?payment=pay_1&realm=other", 404, "unknown_payment"),
        ("?payment=pay_1&live=false", 404, "unknown_payment"),
        ("?payment=pay_9", 404, "unknown_payment"),
    ] {
        let answer = admin(&gateway, query).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (status, &reason.into()), "{query}");
    }
    // The same id in another realm is another payment, and nothing is said of both at once.
    gateway.post("other", &generic("e1", "confirmed", "pay_1", now_s())).await;
    let answer = admin(&gateway, "?payment=pay_1").await;
    assert_eq!(answer.head.status, 400, "{}", answer.text());
    let answer = admin(&gateway, "?payment=pay_1&realm=other").await.json();
    assert_eq!(
        (&answer["realm"], &answer["timeline"][0]["type"]),
        (&"other".into(), &"payment.confirmed".into())
    );
}

#[tokio::test]
async fn receipts_can_be_turned_off() {
    let setup = Setup { store: Store::Embedded, receipts: false, ..Setup::default() };
    let gateway = Gateway::with(setup).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let (mut open, _) = open(&gateway, "pay_1", &page("pay_1", "ann"), None).await;
    gateway.accept(&generic("e2", "confirmed", "pay_1", now_s())).await;
    assert_eq!(next_message(&mut open).await.1["seq"], 2);
    assert_eq!(
        shown(&gateway, "pay_1", &bearer(&page("pay_1", "ann")), "{\"seq\":2}").await.head.status,
        204
    );
    let answer = admin(&gateway, "?payment=pay_1").await;
    assert_eq!((answer.head.status, &answer.json()["reason"]), (404, &"receipts_off".into()));
}
