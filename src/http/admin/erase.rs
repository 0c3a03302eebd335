//! Erases one payment: its log, its records and what else bears its id.

use super::{
    answer::answer,
    audit::{By, Reason},
    receipts::forget,
};
use crate::{
    http::{
        asked,
        problem::{self, Problem},
    },
    metrics::Metrics,
    payment::{Name, Subject},
    receipts::Receipts,
    source::Sources,
    store::{AuditAction, AuditEntry, Erased, Erasure, Parts, PaymentDigest},
};
use axum::{
    Extension, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
    routing::delete,
};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Erases payments.
#[derive(Clone)]
pub(super) struct Erasures {
    /// Knows which sources are of the payment's realm. `None` if the node takes no webhooks.
    pub(super) sources: Option<Arc<Sources>>,
    /// Knows the labels and parts of the payments, and erases them together. `None` if the node takes no webhooks.
    pub(super) parts: Option<Arc<Parts>>,
    /// Where notes for receipts wait, if this node leaves any.
    pub(super) receipts: Option<Receipts>,
    /// Counts erasures.
    pub(super) metrics: Arc<Metrics>,
}

/// The query of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    /// The realm of the payment.
    realm: Name,
    /// Why it is erased.
    reason: Option<Reason>,
}

impl Erasures {
    /// The route.
    pub(super) fn routes(self) -> Router {
        Router::new().route("/payments/{payment}", delete(erase)).with_state(self)
    }
}

async fn erase(
    Extension(by): Extension<By>,
    State(Erasures { sources, parts, receipts, metrics }): State<Erasures>,
    path: Result<Path<String>, PathRejection>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Response, Problem> {
    let (sources, stored) = sources.zip(parts).ok_or_else(problem::other_role)?;
    let payment = asked::payment(&path.map(|Path(payment)| payment).unwrap_or_default())?;
    let Query(Of { realm, reason }) = of.map_err(|why| {
        let allowed =
            "`realm` names the realm of the payment, `reason` says why, and there is no other parameter";
        Problem::bad_request("bad_parameter", format!("{}; {allowed}", why.body_text()))
    })?;
    Reason::not_naming(reason.as_ref(), &payment)?;
    let (sources, others) = sources.by_realm(&realm);
    let subject = Subject::payment(realm.clone(), payment.clone());
    let digest = Some(PaymentDigest::of(&subject));
    let entry =
        AuditEntry { realm: Some(realm.clone()), payment: digest, ..by.entry(AuditAction::Erase, reason) };
    forget(receipts.as_ref(), &subject);
    let erasure = Erasure { subject, sources, others, parts: BTreeSet::new() };
    let erased = by.change(entry, all_of(&stored, erasure)).await?;
    let was_known = !erased.is_nothing();
    if was_known {
        metrics.erasures.inc();
        // Without the payment's id: a log that names it would keep what was to be erased.
        tracing::info!(
            %realm,
            events = erased.events,
            records = erased.deliveries + erased.quarantined,
            confirmations = erased.confirmations,
            "a payment was erased"
        );
    }
    Ok(answer(&json!({ "payment": payment, "realm": realm, "known": was_known, "removed": erased })))
}

async fn all_of(stored: &Parts, erasure: Erasure) -> Result<Erased, Problem> {
    stored.erase(erasure).await.map_err(|error| {
        let detail = format!("{error}; some of the payment may be erased already, so ask again for the rest");
        Problem::unavailable("store_unavailable", detail, RETRY_AFTER)
    })
}
