//! Backfill by hand: a source's provider is asked for its events since a time, and those that got lost are taken.

use super::{
    answer::answer,
    audit::{By, Reason},
};
use crate::{
    http::problem::{self, Problem},
    ingest::{BackfillError, Backfilled, Ingest},
    payment::Time,
    source::{PastCursor, Source, Sources},
    store::{AuditAction, AuditEntry},
};
use axum::{
    Extension, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
    routing::post,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// The most pages of one answer.
const MOST_PAGES: u32 = 20;

/// After this long no further page is begun.
const LONG_ENOUGH: Duration = Duration::from_secs(15);

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What takes the events, and the registry of sources. `None` if the node takes no webhooks.
type Takes = Option<(Arc<Ingest>, Arc<Sources>)>;

/// The query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The time since which events are asked for.
    since: Time,
    /// The `next` of an earlier answer.
    cursor: Option<String>,
    reason: Option<Reason>,
}

/// The route.
pub(super) fn routes(takes: Takes) -> Router {
    Router::new().route("/sources/{source}/backfill", post(backfill)).with_state(takes)
}

async fn backfill(
    Extension(by): Extension<By>,
    State(takes): State<Takes>,
    path: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let allowed = "`since` is a time such as 2026-11-30T12:00:00Z, `cursor` is the `next` of an earlier answer, and `reason` says why";
    let refused = |why: String| Problem::bad_request("bad_parameter", format!("{why}; {allowed}"));
    let Query(Asked { since, cursor, reason }) = asked.map_err(|why| refused(why.body_text()))?;
    let cursor = cursor.map(|cursor| cursor.parse::<PastCursor>()).transpose();
    let mut cursor = cursor.map_err(|why| refused(why.to_string()))?;
    let (ingest, sources) = takes.ok_or_else(problem::other_role)?;
    let source = path.ok().and_then(|Path(name)| sources.get(&name)).ok_or_else(problem::unknown_source)?;
    let entry = AuditEntry {
        source: Some(source.name().to_owned()),
        realm: Some(source.realm().clone()),
        target: Some(format!("since {since}")),
        ..by.entry(AuditAction::Backfill, reason)
    };
    let (mut total, mut pages) = (Backfilled::default(), 0);
    by.change(entry, async {
        let began = Instant::now();
        while pages < MOST_PAGES && (pages == 0 || began.elapsed() < LONG_ENOUGH) {
            match ingest.backfill(&source, since, cursor.as_ref()).await {
                Ok(page) => add(&mut total, page),
                // What was taken is told, and the next request goes on where this one ended.
                Err(_) if pages > 0 => break,
                Err(why) => return Err(not_taken(&why)),
            }
            pages += 1;
            cursor.clone_from(&total.next);
            if cursor.is_none() {
                break;
            }
        }
        Ok(())
    })
    .await?;
    Ok(answer(&as_json(&source, since, pages, &total)))
}

/// Adds a page to what came of the pages before it.
fn add(total: &mut Backfilled, page: Backfilled) {
    total.events += page.events;
    for (word, count) in page.outcomes {
        *total.outcomes.entry(word).or_default() += count;
    }
    total.oldest = total.oldest.into_iter().chain(page.oldest).min();
    total.next = page.next;
}

fn as_json(source: &Source, since: Time, pages: u32, total: &Backfilled) -> serde_json::Value {
    let outcomes: &BTreeMap<&str, u64> = &total.outcomes;
    json!({
        "source": source.name(),
        "since": since,
        "pages": pages,
        "events": total.events,
        "outcomes": outcomes,
        "oldest": total.oldest,
        "next": total.next.as_ref().map(ToString::to_string),
        "kept_s": source.past().map(|past| past.kept().as_secs()),
    })
}

fn not_taken(why: &BackfillError) -> Problem {
    let (status, reason) = match why {
        BackfillError::NotListed => (StatusCode::CONFLICT, "no_backfill"),
        BackfillError::Deferred => {
            return Problem::unavailable("store_unavailable", why.to_string(), RETRY_AFTER);
        }
        BackfillError::Unavailable(_) | BackfillError::Page(_) => {
            (StatusCode::BAD_GATEWAY, "provider_unavailable")
        }
        BackfillError::Throttled { retry_after } => {
            let problem = Problem::new(StatusCode::BAD_GATEWAY, "provider_throttles", why.to_string());
            return problem.with_retry_after(retry_after.unwrap_or(Duration::from_secs(5)));
        }
        BackfillError::Denied(_) => (StatusCode::BAD_GATEWAY, "provider_denies"),
    };
    Problem::new(status, reason, why.to_string())
}
