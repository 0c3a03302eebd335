//! One client that takes all it can: the others hardly notice.

use crate::support::{
    GENERIC_SECRET, Gateway, PATIENCE, Setup, eventually, generic, header, read_to_end, signed, token,
};
use load::{
    http::{End, request},
    sign,
    stream::Stream,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// This machine stands in for a proxy, so that a test can be any client.
const BEHIND_PROXY: &str = "trusted_proxies = [\"127.0.0.1\"]";

fn behind_proxy(listen: &str, limits: &str) -> Setup {
    Setup { listen: format!("{BEHIND_PROXY}\n{listen}"), ..Setup::limits(limits) }
}

/// Opens a stream of a payment with these headers and a token of its own. `None` if it is refused, in the way that an
/// `EventSource` survives.
async fn opens(gateway: &Gateway, payment: &str, headers: &[(String, String)]) -> Option<Stream> {
    let mut stream = gateway.open(&format!("/v1/payments/{payment}/events"), headers).await;
    assert_eq!(stream.head.status, 200, "{:?}", stream.head);
    let first = stream.event(PATIENCE).await.unwrap();
    if first.data.contains("snapshot") {
        return Some(stream);
    }
    assert!(first.data.contains("closing") && first.data.contains("overload"), "{first:?}");
    assert!(first.lines.iter().any(|line| line.starts_with("retry")), "{first:?}");
    assert_eq!(read_to_end(&mut stream).await.1, End::Unclean, "so that it comes back");
    None
}

async fn hits(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("paystream_limit_hits_total", &[&format!("reason=\"{limit}\"")]).await
}

/// A socket with a body of which the last byte does not come.
async fn half_sent(address: SocketAddr, forwarded: &str, bytes: usize) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /webhooks/acme HTTP/1.1\r\nhost: x\r\n{forwarded}content-length: {}\r\n\r\n",
        bytes + 1
    );
    // The gateway may refuse it before it has all.
    let _ = socket.write_all(head.as_bytes()).await;
    let _ = socket.write_all(&vec![b'x'; bytes]).await;
    socket
}

#[tokio::test]
async fn half_sent_bodies_do_not_keep_out_honest_webhooks() {
    let gateway =
        Gateway::with(Setup::limits("body_bytes = 8192\nbuffered_bytes = 65536\nbody_timeout = \"60s\""))
            .await;
    let over = Arc::new(AtomicBool::new(false));
    // From one address with the honest sender, and in every size, so that no fixed share of the memory would help.
    let attackers: Vec<_> = (0..60)
        .map(|turn| {
            let (address, over) = (gateway.ingest, Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let mut socket = half_sent(address, "", 8000 >> (turn % 4)).await;
                    // Until the gateway gives it up; then again.
                    let _ = timeout(std::time::Duration::from_secs(1), socket.read(&mut [0; 512])).await;
                }
            })
        })
        .collect();
    eventually("the memory is full", async || hits(&gateway, "buffered_bytes").await > 0.0).await;
    for number in 0..60 {
        let payload = generic(&format!("e{number}"), "pending", &format!("pay_{number}"), 1_700_000_000);
        let answer = gateway.post("acme", &payload).await;
        assert_eq!(answer.head.status / 100, 2, "{number}: {} {}", answer.head.status, answer.text());
    }
    over.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.await.unwrap();
    }
    assert!(gateway.events(&["outcome=\"deferred\"", "reason=\"overload\""]).await > 0);
}

#[tokio::test]
async fn small_half_sent_bodies_of_one_peer_do_not_keep_out_a_larger_webhook_of_another() {
    let setup = behind_proxy("", "body_bytes = 8192\nbuffered_bytes = 65536\nbody_timeout = \"60s\"");
    let gateway = Gateway::with(setup).await;
    let mut halves = Vec::new();
    for _ in 0..200 {
        halves.push(half_sent(gateway.ingest, "x-forwarded-for: 203.0.113.1\r\n", 500).await);
    }
    eventually("the memory is full", async || hits(&gateway, "buffered_bytes").await > 0.0).await;
    let id = "y".repeat(4000);
    let body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().replace("e1", &id).into_bytes();
    let mut headers = sign::generic(GENERIC_SECRET, &body);
    headers.push(header("x-forwarded-for", "203.0.113.2"));
    for _ in 0..5 {
        let answer = gateway.post_raw("acme", &headers, &body).await;
        assert_ne!(answer.head.status, 503, "{}", answer.text());
    }
    // The same from the attacker's address finds no room: it makes none for itself.
    headers.pop();
    headers.push(header("x-forwarded-for", "203.0.113.1"));
    eventually("its own webhook finds no room", async || {
        for _ in 0..20 {
            halves.push(half_sent(gateway.ingest, "x-forwarded-for: 203.0.113.1\r\n", 500).await);
        }
        gateway.post_raw("acme", &headers, &body).await.head.status == 503
    })
    .await;
}

