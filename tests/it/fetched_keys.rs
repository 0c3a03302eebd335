//! Keys that are fetched from their provider, over the gateway's reloads.

use crate::support::{Gateway, Setup, Source, eventually, header, now_s};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::{Json, Router, routing::post};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

/// Plaid with one key, whichever it is asked for. Dropping it closes it.
struct Plaid {
    pair: EcdsaKeyPair,
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    folder: TempDir,
    server: JoinHandle<()>,
}

impl Plaid {
    async fn start() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let answer = async move |Json(question): Json<Value>| {
            counted.fetch_add(1, Ordering::Relaxed);
            Json(json!({ "key": { "kid": question["key_id"], "x": x, "y": y, "expired_at": null } }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/webhook_verification_key/get", post(answer));
        #[expect(clippy::disallowed_methods, reason = "the only client is the gateway under test")]
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let plaid = Self { pair, address, asked, folder: TempDir::new().unwrap(), server };
        plaid.give("client", "client-5f0c");
        plaid.give("secret", "sandbox-77aa0c5b1e9d");
        plaid
    }

    /// What the gateway asks with.
    fn give(&self, name: &str, credential: &str) {
        fs::write(self.folder.path().join(name), credential).unwrap();
    }

    /// A gateway's only source.
    fn setup(&self) -> Setup {
        let [client, secret] = ["client", "secret"].map(|name| self.folder.path().join(name));
        let mut source = Source::new("plaid", "plaid", "default", "");
        source.secrets.clear();
        source.more = format!(
            "[source.api]\nclient_id = \"file:{}\"\nkey = \"file:{}\"\nurl = \"http://{}\"",
            client.display(),
            secret.display(),
            self.address
        );
        Setup { sources: vec![source], ..Setup::default() }
    }

    /// Posts a webhook that is new, and expects the acknowledgement.
    async fn accepted(&self, gateway: &Gateway, payment: &str) {
        let body = json!({
            "webhook_type": "PAYMENT_INITIATION", "webhook_code": "PAYMENT_STATUS_UPDATE", "payment_id": payment,
            "new_payment_status": "PAYMENT_STATUS_EXECUTED", "timestamp": "2026-09-21T14:13:20Z",
        })
        .to_string();
        let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let claims = json!({ "iat": now_s(), "request_body_sha256": hex::encode(Sha256::digest(&body)) });
        let signed = format!("{}.{}", part(json!({ "alg": "ES256", "kid": "k1" })), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        let answer =
            gateway.post_raw("plaid", &[header("plaid-verification", &token)], body.as_bytes()).await;
        assert_eq!((answer.head.status, &answer.json()["outcome"]), (200, &json!("accepted")));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Plaid {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Reloads, and waits for these words in the log.
async fn reload(gateway: &Gateway, words: &str) {
    let said = || gateway.log().matches(words).count();
    let before = said();
    gateway.hang_up();
    eventually(words, async || said() > before).await;
}

#[tokio::test]
async fn a_reload_asks_for_no_key_that_is_held_unless_as_another_client() {
    let plaid = Plaid::start().await;
    let gateway = Gateway::with(plaid.setup()).await;
    plaid.accepted(&gateway, "pay_1").await;
    reload(&gateway, "configuration reloaded").await;
    plaid.accepted(&gateway, "pay_2").await;
    assert_eq!(plaid.asked(), 1);
    plaid.give("secret", "sandbox-0b1e9d77aa0c");
    reload(&gateway, "configuration reloaded").await;
    plaid.accepted(&gateway, "pay_3").await;
    assert_eq!(plaid.asked(), 2);
}

#[tokio::test]
async fn a_machine_that_lacks_roots_is_told_of_and_needs_no_restart_once_it_has_them() {
    let plaid = Plaid::start().await;
    let roots = plaid.folder.path().join("roots.pem");
    let lose = || fs::write(&roots, "").unwrap();
    let find = || {
        let root = CertificateParams::new(Vec::new()).unwrap().self_signed(&KeyPair::generate().unwrap());
        fs::write(&roots, root.unwrap().pem()).unwrap();
    };
    find();
    // Those of this machine, wherever it has them, are not to count.
    let env = [("SSL_CERT_FILE", roots.as_path()), ("SSL_CERT_DIR", Path::new(""))];
    let gateway = Gateway::with_env(plaid.setup(), &env).await;
    plaid.accepted(&gateway, "pay_1").await;
    lose();
    reload(&gateway, "configuration not reloaded, the old one stays").await;
    assert!(gateway.log().contains("keys cannot be fetched"), "{}", gateway.log());
    plaid.accepted(&gateway, "pay_2").await;
    find();
    reload(&gateway, "configuration reloaded").await;
    plaid.accepted(&gateway, "pay_3").await;
    assert_eq!(plaid.asked(), 1);
}
