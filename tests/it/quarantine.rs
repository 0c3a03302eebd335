//! The quarantine for operators: what is held, shown, replayed and discarded, by routes and by command.

use crate::support::{
    ADMIN_TOKEN, Gateway, ProviderApi, Setup, eventually, generic, header, next_message, now_s, paystream,
    signed,
};
use futures_util::future::join_all;
use load::http::{Response, request};
use serde_json::{Value, json};

async fn ask(gateway: &Gateway, method: &str, path: &str) -> Response {
    let operator = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, method, path, &operator, b"").await.unwrap()
}

async fn listed(gateway: &Gateway, filter: &str) -> Vec<Value> {
    let answer = ask(gateway, "GET", &format!("/admin/quarantine?source=acme{filter}")).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    answer.json()["records"].as_array().unwrap().clone()
}

fn id_of(record: &Value) -> &str {
    record["id"].as_str().unwrap()
}

async fn run(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = paystream();
    let (first, rest) = arguments.split_first().unwrap();
    command.args(["quarantine", *first]).arg("--config").arg(gateway.config_path()).args(rest);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A gateway whose source looks for the payment in the wrong place, and how it should be.
fn mistaken() -> (Setup, Setup) {
    let mended = Setup::default();
    let mut setup = mended.clone();
    setup.sources[0].more = "payment = [\"/payment/order\"]".to_owned();
    (setup, mended)
}

async fn reload(gateway: &Gateway, setup: &Setup) {
    let reloads = async || gateway.metric("paystream_reloads_total", &["outcome=\"done\""]).await;
    let before = reloads().await;
    gateway.configure(setup);
    gateway.hang_up();
    eventually("the configuration is reloaded", async || reloads().await > before + 0.5).await;
}

/// The whole story: a mistake of the configuration puts ten events in quarantine; it is mended, and they are replayed; the page shows paid.
#[tokio::test]
async fn what_a_mistake_quarantined_is_mended_and_replayed_and_the_page_shows_it() {
    let (setup, mended) = mistaken();
    let gateway = Gateway::with(setup).await;
    let mut stream = gateway.stream("pay_0").await;
    next_message(&mut stream).await;
    let time = now_s() - 60;
    let payloads: Vec<Value> = (0..10)
        .map(|number| generic(&format!("e{number}"), "confirmed", &format!("pay_{number}"), time))
        .collect();
    for payload in &payloads {
        gateway.accept(payload).await;
    }
    let (code, said) = run(&gateway, &["list", "--source", "acme", "--class", "structural"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().count(), 10, "{said}");
    assert!(said.contains("the payment's id is missing: at /payment/order there is nothing"), "{said}");
    let records = listed(&gateway, "&code=missing_payment").await;
    let id = id_of(&records[0]).to_owned();
    let (code, said) = run(&gateway, &["show", &id, "--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&shown["kept"]["body"], &shown["replayable"]), (&payloads[9], &json!(true)));

    // Before it is mended, a replay changes nothing.
    let (code, said) = run(&gateway, &["replay", "--source", "acme"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("0 settled, 10 left in quarantine"), "{said}");
    assert_eq!(listed(&gateway, "").await, records, "no record was added or removed");

    reload(&gateway, &mended).await;
    let first = ask(&gateway, "POST", &format!("/admin/quarantine/{id}/replay")).await;
    let told = first.json();
    assert_eq!(
        (&told["settled"], &told["events"][0]["outcome"], &told["events"][0]["seq"]),
        (&json!(true), &json!("accepted"), &json!(1)),
        "{told}"
    );
    let statuses = (&told["events"][0]["before"]["status"], &told["events"][0]["after"]["status"]);
    assert_eq!(statuses, (&json!("unknown"), &json!("captured")));
    let (code, said) =
        run(&gateway, &["replay", "--source", "acme", "--code", "missing_payment", "--reason", "mended"])
            .await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("accepted: unknown -> captured") && said.contains("9 settled, 0 left"), "{said}");

    let (_, update) = next_message(&mut stream).await;
    assert_eq!(
        (&update["status"], &update["event"]["id"]),
        (&json!("captured"), &json!("e0")),
        "the page shows it"
    );
    assert_eq!(listed(&gateway, "").await, [] as [Value; 0]);
    // What was replayed is replayed again, discarded, and sent again by its provider: the same answer, and nothing twice.
    for act in ["replay", "discard"] {
        assert_eq!(ask(&gateway, "POST", &format!("/admin/quarantine/{id}/{act}")).await.json(), told);
    }
    let shown = ask(&gateway, "GET", &format!("/admin/quarantine/{id}")).await.json();
    assert_eq!(shown, told, "the body is gone");
    assert_eq!(gateway.post("acme", &payloads[9]).await.json()["outcome"], "duplicate");
    assert_eq!(gateway.snapshot("pay_9").await["seq"], 1);
}

#[tokio::test]
async fn replays_of_one_record_at_the_same_time_append_it_once_and_say_the_same() {
    let (setup, mended) = mistaken();
    let gateway = Gateway::with(setup).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let id = id_of(&listed(&gateway, "").await[0]).to_owned();
    reload(&gateway, &mended).await;
    let path = format!("/admin/quarantine/{id}/replay");
    let answers = join_all((0..8).map(|_| ask(&gateway, "POST", &path))).await;
    let answers: Vec<Value> = answers.iter().map(load::http::Response::json).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["events"][0]["outcome"], "accepted");
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 1);
}

/// The event went the way of its provider meanwhile, so the replay finds it.
#[tokio::test]
async fn a_replay_of_what_came_by_itself_meanwhile_changes_nothing() {
    let (setup, mended) = mistaken();
    let gateway = Gateway::with(setup).await;
    let payload = generic("e1", "confirmed", "pay_1", now_s());
    gateway.accept(&payload).await;
    let id = id_of(&listed(&gateway, "").await[0]).to_owned();
    reload(&gateway, &mended).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    gateway.accept(&payload).await;
    let told = ask(&gateway, "POST", &format!("/admin/quarantine/{id}/replay")).await.json();
    let event = &told["events"][0];
    assert_eq!((&event["outcome"], &event["seq"]), (&json!("duplicate"), &json!(1)), "{told}");
    assert_eq!((&event["before"], &told["settled"]), (&event["after"], &json!(true)));
}

#[tokio::test]
async fn records_are_found_by_each_filter_and_bad_ones_are_refused_with_what_is_allowed() {
    let gateway = Gateway::start().await;
    let time = now_s() - 60;
    gateway.accept(&generic("e1", "pending", "pay_1", time)).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", time)).await;
    let mut bad = generic("e2", "pending", "pay_2", time);
    bad["payment"]["amount"] = json!({ "value": "12" });
    gateway.accept(&bad).await;
    bad["id"] = json!("e3");
    bad["payment"]["currency"] = json!(null);
    bad["payment"]["amount"] = json!("12.00");
    bad["event"] = json!("payment.confirmed");
    gateway.accept(&bad).await;
    for (filter, reasons) in [
        ("", &["missing_currency", "bad_amount", "facts_differ"][..]),
        ("&class=conflict", &["facts_differ"]),
        ("&class=configuration", &["missing_currency"]),
        ("&class=structural", &["bad_amount"]),
        ("&code=bad_amount", &["bad_amount"]),
        ("&payment=pay_1", &["facts_differ"]),
        ("&since=2020-01-01T00:00:00Z&limit=1", &["missing_currency"]),
        ("&until=2020-01-01T00:00:00Z", &[]),
    ] {
        let records = listed(&gateway, filter).await;
        let found: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
        assert_eq!(found, reasons, "{filter}");
    }
    let because = listed(&gateway, "&code=bad_amount").await[0]["because"].clone();
    assert_eq!(because, "the amount cannot be read: at /payment/amount there is an object");
    // A page goes on behind the last record that it showed.
    let page = ask(&gateway, "GET", "/admin/quarantine?source=acme&payment=pay_2&limit=1").await.json();
    let next = page["next"].as_str().unwrap();
    assert_eq!(listed(&gateway, &format!("&payment=pay_2&before={next}")).await[0]["reason"], "bad_amount");

    for query in [
        "",
        "?source=acme&class=odd",
        "?source=acme&limit=0",
        "?source=acme&colour=red",
        "?source=acme&since=now",
    ] {
        for (method, path) in [("GET", ""), ("POST", "/replay"), ("POST", "/discard")] {
            let answer = ask(&gateway, method, &format!("/admin/quarantine{path}{query}")).await;
            assert_eq!(
                (answer.head.status, &answer.json()["reason"]),
                (400, &json!("bad_parameter")),
                "{path}{query}"
            );
            assert!(answer.text().contains("structural, conflict or configuration"), "{}", answer.text());
        }
    }
    let unknown = "0".repeat(32);
    for (path, reason) in [
        (format!("acme~{unknown}"), "unknown_record"),
        (format!("nobody~{unknown}"), "unknown_source"),
        ("acme".to_owned(), "unknown_record"),
        ("acme~7".to_owned(), "unknown_record"),
    ] {
        for (method, act) in [("GET", ""), ("POST", "/replay"), ("POST", "/discard")] {
            let answer = ask(&gateway, method, &format!("/admin/quarantine/{path}{act}")).await;
            assert_eq!((answer.head.status, &answer.json()["reason"]), (404, &json!(reason)), "{path}{act}");
        }
    }
    let (code, said) = run(&gateway, &["show", &format!("acme~{unknown}")]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("(unknown_record)"), "{said}");
}

/// A mask would be taken for what the provider wrote.
#[tokio::test]
async fn what_is_masked_where_the_preset_reads_is_never_replayed() {
    let gateway = Gateway::start().await;
    let mut payload = generic("e1", "pending", "4242424242424242", now_s());
    payload["customer"] =
        json!({ "note": "card 4242 4242 4242 4242", "client_secret": "s3cr3t", "name": "José" });
    gateway.accept(&payload).await;
    let records = listed(&gateway, "").await;
    let answer = ask(&gateway, "GET", &format!("/admin/quarantine/{}", id_of(&records[0]))).await;
    let shown = answer.json();
    let body = &shown["kept"]["body"];
    assert_eq!(
        body["customer"],
        json!({ "note": "card 4242 42** **** 4242", "client_secret": "***", "name": "José" })
    );
    assert_eq!(shown["replayable"], false);
    assert!(!answer.text().contains("4242424242424242") && !answer.text().contains("s3cr3t"));
    let answer = ask(&gateway, "POST", &format!("/admin/quarantine/{}/replay", id_of(&records[0]))).await;
    assert_eq!((answer.head.status, &answer.json()["reason"]), (409, &json!("not_replayable")));
    assert!(answer.text().contains("the preset reads /payment/id"), "{}", answer.text());
    let (code, said) = run(&gateway, &["replay", "--source", "acme"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("not replayed: the event cannot be replayed: the preset reads /payment/id"),
        "{said}"
    );
    let (code, said) = run(&gateway, &["discard", "--source", "acme"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(listed(&gateway, "").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_body_that_is_too_long_or_cannot_be_parsed_is_recorded_and_says_so() {
    let gateway = Gateway::start().await;
    let mut long = generic("e1", "pending", "pay_1", now_s());
    long["payment"]["amount"] = json!([]);
    long["padding"] = json!(vec!["word"; 20_000]);
    gateway.accept(&long).await;
    let body = b"{\"id\": \"4242424242424242\"";
    assert_eq!(gateway.post_raw("acme", &signed("acme", body), body).await.json()["reason"], "not_json");
    let records = listed(&gateway, "").await;
    for (record, expected) in records.iter().zip(["could not be parsed", "longer than 65536 bytes"]) {
        let answer = ask(&gateway, "GET", &format!("/admin/quarantine/{}", id_of(record))).await;
        assert!(answer.json()["not_replayable"].as_str().unwrap().contains(expected), "{}", answer.text());
        assert!(!answer.text().contains("4242424242424242"));
    }
    assert_eq!(records.len(), 2);
}

/// What is full refuses, so that the provider comes again; nothing is dropped, and everything else goes on.
#[tokio::test]
async fn events_for_which_a_quarantine_has_no_room_are_refused_and_all_others_go_on() {
    let gateway = Gateway::start().await;
    let body = b"{";
    let headers = signed("acme", body);
    let post = async || gateway.post_raw("acme", &headers, body).await;
    for _ in 0..8 {
        let answers = join_all((0..128).map(|_| post())).await;
        assert!(answers.iter().all(|answer| answer.head.status == 200));
    }
    assert!(gateway.log().contains("the quarantine fills"), "it was told before");
    let refused = post().await;
    assert_eq!((refused.head.status, &refused.json()["reason"]), (503, &json!("quarantine_full")));
    assert!(refused.head.header("retry-after").is_some());
    let hits = gateway.metric("paystream_limit_hits_total", &["reason=\"quarantine_full\""]).await;
    assert!((hits - 1.0).abs() < 0.1, "{hits}");
    // Events of another reason have room of their own, and events that are understood need none.
    let mut other = generic("e1", "pending", "pay_1", now_s());
    other["payment"]["amount"] = json!([]);
    gateway.accept(&other).await;
    gateway.accept(&generic("e2", "confirmed", "pay_1", now_s())).await;
    assert_eq!(gateway.snapshot("pay_1").await["status"], "captured");
    // One that is discarded makes room for one.
    let oldest = listed(&gateway, "&code=not_json&limit=1024").await.pop().unwrap();
    ask(&gateway, "POST", &format!("/admin/quarantine/{}/discard", id_of(&oldest))).await;
    assert_eq!(post().await.head.status, 200);
    assert_eq!(post().await.head.status, 503);
}

/// Whoever knows the address can send hints, so the quarantine of such a source holds no bodies, and is never full.
#[tokio::test]
async fn hints_are_quarantined_without_bodies_and_fill_nothing() {
    let api = ProviderApi::start().await;
    let gateway = Gateway::with(api.setup()).await;
    let post =
        async || gateway.post_raw("mollie?token=5c1e9a7d3b2f48069e8d", &[], b"junk=1").await.head.status;
    assert_eq!(post().await, 200);
    let page = ask(&gateway, "GET", "/admin/quarantine?source=mollie").await.json();
    assert_eq!(
        (&page["records"][0]["reason"], &page["records"][0]["id"]),
        (&json!("missing_payment"), &Value::Null)
    );
    for _ in 0..9 {
        let statuses = join_all((0..128).map(|_| post())).await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
}

#[tokio::test]
async fn without_bodies_the_quarantine_keeps_lines_alone() {
    let setup = Setup { quarantine_bodies: false, ..Setup::default() };
    let gateway = Gateway::with(setup).await;
    let mut payload = generic("e1", "pending", "pay_1", now_s());
    payload["payment"]["amount"] = json!([]);
    payload["remark"] = json!("not to be kept");
    gateway.accept(&payload).await;
    let records = listed(&gateway, "").await;
    assert_eq!((&records[0]["reason"], &records[0]["id"]), (&json!("bad_amount"), &Value::Null));
    assert!(!json!(records).to_string().contains("not to be kept"));
}

/// What a page must never open: each route, with each kind of bad token.
#[tokio::test]
async fn every_route_of_the_quarantine_refuses_every_bad_token() {
    let gateway = Gateway::start().await;
    let mut payload = generic("e1", "pending", "pay_1", now_s());
    payload["payment"]["amount"] = json!([]);
    gateway.accept(&payload).await;
    let id = id_of(&listed(&gateway, "").await[0]).to_owned();
    for (method, path) in [
        ("GET", "/admin/quarantine?source=acme".to_owned()),
        ("GET", format!("/admin/quarantine/{id}")),
        ("POST", format!("/admin/quarantine/{id}/replay")),
        ("POST", format!("/admin/quarantine/{id}/discard")),
        ("POST", "/admin/quarantine/replay?source=acme".to_owned()),
        ("POST", "/admin/quarantine/discard?source=acme".to_owned()),
    ] {
        let stranger = gateway.bearer(&["pay_1"]);
        let bad = [vec![], vec![header("authorization", "Bearer wrong-token-of-some-length")], stranger];
        for headers in bad {
            let answer = request(gateway.admin, method, &path, &headers, b"").await.unwrap();
            assert_eq!(
                (answer.head.status, &answer.json()["reason"]),
                (401, &json!("bad_admin_token")),
                "{path}"
            );
        }
    }
    assert_eq!(listed(&gateway, "").await.len(), 1, "nothing was discarded");
}

/// An erasure finds a payment in what is held, even if the payload was not understood.
#[tokio::test]
async fn an_erasure_removes_the_bodies_that_name_the_payment() {
    let (setup, _) = mistaken();
    let gateway = Gateway::with(setup).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    gateway.accept(&generic("e2", "confirmed", "pay_2", now_s())).await;
    let ids: Vec<_> = listed(&gateway, "").await.iter().map(|record| id_of(record).to_owned()).collect();
    let answer = ask(&gateway, "DELETE", "/admin/payments/pay_1?realm=default").await.json();
    assert_eq!(answer["removed"]["quarantined"], 1, "{answer}");
    let status = async |id: &str| ask(&gateway, "GET", &format!("/admin/quarantine/{id}")).await.head.status;
    assert_eq!((status(&ids[0]).await, status(&ids[1]).await), (200, 404));
}

/// After a restart, everything that was held is there.
#[tokio::test]
async fn i1_what_is_held_survives_a_kill_and_is_replayed_then() {
    let (setup, mended) = mistaken();
    let mut gateway = Gateway::with(setup).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    gateway.kill();
    gateway.configure(&mended);
    gateway.spawn();
    gateway.until_ready().await;
    let (code, said) = run(&gateway, &["replay", "--source", "acme"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(gateway.snapshot("pay_1").await["status"], "captured");
}
