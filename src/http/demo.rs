//! The pages of the demo and the routes behind its buttons, on the public listener.
//!
//! The shop behind the buttons is a trait, because its implementation is above this room: it starts and restarts the whole
//! gateway.

use super::{
    pages::{self, CSS, HTML, JAVASCRIPT, Page, SVG},
    problem::Problem,
};
use crate::payment::{Currency, Name};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// The longest body of a button's request, in bytes. Each sends less than 100.
const MAX_BODY_BYTES: usize = 1024;

/// What the buttons of the demo do.
pub trait DemoShop: Send + Sync + 'static {
    /// Takes a new order. The webhooks of the named life begin at once.
    fn begin(&self, life: &str) -> Result<Order, DemoError>;
    /// Adds another life to a payment. Its webhooks begin when those of the earlier lives are done.
    fn go_on(&self, payment: &Name, life: &str) -> Result<Order, DemoError>;
    /// Returns the order of a payment with a new token.
    fn order(&self, payment: &Name) -> Result<Order, DemoError>;
    /// Restarts the gateway soon, after the request has been answered.
    fn restart(&self);
}

/// What a page needs to show an order and to watch its payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The id of the payment.
    pub payment: Name,
    /// A token for the stream of the payment. It expires.
    pub token: String,
    /// The number of the order, as the customer sees it.
    pub number: String,
    /// The price in minor units.
    pub amount: i64,
    /// The currency of `amount`.
    pub currency: Currency,
}

/// Why a button has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DemoError {
    /// The demo knows no life of that name.
    #[error("there is no such life")]
    UnknownLife,
    /// The payment is not of this demo, or so old that it was forgotten.
    #[error("there is no such payment")]
    UnknownPayment,
    /// The webhooks of too many lives are being sent.
    #[error("too many payments are in progress; wait until some are done")]
    Busy,
    /// The token could not be signed, which is a defect.
    #[error("no token could be signed")]
    Token,
}

/// The routes. They use no part of the gateway, so they stay the same when it is restarted.
pub fn routes(shop: Arc<dyn DemoShop>) -> Router {
    let buttons = Router::new()
        .route("/demo/payments", post(begin))
        .route("/demo/payments/{payment}/lives", post(go_on))
        .route("/demo/token", post(token))
        .route("/demo/restart", post(restart))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(shop);
    buttons.merge(pages::routes(&PAGES))
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
    State(shop): State<Arc<dyn DemoShop>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let LifeAsked { life } = read(&headers, &body)?;
    Ok((StatusCode::CREATED, shop.begin(&life)?).into_response())
}

async fn go_on(
    State(shop): State<Arc<dyn DemoShop>>,
    Path(payment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let LifeAsked { life } = read(&headers, &body)?;
    let payment: Name = payment.parse().map_err(|_| DemoError::UnknownPayment)?;
    Ok((StatusCode::ACCEPTED, shop.go_on(&payment, &life)?).into_response())
}

async fn token(
    State(shop): State<Arc<dyn DemoShop>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Order, Problem> {
    let PaymentAsked { payment } = read(&headers, &body)?;
    Ok(shop.order(&payment)?)
}

async fn restart(State(shop): State<Arc<dyn DemoShop>>, headers: HeaderMap) -> Result<Response, Problem> {
    check_json(&headers)?;
    shop.restart();
    Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "restarting": true }))).into_response())
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    check_json(headers)?;
    serde_json::from_slice(body).map_err(|error| Problem::bad_request("body", error.to_string()))
}

/// Refuses requests of other origins: a form cannot send JSON, and a script that does needs a CORS preflight, which fails.
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

impl From<DemoError> for Problem {
    fn from(error: DemoError) -> Self {
        let (status, reason) = match error {
            DemoError::UnknownLife => (StatusCode::BAD_REQUEST, "unknown_life"),
            DemoError::UnknownPayment => (StatusCode::NOT_FOUND, "unknown_payment"),
            DemoError::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            DemoError::Token => (StatusCode::INTERNAL_SERVER_ERROR, "token"),
        };
        Self::new(status, reason, error.to_string())
    }
}

/// A module of the client package, at the path by which `web-demo/paystream.js` finds it in the repository too.
macro_rules! client {
    ($name:literal) => {
        Page::new(
            concat!("/clients/js/src/", $name),
            JAVASCRIPT,
            include_str!(concat!("../../clients/js/src/", $name)),
        )
    };
}

/// The page and the files that it loads.
static PAGES: [Page; 14] = [
    Page::new("/", HTML, include_str!("../../web-demo/index.html")),
    Page::new("/demo/style.css", CSS, include_str!("../../web-demo/style.css")),
    Page::new("/demo/icon.svg", SVG, include_str!("../../web-demo/icon.svg")),
    Page::new("/demo/app.js", JAVASCRIPT, include_str!("../../web-demo/app.js")),
    Page::new("/demo/paystream.js", JAVASCRIPT, include_str!("../../web-demo/paystream.js")),
    Page::new("/demo/view.js", JAVASCRIPT, include_str!("../../web-demo/view.js")),
    Page::new("/demo/statuses.js", JAVASCRIPT, include_str!("../../web-demo/statuses.js")),
    Page::new("/demo/format.js", JAVASCRIPT, include_str!("../../web-demo/format.js")),
    client!("index.js"),
    client!("ledger.js"),
    client!("link.js"),
    client!("money.js"),
    client!("sse.js"),
    client!("watch.js"),
];

#[cfg(test)]
mod tests;
