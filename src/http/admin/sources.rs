//! The configured sources: how their providers retry, which secrets are good and in use, who sends deliveries
//! without a valid signature, and whether deliveries fail at present.

use super::answer::answer;
use crate::{
    clock,
    http::problem::{self, Problem},
    payment::Time,
    source::{Failing, Retries, SecretState, Source, Sources, Unverified},
};
use axum::{
    Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The most clients that are told of a source.
const MOST_PEERS: usize = 20;

/// The registry of sources. `None` if the node takes no webhooks.
type Known = Option<Arc<Sources>>;

/// The routes.
pub(super) fn routes(sources: Known) -> Router {
    Router::new().route("/sources", get(list)).route("/sources/{source}", get(one)).with_state(sources)
}

async fn list(State(sources): State<Known>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let sources = checked(sources, query)?;
    let now = clock::now();
    let all: Vec<Value> = sources.all().iter().map(|source| as_json(source, now)).collect();
    Ok(answer(&json!({ "sources": all })))
}

async fn one(
    State(sources): State<Known>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let sources = checked(sources, query)?;
    let source = path.ok().and_then(|Path(name)| sources.get(&name)).ok_or_else(problem::unknown_source)?;
    Ok(answer(&as_json(&source, clock::now())))
}

/// The registry, if the node has one and nothing else is asked.
fn checked(sources: Known, query: Option<String>) -> Result<Arc<Sources>, Problem> {
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Problem::bad_request(
            "bad_parameter",
            "this route has no parameters; leave the query out",
        ));
    }
    sources.ok_or_else(problem::other_role)
}

fn as_json(source: &Source, now: Time) -> Value {
    let retries = source.retries();
    json!({
        "source": source.name(),
        "provider": source.provider(),
        "realm": source.realm(),
        "retries": {
            "pauses_s": retries.pauses.iter().map(Duration::as_secs).collect::<Vec<_>>(),
            "lost_after_s": retries.lost_after.map(|span| span.as_secs()),
            "disabled_after_s": retries.disabled_after.map(|span| span.as_secs()),
            "timeout_s": retries.timeout.map(|span| span.as_secs()),
            "blocks": retries.blocks,
        },
        "secrets": source.secrets().map(|secret| secret_json(&secret, now)).collect::<Vec<_>>(),
        "unverified": source.unverified(Instant::now()).iter().take(MOST_PEERS).map(unverified_json).collect::<Vec<_>>(),
        "failing": source.failing(now).map(|failing| failing_json(failing, retries, now)),
    })
}

/// What is told of a secret: its name, and never the secret itself.
fn secret_json(secret: &SecretState, now: Time) -> Value {
    json!({
        "secret": secret.name,
        "not_before": secret.not_before,
        "not_after": secret.not_after,
        "good": secret.is_good_at(now),
        "last_used": secret.last_used,
    })
}

fn unverified_json(peer: &Unverified) -> Value {
    json!({
        "peer": peer.peer,
        "failed": peer.failed,
        "refused": peer.refused,
        "last_s": peer.last.as_secs(),
    })
}

fn failing_json(failing: Failing, retries: &Retries, now: Time) -> Value {
    let left_s = |end: Option<Duration>| end.map(|end| end.saturating_sub(failing.age(now)).as_secs());
    json!({
        "since": failing.since,
        "last": failing.last,
        "failed": failing.failed,
        "deliveries": failing.deliveries,
        "share": failing.share(),
        "lost_in_s": left_s(retries.lost_after),
        "disabled_in_s": left_s(retries.disabled_after),
        "queue_blocked": retries.blocks,
    })
}
