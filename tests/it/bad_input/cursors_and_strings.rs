//! Strings of others, on their way to a stream or a log line.

use crate::support::{Gateway, PATIENCE, generic, message, next_message, stripe};

/// What would end a line, a frame or a string.
const EVIL: &str = "e1\r\n\r\nid: evil\ndata: {\"type\":\"evil\"}\n\n\u{0}\u{1b}[31m\u{2028}\u{85}\"}";

#[tokio::test]
async fn cr_lf_and_nul_break_neither_a_frame_nor_a_log_line() {
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pi_1").await;
    next_message(&mut stream).await;
    let mut status = generic("e0", "pending", "pi_2", 1_700_000_000);
    status["payment"]["status"] = EVIL.into();
    status["payment"]["tx_hash"] = EVIL.into();
    for (source, payload) in [
        ("acme", generic(EVIL, "pending", "pi_2", 1_700_000_000)),
        ("acme", generic("e2", EVIL, "pi_2", 1_700_000_000)),
        ("acme", generic("e3", "pending", EVIL, 1_700_000_000)),
        ("acme", status),
        ("stripe", stripe(EVIL, "payment_intent.created", "pi_1", 1_700_000_000)),
        ("stripe", stripe("evt_2", EVIL, "pi_1", 1_700_000_000)),
        ("stripe", stripe("evt_3", "payment_intent.succeeded", EVIL, 1_700_000_000)),
        ("stripe", stripe("evt_last", "payment_intent.succeeded", "pi_1", 1_700_000_009)),
    ] {
        let answer = gateway.post(source, &payload).await;
        assert_eq!(answer.head.status / 100, 2, "{payload}: {}", answer.text());
    }
    loop {
        let event = stream.event(PATIENCE).await.unwrap();
        let message = message(&event);
        assert_eq!(event.lines.len(), 2, "{:?}", event.lines);
        assert_ne!(event.id, "evil");
        assert_eq!(message["type"], "update");
        if message["event"]["id"] == "evt_last" {
            break;
        }
    }
    let log = gateway.log();
    assert!(!log.contains(['\0', '\u{1b}', '\r']), "{log:?}");
    for line in log.lines() {
        assert!(!line.starts_with("id:") && !line.starts_with("data:"), "a line of its own: {line}");
    }
}

#[tokio::test]
async fn a_path_that_names_no_payment_is_refused_before_anything_else() {
    let gateway = Gateway::start().await;
    let bearer = gateway.bearer(&["pay_1"]);
    let long = "x".repeat(129);
    for id in ["%00", "%0d%0aset-cookie:x=y", "a%20b", "za%C5%BC", long.as_str()] {
        for path in [
            format!("/v1/payments/{id}"),
            format!("/v1/payments/{id}/events"),
            format!("/v1/events?payment={id}"),
        ] {
            let answer = gateway.get(&path, &bearer).await;
            assert!([400, 403, 404].contains(&answer.head.status), "{path}: {}", answer.head.status);
            assert_eq!(answer.head.header("set-cookie"), None);
            assert!(
                answer.head.header("content-type").unwrap().starts_with("application/problem+json"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn a_payment_id_may_have_any_printable_character() {
    let gateway = Gateway::start().await;
    let id = r#"ord/7?a=b&c#d%"'<>\"#;
    gateway.accept(&generic("e1", "pending", id, 1_700_000_000)).await;
    let path: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let bearer = gateway.bearer(&[id]);
    let mut stream = gateway.open(&format!("/v1/payments/{path}/events"), &bearer).await;
    let (_, snapshot) = next_message(&mut stream).await;
    assert_eq!((snapshot["payment"].as_str(), snapshot["seq"].as_u64()), (Some(id), Some(1)));
    let mut stream = gateway.open(&format!("/v1/events?payment={path}"), &bearer).await;
    assert_eq!(next_message(&mut stream).await.1["payment"], id);
}
