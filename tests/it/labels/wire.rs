//! Streams under a label: resumption, several payments, the end, and who goes before whom. Run on HTTP/1 and HTTP/2 as the wire's tests are.

use super::{Order, setup};
use crate::support::{Gateway, Setup, Store, header, next_message, now_s, read_to_end, stripe};
use load::http::End;
use serde_json::{Value, json};

/// A webhook of the intent `payment` for the order of this number.
fn of_order(id: &str, kind: &str, payment: &str, number: &str, second: u64) -> Value {
    let mut webhook = stripe(id, kind, payment, 1_790_000_000 + second);
    webhook["data"]["object"]["metadata"] = json!({ "order_id": number });
    webhook
}

async fn start(stream: &str) -> Gateway {
    Gateway::with(Setup { stream: stream.to_owned(), ..setup(Store::AsTheRunSays) }).await
}

async fn take(gateway: &Gateway, webhook: &Value) {
    let answer = gateway.post("stripe", webhook).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_reconnect_under_the_label_resumes_exactly_and_a_cursor_of_another_log_gets_its_reason() {
    let gateway = start("").await;
    for (id, kind, second) in [("e1", "created", 1), ("e2", "processing", 2)] {
        take(&gateway, &of_order(id, &format!("payment_intent.{kind}"), "pi_1", "o-1", second)).await;
    }
    let mut page = gateway.stream("o-1").await;
    let (cursor, first) = next_message(&mut page).await;
    assert_eq!((first["reason"].as_str(), first["asked"].as_str()), (Some("label"), Some("o-1")));
    drop(page);
    let (_, ready) = next_message(&mut gateway.resume("o-1", &cursor).await).await;
    let expected = (Some("ready"), Some("pi_1"), Some("o-1"));
    assert_eq!((ready["type"].as_str(), ready["payment"].as_str(), ready["asked"].as_str()), expected);
    // The cursor is the payment's, under whichever id.
    let (_, ready) = next_message(&mut gateway.resume("pi_1", &cursor).await).await;
    assert_eq!((ready["type"].as_str(), ready.get("asked")), (Some("ready"), None));
    take(&gateway, &of_order("e3", "payment_intent.succeeded", "pi_1", "o-1", 3)).await;
    let (_, missed) = next_message(&mut gateway.resume("o-1", &cursor).await).await;
    assert_eq!((missed["type"].as_str(), missed["prev"].as_u64()), (Some("update"), Some(2)));
    // Who waited for the label has the cursor of nothing, and is told which payment it is.
    let (_, told) = next_message(&mut gateway.resume("o-1", "0-0").await).await;
    assert_eq!((told["reason"].as_str(), told["payment"].as_str()), (Some("label"), Some("pi_1")));
    take(&gateway, &of_order("f1", "payment_intent.created", "pi_2", "o-2", 1)).await;
    let (other, _) = next_message(&mut gateway.stream("o-2").await).await;
    let (_, reset) = next_message(&mut gateway.resume("o-1", &other).await).await;
    assert_eq!((reset["reason"].as_str(), reset["asked"].as_str()), (Some("unknown_cursor"), Some("o-1")));
}

#[tokio::test]
async fn a_second_attempt_takes_the_label_over_and_gives_it_back_to_the_one_with_money() {
    let gateway = start("").await;
    let mut page = gateway.stream("o-1").await;
    next_message(&mut page).await;
    for (id, kind, payment, second, expected) in [
        ("e1", "created", "pi_1", 1, "created"),
        ("f1", "created", "pi_2", 2, "created"),
        // The customer pays in the first tab after all.
        ("e2", "succeeded", "pi_1", 3, "captured"),
    ] {
        take(&gateway, &of_order(id, &format!("payment_intent.{kind}"), payment, "o-1", second)).await;
        let (_, message) = next_message(&mut page).await;
        let told = (message["reason"].as_str(), message["payment"].as_str(), message["status"].as_str());
        assert_eq!(told, (Some("label"), Some(payment), Some(expected)));
        assert_eq!(message["asked"], "o-1");
    }
    take(&gateway, &of_order("f2", "payment_intent.canceled", "pi_2", "o-1", 4)).await;
    take(&gateway, &of_order("e3", "payment_intent.succeeded", "pi_1", "o-1", 5)).await;
    let (_, message) = next_message(&mut page).await;
    assert_eq!((message["type"].as_str(), message["event"]["id"].as_str()), (Some("update"), Some("e3")));
}

#[tokio::test]
async fn lanes_that_come_to_one_payment_are_one() {
    let gateway = start("").await;
    let order = Order::new(1);
    let ids = order.ids();
    let path = format!("/v1/events?payment={}&payment={}&payment={}", ids[0], ids[1], ids[2]);
    let bearer = gateway.bearer(&ids);
    for webhook in &order.webhooks[..7] {
        assert_eq!(webhook.post_to(&gateway).await.head.status, 200);
    }
    let mut stream = gateway.open(&path, &bearer).await;
    let mut cursor = String::new();
    for id in ids {
        let (id_line, snapshot) = next_message(&mut stream).await;
        assert_eq!(snapshot["payment"], order.payment);
        assert_eq!(snapshot["asked"].as_str(), Some(id).filter(|id| *id != order.payment));
        cursor = id_line;
    }
    let is_joined = |cursor: &str, seq: u64| {
        let parts: Vec<_> = cursor.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| *part == parts[0] && part.ends_with(&format!("-{seq}")))
    };
    assert!(is_joined(&cursor, 7), "{cursor}");
    for (webhook, seq) in order.webhooks[7..9].iter().zip(8..) {
        assert_eq!(webhook.post_to(&gateway).await.head.status, 200);
        let (id, update) = next_message(&mut stream).await;
        assert_eq!(
            (update["type"].as_str(), update["seq"].as_u64()),
            (Some("update"), Some(seq)),
            "once for all three"
        );
        assert!(is_joined(&id, seq), "{id}");
    }
    drop(stream);
    let mut headers = bearer;
    headers.push(header("last-event-id", &cursor));
    let mut stream = gateway.open(&path, &headers).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let (_, message) = next_message(&mut stream).await;
        told.push((message["type"].as_str().unwrap().to_owned(), message["seq"].as_u64().unwrap()));
    }
    let expected = [("update", 8), ("update", 9), ("ready", 9), ("ready", 9)];
    assert_eq!(told, expected.map(|(kind, seq)| (kind.to_owned(), seq)));
}

