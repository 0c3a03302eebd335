//! Attacks on what trusts whoever reaches it: pages of strangers that point a name of theirs at this machine, and guessed admin
//! tokens.

use crate::support::{
    ADMIN_TOKEN, Gateway, PATIENCE, Program, Serving, Setup, eventually, header, paystream,
};
use load::http::{Connection, request};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A stranger's site, whose name points at the machine under attack.
const EVIL: &str = "evil.example";

/// A browser whose DNS the stranger controls, over HTTP/1.1 or HTTP/2.
fn browser(target: SocketAddr, h2: bool) -> Client {
    let builder = Client::builder().no_proxy().timeout(PATIENCE);
    let builder = if h2 { builder.http2_prior_knowledge() } else { builder };
    ["localhost", "gateway-1", EVIL, "localhost.evil.example", "127.0.0.1.evil.example"]
        .iter()
        .fold(builder, |builder, name| builder.resolve(name, target))
        .build()
        .unwrap()
}

/// A request for `path` at `host`, with the token that would open it where one is needed.
async fn ask(browser: &Client, method: Method, host: &str, port: u16, path: &str) -> Response {
    let asked = browser.request(method, format!("http://{host}:{port}{path}"));
    let asked = match path.starts_with("/admin") {
        true => asked.header("authorization", format!("Bearer {ADMIN_TOKEN}")),
        false => asked,
    };
    asked.header("content-type", "application/json").body("{}").send().await.unwrap()
}

