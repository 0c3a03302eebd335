//! nginx: as shipped, and with one thing wrong at a time.

use super::{Found, doctor, doctor_trusting, gateway, two_gateways};
use crate::support::{Front, Gateway, Nginx, token};
use std::{fs, path::Path, process::Command};

/// nginx in front of a gateway, without TLS: with further lines for all servers, for this one, and for its location.
async fn nginx(gateway: &Gateway, http: &str, server: &str, location: &str) -> Front {
    let gateway = gateway.listener;
    Front::spawn(|folder, address| {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .collect();
        // What a location says itself comes in place of what is inherited.
        let text = format!(
            "events {{}}\nhttp {{\naccess_log off;\n{temporary}large_client_header_buffers 4 16k;\n\
             proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n{http}\n\
             upstream up {{ server {gateway}; keepalive 8; }}\n\
             server {{\nlisten {address};\n{server}\nlocation / {{\n{location}\n}}\n}}\n}}\n"
        );
        write(folder, &text)
    })
    .await
}

fn write(folder: &Path, text: &str) -> Command {
    fs::write(folder.join("nginx.conf"), text).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
    command.args(["-e", "stderr", "-g", "daemon off; pid nginx.pid; user root;"]);
    command
}

const PASS: &str = "proxy_pass http://up;";

/// What is found if the location has these lines besides.
async fn with(location: &str) -> Found {
    of("1s", "", "", &format!("{PASS}\n{location}"), &[]).await
}

async fn of(heartbeat: &str, http: &str, server: &str, location: &str, more: &[&str]) -> Found {
    let gateway = gateway(heartbeat).await;
    let nginx = nginx(&gateway, http, server, location).await;
    let found = doctor(&gateway, &format!("http://{}", nginx.address), more).await;
    if !found.codes.is_empty() {
        assert_eq!(found.report["proxies"], serde_json::json!(["nginx"]), "{:#}", found.report);
    }
    found
}

#[tokio::test]
async fn nginx_as_shipped_is_in_order() {
    let (_redis, nodes) = two_gateways().await;
    let nginx = Nginx::with([&nodes[0], &nodes[1]], &[]).await;
    let found = doctor_trusting(&nodes[0], &nginx.url(), &nginx.certificate(), &[]).await;
    // Its certificate, which is for trying things out, lasts for 30 days and has signed itself.
    found.is_exactly(&[]);
    assert_eq!((&found.report["http"], &found.report["tls"]), (&"HTTP/2.0".into(), &"TLS 1.3".into()));
}

#[tokio::test]
async fn nginx_with_what_matters_alone_is_in_order() {
    of("1s", "", "", PASS, &[]).await.is_exactly(&[]);
}

#[tokio::test]
async fn buffering_is_found() {
    let found =
        with("proxy_http_version 1.0; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;").await;
    assert!(found.codes.contains("buffered"), "{found:?}");
    assert_eq!(found.exit, 1);
    let finding = found.finding("buffered");
    assert!(finding["directives"]["nginx"].as_str().unwrap().contains("proxy_buffering off"), "{finding}");
    assert!(finding["says"].as_str().unwrap().contains("held back"), "{finding}");
}

#[tokio::test]
async fn heartbeats_in_lumps_are_found() {
    let buffers = "proxy_http_version 1.0; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering; proxy_buffer_size 1k; proxy_buffers 4 1k; \
                   proxy_busy_buffers_size 2k; postpone_output 0;";
    let found = of("200ms", "", "", &format!("{PASS}{buffers}"), &["--seconds", "20"]).await;
    assert!(found.codes.contains("lumps"), "{found:#?}");
}

#[tokio::test]
async fn compression_is_found() {
    let found = with("gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;").await;
    found.is_exactly(&["compressed"]);
}

#[tokio::test]
async fn a_cut_of_idle_connections_is_found() {
    let found = of("5s", "", "", &format!("{PASS} proxy_read_timeout 1s;"), &[]).await;
    found.is_exactly(&["idle_cut"]);
    let says = found.finding("idle_cut")["says"].as_str().unwrap();
    assert!(says.contains("after 1.") && says.contains("every 5.0 s"), "{says}");
}

#[tokio::test]
async fn a_cursor_that_does_not_arrive_is_found() {
    with("proxy_set_header Connection \"\"; proxy_set_header Last-Event-ID \"\";")
        .await
        .is_exactly(&["last_event_id"]);
}

