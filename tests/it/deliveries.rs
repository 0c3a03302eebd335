//! What operators see of deliveries: filtered, a page at a time and live; by the route and by the command, on both stores.

use crate::support::{
    ADMIN_TOKEN, Gateway, Program, RedisServer, Setup, Store, eventually, generic, header, message,
    next_message, now_s, paystream, stripe,
};
use load::{
    http::{Response, request},
    stream::Stream,
};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

async fn ask(gateway: &Gateway, query: &str) -> Response {
    let token = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, "GET", &format!("/admin/deliveries{query}"), &token, b"").await.unwrap()
}

/// The events of the records that a query finds, the newest first.
async fn found(gateway: &Gateway, query: &str) -> Vec<String> {
    let answer = ask(gateway, query).await;
    assert_eq!(answer.head.status, 200, "{query}: {}", answer.text());
    events(answer.json()["records"].as_array().unwrap())
}

fn events(records: &[Value]) -> Vec<String> {
    let event = |record: &Value| record["event"].as_str().unwrap_or("-").to_owned();
    records.iter().map(event).collect()
}

async fn follow(gateway: &Gateway, query: &str, more: &[(String, String)]) -> Stream {
    let mut headers = vec![
        header("authorization", &format!("Bearer {ADMIN_TOKEN}")),
        header("accept", "text/event-stream"),
    ];
    headers.extend_from_slice(more);
    let stream = Stream::open(gateway.admin, &format!("/admin/deliveries{query}"), &headers).await.unwrap();
    assert_eq!(stream.head.status, 200, "{:?}", stream.head);
    stream
}