async fn reason(answer: Response) -> String {
    let body: Value = answer.json().await.unwrap();
    body["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_reads_nothing_of_the_admin_listener() {
    let gateway =
        Gateway::with(Setup { admin: "hosts = [\"gateway-1\"]".to_owned(), ..Setup::default() }).await;
    let port = gateway.admin.port();
    let quarantine = "/admin/quarantine?source=acme";
    for h2 in [false, true] {
        let browser = browser(gateway.admin, h2);
        for host in [EVIL, "localhost.evil.example", "127.0.0.1.evil.example"] {
            for path in ["/metrics", quarantine, "/admin/nothing"] {
                let answer = ask(&browser, Method::GET, host, port, path).await;
                assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{host}{path} h2: {h2}");
                assert_eq!(reason(answer).await, "foreign_host");
            }
            // A probe may use any name, and learns no more than whether the node is well.
            assert_eq!(ask(&browser, Method::GET, host, port, "/livez").await.status(), 200);
            assert_eq!(ask(&browser, Method::GET, host, port, "/readyz").await.status(), 200);
        }
        for host in ["localhost", "127.0.0.1", "gateway-1"] {
            for path in ["/metrics", quarantine] {
                assert_eq!(ask(&browser, Method::GET, host, port, path).await.status(), 200, "{host}{path}");
            }
        }
    }
    let counted = gateway.metric("paystream_admin_refusals_total", &["reason=\"host\""]).await;
    assert!((counted - 18.0).abs() < 0.1, "{counted}");
}

/// Both a request line with a host and several hosts are ways to be understood in two ways.
#[tokio::test]
async fn no_second_host_smuggles_a_first_one_in() {
    let gateway = Gateway::start().await;
    for (target, hosts) in [
        ("/metrics", &["localhost", EVIL][..]),
        ("/metrics", &[EVIL, "localhost"]),
        ("http://evil.example/metrics", &["localhost"]),
        ("http://localhost/metrics", &[EVIL]),
        ("/metrics", &["localhost@evil.example"]),
        ("/metrics", &["evil.example@localhost"]),
    ] {
        let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        let asked = format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let answer = raw(gateway.admin, &asked).await;
        let refused = ["HTTP/1.1 421", "HTTP/1.1 400"].iter().any(|status| answer.starts_with(status));
        assert!(refused && !answer.contains("paystream_"), "{target} {hosts}: {answer}");
    }
}

/// Sends bytes, and returns all that comes back until the connection ends.
async fn raw(to: SocketAddr, bytes: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(to).await.unwrap();
    socket.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = socket.read_to_end(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_reads_nothing_of_a_development_gateway() {
    let folder = TempDir::new().unwrap();
    let mut serving = Serving::spawn(folder.path(), &["--dev", "--port", "0"], &[]);
    let public = serving.address("public").await;
    let admin = serving.address("admin").await;
    for h2 in [false, true] {
        for (target, path) in
            [(public, "/v1/payments/pay_1"), (public, "/v1/payments/pay_1/events"), (admin, "/metrics")]
        {
            let browser = browser(target, h2);
            let answer = ask(&browser, Method::GET, EVIL, target.port(), path).await;
            assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
            for host in ["localhost", "127.0.0.1"] {
                assert_eq!(
                    ask(&browser, Method::GET, host, target.port(), path).await.status(),
                    200,
                    "{path}"
                );
            }
        }
    }
    // Webhooks are signed, and a tunnel that brings them keeps its own host.
    let browser = browser(public, false);
    let posted = ask(&browser, Method::POST, EVIL, public.port(), "/webhooks/dev").await;
    assert_eq!(posted.status(), StatusCode::UNAUTHORIZED);
}

/// A page could start orders, read their tokens and restart the whole demo.
#[tokio::test]
async fn a_page_that_rebinds_its_name_cannot_press_a_button_of_the_demo() {
    let mut demo = Program::spawn(paystream().args(["demo", "--port", "0"]).stderr(Stdio::null()));
    let said = demo.line().await;
    let address: SocketAddr =
        said.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    for h2 in [false, true] {
        let browser = browser(address, h2);
        for (method, path) in [
            (Method::POST, "/demo/restart"),
            (Method::POST, "/demo/payments"),
            (Method::POST, "/demo/token"),
            (Method::GET, "/"),
            (Method::GET, "/demo/app.js"),
            (Method::GET, "/v1/payments/pay_1"),
        ] {
            let answer = ask(&browser, method, EVIL, address.port(), path).await;
            assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
        }
    }
    let json = [header("content-type", "application/json")];
    let order = request(address, "POST", "/demo/payments", &json, br#"{"life":"happy"}"#).await.unwrap();
    assert_eq!(order.head.status, 201, "the demo is as it was: {}", order.text());
}

fn bearer(token: &str) -> Vec<(String, String)> {
    vec![header("authorization", &format!("Bearer {token}"))]
}

const GUARDED: &str = "/admin/quarantine?source=acme";

#[tokio::test]
async fn wrong_admin_tokens_are_answered_ever_later_logged_and_counted_and_the_right_one_at_once() {
    let gateway = Gateway::start().await;
    let begun = Instant::now();
    for guess in 0..5 {
        let wrong = format!("wrong-guess-{guess}-0123456789");
        let answer = request(gateway.admin, "GET", GUARDED, &bearer(&wrong), b"").await.unwrap();
        assert_eq!((answer.head.status, &answer.json()["reason"]), (401, &json!("bad_admin_token")));
    }
    assert!(begun.elapsed() > Duration::from_millis(100 + 200 + 400 + 800 + 1600), "{:?}", begun.elapsed());
    // Guessed at from the same address all the while, the operators are not locked out.
    let mut guesses = tokio::task::JoinSet::new();
    let admin = gateway.admin;
    for guess in 0..200 {
        guesses.spawn(async move {
            let wrong = bearer(&format!("wrong-guess-{guess}-9876543210"));
            request(admin, "GET", GUARDED, &wrong, b"").await.map(|answer| answer.head.status)
        });
    }
    let hits = async || gateway.metric("paystream_limit_hits_total", &["admin_tokens"]).await > 100.0;
    eventually("more wrong tokens than may wait are refused", hits).await;
    for _ in 0..10 {
        let begun = Instant::now();
        let answer = request(gateway.admin, "GET", GUARDED, &bearer(ADMIN_TOKEN), b"").await.unwrap();
        assert_eq!(answer.head.status, 200);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    let mut statuses = Vec::new();
    while let Some(guess) = guesses.join_next().await {
        statuses.push(guess.unwrap().unwrap());
    }
    let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((of(401) + of(429), of(200)), (200, 0), "{statuses:?}");
    assert!((16..=40).contains(&of(401)), "only so many answers wait: {statuses:?}");
    let counted = gateway.metric("paystream_admin_refusals_total", &["reason=\"wrong_token\""]).await;
    assert!((counted - 205.0).abs() < 0.1, "{counted}");
    let log = gateway.log();
    let lines = log.lines().filter(|line| line.contains("a wrong admin token")).count();
    assert!((3..=30).contains(&lines), "a line a second:\n{log}");
    assert!(log.contains("peer=127.0.0.1") && !log.contains("wrong-guess"), "who, and not what:\n{log}");
}

#[tokio::test]
async fn a_request_without_a_token_guesses_nothing_and_waits_for_nothing() {
    let gateway = Gateway::start().await;
    let begun = Instant::now();
    let mut connection = Connection::open(gateway.admin).await.unwrap();
    for _ in 0..50 {
        let answer = connection.request("GET", GUARDED, &[], b"").await.unwrap();
        assert_eq!(answer.head.status, 401);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let counted = gateway.metric("paystream_admin_refusals_total", &["reason=\"missing_token\""]).await;
    assert!((counted - 50.0).abs() < 0.1, "{counted}");
    assert!(!gateway.log().contains("a wrong admin token"));
}

/// `?limt=1` used to be answered with a hundred records.
#[tokio::test]
async fn an_unknown_parameter_of_an_admin_route_is_refused() {
    let gateway = Gateway::start().await;
    for (method, path, status) in [
        ("GET", "/admin/quarantine?source=acme&limt=1", 400),
        ("GET", "/admin/deliveries?source=acme&limit=1&x", 400),
        ("GET", "/admin/deliveries?source=acme&limit=1&limit=2", 400),
        ("GET", "/admin/deliveries?source=acme&limit=0", 400),
        ("GET", "/admin/deliveries?source=acme&limit=1025", 400),
        ("GET", "/admin/deliveries?source=acme&limit=-1", 400),
        ("GET", "/admin/sources/acme/quarantine?before=1-0", 400),
        ("GET", "/admin/sources/acme/deliveries?source=acme", 400),
        ("POST", "/admin/sources/acme/payments/pay_1/reconcile?dry=1", 400),
        ("GET", "/admin/quarantine?source=acme&limit=1024", 200),
        ("GET", "/admin/deliveries?source=acme", 200),
        ("GET", "/admin/sources/acme/quarantine?limit=1", 200),
    ] {
        let answer = request(gateway.admin, method, path, &bearer(ADMIN_TOKEN), b"").await.unwrap();
        assert_eq!(answer.head.status, status, "{path}: {}", answer.text());
        if status == 400 {
            assert_eq!(answer.json()["reason"], "bad_parameter", "{path}");
        }
    }
}
