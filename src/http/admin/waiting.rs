//! The events of a source that wait for their payment: each names a part of it alone, and nobody knows yet whose part that is.

use super::answer::answer;
use crate::{
    http::problem::{self, Problem},
    payment::{Event, Subject},
    source::Sources,
    store::{Parts, RECORDS_PER_SOURCE, Store, StoreError},
};
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many parts are listed without `?limit=`.
const PARTS: usize = 100;

/// What the route uses.
#[derive(Clone)]
struct Waiting {
    sources: Option<Arc<Sources>>,
    store: Arc<dyn Store>,
    parts: Option<Arc<Parts>>,
}

/// The query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The source whose events are wanted.
    source: String,
    /// The most parts that are looked at, those first for which events have waited longest.
    limit: Option<usize>,
}

/// The route. Both are `None` if the node takes no webhooks.
pub(super) fn routes(
    sources: Option<Arc<Sources>>,
    store: Arc<dyn Store>,
    parts: Option<Arc<Parts>>,
) -> Router {
    Router::new().route("/waiting", get(list)).with_state(Waiting { sources, store, parts })
}

async fn list(
    State(Waiting { sources, store, parts }): State<Waiting>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let (sources, parts) = sources.zip(parts).ok_or_else(problem::other_role)?;
    let Query(Wanted { source, limit }) = wanted.map_err(|why| bad_query(&why.body_text()))?;
    let source = sources.get(&source).ok_or_else(problem::unknown_source)?;
    let limit = limit.unwrap_or(PARTS);
    if !(1..=RECORDS_PER_SOURCE).contains(&limit) {
        return Err(bad_query("the number is out of range"));
    }
    let queues = [true, false].into_iter().filter_map(|live| source.queue_of_parts(live));
    let listed = try_join_all(queues.map(async |queue| {
        let oldest = store.oldest(queue.as_str(), limit).await?;
        let waiting = oldest.into_iter().map(|(id, _)| {
            let (parts, part) = (&parts, Subject { realm: queue.clone(), id });
            async move { parts.waiting(&part).await }
        });
        try_join_all(waiting).await
    }))
    .await
    .map_err(|error: StoreError| Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER))?;
    let events = listed.iter().flatten().flatten().filter(|event| *event.source == *source.name());
    let events: Vec<Value> = events.map(|event| as_json(event)).collect();
    Ok(answer(&json!({ "source": source.name(), "waiting": events })))
}

fn as_json(event: &Event) -> Value {
    json!({
        "part": event.subject.id,
        "event": event.id,
        "type": event.kind,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "live": event.live,
    })
}

fn bad_query(why: &str) -> Problem {
    let detail = format!(
        "{why}; `source` names a source, and `limit` is a number of parts from 1 to {RECORDS_PER_SOURCE}, those first for which events \
         have waited longest"
    );
    Problem::bad_request("bad_parameter", detail)
}