#[tokio::test]
async fn a_query_that_does_not_arrive_is_found() {
    let found = of("1s", "", "", "proxy_pass http://up$uri;", &[]).await;
    found.is_exactly(&["last_event_id_query", "query_token"]);
}

#[tokio::test]
async fn tokens_that_do_not_arrive_and_logins_are_found() {
    with("proxy_set_header Connection \"\"; proxy_set_header Authorization \"\";")
        .await
        .is_exactly(&["authorization"]);
    let found = with("auth_basic \"staff only\"; auth_basic_user_file users;").await;
    found.is_exactly(&["login"]);
    assert!(found.finding("login")["says"].as_str().unwrap().contains("staff only"), "{found:?}");
}

#[tokio::test]
async fn a_token_that_the_proxy_adds_is_found() {
    let gateway = gateway("1s").await;
    let mine = token("default", &["pay_1"]);
    let adds =
        format!("{PASS} proxy_set_header Connection \"\"; proxy_set_header Authorization \"Bearer {mine}\";");
    let nginx = nginx(&gateway, "", "", &adds).await;
    let url = format!("http://{}", nginx.address);
    doctor(&gateway, &url, &["--payment", "pay_1"]).await.is_exactly(&["anonymous"]);
}

#[tokio::test]
async fn http_1_0_towards_the_gateway_is_found() {
    with("proxy_http_version 1.0;").await.is_exactly(&["http10_upstream"]);
}

#[tokio::test]
async fn connections_that_are_not_kept_and_bodies_without_an_end_are_found() {
    of("1s", "", "keepalive_timeout 0;", PASS, &[]).await.is_exactly(&["no_keepalive"]);
    let found = with("chunked_transfer_encoding off;").await;
    assert!(found.codes.contains("framing"), "{found:?}");
}

#[tokio::test]
async fn broken_cors_is_found() {
    with("proxy_hide_header Access-Control-Allow-Origin;")
        .await
        .is_exactly(&["cors_answer", "cors_preflight"]);
    with("add_header Access-Control-Allow-Origin * always;").await.is_exactly(&["cors_twice"]);
    let found = with("if ($request_method = OPTIONS) { return 405; }").await;
    found.is_exactly(&["cors_preflight"]);
    // The gateway itself refuses an origin that it does not list.
    let gateway = gateway("1s").await;
    let url = format!("http://{}", gateway.listener);
    let mut command = crate::support::paystream();
    command.args(["doctor", "--json", "--url", &url, "--origin", "https://other.example", "--config"]);
    command.arg(gateway.config_path());
    super::examine(command).await.is_exactly(&["cors_answer", "cors_preflight"]);
}

#[tokio::test]
async fn caches_are_found() {
    let cache = "proxy_cache_path cache keys_zone=zone:1m;";
    let caches = "proxy_cache zone; proxy_cache_key $uri; proxy_cache_valid 200 1m; proxy_ignore_headers Cache-Control; \
                  proxy_ignore_headers Vary; add_header X-Cache-Status $upstream_cache_status;";
    let found = of("1s", cache, "", &format!("{PASS}{caches}"), &[]).await;
    assert!(found.codes.is_superset(&["anonymous".to_owned()].into()), "{found:#?}");
    let rewritten = "proxy_hide_header Cache-Control; add_header Cache-Control \"public, max-age=60\";";
    with(rewritten).await.is_exactly(&["cache"]);
}

#[tokio::test]
async fn lost_entity_tags_are_found() {
    with("proxy_set_header Connection \"\"; proxy_set_header If-None-Match \"\";")
        .await
        .is_exactly(&["etag"]);
    with("proxy_hide_header ETag;").await.is_exactly(&["etag"]);
}

#[tokio::test]
async fn limits_of_heads_are_found() {
    let found = of("1s", "", "large_client_header_buffers 4 8k;", PASS, &[]).await;
    found.is_exactly(&["long_header", "long_url"]);
}

#[tokio::test]
async fn a_redirect_is_found_and_followed_by_nobody() {
    let found = of("1s", "", "", "return 301 https://pay.shop.example$request_uri;", &[]).await;
    found.is_exactly(&["redirect"]);
    let says = found.finding("redirect")["says"].as_str().unwrap();
    assert!(says.contains("https://pay.shop.example/v1/payments/"), "{says}");
}
