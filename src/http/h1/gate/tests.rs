//! The gate between two ends of a pipe.

use super::*;
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
    let refused = crate::http::refusal::Refusal::BareLineFeed.head();
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
