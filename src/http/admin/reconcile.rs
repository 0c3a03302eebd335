//! Reconciles one payment by hand: the provider is asked at once, and the answer says where it differs from the gateway.

use crate::{
    confirm::{Confirmations, Failed, ReconcileError},
    http::{
        asked,
        problem::{self, Problem},
    },
};
use axum::{
    Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What asks the providers. `None` if the node takes no webhooks.
type Asks = Option<Arc<Confirmations>>;

/// The route.
pub(super) fn routes(confirmations: Asks) -> Router {
    Router::new()
        .route("/sources/{source}/payments/{payment}/reconcile", post(reconcile))
        .with_state(confirmations)
}

async fn reconcile(
    State(confirmations): State<Asks>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Problem::bad_request(
            "bad_parameter",
            "this route has no parameters; leave the query out",
        ));
    }
    let confirmations = confirmations.ok_or_else(problem::other_role)?;
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
