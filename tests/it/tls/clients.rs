//! Clients that others wrote: curl, Node and Chromium.

use super::{NAME, Secure, run};
use crate::support::{PATIENCE, Program, Setup, generic, now_s, token};
use axum::{Router, response::Html, routing::get};
use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};
use tokio::{sync::mpsc, time::timeout};

#[tokio::test]
async fn curl_follows_a_payment_over_both_versions() {
    let secure = Secure::with("", Setup::stream("linger = \"1s\"")).await;
    let ca = secure.files.path().join("ca.pem");
    std::fs::write(&ca, &secure.authority.pem).unwrap();
    secure.gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut curl = Command::new("curl");
        let resolve = format!("{NAME}:{}:127.0.0.1", secure.gateway.listener.port());
        curl.args(["-sSN", option, "--cacert"]).arg(&ca).args([
            "--resolve",
            &resolve,
            "-w",
            "\nversion %{http_version}",
        ]);
        curl.args(["-H", &format!("authorization: Bearer {}", token("default", &["pay_1"]))]);
        let said = run(curl.arg(secure.url("/v1/payments/pay_1/events?until=finished")), "").await;
        assert!(
            said.contains("\"status\":\"captured\"") && said.contains(&format!("\nversion {version}")),
            "{said}"
        );
        assert!(!said.contains("curl:"), "{version}: the end is clean: {said}");
    }
}

#[tokio::test]
async fn node_follows_a_payment_by_fetch_and_by_http2() {
    let secure = Secure::start("").await;
    let ca = secure.files.path().join("ca.pem");
    std::fs::write(&ca, &secure.authority.pem).unwrap();
    let script = r#"
        const [origin, token] = process.argv.slice(1);
        const headers = { authorization: `Bearer ${token}` }, path = "/v1/payments/pay_1/events";
        const say = (from, text) => {
            for (const [, seq] of text.matchAll(/"seq":(\d+)/g)) console.log(JSON.stringify({ from, seq: Number(seq) }));
        };
        const overHttp2 = require("node:http2").connect(origin).request({ ":path": path, ...headers });
        overHttp2.setEncoding("utf8").on("data", (text) => say("http2", text));
        overHttp2.on("response", async () => {
            const response = await fetch(origin + path, { headers });
            console.log(JSON.stringify({ from: "both", seq: 0 }));
            for await (const bytes of response.body) say("fetch", Buffer.from(bytes).toString());
        });
    "#;
    let origin = format!("https://localhost:{}", secure.gateway.listener.port());
    let token = token("default", &["pay_1"]);
    let mut node = Program::spawn(
        Command::new("node").args(["-e", script, &origin, &token]).env("NODE_EXTRA_CA_CERTS", &ca),
    );
    while node.next().await["from"] != "both" {}
    secure.gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let mut missing = vec!["fetch", "http2"];
    while !missing.is_empty() {
        let said = node.next().await;
        missing.retain(|from| said["from"] != *from || said["seq"] != 1);
    }
}

/// Serves `page`, and returns its port and what the page posts back.
async fn page(page: String) -> (u16, mpsc::UnboundedReceiver<String>) {
    let (send, posted) = mpsc::unbounded_channel();
    let post = move |body: String| async move { send.send(body).unwrap() };
    let routes = Router::new().route("/", get(async || Html(page))).route("/seen", axum::routing::post(post));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "its only client is the browser of the test")]
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (port, posted)
}

/// A browser has at most six connections per host with HTTP/1.1, so eight streams show that it has negotiated HTTP/2.
#[tokio::test]
async fn chromium_follows_eight_payments_at_once() {
    let script = format!(
        "<script>for (let i = 0; i < 8; i++) {{
            const url = `https://localhost:${{location.search.slice(1)}}/v1/payments/pay_${{i}}/events?access_token={}`;
            new EventSource(url).onmessage = () => fetch('/seen', {{ method: 'POST', body: `pay_${{i}}` }});
        }}</script>",
        token("default", &["pay_0", "pay_1", "pay_2", "pay_3", "pay_4", "pay_5", "pay_6", "pay_7"]),
    );
    let (port, mut seen) = page(script).await;
    let access = format!("cors = [\"http://localhost:{port}\"]");
    let secure = Secure::with("", Setup { access, ..Setup::default() }).await;
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--ignore-certificate-errors",
    ]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display())).arg("--remote-debugging-port=0");
    let mut chromium = chromium
        .arg(format!("http://localhost:{port}/?{}", secure.gateway.listener.port()))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut payments = BTreeSet::new();
    while payments.len() < 8 {
        payments.insert(timeout(PATIENCE, seen.recv()).await.expect("all streams begin").unwrap());
    }
    chromium.kill().unwrap();
    chromium.wait().unwrap();
}
