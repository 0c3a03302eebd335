//! Attacks on the list of all payments: filters that are not what they seem, requests that make it look at everything, readers that take
//! nothing.

use crate::{
    support::{Gateway, generic, header, next_message, token},
    wire::realm::operator,
};
use serde_json::Value;

async fn refused(gateway: &Gateway, query: &str) -> Option<String> {
    let mut details = Vec::new();
    for path in ["/v1/payments", "/v1/payments/events"] {
        let answer = gateway.get(&format!("{path}?{query}"), &operator("default")).await;
        if answer.head.status != 400 {
            return None;
        }
        let problem = answer.json();
        assert_eq!(problem["reason"], "bad_parameter", "{query}");
        details.push(problem["detail"].as_str().unwrap().to_owned());
    }
    details.pop()
}

/// A filter that is ignored shows payments that nobody asked for, and an exporter that trusts it counts money twice.
#[tokio::test]
async fn a_filter_that_is_not_understood_is_refused_with_what_is_allowed() {
    let gateway = Gateway::start().await;
    for (query, allowed) in [
        ("staus=captured", "`status`"),
        ("Status=captured", "`status`"),
        ("status[]=captured", "`status`"),
        ("realm=other", "`status`"),
        ("payment=pay_1", "`status`"),
        ("status=", "charged_back"),
        ("status=Captured", "charged_back"),
        ("status=captured,failed", "charged_back"),
        ("status=captured&status=paid", "charged_back"),
        ("currency=eur", "EUR"),
        ("currency=%E2%82%AC", "EUR"),
        ("provider=", "printable"),
        ("provider=a%20b", "printable"),
        ("source=%0A", "printable"),
        ("amount_min=1.5", "minor units"),
        ("amount_min=-1", "minor units"),
        ("amount_max=99999999999999999999", "minor units"),
        ("amount_min=1&amount_min=2", "once"),
        ("first_seen_from=yesterday", "RFC 3339"),
        ("first_seen_to=2026-11-30", "RFC 3339"),
        ("first_seen_to=1970-01-01T00:00:00", "RFC 3339"),
        ("limit=0", "500"),
        ("limit=501", "500"),
        ("limit=1e2", "500"),
        ("limit=5&limit=5", "once"),
    ] {
        let detail = refused(&gateway, query).await.unwrap_or_else(|| panic!("{query} was taken"));
        assert!(detail.contains(allowed), "{query}: {detail}");
    }
    let many = ["status=captured"; 65].join("&");
    assert!(refused(&gateway, &many).await.unwrap().contains("64"));
    // Each route has parameters that the other one does not have.
    for path in
        ["/v1/payments?heartbeat=event", "/v1/payments?last_event_id=1", "/v1/payments/events?before=1.a"]
    {
        assert_eq!(gateway.get(path, &operator("default")).await.head.status, 400, "{path}");
    }
    for before in ["", "1", "x.pay", "1.", "-1.pay", "99999999999999999999.pay", "1.a%20b", "%00.a"] {
        let answer = gateway.get(&format!("/v1/payments?before={before}"), &operator("default")).await;
        assert_eq!(answer.head.status, 400, "{before}");
    }
}

/// Whoever may see one payment must not learn from the list, or from how it refuses, which others there are.
#[tokio::test]
async fn a_token_of_some_payments_learns_nothing_from_the_list() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let mut answers = Vec::new();
    for payments in [&["pay_1"][..], &["pay_9"], &["payments"]] {
        let bearer = [header("authorization", &format!("Bearer {}", token("default", payments)))];
        for query in ["", "?status=processing", "?status=nonsense", "?before=1.pay_1"] {
            let answer = gateway.get(&format!("/v1/payments{query}"), &bearer).await;
            answers.push((answer.head.status, answer.text()));
        }
    }
    answers.dedup();
    assert_eq!((answers.len(), answers[0].0), (1, 403), "{answers:?}");
}

/// A cursor is a time that the client sends. Whatever it is, the answer is what the token may see anyway, and nothing breaks.
#[tokio::test]
async fn no_cursor_breaks_the_stream_of_all_payments() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    for cursor in [
        "0",
        "1",
        "-1",
        "+5",
        "5001",
        "9007199254740993",
        "253370764799999",
        "99999999999999999999999",
        "1e9",
        "NaN",
        "0-0.0-0",
        "' OR 1",
        "\u{fffd}",
    ] {
        let mut headers = operator("default");
        headers.push(header("last-event-id", cursor));
        let mut stream = gateway.open("/v1/payments/events", &headers).await;
        let (id, first) = next_message(&mut stream).await;
        assert!(id.bytes().all(|byte| byte.is_ascii_digit()), "{cursor}: {id}");
        let payments = first["payments"].as_array().cloned().unwrap_or_default();
        assert!(payments.iter().any(|payment| payment["payment"] == "pay_1"), "{cursor}: {first}");
        assert!(matches!(&first["type"], Value::String(kind) if kind == "page" || kind == "changes"));
    }
}