#[tokio::test]
async fn one_token_cannot_take_all_streams() {
    let gateway = Gateway::with(Setup::limits("streams_per_token = 3")).await;
    let one = gateway.bearer(&["pay_1"]);
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(opens(&gateway, "pay_1", &one).await.unwrap());
    }
    for _ in 0..5 {
        assert!(opens(&gateway, "pay_1", &one).await.is_none());
    }
    assert!(hits(&gateway, "streams_per_token").await > 4.0);
    let _another = opens(&gateway, "pay_2", &gateway.bearer(&["pay_1", "pay_2"])).await.unwrap();

    // The last letter of a signature has bits that mean nothing. A text that differs only there is not another token.
    let text = one[0].1.strip_prefix("Bearer ").unwrap();
    let (start, last) = text.split_at(text.len() - 1);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = letters.find(last).unwrap();
    let group = &letters[place / 4 * 4..][..4];
    let mut taken = Vec::new();
    for variant in group.chars().cycle().take(12) {
        let headers = [header("authorization", &format!("Bearer {start}{variant}"))];
        let mut stream = gateway.open("/v1/payments/pay_1/events", &headers).await;
        if stream.head.status == 200 && stream.event(PATIENCE).await.unwrap().data.contains("snapshot") {
            taken.push(stream);
        }
    }
    assert!(taken.is_empty(), "{} more streams by variants of one token", taken.len());
    drop(streams);
}

