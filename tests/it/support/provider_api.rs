//! A stand-in of a provider's API: it knows payments, keeps account of who asked, and does what it is told to. Dropping it
//! closes it.

use super::{Setup, Source, eventually};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

pub(crate) struct ProviderApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    folder: TempDir,
    server: JoinHandle<()>,
}

struct Shared {
    payments: Mutex<HashMap<String, Value>>,
    /// The token that it lets in beside the key, and how many it has given.
    tokens: Mutex<(String, u32)>,
    script: Mutex<VecDeque<Scripted>>,
    asked: Mutex<Vec<(Instant, String)>>,
    released: Semaphore,
}

/// What it does next, in place of a proper answer.
pub(crate) enum Scripted {
    /// Answers with a status, and with `Retry-After` if there is one.
    Status(u16, Option<u32>),
    /// Holds its answer back until it is released.
    Hold,
}

/// What the webhooks of its sources are secured with, and what it lets in.
const WEBHOOK_SECRET: &str = "5c1e9a7d3b2f48069e8d";
pub(crate) const API_KEY: &str = "live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM";

impl ProviderApi {
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared {
            payments: Mutex::default(),
            tokens: Mutex::default(),
            script: Mutex::default(),
            asked: Mutex::default(),
            released: Semaphore::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "the only client is the gateway under test")]
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("api.key"), API_KEY).unwrap();
        Self { address, shared, folder, server }
    }

    /// A source `mollie` of preset `mollie-classic` whose provider this is.
    pub(crate) fn source(&self) -> Source {
        self.source_of("mollie-classic")
    }

    /// The same, whose provider is asked once in so many milliseconds.
    pub(crate) fn source_with_spacing(&self, spacing_ms: u32) -> Source {
        let built_in = include_str!("../../../src/source/providers/mollie-classic.toml");
        let preset = built_in.replace("spacing_ms = 100", &format!("spacing_ms = {spacing_ms}"));
        assert_ne!(preset, built_in);
        let path = self.folder.path().join("spaced.toml");
        fs::write(&path, preset).unwrap();
        self.source_of(&path.display().to_string())
    }

    /// A source `mollie` of a preset, whose provider this is.
    pub(crate) fn source_of(&self, provider: &str) -> Source {
        let mut source = Source::new("mollie", provider, "default", WEBHOOK_SECRET);
        let key = self.folder.path().join("api.key");
        source.more =
            format!("[source.api]\nkey = \"file:{}\"\nurl = \"http://{}\"", key.display(), self.address);
        source
    }

    /// A setup with that source, and no other.
    pub(crate) fn setup(&self) -> Setup {
        Setup { sources: vec![self.source()], ..Setup::default() }
    }

    /// From now on the key is another one.
    pub(crate) fn set_key(&self, key: &str) {
        fs::write(self.folder.path().join("api.key"), key).unwrap();
    }

    /// From now on a payment of 10.00 EUR has this status …
    pub(crate) fn set(&self, payment: &str, status: &str) {
        self.set_with(payment, status, &json!({}));
    }

    /// … and these members besides.
    pub(crate) fn set_with(&self, payment: &str, status: &str, more: &Value) {
        let mut body = json!({
            "resource": "payment", "id": payment, "mode": "live", "status": status,
            "amount": { "value": "10.00", "currency": "EUR" },
            "amountRefunded": { "value": "0.00", "currency": "EUR" },
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.shared.payments.lock().unwrap().insert(payment.to_owned(), body);
    }

    /// What it does with the next requests.
    pub(crate) fn script(&self, next: impl IntoIterator<Item = Scripted>) {
        self.shared.script.lock().unwrap().extend(next);
    }

    /// Gives one answer that it has held back.
    pub(crate) fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// Which payments it was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().iter().map(|(_, payment)| payment.clone()).collect()
    }

    /// The times between those questions.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        let asked = self.shared.asked.lock().unwrap();
        asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }

    /// From now on it does not let the token in that it has given.
    pub(crate) fn revoke_token(&self) {
        self.shared.tokens.lock().unwrap().0.clear();
    }

    /// How many tokens it has given.
    pub(crate) fn tokens_given(&self) -> u32 {
        self.shared.tokens.lock().unwrap().1
    }

    /// Waits until it was asked so often.
    pub(crate) async fn until_asked(&self, times: usize) {
        eventually("the provider is asked", async || self.asked().len() >= times).await;
    }

    /// The address of the webhooks, as the provider was given it.
    pub(crate) fn webhook() -> String {
        format!("mollie?token={WEBHOOK_SECRET}")
    }
}

/// Gives a token to whoever has the key.
fn token(shared: &Shared, headers: &HeaderMap) -> Response {
    let basic = format!("Basic {}", STANDARD.encode(API_KEY));
    if headers.get(header::AUTHORIZATION).is_none_or(|value| *value != *basic) {
        return (StatusCode::UNAUTHORIZED, json!({ "error": "invalid_client" }).to_string()).into_response();
    }
    let mut tokens = shared.tokens.lock().unwrap();
    tokens.1 += 1;
    tokens.0 = format!("A21AA-{}", tokens.1);
    json!({ "access_token": tokens.0, "token_type": "Bearer", "expires_in": 32_400 })
        .to_string()
        .into_response()
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap) -> Response {
    if uri.path() == "/v1/oauth2/token" {
        return token(&shared, &headers);
    }
    let payment =
        ["/v2/payments/", "/v2/checkout/orders/"].iter().find_map(|path| uri.path().strip_prefix(path));
    let payment = payment.unwrap_or_default().to_owned();
    shared.asked.lock().unwrap().push((Instant::now(), payment.clone()));
    // As things stand now, however long it takes to say so.
    let known = shared.payments.lock().unwrap().get(&payment).cloned();
    let scripted = shared.script.lock().unwrap().pop_front();
    match scripted {
        Some(Scripted::Status(status, retry_after)) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
        Some(Scripted::Hold) => shared.released.acquire().await.unwrap().forget(),
        None => {}
    }
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = shared.tokens.lock().unwrap().0.clone();
    let is_known =
        key == format!("Bearer {API_KEY}") || !token.is_empty() && key == format!("Bearer {token}");
    match known {
        _ if !is_known => StatusCode::UNAUTHORIZED.into_response(),
        Some(body) => ([(header::CONTENT_TYPE, "application/hal+json")], body.to_string()).into_response(),
        None => (StatusCode::NOT_FOUND, json!({ "status": 404 }).to_string()).into_response(),
    }
}

impl Drop for ProviderApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}
