//! What an attacker tries before and within the handshake of TLS.

use crate::{
    support::{Authority, Gateway, Setup, eventually, tls_bridge},
    tls::{NAME, Secure, run},
};
use load::http::request;
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The head of a record with the beginning of a handshake, TLS 1.0 as all clients write there.
const HANDSHAKE: [u8; 3] = [22, 3, 1];

async fn hits(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("paystream_limit_hits_total", &[&format!("reason=\"{limit}\"")]).await
}

/// Sends bytes, and reads until the gateway ends the connection.
async fn exchange(gateway: &Gateway, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    let mut socket = TcpStream::connect(gateway.listener).await.unwrap();
    // It may close before it has read everything.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(30), socket.read_to_end(&mut answer)).await.expect("it ends");
    (answer, begun.elapsed())
}

async fn still_serves(secure: &Secure) {
    let answer = request(secure.bridge().await, "GET", "/v1/payments/pay_1", &[], b"").await.unwrap();
    assert_eq!(answer.head.status, 401);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_off_and_counts_as_silence() {
    let limits = "first_head_timeout = \"1s\"\nsilent_connections_per_peer = 20";
    let secure = Secure::with("", Setup::limits(limits)).await;
    let gateway = &secure.gateway;
    // Nothing, the head of a record alone, a part of a message; the last one comes byte by byte.
    for bytes in [&b""[..], &[22, 3, 1, 0x3f, 0xff], &[22, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3]] {
        let (answer, took) = exchange(gateway, bytes).await;
        assert!(answer.is_empty() && took > Duration::from_millis(900), "{bytes:?}: {answer:?} {took:?}");
    }
    let begun = Instant::now();
    let mut slow = TcpStream::connect(gateway.listener).await.unwrap();
    slow.write_all(&[22, 3, 1, 0x10, 0]).await.unwrap();
    while slow.write_all(&[1]).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it drips for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // One that has shaken hands and asks for nothing is as silent.
    let begun = Instant::now();
    let mut idle = secure.connect(gateway.listener, &["http/1.1"], NAME).await.unwrap();
    let _ = timeout(Duration::from_secs(20), idle.read_to_end(&mut Vec::new())).await.expect("it ends");
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(hits(gateway, "first_head_timeout").await > 4.5);
    let silent = async || gateway.metric("paystream_connections_silent", &["listener=\"public\""]).await;
    eventually("none is silent any more", async || silent().await < 0.5).await;
    still_serves(&secure).await;
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_ends_the_connection_at_once() {
    let secure = Secure::start("").await;
    for bytes in [
        &[0_u8; 64][..],
        &[0xff; 4096],
        &[22, 3, 1, 0, 4, 0xff, 0, 0, 0],
        &[23, 3, 3, 0, 4, 1, 2, 3, 4],
        &[21, 3, 1, 0, 2, 2, 40],
        // A record that is longer than any may be.
        &[22, 3, 1, 0xff, 0xff, 1, 0, 0, 0],
        // SSLv2.
        &[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10],
    ] {
        let (answer, took) = exchange(&secure.gateway, bytes).await;
        let is_alert = answer.is_empty() || answer.starts_with(&[21, 3]);
        assert!(is_alert && took < Duration::from_secs(5), "{bytes:?}: {answer:?} {took:?}");
    }
    assert!(secure.handshakes("failed").await > 5.5);
    still_serves(&secure).await;
}

/// One message may have 16 MiB by the protocol.
#[tokio::test]
async fn a_giant_client_hello_is_refused_before_it_is_whole() {
    let secure = Secure::start("").await;
    let before = secure.gateway.memory();
    let mut sockets = Vec::new();
    for _ in 0..32 {
        let mut socket = TcpStream::connect(secure.gateway.listener).await.unwrap();
        // The head says 16 MiB minus one, and the client is in earnest.
        let mut message = vec![1, 0xff, 0xff, 0xff];
        message.resize(1 << 14, 0);
        let record = [&HANDSHAKE[..], &[0x40, 0], &message].concat();
        let mut records = 0;
        while records < 1024
            && matches!(timeout(Duration::from_secs(2), socket.write_all(&record)).await, Ok(Ok(())))
        {
            records += 1;
        }
        assert!(records < 1024, "it reads on");
        sockets.push(socket);
    }
    let grown = secure.gateway.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown}");
    still_serves(&secure).await;
}

#[tokio::test]
async fn plain_http_on_the_port_of_tls_is_told_so() {
    let secure = Secure::start("hsts = \"180d\"").await;
    for request in [
        "GET /v1/payments/pay_1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /webhooks/acme HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let (answer, took) = exchange(&secure.gateway, request.as_bytes()).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.contains(" 400 Bad Request\r\n") && answer.contains("\"reason\":\"tls_required\""),
            "{answer}"
        );
        assert!(answer.contains("use https:// instead of http://"), "{answer}");
        // RFC 6797, section 7.2.
        assert!(!answer.contains("strict-transport-security"), "{answer}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    assert!((secure.handshakes("plain_http").await - 3.0).abs() < 0.1);
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/v1/payments/pay_1", secure.gateway.listener);
    let answer = http2.get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert!(answer.text().await.unwrap().contains("\"reason\":\"tls_required\""));
}

/// A client could have the server compute for ever on one connection.
#[tokio::test]
async fn renegotiation_is_refused() {
    let secure = Secure::start("").await;
    let mut openssl = Command::new("openssl");
    let address = secure.gateway.listener.to_string();
    openssl.args(["s_client", "-connect", &address, "-servername", NAME, "-tls1_2", "-legacy_renegotiation"]);
    // A line that is an R asks for a renegotiation.
    let said = run(&mut openssl, "R\n").await;
    // The alert of RFC 5246, section 7.2.2, upon which this client ends the connection.
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    assert!((secure.handshakes("full").await - 1.0).abs() < 0.1);
    still_serves(&secure).await;
}

/// The bytes that a client of a stream sends on are bounded, whatever they are: here, TLS has to decrypt each of them.
#[tokio::test]
async fn the_client_of_a_stream_that_sends_on_is_cut_off() {
    let secure = Secure::start("").await;
    let mut client = secure.connect(secure.gateway.listener, &["http/1.1"], NAME).await.unwrap();
    let token = secure.gateway.bearer(&["pay_1"]).remove(0).1;
    let head =
        format!("GET /v1/payments/pay_1/events HTTP/1.1\r\nhost: {NAME}\r\nauthorization: {token}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    assert!(client.read(&mut answer).await.unwrap() > 0);
    let begun = Instant::now();
    while client.write_all(b"x").await.is_ok() && client.flush().await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is read for ever");
        tokio::task::yield_now().await;
    }
    eventually("it is counted", async || hits(&secure.gateway, "stray_bytes").await > 0.5).await;
}

/// A client that stops reading is noticed beneath TLS as it is without.
#[tokio::test]
async fn a_stream_whose_client_does_not_read_is_cut_off() {
    let setup = Setup { limits: "stall = \"1s\"".to_owned(), ..Setup::stream("heartbeat = \"100ms\"") };
    let secure = Secure::with("", setup).await;
    let token = secure.gateway.bearer(&["pay_1"]).remove(0).1;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.connect(&secure.gateway.listener.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = TcpStream::from_std(socket.into()).unwrap();
    let connector =
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(secure.authority.client(&["http/1.1"], None)));
    let mut client =
        connector.connect(rustls::pki_types::ServerName::try_from(NAME).unwrap(), socket).await.unwrap();
    let head =
        format!("GET /v1/payments/pay_1/events HTTP/1.1\r\nhost: {NAME}\r\nauthorization: {token}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    eventually("it is open", async || secure.gateway.metric("paystream_streams_open", &[]).await > 0.5).await;
    let mut sequence = 0;
    eventually("it is cut off", async || {
        for _ in 0..20 {
            sequence += 1;
            let id = format!("e{sequence}");
            secure
                .gateway
                .post("acme", &crate::support::generic(&id, "pending", "pay_1", 1_700_000_000))
                .await;
        }
        hits(&secure.gateway, "stall").await > 0.5
            || secure.gateway.metric("paystream_streams_open", &[]).await < 0.5
    })
    .await;
    still_serves(&secure).await;
}

/// A stranger's certificate and a name that the gateway does not have tell nothing but the default certificate.
#[tokio::test]
async fn a_host_that_is_not_served_gets_the_default_certificate_and_no_more() {
    let secure = Secure::start("").await;
    let refused = secure.connect(secure.gateway.listener, &["h2"], "bank.test").await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let stranger = Authority::new("Stranger");
    let bridge = tls_bridge(secure.gateway.listener, stranger.client(&[], None), NAME).await;
    assert!(
        request(bridge, "GET", "/", &[], b"").await.is_err(),
        "a client of another authority does not go on"
    );
    still_serves(&secure).await;
}
