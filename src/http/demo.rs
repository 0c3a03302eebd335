//! The demo's pages and the few routes that its buttons press, on the public listener.
//!
//! The pages are part of the program and need nothing from elsewhere, which their security policy enforces. The shop
//! behind the buttons is a trait, since it stands above this room: it starts and restarts the whole gateway.

use super::problem::Problem;
use crate::payment::{Currency, Name};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// More than any button sends.
const MAX_BODY_BYTES: usize = 1024;

/// A page that could load anything from elsewhere would not be a demo of this program alone.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The shop behind the buttons.
pub trait Shop: Send + Sync + 'static {
    /// Takes an order; its payment begins to live at once.
    fn begin(&self, life: &str) -> Result<Order, Refusal>;
    /// Lets a payment live on, once its present life is over.
    fn go_on(&self, payment: &Name, life: &str) -> Result<Order, Refusal>;
    /// The order again, with a fresh token.
    fn order(&self, payment: &Name) -> Result<Order, Refusal>;
    /// Restarts the gateway in a moment.
    fn restart(&self);
}

/// What a page has to know of an order in order to watch its payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The payment's id.
    pub payment: Name,
    /// Opens the payment's stream, for a while.
    pub token: String,
    /// The order's number, as the customer sees it.
    pub number: String,
    /// In minor units.
    pub amount: i64,
    /// Of `amount`.
    pub currency: Currency,
}

/// Why a button does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The demo plays no life of that name.
    #[error("there is no such life")]
    UnknownLife,
    /// Not of this demo, or so old that it was forgotten.
    #[error("there is no such payment")]
    UnknownPayment,
    /// Too many lives at once.
    #[error("too many payments are alive; wait until some are over")]
    Busy,
    /// A defect of ours.
    #[error("no token could be signed")]
    Token,
}

/// The routes, which need nothing of the gateway: they stay the same when it is restarted.
pub fn routes(shop: Arc<dyn Shop>) -> Router {
    let buttons = Router::new()
        .route("/demo/payments", post(begin))
        .route("/demo/payments/{payment}/lives", post(go_on))
        .route("/demo/token", post(token))
        .route("/demo/restart", post(restart))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shop);
    PAGES.iter().fold(buttons, |router, page| {
        let tag = page.tag();
        router.route(page.path, get(move |headers: HeaderMap| async move { page.answer(&tag, &headers) }))
    })
}

#[derive(Deserialize)]
struct LifeAsked {
    life: String,
}

#[derive(Deserialize)]
struct PaymentAsked {
    payment: Name,
}

async fn begin(
    State(shop): State<Arc<dyn Shop>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let LifeAsked { life } = read(&headers, &body)?;
    Ok((StatusCode::CREATED, shop.begin(&life)?).into_response())
}

async fn go_on(
    State(shop): State<Arc<dyn Shop>>,
    Path(payment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let LifeAsked { life } = read(&headers, &body)?;
    let payment: Name = payment.parse().map_err(|_| Refusal::UnknownPayment)?;
    Ok((StatusCode::ACCEPTED, shop.go_on(&payment, &life)?).into_response())
}

async fn token(State(shop): State<Arc<dyn Shop>>, headers: HeaderMap, body: Bytes) -> Result<Order, Problem> {
    let PaymentAsked { payment } = read(&headers, &body)?;
    Ok(shop.order(&payment)?)
}

async fn restart(State(shop): State<Arc<dyn Shop>>, headers: HeaderMap) -> Result<Response, Problem> {
    check_json(&headers)?;
    shop.restart();
    Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "restarting": true }))).into_response())
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    check_json(headers)?;
    serde_json::from_slice(body).map_err(|error| Problem::bad_request("body", error.to_string()))
}

/// A form on a foreign page can post, but not JSON; a foreign script that tries has to ask first, and is refused.
fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    let refusal = || Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", "send application/json");
    is_json.then_some(()).ok_or_else(refusal)
}

impl IntoResponse for Order {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            payment: &'a Name,
            token: &'a str,
            events_url: String,
            order: &'a str,
            amount: i64,
            currency: Currency,
        }
        let events_url = format!("/v1/payments/{}/events", self.payment);
        let Self { payment, token, number, amount, currency } = &self;
        let body = Body { payment, token, events_url, order: number, amount: *amount, currency: *currency };
        ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, reason) = match refusal {
            Refusal::UnknownLife => (StatusCode::BAD_REQUEST, "unknown_life"),
            Refusal::UnknownPayment => (StatusCode::NOT_FOUND, "unknown_payment"),
            Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            Refusal::Token => (StatusCode::INTERNAL_SERVER_ERROR, "token"),
        };
        Self::new(status, reason, refusal.to_string())
    }
}

/// A file of the page, as it is in the source tree.
struct Page {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! page {
    ($path:literal, $file:literal, $content_type:literal) => {
        Page {
            path: $path,
            content_type: $content_type,
            text: include_str!(concat!("../../web-demo/", $file)),
        }
    };
}

static PAGES: [Page; 8] = [
    page!("/", "index.html", "text/html; charset=utf-8"),
    page!("/demo/style.css", "style.css", "text/css; charset=utf-8"),
    page!("/demo/icon.svg", "icon.svg", "image/svg+xml"),
    page!("/demo/app.js", "app.js", "text/javascript; charset=utf-8"),
    page!("/demo/paystream.js", "paystream.js", "text/javascript; charset=utf-8"),
    page!("/demo/view.js", "view.js", "text/javascript; charset=utf-8"),
    page!("/demo/statuses.js", "statuses.js", "text/javascript; charset=utf-8"),
    page!("/demo/format.js", "format.js", "text/javascript; charset=utf-8"),
];

impl Page {
    /// The `ETag`: the text's hash, so that a newer program's page is never mixed with an older one's scripts.
    fn tag(&self) -> String {
        format!("\"{}\"", hex::encode(Sha256::digest(self.text)))
    }

    fn answer(&self, tag: &str, headers: &HeaderMap) -> Response {
        let common = [
            (header::ETAG, HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"\""))),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ];
        if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(header::CONTENT_TYPE, self.content_type)], self.text).into_response()
    }
}

#[cfg(test)]
mod tests;
