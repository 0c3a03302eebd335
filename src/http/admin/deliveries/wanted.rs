//! What a request for deliveries asks for: a filter, and how many.

use super::place::DeliveryPlace;
use crate::http::admin::like::like;
use crate::{
    http::{
        asked::{self, Asked},
        parameters::{TIME, known_only, one, several},
        problem::Problem,
    },
    payment::{Name, Time},
    source::Sources,
    store::{OutcomeKind, ReasonCode, Record},
};
use axum::http::StatusCode;
use std::{str::FromStr as _, sync::Arc};

/// Records of an answer, if the request does not say how many.
const RECORDS: usize = 100;

/// The most records of an answer: as many as one source has at most.
const MAX_RECORDS: usize = 1024;

const PARAMETERS: [&str; 12] = [
    "source",
    "outcome",
    "reason",
    "payment",
    "event",
    "type",
    "secret",
    "since",
    "until",
    "limit",
    "before",
    "last_event_id",
];

/// What is asked for.
pub(super) struct Wanted {
    /// The sources that are named; all, if there are none.
    sources: Vec<Arc<str>>,
    outcomes: Vec<OutcomeKind>,
    reasons: Vec<String>,
    /// The payment that the records are about.
    pub(super) payment: Option<Name>,
    events: Vec<String>,
    kinds: Vec<String>,
    secrets: Vec<String>,
    since: Option<Time>,
    until: Option<Time>,
    /// The most records of a page, or of those with which following begins.
    pub(super) limit: usize,
    /// Only what comes before this place.
    pub(super) before: Option<DeliveryPlace>,
}

impl Wanted {
    /// Reads the query. A filter that is not understood is refused, and so is a source that is not configured.
    pub(super) fn read(asked: &Asked, sources: &Sources) -> Result<Self, Problem> {
        known_only(asked, PARAMETERS.iter().copied())?;
        let outcomes = OutcomeKind::ALL.map(OutcomeKind::word).join(", ");
        let outcome = |text: &str| OutcomeKind::ALL.into_iter().find(|kind| kind.word() == text).ok_or(());
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let code = |text: &str| {
            let is_reason = (1..=64).contains(&text.len()) && text.bytes().all(is_code);
            is_reason.then(|| text.to_owned()).ok_or(())
        };
        let word =
            |text: &str| Some(text.to_owned()).filter(|text| (1..=256).contains(&text.len())).ok_or(());
        let limit =
            |text: &str| text.parse().ok().filter(|limit| (1..=MAX_RECORDS).contains(limit)).ok_or(());
        let text = |text: &str| Ok::<_, ()>(text.to_owned());
        let source = |name: String| {
            sources
                .get(&name)
                .map_or_else(|| Err(unknown_source(&name, sources)), |source| Ok(source.shared_name()))
        };
        let payment = one(asked, "payment", "", text)?.map(|id| asked::payment(&id)).transpose()?;
        Ok(Self {
            outcomes: several(asked, "outcome", &outcomes, outcome)?,
            reasons: several(asked, "reason", "a reason code, such as bad_signature", code)?,
            payment,
            events: several(asked, "event", "the id of an event", word)?,
            kinds: several(asked, "type", "the provider's type of an event", word)?,
            secrets: several(asked, "secret", "the name of a secret, such as env:ACME_SECRET", word)?,
            since: one(asked, "since", TIME, Time::from_str)?,
            until: one(asked, "until", TIME, Time::from_str)?,
            limit: one(asked, "limit", &format!("a number from 1 to {MAX_RECORDS}"), limit)?
                .unwrap_or(RECORDS),
            before: one(asked, "before", "the `next` of an earlier answer", DeliveryPlace::from_str)?,
            sources: several(asked, "source", "", text)?.into_iter().map(source).collect::<Result<_, _>>()?,
        })
    }

    /// The names of the sources, of which all may change with a reload.
    pub(super) fn sources(&self, all: &Sources) -> Vec<Arc<str>> {
        match self.sources.is_empty() {
            true => all.all().iter().map(|source| source.shared_name()).collect(),
            false => self.sources.clone(),
        }
    }

    /// Whether a record is among what is asked for.
    pub(super) fn has(&self, record: &Record) -> bool {
        fn is_one(wanted: &[String], given: Option<&str>) -> bool {
            wanted.is_empty() || given.is_some_and(|given| wanted.iter().any(|wanted| wanted == given))
        }
        (self.outcomes.is_empty() || self.outcomes.contains(&record.outcome))
            && is_one(&self.reasons, record.reason.as_ref().map(ReasonCode::as_str))
            && self.payment.as_ref().is_none_or(|payment| record.payment.as_ref() == Some(payment))
            && is_one(&self.events, record.event.as_deref())
            && is_one(&self.kinds, record.kind.as_deref())
            && is_one(&self.secrets, record.secret.as_deref())
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}

fn unknown_source(name: &str, sources: &Sources) -> Problem {
    let all = sources.all();
    let like = like(name, all.iter().map(|source| source.name()));
    let detail = format!("no source of this name is configured{like}");
    Problem::new(StatusCode::NOT_FOUND, "unknown_source", detail)
}
