//! The records of a source: its quarantine and its delivery log, newest first as the store returns them.

use crate::{
    http::problem::{self, Problem},
    ingest::Ingest,
    store::{RECORDS_PER_SOURCE, RecordLog, Store},
};
use axum::{
    Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many records are listed without `?limit=`.
const RECORDS: usize = 100;

/// Lists records.
#[derive(Clone)]
pub(super) struct Records {
    /// Knows the sources. `None` if the node takes no webhooks.
    pub(super) ingest: Option<Arc<Ingest>>,
    /// Holds the records.
    pub(super) store: Arc<dyn Store>,
}

impl Records {
    /// The routes.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/sources/{source}/quarantine", get(quarantine))
            .route("/sources/{source}/deliveries", get(deliveries))
            .with_state(self)
    }

    async fn records(
        &self,
        log: RecordLog,
        source: Result<Path<String>, PathRejection>,
        limit: Result<Query<Limit>, QueryRejection>,
    ) -> Result<Response, Problem> {
        let ingest = self.ingest.as_deref().ok_or_else(problem::other_role)?;
        let source = source.ok().map(|Path(source)| source).filter(|source| ingest.knows(source));
        let source = source.ok_or_else(problem::unknown_source)?;
        let limit = limit.ok().map(|Query(limit)| limit.limit.unwrap_or(RECORDS));
        let Some(limit @ 1..=RECORDS_PER_SOURCE) = limit else {
            let detail = format!("`limit` is a number from 1 to {RECORDS_PER_SOURCE}");
            return Err(Problem::bad_request("bad_parameter", detail));
        };
        let records = self
            .store
            .records(log, &source, limit)
            .await
            .map_err(|error| Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER))?;
        let body = json!({ "source": source, "records": records }).to_string();
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

async fn quarantine(
    State(records): State<Records>,
    source: Result<Path<String>, PathRejection>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Result<Response, Problem> {
    records.records(RecordLog::Quarantine, source, limit).await
}

async fn deliveries(
    State(records): State<Records>,
    source: Result<Path<String>, PathRejection>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Result<Response, Problem> {
    records.records(RecordLog::Deliveries, source, limit).await
}
