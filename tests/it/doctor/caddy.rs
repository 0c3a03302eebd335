//! Caddy: as shipped, and with one thing wrong at a time.

use super::{Found, doctor, doctor_trusting, gateway, shipped, two_gateways};
use crate::support::{Authority, Front};
use std::{fs, path::Path, process::Command};

/// Caddy with these global options besides those that keep it to itself.
fn caddy(folder: &Path, options: &str, text: &str) -> Command {
    let text = format!("{{\n\tadmin off\n\tauto_https off\n{options}\n}}\n{text}");
    fs::write(folder.join("Caddyfile"), text).unwrap();
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.join("Caddyfile"));
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    command
}

#[tokio::test]
async fn caddy_as_shipped_is_in_order() {
    let (_redis, nodes) = two_gateways().await;
    let authority = Authority::new("Test Authority");
    let certified = authority.certify(&["localhost"]);
    let front = Front::spawn(|folder, address| {
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.join(name));
        fs::write(&chain, &certified.chain).unwrap();
        fs::write(&key, &certified.key).unwrap();
        let site =
            format!("https://localhost:{} {{\n\ttls {} {}", address.port(), chain.display(), key.display());
        let text = shipped(
            "Caddyfile",
            &[
                ("\npay.shop.example {", &format!("\n{site}")),
                ("gateway-1:8080", &nodes[0].listener.to_string()),
                ("gateway-1:8081", &nodes[0].ingest.to_string()),
                ("gateway-2:8080", &nodes[1].listener.to_string()),
                ("gateway-2:8081", &nodes[1].ingest.to_string()),
            ],
        );
        caddy(folder, "", &text)
    })
    .await;
    let trusted = nodes[0].folder().join("authority.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let url = format!("https://localhost:{}", front.address.port());
    let found = doctor_trusting(&nodes[0], &url, &trusted, &[]).await;
    found.is_exactly(&[]);
    assert_eq!(found.report["proxies"], serde_json::json!(["Caddy"]));
}

/// What is found with these global options, in the site, and in its `reverse_proxy`; without TLS.
async fn with(heartbeat: &str, options: &str, site: &str, proxy: &str, more: &[&str]) -> Found {
    let gateway = gateway(heartbeat).await;
    let listener = gateway.listener;
    let front = Front::spawn(|folder, address| {
        let text = format!("http://{address} {{\n{site}\nreverse_proxy {listener} {{\n{proxy}\n}}\n}}\n");
        caddy(folder, options, &text)
    })
    .await;
    doctor(&gateway, &format!("http://{}", front.address), more).await
}

#[tokio::test]
async fn a_cut_of_old_streams_is_found() {
    let timeouts = "servers {\ntimeouts {\nwrite 3s\n}\n}";
    let found = with("1s", timeouts, "", "", &[]).await;
    found.is_exactly(&["cut"]);
    assert!(found.finding("cut")["directives"]["Caddy"].is_string(), "{found:?}");
}

#[tokio::test]
async fn compression_is_found() {
    let encode = "header -Cache-Control\nencode {\ngzip\nminimum_length 1\nmatch {\nheader Content-Type text/event-stream*\n}\n}";
    let found = with("1s", "", encode, "header_down -Cache-Control", &[]).await;
    assert!(found.codes.contains("compressed"), "{found:#?}");
}

#[tokio::test]
async fn removed_headers_are_found() {
    with("1s", "", "", "header_up -Last-Event-ID", &[]).await.is_exactly(&["last_event_id"]);
    with("1s", "", "", "header_down -Access-Control-Allow-Origin", &[])
        .await
        .is_exactly(&["cors_answer", "cors_preflight"]);
}

#[tokio::test]
async fn a_response_that_is_buffered_is_found() {
    let found = with("1s", "", "", "buffer_responses", &[]).await;
    assert!(found.codes.contains("buffered"), "{found:#?}");
}
