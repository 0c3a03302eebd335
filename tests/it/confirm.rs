//! Providers that only hint: what the gateway asks them, how often, and what becomes of the answer.

mod doubt;
mod reconcile;

use crate::support::{
    ADMIN_TOKEN, Gateway, ProviderApi, RedisServer, Scripted, Setup, Store, eventually, header, next_message,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// The provider says that something about a payment has changed.
async fn hint(gateway: &Gateway, payment: &str) {
    let body = format!("id={payment}");
    let answer = gateway.post_raw(&ProviderApi::webhook(), &[], body.as_bytes()).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
}

async fn until_status(gateway: &Gateway, payment: &str, status: &str) -> Value {
    let what = format!("{payment} is {status}");
    eventually(&what, async || gateway.snapshot(payment).await["status"] == status).await;
    gateway.snapshot(payment).await
}

/// The types of the events that were confirmed.
fn confirmed(snapshot: &Value) -> Vec<&str> {
    let events = snapshot["timeline"].as_array().unwrap().iter();
    events
        .filter(|event| event["trust"] == "confirmed")
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

async fn confirmations(gateway: &Gateway, outcome: &str) -> f64 {
    gateway.metric("paystream_confirmations_total", &[&format!("outcome=\"{outcome}\"")]).await
}

/// Waits until no confirmation is pending, for longer than a hint takes to become a question. A doubtful answer keeps its confirmation
/// pending for a minute.
async fn until_nothing_is_pending(gateway: &Gateway, api: &ProviderApi) {
    eventually("all is confirmed", async || {
        let before = api.asked().len();
        tokio::time::sleep(SECOND / 2).await;
        api.asked().len() == before && gateway.metric("paystream_confirmations_owed", &[]).await == 0.0
    })
    .await;
}

#[tokio::test]
async fn a_hint_is_confirmed_and_only_then_believed() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    let gateway = Gateway::with(api.setup()).await;
    let mut stream = gateway.stream("tr_1").await;
    assert_eq!(next_message(&mut stream).await.1["status"], "unknown");
    hint(&gateway, "tr_1").await;
    let (_, hinted) = next_message(&mut stream).await;
    assert_eq!((&hinted["status"], &hinted["event"]["trust"]), (&json!("unknown"), &json!("hint")));
    let (_, confirmed) = next_message(&mut stream).await;
    assert_eq!(confirmed["event"]["trust"], "confirmed");
    assert_eq!(confirmed["event"]["type"], "paid");
    assert_eq!((&confirmed["status"], &confirmed["captured"]), (&json!("captured"), &json!(1000)));
    eventually("it is counted", async || confirmations(&gateway, "appended").await == 1.0).await;
    assert_eq!(api.asked(), ["tr_1"]);
}

#[tokio::test]
async fn a_hint_is_confirmed_within_a_second() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(api.setup()).await;
    let mut quickest = Duration::MAX;
    // One of several, since other tests share this machine.
    for payment in ["tr_a", "tr_b", "tr_c", "tr_d"] {
        api.set(payment, "paid");
        let mut stream = gateway.stream(payment).await;
        let began = Instant::now();
        hint(&gateway, payment).await;
        while next_message(&mut stream).await.1["status"] != "captured" {}
        quickest = quickest.min(began.elapsed());
    }
    assert!(quickest < SECOND, "{quickest:?}");
}

#[tokio::test]
async fn many_hints_at_one_payment_are_one_question() {
    let api = ProviderApi::start().await;
    api.set("tr_0", "paid");
    api.set("tr_1", "paid");
    let gateway = Gateway::with(Setup { sources: vec![api.source_with_spacing(3000)], ..api.setup() }).await;
    // The next question has to wait until all hints are there, however slow this machine is.
    hint(&gateway, "tr_0").await;
    api.until_asked(1).await;
    let hints = (0..10).map(|_| hint(&gateway, "tr_1"));
    futures_util::future::join_all(hints).await;
    until_status(&gateway, "tr_1", "captured").await;
    until_nothing_is_pending(&gateway, &api).await;
    assert_eq!(api.asked(), ["tr_0", "tr_1"]);
}