#[tokio::test]
async fn a_long_poll_counts_as_a_stream_and_its_refusal_says_when_to_come_back() {
    let gateway = Gateway::with(Setup::limits("streams_per_token = 1\nwait = \"20s\"")).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    let etag = gateway.get("/v1/payments/pay_1", &headers).await.head.header("etag").unwrap().to_owned();
    let stream = opens(&gateway, "pay_1", &headers).await.unwrap();
    headers.extend([header("if-none-match", &etag), header("prefer", "wait=20")]);
    let refused = gateway.get("/v1/payments/pay_1", &headers).await;
    assert_eq!((refused.head.status, refused.json()["reason"].as_str()), (503, Some("overload")));
    assert!(refused.head.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    drop(stream);
    eventually("the stream's place is free", async || {
        gateway.metric("paystream_streams_open", &[]).await < 0.5
    })
    .await;
    let (address, poll) = (gateway.public, headers.clone());
    let waiting =
        tokio::spawn(async move { request(address, "GET", "/v1/payments/pay_1", &poll, b"").await.unwrap() });
    eventually("the long poll waits", async || gateway.metric("paystream_long_polls_open", &[]).await > 0.5)
        .await;
    assert!(opens(&gateway, "pay_1", &headers[..1]).await.is_none(), "the long poll has the place");
    gateway.accept(&generic("e2", "confirmed", "pay_1", 1_700_000_001)).await;
    assert_eq!(waiting.await.unwrap().head.status, 200);
    assert!(gateway.metric("paystream_long_polls_open", &[]).await < 0.5);
}

#[tokio::test]
async fn one_payment_cannot_take_all_streams() {
    let gateway = Gateway::with(Setup::limits("streams_per_payment = 3")).await;
    let mut streams = Vec::new();
    for other in ["a", "b", "c"] {
        streams.push(opens(&gateway, "pay_1", &gateway.bearer(&["pay_1", other])).await.unwrap());
    }
    assert!(opens(&gateway, "pay_1", &gateway.bearer(&["pay_1", "d"])).await.is_none());
    let _another = opens(&gateway, "pay_2", &gateway.bearer(&["pay_2"])).await.unwrap();
    drop(streams);
    eventually("their places are free", async || {
        opens(&gateway, "pay_1", &gateway.bearer(&["pay_1", "d"])).await.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_peer_is_who_the_trusted_proxy_says_and_not_who_it_says_itself() {
    let gateway = Gateway::with(behind_proxy("", "streams_per_peer = 2")).await;
    let from = |forwarded: &str| {
        let mut headers = gateway.bearer(&["pay_1"]);
        headers.push(header("x-forwarded-for", forwarded));
        headers
    };
    let _first = opens(&gateway, "pay_1", &from("203.0.113.5")).await.unwrap();
    let _second = opens(&gateway, "pay_1", &from("203.0.113.5")).await.unwrap();
    // What it writes into the header itself stands before what the proxy adds.
    for forged in ["198.51.100.1, 203.0.113.5", "127.0.0.1,203.0.113.5", "unknown, 203.0.113.5:4711"] {
        assert!(opens(&gateway, "pay_1", &from(forged)).await.is_none(), "{forged}");
    }
    // Nor does the header help that this proxy does not write.
    let mut forged = from("203.0.113.5");
    forged.push(header("forwarded", "for=198.51.100.1"));
    assert!(opens(&gateway, "pay_1", &forged).await.is_none());
    assert!(hits(&gateway, "streams_per_peer").await > 3.0);

    let _other = opens(&gateway, "pay_1", &from("203.0.113.6")).await.unwrap();
    let _one = opens(&gateway, "pay_1", &from("2001:db8:1:2::1")).await.unwrap();
    let _two = opens(&gateway, "pay_1", &from("2001:db8:1:2::2")).await.unwrap();
    assert!(opens(&gateway, "pay_1", &from("2001:db8:1:2:ffff::3")).await.is_none(), "one /64 is one peer");
}

#[tokio::test]
async fn a_client_that_is_no_trusted_proxy_cannot_name_itself() {
    // Without a declared proxy nobody is believed: this machine stays this machine, whatever it says.
    let gateway = Gateway::with(Setup::limits("streams_per_peer = 1")).await;
    let mut headers = gateway.bearer(&["pay_1"]);
    headers.push(header("x-forwarded-for", "203.0.113.5"));
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(opens(&gateway, "pay_1", &headers).await.unwrap());
    }
    let mut body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    let mut headers = signed("acme", &body);
    headers.push(header("x-forwarded-for", "203.0.113.5"));
    gateway.post_raw("acme", &headers, &body).await;
    body.push(b' ');
    assert!(gateway.log().contains("listen.trusted_proxies does not contain it"), "{}", gateway.log());
    assert!(!gateway.log().contains("peer=203.0.113.5"), "{}", gateway.log());

    // A client that a balancer names is counted, and cannot rename itself either.
    let gateway = Gateway::with(behind_proxy("proxy_protocol = [\"public\"]", "streams_per_peer = 1")).await;
    let client = Ipv4Addr::new(203, 0, 113, 5);
    let (first, said) = speak(gateway.public, client, &stream_request("")).await;
    assert!(said.contains("snapshot"), "{said}");
    let (_second, said) =
        speak(gateway.public, client, &stream_request("x-forwarded-for: 198.51.100.7\r\n")).await;
    assert!(said.contains("overload"), "{said}");
    let (_other, said) = speak(gateway.public, Ipv4Addr::new(203, 0, 113, 6), &stream_request("")).await;
    assert!(said.contains("snapshot"), "{said}");
    drop(first);
}

/// The request for a stream, with these further lines in its head.
fn stream_request(lines: &str) -> String {
    let token = token("default", &["pay_1"]);
    format!(
        "GET /v1/payments/pay_1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n{lines}\r\n"
    )
}

/// Connects as `client` through a balancer that speaks the PROXY protocol. Gives the socket and what the gateway says first.
async fn speak(address: SocketAddr, client: Ipv4Addr, request: &str) -> (TcpStream, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    bytes.extend(client.octets());
    bytes.extend([10, 0, 0, 1, 0x12, 0x34, 0x1f, 0x90]);
    bytes.extend(request.as_bytes());
    // A gateway that closes at once does not read it.
    let _ = socket.write_all(&bytes).await;
    let mut said = String::new();
    let mut chunk = [0; 4096];
    while !said.contains("data: ") && !request.is_empty() {
        let read = timeout(PATIENCE, socket.read(&mut chunk)).await.expect("an answer or a close");
        let Ok(1..) = read else { break };
        said.push_str(&String::from_utf8_lossy(&chunk[..read.unwrap()]));
    }
    (socket, said)
}

#[tokio::test]
async fn one_peer_cannot_take_all_connections() {
    let setup = behind_proxy(
        "proxy_protocol = [\"public\"]",
        "connections_per_peer = 4\nsilent_connections_per_peer = 2\nfirst_head_timeout = \"30s\"",
    );
    let gateway = Gateway::with(setup).await;
    let (one, other) = (Ipv4Addr::new(203, 0, 113, 5), Ipv4Addr::new(203, 0, 113, 6));
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(speak(gateway.public, one, "").await.0);
    }
    eventually("they are counted as silent", async || {
        gateway.metric("paystream_connections_silent", &["listener=\"public\""]).await > 1.5
    })
    .await;
    // A third one is closed, though it would speak.
    let (mut third, said) = speak(gateway.public, one, &stream_request("")).await;
    assert_eq!((said.as_str(), third.read(&mut [0; 1]).await.unwrap_or(0)), ("", 0));
    assert!(hits(&gateway, "silent_connections_per_peer").await > 0.0);
    let (_honest, said) = speak(gateway.public, other, &stream_request("")).await;
    assert!(said.contains("snapshot"), "{said}");

    // Once they speak, others may be silent; but there are no more than four.
    for socket in &mut silent {
        socket.write_all(stream_request("").as_bytes()).await.unwrap();
    }
    eventually("they have spoken", async || {
        gateway.metric("paystream_connections_silent", &["listener=\"public\""]).await < 0.5
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let (socket, said) = speak(gateway.public, one, &stream_request("")).await;
        assert!(said.contains("snapshot"), "{said}");
        open.push(socket);
    }
    let (_fifth, said) = speak(gateway.public, one, &stream_request("")).await;
    assert_eq!(said, "");
    assert!(hits(&gateway, "connections_per_peer").await > 0.0);
    assert!(gateway.metric("paystream_connections_open", &["listener=\"public\""]).await >= 5.0);
    drop(open);
    eventually("their places are free", async || {
        speak(gateway.public, one, &stream_request("")).await.1.contains("snapshot")
    })
    .await;
}
