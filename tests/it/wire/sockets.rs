//! What clients do with the connection of a stream, which leaves HTTP/1 with its socket.

use crate::support::{
    Gateway, PATIENCE, Setup, eventually, generic, header, next_message, now_s, read_until,
};
use load::{http::Connection, stream::Stream};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A socket on which everything is written and read by hand.
struct Raw {
    socket: TcpStream,
    said: String,
}

impl Raw {
    async fn open(gateway: &Gateway) -> Self {
        Self { socket: TcpStream::connect(gateway.listener).await.unwrap(), said: String::new() }
    }

    async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `text` has come, and returns all up to its end. Panics if the connection ends before.
    async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.said.find(text) {
                return self.said.drain(..at + text.len()).collect();
            }
            assert!(self.read().await, "it ends before {text:?}: {}", self.said);
        }
    }

    /// Reads to the end of the connection, and returns the rest.
    async fn rest(&mut self) -> String {
        while self.read().await {}
        std::mem::take(&mut self.said)
    }

    /// Reads once. Returns whether the connection goes on; a reset ends it too.
    async fn read(&mut self) -> bool {
        let mut bytes = vec![0; 64 << 10];
        let read =
            timeout(PATIENCE, self.socket.read(&mut bytes)).await.expect("something comes, or the end");
        let length = read.unwrap_or(0);
        self.said.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        length > 0
    }
}

/// A request for the stream of `pay_1`.
fn request(gateway: &Gateway, version: &str, more: &str) -> String {
    let (_, bearer) = gateway.bearer(&["pay_1"]).remove(0);
    format!(
        "GET /v1/payments/pay_1/events {version}\r\nhost: x\r\nauthorization: {bearer}\r\n\
         accept: text/event-stream\r\n{more}\r\n"
    )
}

/// A request for the snapshot of `pay_1`.
fn snapshot(gateway: &Gateway) -> String {
    request(gateway, "HTTP/1.1", "").replace("pay_1/events", "pay_1")
}

async fn streams_open(gateway: &Gateway, count: f64) {
    eventually("the streams are counted", async || {
        (gateway.metric("paystream_streams_open", &[]).await - count).abs() < 0.5
    })
    .await;
}

#[tokio::test]
async fn the_head_of_a_stream_is_that_of_any_answer() {
    let gateway = Gateway::start().await;
    let mut raw = Raw::open(&gateway).await;
    raw.send(&request(&gateway, "HTTP/1.1", "origin: https://shop.example\r\n")).await;
    let head = raw.until("\r\n\r\n").await.to_lowercase();
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    for line in [
        "content-type: text/event-stream",
        "cache-control: no-cache, no-store, no-transform",
        "x-accel-buffering: no",
        "access-control-allow-origin: https://shop.example",
        "vary: origin",
        "transfer-encoding: chunked",
        // What follows the request on this connection is not answered.
        "connection: close",
        "date: ",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}")).count(), 1, "{line}: {head}");
    }
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn http_1_0_gets_a_stream_that_ends_with_the_connection() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"1s\"")).await;
    for more in ["", "connection: keep-alive\r\n"] {
        let mut raw = Raw::open(&gateway).await;
        raw.send(&request(&gateway, "HTTP/1.0", more)).await;
        let head = raw.until("\r\n\r\n").await.to_lowercase();
        assert!(head.starts_with("http/1.0 200 ok\r\n") && head.contains("connection: close"), "{head}");
        assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
        let first = raw.until("\n\n").await;
        assert!(first.starts_with("retry: ") && first.contains("\"snapshot\""), "{first}");
    }
    let mut raw = Raw::open(&gateway).await;
    raw.send(&request(&gateway, "HTTP/1.0", "")).await;
    raw.until("\n\n").await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let update = raw.until("\n\n").await;
    assert!(update.starts_with("id: ") && update.contains("\"update\""), "{update}");
    gateway.terminate();
    let rest = raw.rest().await;
    assert!(rest.starts_with("retry: ") && rest.contains("\"drain\"") && rest.ends_with("\n\n"), "{rest}");
    gateway.ended().await;
}

#[tokio::test]
async fn a_connection_that_was_used_before_can_stream() {
    let gateway = Gateway::start().await;
    let mut connection = Connection::open(gateway.listener).await.unwrap();
    let bearer = gateway.bearer(&["pay_1"]);
    for method in ["GET", "HEAD", "GET"] {
        let answer = connection.request(method, "/v1/payments/pay_1", &bearer, b"").await.unwrap();
        assert_eq!(answer.head.status, 200);
    }
    let head = connection.request("HEAD", "/v1/payments/pay_1/events", &bearer, b"").await.unwrap().head;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    streams_open(&gateway, 0.0).await;
    let head = connection.send("GET", "/v1/payments/pay_1/events", &bearer, b"").await.unwrap();
    assert_eq!((head.status, head.header("connection")), (200, Some("close")));
    streams_open(&gateway, 1.0).await;
    drop(connection);
    streams_open(&gateway, 0.0).await;
}