#[tokio::test]
async fn a_hint_that_comes_while_the_provider_is_asked_is_asked_for_again() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "open");
    api.script([Scripted::Hold]);
    let gateway = Gateway::with(api.setup()).await;
    hint(&gateway, "tr_1").await;
    api.until_asked(1).await;
    api.set("tr_1", "paid");
    hint(&gateway, "tr_1").await;
    api.release();
    let snapshot = until_status(&gateway, "tr_1", "captured").await;
    assert_eq!(confirmed(&snapshot), ["open", "paid"]);
    until_nothing_is_pending(&gateway, &api).await;
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn a_provider_is_asked_no_more_often_than_its_preset_allows() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(Setup { sources: vec![api.source_with_spacing(1500)], ..api.setup() }).await;
    let payments = ["tr_a", "tr_b", "tr_c", "tr_d"];
    for payment in payments {
        api.set(payment, "paid");
        hint(&gateway, payment).await;
    }
    for payment in payments {
        until_status(&gateway, payment, "captured").await;
    }
    // What the way to the provider takes may differ from one question to the next.
    assert!(api.gaps().iter().all(|gap| *gap > SECOND / 2), "{:?}", api.gaps());
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_again_with_growing_pauses() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    api.script([
        Scripted::Status(500, None),
        // Something before the API, which is no JSON.
        Scripted::Status(200, None),
        // Some send the hint before they can be asked.
        Scripted::Status(404, None),
    ]);
    let gateway = Gateway::with(api.setup()).await;
    hint(&gateway, "tr_1").await;
    until_status(&gateway, "tr_1", "captured").await;
    let gaps = api.gaps();
    assert_eq!(gaps.len(), 3);
    // The last of them is of another kind, which has pauses of its own.
    for (gap, least) in gaps.iter().zip([SECOND / 2, SECOND, SECOND / 2]) {
        assert!(*gap >= least - SECOND / 10, "{gaps:?}");
    }
    assert_eq!(confirmations(&gateway, "unavailable").await, 2.0);
    assert_eq!(confirmations(&gateway, "unknown").await, 1.0);
}

#[tokio::test]
async fn a_provider_that_was_asked_too_much_is_left_alone_for_as_long_as_it_says() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    api.set("tr_2", "paid");
    api.script([Scripted::Status(429, Some(3))]);
    let gateway = Gateway::with(Setup { sources: vec![api.source_with_spacing(1500)], ..api.setup() }).await;
    hint(&gateway, "tr_1").await;
    api.until_asked(1).await;
    hint(&gateway, "tr_2").await;
    for payment in ["tr_1", "tr_2"] {
        until_status(&gateway, payment, "captured").await;
    }
    assert_eq!(confirmations(&gateway, "throttled").await, 1.0);
    let gaps = api.gaps();
    assert!(gaps[0] >= 2 * SECOND, "other payments are payments of the same provider: {gaps:?}");
}

/// Kills a gateway right after it acknowledged a hint. What it comes back on is confirmed.
async fn survives_a_kill(store: Store) {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    let mut gateway = Gateway::with(Setup { store, ..api.setup() }).await;
    hint(&gateway, "tr_1").await;
    gateway.kill();
    gateway.restart().await;
    until_status(&gateway, "tr_1", "captured").await;
}

#[tokio::test]
async fn i1_a_pending_confirmation_survives_kill_9_on_the_embedded_store() {
    survives_a_kill(Store::Embedded).await;
}

#[tokio::test]
async fn i1_a_pending_confirmation_survives_kill_9_on_redis() {
    let redis = RedisServer::start().await;
    survives_a_kill(Setup::on(&redis).store).await;
}

#[tokio::test]
async fn a_question_that_was_open_at_the_end_is_asked_again() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    api.script([Scripted::Hold, Scripted::Hold]);
    let mut gateway = Gateway::with(Setup { store: Store::Embedded, ..api.setup() }).await;
    hint(&gateway, "tr_1").await;
    api.until_asked(1).await;
    gateway.kill();
    gateway.restart().await;
    api.until_asked(2).await;
    // An orderly end does not wait for an answer that does not come.
    gateway.stop().await;
    gateway.restart().await;
    until_status(&gateway, "tr_1", "captured").await;
    assert_eq!(api.asked().len(), 3);
}

#[tokio::test]
async fn several_nodes_ask_once_and_an_orderly_end_hands_over() {
    let api = ProviderApi::start().await;
    let redis = RedisServer::start().await;
    let setup = || Setup { sources: vec![api.source_with_spacing(1500)], ..Setup::on(&redis) };
    let (mut one, other) = (Gateway::with(setup()).await, Gateway::with(setup()).await);
    for payment in ["tr_0", "tr_1", "tr_2"] {
        api.set(payment, "paid");
    }
    hint(&one, "tr_0").await;
    api.until_asked(1).await;
    for _ in 0..3 {
        for node in [&one, &other] {
            hint(node, "tr_1").await;
        }
    }
    until_status(&other, "tr_1", "captured").await;
    until_nothing_is_pending(&other, &api).await;
    assert_eq!(api.asked(), ["tr_0", "tr_1"]);
    // What one node has begun and cannot end, the other goes on with at once.
    hint(&one, "tr_2").await;
    one.stop().await;
    until_status(&other, "tr_2", "captured").await;
}