/// Runs the command, and returns what it prints.
async fn run(gateway: &Gateway, arguments: &[&str]) -> String {
    let mut command = paystream();
    command.arg("deliveries").arg("--config").arg(gateway.config_path()).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Lets the nodes take deliveries of all kinds in turn: e1 to e6, and one that is forged.
async fn deliver(nodes: &[Gateway]) {
    let at = now_s();
    let node = |number: usize| &nodes[number % nodes.len()];
    node(0).accept(&generic("e1", "pending", "pay_1", at)).await;
    node(1).accept(&generic("e2", "confirmed", "pay_1", at)).await;
    node(0).accept(&generic("e3", "pending", "pay_2", at)).await;
    node(1).accept(&generic("e3", "pending", "pay_2", at)).await;
    node(0).post("acme", &generic("e1", "failed", "pay_1", at)).await;
    node(1).post("other", &generic("e5", "pending", "pay_1", at)).await;
    node(0).post("stripe", &stripe("e6", "payment_intent.succeeded", "pi_1", at)).await;
    // What comes in the same millisecond is ordered by source.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let forged = node(1).post_raw("acme", &[header("x-signature", "00")], b"{}").await;
    assert_eq!(forged.head.status, 401);
    for gateway in nodes {
        eventually("all is recorded", async || found(gateway, "").await.len() == 8).await;
    }
}

async fn deliveries_are_filtered_and_paged(nodes: &[Gateway]) {
    deliver(nodes).await;
    for gateway in nodes {
        for (query, expected) in [
            ("?source=other", "e5"),
            ("?source=other&source=stripe", "e6 e5"),
            ("?outcome=duplicate", "e3"),
            ("?outcome=duplicate&outcome=quarantined", "e1 e3"),
            ("?outcome=rejected", "-"),
            ("?reason=facts_differ", "e1"),
            ("?payment=pay_2", "e3 e3"),
            ("?payment=pay_1&source=acme", "e1 e2 e1"),
            ("?event=e2&event=e6", "e6 e2"),
            ("?type=payment_intent.succeeded", "e6"),
            ("?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z", ""),
            ("?since=2020-01-01T00:00:00Z&source=stripe", "e6"),
            ("?outcome=accepted&reason=facts_differ", ""),
        ] {
            assert_eq!(found(gateway, query).await.join(" "), expected, "{query}");
        }
        // A page at a time, each record once, in the order of the times.
        let (mut records, mut before) = (Vec::new(), String::new());
        loop {
            let page = ask(gateway, &format!("?limit=3{before}")).await.json();
            records.extend(page["records"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            assert_eq!(records.len() % 3, 0);
            before = format!("&before={next}");
        }
        let times: Vec<&str> = records.iter().map(|record| record["at"].as_str().unwrap()).collect();
        assert!(times.is_sorted_by(|one, other| one >= other), "{times:?}");
        let ids: BTreeSet<&str> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
        assert_eq!((records.len(), ids.len()), (8, 8), "{records:#?}");
        assert_eq!(ask(gateway, "").await.json()["records"], Value::from(records));
    }
}

async fn deliveries_are_followed_live(nodes: &[Gateway]) {
    let (first, last) = (&nodes[0], &nodes[nodes.len() - 1]);
    deliver(nodes).await;
    let mut all = follow(first, "?limit=2", &[]).await;
    let mut refused = follow(first, "?outcome=rejected&outcome=quarantined&limit=1", &[]).await;
    let mut seen = vec![next_message(&mut all).await, next_message(&mut all).await];
    assert_eq!(events(&[seen[1].1.clone()]), ["-"], "the newest one comes last");
    assert_eq!(next_message(&mut refused).await.1["outcome"], "rejected");
    // What any node takes from now on, each record once.
    for number in 0..30 {
        let taken = &nodes[number % nodes.len()];
        taken.accept(&generic(&format!("n{number}"), "pending", "pay_9", now_s())).await;
    }
    last.post("acme", &generic("n7", "failed", "pay_9", now_s())).await;
    for _ in 0..31 {
        seen.push(next_message(&mut all).await);
    }
    let ids: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 33, "each once: {seen:#?}");
    assert!(seen.iter().all(|(id, record)| record["id"] == **id));
    let news: BTreeSet<&str> =
        seen[2..].iter().map(|(_, record)| record["event"].as_str().unwrap()).collect();
    assert_eq!(news.len(), 30);
    let (_, record) = next_message(&mut refused).await;
    assert_eq!((&record["event"], &record["reason"]), (&"n7".into(), &"facts_differ".into()));

    // Whoever returns misses nothing: what was recorded around the last event comes again, by its id.
    let (last_id, _) = &seen[seen.len() - 5];
    drop(all);
    last.accept(&generic("late", "pending", "pay_9", now_s())).await;
    let mut again = follow(last, "?limit=1", &[header("last-event-id", last_id)]).await;
    let mut after = BTreeSet::new();
    while !after.contains("late") {
        let (id, record) = next_message(&mut again).await;
        assert_ne!(id, *last_id);
        after.insert(record["event"].as_str().unwrap_or_default().to_owned());
    }
    for (_, record) in &seen[seen.len() - 4..] {
        assert!(after.contains(record["event"].as_str().unwrap()), "{after:?}");
    }
}

#[tokio::test]
async fn deliveries_are_filtered_and_paged_on_the_embedded_store() {
    let node = [Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await];
    deliveries_are_filtered_and_paged(&node).await;
}

#[tokio::test]
async fn deliveries_are_filtered_and_paged_on_redis_whichever_node_took_them() {
    let redis = RedisServer::start().await;
    let nodes = [Gateway::with(Setup::on(&redis)).await, Gateway::with(Setup::on(&redis)).await];
    deliveries_are_filtered_and_paged(&nodes).await;
}

#[tokio::test]
async fn deliveries_are_followed_live_on_the_embedded_store() {
    let node = [Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await];
    deliveries_are_followed_live(&node).await;
}

#[tokio::test]
async fn deliveries_are_followed_live_on_redis_whichever_node_took_them() {
    let redis = RedisServer::start().await;
    let nodes = [Gateway::with(Setup::on(&redis)).await, Gateway::with(Setup::on(&redis)).await];
    deliveries_are_followed_live(&nodes).await;
}

#[tokio::test]
async fn a_filter_that_is_not_understood_or_finds_nothing_known_says_what_there_is() {
    let gateway = Gateway::start().await;
    deliver(std::slice::from_ref(&gateway)).await;
    for (query, status, reason, said) in [
        ("?outcom=rejected", 400, "bad_parameter", "allowed: `source`, `outcome`, `reason`"),
        (
            "?outcome=lost",
            400,
            "bad_parameter",
            "allowed: accepted, duplicate, ignored, waiting, quarantined",
        ),
        ("?reason=Bad%20one", 400, "bad_parameter", "a reason code"),
        ("?since=yesterday", 400, "bad_parameter", "RFC 3339"),
        ("?limit=1025", 400, "bad_parameter", "a number from 1 to 1024"),
        ("?before=1-0", 400, "bad_parameter", "the `next` of an earlier answer"),
        ("?payment=pay_1&payment=pay_2", 400, "bad_parameter", "`payment` can be given once"),
        ("?payment=*", 400, "bad_payment", "is no payment's id"),
        ("?source=acm", 404, "unknown_source", "there is acme, "),
        ("?payment=pay_11", 404, "unknown_payment", "there is pay_1, pay_2"),
        ("?payment=pay_2&source=other", 404, "unknown_payment", "there is pay_1"),
    ] {
        let answer = ask(&gateway, query).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (status, &reason.into()), "{query}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{query}: {detail}");
    }
    let none = request(gateway.admin, "GET", "/admin/deliveries", &[], b"").await.unwrap();
    assert_eq!(none.head.status, 401);
}

#[tokio::test]
async fn the_command_prints_a_table_or_a_line_of_json_for_each_and_follows_through_a_restart() {
    let mut gateway = Gateway::start().await;
    deliver(std::slice::from_ref(&gateway)).await;
    let table = run(&gateway, &["--payment", "pay_1", "--source", "acme", "--since", "1h"]).await;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    assert!(
        lines[0].starts_with("TIME") && lines[0].contains("OUTCOME") && lines[1].contains("facts_differ")
    );
    let lines = run(&gateway, &["--outcome", "accepted", "--json", "--limit", "2"]).await;
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events(&records), ["e6", "e5"]);

    let mut command = paystream();
    command.args(["deliveries", "--follow", "--json", "--limit", "1", "--source", "acme", "--config"]);
    let mut following = Program::spawn(command.arg(gateway.config_path()));
    assert_eq!(following.next().await["outcome"], "rejected");
    gateway.accept(&generic("f1", "pending", "pay_3", now_s())).await;
    assert_eq!(following.next().await["event"], "f1");
    gateway.stop().await;
    gateway.restart().await;
    gateway.accept(&generic("f2", "pending", "pay_3", now_s())).await;
    // Those before it that come again were shown already.
    let mut next = following.next().await;
    while next["event"] != "f2" {
        assert_ne!(next["event"], "f1", "it was shown twice");
        next = following.next().await;
    }

    let mut command = paystream();
    command.args(["deliveries", "--source", "acm", "--config"]).arg(gateway.config_path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("there is acme") && said.contains("unknown_source"), "{said}");
}

