//! Webhooks that got lost are found among the events that the provider lists, by the route and by the command.

use crate::parts::operator;
use crate::support::{
    ADMIN_TOKEN, Gateway, STRIPE_SECRET, Setup, Source, eventually, header, now_s, paystream, stripe,
};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use load::http::{Response as Answer, request};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};

const API_KEY: &str = "sk_test_5f0c77aa8f3b1c2d9a7e55aa";

/// Events of one page of the stand-in.
const PAGE: usize = 7;

/// A stand-in of Stripe's list of events. Dropping it closes it.
struct Lister {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// The newest first.
    events: Mutex<Vec<Value>>,
    /// The statuses of the next answers, the last one first. After 200, the answer is a proper one.
    failing: Mutex<Vec<u16>>,
    asked: Mutex<Vec<String>>,
}

impl Lister {
    async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes =
            Router::new().route("/v1/events", axum::routing::get(list)).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "the only client is the gateway under test")]
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, shared, server }
    }
}

impl Drop for Lister {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    shared.asked.lock().unwrap().push(query.clone());
    if headers.get("authorization").is_none_or(|key| key != &format!("Bearer {API_KEY}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(status) = shared.failing.lock().unwrap().pop().filter(|status| *status != 200) {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let parameter = |name: &str| {
        let parsed = form_urlencoded::parse(query.as_bytes());
        parsed.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
    };
    let since: i64 = parameter("created[gte]").unwrap().parse().unwrap();
    let all = shared.events.lock().unwrap().clone();
    let wanted: Vec<Value> =
        all.into_iter().filter(|event| event["created"].as_i64().unwrap() >= since).collect();
    let after = parameter("starting_after");
    let start = after.map_or(0, |after| wanted.iter().position(|event| event["id"] == after).unwrap() + 1);
    let page: Vec<Value> = wanted.iter().skip(start).take(PAGE).cloned().collect();
    let has_more = start + page.len() < wanted.len();
    json!({ "object": "list", "data": page, "has_more": has_more, "url": "/v1/events" })
        .to_string()
        .into_response()
}

async fn gateway_with(lister: &Lister, folder: &std::path::Path, key: &str) -> Gateway {
    let path = folder.join("api.key");
    fs::write(&path, key).unwrap();
    let mut source = Source::new("stripe", "stripe", "default", STRIPE_SECRET);
    source.more =
        format!("[source.api]\nkey = \"file:{}\"\nurl = \"http://{}\"", path.display(), lister.address);
    Gateway::with(Setup { sources: vec![source], ..Setup::default() }).await
}

async fn backfill(gateway: &Gateway, query: &str) -> Answer {
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, "POST", &format!("/admin/sources/stripe/backfill{query}"), &operator, b"")
        .await
        .unwrap()
}

/// Two events of each of 15 payments, in the order of their times.
fn history(now: u64) -> Vec<Value> {
    let of = |number: u64| {
        ["payment_intent.created", "payment_intent.succeeded"].into_iter().enumerate().map(
            move |(step, kind)| {
                let time = now - 3_600 + number * 60 + step as u64;
                stripe(&format!("evt_{number}_{step}"), kind, &format!("pi_{number}"), time)
            },
        )
    };
    (0..15).flat_map(of).collect()
}

