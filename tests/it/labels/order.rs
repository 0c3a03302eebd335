//! One order, over sockets: what its three pages show.

use super::{Order, Webhook, end_of, setups};
use crate::support::{Gateway, PATIENCE, Random, header, next_message, now_s, token};
use load::stream::Stream;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// Reads messages until the payment has seen `seq` events, and returns all of them.
async fn until(stream: &mut Stream, seq: u64) -> Vec<(String, Value)> {
    let mut messages: Vec<(String, Value)> = Vec::new();
    while messages.last().and_then(|(_, message)| message["seq"].as_u64()) != Some(seq) {
        messages.push(next_message(stream).await);
    }
    messages
}

#[tokio::test]
async fn pages_on_the_session_the_order_number_and_the_intent_show_each_status() {
    for (setup, _redis) in setups().await {
        let (gateway, order) = (Gateway::with(setup).await, Order::new(1));
        let mut pages = Vec::new();
        for id in order.ids() {
            let mut page = gateway.stream(id).await;
            let (cursor, first) = next_message(&mut page).await;
            assert_eq!(
                (first["status"].as_str(), cursor.as_str()),
                (Some("unknown"), "0-0"),
                "{id} is not known yet"
            );
            assert!(first["asked"].is_null() && first["reason"].is_null(), "{first}");
            pages.push(page);
        }
        let expected = [
            "created",
            "requires_action",
            "failed",
            "failed",
            "captured",
            "captured",
            "captured",
            "partially_refunded",
            "disputed",
            "partially_refunded",
        ];
        for (webhook, (status, seq)) in order.webhooks.iter().zip(expected.iter().zip(1..)) {
            let answer = webhook.post_to(&gateway).await;
            assert_eq!(answer.text(), r#"{"outcome":"accepted"}"#, "{}", webhook.body);
            for (page, id) in pages.iter_mut().zip(order.ids()) {
                // The session is told by the event that completes it, and from then on it is the payment's.
                if id == order.session && seq < 7 {
                    continue;
                }
                let messages = until(page, seq).await;
                let (_, last) = messages.last().unwrap();
                assert_eq!(
                    (last["status"].as_str(), last["payment"].as_str()),
                    (Some(*status), Some(&*order.payment))
                );
                match seq {
                    2 => assert_eq!(last["action"], json!({ "kind": "3ds" })),
                    4 => assert_eq!(last["failure"], json!({ "reason": "insufficient_funds" })),
                    // The dispute is won, and what the shop gave back by itself remains.
                    10 => assert_eq!(last["event"]["type"], "charge.dispute.closed"),
                    _ => {}
                }
                let is_first = id == order.session && seq == 7 || id == order.number && seq == 1;
                assert_eq!(messages.len(), 1, "nothing twice: {messages:?}");
                if is_first {
                    assert_eq!(
                        (last["type"].as_str(), last["reason"].as_str()),
                        (Some("snapshot"), Some("label"))
                    );
                    assert_eq!(last["asked"], id);
                } else {
                    assert_eq!(
                        (last["type"].as_str(), last["prev"].as_u64()),
                        (Some("update"), Some(seq - 1))
                    );
                }
            }
        }
        let [session, number, payment] = [
            gateway.snapshot(&order.session).await,
            gateway.snapshot(&order.number).await,
            gateway.snapshot(&order.payment).await,
        ];
        assert_eq!(
            (session["asked"].as_str(), session["reason"].as_str()),
            (Some(&*order.session), Some("label"))
        );
        assert!(payment["asked"].is_null() && payment["reason"].is_null());
        let timeline = |snapshot: &Value| snapshot["timeline"].clone();
        assert_eq!(timeline(&session), timeline(&payment));
        assert_eq!(timeline(&number), timeline(&payment));
        assert_eq!((end_of(&session), end_of(&number)), (end_of(&payment), end_of(&payment)));
        // The failed and the captured charge, the session and the number, once each, for all of the webhooks.
        assert_eq!(gateway.metric("paystream_labels_total", &["bound"]).await, 4.0);
    }
}

/// Follows an id through kills until its payment has `seq` events; returns the last message. Every update has to follow the one before.
async fn follow(public: SocketAddr, id: String, seq: u64) -> Value {
    let (mut cursor, mut seen) = ("0-0".to_owned(), 0);
    loop {
        let bearer = format!("Bearer {}", token("default", &[&id]));
        let headers = [header("authorization", &bearer), header("last-event-id", &cursor)];
        let path = format!("/v1/payments/{id}/events");
        let Ok(mut stream) = Stream::open(public, &path, &headers).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while let Ok(event) = stream.event(Duration::from_secs(5)).await {
            let Ok(message) = serde_json::from_str::<Value>(&event.data) else { continue };
            match message["type"].as_str() {
                Some("update") => {
                    assert_eq!(message["prev"].as_u64(), Some(seen), "{id}: {message}");
                    assert_eq!(message["seq"].as_u64(), Some(seen + 1), "{id}: {message}");
                }
                Some("snapshot") => {
                    let is_told = message["reason"] == "label" || seen == 0;
                    assert!(is_told, "{id} had seen {seen}: {message}");
                }
                Some("ready") => assert_eq!(message["seq"].as_u64(), Some(seen), "{id}: {message}"),
                _ => continue,
            }
            seen = message["seq"].as_u64().unwrap();
            cursor.clone_from(&event.id);
            if seen == seq {
                return message;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_of_webhooks_ends_alike_while_the_gateway_is_killed_at_random() {
    let seed = std::env::var("PAYSTREAM_CHAOS_SEED")
        .map_or_else(|_| now_s(), |seed| seed.parse().expect("a number"));
    for (setup, _redis) in setups().await {
        let mut random = Random::new(seed);
        let mut gateway = Gateway::with(setup).await;
        let mut ends: Vec<Value> = Vec::new();
        for order in Order::several(0, 25) {
            let pages = order.ids().map(|id| tokio::spawn(follow(gateway.public, id.to_owned(), 10)));
            let mut webhooks = order.webhooks.clone();
            random.shuffle(&mut webhooks);
            let provider = tokio::spawn(deliver(gateway.ingest, webhooks));
            while !provider.is_finished() {
                tokio::time::sleep(Duration::from_micros(random.below(120_000))).await;
                gateway.kill();
                gateway.restart().await;
            }
            provider.await.unwrap();
            for page in pages {
                let last = tokio::time::timeout(PATIENCE, page).await;
                let last = last.unwrap_or_else(|_| {
                    panic!("seed {seed}: a page of {} never came to its end", order.number)
                });
                assert_eq!(last.unwrap()["payment"], order.payment, "seed {seed}");
            }
            let of_order = [
                gateway.snapshot(&order.session).await,
                gateway.snapshot(&order.number).await,
                gateway.snapshot(&order.payment).await,
            ];
            assert!(
                of_order.iter().all(|snapshot| snapshot["timeline"] == of_order[2]["timeline"]),
                "seed {seed}"
            );
            let end = end_of(&of_order[0]).to_string().replace(&order.payment, "pi");
            ends.push(serde_json::from_str(&end).unwrap());
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}: {ends:#?}");
        assert_eq!(ends[0]["status"], "partially_refunded");
    }
}

/// Posts each webhook until it is acknowledged, as providers do.
async fn deliver(ingest: SocketAddr, webhooks: Vec<Webhook>) {
    for webhook in webhooks {
        loop {
            let (headers, body) = (webhook.headers(), webhook.body.as_bytes());
            let answer = load::http::request(ingest, "POST", "/webhooks/stripe", &headers, body).await;
            match answer {
                Ok(answer) if answer.head.status == 200 => break,
                Ok(answer) => assert_eq!(answer.head.status, 503, "{}", answer.text()),
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
