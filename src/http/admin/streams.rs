//! The open streams of this node: counted, listed, and ended, one or all that fit a filter.

use super::{
    answer::answer,
    audit::{By, Reason},
    like::like,
};
use crate::{
    http::{
        asked::{self, Asked},
        parameters::{known_only, one},
        problem::Problem,
    },
    payment::{Name, Subject},
    redact,
    store::{AuditAction, AuditEntry, PaymentDigest},
    stream::{StreamFilter, StreamId, StreamInfo, StreamList, Streams},
};
use axum::{
    Extension, Router,
    extract::{Path, Request, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
    routing::{delete, get},
};
use serde_json::{Value, json};
use std::{net::IpAddr, str::FromStr as _, sync::Arc, time::Duration};

/// Streams that are listed without `?limit=`, and the most of one answer.
const STREAMS: usize = 100;
const MAX_STREAMS: usize = 1000;

/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 128;

const FILTERS: [&str; 6] = ["realm", "payment", "subject", "client", "min_age_s", "min_lag"];

/// The streams of the node. `None` if it has none.
type Known = Option<Arc<Streams>>;

/// The routes.
pub(super) fn routes(streams: Known) -> Router {
    Router::new()
        .route("/streams", get(list).delete(close_many))
        .route("/streams/{id}", delete(close_one))
        .with_state(streams)
}

/// 404: the route concerns streams, and the role of this node does not include them.
pub(super) fn other_role() -> Problem {
    let detail = "this node only takes webhooks; ask one that streams (--role stream or all)";
    Problem::new(StatusCode::NOT_FOUND, "other_role", detail)
}

async fn list(State(streams): State<Known>, request: Request) -> Result<Response, Problem> {
    let asked = Asked::from(request.into_parts().0);
    let streams = streams.ok_or_else(other_role)?;
    known_only(&asked, FILTERS.into_iter().chain(["limit"]))?;
    let limit = |text: &str| text.parse().ok().filter(|limit| (1..=MAX_STREAMS).contains(limit)).ok_or(());
    let limit = one(&asked, "limit", &format!("a number from 1 to {MAX_STREAMS}"), limit)?.unwrap_or(STREAMS);
    let filter = filter(&asked)?;
    let StreamList { count, streams: found } = streams.list(filter.clone(), limit).await;
    if found.is_empty()
        && let Some(payment) = &filter.payment
    {
        let all = streams.list(StreamFilter { payment: None, ..filter.clone() }, MAX_STREAMS).await;
        let watched = all.streams.iter().flat_map(|stream| &stream.payments);
        let like = like(payment.as_str(), watched.map(Name::as_str));
        let detail = format!("no such stream watches this payment on this node{like}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_payment", detail));
    }
    let found: Vec<Value> = found.iter().map(as_json).collect();
    Ok(answer(&json!({ "count": count, "streams": found })))
}

async fn close_many(
    Extension(by): Extension<By>,
    State(streams): State<Known>,
    request: Request,
) -> Result<Response, Problem> {
    let asked = Asked::from(request.into_parts().0);
    let streams = streams.ok_or_else(other_role)?;
    known_only(&asked, FILTERS.into_iter().chain(["reason"]))?;
    let filter = filter(&asked)?;
    if FILTERS.iter().all(|name| asked.parameters(name).next().is_none()) {
        let detail = format!("say which streams are to be closed, by one of {}", FILTERS.join(", "));
        return Err(Problem::bad_request("bad_parameter", detail));
    }
    if filter.payment.is_some() && filter.realm.is_none() {
        let detail = "`payment` needs its `realm`, by which the audit trail knows it";
        return Err(Problem::bad_request("bad_parameter", detail));
    }
    close(&by, &streams, filter, &asked).await
}

async fn close_one(
    Extension(by): Extension<By>,
    State(streams): State<Known>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let asked = Asked::from(request.into_parts().0);
    let streams = streams.ok_or_else(other_role)?;
    known_only(&asked, ["reason"].into_iter())?;
    let id = path.ok().and_then(|Path(id)| id.parse::<StreamId>().ok());
    let filter = StreamFilter { id, ..StreamFilter::default() };
    if id.is_none() || streams.list(filter.clone(), 1).await.count == 0 {
        let detail = "no open stream of this node has this id; GET /admin/streams lists them";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_stream", detail));
    }
    close(&by, &streams, filter, &asked).await
}

/// Ends the streams that fit, and tells each the reason.
async fn close(by: &By, streams: &Streams, filter: StreamFilter, asked: &Asked) -> Result<Response, Problem> {
    let reason = one(asked, "reason", "1 to 200 characters", Reason::from_str)?;
    if let Some(payment) = &filter.payment {
        Reason::not_naming(reason.as_ref(), payment)?;
    }
    let why: Arc<str> = reason.as_ref().map_or_else(|| "closed by an operator".into(), Reason::shared);
    let realm = filter.realm.clone();
    let digest =
        |payment: &Name| PaymentDigest::of(&Subject::payment(realm.clone()?, payment.clone())).into();
    let entry = AuditEntry {
        payment: filter.payment.as_ref().and_then(digest),
        realm: filter.realm.clone(),
        target: Some(target(&filter)).filter(|target| !target.is_empty()),
        ..by.entry(AuditAction::Close, reason)
    };
    let closed = by.change(entry, async { Ok(streams.dismiss(filter, why).await) }).await?;
    Ok(answer(&json!({ "closed": closed })))
}

/// What the audit trail says of the streams that were closed, but for their payment and realm.
fn target(filter: &StreamFilter) -> String {
    let parts = [
        filter.id.map(|id| format!("stream {id}")),
        filter.subject.as_ref().map(|subject| format!("subject {}", redact::text(subject, MAX_SUBJECT))),
        filter.client.map(|client| format!("client {client}")),
        filter.min_age.map(|age| format!("{} s old", age.as_secs())),
        filter.min_lag.map(|lag| format!("{lag} events behind")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn filter(asked: &Asked) -> Result<StreamFilter, Problem> {
    let number = |text: &str| text.parse::<u64>();
    let subject = |text: &str| {
        let is_subject = (1..=MAX_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control);
        is_subject.then(|| text.to_owned()).ok_or(())
    };
    let payment = one(asked, "payment", "", |text| Ok::<_, ()>(text.to_owned()))?;
    let payment = payment.map(|id| asked::payment(&id)).transpose()?;
    let realm = one(asked, "realm", "the name of a realm", Name::from_str)?;
    Ok(StreamFilter {
        id: None,
        realm,
        payment,
        subject: one(asked, "subject", "the `sub` of a token, of 1 to 128 characters", subject)?,
        client: one(asked, "client", "an IP address", IpAddr::from_str)?,
        min_age: one(asked, "min_age_s", "a number of seconds", number)?.map(Duration::from_secs),
        min_lag: one(asked, "min_lag", "a number of events", number)?,
    })
}

fn as_json(stream: &StreamInfo) -> Value {
    json!({
        "id": stream.id.to_string(),
        "realm": stream.realm,
        "payments": stream.payments,
        // A shop may use anything as a subject.
        "subject": stream.subject.as_ref().map(|subject| redact::text(subject, MAX_SUBJECT)),
        "client": stream.client(),
        "age_s": stream.age.as_secs(),
        "lag": stream.lag,
    })
}
