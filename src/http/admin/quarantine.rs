//! The quarantine: its records listed by filter and shown one by one, and what is held of them replayed or discarded, one or many.

mod query;

use super::{
    answer::answer,
    audit::{By, Reason, Why},
};
use crate::{
    http::problem::{self, Problem},
    ingest::{Ingest, ReplayError},
    payment::{Name, Subject},
    source::{Source, Sources},
    store::{
        AuditAction, AuditEntry, Held, HeldId, PaymentDigest, Record, RecordCursor, RecordLog, Store,
        StoreError,
    },
};
use axum::{
    Extension, Router,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use query::Wanted;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The records that are read at once while those are looked for that pass a filter.
const PAGE: usize = 256;

/// The most records that one request looks at. A filter that few records pass needs several requests.
const LOOKED_AT: usize = 4096;

/// Lists, shows, replays and discards.
#[derive(Clone)]
pub(super) struct Quarantine {
    /// Knows the sources. `None` if the node takes no webhooks.
    pub(super) sources: Option<Arc<Sources>>,
    /// Holds the records.
    pub(super) store: Arc<dyn Store>,
    /// Replays. `None` if the node takes no webhooks.
    pub(super) ingest: Option<Arc<Ingest>>,
}

/// What is done with a held record.
#[derive(Clone, Copy)]
enum Act {
    Replay,
    Discard,
}

impl Act {
    /// The beginning of the entry of the audit trail. A reason may not name the payment.
    fn entry(
        self,
        by: &By,
        source: &Source,
        payment: Option<&Name>,
        reason: Option<Reason>,
    ) -> Result<AuditEntry, Problem> {
        payment.map_or(Ok(()), |payment| Reason::not_naming(reason.as_ref(), payment))?;
        let action = match self {
            Self::Replay => AuditAction::Replay,
            Self::Discard => AuditAction::Discard,
        };
        let subject = payment.map(|payment| Subject::payment(source.realm().clone(), payment.clone()));
        Ok(AuditEntry {
            source: Some(source.name().to_owned()),
            realm: Some(source.realm().clone()),
            payment: subject.as_ref().map(PaymentDigest::of),
            ..by.entry(action, reason)
        })
    }
}

/// Some records that pass a filter.
struct Found {
    records: Vec<Record>,
    /// Where to go on, if there may be more.
    next: Option<RecordCursor>,
}

impl Quarantine {
    /// The routes.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/quarantine", get(list))
            .route("/quarantine/replay", post(replay_many))
            .route("/quarantine/discard", post(discard_many))
            .route("/quarantine/{id}", get(show))
            .route("/quarantine/{id}/replay", post(replay))
            .route("/quarantine/{id}/discard", post(discard))
            .with_state(self)
    }

    fn ingest(&self) -> Result<&Ingest, Problem> {
        self.ingest.as_deref().ok_or_else(problem::other_role)
    }

    fn source(&self, name: &str) -> Result<Arc<Source>, Problem> {
        let sources = self.sources.as_deref().ok_or_else(problem::other_role)?;
        sources.get(name).ok_or_else(problem::unknown_source)
    }

    /// The records of a source that pass a filter, newest first.
    async fn find(&self, wanted: &Wanted, is_wanted: impl Fn(&Record) -> bool) -> Result<Found, Problem> {
        let mut found = Found { records: Vec::new(), next: wanted.before };
        let mut looked_at = 0;
        loop {
            let page = self.store.records(RecordLog::Quarantine, &wanted.source, found.next, PAGE).await;
            let page = page.map_err(unavailable)?;
            let (count, next) = (page.records.len(), page.next);
            for (place, (cursor, record)) in (1..).zip(page.cursors.into_iter().zip(page.records)) {
                if wanted.admits(&record) && is_wanted(&record) {
                    found.records.push(record);
                }
                if found.records.len() == wanted.limit {
                    found.next = Some(cursor).filter(|_| place < count || next.is_some());
                    return Ok(found);
                }
            }
            looked_at += count;
            found.next = next;
            if next.is_none() || looked_at >= LOOKED_AT {
                return Ok(found);
            }
        }
    }

    /// Replays or discards one record.
    async fn act(&self, act: Act, source: &Source, id: HeldId) -> Result<Value, ReplayError> {
        let Some(ingest) = self.ingest.as_deref() else { return Err(ReplayError::Unknown) };
        let mut said = match act {
            Act::Replay => ingest.replay(source, id).await?,
            Act::Discard => ingest.discard(source, id).await?,
        };
        if let Value::Object(said) = &mut said {
            said.insert("id".to_owned(), full_id(source.name(), id).into());
        }
        Ok(said)
    }

    async fn act_on_one(
        &self,
        act: Act,
        by: &By,
        path: Result<Path<String>, PathRejection>,
        why: Result<Query<Why>, QueryRejection>,
    ) -> Result<Response, Problem> {
        let reason = Why::read(why)?;
        self.ingest()?;
        let (source, id) = self.named(path)?;
        let held = self.store.held(source.name(), id).await.map_err(unavailable)?;
        let payment = match held.ok_or_else(unknown_record)? {
            Held::Waiting(record, _) => record.payment,
            Held::Settled(_) => None,
        };
        let entry = act.entry(by, &source, payment.as_ref(), reason)?;
        let entry = AuditEntry { target: Some(full_id(source.name(), id)), ..entry };
        let change = async { self.act(act, &source, id).await.map_err(|why| not_done(&why)) };
        Ok(answer(&by.change(entry, change).await?))
    }

    /// Acts on all held records that pass a filter, at most as many as its limit.
    async fn act_on_many(
        &self,
        act: Act,
        by: &By,
        wanted: Result<Query<query::Query>, QueryRejection>,
    ) -> Result<Response, Problem> {
        self.ingest()?;
        let mut wanted = Wanted::read(wanted)?;
        let source = self.source(&wanted.source)?;
        let entry = act.entry(by, &source, wanted.payment.as_ref(), wanted.why.take())?;
        let entry = AuditEntry { target: Some(wanted.in_words()), ..entry };
        Ok(answer(&by.change(entry, self.act_on_all(act, &source, &wanted)).await?))
    }

    async fn act_on_all(&self, act: Act, source: &Source, wanted: &Wanted) -> Result<Value, Problem> {
        let found = self.find(wanted, |record| record.held.is_some()).await?;
        let mut results = Vec::with_capacity(found.records.len());
        for id in found.records.iter().filter_map(|record| record.held) {
            results.push(match self.act(act, source, id).await {
                Ok(said) => said,
                Err(why @ (ReplayError::Store(_) | ReplayError::Overloaded)) => return Err(not_done(&why)),
                Err(why) => json!({
                    "id": full_id(source.name(), id), "settled": false, "reason": reason_of(&why), "detail": why.to_string(),
                }),
            });
        }
        let settled = results.iter().filter(|said| said.get("settled") == Some(&Value::Bool(true))).count();
        Ok(json!({
            "source": wanted.source, "settled": settled, "left": results.len() - settled, "results": results, "next": found.next,
        }))
    }

    /// The source and the id that a path names.
    fn named(&self, path: Result<Path<String>, PathRejection>) -> Result<(Arc<Source>, HeldId), Problem> {
        let Ok(Path(path)) = path else { return Err(unknown_record()) };
        let Some((source, id)) = path.rsplit_once('~') else { return Err(unknown_record()) };
        Ok((self.source(source)?, id.parse().map_err(|_| unknown_record())?))
    }

    /// A record as it is listed.
    fn listed(record: &Record) -> Value {
        let mut listed = json!(record);
        if let Value::Object(listed) = &mut listed {
            let id = record.held.map(|id| full_id(&record.source, id));
            listed.remove("held");
            listed.insert("id".to_owned(), json!(id));
            listed.insert("class".to_owned(), json!(record.class()));
            listed.insert("because".to_owned(), record.because().into());
        }
        listed
    }
}

