//! Requests that are never finished, or are none.

use crate::support::{Gateway, PATIENCE, Setup, generic};
use load::http::Connection;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends `bytes`, then nothing; gives what the server says until it closes.
async fn says_until_it_closes(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    // A reset is a close too.
    let closed = timeout(PATIENCE, socket.read_to_end(&mut said)).await;
    assert!(closed.is_ok(), "the connection is held for ever: {:?}", String::from_utf8_lossy(bytes));
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn half_sent_requests_are_closed_by_a_timeout() {
    let gateway = Gateway::with(Setup::limits("head_timeout = \"1s\"\nbody_timeout = \"1s\"")).await;
    for address in [gateway.public, gateway.ingest, gateway.admin] {
        for half in ["", "GET /v1/pay", "GET /v1/payments/pay_1/events HTTP/1.1\r\nhost: x\r\nx-a: b\r\n"] {
            let said = says_until_it_closes(address, half.as_bytes()).await;
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{half:?}: {said}");
        }
    }
    let half = "POST /webhooks/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"id\"";
    let said = says_until_it_closes(gateway.ingest, half.as_bytes()).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
}

#[tokio::test]
async fn a_request_sent_byte_by_byte_without_end_is_closed_too() {
    let gateway = Gateway::with(Setup::limits("head_timeout = \"1s\"\nbody_timeout = \"1s\"")).await;
    let mut socket = TcpStream::connect(gateway.ingest).await.unwrap();
    socket
        .write_all(b"POST /webhooks/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        .await
        .unwrap();
    let (mut read, mut write) = socket.split();
    let drip = async {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut said = Vec::new();
    let closed = async {
        tokio::select! {
            () = drip => {}
            _ = read.read_to_end(&mut said) => {}
        }
    };
    timeout(PATIENCE, closed).await.expect("a byte now and then holds the connection for ever");
}

#[tokio::test]
async fn an_oversize_head_or_no_http_at_all_is_refused() {
    let gateway = Gateway::start().await;
    let big = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(500));
    for address in [gateway.public, gateway.ingest, gateway.admin] {
        for bytes in [
            big.as_bytes(),
            many.as_bytes(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"SSH-2.0-x\r\n\r\n",
        ] {
            let mut socket = TcpStream::connect(address).await.unwrap();
            // The server may close before it has read it all.
            let _ = socket.write_all(bytes).await;
            let mut said = Vec::new();
            let _ = timeout(PATIENCE, socket.read_to_end(&mut said)).await.expect("it is closed");
            let said = String::from_utf8_lossy(&said);
            assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
        }
    }
    assert_eq!(gateway.admin("/livez").await.head.status, 200);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let gateway = Gateway::start().await;
    let mut connection = Connection::open(gateway.ingest).await.unwrap();
    for number in 0..20 {
        let body = generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
        let headers = crate::support::signed("acme", &body);
        let answer = connection.request("POST", "/webhooks/acme", &headers, &body).await.unwrap();
        assert_eq!(answer.head.status / 100, 2);
    }
    // Refusals keep it as well.
    for _ in 0..3 {
        assert_eq!(
            connection.request("POST", "/webhooks/nobody", &[], b"{}").await.unwrap().head.status,
            404
        );
        assert_eq!(connection.request("POST", "/webhooks/acme", &[], b"{}").await.unwrap().head.status, 401);
    }
    let mut idle = Connection::open(gateway.public).await.unwrap();
    let bearer = gateway.bearer(&["pay_1"]);
    for _ in 0..3 {
        let answer = idle.request("GET", "/v1/payments/pay_1", &bearer, b"").await.unwrap();
        assert_eq!(answer.json()["seq"], 20);
    }
}

#[tokio::test]
async fn half_sent_bodies_keep_nobody_waiting() {
    let gateway = Gateway::with(Setup::limits("deliveries = 1")).await;
    let mut halves = Vec::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(gateway.ingest).await.unwrap();
        let half = b"POST /webhooks/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
        socket.write_all(half).await.unwrap();
        halves.push(socket);
    }
    for number in 0..20 {
        gateway.accept(&generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000)).await;
    }
}

#[tokio::test]
async fn what_there_is_no_room_for_is_our_fault_and_worth_another_try() {
    let gateway = Gateway::with(Setup::limits("body_bytes = 1000\nbuffered_bytes = 1000")).await;
    let payload = generic("e1", "pending", "pay_1", 1_700_000_000);
    let mut slow = Vec::new();
    let mut refused = None;
    crate::support::eventually("the room is taken", async || {
        // Bodies that have begun and do not end. They are smaller than ours, so they do not have to make room for it.
        let mut socket = TcpStream::connect(gateway.ingest).await.unwrap();
        let head = "POST /webhooks/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
        socket.write_all(format!("{head}{}", "x".repeat(90)).as_bytes()).await.unwrap();
        slow.push(socket);
        let answer = gateway.post("acme", &payload).await;
        let is_refused = answer.head.status == 503;
        refused = is_refused.then_some(answer);
        is_refused
    })
    .await;
    let refused = refused.unwrap();
    assert!(refused.head.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert!(refused.head.header("content-type").unwrap().starts_with("application/problem+json"));
    drop(slow);
    crate::support::eventually("there is room again", async || {
        gateway.post("acme", &payload).await.head.status / 100 == 2
    })
    .await;
}
