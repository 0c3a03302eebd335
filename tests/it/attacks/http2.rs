//! HTTP/2: windows that stay shut, and floods of frames.

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING, PRIORITY,
    RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::support::{Gateway, PATIENCE, Setup, eventually, generic};
use std::time::{Duration, Instant};
use tokio::{task::JoinSet, time::timeout};

/// A gateway that loses its patience soon.
async fn impatient() -> Gateway {
    Gateway::with(Setup::limits("stall = \"1s\"\nhead_timeout = \"2s\"")).await
}

fn http2() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().build().unwrap()
}

async fn open_streams(gateway: &Gateway) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let count = gateway.metric("paystream_streams_open", &[]).await as u64;
    count
}

async fn hits(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("paystream_limit_hits_total", &[&format!("reason=\"{limit}\"")]).await
}

/// An answer that cannot be sent was held for as long as the client liked, whatever the timeouts were, without a token.
#[tokio::test]
async fn a_zero_window_without_a_token_holds_an_answer_only_for_a_moment() {
    let gateway = impatient().await;
    for address in [gateway.public, gateway.ingest, gateway.admin] {
        // Nothing of the answer fits, or not all of it.
        for window in [0, 1, 50] {
            let begun = Instant::now();
            let mut client = Raw::open(address, window).await;
            let stream = client.get("/v1/payments/pay_1/events", &[]).await.unwrap();
            client.until(HEADERS, stream).await;
            client.until(RST_STREAM, stream).await;
            assert!(begun.elapsed() > Duration::from_secs(1), "an honest client gets its time");
            // The connection that has no request left is closed like any other.
            client.rest().await;
            assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        }
    }
    assert!(hits(&gateway, "stall").await >= 9.0);
}

#[tokio::test]
async fn a_window_that_opens_by_a_byte_now_and_then_counts_as_shut() {
    let gateway = impatient().await;
    let mut client = Raw::open(gateway.public, 0).await;
    let begun = Instant::now();
    let stream = client.get("/v1/payments/pay_1", &[]).await.unwrap();
    client.until(HEADERS, stream).await;
    while begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        client.open_window(stream, 1).await.unwrap();
        if client.next().await.expect("the connection goes on").kind == RST_STREAM {
            return;
        }
    }
    panic!("the answer drips for ever");
}