#[tokio::test]
async fn a_stream_under_a_label_finishes_with_its_payment() {
    let gateway = start("linger = \"1s\"").await;
    let bearer = gateway.bearer(&["o-1"]);
    let path = "/v1/payments/o-1/events?until=finished";
    let mut stream = gateway.open(path, &bearer).await;
    next_message(&mut stream).await;
    let mut webhook = of_order("e1", "payment_intent.succeeded", "pi_1", "o-1", 1);
    webhook["created"] = json!(now_s());
    take(&gateway, &webhook).await;
    let (cursor, snapshot) = next_message(&mut stream).await;
    assert_eq!(snapshot["status"], "captured");
    let (messages, end) = read_to_end(&mut stream).await;
    assert_eq!((messages.last().unwrap()["reason"].as_str(), end), (Some("finished"), End::Clean));
    let headers = [bearer, vec![header("last-event-id", &cursor)]].concat();
    assert_eq!(gateway.get(path, &headers).await.head.status, 204);
}

#[tokio::test]
async fn a_payment_s_own_log_goes_before_a_label_of_its_id() {
    let gateway = start("").await;
    // The shop lets its customers write the order number, and one of them writes the id of another's payment.
    take(&gateway, &of_order("e1", "payment_intent.succeeded", "pi_thief", "pi_victim", 1)).await;
    let mut page = gateway.stream("pi_victim").await;
    let (_, early) = next_message(&mut page).await;
    assert_eq!(early["payment"], "pi_thief", "nothing is known of the other one yet");
    take(&gateway, &of_order("v1", "payment_intent.created", "pi_victim", "o-1", 2)).await;
    let (_, own) = next_message(&mut page).await;
    let told = (own["reason"].as_str(), own["payment"].as_str(), own["status"].as_str());
    assert_eq!(told, (Some("label"), Some("pi_victim"), Some("created")));
    take(&gateway, &of_order("e2", "payment_intent.succeeded", "pi_thief", "pi_victim", 3)).await;
    take(&gateway, &of_order("v2", "payment_intent.processing", "pi_victim", "o-1", 4)).await;
    let (_, update) = next_message(&mut page).await;
    assert_eq!(
        (update["payment"].as_str(), update["status"].as_str()),
        (Some("pi_victim"), Some("processing"))
    );
    assert_eq!(gateway.snapshot("pi_victim").await["status"], "processing");
}
