//! The newest records of a source's delivery log and of its quarantine, in the form that records had first.

use super::answer::answer;
use crate::{
    http::problem::{self, Problem},
    source::Sources,
    store::{RECORDS_PER_SOURCE, Record, RecordLog, RecordPage, Store},
};
use axum::{
    Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many records are listed without `?limit=`.
const RECORDS: usize = 100;

/// Lists records.
#[derive(Clone)]
pub(super) struct Records {
    /// Knows the sources. `None` if the node takes no webhooks.
    pub(super) sources: Option<Arc<Sources>>,
    /// Holds the records.
    pub(super) store: Arc<dyn Store>,
}

/// The query of a request for records in their first form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<usize>,
}

impl Records {
    /// The routes, for the tools that read this form.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/sources/{source}/quarantine", get(quarantine_of))
            .route("/sources/{source}/deliveries", get(deliveries_of))
            .with_state(self)
    }

    /// One page of a source's records.
    async fn page(
        &self,
        log: RecordLog,
        source: Option<&str>,
        limit: Option<usize>,
    ) -> Result<RecordPage, Problem> {
        let sources = self.sources.as_deref().ok_or_else(problem::other_role)?;
        let source =
            source.filter(|source| sources.get(source).is_some()).ok_or_else(problem::unknown_source)?;
        let limit = limit.unwrap_or(RECORDS);
        if !(1..=RECORDS_PER_SOURCE).contains(&limit) {
            return Err(bad_parameter());
        }
        let page = self.store.records(log, source, None, limit).await;
        page.map_err(|error| Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER))
    }

    async fn first_form(
        &self,
        log: RecordLog,
        source: Result<Path<String>, PathRejection>,
        limit: Result<Query<Limit>, QueryRejection>,
    ) -> Result<Response, Problem> {
        let source = source.ok().map(|Path(source)| source);
        let limit = limit.map(|Query(limit)| limit.limit);
        let page = match limit {
            Ok(limit) => self.page(log, source.as_deref(), limit).await?,
            Err(why) => return Err(bad_query(&why)),
        };
        let records: Vec<Value> = page.records.iter().map(in_first_form).collect();
        Ok(answer(&json!({ "source": source, "records": records })))
    }
}

/// A record as `reason` and `detail`, a text that is JSON again. In the delivery log `reason` is the outcome.
fn in_first_form(record: &Record) -> Value {
    let code = record.reason.as_ref().map_or("", |reason| reason.as_str());
    let mut detail = json!({
        "event": record.event,
        "unsigned_id": record.unsigned_id,
        "type": record.kind.as_deref().unwrap_or_default(),
        "payment": record.payment,
    });
    let more = match (record.log, record.confirmation) {
        (RecordLog::Deliveries, _) => json!({ "seq": record.seq, "reason": code }),
        (RecordLog::Quarantine, None) => json!({ "at": record.place, "bytes": record.bytes }),
        (RecordLog::Quarantine, Some(confirmation)) => json!({
            "at": record.place,
            "asked": confirmation.attempts,
            "since": confirmation.since,
            "step": "confirm",
        }),
    };
    if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more) {
        detail.extend(more);
    }
    let reason = match record.log {
        RecordLog::Deliveries => record.outcome.word(),
        RecordLog::Quarantine => code,
    };
    json!({ "log": record.log, "source": record.source, "at": record.at, "reason": reason, "detail": detail.to_string() })
}

/// A parameter that is unknown, missing, given twice or of another form. A misspelled one is refused too, because an answer that
/// ignores it looks as if it had been obeyed.
fn bad_query(why: &QueryRejection) -> Problem {
    Problem::bad_request("bad_parameter", format!("{}; {}", why.body_text(), parameters()))
}

fn bad_parameter() -> Problem {
    Problem::bad_request("bad_parameter", parameters())
}

fn parameters() -> String {
    format!("`limit` is a number from 1 to {RECORDS_PER_SOURCE}, and the source is named in the path")
}

async fn quarantine_of(
    State(records): State<Records>,
    source: Result<Path<String>, PathRejection>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Result<Response, Problem> {
    records.first_form(RecordLog::Quarantine, source, limit).await
}

async fn deliveries_of(
    State(records): State<Records>,
    source: Result<Path<String>, PathRejection>,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Result<Response, Problem> {
    records.first_form(RecordLog::Deliveries, source, limit).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{GivenUp, OutcomeKind, ReasonCode};

    #[test]
    fn tools_that_read_the_first_form_of_records_find_what_they_look_for() {
        let record = Record {
            log: RecordLog::Deliveries,
            source: "acme".into(),
            at: "2026-11-30T10:00:00Z".parse().unwrap(),
            outcome: OutcomeKind::Quarantined,
            reason: ReasonCode::known("bad_time"),
            event: Some("evt_1".into()),
            unsigned_id: None,
            part: None,
            failure_code: None,
            kind: Some("paid".into()),
            payment: Some("pay_1".parse().unwrap()),
            seq: None,
            place: Some("/at".to_owned()),
            found: None,
            bytes: Some(42),
            secret: None,
            diagnosis: None,
            confirmation: None,
            held: None,
        };
        let detail = |record: &Record| -> (String, Value) {
            let form = in_first_form(record);
            let detail = serde_json::from_str(form["detail"].as_str().unwrap()).unwrap();
            (form["reason"].as_str().unwrap().to_owned(), detail)
        };
        let (reason, said) = detail(&record);
        assert_eq!(
            (reason.as_str(), &said["reason"], &said["event"]),
            ("quarantined", &json!("bad_time"), &json!("evt_1"))
        );
        let record = Record { log: RecordLog::Quarantine, ..record };
        let (reason, said) = detail(&record);
        assert_eq!(
            (reason.as_str(), &said["at"], &said["payment"]),
            ("bad_time", &json!("/at"), &json!("pay_1"))
        );
        let confirmation = Some(GivenUp { attempts: 3, since: record.at });
        let (_, said) = detail(&Record { confirmation, ..record });
        assert_eq!((&said["asked"], &said["step"]), (&json!(3), &json!("confirm")));
    }
}
