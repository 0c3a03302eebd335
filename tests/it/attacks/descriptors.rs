//! Strangers who hold sockets: they take neither the health checks nor the webhooks with them.

use crate::support::{Gateway, PATIENCE, Setup, eventually, generic, read_until};
use load::stream::Stream;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Few enough that a test can use them up, and a soft limit below, as most systems have it.
const FEW_FILES: Option<(u32, u32)> = Some((128, 400));

/// Opens so many connections that say nothing, or only `words`.
async fn strangers(address: SocketAddr, count: usize, words: &[u8]) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(words).await.unwrap();
        sockets.push(socket);
    }
    sockets
}

/// All that an operator and a balancer look at answers, several times, on connections of its own.
async fn health_is_up(gateway: &Gateway) {
    for _ in 0..5 {
        for path in ["/livez", "/readyz", "/readyz/ingest", "/metrics"] {
            let answer = timeout(Duration::from_secs(10), gateway.admin(path)).await;
            assert_eq!(answer.expect("it answers").head.status, 200, "{path}");
        }
    }
}

async fn webhooks_are_taken(gateway: &Gateway, name: &str) {
    for number in 0..5 {
        let event = generic(&format!("{name}{number}"), "pending", "pay_1", 1_700_000_000);
        timeout(PATIENCE, gateway.accept(&event)).await.expect("a webhook is taken");
    }
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let gateway = Gateway::with(Setup { open_files: FEW_FILES, ..Setup::default() }).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.pid().as_raw_nonzero())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().filter(|word| *word == "400").count(), 2, "{line}");
    assert!(gateway.log().contains("limit=400"), "{}", gateway.log());
}

#[tokio::test]
async fn more_silent_sockets_than_descriptors_leave_health_checks_and_webhooks_alone() {
    let gateway = Gateway::with(Setup { open_files: FEW_FILES, ..Setup::default() }).await;
    let _streams = strangers(gateway.public, 600, b"").await;
    let _webhooks = strangers(gateway.ingest, 600, b"POST /webhooks/acme HT").await;
    let _operators = strangers(gateway.admin, 200, b"").await;
    health_is_up(&gateway).await;
    webhooks_are_taken(&gateway, "a").await;
    health_is_up(&gateway).await;
    let hits = async |limit: &str| {
        gateway.metric("paystream_limit_hits_total", &[&format!("reason=\"{limit}\"")]).await
    };
    assert!(hits("connections").await > 0.0);
    assert!(hits("idle_connections").await > 0.0, "those that were silent made room");
    assert!(hits("open_files").await < 1.0, "the process never had too few");
    assert!(gateway.metric("paystream_connections_open", &["listener=\"public\""]).await <= 200.0);
    assert!(gateway.metric("paystream_connections_silent", &["listener=\"ingest\""]).await <= 62.0);
}

/// One socket for all, as the default has it, and strangers who know that a silent connection does not last.
#[tokio::test]
async fn sockets_that_asked_once_or_never_finish_leave_health_checks_webhooks_and_streams_alone() {
    let setup = Setup { open_files: FEW_FILES, one_socket: true, ..Setup::limits("body_timeout = \"60s\"") };
    let gateway = Gateway::with(setup).await;
    let once = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    let half_body = "POST /webhooks/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let mut all = Vec::new();
    for (name, words) in [
        ("once", once.to_owned()),
        ("half_head", format!("{once}GET / HT")),
        ("half_body", half_body.to_owned()),
        ("later", format!("{once}{half_body}")),
    ] {
        all.push(strangers(gateway.public, 400, words.as_bytes()).await);
        health_is_up(&gateway).await;
        webhooks_are_taken(&gateway, name).await;
        let mut stream = gateway.stream("pay_1").await;
        let first = timeout(PATIENCE, stream.event(PATIENCE)).await.unwrap().unwrap();
        assert!(first.data.contains("snapshot"), "{name}: {first:?}");
    }
}

#[tokio::test]
async fn streams_on_a_shared_socket_leave_room_for_webhooks() {
    let setup = Setup { open_files: FEW_FILES, one_socket: true, ..Setup::default() };
    let gateway = Gateway::with(setup).await;
    let mut streams: Vec<Stream> = Vec::new();
    let refused = loop {
        let mut stream = gateway.stream("pay_1").await;
        let first = stream.event(PATIENCE).await.unwrap();
        if first.data.contains("closing") {
            break first;
        }
        streams.push(stream);
        assert!(streams.len() < 400, "that is more than there are descriptors");
    };
    assert!(refused.data.contains("overload") && refused.lines.iter().any(|line| line.starts_with("retry")));
    assert!(streams.len() >= 150, "{} streams", streams.len());
    health_is_up(&gateway).await;
    webhooks_are_taken(&gateway, "c").await;
    let last = streams.last_mut().unwrap();
    assert_eq!(read_until(last, 5).await.len(), 5, "the streams that are open go on");

    // Silent strangers in the places that are left keep nobody out for long.
    let _silent = strangers(gateway.public, 300, b"").await;
    health_is_up(&gateway).await;
    webhooks_are_taken(&gateway, "d").await;
    drop(streams);
    eventually("there is room for streams again", async || {
        let mut stream = gateway.stream("pay_1").await;
        stream.event(PATIENCE).await.unwrap().data.contains("snapshot")
    })
    .await;
}

#[tokio::test]
async fn a_connection_has_ten_seconds_for_its_first_head_and_longer_for_the_next() {
    let gateway = Gateway::with(Setup::limits("first_head_timeout = \"1s\"")).await;
    for address in [gateway.public, gateway.ingest, gateway.admin] {
        let mut kept = TcpStream::connect(address).await.unwrap();
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut bytes = [0; 1024];
        kept.write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(kept.read(&mut bytes).await.unwrap() > 0);
        let closed = timeout(Duration::from_secs(10), silent.read(&mut bytes)).await;
        assert_eq!(closed.expect("the silent one is closed").unwrap_or(0), 0);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        kept.write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(kept.read(&mut bytes).await.unwrap() > 0, "the idle one is kept");
    }
    assert!(gateway.metric("paystream_limit_hits_total", &["reason=\"first_head_timeout\""]).await >= 2.0);
}
