//! The receipt of a payment: what its provider sent, what became of it, and which page was told what and when.
//!
//! What came in is told by the payment's log, and by the records of deliveries as long as they are kept; what went out by the receipt that
//! the nodes wrote.

mod timeline;

use super::{answer::answer, like::like};
use crate::{
    clock,
    http::{
        asked::{self, Asked},
        parameters::{known_only, one},
        problem::Problem,
    },
    payment::{Bindings, Name, Subject},
    receipts::Receipts,
    source::Sources,
    store::{Expiry, Log, RECORDS_PER_SOURCE, Receipt, Record, RecordLog, Store, StoreError},
};
use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use std::{collections::BTreeSet, str::FromStr as _, sync::Arc, time::Duration};
use timeline::WhatIsKnown;

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Shows receipts.
#[derive(Clone)]
pub(super) struct ReceiptTool {
    /// Knows the realms and their sources. `None` if the node takes no webhooks.
    pub(super) sources: Option<Arc<Sources>>,
    pub(super) store: Arc<dyn Store>,
    /// Whether receipts are kept.
    pub(super) is_on: bool,
}

/// What is known of one payment.
struct Known {
    subject: Subject,
    log: Log,
    /// The receipt of the payment, and those of its labels, by which pages may have asked for it.
    receipts: Vec<Receipt>,
}

impl ReceiptTool {
    /// The route.
    pub(super) fn routes(self) -> Router {
        Router::new().route("/receipts", get(show)).with_state(self)
    }

    /// The realms in which the payment may be.
    fn realms(&self, wanted: Option<Name>) -> Result<Vec<Name>, Problem> {
        let sources = match (wanted, &self.sources) {
            (Some(realm), _) => return Ok(vec![realm]),
            (None, Some(sources)) => sources.all(),
            (None, None) => {
                let detail = "this node knows no sources and so no realms; name the payment's `realm`";
                return Err(Problem::bad_request("bad_parameter", detail));
            }
        };
        let realms: BTreeSet<Name> = sources.iter().map(|source| source.realm().clone()).collect();
        Ok(realms.into_iter().collect())
    }

    /// What is known of a payment in a realm, if anything is: of its own id or, if that has no log, of the one payment that it is a label of.
    /// With `live`, only a payment with an event of that mode.
    async fn known(&self, realm: Name, id: &Name, live: Option<bool>) -> Result<Option<Known>, StoreError> {
        let mut subject = Subject::payment(realm.clone(), id.clone());
        let mut log = self.store.read(&subject).await?;
        let mut ids = BTreeSet::new();
        if log.entries.is_empty()
            && let Some(label) = Subject::label(&realm, id.clone())
        {
            let bound = self.store.read(&label).await?;
            let payments = Bindings::fold(bound.entries.iter().map(|entry| &*entry.event)).payments();
            if let [payment] = &payments[..] {
                subject = Subject::payment(realm.clone(), payment.clone());
                log = self.store.read(&subject).await?;
                ids.insert(id.clone());
            }
        }
        let is_wanted = |live: bool| log.entries.iter().any(|entry| entry.event.live == live);
        if live.is_some_and(|live| !is_wanted(live)) {
            return Ok(None);
        }
        let labels = log.entries.iter().flat_map(|entry| &entry.event.labels);
        ids.extend(labels.map(|label| label.id.clone()));
        ids.insert(subject.id.clone());
        let mut receipts = Vec::new();
        for id in ids {
            receipts.extend(self.store.receipt(&Subject::payment(realm.clone(), id)).await?);
        }
        Ok((!log.entries.is_empty() || !receipts.is_empty()).then_some(Known { subject, log, receipts }))
    }

    /// The records of deliveries to the sources of a realm, and to those that a log names, that are not too old to be shown.
    async fn records(&self, realm: &Name, log: &Log) -> Result<Vec<Record>, StoreError> {
        let mut names: BTreeSet<Arc<str>> =
            self.sources.as_ref().map(|sources| sources.by_realm(realm).0).unwrap_or_default();
        names.extend(log.entries.iter().map(|entry| Arc::clone(&entry.event.source)));
        let oldest = Expiry::at(clock::now()).deliveries;
        let mut records = Vec::new();
        for name in names {
            let page = self.store.records(RecordLog::Deliveries, &name, None, RECORDS_PER_SOURCE).await?;
            records.extend(page.records.into_iter().filter(|record| record.at >= oldest));
        }
        Ok(records)
    }
}

/// Has the notes dropped that wait for a payment which is about to be erased.
pub(super) fn forget(receipts: Option<&Receipts>, subject: &Subject) {
    if let Some(receipts) = receipts {
        receipts.note(subject, crate::receipts::ReceiptEvent::Erased);
    }
}

async fn show(State(tool): State<ReceiptTool>, request: Request) -> Result<Response, Problem> {
    let asked = Asked::from(request.into_parts().0);
    known_only(&asked, ["payment", "realm", "live"].into_iter())?;
    let payment = one(&asked, "payment", "", |text| Ok::<_, ()>(text.to_owned()))?;
    let payment = asked::payment(&payment.unwrap_or_default())?;
    let realm = one(&asked, "realm", "the name of a realm", Name::from_str)?;
    let live = one(&asked, "live", "true or false", bool::from_str)?;
    if !tool.is_on {
        let detail = "receipts are not kept: receipts = false under [store]";
        return Err(Problem::new(StatusCode::NOT_FOUND, "receipts_off", detail));
    }
    let realms = tool.realms(realm)?;
    let mut found = Vec::new();
    for realm in &realms {
        found.extend(tool.known(realm.clone(), &payment, live).await.map_err(unavailable)?);
    }
    let known = match (found.pop(), found.pop()) {
        (Some(known), None) => known,
        (Some(one), Some(other)) => {
            let (one, other) = (one.subject.realm, other.subject.realm);
            let detail = format!(
                "several realms know this payment, among them {other} and {one}; name one by `realm`"
            );
            return Err(Problem::bad_request("bad_parameter", detail));
        }
        (None, _) => return Err(unknown(&tool, &realms, &payment).await),
    };
    let Known { subject, log, receipts } = known;
    let records = tool.records(&subject.realm, &log).await.map_err(unavailable)?;
    Ok(answer(&timeline::shown(&subject, &WhatIsKnown { log, records, receipts })))
}

async fn unknown(tool: &ReceiptTool, realms: &[Name], payment: &Name) -> Problem {
    let mut known = BTreeSet::new();
    for realm in realms {
        let records = tool.records(realm, &Log::default()).await.unwrap_or_default();
        known.extend(records.into_iter().filter_map(|record| record.payment));
    }
    let like = like(payment.as_str(), known.iter().map(Name::as_str));
    let detail = format!("nothing is known of this payment, and no page has asked for it{like}");
    Problem::new(StatusCode::NOT_FOUND, "unknown_payment", detail)
}

fn unavailable(error: StoreError) -> Problem {
    Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER)
}
