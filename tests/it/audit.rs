//! Operators with tokens of their own, and the trail of what they changed: by the commands and by the routes, on both stores.

use crate::support::{
    ADMIN_TOKEN, Gateway, RedisServer, Setup, Store, eventually, generic, header, now_s, paystream,
};
use load::http::{Response, request};
use serde_json::{Value, json};
use std::process::Output;

const ANN: &str = "token-of-ann-4f1c9b7d2e8a";
const BOB: &str = "token-of-bob-93e07a5cd614";

/// Ann may change things, and Bob may look.
fn two_operators() -> String {
    "[[admin.operator]]\nname = \"ann\"\nrole = \"write\"\ntoken = \"env:ANN\"\n\
     [[admin.operator]]\nname = \"bob\"\nrole = \"read\"\ntoken = \"env:BOB\""
        .to_owned()
}

async fn start(store: Store) -> Gateway {
    let setup = Setup { store, admin: two_operators(), ..Setup::default() };
    Gateway::with_env(setup, &[("ANN", ANN.as_ref()), ("BOB", BOB.as_ref())]).await
}

async fn ask(gateway: &Gateway, token: &str, method: &str, path: &str) -> Response {
    let token = [header("authorization", &format!("Bearer {token}"))];
    request(gateway.admin, method, path, &token, b"").await.unwrap()
}

/// Runs a command with Ann's token, as somebody would who has no configuration of the gateway.
async fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    let mut command = paystream();
    command.args(arguments).args(["--url", &format!("http://{}", gateway.admin), "--token", "env:MINE"]);
    command.env("MINE", ANN).current_dir("/");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn trail(gateway: &Gateway, query: &str) -> Vec<Value> {
    let answer = ask(gateway, BOB, "GET", &format!("/admin/audit{query}")).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    answer.json()["entries"].as_array().unwrap().clone()
}

async fn each_change_is_in_the_trail(gateway: &Gateway) {
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let done =
        run(gateway, &["erase", "--payment", "pay_1", "--reason", "ticket 4711, card 4111 1111 1111 1111"])
            .await;
    assert!(done.status.success(), "{done:?}");
    let failed = run(gateway, &["reconcile", "--source", "acme", "--payment", "pay_2"]).await;
    assert_eq!(failed.status.code(), Some(2), "acme has no API: {failed:?}");
    ask(gateway, ADMIN_TOKEN, "GET", "/admin/store/backup?reason=weekly").await;
    gateway.hang_up();
    eventually("the reload is in the trail", async || !trail(gateway, "?action=reload").await.is_empty())
        .await;

    let entries = trail(gateway, "").await;
    let said = |entry: &Value| {
        ["operator", "action", "reason", "failed"]
            .map(|key| entry[key].as_str().unwrap_or("-").to_owned())
            .join(" ")
    };
    let mut all: Vec<String> = entries.iter().rev().map(said).collect();
    // On Redis there is no backup to take, which is a second entry.
    all.retain(|entry| entry != "admin backup weekly no_data_folder");
    assert_eq!(
        all,
        [
            "ann erase ticket 4711, card 4111 11** **** 1111 -",
            "ann reconcile - -",
            "ann reconcile - no_api",
            "admin backup weekly -",
            "- reload - -",
        ],
        "{entries:#?}"
    );
    // The entries of a payment are found by its id, which none of them names.
    assert!(!json!(entries).to_string().contains("pay_"), "{entries:#?}");
    let of = trail(gateway, "?payment=pay_1&realm=default").await;
    assert_eq!(of.iter().map(said).collect::<Vec<_>>(), all[..1]);
    assert!(trail(gateway, "?payment=pay_1&realm=other").await.is_empty());
    let of = trail(gateway, "?operator=ann&action=reconcile").await;
    assert_eq!(of.len(), 2);

    // A page at a time.
    let (mut paged, mut before) = (Vec::new(), String::new());
    loop {
        let page = ask(gateway, BOB, "GET", &format!("/admin/audit?limit=2{before}")).await.json();
        paged.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(paged, entries);

    let listed = run(gateway, &["audit", "--operator", "ann"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 4, "{listed}");
    assert!(lines[0].starts_with("TIME") && lines[1].contains("reconcile failed: no_api"), "{listed}");
    let listed = run(gateway, &["audit", "--json"]).await;
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, entries);
    let log = gateway.log();
    assert!(log.contains("a change by an operator") && !log.contains("4711"), "{log}");
    for text in [&log, &listed] {
        assert!(!text.contains(ANN) && !text.contains(ADMIN_TOKEN), "{text}");
    }
}

#[tokio::test]
async fn each_change_is_in_the_trail_on_the_embedded_store() {
    let mut gateway = start(Store::Embedded).await;
    each_change_is_in_the_trail(&gateway).await;
    let entries = trail(&gateway, "").await;
    gateway.kill();
    gateway.restart().await;
    assert_eq!(trail(&gateway, "").await, entries, "it is durable");
}

#[tokio::test]
async fn each_change_is_in_the_trail_on_redis_where_each_node_shows_it() {
    let redis = RedisServer::start().await;
    let store = || Store::Redis { url: redis.url(), more: String::new() };
    let (one, other) = (start(store()).await, start(store()).await);
    each_change_is_in_the_trail(&one).await;
    assert_eq!(trail(&other, "").await, trail(&one, "").await);
}

#[tokio::test]
async fn a_token_for_reading_changes_nothing_and_a_bad_one_does_nothing() {
    let gateway = start(Store::AsTheRunSays).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    for (method, path) in [
        ("DELETE", "/admin/payments/pay_1?realm=default"),
        ("POST", "/admin/sources/acme/payments/pay_1/reconcile"),
        // It only reads, but all that there is.
        ("GET", "/admin/store/backup"),
        // What does not exist is no exception.
        ("POST", "/admin/audit"),
        ("PUT", "/admin/nothing"),
    ] {
        let answer = ask(&gateway, BOB, method, path).await;
        assert_eq!(
            (answer.head.status, &answer.json()["reason"]),
            (403, &json!("read_only_token")),
            "{path}"
        );
    }
    assert_eq!(ask(&gateway, BOB, "GET", "/admin/sources").await.head.status, 200);
    assert_eq!(ask(&gateway, BOB, "HEAD", "/admin/sources").await.head.status, 200);
    for wrong in ["", "token-of-ann-4f1c9b7d2e8", "token-of-ann-4f1c9b7d2e8a1", &ANN.to_uppercase()] {
        let answer = ask(&gateway, wrong, "GET", "/admin/audit").await;
        assert_eq!(
            (answer.head.status, &answer.json()["reason"]),
            (401, &json!("bad_admin_token")),
            "{wrong}"
        );
    }
    assert!(trail(&gateway, "").await.is_empty());
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 1);
    let refused = gateway.metric("paystream_admin_refusals_total", &["reason=\"read_only\""]).await;
    assert!((refused - 5.0).abs() < 0.1, "{refused}");
    for (path, allowed) in [
        (
            "/admin/audit?acton=erase",
            "`action` is one of replay, discard, close, reconcile, backfill, erase, reload and backup",
        ),
        ("/admin/audit?action=polish", "is one of replay,"),
        ("/admin/audit?payment=pay_1", "`payment` and `realm` go together"),
        ("/admin/audit?limit=0", "from 1 to 1000"),
        ("/admin/audit?before=x", "`before` is the `next`"),
    ] {
        let answer = ask(&gateway, BOB, "GET", path).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (400, &json!("bad_parameter")), "{path}");
        assert!(answer.text().contains(allowed), "{}", answer.text());
    }
    // A reason that is none, or that would keep an erased payment's id.
    for reason in ["", "%20", &"x".repeat(201), "the%20customer%20of%20pay_1%20asked"] {
        let path = format!("/admin/payments/pay_1?realm=default&reason={reason}");
        let answer = ask(&gateway, ANN, "DELETE", &path).await;
        assert_eq!(
            (answer.head.status, &answer.json()["reason"]),
            (400, &json!("bad_parameter")),
            "{reason}"
        );
    }
    assert!(trail(&gateway, "").await.is_empty());
}

