//! Certificates and versions of TLS.

use super::{Found, doctor_trusting, gateway};
use crate::support::{Authority, Certified, Front, Gateway, Nginx};
use std::{fs, process::Command};

/// nginx with TLS: this certificate, and these further lines.
async fn nginx(gateway: &Gateway, certified: &Certified, listen: &str, lines: &str) -> Front {
    let gateway = gateway.listener;
    Front::spawn(|folder, address| {
        fs::write(folder.join("chain.pem"), &certified.chain).unwrap();
        fs::write(folder.join("key.pem"), &certified.key).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {kind};\n"))
            .collect();
        let text = format!(
            "events {{}}\nhttp {{\naccess_log off;\n{temporary}large_client_header_buffers 4 16k;\n\
             ssl_certificate chain.pem;\nssl_certificate_key key.pem;\n{lines}\n\
             server {{\nlisten {address} {listen};\nlocation / {{\nproxy_pass http://{gateway};\n\
             proxy_http_version 1.1;\nproxy_set_header Connection \"\";\n}}\n}}\n}}\n"
        );
        fs::write(folder.join("nginx.conf"), text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).arg("-c").arg(folder.join("nginx.conf"));
        command.args(["-e", "stderr", "-g", "daemon off; pid nginx.pid; user root;"]);
        command
    })
    .await
}

const HTTP_2: &str = "ssl http2";

/// What is found with this certificate, by a client that trusts the authority.
async fn of(authority: &Authority, certified: &Certified, listen: &str, lines: &str) -> Found {
    let gateway = gateway("1s").await;
    let nginx = nginx(&gateway, certified, listen, lines).await;
    let trusted = gateway.folder().join("authority.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let url = format!("https://localhost:{}", nginx.address.port());
    doctor_trusting(&gateway, &url, &trusted, &[]).await
}

#[tokio::test]
async fn certificates_that_browsers_refuse_are_found_and_no_token_is_sent() {
    let authority = Authority::new("Test Authority");
    let stranger = Authority::new("Stranger");
    for (certified, expected, words) in [
        (authority.certify(&["pay.other.example"]), "certificate_name", "it is for pay.other.example"),
        (authority.certify_between(&["localhost"], -30, -2), "certificate_time", "expired on"),
        (authority.certify_between(&["localhost"], 2, 30), "certificate_time", "not valid before"),
        (stranger.certify(&["localhost"]), "certificate_chain", "no intermediate certificate"),
    ] {
        let gateway = gateway("1s").await;
        let nginx = nginx(&gateway, &certified, HTTP_2, "").await;
        let trusted = gateway.folder().join("authority.pem");
        fs::write(&trusted, &authority.pem).unwrap();
        let url = format!("https://localhost:{}", nginx.address.port());
        let found = doctor_trusting(&gateway, &url, &trusted, &[]).await;
        found.is_exactly(&[expected]);
        assert!(found.finding(expected)["says"].as_str().unwrap().contains(words), "{found:?}");
        assert_eq!(found.report["http"], serde_json::Value::Null, "nothing is sent after the handshake");
    }
}

#[tokio::test]
async fn several_faults_of_a_certificate_are_all_told() {
    let authority = Authority::new("Test Authority");
    let certified = authority.certify_between(&["pay.other.example"], -30, -2);
    of(&authority, &certified, HTTP_2, "").await.is_exactly(&["certificate_name", "certificate_time"]);
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_found_and_all_else_is_tried() {
    let authority = Authority::new("Test Authority");
    let found = of(&authority, &authority.certify_between(&["localhost"], -80, 10), HTTP_2, "").await;
    found.is_exactly(&["certificate_expires_soon"]);
    assert_eq!(found.report["http"], "HTTP/2.0");
}

#[tokio::test]
async fn tls_without_http_2_is_found() {
    let authority = Authority::new("Test Authority");
    of(&authority, &authority.certify(&["localhost"]), "ssl", "").await.is_exactly(&["no_http2"]);
}

#[tokio::test]
async fn versions_of_tls_that_are_forbidden_are_found() {
    let authority = Authority::new("Test Authority");
    let certified = authority.certify(&["localhost"]);
    let also = "ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3; ssl_ciphers ALL:@SECLEVEL=0;";
    let found = of(&authority, &certified, HTTP_2, also).await;
    found.is_exactly(&["old_tls"]);
    assert!(found.finding("old_tls")["says"].as_str().unwrap().contains("still accepts"), "{found:?}");
    let alone = "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;";
    let found = of(&authority, &certified, HTTP_2, alone).await;
    found.is_exactly(&["old_tls"]);
    assert!(found.finding("old_tls")["says"].as_str().unwrap().contains("nothing newer"), "{found:?}");
}

/// The gateway's own TLS, without a proxy.
#[tokio::test]
async fn the_gateways_own_tls_is_in_order() {
    let authority = Authority::new("Test Authority");
    let folder = tempfile::TempDir::new().unwrap();
    let lines = authority.certify(&["localhost"]).write(folder.path(), "own");
    let setup = crate::support::Setup {
        store: crate::support::Store::Embedded,
        tls: format!("listeners = [\"public\"]\n{lines}"),
        ..crate::support::Setup::stream("heartbeat = \"1s\"")
    };
    let gateway = Gateway::with(setup).await;
    let trusted = folder.path().join("authority.pem");
    fs::write(&trusted, &authority.pem).unwrap();
    let url = format!("https://localhost:{}", gateway.listener.port());
    doctor_trusting(&gateway, &url, &trusted, &[]).await.is_exactly(&[]);
}

/// What speaks no TLS at all could not be tried.
#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_so() {
    let gateway = gateway("1s").await;
    let url = format!("https://localhost:{}", gateway.listener.port());
    let trusted = gateway.folder().join("authority.pem");
    fs::write(&trusted, Authority::new("Test Authority").pem).unwrap();
    let found = doctor_trusting(&gateway, &url, &trusted, &[]).await;
    assert_eq!(found.exit, 2, "{found:?}");
    assert!(found.report["untried"].to_string().contains("handshake of TLS"), "{found:?}");
}

/// The shipped certificate for trying things out has signed itself, and nobody trusts it by default.
#[tokio::test]
async fn a_certificate_that_has_signed_itself_is_found() {
    let gateway = gateway("1s").await;
    let nginx = Nginx::with([&gateway, &gateway], &[]).await;
    let other = gateway.folder().join("authority.pem");
    fs::write(&other, Authority::new("Test Authority").pem).unwrap();
    let found = doctor_trusting(&gateway, &nginx.url(), &other, &[]).await;
    found.is_exactly(&["certificate_chain"]);
    assert!(
        found.finding("certificate_chain")["says"].as_str().unwrap().contains("signed itself"),
        "{found:?}"
    );
}
