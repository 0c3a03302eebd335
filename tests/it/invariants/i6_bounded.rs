//! I6: a stalled reader costs what an idle one costs, and nobody else's time.

use crate::support::{GENERIC_SECRET, Gateway, PATIENCE, Setup, eventually, generic, message, next_message};
use load::{
    http::{Connection, End},
    sign,
    sse::Item,
    stream::{Next, Stream},
};
use serde_json::Value;
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};

const PAYMENTS: [&str; 8] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
const EVENTS_EACH: u64 = 400;
const STALLED: usize = 100;

/// Posts so many events of each payment, each payment on a connection of its own.
async fn post_all(gateway: &Gateway, each: u64) {
    let mut posting = JoinSet::new();
    for payment in PAYMENTS {
        let ingest = gateway.ingest;
        posting.spawn(async move {
            let mut connection = Connection::open(ingest).await.unwrap();
            for number in 0..each {
                // A long id makes long frames.
                let id = format!("{number}-{}", "x".repeat(100));
                let body = generic(&id, "pending", payment, 1_700_000_000 + number).to_string().into_bytes();
                let headers = sign::generic(GENERIC_SECRET, &body);
                let answer = connection.request("POST", "/webhooks/acme", &headers, &body).await.unwrap();
                assert_eq!(answer.head.status / 100, 2, "{}", answer.text());
            }
        });
    }
    posting.join_all().await;
}

async fn open_all(gateway: &Gateway) -> Stream {
    let query: Vec<_> = PAYMENTS.iter().map(|payment| format!("payment={payment}")).collect();
    let mut stream =
        gateway.open(&format!("/v1/events?{}", query.join("&")), &gateway.bearer(&PAYMENTS)).await;
    for _ in PAYMENTS {
        next_message(&mut stream).await;
    }
    stream
}

#[tokio::test]
async fn i6_stalled_readers_cost_no_memory_and_delay_nobody() {
    let gateway = Gateway::with(Setup::limits("stall = \"5s\"")).await;
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        stalled.push(open_all(&gateway).await);
    }
    let mut reader = open_all(&gateway).await;
    let before = gateway.memory();
    let reading = tokio::spawn(async move {
        let mut updates = 0;
        while updates < PAYMENTS.len() as u64 * EVENTS_EACH {
            updates += u64::from(next_message(&mut reader).await.1["type"] == "update");
        }
        reader
    });
    post_all(&gateway, EVENTS_EACH).await;
    // All that was posted is with the reader that reads, although a hundred others take nothing.
    let _reader = timeout(PATIENCE, reading).await.unwrap().unwrap();
    let grown = gateway.memory().saturating_sub(before);
    // A queue for each would be 3 200 frames of over 500 bytes, 1.6 MB: 160 MB in all.
    assert!(grown < 60 << 20, "memory grew by {grown} bytes");

    eventually("the stalled ones are closed", async || {
        gateway.metric("paystream_streams_open", &[]).await < 1.5
    })
    .await;
    let counted = gateway.metric("paystream_limit_hits_total", &["reason=\"stall\""]).await.round();
    assert!(counted >= STALLED as f64, "{counted} of {STALLED} hits of the limit were counted");
    for stream in &mut stalled {
        let end = timeout(PATIENCE, async {
            loop {
                if let Next::End(end) = stream.next().await.unwrap() {
                    break end;
                }
            }
        });
        assert_eq!(end.await.unwrap(), End::Unclean, "so that the client comes back");
    }
}

/// Reads to the end, and sends a byte whenever nothing comes.
///
/// A kernel whose receive buffer overflowed with small segments does not always tell the sender that there is room again. The
/// sender's kernel then asks by itself, but the longer the stall was, the later it asks (after 6 s, then 13 s), and the gateway
/// may have cut the stream before. A byte from this side carries the news.
async fn read_after_a_stall(stream: &mut Stream) -> (Vec<Value>, End) {
    let mut messages = Vec::new();
    let reading = async {
        loop {
            match timeout(Duration::from_millis(200), stream.next()).await {
                Ok(Ok(Next::Item(Item::Event(event)))) => messages.push(event),
                Ok(Ok(Next::Item(_))) => {}
                Ok(Ok(Next::End(end))) => return end,
                Ok(Err(error)) => panic!("{error}"),
                // The stream may end while the byte is sent.
                Err(_) => drop(stream.send_stray(b"\n").await),
            }
        }
    };
    let end = timeout(PATIENCE, reading).await.unwrap();
    (messages.iter().map(message).collect(), end)
}

#[tokio::test]
async fn i6_a_reader_that_comes_back_too_late_is_told_it_stalled() {
    let gateway = Gateway::with(Setup::limits("stall = \"8s\"")).await;
    let mut stream = open_all(&gateway).await;
    // Twice what the kernels' buffers take: 1,200 frames of over 500 bytes.
    post_all(&gateway, 150).await;
    // Blocked since some moment of the posting: told after 8 s, cut after 16 s.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (messages, end) = read_after_a_stall(&mut stream).await;
    let (closing, updates) = messages.split_last().unwrap();
    assert_eq!((&closing["type"], &closing["reason"]), (&"closing".into(), &"stalled".into()));
    // What was on its way still arrives.
    let others: Vec<_> = updates.iter().filter(|update| update["type"] != "update").collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(end, End::Unclean);
}

#[tokio::test]
async fn i6_a_slow_reader_that_still_reads_gets_everything() {
    let gateway = Gateway::start().await;
    let mut stream = open_all(&gateway).await;
    post_all(&gateway, EVENTS_EACH).await;
    let mut next = [1_u64; PAYMENTS.len()];
    let mut updates = 0;
    while updates < PAYMENTS.len() as u64 * EVENTS_EACH {
        let (_, message) = next_message(&mut stream).await;
        assert_eq!(message["type"], "update");
        let place = PAYMENTS.iter().position(|payment| message["payment"] == *payment).unwrap();
        assert_eq!(message["seq"], next[place]);
        next[place] += 1;
        updates += 1;
        if updates % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert_eq!(stream.torn, 0);
}