/// Whoever follows holds no place for ever: not beyond the bound, not without the token, not through a drain.
#[tokio::test]
async fn those_who_follow_are_bounded_and_end_with_their_token_and_the_drain() {
    let operators =
        |token: &str| format!("[[admin.operator]]\nname = \"bob\"\nrole = \"read\"\ntoken = \"env:{token}\"");
    let setup = Setup { admin: operators("BOB"), ..Setup::default() };
    let env: [(&str, &std::path::Path); 2] =
        [("BOB", "token-of-bob-93e07a5cd614".as_ref()), ("BOB2", "token-of-bob-5f0c77aa8f3b".as_ref())];
    let mut gateway = Gateway::with_env(setup, &env).await;
    let headers =
        [header("authorization", "Bearer token-of-bob-93e07a5cd614"), header("accept", "text/event-stream")];
    let mut bob = Stream::open(gateway.admin, "/admin/deliveries", &headers).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..15 {
        others.push(follow(&gateway, "", &[]).await);
    }
    let answer = request(gateway.admin, "GET", "/admin/deliveries", &headers, b"").await.unwrap();
    assert_eq!((answer.head.status, &answer.json()["reason"]), (503, &"too_many_followers".into()));
    assert!(gateway.metric("paystream_limit_hits_total", &["delivery_followers"]).await > 0.5);

    gateway.configure(&Setup { admin: operators("BOB2"), ..Setup::default() });
    gateway.hang_up();
    let closing = async |stream: &mut Stream| loop {
        let event = stream.event(crate::support::PATIENCE).await.unwrap();
        if event.kind == "closing" {
            return message(&event)["reason"].as_str().unwrap().to_owned();
        }
    };
    assert_eq!(closing(&mut bob).await, "token_removed");
    let mut bob = Stream::open(gateway.admin, "/admin/deliveries", &headers).await.unwrap();
    assert_eq!(bob.head.status, 401);
    assert!(bob.event(crate::support::PATIENCE).await.is_err());
    gateway.terminate();
    for other in &mut others {
        assert_eq!(closing(other).await, "drain");
    }
    gateway.ended().await;
}

/// A comment is not seen by scripts, which then take a quiet stream for a dead one.
#[tokio::test]
async fn a_script_that_follows_sees_the_heartbeats_that_it_asks_for() {
    let gateway = Gateway::start().await;
    let mut quiet = follow(&gateway, "?heartbeat=event", &[]).await;
    let event = quiet.event(crate::support::PATIENCE).await.unwrap();
    assert_eq!((event.kind.as_str(), message(&event)), ("heartbeat", serde_json::json!({})));
    assert_eq!(ask(&gateway, "?heartbeat=loud").await.head.status, 400);
}