#[tokio::test]
async fn a_node_that_dies_while_it_asks_leaves_the_question_to_another() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    api.script([Scripted::Hold]);
    let redis = RedisServer::start().await;
    let setup = || Setup { sources: vec![api.source()], ..Setup::on(&redis) };
    let mut one = Gateway::with(setup()).await;
    hint(&one, "tr_1").await;
    api.until_asked(1).await;
    let other = Gateway::with(setup()).await;
    one.kill();
    // Once its lease is over.
    until_status(&other, "tr_1", "captured").await;
    assert_eq!(api.asked().len(), 2);
}

#[tokio::test]
async fn wrong_credentials_are_told_by_their_key_and_not_by_what_they_are() {
    const WRONG: &str = "live_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x";
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    api.set_key(WRONG);
    let gateway = Gateway::with(Setup { sources: vec![api.source_with_spacing(1500)], ..api.setup() }).await;
    hint(&gateway, "tr_1").await;
    hint(&gateway, "tr_2").await;
    eventually("it is told", async || gateway.log().contains("api.key")).await;
    eventually("it is counted", async || confirmations(&gateway, "denied").await == 1.0).await;
    assert!(!gateway.log().contains(WRONG), "{}", gateway.log());
    assert_eq!(gateway.snapshot("tr_1").await["status"], "unknown");
    assert_eq!(api.asked().len(), 1, "one refusal is enough for a minute");
    let pending = async || gateway.metric("paystream_confirmations_owed", &["source=\"mollie\""]).await;
    eventually("both are still pending", async || pending().await == 2.0).await;
    let oldest = async || gateway.metric("paystream_confirmations_oldest_seconds", &[]).await;
    eventually("and for how long is told", async || oldest().await >= 1.0).await;
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_asked_for_again_and_never_believed() {
    let api = ProviderApi::start().await;
    api.set_with("tr_1", "paid", &json!({ "id": "tr_2" }));
    let gateway = Gateway::with(api.setup()).await;
    hint(&gateway, "tr_1").await;
    eventually("it is asked again", async || confirmations(&gateway, "unclear").await >= 2.0).await;
    for payment in ["tr_1", "tr_2"] {
        assert_eq!(gateway.snapshot(payment).await["status"], "unknown");
    }
    let quarantine = "/admin/quarantine?source=mollie";
    assert_eq!(operators(&gateway, "GET", quarantine).await.1["records"], json!([]));
    api.set("tr_1", "paid");
    until_status(&gateway, "tr_1", "captured").await;
    until_nothing_is_pending(&gateway, &api).await;
    assert_eq!(operators(&gateway, "GET", quarantine).await.1["records"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_confirmed_is_quarantined() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(api.setup()).await;
    // No name of a payment, in the path of an address.
    hint(&gateway, "..").await;
    eventually("it is quarantined", async || confirmations(&gateway, "quarantined").await == 1.0).await;
    let records = operators(&gateway, "GET", "/admin/quarantine?source=mollie").await.1;
    let record = &records["records"][0];
    assert_eq!((&record["outcome"], &record["reason"]), (&json!("quarantined"), &json!("bad_payment_id")));
    assert_eq!((&record["payment"], &record["confirmation"]["attempts"]), (&json!(".."), &json!(1)));
    until_nothing_is_pending(&gateway, &api).await;
    assert!(api.asked().is_empty());
}

#[tokio::test]
async fn a_status_that_goes_back_is_appended_and_one_that_stays_is_not() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(api.setup()).await;
    let mut expected: Vec<&str> = Vec::new();
    for (status, stands) in
        [("open", "created"), ("pending", "processing"), ("open", "created"), ("pending", "processing")]
    {
        api.set("tr_1", status);
        expected.push(status);
        hint(&gateway, "tr_1").await;
        until_status(&gateway, "tr_1", stands).await;
        let same = async || confirmations(&gateway, "same").await;
        let before = same().await;
        hint(&gateway, "tr_1").await;
        eventually("it is asked again", async || same().await > before).await;
        assert_eq!(confirmed(&gateway.snapshot("tr_1").await), expected);
    }
}

#[tokio::test]
async fn a_refund_and_a_chargeback_are_known_from_their_sums() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(api.setup()).await;
    let sum = |value: &str| json!({ "value": value, "currency": "EUR" });
    for (more, stands) in [
        (json!({}), "captured"),
        (json!({ "amountRefunded": sum("2.50") }), "partially_refunded"),
        (json!({ "amountRefunded": sum("10.00") }), "refunded"),
        (json!({ "amountChargedBack": sum("10.00") }), "charged_back"),
        (json!({}), "captured"),
    ] {
        api.set_with("tr_1", "paid", &more);
        hint(&gateway, "tr_1").await;
        until_status(&gateway, "tr_1", stands).await;
    }
}

#[tokio::test]
async fn without_credentials_a_hint_stays_a_hint() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    let mut setup = api.setup();
    let credentials = std::mem::take(&mut setup.sources[0].more);
    let gateway = Gateway::with(setup.clone()).await;
    hint(&gateway, "tr_1").await;
    let snapshot = gateway.snapshot("tr_1").await;
    assert_eq!((&snapshot["status"], &snapshot["seq"]), (&json!("unknown"), &json!(1)));
    assert_eq!(snapshot["timeline"][0]["trust"], "hint");
    // They may come while it runs. A hint from before they came is not pending.
    setup.sources[0].more = credentials;
    gateway.configure(&setup);
    gateway.hang_up();
    eventually("it is reloaded", async || gateway.log().contains("configuration reloaded")).await;
    assert!(api.asked().is_empty());
    hint(&gateway, "tr_1").await;
    until_status(&gateway, "tr_1", "captured").await;
}

