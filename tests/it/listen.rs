//! `paystream listen`: verified deliveries go to a local program as they came, its answer goes to the provider, and what is not
//! verified is refused.

use crate::support::{
    GENERIC_SECRET, Gateway, Program, eventually, free_address, generic, header, now_s, paystream, signed,
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use load::http::request;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A local program of a developer. It keeps what it gets, and answers as it is told. Dropping it closes it.
struct Shop {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    got: Mutex<Vec<(Uri, HeaderMap, Bytes)>>,
    answer: Mutex<Option<(StatusCode, Vec<u8>)>>,
}

impl Shop {
    async fn open() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(take).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "the only client is the command under test")]
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, shared, server }
    }

    fn url(&self) -> String {
        format!("http://{}/hook?mine=1", self.address)
    }

    fn answers(&self, status: u16, body: &[u8]) {
        let status = StatusCode::from_u16(status).unwrap();
        *self.shared.answer.lock().unwrap() = Some((status, body.to_vec()));
    }

    fn got(&self) -> Vec<(Uri, HeaderMap, Bytes)> {
        self.shared.got.lock().unwrap().clone()
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    shared.got.lock().unwrap().push((uri, headers, body));
    shared.answer.lock().unwrap().clone().unwrap_or((StatusCode::OK, b"thanks".to_vec())).into_response()
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The command, with the configuration of a gateway that nobody asks.
fn listen(gateway: &Gateway, source: &str, at: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = paystream();
    command.args(["listen", "--source", source, "--config"]).arg(gateway.config_path());
    command.args(["--bind", &at.to_string()]).args(arguments).stderr(Stdio::null());
    command
}

/// Starts the command, and waits until it listens.
async fn listening(gateway: &Gateway, forward_to: Option<&str>) -> (Program, SocketAddr) {
    let at = free_address();
    let forward_to: Vec<&str> = forward_to.into_iter().flat_map(|url| ["--forward-to", url]).collect();
    let mut program = Program::spawn(listen(gateway, "acme", at, &["--json"]).args(forward_to));
    assert_eq!(program.next().await["listening"], format!("http://{at}/webhooks/acme"));
    (program, at)
}

fn paid(id: &str) -> Vec<u8> {
    // The space would be lost if the body were parsed and written again.
    generic(id, "confirmed", "pay_1", now_s()).to_string().replacen(':', ": ", 1).into_bytes()
}

#[tokio::test]
async fn a_verified_delivery_goes_on_as_it_came_and_its_answer_comes_back() {
    let (gateway, shop) = (Gateway::start().await, Shop::open().await);
    let (mut program, at) = listening(&gateway, Some(&shop.url())).await;
    let body = paid("e1");
    let mut headers = signed("acme", &body);
    headers.extend([header("x-shop", "a"), header("x-shop", "b")]);
    shop.answers(202, b"[accepted]");
    let answer = request(at, "POST", "/webhooks/acme?theirs=%2F2", &headers, &body).await.unwrap();
    assert_eq!((answer.head.status, answer.text().as_str()), (202, "[accepted]"));
    let (uri, got, bytes) = shop.got().remove(0);
    assert_eq!(uri.to_string(), "/hook?mine=1&theirs=%2F2");
    assert_eq!(bytes, body);
    for (name, value) in &headers {
        assert!(got.get_all(name.as_str()).iter().any(|got| got == value.as_str()), "{name}: {got:?}");
    }
    assert_eq!(got["host"], shop.address.to_string());
    let told = program.next().await;
    let event = json!({ "type": "payment.confirmed", "id": "e1", "payment": "pay_1", "outcome": "accepted", "reason": null });
    assert_eq!((&told["events"], &told["forwarded"]["status"]), (&json!([event]), &json!(202)));
    // The gateway whose configuration it is knows of nothing.
    assert_eq!(gateway.snapshot("pay_1").await["status"], "unknown");
}

#[tokio::test]
async fn what_is_not_verified_is_refused_and_never_goes_on() {
    let (gateway, shop) = (Gateway::start().await, Shop::open().await);
    let (mut program, at) = listening(&gateway, Some(&shop.url())).await;
    let body = paid("e1");
    let good = signed("acme", &body);
    let encoded = [good.clone(), vec![header("content-encoding", "gzip")]].concat();
    for (headers, body, status, reason) in [
        (vec![], body.clone(), 401, "missing_signature"),
        (signed("other", &body), body.clone(), 401, "bad_signature"),
        (good.clone(), [&body[..], b" "].concat(), 401, "bad_signature"),
        (encoded, body.clone(), 415, "content_encoding"),
    ] {
        let answer = request(at, "POST", "/webhooks/acme", &headers, &body).await.unwrap();
        assert_eq!(answer.head.status, status, "{reason}: {}", answer.text());
        let told = program.next().await;
        assert_eq!(
            (&told["refused"]["reason"], &told["refused"]["status"]),
            (&json!(reason), &json!(status))
        );
        assert!(!told.to_string().contains(GENERIC_SECRET));
    }
    for (method, path, status) in [
        ("POST", "/webhooks/other", 404),
        ("POST", "/", 404),
        ("GET", "/webhooks/acme", 200),
        ("PUT", "/webhooks/acme", 405),
    ] {
        let answer = request(at, method, path, &good, &body).await.unwrap();
        assert_eq!(answer.head.status, status, "{method} {path}");
    }
    let giant = vec![b'x'; (1 << 20) + 1];
    let answer = request(at, "POST", "/webhooks/acme", &good, &giant).await.unwrap();
    assert_eq!(answer.head.status, 413, "{}", answer.text());
    assert!(shop.got().is_empty());
}

/// A stranger who finds the address would have filled the terminal, and kept the developer from seeing anything else.
#[tokio::test]
async fn a_flood_of_forgeries_is_reported_ten_times_a_second_at_most_and_delays_no_verified_delivery() {
    let (gateway, shop) = (Gateway::start().await, Shop::open().await);
    let (mut program, at) = listening(&gateway, Some(&shop.url())).await;
    let began = std::time::Instant::now();
    let forged = paid("e1");
    let mut throttled = 0;
    for _ in 0..200 {
        let answer = request(at, "POST", "/webhooks/acme", &signed("other", &forged), &forged).await.unwrap();
        throttled += usize::from(answer.head.status == 429);
    }
    let body = paid("e2");
    let answer = request(at, "POST", "/webhooks/acme", &signed("acme", &body), &body).await.unwrap();
    assert_eq!(answer.head.status, 200);
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let mut reported = 0;
    while program.next().await["refused"]["reason"] == "bad_signature" {
        reported += 1;
    }
    assert_eq!(reported + throttled, 200);
    assert!(reported <= 10 * (seconds + 1), "{reported} in {seconds} s");
    assert_eq!(shop.got().len(), 1);
}

#[tokio::test]
async fn the_provider_tries_again_what_the_local_program_did_not_take() {
    let (gateway, shop) = (Gateway::start().await, Shop::open().await);
    let (mut program, at) = listening(&gateway, Some(&shop.url())).await;
    let body = paid("e1");
    let post = async || request(at, "POST", "/webhooks/acme", &signed("acme", &body), &body).await.unwrap();
    shop.answers(500, b"it crashed");
    assert_eq!(post().await.head.status, 500);
    assert_eq!(program.next().await["forwarded"]["status"], 500);
    // A redirect is not followed, since it could lead the delivery anywhere.
    shop.answers(307, b"");
    assert_eq!(post().await.head.status, 307);
    assert_eq!(program.next().await["forwarded"]["status"], 307);
    // An answer without an end is cut off; the status counts.
    shop.answers(200, &vec![b'x'; 100 << 10]);
    let answer = post().await;
    assert_eq!((answer.head.status, answer.text().len()), (200, 0));
    assert_eq!(program.next().await["forwarded"]["status"], 200);
    drop(shop);
    let mut told = Value::Null;
    eventually("nobody answers", async || {
        let status = post().await.head.status;
        told = program.next().await;
        status == 502
    })
    .await;
    assert!(told["forwarded"]["error"].as_str().is_some_and(|why| !why.contains("mine")), "{told}");
}

#[tokio::test]
async fn trigger_and_listen_work_together_without_a_gateway_and_end_when_told() {
    let mut gateway = Gateway::start().await;
    let shop = Shop::open().await;
    gateway.stop().await;
    let at = free_address();
    let url = shop.url();
    let mut program = Program::spawn(&mut listen(&gateway, "stripe", at, &["--forward-to", &url]));
    let first = program.line().await;
    assert!(first.contains(&format!("http://{at}/webhooks/stripe")) && first.contains(&url), "{first}");
    let mut trigger = paystream();
    trigger.args(["trigger", "--source", "stripe", "--payment", "pi_1", "refund", "--fast", "--config"]);
    trigger.arg(gateway.config_path()).args(["--url", &format!("http://{at}")]);
    let output = tokio::task::spawn_blocking(move || trigger.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(program.line().await);
    }
    assert!(seen[0].contains("payment_intent.created pi_1  → 200 in "), "{seen:?}");
    assert!(seen[5].contains("charge.refunded pi_1  → 200 in "), "{seen:?}");
    assert_eq!(shop.got().len(), 6);
    // Without a local program, it reports alone.
    let at = free_address();
    let mut alone = Program::spawn(&mut listen(&gateway, "acme", at, &[]));
    alone.line().await;
    let body = paid("e1");
    let answer = request(at, "POST", "/webhooks/acme", &signed("acme", &body), &body).await.unwrap();
    assert_eq!(answer.head.status, 200);
    assert!(alone.line().await.ends_with("  payment.confirmed pay_1"));
    // The address is taken now.
    let output = listen(&gateway, "acme", at, &[]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("choose another address with --bind"),
        "{output:?}"
    );
    alone.terminate();
    assert!(tokio::time::timeout(Duration::from_secs(30), alone.ended()).await.unwrap().success());
}
