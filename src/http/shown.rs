//! `POST /v1/payments/{payment}/shown`: a page says which entry of the payment's log it has shown, for the payment's receipt.
//!
//! Made for `navigator.sendBeacon`, which a page can call while it is being closed: any content type is taken, so that browsers ask for no
//! leave first, and the token may stand in the address. Nothing but a line of the receipt comes of it. The order of the checks is that of
//! the other routes under `/v1`; then come how often the token has said something, and the body.

use super::{
    asked::{self, Asked},
    pace::TooOften,
    problem::Problem,
    public::{PaymentId, Public, RETRY_AFTER, counted, text},
};
use crate::{
    limits::LimitHit,
    stream::{Shown, ShownAnswer},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
    routing::post,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The longest body, in bytes.
const BODY_BYTES: usize = 256;

/// How long the body may take to arrive. It comes with the head.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// What the page says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// The last entry that it has shown.
    seq: u64,
}

/// The route.
pub(super) fn routes() -> Router<Public> {
    Router::new().route("/payments/{payment}/shown", post(shown))
}

async fn shown(State(api): State<Public>, payment: PaymentId, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let asked = Asked::from(head);
    let grant = api.admit(&asked)?;
    let subject = api.subject(&grant, asked::payment(&text(payment))?)?;
    if !is_by_own_page(&api, &asked) {
        let detail = "the token is a cookie, and the page is of an origin that access.cors does not list";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
    }
    let (holders, _) = counted(&asked, &grant);
    if let Err(TooOften(wait)) = api.pace.admit(holders.token.or(holders.peer), Instant::now()) {
        api.metrics.limit_hits.count(LimitHit::Acknowledgements);
        let detail = "the token has said too often what was shown; the newest entry is enough";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_acknowledgements", detail);
        return Err(problem.with_retry_after(wait));
    }
    let Said { seq } = read(body).await?;
    match api.streams.shown(Shown { subject, seq, holders, reader: grant.subject }).await {
        ShownAnswer::Noted => {
            Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response())
        }
        ShownAnswer::NoSuchEntry => {
            let detail = "the payment's log has no such entry, so no page has shown it";
            Err(Problem::bad_request("unknown_entry", detail))
        }
        ShownAnswer::Unavailable => {
            let detail = "the store does not answer; try again";
            Err(Problem::unavailable("store_unavailable", detail, RETRY_AFTER))
        }
    }
}

async fn read(body: Body) -> Result<Said, Problem> {
    let refused = |detail: &'static str| Problem::bad_request("bad_acknowledgement", detail);
    let body = timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES).collect()).await;
    let body = body.map_err(|_| refused("the body did not arrive in time"))?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = "the body is longer than 256 bytes; it is {\"seq\":5} and no more";
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "bad_acknowledgement", detail);
        }
        refused("the body broke off")
    })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|_| {
        refused("the body is not understood; it is the number of the entry that was shown: {\"seq\":5}")
    })
}

/// Whether the request may come from a page that the cookie with the token is meant for. A browser adds a cookie to the requests of any page, so
/// such a page must be of the gateway's own host or of an origin on the list. Who has another carrier knows the token.
fn is_by_own_page(api: &Public, asked: &Asked) -> bool {
    let Some(origin) = asked.headers.get(header::ORIGIN) else { return true };
    let knows_token = asked.headers.contains_key(header::AUTHORIZATION)
        || asked.parameters("access_token").next().is_some();
    if knows_token || api.access.lists(origin) {
        return true;
    }
    let uri: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
    let host =
        asked.headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| asked.authority());
    let authority = uri.as_ref().and_then(Uri::authority).map(Authority::as_str);
    authority.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
}
