//! HAProxy: as shipped, and with one thing wrong at a time.

use super::{Found, doctor, doctor_trusting, gateway, shipped, two_gateways};
use crate::support::{Authority, Front, Gateway};
use std::{fs, path::Path, process::Command};

fn haproxy(folder: &Path, text: &str) -> Command {
    fs::write(folder.join("haproxy.cfg"), text).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
    command
}

#[tokio::test]
async fn haproxy_as_shipped_is_in_order() {
    let (_redis, nodes) = two_gateways().await;
    let authority = Authority::new("Test Authority");
    let certified = authority.certify(&["localhost"]);
    let [first, second] = [0, 1].map(|index: usize| {
        let Gateway { listener, ingest, .. } = &nodes[index];
        [listener.to_string(), ingest.to_string()]
    });
    let front = Front::spawn(|folder, address| {
        fs::write(folder.join("own.pem"), certified.chain.clone() + &certified.key).unwrap();
        let own = folder.join("own.pem").display().to_string();
        let text = shipped(
            "haproxy.cfg",
            &[
                // What the limit of open files of a test allows.
                ("maxconn 65536", "maxconn 1000"),
                (":443 ", &format!("{address} ")),
                ("tls/paystream.pem", &own),
                ("gateway-1:8080", &first[0]),
                ("gateway-1:8081", &first[1]),
                ("gateway-2:8080", &second[0]),
                ("gateway-2:8081", &second[1]),
            ],
        );
        haproxy(folder, &text)
    })
    .await;
    let trusted = nodes[0].folder().join("authority.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let url = format!("https://localhost:{}", front.address.port());
    let found = doctor_trusting(&nodes[0], &url, &trusted, &[]).await;
    found.is_exactly(&[]);
    assert!(
        front.log().contains("/v1/payments/") && !front.log().contains("access_token"),
        "{}",
        front.log()
    );
}

/// What is found with these lines in the frontend, without TLS.
async fn with(heartbeat: &str, timeout: &str, lines: &str) -> Found {
    tuned(heartbeat, timeout, lines, 32768).await
}

async fn tuned(heartbeat: &str, timeout: &str, lines: &str, buffer: u32) -> Found {
    let gateway = gateway(heartbeat).await;
    let listener = gateway.listener;
    let front = Front::spawn(|folder, address| {
        let text = format!(
            "global\n    tune.bufsize {buffer}\ndefaults\n    mode http\n    timeout connect 1s\n    timeout client 75s\n    \
             timeout server {timeout}\nfrontend public\n    bind {address}\n    default_backend gateway\n{lines}\n\
             backend gateway\n    server gateway {listener}\n"
        );
        haproxy(folder, &text)
    })
    .await;
    doctor(&gateway, &format!("http://{}", front.address), &[]).await
}

#[tokio::test]
async fn a_cut_of_idle_connections_is_found() {
    let found = with("5s", "1s", "").await;
    found.is_exactly(&["idle_cut"]);
    // It names itself nowhere, so the directives of all are told.
    assert_eq!(found.report["proxies"], serde_json::json!([]));
    assert!(found.finding("idle_cut")["directives"]["HAProxy"].is_string(), "{found:?}");
}

#[tokio::test]
async fn an_answer_that_waits_for_its_body_is_found() {
    let found = with(
        "1s",
        "75s",
        "    http-response wait-for-body time 4s if { res.hdr(content-type) -m beg text/event-stream }",
    )
    .await;
    assert!(found.codes.contains("buffered") && found.exit == 1, "{found:#?}");
}

#[tokio::test]
async fn removed_headers_and_another_type_are_found() {
    with("1s", "75s", "    http-request del-header last-event-id").await.is_exactly(&["last_event_id"]);
    let typed = "    http-response set-header content-type text/plain";
    with("1s", "75s", typed).await.is_exactly(&["content_type"]);
    let cors = "    http-response del-header access-control-allow-origin\n    http-response del-header vary";
    let found = with("1s", "75s", cors).await;
    found.is_exactly(&["cors_answer", "cors_preflight"]);
    assert!(found.finding("cors_answer")["says"].as_str().unwrap().contains("Vary: Origin"), "{found:?}");
}

#[tokio::test]
async fn limits_of_heads_are_found_and_haproxy_is_known_by_its_own_pages() {
    let found = tuned("1s", "75s", "", 8192).await;
    found.is_exactly(&["long_header", "long_url"]);
    assert_eq!(found.report["proxies"], serde_json::json!(["HAProxy"]));
}
