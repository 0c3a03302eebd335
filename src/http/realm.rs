//! `/v1/payments` and `/v1/payments/events`: all payments of the token's realm, a page at a time or as a stream.
//!
//! Only a token for all payments opens them. A parameter that is not known, or whose value is not understood, is refused with what is
//! allowed, since a filter that were ignored would show payments that nobody asked for.

use super::{
    asked::Asked,
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
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::str::FromStr;

/// Payments of a page if the request does not say how many.
const PAGE: usize = 100;

/// The most payments of a page.
const MAX_PAGE: usize = 500;

/// Values that a parameter may have in one request, so that a filter is not a work of its own.
const MAX_VALUES: usize = 64;

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

/// What is allowed as a name, an amount and a time.
const WORD: &str = "a name of 1 to 64 printable ASCII characters";
const AMOUNT: &str = "a whole number of minor units, 0 or more";
const TIME: &str = "a time as in RFC 3339, such as 2026-11-30T17:00:00Z";

pub(super) async fn page(State(api): State<Public>, request: Request) -> Response {
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

pub(super) async fn events(State(api): State<Public>, request: Request) -> Response {
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
        stands: Some(api.standings.of(&grant, &api.access)),
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
fn known_only(asked: &Asked, more: &[&str]) -> Result<(), Problem> {
    let is_known = |name: &&str| PARAMETERS.contains(name) || more.contains(name) || *name == "access_token";
    match asked.names().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(_) => {
            let all: Vec<_> = PARAMETERS.iter().chain(more).map(|name| format!("`{name}`")).collect();
            Err(bad_parameter(format!("the query has an unknown parameter; allowed: {}", all.join(", "))))
        }
    }
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

/// Reads all values of a parameter that may be repeated.
fn several<T, E>(
    asked: &Asked,
    name: &str,
    allowed: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, Problem> {
    if asked.parameters(name).nth(MAX_VALUES).is_some() {
        return Err(bad_parameter(format!("`{name}` can be given at most {MAX_VALUES} times")));
    }
    asked.parameters(name).map(|text| read(text).map_err(|_| bad_value(name, allowed))).collect()
}

/// Reads a parameter that may be given once.
fn one<T, E>(
    asked: &Asked,
    name: &str,
    allowed: &str,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, Problem> {
    let mut given = asked.parameters(name);
    let first = given.next();
    if given.next().is_some() {
        return Err(bad_parameter(format!("`{name}` can be given once")));
    }
    first.map(|text| read(text).map_err(|_| bad_value(name, allowed))).transpose()
}

fn bad_value(name: &str, allowed: &str) -> Problem {
    bad_parameter(format!("the value of `{name}` is not understood; allowed: {allowed}"))
}

fn bad_parameter(detail: String) -> Problem {
    Problem::bad_request("bad_parameter", detail)
}