#[tokio::test]
async fn the_backlog_of_a_source_that_asks_no_more_is_measured_and_warned_of_once() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    api.script([Scripted::Hold]);
    let setup = api.setup();
    let mut gateway = Gateway::with(setup.clone()).await;
    hint(&gateway, "tr_1").await;
    api.until_asked(1).await;
    gateway.stop().await;
    let mut renamed = setup.clone();
    renamed.sources[0].name = "mollie-eu".to_owned();
    let mut silent = setup.clone();
    silent.sources[0].more.clear();
    gateway.configure(&renamed);
    gateway.restart().await;
    let told = |why: &str| gateway_says(&gateway.log(), why);
    eventually("the name is missed", async || told("no source of this name is configured") == 1).await;
    let pending = async || gateway.metric("paystream_confirmations_owed", &["source=\"mollie\""]).await;
    assert_eq!(pending().await, 1.0);
    gateway.configure(&silent);
    gateway.hang_up();
    eventually("the credentials are missed", async || told("the source has no [source.api]") == 1).await;
    assert_eq!(api.asked().len(), 1);
    gateway.configure(&setup);
    gateway.hang_up();
    until_status(&gateway, "tr_1", "captured").await;
    eventually("nothing is pending", async || pending().await == 0.0).await;
    assert_eq!(told("this node does not ask"), 2, "once each");
}

/// How many lines of a log warn of something, and how to mend it.
fn gateway_says(log: &str, what: &str) -> usize {
    let lines = log.lines().filter(|line| line.contains("WARN") && line.contains(what));
    lines.inspect(|line| assert!(line.contains("restore it") && line.contains("pending=1"), "{line}")).count()
}

#[tokio::test]
async fn i8_card_data_in_an_answer_reaches_nothing() {
    const PAN: &str = "4242424242424242";
    let api = ProviderApi::start().await;
    let card = json!({ "cardNumber": PAN, "cvc": "987", "cardHolder": format!("J DOE {PAN}") });
    api.set_with(
        "tr_1",
        "paid",
        &json!({ "description": PAN, "details": card, "metadata": { "note": PAN } }),
    );
    api.set_with("tr_2", &format!("paid {PAN}"), &json!({ "details": card }));
    api.set_with("tr_3", "paid", &json!({ "id": PAN }));
    let mut gateway = Gateway::with(api.setup()).await;
    for payment in ["tr_1", "tr_2", "tr_3"] {
        hint(&gateway, payment).await;
    }
    until_status(&gateway, "tr_1", "captured").await;
    let log = || gateway.log();
    let is_told = |payment: &str| {
        log().lines().any(|line| line.contains("not confirmed yet") && line.contains(payment))
    };
    eventually("the others are not", async || is_told("tr_2") && is_told("tr_3")).await;
    let mut seen = gateway.snapshot("tr_1").await.to_string();
    seen.push_str(&gateway.admin("/metrics").await.text());
    seen.push_str(&operators(&gateway, "GET", "/admin/quarantine?source=mollie").await.1.to_string());
    gateway.stop().await;
    gateway.stop_store();
    let stored = text_below(&gateway.data_path());
    assert!(stored.contains("tr_1"), "the data folder can be searched");
    for text in [seen, gateway.log(), stored] {
        assert!(!text.contains(PAN) && !text.contains("J DOE"), "{text}");
    }
}

/// The answer of an operators' route.
async fn operators(gateway: &Gateway, method: &str, path: &str) -> (u16, Value) {
    let token = header("authorization", &format!("Bearer {ADMIN_TOKEN}"));
    let answer = load::http::request(gateway.admin, method, path, &[token], b"").await.unwrap();
    (answer.head.status, answer.json())
}

/// All that the files below a folder hold, as text where it is text.
fn text_below(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&text_below(&path));
        } else {
            all.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    all
}
