//! Certificates of clients: on the listeners of webhooks and of operators.

use super::{NAME, Secure, run};
use crate::support::{
    Authority, GENERIC_SECRET, Gateway, Setup, eventually, generic, now_s, paystream, tls_bridge,
};
use load::{
    http::{Response, request},
    sign,
};
use rustls::ClientConfig;
use std::{fs, net::SocketAddr};
use tempfile::TempDir;

/// A gateway whose listener `of` wants clients of an authority of their own.
async fn mutual(of: &str, operators: &Authority) -> Secure {
    let (authority, files) = (Authority::new("Test Authority"), TempDir::new().unwrap());
    let ca = files.path().join("ca.pem");
    fs::write(&ca, &operators.pem).unwrap();
    let tls = format!(
        "listeners = [\"public\", \"{of}\"]\n{of}_client_ca = \"{}\"\n{}",
        ca.display(),
        authority.certify(&[NAME, "localhost"]).write(files.path(), "own")
    );
    let gateway = Gateway::unready(Setup { tls, ..Setup::default() }).await;
    Secure { gateway, authority, files }
}

async fn get(address: SocketAddr, client: ClientConfig, path: &str) -> Option<Response> {
    let bridge = tls_bridge(address, client, NAME).await;
    request(bridge, "GET", path, &[], b"").await.ok()
}

#[tokio::test]
async fn webhooks_need_a_certificate_of_the_providers_authority_and_their_signature() {
    let providers = Authority::new("Providers");
    let secure = mutual("ingest", &providers).await;
    let own = providers.certify_client();
    let client = |own| secure.authority.client(&["http/1.1"], own);
    let body = generic("e1", "confirmed", "pay_1", now_s()).to_string().into_bytes();
    let signed = sign::generic(GENERIC_SECRET, &body);
    let post = async |client, signed: &[(String, String)]| {
        let bridge = tls_bridge(secure.gateway.ingest, client, NAME).await;
        request(bridge, "POST", "/webhooks/acme", signed, &body).await.ok().map(|answer| answer.head.status)
    };
    eventually("it listens", async || post(client(Some(&own)), &[]).await == Some(401)).await;
    assert_eq!(post(client(None), &signed).await, None, "no certificate");
    let stranger = Authority::new("Strangers").certify_client();
    assert_eq!(post(client(Some(&stranger)), &signed).await, None, "another authority's");
    let server = providers.certify(&["client.test"]);
    assert_eq!(post(client(Some(&server)), &signed).await, None, "a server's certificate");
    assert_eq!(post(client(Some(&own)), &signed).await, Some(200));
    assert!(secure.handshakes("failed").await > 2.5);
}

#[tokio::test]
async fn the_admin_listener_lets_only_operators_in() {
    let operators = Authority::new("Operators");
    let secure = mutual("admin", &operators).await;
    let own = operators.certify_client();
    let client = |own| secure.authority.client(&["http/1.1"], own);
    let admin = secure.gateway.admin;
    eventually("it is ready", async || {
        get(admin, client(Some(&own)), "/readyz").await.is_some_and(|answer| answer.head.status == 200)
    })
    .await;
    assert!(get(admin, client(None), "/metrics").await.is_none());
    // A session of a listener that asks for nothing does not count here, although the client offers its ticket.
    let visitor = client(None);
    assert_eq!(
        get(secure.gateway.listener, visitor.clone(), "/v1/payments/pay_1").await.unwrap().head.status,
        401
    );
    assert!(get(admin, visitor, "/metrics").await.is_none());
}

/// The commands of operators present the certificate that the environment names.
#[tokio::test]
async fn the_commands_of_operators_have_a_certificate() {
    let operators = Authority::new("Operators");
    let secure = mutual("admin", &operators).await;
    let own = operators.certify_client();
    let at = |name: &str| secure.files.path().join(name);
    fs::write(at("trusted.pem"), &secure.authority.pem).unwrap();
    fs::write(at("operator.pem"), own.chain + &own.key).unwrap();
    let url = format!("https://localhost:{}", secure.gateway.admin.port());
    let erase = async |certificate: Option<&str>, url: Option<&str>| {
        let mut command = paystream();
        command.args(["erase", "--payment", "pay_1", "--config"]).arg(secure.gateway.config_path());
        command.env("SSL_CERT_FILE", at("trusted.pem"));
        if let Some(certificate) = certificate {
            command.env("PAYSTREAM_CLIENT_CERTIFICATE", at(certificate));
        }
        run(command.args(url.iter().flat_map(|url| ["--url", url])), "").await
    };
    eventually("it answers", async || {
        erase(Some("operator.pem"), Some(&url)).await.contains("nothing is known of payment pay_1")
    })
    .await;
    let said = erase(None, Some(&url)).await;
    assert!(said.contains("does not answer"), "{said}");
    let said = erase(Some("trusted.pem"), Some(&url)).await;
    assert!(said.contains("no file in PEM with a certificate and its key"), "{said}");
    let said = erase(Some("operator.pem"), None).await;
    assert!(
        said.contains("the listener speaks TLS; give its URL with the host of its certificate"),
        "{said}"
    );
}

/// Tickets that were given for an authority which no longer counts do not count either.
#[tokio::test]
async fn a_session_does_not_outlive_the_authority_of_its_client() {
    let (before, after) = (Authority::new("Before"), Authority::new("After"));
    let secure = mutual("admin", &before).await;
    let (old, new) = (before.certify_client(), after.certify_client());
    let client = |own| secure.authority.client(&["http/1.1"], Some(own));
    let (old, admin) = (client(&old), secure.gateway.admin);
    let is_let_in = async |client: &ClientConfig| get(admin, client.clone(), "/readyz").await.is_some();
    eventually("it is ready", async || is_let_in(&old).await).await;
    fs::write(secure.files.path().join("ca.pem"), &after.pem).unwrap();
    let new = client(&new);
    eventually("the new authority counts", async || is_let_in(&new).await).await;
    assert!(!is_let_in(&old).await);
}