#[tokio::test]
async fn webhooks_that_got_lost_are_found_once_by_the_command() {
    let (lister, folder) = (Lister::start().await, tempfile::tempdir().unwrap());
    let gateway = gateway_with(&lister, folder.path(), API_KEY).await;
    let events = history(now_s());
    lister.shared.events.lock().unwrap().extend(events.iter().rev().cloned());
    let is_lost = |number: usize| [3, 8, 21].contains(&number);
    for (_, event) in events.iter().enumerate().filter(|(number, _)| !is_lost(*number)) {
        assert_eq!(gateway.post("stripe", event).await.head.status, 200);
    }
    assert_eq!(gateway.snapshot("pi_1").await["status"], "created", "its last webhook was lost");
    let run = async |more: &[&str]| {
        let mut command = paystream();
        command.args([
            "backfill",
            "--source",
            "stripe",
            "--since",
            "2h",
            "--json",
            "--reason",
            "lost webhooks",
            "--config",
        ]);
        command.arg(gateway.config_path()).args(more);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let found = run(&[]).await;
    assert_eq!((&found["events"], &found["pages"]), (&json!(30), &json!(5)), "{found}");
    assert_eq!(found["outcomes"], json!({ "accepted": 3, "duplicate": 27 }));
    for number in 0..15 {
        let snapshot = gateway.snapshot(&format!("pi_{number}")).await;
        assert_eq!((&snapshot["status"], &snapshot["seq"]), (&json!("captured"), &json!(2)), "pi_{number}");
    }
    assert_eq!(run(&[]).await["outcomes"], json!({ "duplicate": 30 }), "nothing twice");
    // A webhook that comes after all is a duplicate.
    assert_eq!(gateway.post("stripe", &events[3]).await.text(), r#"{"outcome":"duplicate"}"#);

    assert_eq!(gateway.metric("paystream_backfilled_events_total", &["stripe", "accepted"]).await, 3.0);
    eventually("the records name what vouches for them", async || {
        let records =
            operator(&gateway, "/admin/deliveries?source=stripe&secret=%5Bsource.api%5D").await.json();
        records["records"].as_array().unwrap().len() == 3
    })
    .await;
    let audit = operator(&gateway, "/admin/audit?action=backfill").await.json().to_string();
    assert!(audit.contains("lost webhooks") && audit.contains("since 20"), "{audit}");
    let log = gateway.log();
    assert!(!log.contains(API_KEY), "{log}");
}

#[tokio::test]
async fn a_backfill_goes_on_where_it_was_broken_off_and_tells_what_the_provider_says() {
    let (lister, folder) = (Lister::start().await, tempfile::tempdir().unwrap());
    let gateway = gateway_with(&lister, folder.path(), API_KEY).await;
    let now = now_s();
    lister.shared.events.lock().unwrap().extend(history(now).iter().rev().cloned());
    let since = |s: u64| {
        let time = paystream::payment::Time::from_unix_s(i64::try_from(now - s).unwrap()).unwrap();
        format!("?since={time}")
    };
    // Only what happened since then, and no page more than that.
    let recent = backfill(&gateway, &since(3_600 - 13 * 60)).await;
    assert_eq!((recent.head.status, recent.json()["events"].clone()), (200, json!(4)), "{}", recent.text());
    // The third page fails: what was taken is told, and the cursor goes on there.
    *lister.shared.failing.lock().unwrap() = vec![503, 200, 200];
    let first = backfill(&gateway, &since(7_200)).await.json();
    assert_eq!((&first["events"], &first["pages"]), (&json!(2 * PAGE), &json!(2)), "{first}");
    let cursor = first["next"].as_str().unwrap();
    let rest = backfill(&gateway, &format!("{}&cursor={cursor}", since(7_200))).await.json();
    assert_eq!((&rest["events"], &rest["next"]), (&json!(30 - 2 * PAGE), &Value::Null), "{rest}");
    for (status, expected) in
        [(429, "provider_throttles"), (500, "provider_unavailable"), (403, "provider_denies")]
    {
        *lister.shared.failing.lock().unwrap() = vec![status];
        let answer = backfill(&gateway, &since(7_200)).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (502, &json!(expected)));
    }
    for (query, reason) in [
        ("", "bad_parameter"),
        ("?since=yesterday", "bad_parameter"),
        ("?since=2026-11-30T12:00:00Z&cursor=%20", "bad_parameter"),
        ("?since=2026-11-30T12:00:00Z&until=2026-12-01T12:00:00Z", "bad_parameter"),
    ] {
        let answer = backfill(&gateway, query).await;
        assert_eq!((answer.head.status, &answer.json()["reason"]), (400, &json!(reason)), "{query}");
    }
    let asked = lister.shared.asked.lock().unwrap().clone();
    assert!(asked.iter().any(|query| query.contains("starting_after=evt_")), "{asked:?}");
}

#[tokio::test]
async fn a_source_without_a_list_of_events_is_told_so() {
    let gateway = Gateway::start().await;
    let answer = backfill(&gateway, "?since=2026-11-30T12:00:00Z").await;
    assert_eq!((answer.head.status, &answer.json()["reason"]), (409, &json!("no_backfill")));
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    let path = "/admin/sources/nobody/backfill?since=2026-11-30T12:00:00Z";
    let answer = request(gateway.admin, "POST", path, &operator, b"").await.unwrap();
    assert_eq!((answer.head.status, &answer.json()["reason"]), (404, &json!("unknown_source")));
}

#[tokio::test]
async fn after_a_restart_the_events_of_the_time_between_are_taken_by_themselves() {
    let (lister, folder) = (Lister::start().await, tempfile::tempdir().unwrap());
    let mut gateway = gateway_with(&lister, folder.path(), API_KEY).await;
    let now = now_s();
    let created = stripe("evt_1", "payment_intent.created", "pi_1", now - 2);
    assert_eq!(gateway.post("stripe", &created).await.head.status, 200);
    eventually("it is recorded", async || {
        !operator(&gateway, "/admin/deliveries?source=stripe").await.json()["records"]
            .as_array()
            .unwrap()
            .is_empty()
    })
    .await;
    gateway.stop().await;
    // Meanwhile the customer pays, and the provider gives the webhook up.
    let paid = stripe("evt_2", "payment_intent.succeeded", "pi_1", now);
    lister.shared.events.lock().unwrap().extend([paid, created]);
    gateway.restart().await;
    eventually("the payment is captured", async || gateway.snapshot("pi_1").await["status"] == "captured")
        .await;
    assert_eq!(gateway.snapshot("pi_1").await["seq"], 2);
    eventually("the log says so", async || gateway.log().contains("asked the provider for its events")).await;
}