#[tokio::test]
async fn requests_before_a_stream_are_answered_first_and_requests_behind_it_never() {
    let gateway = Gateway::start().await;
    let mut raw = Raw::open(&gateway).await;
    let (snapshot, stream) = (snapshot(&gateway), request(&gateway, "HTTP/1.1", ""));
    raw.send(&format!("{snapshot}{snapshot}{stream}{snapshot}")).await;
    for _ in 0..2 {
        let head = raw.until("\r\n\r\n").await.to_lowercase();
        assert!(head.contains("content-type: application/json"), "{head}");
        raw.until("\"up_to_date\":true}").await;
    }
    let head = raw.until("\r\n\r\n").await.to_lowercase();
    assert!(head.contains("text/event-stream") && head.contains("connection: close"), "{head}");
    raw.until("\"snapshot\"").await;
    // More of them come later.
    raw.send(&snapshot).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let behind = raw.until("\"update\"").await;
    assert!(!behind.contains("HTTP/1.1"), "the stream goes on, and nothing else is in it: {behind}");
}

/// Answers that the socket does not take at once must not be lost when the stream leaves with it.
#[tokio::test]
async fn answers_that_wait_for_their_reader_come_before_the_stream() {
    let gateway = Gateway::start().await;
    for number in 0..200 {
        let id = format!("{number}-{}", "x".repeat(200));
        gateway.accept(&generic(&id, "pending", "pay_1", 1_700_000_000 + number)).await;
    }
    const ANSWERS: usize = 80;
    let mut raw = Raw::open(&gateway).await;
    raw.send(&format!("{}{}", snapshot(&gateway).repeat(ANSWERS), request(&gateway, "HTTP/1.1", ""))).await;
    // Some five megabytes: more than the kernel keeps for a reader that takes nothing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..ANSWERS {
        let head = raw.until("\r\n\r\n").await.to_lowercase();
        assert!(head.contains("content-type: application/json"), "{head}");
        raw.until("\"up_to_date\":true}").await;
    }
    let head = raw.until("\r\n\r\n").await.to_lowercase();
    assert!(head.contains("text/event-stream"), "{head}");
    raw.until("\"up_to_date\":true}\n\n").await;
}

#[tokio::test]
async fn a_client_that_asks_to_close_gets_its_stream_all_the_same() {
    let gateway = Gateway::start().await;
    let mut raw = Raw::open(&gateway).await;
    raw.send(&request(&gateway, "HTTP/1.1", "connection: close\r\n")).await;
    raw.until("\"snapshot\"").await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    raw.until("\"update\"").await;
}

/// As in HTTP, whose server ends a connection whose client has closed its side.
#[tokio::test]
async fn a_client_that_closes_its_side_has_left() {
    let gateway = Gateway::start().await;
    for more in [true, false] {
        let mut raw = Raw::open(&gateway).await;
        raw.send(&request(&gateway, "HTTP/1.1", "")).await;
        raw.until("\"snapshot\"").await;
        streams_open(&gateway, 1.0).await;
        if more {
            raw.send("the last words").await;
        }
        raw.socket.shutdown().await.unwrap();
        streams_open(&gateway, 0.0).await;
        raw.rest().await;
    }
}

#[tokio::test]
async fn bytes_after_the_request_are_dropped_and_a_flood_of_them_ends_the_stream() {
    let gateway = Gateway::start().await;
    let mut raw = Raw::open(&gateway).await;
    raw.send(&format!("{}junk\r\n", request(&gateway, "HTTP/1.1", "content-length: 1000\r\n"))).await;
    raw.until("\"snapshot\"").await;
    raw.send(&"x".repeat(1000)).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    raw.until("\"update\"").await;
    streams_open(&gateway, 1.0).await;
    // It may be cut off in the middle of it.
    let _ = raw.socket.write_all(&vec![b'x'; 64 << 10]).await;
    raw.rest().await;
    streams_open(&gateway, 0.0).await;
    let floods = gateway.metric("paystream_limit_hits_total", &["stray_bytes"]).await;
    assert!((floods - 1.0).abs() < 0.5, "{floods}");
}

/// Those who leave give their places back, wherever they are served.
#[tokio::test]
async fn streams_that_end_make_room_for_other_connections() {
    let gateway = Gateway::with(Setup::limits("connections = 4")).await;
    for _ in 0..3 {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let mut stream = Stream::open(
                gateway.listener,
                "/v1/payments/pay_1/events",
                &[gateway.bearer(&["pay_1"]), vec![header("accept", "text/event-stream")]].concat(),
            )
            .await
            .unwrap();
            next_message(&mut stream).await;
            streams.push(stream);
        }
        let bearer = gateway.bearer(&["pay_1"]);
        let fifth = timeout(Duration::from_millis(300), gateway.get("/v1/payments/pay_1", &bearer));
        assert!(fifth.await.is_err(), "each stream holds the place of its connection");
        drop(streams);
        streams_open(&gateway, 0.0).await;
    }
}

/// Events that come faster than they are written leave together, in order, and none is missed.
#[tokio::test]
async fn a_burst_reaches_every_stream_of_its_payment_whole() {
    let gateway = Gateway::start().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    for number in 1..=100 {
        gateway.accept(&generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000 + number)).await;
    }
    for stream in &mut streams {
        let messages = read_until(stream, 100).await;
        let seqs: Vec<_> = messages.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>());
        assert_eq!(stream.torn, 0);
    }
}