#[tokio::test]
async fn a_connection_that_collects_stalled_answers_is_closed() {
    let gateway = Gateway::with(Setup::limits("stall = \"1s\"\nhead_timeout = \"75s\"")).await;
    let mut client = Raw::open(gateway.public, 0).await;
    for _ in 0..20 {
        client.get("/v1/payments/pay_1", &[]).await.unwrap();
    }
    let begun = Instant::now();
    client.rest().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// 200 connections of 128 streams each kept 65 MiB.
#[tokio::test]
async fn many_connections_with_all_their_streams_stalled_are_gone_soon() {
    let gateway =
        Gateway::with(Setup::limits("stall = \"2s\"\nhead_timeout = \"75s\"\nconnections = 60")).await;
    let mut memory = Vec::new();
    for round in 0..2 {
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..50 {
            let address = gateway.public;
            clients.spawn(async move {
                let mut client = Raw::open(address, 0).await;
                for _ in 0..128 {
                    client.get("/v1/payments/pay_1", &[]).await.unwrap();
                }
                client.rest().await;
            });
        }
        timeout(PATIENCE, clients.join_all())
            .await
            .unwrap_or_else(|_| panic!("round {round}: they are held"));
        assert!(begun.elapsed() < Duration::from_secs(40), "round {round}: {:?}", begun.elapsed());
        memory.push(gateway.memory());
    }
    // What the first round left is what the second used again.
    assert!(memory[1] < memory[0] + (8 << 20), "memory after each round: {memory:?}");
    // There is room for everybody again, although these were nearly all connections that there may be.
    let mut honest = Vec::new();
    for _ in 0..55 {
        honest.push(gateway.stream("pay_1").await);
    }
}

#[tokio::test]
async fn a_stream_whose_window_is_shut_gives_its_place_back() {
    let gateway = impatient().await;
    let mut client = Raw::open(gateway.public, 0).await;
    let begun = Instant::now();
    let stream = client.get("/v1/payments/pay_1/events", &gateway.bearer(&["pay_1"])).await.unwrap();
    client.until(HEADERS, stream).await;
    eventually("the stream is open", async || open_streams(&gateway).await == 1).await;
    client.until(RST_STREAM, stream).await;
    // A stream gets twice the time.
    assert!(begun.elapsed() > Duration::from_secs(2));
    eventually("its place is free", async || open_streams(&gateway).await == 0).await;
    assert!(hits(&gateway, "stall").await >= 1.0);
}

#[tokio::test]
async fn a_stream_whose_window_shuts_later_is_told_that_it_stalled_if_it_opens_in_time() {
    let gateway = Gateway::with(Setup::limits("stall = \"3s\"")).await;
    let mut client = Raw::open(gateway.public, 0).await;
    let stream = client.get("/v1/payments/pay_1/events", &gateway.bearer(&["pay_1"])).await.unwrap();
    client.until(HEADERS, stream).await;
    // Room for the snapshot, of which the length is not known: it is given bit by bit.
    let mut said = String::new();
    while !said.contains("\n\n") {
        client.open_window(stream, 1).await.unwrap();
        said += &String::from_utf8(client.until(DATA, stream).await.payload).unwrap();
    }
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    tokio::time::sleep(Duration::from_millis(4500)).await;
    client.open_window(stream, 65_535).await.unwrap();
    let mut said = String::new();
    loop {
        let frame = client.next().await.unwrap();
        match frame.kind {
            DATA => said += &String::from_utf8(frame.payload).unwrap(),
            RST_STREAM => break,
            _ => {}
        }
    }
    assert!(said.contains(r#""type":"update""#), "what was on its way still arrives: {said}");
    assert!(said.contains(r#""reason":"stalled""#), "{said}");
    eventually("its place is free", async || open_streams(&gateway).await == 0).await;
}

#[tokio::test]
async fn one_stalled_answer_ends_nobody_else_on_its_connection() {
    let gateway = impatient().await;
    let mut client = Raw::open(gateway.public, 0).await;
    let honest = client.get("/v1/payments/pay_1/events", &gateway.bearer(&["pay_1"])).await.unwrap();
    client.open_window(honest, 65_535).await.unwrap();
    client.until(DATA, honest).await;
    for number in 0..12 {
        let stalled = client.get("/v1/payments/pay_1", &[]).await.unwrap();
        let id = format!("e{number}");
        client.until(HEADERS, stalled).await;
        gateway.accept(&generic(&id, "pending", "pay_1", 1_700_000_000 + number)).await;
        let data = client.until(DATA, honest).await;
        assert!(String::from_utf8(data.payload).unwrap().contains(&id));
        client.until(RST_STREAM, stalled).await;
    }
}

/// What the watch of windows must not do.
#[tokio::test]
async fn a_hundred_idle_streams_on_one_connection_are_left_alone() {
    let gateway = impatient().await;
    let client = http2();
    let bearer = &gateway.bearer(&["pay_1"])[0].1;
    let mut streams = Vec::new();
    for _ in 0..100 {
        let url = format!("http://{}/v1/payments/pay_1/events", gateway.public);
        let mut stream = client.get(url).header("authorization", bearer).send().await.unwrap();
        assert_eq!(stream.status(), 200);
        stream.chunk().await.unwrap().unwrap();
        streams.push(stream);
    }
    // Several times what may stall, and less than the time to the first heartbeat.
    tokio::time::sleep(Duration::from_secs(6)).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    for stream in &mut streams {
        let news = timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().unwrap();
        assert!(String::from_utf8_lossy(&news).contains(r#""type":"update""#));
    }
    assert_eq!(open_streams(&gateway).await, 100);
    assert!(hits(&gateway, "stall").await < 0.5);
}

/// Sends `frames` again and again, for at most so many bytes, and asserts that the connection ends.
async fn floods(gateway: &Gateway, what: &str, frames: &[u8]) -> Vec<u32> {
    let mut client = Raw::open(gateway.public, 65_535).await;
    let many = frames.repeat((16 << 10) / frames.len() + 1);
    let mut sent = 0;
    while client.send(&many).await.is_ok() {
        sent += many.len();
        assert!(sent < 8 << 20, "{what} may go on for ever");
    }
    client.rest().await.iter().filter_map(super::frames::Frame::goaway).collect()
}

#[tokio::test]
async fn floods_of_frames_that_ask_for_nothing_end_the_connection() {
    let gateway = Gateway::start().await;
    let mut honest = gateway.stream("pay_1").await;
    for (number, (what, flood)) in [
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("PING", frame(PING, 0, 0, b"12345678")),
        ("PING acknowledged", frame(PING, 1, 0, b"12345678")),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])),
        ("empty SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("an unknown type", frame(0xbe, 0, 0, b"x")),
    ]
    .into_iter()
    .enumerate()
    {
        let codes = floods(&gateway, what, &flood).await;
        assert!(codes.iter().all(|code| *code == ENHANCE_YOUR_CALM), "{what}: {codes:?}");
        assert!(hits(&gateway, "control_frames").await > number as f64 + 0.5, "{what} is counted");
    }
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    crate::support::read_until(&mut honest, 1).await;
}

/// The client is told why, if it reads.
#[tokio::test]
async fn a_client_that_floods_is_told_to_calm_down() {
    let gateway = Gateway::start().await;
    let mut client = Raw::open(gateway.public, 65_535).await;
    let stream = client.get("/v1/payments/pay_1", &[]).await.unwrap();
    client.until(DATA, stream).await;
    // As few as it takes, so that the gateway has read all of them when it closes, and no reset overtakes the frame.
    let priority = frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]);
    for _ in 0..5_000 {
        if client.send(&priority).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let said = client.rest().await;
    if let Some(goaway) = said.iter().find(|frame| frame.kind == GOAWAY) {
        assert_eq!(goaway.goaway(), Some(ENHANCE_YOUR_CALM));
        assert_eq!(goaway.payload[..4], stream.to_be_bytes());
    }
}

#[tokio::test]
async fn requests_that_are_reset_at_once_end_the_connection() {
    let gateway = Gateway::start().await;
    let block = block("GET", "/v1/payments/pay_1", &[]);
    let mut client = Raw::open(gateway.public, 65_535).await;
    let mut sent = 0;
    let ended = async {
        loop {
            let mut bytes = Vec::new();
            for _ in 0..100 {
                let stream = client.new_stream();
                bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
                bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
            }
            if client.send(&bytes).await.is_err() {
                return;
            }
            sent += 100;
            assert!(sent < 100_000, "requests are reset for ever");
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
}

/// The client makes the gateway reset its requests, by what it may not do (CVE-2025-8671).
#[tokio::test]
async fn requests_that_the_gateway_has_to_reset_end_the_connection() {
    let gateway = Gateway::start().await;
    let block = block("GET", "/v1/payments/pay_1", &[]);
    let mut client = Raw::open(gateway.public, 65_535).await;
    let ended = async {
        for sent in 0.. {
            assert!(sent < 100_000, "requests are reset for ever");
            let stream = client.new_stream();
            let mut bytes = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
            bytes.extend(frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0, 0]));
            if client.send(&bytes).await.is_err() {
                return;
            }
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn a_head_of_continuations_without_end_ends_the_connection() {
    let gateway = Gateway::start().await;
    let mut client = Raw::open(gateway.public, 65_535).await;
    let stream = client.new_stream();
    let begin = frame(HEADERS, END_STREAM, stream, &block("GET", "/v1/payments/pay_1", &[]));
    client.send(&begin).await.unwrap();
    // Empty ones, and ones that make the head ever longer.
    let more = [0, 1, b'x', 100].into_iter().chain([b'y'; 100]).collect::<Vec<_>>();
    for payload in [Vec::new(), more] {
        let mut client = Raw::open(gateway.public, 65_535).await;
        client.send(&begin).await.unwrap();
        let flood = frame(CONTINUATION, 0, stream, &payload);
        let mut sent = 0;
        while client.send(&flood).await.is_ok() {
            sent += flood.len();
            assert!(sent < 8 << 20, "the head goes on for ever");
        }
    }
    // One that stops in its middle is closed like a head of HTTP/1.
    let gateway = impatient().await;
    let mut client = Raw::open(gateway.public, 65_535).await;
    client.send(&begin).await.unwrap();
    client.rest().await;
}

#[tokio::test]
async fn empty_and_tiny_pieces_of_a_body_end_the_connection() {
    let gateway = Gateway::start().await;
    for payload in [&b""[..], b"x"] {
        let mut client = Raw::open(gateway.ingest, 65_535).await;
        let stream = client.new_stream();
        let block = block("POST", "/webhooks/acme", &[]);
        client.send(&frame(HEADERS, END_HEADERS, stream, &block)).await.unwrap();
        let flood = frame(DATA, 0, stream, payload).repeat(100);
        let mut sent = 0;
        while client.send(&flood).await.is_ok() {
            sent += flood.len();
            assert!(sent < 16 << 20, "pieces of {} bytes go on for ever", payload.len());
        }
    }
}

/// The limit counted on HTTP/1 only.
#[tokio::test]
async fn too_many_headers_are_refused_over_http2_too() {
    let gateway = Gateway::with(Setup::limits("headers = 20")).await;
    for (address, path) in [
        (gateway.public, "/v1/payments/pay_1"),
        (gateway.ingest, "/webhooks/acme"),
        (gateway.admin, "/livez"),
    ] {
        let ask = |count: usize| {
            let request = http2().get(format!("http://{address}{path}"));
            (0..count).fold(request, |request, number| request.header(format!("x-{number}"), "y")).send()
        };
        let refused = ask(30).await.unwrap();
        assert_eq!(refused.status(), 431);
        assert_eq!(refused.headers()["x-content-type-options"], "nosniff");
        assert_eq!(refused.headers()["content-type"], "application/problem+json");
        assert_ne!(ask(10).await.unwrap().status(), 431);
    }
}

#[tokio::test]
async fn a_sender_reads_the_refusal_of_a_body_over_http2() {
    let gateway = Gateway::with(Setup::limits("body_bytes = 1000\nbuffered_bytes = 1000000")).await;
    let client = http2();
    for _ in 0..5 {
        let post = client.post(format!("http://{}/webhooks/acme", gateway.ingest)).body(vec![b'x'; 4 << 20]);
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), 413);
        assert!(answer.text().await.unwrap().contains("too_large"));
    }
}
