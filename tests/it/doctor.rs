//! `paystream doctor` in front of real proxies: as they should be configured, which is how `deploy/` configures them, and as they
//! should not.

mod apache;
mod caddy;
mod haproxy;
mod nginx;
mod tls;

use crate::support::{Gateway, RedisServer, Setup, paystream};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// The page that reads the streams.
const ORIGIN: &str = "https://shop.example";

/// What a run has found: its exit code, the codes of its findings, and the whole report.
#[derive(Debug)]
struct Found {
    exit: i32,
    codes: BTreeSet<String>,
    report: Value,
}

impl Found {
    #[track_caller]
    fn is_exactly(&self, codes: &[&str]) {
        let expected: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        assert_eq!(self.codes, expected, "{:#}", self.report);
        assert_eq!(self.exit, i32::from(!codes.is_empty()), "{:#}", self.report);
    }

    /// What a finding says, and the directives that mend it.
    fn finding(&self, code: &str) -> &Value {
        let findings = self.report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["code"] == code).unwrap()
    }
}

/// A gateway whose heartbeats come so often that a test can wait for some.
async fn gateway(heartbeat: &str) -> Gateway {
    Gateway::with(Setup {
        store: crate::support::Store::Embedded,
        ..Setup::stream(&format!("heartbeat = \"{heartbeat}\""))
    })
    .await
}

/// Runs the command on this URL, by the gateway's configuration.
async fn doctor(gateway: &Gateway, url: &str, more: &[&str]) -> Found {
    let mut command = paystream();
    command
        .args(["doctor", "--json", "--origin", ORIGIN, "--url", url, "--config"])
        .arg(gateway.config_path());
    command.args(more);
    examine(command).await
}

/// The same, where this certificate is that of an authority.
async fn doctor_trusting(gateway: &Gateway, url: &str, authority: &Path, more: &[&str]) -> Found {
    let mut command = paystream();
    command
        .args(["doctor", "--json", "--origin", ORIGIN, "--url", url, "--config"])
        .arg(gateway.config_path());
    command.args(more).env("SSL_CERT_FILE", authority).env_remove("SSL_CERT_DIR");
    examine(command).await
}

async fn examine(mut command: Command) -> Found {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(!said.contains("eyJ"), "a token is shown: {said}");
    let codes = report["findings"].as_array().unwrap().iter();
    let codes = codes.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    Found { exit: output.status.code().unwrap(), codes, report }
}

/// A file of `deploy/`, in which each first text, which has to be there, becomes the second one.
fn shipped(name: &str, swaps: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    swaps.iter().fold(fs::read_to_string(path).unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replace(from, to)
    })
}

#[tokio::test]
async fn a_gateway_without_a_proxy_is_in_order() {
    let gateway = gateway("1s").await;
    let url = format!("http://{}", gateway.listener);
    let found = doctor(&gateway, &url, &[]).await;
    found.is_exactly(&[]);
    assert_eq!((&found.report["ok"], &found.report["proxies"]), (&Value::Bool(true), &serde_json::json!([])));
    // The same for people, about a payment with events and a token of one's own.
    gateway.accept(&crate::support::generic("e1", "pending", "pay_1", crate::support::now_s())).await;
    let token = crate::support::token("default", &["pay_1"]);
    let mut command = paystream();
    command.args(["doctor", "--url", &url, "--payment", "pay_1", "--token", &token, "--heartbeat", "1s"]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.ends_with("All is in order.\n") && said.contains("Last-Event-ID arrives"), "{said}");
    assert!(said.contains("not asked: whether a page may read the answers"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_tried_is_exit_code_2_and_says_why() {
    let gateway = gateway("1s").await;
    let url = format!("http://{}", gateway.listener);
    let nobody = format!("http://{}", crate::support::free_address());
    let foreign = crate::support::token("default", &["pay_2"]);
    for (url, more, expected) in [
        (&nobody, &["--token", "x"][..], "refused"),
        (&url, &[], "the gateway wants a token"),
        (&url, &["--token", "nonsense"], "malformed"),
        (&url, &["--token", &foreign], "foreign_payment"),
        // The metrics' listener is a server, but no gateway to readers.
        (&format!("http://{}", gateway.admin), &["--token", "x"], "404"),
    ] {
        let mut command = paystream();
        command.args(["doctor", "--json", "--url", url, "--payment", "pay_1"]).args(more);
        let found = examine(command).await;
        assert_eq!(found.exit, 2, "{found:?}");
        assert!(
            found.report["untried"].to_string().to_lowercase().contains(expected),
            "{expected}: {found:?}"
        );
    }
    // A heartbeat that cannot come in the time is not called late.
    let found = doctor(&gateway, &url, &["--heartbeat", "15s", "--seconds", "1"]).await;
    assert_eq!(found.exit, 2, "{found:?}");
    assert!(found.report["untried"].to_string().contains("give --seconds"), "{found:?}");
}

/// A URL on another machine without TLS is told before anything is sent.
#[tokio::test]
async fn http_to_another_machine_is_found() {
    let gateway = gateway("1s").await;
    let found = doctor(&gateway, "http://paystream.invalid", &[]).await;
    found.is_exactly(&["plain_http"]);
    assert!(found.report["untried"].to_string().len() > 4, "{found:?}");
}

/// Two gateways on one Redis behind the shipped configuration.
async fn two_gateways() -> (RedisServer, [Gateway; 2]) {
    let redis = RedisServer::start().await;
    let setup = || Setup { stream: "heartbeat = \"1s\"".to_owned(), ..Setup::on(&redis) };
    let nodes = [Gateway::with(setup()).await, Gateway::with(setup()).await];
    (redis, nodes)
}