/// A change without an entry would be one that nobody answers for.
#[tokio::test]
async fn nothing_is_changed_while_the_trail_cannot_be_written() {
    let mut redis = RedisServer::start().await;
    let gateway = start(Store::Redis { url: redis.url(), more: String::new() }).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    redis.ask(&["SET", "ps:audit", "no stream"]);
    let answer = ask(&gateway, ANN, "DELETE", "/admin/payments/pay_1?realm=default").await;
    assert_eq!((answer.head.status, &answer.json()["reason"]), (503, &json!("store_unavailable")));
    assert!(answer.text().contains("nothing was changed"), "{}", answer.text());
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 1);
    redis.kill();
}

#[tokio::test]
async fn a_command_takes_its_token_from_a_reference_and_never_as_it_is() {
    let gateway = start(Store::AsTheRunSays).await;
    let url = format!("http://{}", gateway.admin);
    let run = async |token: Option<&str>| {
        let mut command = paystream();
        command.args(["audit", "--url", &url, "--config"]).arg(gateway.config_path());
        command.args(token.into_iter().flat_map(|token| ["--token", token])).env("MINE", BOB);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(None).await.0, Some(0), "by default it is that of the configuration");
    assert_eq!(run(Some("env:MINE")).await.0, Some(0));
    let (code, said) = run(Some(BOB)).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("must be a reference and not the secret itself") && !said.contains(BOB), "{said}");
    let (code, said) = run(Some("env:NOT_SET")).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("NOT_SET is not set"), "{said}");
}

/// A reload replaces operators without a restart.
#[tokio::test]
async fn an_operator_who_is_removed_is_let_in_no_more() {
    let gateway = start(Store::AsTheRunSays).await;
    assert_eq!(ask(&gateway, ANN, "GET", "/admin/audit").await.head.status, 200);
    let only_bob = two_operators().split_once("\n[[").unwrap().1.to_owned();
    gateway.configure(&Setup { admin: format!("[[{only_bob}"), ..Setup::default() });
    gateway.hang_up();
    eventually("it is reloaded", async || ask(&gateway, ANN, "GET", "/admin/audit").await.head.status == 401)
        .await;
    assert_eq!(ask(&gateway, BOB, "GET", "/admin/audit").await.head.status, 200);
}
