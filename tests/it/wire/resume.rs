//! Cursors: exactly what was missed, or a snapshot that says why not.

use crate::support::{Gateway, generic, header, next_message, read_until};
use serde_json::Value;
use std::{fs, path::Path};

/// Accepts events `from..=to` for `pay_1`.
async fn accept(gateway: &Gateway, from: u64, to: u64) {
    for seq in from..=to {
        gateway.accept(&generic(&format!("e{seq}"), "pending", "pay_1", 1_700_000_000 + seq)).await;
    }
}

/// The cursor of the newest event of `pay_1`.
async fn head(gateway: &Gateway) -> String {
    next_message(&mut gateway.stream("pay_1").await).await.0
}

#[tokio::test]
async fn a_cursor_brings_exactly_the_missed_updates() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 2).await;
    let cursor = head(&gateway).await;
    accept(&gateway, 3, 6).await;
    let path = "/v1/payments/pay_1/events";
    let bearer = gateway.bearer(&["pay_1"]);
    let mut by_header = bearer.clone();
    by_header.push(header("last-event-id", &cursor));
    for (path, headers) in [
        (path.to_owned(), by_header),
        (format!("{path}?last_event_id={cursor}"), bearer.clone()),
        (format!("{path}?lastEventId={cursor}"), bearer),
    ] {
        let mut stream = gateway.open(&path, &headers).await;
        let missed = read_until(&mut stream, 6).await;
        let seqs: Vec<_> = missed.iter().map(|update| update["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, [3, 4, 5, 6], "{path}");
        assert!(missed.iter().all(|update| update["type"] == "update"));
        let last = missed.iter().map(|update| update["up_to_date"] == true).collect::<Vec<_>>();
        assert_eq!(last, [false, false, false, true], "only the last is up to date");
        assert_eq!(stream.torn, 0);
    }
}

#[tokio::test]
async fn the_header_outranks_the_query() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 1).await;
    let old = head(&gateway).await;
    accept(&gateway, 2, 3).await;
    let new = head(&gateway).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    headers.push(header("last-event-id", &new));
    let path = format!("/v1/payments/pay_1/events?last_event_id={old}");
    let (_, first) = next_message(&mut gateway.open(&path, &headers).await).await;
    assert_eq!(
        first["type"], "ready",
        "a native EventSource reconnects to its first URL with a newer header"
    );
}

#[tokio::test]
async fn nothing_missed_is_ready() {
    let gateway = Gateway::start().await;
    for known in [0, 3] {
        accept(&gateway, 1, known).await;
        let cursor = head(&gateway).await;
        let mut stream = gateway.resume("pay_1", &cursor).await;
        let (id, ready) = next_message(&mut stream).await;
        assert_eq!(id, cursor);
        assert_eq!(ready["type"], "ready");
        assert_eq!(ready["seq"], known);
        assert_eq!(ready["up_to_date"], true);
    }
}

#[tokio::test]
async fn the_start_cursor_brings_everything() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 3).await;
    let all = read_until(&mut gateway.resume("pay_1", "0-0").await, 3).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|update| update["type"] == "update"), "{all:?}");
}

#[tokio::test]
async fn a_long_gap_is_replayed_whole() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 1).await;
    let cursor = head(&gateway).await;
    accept(&gateway, 2, 300).await;
    let missed = read_until(&mut gateway.resume("pay_1", &cursor).await, 300).await;
    let seqs: Vec<_> = missed.iter().map(|update| update["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (2..=300).collect::<Vec<_>>());
}

/// The first message for a cursor that can't be honoured.
async fn refused(gateway: &Gateway, cursor: &str) -> Value {
    let mut stream = gateway.resume("pay_1", cursor).await;
    assert_eq!(stream.head.status, 200, "{cursor:?}: never an error");
    let (id, first) = next_message(&mut stream).await;
    assert_eq!(first["type"], "snapshot", "{cursor:?}: {first}");
    assert!(!id.is_empty());
    first
}

#[tokio::test]
async fn a_cursor_that_is_none_gets_a_snapshot_with_a_reason() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 3).await;
    let long = "x".repeat(5000);
    for garbage in ["garbage", "1", "-", "0-1", "00000000-00", "../../etc/passwd", "%00", "\u{fffd}", &long] {
        let first = refused(&gateway, garbage).await;
        assert_eq!(first["reason"], "unknown_cursor", "{garbage:?}");
        assert_eq!((&first["seq"], &first["up_to_date"]), (&3.into(), &true.into()));
    }
}

#[tokio::test]
async fn a_cursor_of_another_payment_gets_a_snapshot_with_a_reason() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 3).await;
    gateway.accept(&generic("x1", "pending", "pay_2", 1_700_000_000)).await;
    let (foreign, _) = next_message(&mut gateway.stream("pay_2").await).await;
    assert_eq!(refused(&gateway, &foreign).await["reason"], "unknown_cursor");
}

#[tokio::test]
async fn a_cursor_of_a_log_that_is_gone_is_evicted() {
    let gateway = Gateway::start().await;
    accept(&gateway, 1, 1).await;
    let cursor = head(&gateway).await;
    // A payment that was never heard of is like one whose log ran out of its history.
    let mut stream = gateway.resume("pay_2", &cursor).await;
    let (id, first) = next_message(&mut stream).await;
    assert_eq!((first["type"].as_str(), first["reason"].as_str()), (Some("snapshot"), Some("evicted")));
    assert_eq!((id.as_str(), first["status"].as_str()), ("0-0", Some("unknown")));
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_noticed() {
    let mut gateway = Gateway::start().await;
    accept(&gateway, 1, 2).await;
    gateway.stop().await;
    gateway.stop_store();
    let backup = gateway.folder().join("backup");
    copy(&gateway.data_path(), &backup);
    gateway.start_store().await;
    gateway.restart().await;
    accept(&gateway, 3, 5).await;
    let cursor = head(&gateway).await;
    gateway.stop().await;
    gateway.stop_store();
    fs::remove_dir_all(gateway.data_path()).unwrap();
    copy(&backup, &gateway.data_path());
    gateway.start_store().await;
    gateway.restart().await;

    let first = refused(&gateway, &cursor).await;
    assert_eq!((first["reason"].as_str(), first["seq"].as_u64()), (Some("rolled_back"), Some(2)));
    // Other events take the same numbers: their tags tell them apart. (Whether the cursor is from before the rollback or of
    // another log can't be told any more.)
    accept(&gateway, 13, 15).await;
    let first = refused(&gateway, &cursor).await;
    assert_eq!((first["reason"].as_str(), first["seq"].as_u64()), (Some("unknown_cursor"), Some(5)));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