/// The id of a held record among those of all sources.
fn full_id(source: &str, id: HeldId) -> String {
    format!("{source}~{id}")
}

async fn list(
    State(quarantine): State<Quarantine>,
    wanted: Result<Query<query::Query>, QueryRejection>,
) -> Result<Response, Problem> {
    quarantine.sources.as_deref().ok_or_else(problem::other_role)?;
    let wanted = Wanted::read(wanted)?;
    if wanted.why.is_some() {
        return Err(query::bad(
            "`reason` says why records are replayed or discarded; `code` filters by the code of their reason",
        ));
    }
    quarantine.source(&wanted.source)?;
    let found = quarantine.find(&wanted, |_| true).await?;
    let records: Vec<Value> = found.records.iter().map(Quarantine::listed).collect();
    Ok(answer(&json!({ "source": wanted.source, "records": records, "next": found.next })))
}

async fn show(
    State(quarantine): State<Quarantine>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let ingest = quarantine.ingest()?;
    let (source, id) = quarantine.named(path)?;
    let held = quarantine.store.held(source.name(), id).await.map_err(unavailable)?;
    let full = full_id(source.name(), id);
    Ok(answer(&match held {
        None => return Err(unknown_record()),
        Some(Held::Settled(mut said)) => {
            if let Value::Object(said) = &mut said {
                said.insert("id".to_owned(), full.into());
            }
            said
        }
        Some(Held::Waiting(record, kept)) => {
            let why = ingest.may_replay(&source, &kept).err();
            let mut shown = Quarantine::listed(&record);
            if let Value::Object(shown) = &mut shown {
                shown.insert("settled".to_owned(), false.into());
                shown.insert("replayable".to_owned(), why.is_none().into());
                shown.extend(why.map(|why| ("not_replayable".to_owned(), why.to_string().into())));
                shown.insert("kept".to_owned(), kept);
            }
            shown
        }
    }))
}

