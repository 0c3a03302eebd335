//! The filter of a request for records of a quarantine.

use crate::{
    http::admin::audit::Reason,
    http::problem::Problem,
    payment::{Name, Time},
    store::{QuarantineClass, ReasonCode, Record, RecordCursor},
};
use axum::extract::{self, rejection::QueryRejection};
use serde::Deserialize;

/// How many records one answer has without `limit`.
const RECORDS: usize = 100;

/// The most records of one answer, and the most that one request replays.
const MOST: usize = 1024;

/// The parameters as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    source: String,
    class: Option<QuarantineClass>,
    code: Option<String>,
    payment: Option<Name>,
    since: Option<Time>,
    until: Option<Time>,
    limit: Option<usize>,
    before: Option<RecordCursor>,
    /// Why the operator acts on the records.
    reason: Option<Reason>,
}

/// Which records are wanted.
pub(super) struct Wanted {
    /// The source whose records are wanted.
    pub(super) source: String,
    class: Option<QuarantineClass>,
    code: Option<ReasonCode>,
    /// The payment that they are about.
    pub(super) payment: Option<Name>,
    /// The first time of receipt.
    since: Option<Time>,
    /// The time of receipt before which they were received.
    until: Option<Time>,
    /// The most records of one answer.
    pub(super) limit: usize,
    /// The `next` of an earlier answer: only older records are wanted.
    pub(super) before: Option<RecordCursor>,
    /// Why the operator acts on them.
    pub(super) why: Option<Reason>,
}

impl Wanted {
    /// Reads a query. A parameter that is unknown, given twice or of another form is refused, because an answer that ignores it looks as if it
    /// had been obeyed.
    pub(super) fn read(query: Result<extract::Query<Query>, QueryRejection>) -> Result<Self, Problem> {
        let extract::Query(query) = query.map_err(|why| bad(&why.body_text()))?;
        let Query { source, class, code, payment, since, until, limit, before, reason: why } = query;
        let limit = limit.unwrap_or(RECORDS);
        if !(1..=MOST).contains(&limit) {
            return Err(bad(&format!("`limit` is {limit}")));
        }
        let code =
            code.map_or(Ok(None), ReasonCode::parse).map_err(|why| bad(&format!("`code` is {why}")))?;
        Ok(Self { source, class, code, payment, since, until, limit, before, why })
    }

    /// The filter for the audit trail, without the payment, of which only a digest is kept there.
    pub(super) fn in_words(&self) -> String {
        let class = self.class.map(|class| format!("class={class:?}").to_lowercase());
        let code = self.code.as_ref().map(|code| format!("code={}", code.as_str()));
        let since = self.since.map(|since| format!("since={since}"));
        let until = self.until.map(|until| format!("until={until}"));
        let given: Vec<String> = [class, code, since, until].into_iter().flatten().collect();
        if given.is_empty() { "all".to_owned() } else { given.join(" ") }
    }

    /// Returns whether a record of the source passes the filter.
    pub(super) fn admits(&self, record: &Record) -> bool {
        self.class.is_none_or(|class| record.class() == class)
            && (self.code.is_none() || record.reason == self.code)
            && (self.payment.is_none() || record.payment == self.payment)
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

pub(super) fn bad(why: &str) -> Problem {
    let detail = format!(
        "{why}; `source` names a source and is needed, `class` is structural, conflict or configuration, `code` is a reason code such as \
         bad_amount, `payment` is a payment's id, `since` and `until` are times such as 2026-11-30T10:00:00Z, `limit` is a number from 1 to \
         {MOST}, and `before` is the `next` of an earlier answer; `reason` says why the operator replays or discards them"
    );
    Problem::bad_request("bad_parameter", detail)
}
