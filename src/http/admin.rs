//! The admin listener: health and metrics, open to whoever reaches the socket, and the operators' routes behind a token.
//!
//! A stream node is unready only for a reason of its own. A store that is down for all nodes must not empty a balancer,
//! whose 503 would end every `EventSource` for good; it shows in `/readyz/ingest` alone. What concerns webhooks is not found
//! on a node that takes none.

use super::{
    asked,
    problem::{self, Problem},
};
use crate::{
    confirm::{Confirmations, Failed, ReconcileError},
    hub::Hub,
    metrics::Metrics,
    shutdown::Shutdown,
    source::Sources,
    store::{RECORDS_PER_SOURCE, RecordCursor, RecordLog, Store},
};
use axum::{
    Router,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use subtle::ConstantTimeEq;

/// What Prometheus is told that `/metrics` speaks.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// When to look again at what is not ready.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many records one answer lists, unless `?limit=` says otherwise.
const RECORDS: usize = 100;

/// What the admin routes need.
#[derive(Clone)]
pub struct Admin {
    /// Says whether this node hears its store, if it streams.
    pub hub: Option<Arc<Hub>>,
    /// Says whether an append would succeed, and holds the operators' records.
    pub store: Arc<dyn Store>,
    /// Knows the sources, if this node takes webhooks.
    pub sources: Option<Arc<Sources>>,
    /// Asks the providers, if this node takes webhooks.
    pub confirmations: Option<Arc<Confirmations>>,
    /// What `/metrics` renders.
    pub metrics: Arc<Metrics>,
    /// Says whether the node is leaving.
    pub shutdown: Shutdown,
    /// Opens `/admin`. Without one it stays shut.
    pub token: Arc<RwLock<Option<SecretString>>>,
}

impl Admin {
    /// The routes.
    pub fn routes(self) -> Router {
        let operators = Router::new()
            .route("/sources/{source}/quarantine", get(quarantine))
            .route("/sources/{source}/deliveries", get(deliveries))
            .route("/sources/{source}/payments/{payment}/reconcile", post(reconcile))
            .method_not_allowed_fallback(problem::method_not_allowed)
            .fallback(problem::not_found)
            .layer(middleware::from_fn_with_state(self.clone(), operators_only));
        Router::new()
            .route("/livez", get("ok\n"))
            .route("/readyz", get(ready))
            .route("/readyz/ingest", get(ready_to_ingest))
            .route("/metrics", get(metrics))
            .method_not_allowed_fallback(problem::method_not_allowed)
            .nest("/admin", operators)
            .with_state(self)
    }

    /// Whether the request's token is the configured one.
    fn authorize(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner);
        let Some(token) = token.as_ref() else {
            let detail = "the operators' routes are closed; set `token` under [admin] to open them";
            return Err(Problem::new(StatusCode::FORBIDDEN, "admin_closed", detail));
        };
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| given.ct_eq(token.expose_secret().as_bytes()).into()) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "bad_admin_token",
            "send the admin token as a bearer token",
        )
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    }

    /// What takes webhooks here.
    fn sources(&self) -> Result<&Sources, Problem> {
        self.sources.as_deref().ok_or_else(other_role)
    }

    /// A page of a source's records, newest first, as typed JSON.
    async fn records(
        &self,
        log: RecordLog,
        source: Result<Path<String>, PathRejection>,
        wanted: Result<Query<Wanted>, QueryRejection>,
    ) -> Result<Response, Problem> {
        let sources = self.sources()?;
        let source = source.ok().map(|Path(source)| source).filter(|source| sources.get(source).is_some());
        let source = source.ok_or_else(problem::unknown_source)?;
        let bad_parameter = || {
            let detail = format!(
                "`limit` is a number from 1 to {RECORDS_PER_SOURCE}, and `before` the `next` of an earlier answer"
            );
            Problem::bad_request("bad_parameter", detail)
        };
        let Query(Wanted { limit, before }) = wanted.map_err(|_| bad_parameter())?;
        let limit = limit.unwrap_or(RECORDS);
        if !(1..=RECORDS_PER_SOURCE).contains(&limit) {
            return Err(bad_parameter());
        }
        let page = self
            .store
            .records(log, &source, before, limit)
            .await
            .map_err(|error| Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER))?;
        let body = json!({ "source": source, "records": page.records, "next": page.next }).to_string();
        Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}

fn other_role() -> Problem {
    let detail = "this node only streams; ask one that takes webhooks (--role ingest or all)";
    Problem::new(StatusCode::NOT_FOUND, "other_role", detail)
}

/// Which records are wanted.
#[derive(Deserialize)]
struct Wanted {
    /// The most records of one answer.
    limit: Option<usize>,
    /// The `next` of an earlier answer: only what is older is listed.
    before: Option<RecordCursor>,
}

async fn operators_only(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    match admin.authorize(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn ready(State(admin): State<Admin>) -> Result<&'static str, Problem> {
    if admin.shutdown.is_draining() {
        return Err(Problem::unavailable("draining", "the node is leaving", RETRY_AFTER));
    }
    if admin.hub.is_some_and(|hub| hub.is_deaf()) {
        let detail = "the store is well, but its notices do not reach this node";
        return Err(Problem::unavailable("deaf", detail, RETRY_AFTER));
    }
    Ok("ready\n")
}

async fn ready_to_ingest(State(admin): State<Admin>) -> Result<&'static str, Problem> {
    admin.sources()?;
    if admin.shutdown.is_draining() {
        return Err(Problem::unavailable("draining", "the node is leaving", RETRY_AFTER));
    }
    match admin.store.health().await {
        Ok(()) => Ok("ready\n"),
        Err(error) => Err(Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER)),
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENMETRICS)], admin.metrics.render())
}

async fn quarantine(
    State(admin): State<Admin>,
    source: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    admin.records(RecordLog::Quarantine, source, wanted).await
}

async fn deliveries(
    State(admin): State<Admin>,
    source: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    admin.records(RecordLog::Deliveries, source, wanted).await
}

async fn reconcile(
    State(admin): State<Admin>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let confirmations = admin.confirmations.as_deref().ok_or_else(other_role)?;
    let Ok(Path((source, payment))) = path else { return Err(problem::unknown_source()) };
    let payment = asked::payment(&payment)?;
    let reconciled = confirmations.reconcile(&source, &payment).await.map_err(|why| not_reconciled(&why))?;
    let body = json!(reconciled).to_string();
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn not_reconciled(why: &ReconcileError) -> Problem {
    let (status, reason) = match why {
        ReconcileError::UnknownSource => return problem::unknown_source(),
        ReconcileError::NoApi => (StatusCode::CONFLICT, "no_api"),
        ReconcileError::Failed(Failed::Store(error)) => {
            return Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER);
        }
        ReconcileError::Failed(Failed::Unavailable { .. }) => {
            (StatusCode::BAD_GATEWAY, "provider_unavailable")
        }
        ReconcileError::Failed(Failed::Throttled { .. }) => (StatusCode::BAD_GATEWAY, "provider_throttles"),
        ReconcileError::Failed(Failed::Denied(_)) => (StatusCode::BAD_GATEWAY, "provider_denies"),
        ReconcileError::Failed(Failed::Unknown(_)) => (StatusCode::BAD_GATEWAY, "unknown_at_provider"),
        ReconcileError::Failed(Failed::Unclear(unclear) | Failed::Unfit(unclear)) => {
            (StatusCode::BAD_GATEWAY, unclear.code)
        }
    };
    Problem::new(status, reason, why.to_string())
}
