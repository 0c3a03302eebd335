//! Erasing a payment: by the command and by its route, on both stores, and how the streams learn of it.

use crate::support::{
    ADMIN_TOKEN, Gateway, Proxy, RedisServer, Setup, Store, Trouble, eventually, generic, header,
    next_message, now_s, paystream,
};
use load::http::{Response, request};
use serde_json::{Value, json};
use std::fs;

/// Sends the request of an erasure.
async fn erase(gateway: &Gateway, path: &str) -> Response {
    let token = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, "DELETE", path, &token, b"").await.unwrap()
}

/// Runs the command, and returns what it prints.
async fn run(gateway: &Gateway, arguments: &[&str]) -> String {
    let mut command = paystream();
    command.arg("erase").arg("--config").arg(gateway.config_path()).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn admin(gateway: &Gateway, path: &str) -> Response {
    let token = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, "GET", path, &token, b"").await.unwrap()
}

/// The payments of the records that the admin listener lists of a source.
async fn recorded(gateway: &Gateway, log: &str, source: &str) -> Vec<String> {
    let page = admin(gateway, &format!("/admin/{log}?source={source}")).await.json();
    let records = page["records"].as_array().unwrap();
    records.iter().map(|record| record["payment"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What must hold on either store, with the streams on `nodes`, of which the last one takes webhooks.
async fn a_payment_is_erased_everywhere(nodes: &[Gateway]) {
    let gateway = nodes.last().unwrap();
    let started = now_s();
    for (id, payment) in [("e1", "pay_1"), ("e2", "pay_2"), ("e3", "pay_1")] {
        gateway.accept(&generic(id, "pending", payment, started)).await;
    }
    // The same event with other facts, which goes to the quarantine, and the payment of that name of another realm.
    gateway.post("acme", &generic("e1", "failed", "pay_1", started)).await;
    gateway.post("other", &generic("e1", "pending", "pay_1", started)).await;
    eventually("all is recorded", async || recorded(gateway, "deliveries", "acme").await.len() == 4).await;
    assert_eq!(recorded(gateway, "quarantine", "acme").await, ["pay_1"]);
    let (mut streams, mut others) = (Vec::new(), Vec::new());
    for node in nodes {
        let mut stream = node.stream("pay_1").await;
        let (cursor, first) = next_message(&mut stream).await;
        assert_eq!(first["seq"], 2);
        streams.push((stream, cursor));
        let mut other = node.stream("pay_2").await;
        next_message(&mut other).await;
        others.push(other);
    }

    // What is noted of the streams is written within a second, and goes too.
    eventually("the streams are noted", async || {
        let receipt = admin(gateway, "/admin/receipts?payment=pay_1&realm=default").await.json();
        let opened = receipt["streams"]
            .as_array()
            .map(|streams| streams.iter().filter_map(|stream| stream["opened"].as_u64()).sum());
        opened == Some(nodes.len() as u64)
    })
    .await;
    let mut said: Value =
        serde_json::from_str(&run(gateway, &["--payment", "pay_1", "--json"]).await).unwrap();
    assert!(said["removed"]["receipts"].as_u64() > Some(0), "{said}");
    said["removed"]["receipts"] = 0.into();
    let removed = json!({ "events": 2, "references": 2, "deliveries": 3, "quarantined": 1, "confirmations": 0, "receipts": 0 });
    assert_eq!(said, json!({ "payment": "pay_1", "realm": "default", "known": true, "removed": removed }));

    let mut cursors = Vec::new();
    for (stream, old) in &mut streams {
        let (cursor, snapshot) = next_message(stream).await;
        assert_eq!(
            (cursor.as_str(), &snapshot["type"], &snapshot["reason"], &snapshot["status"]),
            ("0-0", &"snapshot".into(), &"erased".into(), &"unknown".into())
        );
        assert_eq!((&snapshot["seq"], &snapshot["timeline"]), (&0.into(), &json!([])));
        cursors.push(std::mem::take(old));
    }
    for node in nodes {
        assert_eq!(node.snapshot("pay_1").await["status"], "unknown");
        assert_eq!(node.snapshot("pay_2").await["seq"], 1);
    }
    assert_eq!(recorded(gateway, "deliveries", "acme").await, ["pay_2"]);
    assert_eq!(recorded(gateway, "quarantine", "acme").await, Vec::<String>::new());
    assert_eq!(recorded(gateway, "deliveries", "other").await, ["pay_1"], "another realm's payment stays");

    // Once more there is nothing, and it says so.
    let nothing = run(gateway, &["--payment", "pay_1"]).await;
    assert!(nothing.starts_with("nothing is known of payment pay_1 in realm default"), "{nothing}");
    assert!((gateway.metric("paystream_erasures_total", &[]).await - 1.0).abs() < 0.001);

    // A late webhook begins a new log, which honours none of the old cursors.
    gateway.accept(&generic("e3", "confirmed", "pay_1", started)).await;
    for ((stream, _), cursor) in streams.iter_mut().zip(cursors) {
        let (_, news) = next_message(stream).await;
        assert_eq!((&news["type"], &news["seq"]), (&"update".into(), &1.into()));
        let mut resumed = gateway.resume("pay_1", &cursor).await;
        let (_, first) = next_message(&mut resumed).await;
        assert_eq!((&first["type"], &first["seq"]), (&"snapshot".into(), &1.into()));
        assert_eq!(first["timeline"].as_array().unwrap().len(), 1, "{first}");
    }
    // The streams of other payments saw nothing of it.
    gateway.accept(&generic("e4", "confirmed", "pay_2", started)).await;
    for other in &mut others {
        assert_eq!(next_message(other).await.1["seq"], 2);
    }
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("a payment was erased")).expect("a line of the log");
    assert!(!line.contains("pay_1"), "{line}");
}

#[tokio::test]
async fn a_payment_is_erased_on_the_embedded_store() {
    let mut node = [Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await];
    a_payment_is_erased_everywhere(&node).await;
    // The erasure is as durable as an append.
    node[0].accept(&generic("e5", "pending", "pay_3", now_s())).await;
    run(&node[0], &["--payment", "pay_3"]).await;
    node[0].kill();
    node[0].restart().await;
    assert_eq!(node[0].snapshot("pay_3").await["status"], "unknown");
}

#[tokio::test]
async fn a_payment_is_erased_on_redis_for_the_streams_of_every_node() {
    let redis = RedisServer::start().await;
    let nodes = [Gateway::with(Setup::on(&redis)).await, Gateway::with(Setup::on(&redis)).await];
    a_payment_is_erased_everywhere(&nodes).await;
    // No key and no value of the server names an erased payment any more.
    nodes[1].accept(&generic("e9", "pending", "pay_erased", now_s())).await;
    eventually("it is recorded", async || {
        recorded(&nodes[1], "deliveries", "acme").await.contains(&"pay_erased".to_owned())
    })
    .await;
    run(&nodes[1], &["--payment", "pay_erased"]).await;
    let keys = redis.ask(&["KEYS", "*"]);
    assert!(!keys.contains("pay_erased"), "{keys}");
    for key in keys.lines().filter(|line| line.starts_with("ps:")) {
        let value = redis.ask(&["DUMP", key.trim()]);
        assert!(!value.contains("pay_erased"), "{key} holds the payment's id");
    }
}

#[tokio::test]
async fn a_node_that_missed_the_notice_of_an_erasure_finds_out() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::to(redis.address).await;
    let through = Store::Redis { url: format!("redis://{}", proxy.address), more: String::new() };
    let deaf = Gateway::with(Setup { store: through, ..Setup::default() }).await;
    let other = Gateway::with(Setup::on(&redis)).await;
    other.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let mut stream = deaf.stream("pay_1").await;
    assert_eq!(next_message(&mut stream).await.1["seq"], 1);
    proxy.set(Trouble::LostNotices);
    run(&other, &["--payment", "pay_1"]).await;
    let (_, snapshot) = next_message(&mut stream).await;
    assert_eq!((&snapshot["reason"], &snapshot["seq"]), (&"erased".into(), &0.into()));
}

#[tokio::test]
async fn an_erasure_needs_the_token_a_payment_and_its_realm() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay/1", now_s())).await;
    let open = request(gateway.admin, "DELETE", "/admin/payments/pay%2F1?realm=default", &[], b"").await;
    assert_eq!(open.unwrap().head.status, 401);
    for (path, reason) in [
        ("/admin/payments/pay%2F1", "bad_parameter"),
        ("/admin/payments/pay%2F1?realm=", "bad_parameter"),
        ("/admin/payments/pay%2F1?realm=default&force=1", "bad_parameter"),
        ("/admin/payments/*?realm=default", "bad_payment"),
        ("/admin/payments/%0A?realm=default", "bad_payment"),
    ] {
        let answer = erase(&gateway, path).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (400, &reason.into()), "{path}");
    }
    let posted = admin(&gateway, "/admin/payments/pay%2F1?realm=default").await;
    assert_eq!(posted.head.status, 405);
    for (realm, known) in [("other", false), ("never", false), ("default", true), ("default", false)] {
        let answer = erase(&gateway, &format!("/admin/payments/pay%2F1?realm={realm}")).await;
        assert_eq!((answer.head.status, &answer.json()["known"]), (200, &known.into()), "{realm}");
    }
    // A command whose token is wrong says so, and erases nothing.
    gateway.accept(&generic("e2", "pending", "pay_2", now_s())).await;
    let config = fs::read_to_string(gateway.config_path()).unwrap();
    let wrong = gateway.folder().join("wrong.toml");
    let token = gateway.folder().join("wrong.secret");
    fs::write(&token, "0123456789abcdef0123456789abcdef01234567").unwrap();
    let (before, after) = config.split_once("[admin]").unwrap();
    let rest = after.trim_start().split_once('\n').unwrap().1;
    fs::write(&wrong, format!("{before}[admin]\ntoken = \"file:{}\"\n{rest}", token.display())).unwrap();
    let mut command = paystream();
    command.args(["erase", "--payment", "pay_2", "--config"]).arg(&wrong);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(gateway.snapshot("pay_2").await["seq"], 1);
}