async fn replay(
    Extension(by): Extension<By>,
    State(quarantine): State<Quarantine>,
    path: Result<Path<String>, PathRejection>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Response, Problem> {
    quarantine.act_on_one(Act::Replay, &by, path, why).await
}

async fn discard(
    Extension(by): Extension<By>,
    State(quarantine): State<Quarantine>,
    path: Result<Path<String>, PathRejection>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Response, Problem> {
    quarantine.act_on_one(Act::Discard, &by, path, why).await
}

async fn replay_many(
    Extension(by): Extension<By>,
    State(quarantine): State<Quarantine>,
    wanted: Result<Query<query::Query>, QueryRejection>,
) -> Result<Response, Problem> {
    quarantine.act_on_many(Act::Replay, &by, wanted).await
}

async fn discard_many(
    Extension(by): Extension<By>,
    State(quarantine): State<Quarantine>,
    wanted: Result<Query<query::Query>, QueryRejection>,
) -> Result<Response, Problem> {
    quarantine.act_on_many(Act::Discard, &by, wanted).await
}

fn unavailable(why: StoreError) -> Problem {
    Problem::unavailable("store_unavailable", why.to_string(), RETRY_AFTER)
}

fn unknown_record() -> Problem {
    let detail = "no record of this id is held; GET /admin/quarantine?source=NAME lists those that are";
    Problem::new(StatusCode::NOT_FOUND, "unknown_record", detail)
}

const fn reason_of(why: &ReplayError) -> &'static str {
    match why {
        ReplayError::Unknown => "unknown_record",
        ReplayError::NotReplayable(_) => "not_replayable",
        ReplayError::Unreadable(_) => "unreadable_record",
        ReplayError::Overloaded => "overload",
        ReplayError::Store(_) => "store_unavailable",
    }
}

fn not_done(why: &ReplayError) -> Problem {
    match why {
        ReplayError::Unknown => unknown_record(),
        ReplayError::NotReplayable(_) | ReplayError::Unreadable(_) => {
            Problem::new(StatusCode::CONFLICT, reason_of(why), why.to_string())
        }
        ReplayError::Overloaded | ReplayError::Store(_) => {
            Problem::unavailable(reason_of(why), why.to_string(), RETRY_AFTER)
        }
    }
}
