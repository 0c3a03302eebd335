//! I8: card data goes nowhere.

use crate::support::{Gateway, generic, stripe};
use load::sse::Item;
use serde_json::json;
use std::{fs, path::Path, time::Duration};

/// Test numbers of the card networks, and how they are written by people.
const CARDS: [&str; 4] = ["4242424242424242", "4000 0566 5566 5556", "3782-822463-10005", "6011111111111117"];
const CVV: &str = "8731";
const TRACK: &str = ";5105105105105100=29101011234567890?";

#[tokio::test]
async fn i8_card_numbers_are_neither_streamed_nor_logged_nor_stored() {
    let mut gateway = Gateway::start().await;
    let mut stream = gateway.stream("pi_control").await;
    for (n, card) in (0..).zip(CARDS) {
        let mut charge =
            stripe(&format!("evt_{n}"), "payment_intent.succeeded", "pi_control", 1_700_000_000 + n);
        let object = &mut charge["data"]["object"];
        object["description"] = format!("paid with {card}").into();
        object["payment_method_details"] = json!({ "card": { "number": card, "cvc": CVV, "track2": TRACK } });
        object["metadata"] = json!({ "card_number": card, "cvv": CVV });
        assert_eq!(gateway.post("stripe", &charge).await.head.status / 100, 2);

        // What can't be mapped goes to the quarantine, which holds no card data either.
        let mut unmappable = charge.clone();
        unmappable["data"]["object"]["id"] = json!(null);
        unmappable["id"] = format!("evt_q{n}").into();
        assert_eq!(gateway.post("stripe", &unmappable).await.head.status / 100, 2);
        let mut odd = generic("", "pending", "pay_1", 1_700_000_000);
        odd["event"] = format!("card {card}").into();
        odd["payment"]["status"] = json!({ "pan": card, "cvv": CVV });
        assert_eq!(gateway.post("acme", &odd).await.head.status / 100, 2);
        // Verified, not JSON.
        let body = format!("card={card}&cvv={CVV}");
        let headers = crate::support::signed("acme", body.as_bytes());
        assert_eq!(gateway.post_raw("acme", &headers, body.as_bytes()).await.head.status / 100, 2);
        // Not verified.
        assert_eq!(gateway.post_raw("acme", &[], body.as_bytes()).await.head.status, 401);
    }
    let mut seen = String::new();
    while !seen.contains("evt_3") {
        let event = stream.event(crate::support::PATIENCE).await.unwrap();
        seen.push_str(&format!("{:?}", Item::Event(event)));
    }
    seen.push_str(&gateway.snapshot("pi_control").await.to_string());
    seen.push_str(&gateway.admin("/metrics").await.text());
    gateway.stop().await;
    gateway.stop_store();
    let log = gateway.log();
    let stored = text_below(&gateway.data_path());
    assert!(stored.contains("pi_control"), "the data folder can be searched");
    for card in CARDS {
        let digits: String = card.chars().filter(char::is_ascii_digit).collect();
        for text in [card, &digits, &digits[..digits.len() - 4]] {
            assert!(!seen.contains(text), "{text} was streamed");
            assert!(!log.contains(text), "{text} was logged:\n{log}");
            assert!(!stored.contains(text), "{text} was stored");
        }
    }
    assert!(!seen.contains(CVV) && !log.contains(CVV) && !stored.contains("5105105105105100"));
}

#[tokio::test]
async fn i8_a_payment_id_that_looks_like_a_card_number_is_quarantined() {
    let mut gateway = Gateway::start().await;
    let card = "4242424242424242";
    let mut stream = gateway.stream(card).await;
    crate::support::next_message(&mut stream).await;
    let answer = gateway.post("acme", &generic("e1", "pending", card, 1_700_000_000)).await;
    assert_eq!(answer.head.status / 100, 2);
    crate::support::stays_silent(&mut stream, Duration::from_millis(300)).await;
    assert_eq!(gateway.events(&["outcome=\"quarantined\""]).await, 1);
    drop(stream);
    gateway.stop().await;
    gateway.stop_store();
    assert!(!text_below(&gateway.data_path()).contains(card), "it was stored");
    assert!(!gateway.log().contains(card), "it was logged");
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
