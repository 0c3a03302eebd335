//! Apache: as shipped, and with one thing wrong at a time.

use super::{Found, doctor, doctor_trusting, gateway, shipped};
use crate::support::{Authority, Front};
use std::{fs, net::SocketAddr, path::Path, process::Command};

/// The modules, as Debian builds them.
const MODULES: [&str; 12] = [
    "mpm_event",
    "authz_core",
    "socache_shmcb",
    "ssl",
    "http2",
    "proxy",
    "proxy_http",
    "headers",
    "setenvif",
    "env",
    "deflate",
    "filter",
];

/// Apache with its own settings that Debian has elsewhere, and then these lines.
fn apache(folder: &Path, address: SocketAddr, lines: &str) -> Command {
    let modules: String = MODULES
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let shown = folder.display();
    let text = format!(
        "{modules}ServerRoot {shown}\nDefaultRuntimeDir {shown}\nPidFile {shown}/pid\nErrorLog {shown}/error.log\n\
         ServerName localhost\nUser www-data\nGroup www-data\nListen {address}\n{lines}\n"
    );
    fs::write(folder.join("apache.conf"), text).unwrap();
    let mut command = Command::new("apache2");
    command.arg("-f").arg(folder.join("apache.conf")).args(["-D", "FOREGROUND"]);
    command
}

#[tokio::test]
async fn apache_as_shipped_is_in_order() {
    let gateway = gateway("1s").await;
    let authority = Authority::new("Test Authority");
    let certified = authority.certify(&["localhost"]);
    let front = Front::spawn(|folder, address| {
        let [chain, key, log] = ["chain.pem", "key.pem", "access.log"].map(|name| folder.join(name));
        fs::write(&chain, &certified.chain).unwrap();
        fs::write(&key, &certified.key).unwrap();
        let text = shipped(
            "apache.conf",
            &[
                ("*:443", &address.to_string()),
                ("ServerName pay.shop.example", "ServerName localhost"),
                ("/var/log/apache2/paystream.log", &log.display().to_string()),
                ("/etc/paystream/tls/fullchain.pem", &chain.display().to_string()),
                ("/etc/paystream/tls/privkey.pem", &key.display().to_string()),
                ("gateway-1:8080", &gateway.listener.to_string()),
                ("gateway-1:8081", &gateway.ingest.to_string()),
            ],
        );
        apache(folder, address, &text)
    })
    .await;
    let trusted = gateway.folder().join("authority.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let url = format!("https://localhost:{}", front.address.port());
    let found = doctor_trusting(&gateway, &url, &trusted, &[]).await;
    found.is_exactly(&[]);
    assert_eq!(found.report["proxies"], serde_json::json!(["Apache"]));
}

/// What is found with these lines, without TLS.
async fn with(heartbeat: &str, limits: &str, lines: &str, parameters: &str) -> Found {
    let gateway = gateway(heartbeat).await;
    let listener = gateway.listener;
    let front = Front::spawn(|folder, address| {
        let text = format!("{limits}\n{lines}\nProxyPass / http://{listener}/ nocanon {parameters}\n");
        apache(folder, address, &text)
    })
    .await;
    doctor(&gateway, &format!("http://{}", front.address), &[]).await
}

const LIMITS: &str = "LimitRequestLine 16380\nLimitRequestFieldSize 16380";

#[tokio::test]
async fn limits_of_heads_are_found() {
    let found = with("1s", "", "", "").await;
    found.is_exactly(&["long_header", "long_url"]);
    let directives = &found.finding("long_header")["directives"];
    assert_eq!(directives["Apache"], "LimitRequestFieldSize 16380", "{found:?}");
}

#[tokio::test]
async fn a_cut_of_idle_connections_is_found() {
    with("5s", LIMITS, "", "timeout=1").await.is_exactly(&["idle_cut"]);
}

#[tokio::test]
async fn compression_is_found() {
    let found = with("1s", LIMITS, "AddOutputFilterByType DEFLATE text/event-stream", "").await;
    assert!(found.codes.contains("compressed"), "{found:#?}");
}

#[tokio::test]
async fn answers_in_http_1_0_are_found() {
    let found = with("1s", LIMITS, "SetEnvIf Request_URI . downgrade-1.0 force-response-1.0", "").await;
    assert!(found.codes.contains("http10"), "{found:#?}");
    let upstream = with("1s", LIMITS, "SetEnvIf Request_URI . force-proxy-request-1.0", "").await;
    assert!(upstream.codes.contains("http10_upstream"), "{upstream:#?}");
}

#[tokio::test]
async fn removed_headers_are_found() {
    with("1s", LIMITS, "RequestHeader unset Last-Event-ID", "").await.is_exactly(&["last_event_id"]);
    with("1s", LIMITS, "RequestHeader unset Authorization", "").await.is_exactly(&["authorization"]);
}
