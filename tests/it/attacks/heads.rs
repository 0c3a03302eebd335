//! HTTP/1: heads that two servers may read in two ways, slow ones, answers to clients that are still sending, and what every
//! response says.

use crate::support::{Gateway, PATIENCE, Setup, generic, header, signed};
use load::http::{Connection, request};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Sends `bytes` and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let _unsent = socket.write_all(bytes).await;
    let mut said = Vec::new();
    let _reset = timeout(PATIENCE, socket.read_to_end(&mut said)).await.expect("the server has to close");
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether there is exactly one answer, and it refuses in the gateway's own words.
fn is_one_refusal(said: &str, status: u16) -> bool {
    said.starts_with(&format!("HTTP/1.1 {status} "))
        && said.matches("HTTP/1.1 ").count() == 1
        && said.contains("x-content-type-options: nosniff")
        && said.contains("content-type: application/problem+json")
        && said.contains("connection: close")
}

#[tokio::test]
async fn heads_by_which_a_request_could_be_smuggled_are_refused() {
    let gateway = Gateway::start().await;
    // What would be a second request if the first were read in the other way.
    let hidden = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in [
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 6\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\nx: y\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\nx: y\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\nx: y\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 33\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0, 0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length : 33\r\n\r\n",
        "GET / HTTP/1.1\nhost: x\n\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\n",
        "GET / HTTP/1.1\r\nhost: x\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nte: gzip, chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\tx: folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nx: \0\r\n\r\n",
        "GET / HTTP/2.0\r\nhost: x\r\n\r\n",
        "GET /\r\n\r\n",
        "\n\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        for address in [gateway.public, gateway.ingest, gateway.admin] {
            let said = exchange(address, format!("{head}{hidden}").as_bytes()).await;
            assert!(is_one_refusal(&said, 400), "{head:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_second_request_is_checked_like_the_first_and_answered_behind_it() {
    let gateway = Gateway::start().await;
    let good = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let with_body = "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\na\nb";
    let chunked = "POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\na\nb\r\n0\r\nx: y\r\n\r\n";
    for first in [good, with_body, chunked] {
        let said =
            exchange(gateway.admin, format!("{first}GET /livez HTTP/1.1\nhost: x\n\n{good}").as_bytes())
                .await;
        let (answer, refusal) = said[1..].split_at(said[1..].find("HTTP/1.1").expect("two answers"));
        assert!(answer.starts_with("TTP/1.1 200") || answer.starts_with("TTP/1.1 405"), "{said}");
        assert!(is_one_refusal(refusal, 400), "{said}");
    }
}

#[tokio::test]
async fn honest_bodies_of_both_kinds_keep_their_connection() {
    let gateway = Gateway::start().await;
    let mut connection = TcpStream::connect(gateway.ingest).await.unwrap();
    for number in 0..6 {
        let body = generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000 + number).to_string();
        let fields: String = signed("acme", body.as_bytes())
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let (framing, body) = if number % 2 == 0 {
            (format!("content-length: {}", body.len()), body)
        } else {
            let (first, rest) = body.split_at(10);
            let body = format!("a\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len());
            ("transfer-encoding: chunked".to_owned(), body)
        };
        let request = format!("POST /webhooks/acme HTTP/1.1\r\nhost: x\r\n{fields}{framing}\r\n\r\n{body}");
        // In two pieces, cut in the head and in the body in turn.
        let cut = if number < 3 { 30 } else { request.len() - 20 };
        connection.write_all(&request.as_bytes()[..cut]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
        connection.write_all(&request.as_bytes()[cut..]).await.unwrap();
        let mut answer = [0; 4096];
        let len = timeout(PATIENCE, connection.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..len]);
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off_in_time() {
    let gateway = Gateway::with(Setup::limits("head_timeout = \"2s\"")).await;
    let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(10_000));
    for address in [gateway.public, gateway.ingest, gateway.admin] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let begun = Instant::now();
        for byte in head.as_bytes() {
            if socket.write_all(&[*byte]).await.is_err() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "a slow head is read for ever");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A reset took the answer from senders that did not look before they had sent everything.
#[tokio::test]
async fn a_sender_that_is_still_sending_reads_the_answer() {
    let gateway = Gateway::with(Setup::limits("body_bytes = 1000\nbuffered_bytes = 1000000")).await;
    let large = "content-length: 4000000";
    for (address, request, status) in [
        (gateway.ingest, format!("POST /webhooks/acme HTTP/1.1\r\nhost: x\r\n{large}\r\n\r\n"), 413),
        (gateway.ingest, format!("POST /webhooks/nobody HTTP/1.1\r\nhost: x\r\n{large}\r\n\r\n"), 404),
        (gateway.public, format!("POST /v1/payments/pay_1 HTTP/1.1\r\nhost: x\r\n{large}\r\n\r\n"), 405),
        (gateway.public, format!("GET /v1/payments/pay_1 HTTP/1.1\r\nhost: x\r\n{large}\r\n\r\n"), 401),
        (gateway.admin, format!("GET /admin/quarantine HTTP/1.1\r\nhost: 127.0.0.1\r\n{large}\r\n\r\n"), 401),
        (
            gateway.ingest,
            format!("POST / HTTP/1.1\r\nhost: x\r\n{large}\r\ntransfer-encoding: chunked\r\n\r\n"),
            400,
        ),
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        for _ in 0..40 {
            socket.write_all(&[b'x'; 100_000]).await.unwrap_or_else(|error| panic!("{status}: {error}"));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut said = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut said))
            .await
            .unwrap()
            .unwrap_or_else(|error| panic!("{status}: {error}"));
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    }
}

#[tokio::test]
async fn a_slow_sender_reads_that_it_was_too_slow_and_is_not_waited_for() {
    let gateway = Gateway::with(Setup::limits("body_timeout = \"1s\"")).await;
    let mut socket = TcpStream::connect(gateway.ingest).await.unwrap();
    socket
        .write_all(b"POST /webhooks/acme HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
        .await
        .unwrap();
    let begun = Instant::now();
    let (mut reader, mut writer) = socket.split();
    let mut said = String::new();
    let sending = async {
        while writer.write_all(b"x").await.is_ok() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "a sender keeps its connection by a byte now and then"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (read, ()) = tokio::join!(reader.read_to_string(&mut said), sending);
    read.unwrap();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[tokio::test]
async fn every_response_forbids_to_guess_its_type() {
    let gateway = Gateway::with(Setup::limits("headers = 20")).await;
    let bearer = gateway.bearer(&["pay_1"]);
    let payload = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    let many: Vec<_> = (0..30).map(|number| header(&format!("x-{number}"), "y")).collect();
    let admin = [header("authorization", &format!("Bearer {}", crate::support::ADMIN_TOKEN))];
    for (address, method, path, headers, status) in [
        (gateway.public, "GET", "/v1/payments/pay_1", &bearer[..], 200),
        (gateway.public, "GET", "/v1/payments/pay_1", &[], 401),
        (gateway.public, "GET", "/v1/payments/pay_2", &bearer, 403),
        (gateway.public, "POST", "/v1/payments/pay_1", &bearer, 405),
        (gateway.public, "OPTIONS", "/v1/payments/pay_1", &[], 204),
        (gateway.public, "GET", "/nothing", &[], 404),
        (gateway.public, "GET", "/v1/payments/pay_1", &many, 431),
        (gateway.ingest, "POST", "/webhooks/acme", &signed("acme", &payload), 200),
        (gateway.ingest, "POST", "/webhooks/acme", &[], 401),
        (gateway.ingest, "POST", "/webhooks/nobody", &[], 404),
        (gateway.ingest, "GET", "/webhooks/acme", &[], 200),
        (gateway.admin, "GET", "/livez", &[], 200),
        (gateway.admin, "GET", "/metrics", &[], 200),
        (gateway.admin, "GET", "/admin/quarantine", &[], 401),
        (gateway.admin, "GET", "/admin/nothing", &admin, 404),
    ] {
        let body = if method == "POST" { &payload[..] } else { b"" };
        let answer = request(address, method, path, headers, body).await.unwrap();
        assert_eq!(answer.head.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
        let is_expected = answer.head.status == status || (status == 200 && answer.head.status / 100 == 2);
        assert!(is_expected, "{method} {path}: {} {}", answer.head.status, answer.text());
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let mut asked =
            client.request(method.parse().unwrap(), format!("http://{address}{path}")).body(body.to_vec());
        for (name, value) in headers {
            asked = asked.header(name, value);
        }
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{method} {path} over HTTP/2");
    }
    let stream = gateway.stream("pay_1").await;
    assert_eq!(stream.head.header("x-content-type-options"), Some("nosniff"));
    let mut kept = Connection::open(gateway.admin).await.unwrap();
    for _ in 0..2 {
        let answer = kept.request("GET", "/livez", &[], b"").await.unwrap();
        assert_eq!(answer.head.header("x-content-type-options"), Some("nosniff"));
    }
    for bytes in ["GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\r\n\r\n", "GET / HTTP/1.1\r\nx: y"] {
        let long = format!("{bytes}{}", "z".repeat(20_000));
        let said = exchange(gateway.public, long.as_bytes()).await;
        assert!(said.contains("x-content-type-options: nosniff"), "{bytes:?}: {said}");
    }
}
