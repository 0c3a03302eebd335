//! `/v1/payments` and `/v1/payments/events`: all payments of the token's realm, a page at a time or as a stream.
//!
//! Only a token for all payments opens them. A parameter that is not known, or whose value is not understood, is refused with what is
//! allowed, since a filter that were ignored would show payments that nobody asked for.

use super::{
    asked::Asked,
    parameters::{self, TIME, one, several},
    problem::Problem,
    public::{Public, RETRY_AFTER, counted, event_stream, not_acceptable},
};
use crate::{
    access::{Grant, Payments},
    hub::{Filter, PagePlace},
    metrics::RefusalReason,
    payment::{Status, Time},
    stream::OpenRealm,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::str::FromStr;

/// Payments of a page if the request does not say how many.
const PAGE: usize = 100;

/// The most payments of a page.
const MAX_PAGE: usize = 500;

/// The parameters that both routes know.
const PARAMETERS: [&str; 9] = [
    "status",
    "provider",
    "source",
    "currency",
    "amount_min",
    "amount_max",
    "first_seen_from",
    "first_seen_to",
    "limit",
];

/// What is allowed as a name and an amount.
const WORD: &str = "a name of 1 to 64 printable ASCII characters";
const AMOUNT: &str = "a whole number of minor units, 0 or more";

/// The routes below `/v1`.
pub(super) fn routes() -> Router<Public> {
    Router::new().route("/payments", get(page)).route("/payments/events", get(events))
}

async fn page(State(api): State<Public>, request: Request) -> Response {
    let asked = Asked::from(request.into_parts().0);
    page_of(&api, &asked).await.into_response()
}

async fn page_of(api: &Public, asked: &Asked) -> Result<Response, Problem> {
    let grant = admit(api, asked)?;
    known_only(asked, &["before"])?;
    let (filter, limit) = (filter(asked)?, limit(asked)?);
    let before = one(asked, "before", "the `next` of an earlier answer", PagePlace::from_str)?;
    has_list(api)?;
    let page = api.streams.realm_page(&grant.realm, &filter, before.as_ref(), limit).await;
    let page = page.ok_or_else(|| {
        Problem::unavailable("store_unavailable", "the store does not answer; try again", RETRY_AFTER)
    })?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, page).into_response())
}

async fn events(State(api): State<Public>, request: Request) -> Response {
    let asked = Asked::from(request.into_parts().0);
    events_of(&api, &asked).await.into_response()
}

async fn events_of(api: &Public, asked: &Asked) -> Result<Response, Problem> {
    let grant = admit(api, asked)?;
    known_only(asked, &["heartbeat", "last_event_id", "lastEventId"])?;
    let (filter, limit) = (filter(asked)?, limit(asked)?);
    let heartbeat_events = asked.flag("heartbeat", "event")?;
    has_list(api)?;
    if !asked.takes_events() {
        return Err(not_acceptable("/v1/payments is the same as JSON"));
    }
    if asked.method == Method::HEAD {
        return Ok(event_stream(Body::empty()));
    }
    let (holders, has_room) = counted(asked, &grant);
    let open = OpenRealm {
        realm: grant.realm.clone(),
        filter,
        page: limit,
        holders,
        has_room,
        cursor: asked.cursor(),
        heartbeat_events,
        expires_at: grant.expires_at,
        stands: Some(api.stands(asked, &grant)),
        subject: grant.subject.clone(),
    };
    Ok(event_stream(Body::new(api.streams.open_realm(open).await)))
}

/// Admits a token for all payments.
fn admit(api: &Public, asked: &Asked) -> Result<Grant, Problem> {
    let grant = api.admit(asked)?;
    if grant.payments == Payments::All {
        return Ok(grant);
    }
    api.metrics.refusals.count(RefusalReason::Forbidden);
    let detail = "the token names payments; all payments of a realm need one whose `payments` is [\"*\"]";
    Err(Problem::new(StatusCode::FORBIDDEN, "needs_all_payments", detail))
}

fn has_list(api: &Public) -> Result<(), Problem> {
    if api.streams.has_index() {
        return Ok(());
    }
    let detail = "this gateway keeps no list of payments, since `recent` under [store] is 0";
    Err(Problem::new(StatusCode::NOT_FOUND, "list_off", detail))
}

/// Refuses parameters that are neither among [`PARAMETERS`] nor among these, nor that of the token.
fn known_only(asked: &Asked, more: &[&'static str]) -> Result<(), Problem> {
    let is_token = |name: &str| name == "access_token";
    let known = PARAMETERS.iter().chain(more).copied();
    // The parameter of the token is not named where it is told what is allowed.
    if asked.names().all(|name| is_token(name) || known.clone().any(|known| known == name)) {
        return Ok(());
    }
    parameters::known_only(asked, known)
}

fn filter(asked: &Asked) -> Result<Filter, Problem> {
    let all_statuses = Status::ALL.map(Status::as_str).join(", ");
    let status = |text: &str| Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or("");
    let name = |text: &str| Some(text.to_owned()).filter(|text| is_word(text)).ok_or("");
    let currency = |text: &str| {
        let is_code =
            |text: &&str| text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        Some(text).filter(|text| is_word(text)).filter(is_code).map(ToOwned::to_owned).ok_or("")
    };
    let amount = |text: &str| text.parse::<i64>().ok().filter(|amount| *amount >= 0).ok_or("");
    let filter = Filter {
        statuses: several(asked, "status", &all_statuses, status)?,
        providers: several(asked, "provider", WORD, name)?,
        sources: several(asked, "source", WORD, name)?,
        currencies: several(
            asked,
            "currency",
            "a currency's code in capital letters, such as EUR",
            currency,
        )?,
        amount_min: one(asked, "amount_min", AMOUNT, amount)?,
        amount_max: one(asked, "amount_max", AMOUNT, amount)?,
        first_seen_from: one(asked, "first_seen_from", TIME, Time::from_str)?,
        first_seen_to: one(asked, "first_seen_to", TIME, Time::from_str)?,
    };
    Ok(filter)
}

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn limit(asked: &Asked) -> Result<usize, Problem> {
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or("");
    let limit = one(asked, "limit", &format!("a number from 1 to {MAX_PAGE}"), limit)?;
    Ok(limit.unwrap_or(PAGE))
}
