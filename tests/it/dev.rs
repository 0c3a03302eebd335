//! `serve --dev`: it is open to everyone, listens on loopback only, and can be read by pages that a developer serves on another port.

use crate::support::{Serving, header, next_message, paystream};
use load::{http::request, stream::Stream};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Output,
};
use tempfile::TempDir;

/// A development gateway on free ports.
fn dev(here: &Path) -> Serving {
    Serving::spawn(here, &["--dev", "--port", "0"], &[])
}

#[tokio::test]
async fn dev_runs_open_on_loopback_and_says_so_loudly() {
    let folder = TempDir::new().unwrap();
    let mut serving = dev(folder.path());
    let public = serving.address("public").await;
    assert!(public.ip().is_loopback());
    assert_eq!(serving.address("ingest").await, public);
    let mut stream = Stream::open(public, "/v1/payments/pay_1/events", &[]).await.unwrap();
    assert_eq!(next_message(&mut stream).await.1["type"], "snapshot");
    assert!(serving.log().contains("DEVELOPMENT MODE"), "{}", serving.log());
}

/// A page that the developer served on another port could not read any answer.
#[tokio::test]
async fn dev_answers_pages_of_loopback_origins_and_of_no_other() {
    let folder = TempDir::new().unwrap();
    let mut serving = dev(folder.path());
    let public = serving.address("public").await;
    for (origin, is_read) in [
        ("http://localhost:3000", true),
        ("http://127.0.0.1:5173", true),
        ("http://[::1]:3000", true),
        ("https://localhost", true),
        ("https://evil.example", false),
        ("http://localhost.evil.example", false),
        ("http://localhost:3000.evil.example", false),
        ("null", false),
    ] {
        let headers = [header("origin", origin)];
        let stream = Stream::open(public, "/v1/payments/pay_1/events", &headers).await.unwrap();
        let snapshot = request(public, "GET", "/v1/payments/pay_1", &headers, b"").await.unwrap();
        let preflight = request(public, "OPTIONS", "/v1/payments/pay_1/events", &headers, b"").await.unwrap();
        for head in [&stream.head, &snapshot.head, &preflight.head] {
            let allowed = head.header("access-control-allow-origin");
            assert_eq!(allowed, is_read.then_some(origin), "{origin}: {head:?}");
            assert_eq!(head.header("access-control-allow-credentials"), None, "{origin}: {head:?}");
            assert_eq!(head.header("vary"), Some("Origin"), "{origin}: {head:?}");
        }
    }
}

/// The text between two others.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {rest}")).0
}

/// The commands of the banner are run exactly as it prints them.
#[tokio::test]
async fn what_the_banner_says_works() {
    let folder = TempDir::new().unwrap();
    let mut serving = dev(folder.path());
    serving.address("public").await;
    let log = serving.log();
    assert!(log.contains("events.onmessage = ({ data }) => console.log(JSON.parse(data));"), "{log}");
    let url = between(&log, "new EventSource(\"http://", "\")").to_owned();
    let (host, path) = url.split_once('/').unwrap();
    let headers = [header("origin", "http://localhost:3000"), header("accept", "text/event-stream")];
    let mut stream = Stream::open(host.parse().unwrap(), &format!("/{path}"), &headers).await.unwrap();
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(next_message(&mut stream).await.1["status"], "unknown");

    let command = between(&log, "Post webhooks:", "\n").trim().to_owned();
    let (variable, arguments) = command.split_once(" paystream ").unwrap();
    let (name, secret) = variable.split_once('=').unwrap();
    let mut trigger = paystream();
    trigger.env(name, secret).args(arguments.split_whitespace()).arg("--fast").current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || trigger.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut status = String::new();
    while status != "captured" {
        status = next_message(&mut stream).await.1["status"].as_str().unwrap_or_default().to_owned();
    }

    let admin: SocketAddr = between(&log, "Look inside:      http://", "/metrics").parse().unwrap();
    assert_eq!(request(admin, "GET", "/metrics", &[], b"").await.unwrap().head.status, 200);
}

#[tokio::test]
async fn dev_listens_where_the_environment_says() {
    let folder = TempDir::new().unwrap();
    let public = crate::support::free_address().to_string();
    let variables = [("PAYSTREAM__LISTEN__PUBLIC", &*public), ("PAYSTREAM__LISTEN__ADMIN", "localhost:0")];
    let mut serving = Serving::spawn(folder.path(), &["--dev"], &variables);
    assert_eq!(serving.address("public").await.to_string(), public);
    assert_eq!(serving.address("ingest").await.to_string(), public);
}

fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let mut command = paystream();
    let Output { status, stderr, .. } =
        command.args(arguments).envs(variables.iter().copied()).current_dir(folder.path()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// The remedy for a port in use was to change `[listen]`, although this mode reads no file.
#[test]
fn a_taken_port_is_told_in_the_terms_of_the_command() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let expected = format!(
        "port {port} is in use by another program; choose another port with --port, or a free one with --port 0"
    );
    for command in [&["serve", "--dev"][..], &["demo"]] {
        let (code, said) = refused(&[command, &["--port", &port]].concat(), &[]);
        let last = said.lines().last().unwrap();
        assert_eq!((code, last), (Some(1), &*expected), "{said}");
    }
    let address = holder.local_addr().unwrap().to_string();
    let (code, said) = refused(&["serve", "--dev", "--port", "0"], &[("PAYSTREAM__LISTEN__ADMIN", &address)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("port {port} is in use by another program; set PAYSTREAM__LISTEN__ADMIN")),
        "{said}"
    );
}

#[test]
fn dev_is_refused_beyond_loopback_and_a_port_without_dev() {
    let (code, said) = refused(&["serve", "--dev"], &[("PAYSTREAM__LISTEN__PUBLIC", "0.0.0.0:0")]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("PAYSTREAM__LISTEN__PUBLIC") && said.contains("on loopback"), "{said}");
    assert_eq!(refused(&["serve", "--port", "3000"], &[]).0, Some(2));
}
