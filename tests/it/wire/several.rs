//! Several payments on one stream.

use crate::support::{Gateway, Setup, generic, header, next_message, now_s, read_to_end};
use load::http::End;
use std::collections::BTreeMap;

const PATH: &str = "/v1/events?payment=a&payment=b&payment=c";

#[tokio::test]
async fn each_payment_begins_with_its_snapshot_and_cursors_are_joined() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("b1", "pending", "b", 1_700_000_000)).await;
    let mut stream = gateway.open(PATH, &gateway.bearer(&["a", "b", "c"])).await;
    let mut seqs = BTreeMap::new();
    let mut cursor = String::new();
    while seqs.len() < 3 {
        let (id, snapshot) = next_message(&mut stream).await;
        assert_eq!(snapshot["type"], "snapshot");
        seqs.insert(snapshot["payment"].as_str().unwrap().to_owned(), snapshot["seq"].as_u64().unwrap());
        cursor = id;
    }
    assert_eq!(seqs, BTreeMap::from([("a".into(), 0), ("b".into(), 1), ("c".into(), 0)]));
    let parts: Vec<_> = cursor.split('.').collect();
    assert_eq!(parts.len(), 3, "{cursor}");
    assert_eq!((parts[0], parts[2]), ("0-0", "0-0"), "in the order of the request");
    assert!(parts[1].ends_with("-1"));

    gateway.accept(&generic("c1", "confirmed", "c", 1_700_000_000)).await;
    let (id, update) = next_message(&mut stream).await;
    assert_eq!((update["payment"].as_str(), update["seq"].as_u64()), (Some("c"), Some(1)));
    let now: Vec<_> = id.split('.').collect();
    assert_eq!(now[..2], parts[..2], "the others' cursors stand");
    assert!(now[2].ends_with("-1"));
    assert_eq!(stream.torn, 0);
}

#[tokio::test]
async fn joined_cursors_resume_each_payment_exactly() {
    let gateway = Gateway::start().await;
    let bearer = gateway.bearer(&["a", "b", "c"]);
    gateway.accept(&generic("a1", "pending", "a", 1_700_000_000)).await;
    let mut stream = gateway.open(PATH, &bearer).await;
    let mut cursor = String::new();
    for _ in 0..3 {
        cursor = next_message(&mut stream).await.0;
    }
    drop(stream);
    for (id, payment) in [("a2", "a"), ("b1", "b"), ("a3", "a")] {
        gateway.accept(&generic(id, "pending", payment, 1_700_000_001)).await;
    }
    let mut headers = bearer;
    headers.push(header("last-event-id", &cursor));
    let mut stream = gateway.open(PATH, &headers).await;
    let mut missed = BTreeMap::<String, Vec<u64>>::new();
    while missed.values().map(Vec::len).sum::<usize>() < 3 {
        let (_, message) = next_message(&mut stream).await;
        if message["type"] == "update" {
            let payment = message["payment"].as_str().unwrap().to_owned();
            missed.entry(payment).or_default().push(message["seq"].as_u64().unwrap());
        } else {
            assert_eq!(message["type"], "ready", "{message}");
        }
    }
    assert_eq!(missed, BTreeMap::from([("a".to_owned(), vec![2, 3]), ("b".to_owned(), vec![1])]));
}

#[tokio::test]
async fn it_is_finished_when_all_are() {
    let gateway = Gateway::with(Setup::stream("linger = \"1s\"")).await;
    let path = "/v1/events?payment=a&payment=b&until=finished";
    let bearer = gateway.bearer(&["a", "b"]);
    gateway.accept(&generic("a1", "confirmed", "a", now_s())).await;
    gateway.accept(&generic("b1", "pending", "b", now_s())).await;
    let mut stream = gateway.open(path, &bearer).await;
    for _ in 0..2 {
        next_message(&mut stream).await;
    }
    crate::support::stays_silent(&mut stream, std::time::Duration::from_secs(2)).await;
    gateway.accept(&generic("b2", "confirmed", "b", now_s() + 1)).await;
    let (cursor, _) = next_message(&mut stream).await;
    let (messages, end) = read_to_end(&mut stream).await;
    assert_eq!(messages.last().unwrap()["reason"], "finished");
    assert_eq!(end, End::Clean);
    let mut headers = bearer;
    headers.push(header("last-event-id", &cursor));
    assert_eq!(gateway.get(path, &headers).await.head.status, 204);
}

#[tokio::test]
async fn too_many_or_no_payments_are_a_bad_request() {
    let gateway = Gateway::start().await;
    let payments: Vec<_> = (0..9).map(|n| format!("p{n}")).collect();
    let ids: Vec<_> = payments.iter().map(String::as_str).collect();
    let query: Vec<_> = ids.iter().map(|id| format!("payment={id}")).collect();
    for (query, status) in [(query.join("&"), 400), (query[..8].join("&"), 200), (String::new(), 400)] {
        let stream = gateway.open(&format!("/v1/events?{query}"), &gateway.bearer(&ids)).await;
        assert_eq!(stream.head.status, status, "{query}");
    }
}

#[tokio::test]
async fn one_foreign_payment_refuses_the_whole_stream() {
    let gateway = Gateway::start().await;
    let stream = gateway.open(PATH, &gateway.bearer(&["a", "b"])).await;
    assert_eq!(stream.head.status, 403);
}
