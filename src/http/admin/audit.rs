//! The audit trail: every change by an operator is written down before it is made, and shown.

use super::answer::answer;
use crate::{
    access::{Operator, OperatorRole, Operators},
    http::{asked, problem::Problem},
    metrics::{AdminRefusal, Metrics},
    payment::{Name, Subject},
    redact,
    store::{AuditAction, AuditEntry, AuditPage, PaymentDigest, RecordCursor, Store, StoreError},
};
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
    routing::get,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};
use std::{
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest reason, in characters.
const MAX_REASON: usize = 200;

/// How many entries are listed without `?limit=`, and the most of one answer.
const ENTRIES: usize = 100;
const MAX_ENTRIES: usize = 1000;

/// Keeps the audit trail in the store.
#[derive(Clone)]
pub(super) struct Audit {
    store: Arc<dyn Store>,
}

/// By whom a request is sent: an extension of every request that an operator sends.
#[derive(Clone)]
pub(super) struct By {
    operator: Operator,
    /// All operators, whom a reload may replace.
    operators: Arc<RwLock<Operators>>,
    audit: Audit,
    metrics: Arc<Metrics>,
}

/// Why an operator changes something, in words of the operator: at most 200 characters, in which card numbers are masked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reason(String);

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() || text.chars().count() > MAX_REASON {
            return Err(format!("a `reason` has 1 to {MAX_REASON} characters"));
        }
        Ok(Self(redact::text(text.trim(), MAX_REASON)))
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The query of a request for a change that takes nothing but a reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    pub(super) reason: Option<Reason>,
}

impl Reason {
    /// The text, to be shared.
    pub(super) fn shared(&self) -> Arc<str> {
        self.0.as_str().into()
    }

    /// Refuses a reason that names the payment that it is about: the audit trail keeps it longer than an erasure may leave an id.
    pub(super) fn not_naming(reason: Option<&Self>, payment: &Name) -> Result<(), Problem> {
        if reason.is_some_and(|Self(text)| text.contains(payment.as_str())) {
            let detail =
                "the `reason` names the payment; leave its id out, since the audit trail outlives an erasure";
            return Err(Problem::bad_request("bad_parameter", detail));
        }
        Ok(())
    }
}

impl Why {
    /// Reads the query.
    pub(super) fn read(query: Result<Query<Self>, QueryRejection>) -> Result<Option<Reason>, Problem> {
        let allowed = "`reason` says why, and there is no other parameter";
        let refused = |why: QueryRejection| {
            Problem::bad_request("bad_parameter", format!("{}; {allowed}", why.body_text()))
        };
        query.map(|Query(why)| why.reason).map_err(refused)
    }
}

impl By {
    pub(super) const fn new(
        operator: Operator,
        operators: Arc<RwLock<Operators>>,
        audit: Audit,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { operator, operators, audit, metrics }
    }

    /// Whether the operator's token still opens the listener, for answers that take long.
    pub(super) fn stands(&self) -> bool {
        self.operators.read().unwrap_or_else(PoisonError::into_inner).has(&self.operator)
    }

    /// The beginning of an entry about a change by this operator. The caller adds what it concerns.
    pub(super) fn entry(&self, action: AuditAction, reason: Option<Reason>) -> AuditEntry {
        let reason = reason.map(|Reason(text)| text);
        AuditEntry { reason, ..AuditEntry::new(Some(Arc::clone(&self.operator.name)), action) }
    }

    /// Makes a change, once the audit trail has its entry. A change that fails gets a second entry. Every route that changes something
    /// goes this way, also one whose method looks like reading.
    pub(super) async fn change<T>(
        &self,
        entry: AuditEntry,
        change: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        self.may_change()?;
        let unwritten = |error: StoreError| {
            let detail = format!("{error}; the audit trail cannot be written, so nothing was changed");
            Problem::unavailable("store_unavailable", detail, RETRY_AFTER)
        };
        self.audit.note(entry.clone()).await.map_err(unwritten)?;
        let outcome = change.await;
        if let Err(problem) = &outcome {
            let failed = AuditEntry { failed: Some(problem.reason().to_owned()), ..entry };
            if let Err(error) = self.audit.note(failed).await {
                tracing::warn!(%error, "the audit trail does not say that a change failed");
            }
        }
        outcome
    }

    /// Does what copies without changing anything, and notes it in the audit trail. It is done although the trail cannot be written, since a
    /// backup may be what is needed then; the log has it in any case.
    pub(super) async fn copy<T>(
        &self,
        entry: AuditEntry,
        copy: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        self.may_change()?;
        if let Err(error) = self.audit.note(entry).await {
            tracing::warn!(%error, "the audit trail does not say that a backup was made");
        }
        copy.await
    }

