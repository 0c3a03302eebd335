//! Labels in answers that are no streams, in what operators see, and at their bounds.

use super::{BY_ORDER, Order, setup, setups};
use crate::support::{ADMIN_TOKEN, Gateway, Setup, Source, Store, header, paystream, stripe};
use load::http::request;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_long_poll_on_a_label_waits_for_its_payment_and_for_each_change() {
    let (gateway, order) = (Gateway::with(setup(Store::AsTheRunSays)).await, Order::new(1));
    let path = format!("/v1/payments/{}", order.number);
    let bearer = gateway.bearer(&[&order.number]);
    let unknown = gateway.get(&path, &bearer).await;
    let mut etag = unknown.head.header("etag").unwrap().to_owned();
    for (webhook, status) in order.webhooks.iter().zip(["created", "requires_action"]) {
        let headers =
            [bearer.clone(), vec![header("if-none-match", &etag), header("prefer", "wait=30")]].concat();
        let poll = gateway.get(&path, &headers);
        let post = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            webhook.post_to(&gateway).await
        };
        let (answer, _) = tokio::join!(poll, post);
        assert_eq!(
            (answer.head.status, answer.json()["status"].as_str()),
            (200, Some(status)),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["asked"], order.number);
        etag = answer.head.header("etag").unwrap().to_owned();
    }
    let headers = [bearer, vec![header("if-none-match", &etag)]].concat();
    assert_eq!(gateway.get(&path, &headers).await.head.status, 304);
    // The tag is the payment's, under whichever id.
    let payment =
        gateway.get(&format!("/v1/payments/{}", order.payment), &gateway.bearer(&[&order.payment])).await;
    assert_eq!(payment.head.header("etag"), Some(&*etag));
}

#[tokio::test]
async fn a_token_for_a_label_opens_what_it_points_at_by_that_id_alone() {
    let (gateway, order) = (Gateway::with(setup(Store::AsTheRunSays)).await, Order::new(1));
    order.webhooks[0].post_to(&gateway).await;
    let token = gateway.bearer(&[&order.number]);
    let status = async |id: &str| gateway.get(&format!("/v1/payments/{id}"), &token).await.head.status;
    assert_eq!((status(&order.number).await, status(&order.payment).await), (200, 403));
    let other = vec![header(
        "authorization",
        &format!("Bearer {}", crate::support::token("other", &[&order.number])),
    )];
    let foreign = gateway.get(&format!("/v1/payments/{}", order.number), &other).await.json();
    assert_eq!(foreign["status"], "unknown", "no label crosses realms");
}

#[tokio::test]
async fn a_label_of_too_many_payments_refuses_no_event_and_is_told_once() {
    for (setup, _redis) in setups().await {
        let gateway = Gateway::with(setup).await;
        for number in 0..11 {
            let mut webhook = stripe(
                &format!("e{number}"),
                "payment_intent.created",
                &format!("pi_{number}"),
                1_790_000_000,
            );
            webhook["data"]["object"]["metadata"] = json!({ "order_id": "the-same" });
            assert_eq!(gateway.post("stripe", &webhook).await.text(), r#"{"outcome":"accepted"}"#);
        }
        assert_eq!(gateway.metric("paystream_labels_total", &["full"]).await, 3.0);
        let told = gateway.log().lines().filter(|line| line.contains("the label is full")).count();
        assert_eq!(told, 1, "{}", gateway.log());
        assert_eq!(gateway.snapshot("the-same").await["payment"], "pi_7", "the last of those that it holds");
        assert_eq!(gateway.snapshot("pi_10").await["status"], "created", "the payment itself is there");
    }
}

#[tokio::test]
async fn an_erased_payment_is_gone_under_its_labels_too() {
    for (setup, _redis) in setups().await {
        let (gateway, order) = (Gateway::with(setup).await, Order::new(1));
        for webhook in &order.webhooks {
            webhook.post_to(&gateway).await;
        }
        let bearer = vec![header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
        let path = format!("/admin/payments/{}?realm=default", order.payment);
        let erased = request(gateway.admin, "DELETE", &path, &bearer, b"").await.unwrap();
        assert_eq!(
            (erased.head.status, erased.json()["known"].as_bool()),
            (200, Some(true)),
            "{}",
            erased.text()
        );
        for id in order.ids() {
            assert_eq!(gateway.snapshot(id).await["status"], "unknown", "{id}");
        }
        let again = request(gateway.admin, "DELETE", &path, &bearer, b"").await.unwrap();
        assert_eq!(again.json()["known"], false, "{}", again.text());
    }
}

#[test]
fn check_tells_the_line_of_a_wrong_label_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let check = |provider: &str, lines: &str| {
        let stripe = Source {
            more: lines.to_owned(),
            ..Source::new("acme", provider, "default", "whsec_Zq81LmXw0tB7cYhKdN5v")
        };
        let any = ([127, 0, 0, 1], 0).into();
        Setup { sources: vec![stripe], ..Setup::default() }.write(folder.path(), [any, any, any]);
        let output = paystream()
            .args(["check", "--config"])
            .arg(folder.path().join("paystream.toml"))
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let line = {
        let (code, said) = check("stripe", BY_ORDER);
        assert_eq!(code, Some(0), "{said}");
        let text = std::fs::read_to_string(folder.path().join("paystream.toml")).unwrap();
        text.lines().position(|line| line == BY_ORDER).unwrap() + 1
    };
    let nine = format!("labels = {:?}", (0..9).map(|n| format!("/{n}")).collect::<Vec<_>>());
    for (provider, lines, expected) in [
        ("stripe", "labels = [\"order_id\"]", "labels[0]: `order_id`"),
        ("stripe", "labels = \"/order_id\"", "allowed: a list of JSON pointers"),
        ("stripe", &nine, "at most 8 are allowed"),
        ("mollie-classic", BY_ORDER, "are hints, whose ids count for nothing; add [source.api]"),
    ] {
        let (code, said) = check(provider, lines);
        assert_eq!(code, Some(2), "{lines}: {said}");
        assert!(said.contains(expected) && said.contains(&format!("{line}")), "{lines}: {said}");
    }
    let label_realm = Setup {
        sources: vec![Source::new("acme", "stripe", "label:default", "whsec_Zq81LmXw0tB7cYhKdN5v")],
        ..Setup::default()
    };
    let any = ([127, 0, 0, 1], 0).into();
    label_realm.write(folder.path(), [any, any, any]);
    let output =
        paystream().args(["check", "--config"]).arg(folder.path().join("paystream.toml")).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("do not begin with \"label:\""), "{said}");
}
