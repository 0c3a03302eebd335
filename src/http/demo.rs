//! The demo's pages and the few routes that its buttons press, on the public listener.
//!
//! The shop behind the buttons is a trait, since it stands above this room: it starts and restarts the whole gateway.

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

/// More than any button sends.
const MAX_BODY_BYTES: usize = 1024;

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

/// The page and what it loads.
static PAGES: [Page; 8] = [
    Page::new("/", HTML, include_str!("../../web-demo/index.html")),
    Page::new("/demo/style.css", CSS, include_str!("../../web-demo/style.css")),
    Page::new("/demo/icon.svg", SVG, include_str!("../../web-demo/icon.svg")),
    Page::new("/demo/app.js", JAVASCRIPT, include_str!("../../web-demo/app.js")),
    Page::new("/demo/paystream.js", JAVASCRIPT, include_str!("../../web-demo/paystream.js")),
    Page::new("/demo/view.js", JAVASCRIPT, include_str!("../../web-demo/view.js")),
    Page::new("/demo/statuses.js", JAVASCRIPT, include_str!("../../web-demo/statuses.js")),
    Page::new("/demo/format.js", JAVASCRIPT, include_str!("../../web-demo/format.js")),
];

#[cfg(test)]
mod tests;
