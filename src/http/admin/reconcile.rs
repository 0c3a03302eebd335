//! Reconciles one payment by hand: the provider is asked at once, and the answer says where it differs from the gateway.

use super::{
    answer::answer,
    audit::{By, Reason, Why},
};
use crate::{
    confirm::{Confirmations, Failed, ReconcileError},
    http::{
        asked,
        problem::{self, Problem},
    },
    payment::Subject,
    source::Sources,
    store::{AuditAction, AuditEntry, PaymentDigest},
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
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What asks the providers, and the registry of sources. `None` if the node takes no webhooks.
type Asks = Option<(Arc<Confirmations>, Arc<Sources>)>;

/// The route.
pub(super) fn routes(asks: Asks) -> Router {
    Router::new().route("/sources/{source}/payments/{payment}/reconcile", post(reconcile)).with_state(asks)
}

async fn reconcile(
    Extension(by): Extension<By>,
    State(asks): State<Asks>,
    path: Result<Path<(String, String)>, PathRejection>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Response, Problem> {
    let reason = Why::read(why)?;
    let (confirmations, sources) = asks.ok_or_else(problem::other_role)?;
    let Ok(Path((source, payment))) = path else { return Err(problem::unknown_source()) };
    let payment = asked::payment(&payment)?;
    Reason::not_naming(reason.as_ref(), &payment)?;
    let realm = sources.get(&source).ok_or_else(problem::unknown_source)?.realm().clone();
    let entry = AuditEntry {
        source: Some(source.clone()),
        payment: Some(PaymentDigest::of(&Subject::payment(realm.clone(), payment.clone()))),
        realm: Some(realm),
        ..by.entry(AuditAction::Reconcile, reason)
    };
    let reconciled = by
        .change(entry, async {
            confirmations.reconcile(&source, &payment).await.map_err(|why| not_reconciled(&why))
        })
        .await?;
    Ok(answer(&json!(reconciled)))
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