    /// Refuses an operator who may only read.
    fn may_change(&self) -> Result<(), Problem> {
        if self.operator.role != OperatorRole::Write {
            self.metrics.admin_refusals.count(AdminRefusal::ReadOnly);
            return Err(read_only());
        }
        Ok(())
    }
}

/// 403: the token is for reading alone.
pub(super) fn read_only() -> Problem {
    let detail = "the token may only read; a change needs one with role = \"write\"";
    Problem::new(StatusCode::FORBIDDEN, "read_only_token", detail)
}

impl Audit {
    pub(super) const fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The route.
    pub(super) fn routes(self) -> Router {
        Router::new().route("/audit", get(list)).with_state(self)
    }

    async fn note(&self, entry: AuditEntry) -> Result<(), StoreError> {
        let AuditEntry { operator, action, failed, .. } = &entry;
        let (operator, action, failed) = (operator.as_deref(), json!(action), failed.as_deref());
        tracing::info!(operator, action = action.as_str(), failed, "a change by an operator");
        self.store.audit(entry).await
    }
}

/// The query of a request for the audit trail.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only changes by this operator.
    operator: Option<String>,
    /// Only changes of this kind.
    action: Option<String>,
    /// Only changes that concern this payment, by its id.
    payment: Option<String>,
    /// The realm of the payment.
    realm: Option<Name>,
    /// The most entries of one answer.
    limit: Option<usize>,
    /// The `next` of an earlier answer.
    before: Option<RecordCursor>,
}

const ACTIONS: [&str; 8] =
    ["replay", "discard", "close", "reconcile", "backfill", "erase", "reload", "backup"];

const PARAMETERS: &str = "`operator` is the name of a token, `action` is one of replay, discard, close, reconcile, backfill, erase, reload and backup, \
                          `payment` is the id of a payment of the realm `realm`, `limit` is a number from 1 to 1000, and `before` is the \
                          `next` of an earlier answer";

async fn list(
    State(audit): State<Audit>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let refused = |why: &str| Problem::bad_request("bad_parameter", format!("{why}; {PARAMETERS}"));
    let Query(wanted) = wanted.map_err(|why| refused(&why.body_text()))?;
    if let Some(action) = wanted.action.as_deref().filter(|action| !ACTIONS.contains(action)) {
        return Err(refused(&format!("{action:?} is no action")));
    }
    let limit = wanted.limit.unwrap_or(ENTRIES);
    if !(1..=MAX_ENTRIES).contains(&limit) {
        return Err(refused("`limit` is out of range"));
    }
    let payment = match (&wanted.payment, wanted.realm) {
        (None, None) => None,
        (Some(payment), Some(realm)) => {
            Some(PaymentDigest::of(&Subject::payment(realm, asked::payment(payment)?)))
        }
        _ => return Err(refused("`payment` and `realm` go together")),
    };
    let is_wanted = |entry: &AuditEntry| {
        let is_of = |action: &String| json!(entry.action) == action.as_str();
        wanted.operator.as_ref().is_none_or(|name| entry.operator.as_deref() == Some(name.as_str()))
            && wanted.action.as_ref().is_none_or(is_of)
            && payment.as_ref().is_none_or(|payment| entry.payment.as_ref() == Some(payment))
    };
    let AuditPage { entries, next } = page(&*audit.store, wanted.before, limit, is_wanted).await?;
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(cursor, entry)| {
            let mut entry = json!(entry);
            if let Value::Object(entry) = &mut entry {
                entry.insert("cursor".to_owned(), cursor.to_string().into());
            }
            entry
        })
        .collect();
    Ok(answer(&json!({ "entries": entries, "next": next })))
}

/// The first `limit` entries that are wanted. The trail is bounded, so it is read to its end if it has fewer.
async fn page(
    store: &dyn Store,
    mut before: Option<RecordCursor>,
    limit: usize,
    is_wanted: impl Fn(&AuditEntry) -> bool,
) -> Result<AuditPage, Problem> {
    let mut entries = Vec::new();
    loop {
        let read = store.audit_trail(before, MAX_ENTRIES).await;
        let page =
            read.map_err(|error| Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER))?;
        entries.extend(page.entries.into_iter().filter(|(_, entry)| is_wanted(entry)));
        let has_more = entries.len() > limit;
        if has_more || page.next.is_none() {
            entries.truncate(limit);
            let next = entries.last().map(|(cursor, _)| *cursor).filter(|_| has_more);
            return Ok(AuditPage { entries, next });
        }
        before = page.next;
    }
}
