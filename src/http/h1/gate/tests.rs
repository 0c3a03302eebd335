//! The gate between two ends of a pipe.

use super::*;
use crate::http::refusal::Refusal;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::{collection::vec, prelude::*};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::Instant,
};

fn gate(stream: DuplexStream) -> Gate<DuplexStream> {
    Gate::new(stream, HeadLimits::new(300, 10))
}

/// What hyper reads if a client sends `bytes` in pieces of `size`, into a buffer of `room`.
async fn read(bytes: &str, size: usize, room: usize) -> String {
    let (stream, mut client) = duplex(64 << 10);
    let mut gate = gate(stream);
    let mut read = Vec::new();
    let sent = bytes.to_owned();
    let sending = async {
        for piece in sent.as_bytes().chunks(size) {
            client.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(client);
    };
    let reading = async {
        let mut buffer = vec![0; room];
        loop {
            let len = gate.read(&mut buffer).await.unwrap();
            if len == 0 {
                break;
            }
            read.extend_from_slice(&buffer[..len]);
        }
    };
    tokio::join!(sending, reading);
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn requests_pass_unchanged_and_a_refused_one_is_replaced() {
    let good = "POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nx: y\n\n\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n";
    let bad = "GET /3 HTTP/1.1\r\nhost: a\n\n";
    let refused = Refusal::BareLineFeed.head();
    for size in [1, 2, 7, 1000] {
        for room in [1, 13, 8192] {
            assert_eq!(read(good, size, room).await, good, "in pieces of {size}, read by {room}");
            let both = read(&format!("{good}{bad}"), size, room).await;
            assert!(
                both.starts_with(&format!("{good}{refused}")),
                "in pieces of {size}, read by {room}: {both}"
            );
        }
    }
}

#[tokio::test]
async fn an_incomplete_head_is_not_shown_and_then_forgotten() {
    assert_eq!(read("GET / HTTP/1.1\r\nhost: a\r\n", 5, 100).await, "");
    let (stream, mut client) = duplex(1024);
    let mut gate = gate(stream);
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    let early = tokio::time::timeout(Duration::from_millis(20), gate.read(&mut buffer)).await;
    assert!(early.is_err() && gate.rare.is_some());
    client.write_all(b"\r\n").await.unwrap();
    assert_eq!(gate.read(&mut buffer).await.unwrap(), 18);
    assert!(gate.rare.is_none(), "an idle connection holds no buffer");
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_for_a_client_that_is_still_sending_but_not_for_long() {
    let half = b"POST / HTTP/1.1\r\ncontent-length: 100000000\r\n\r\nx";
    let begin = |sent: &'static [u8]| async move {
        let (stream, mut client) = duplex(64 << 10);
        let mut gate = gate(stream);
        client.write_all(sent).await.unwrap();
        let mut buffer = [0; 1024];
        assert_eq!(gate.read(&mut buffer).await.unwrap(), sent.len());
        (gate, client)
    };
    // One that ends its direction when it sees the end of ours.
    let (mut gate, client) = begin(half).await;
    let started = Instant::now();
    let (closed, ()) = tokio::join!(gate.shutdown(), async { drop(client) });
    closed.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    // One that is silent.
    let (mut gate, _client) = begin(half).await;
    let started = Instant::now();
    gate.shutdown().await.unwrap();
    assert!(started.elapsed() >= LINGER && started.elapsed() < LINGER * 2);
    // One that sends without end.
    let (mut gate, mut client) = begin(half).await;
    let sending = async {
        let mut sent = 0;
        while client.write_all(&[b'x'; 4096]).await.is_ok() && sent < 2 * LINGER_BYTES {
            sent += 4096;
        }
    };
    tokio::select! {
        closed = gate.shutdown() => closed.unwrap(),
        () = sending => panic!("more was read than the bound"),
    }
    // One that has finished is not waited for.
    let (mut gate, _client) = begin(b"GET / HTTP/1.1\r\n\r\n").await;
    let started = Instant::now();
    gate.shutdown().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// Serves what a client sends in pieces of `size` by hyper, and gives the paths of the requests that hyper finds.
async fn served(bytes: Vec<u8>, size: usize) -> Vec<String> {
    let (stream, client) = duplex(64 << 10);
    let found = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let found = Arc::clone(&found);
        async move {
            let (head, body) = request.into_parts();
            let is_refused = Refusal::of(&head.headers).is_some();
            let path = if is_refused { "refused".to_owned() } else { head.uri.path().to_owned() };
            found.lock().unwrap().push(path);
            body.collect().await.map(|_| Response::new(Empty::<Bytes>::new()))
        }
    });
    let gate = Gate::new(stream, HeadLimits::new(4096, 10));
    let exchange = async move {
        let (mut answers, mut requests) = tokio::io::split(client);
        let sending = async {
            for piece in bytes.chunks(size) {
                requests.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let mut ignored = Vec::new();
        let (read, ()) = tokio::join!(answers.read_to_end(&mut ignored), sending);
        read.unwrap();
    };
    let (served, ()) =
        tokio::join!(http1::Builder::new().serve_connection(TokioIo::new(gate), service), exchange);
    served.unwrap();
    Arc::into_inner(found).unwrap().into_inner().unwrap()
}

/// Requests with bodies that look like heads.
fn request() -> impl Strategy<Value = String> {
    let text = "(GET / HTTP/1\\.1|\r\n|\n|\r|0|;|x: y|a){0,8}";
    let plain =
        text.prop_map(|body| format!("POST /plain HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let chunk = (text, "0{0,3}", "[ \t]{0,2}(;[a-z\"=;]{0,9})?");
    let chunks = (vec(chunk, 0..4), "(x: [a-z]{0,5}\r\n){0,2}", "0{1,3}");
    let chunked = chunks.prop_map(|(chunks, trailers, last)| {
        let chunks = chunks.into_iter().filter(|(data, ..)| !data.is_empty());
        let body: String = chunks
            .map(|(data, zeros, extension)| format!("{zeros}{:X}{extension}\r\n{data}\r\n", data.len()))
            .collect();
        format!("POST /chunked HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{body}{last}\r\n{trailers}\r\n")
    });
    let empty = "(\r\n)?".prop_map(|line| format!("{line}GET /empty HTTP/1.1\r\nhost: a\r\n\r\n"));
    prop_oneof![plain, chunked, empty]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// If the gate took a part of a body for a head, or missed where a head begins, one that has to be refused would pass.
    #[test]
    fn the_gate_and_hyper_agree_where_requests_begin(requests in vec(request(), 0..6), size in 1_usize..300) {
        let path = |request: &String| request.split(' ').nth(1).unwrap().to_owned();
        let mut expected: Vec<_> = requests.iter().map(path).collect();
        expected.push("refused".to_owned());
        let bytes = format!("{}GET /bad HTTP/1.1\nhost: a\n\n", requests.concat()).into_bytes();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        prop_assert_eq!(runtime.block_on(served(bytes, size)), expected);
    }
}
