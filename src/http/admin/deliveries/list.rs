//! One page of deliveries: the newest of all sources that are asked for.
//!
//! The records of all sources are read and put in order by their times. A source has at most 1024 of them, so a page reads a bounded
//! number, whatever is filtered; no index would be smaller.

use super::{
    place::{DeliveryPlace, as_json},
    wanted::Wanted,
};
use crate::{
    clock,
    http::{admin::like::like, problem::Problem},
    payment::{Name, Subject},
    source::Sources,
    store::{Expiry, RECORDS_PER_SOURCE, Record, RecordLog, Store, StoreError},
};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// When to ask again after the store did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The page that is asked for, as JSON.
pub(super) async fn page(store: &dyn Store, sources: &Sources, wanted: &Wanted) -> Result<Value, Problem> {
    let oldest = Expiry::at(clock::now()).deliveries;
    let names = wanted.sources(sources);
    let mut found: Vec<(DeliveryPlace, Record)> = Vec::new();
    let mut payments = BTreeSet::new();
    for name in &names {
        let page = store.records(RecordLog::Deliveries, name, None, RECORDS_PER_SOURCE).await;
        let page = page.map_err(unavailable)?;
        for (cursor, record) in page.cursors.into_iter().zip(page.records) {
            if record.at < oldest {
                continue;
            }
            if wanted.payment.is_some() {
                payments.extend(record.payment.clone());
            }
            let place = DeliveryPlace::of(&record, cursor);
            if wanted.has(&record) && wanted.before.as_ref().is_none_or(|before| place < *before) {
                found.push((place, record));
            }
        }
        // What cannot be on the page is dropped, so that the memory does not grow with the number of sources.
        found.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        found.truncate(wanted.limit + 1);
    }
    if let Some(payment) = &wanted.payment {
        is_known(store, sources, &names, payment, &payments).await?;
    }
    let has_more = found.len() > wanted.limit;
    found.truncate(wanted.limit);
    let next = found.last().map(|(place, _)| place.to_string()).filter(|_| has_more);
    let records: Vec<Value> = found.iter().map(|(place, record)| as_json(place, record)).collect();
    Ok(json!({ "records": records, "next": next }))
}

/// Refuses a payment of which neither the records nor the logs of the sources' realms know anything.
async fn is_known(
    store: &dyn Store,
    sources: &Sources,
    names: &[Arc<str>],
    payment: &Name,
    recorded: &BTreeSet<Name>,
) -> Result<(), Problem> {
    if recorded.contains(payment) {
        return Ok(());
    }
    let realms: BTreeSet<Name> =
        names.iter().filter_map(|name| Some(sources.get(name)?.realm().clone())).collect();
    for realm in realms {
        let log = store.read(&Subject::payment(realm, payment.clone())).await.map_err(unavailable)?;
        if !log.entries.is_empty() {
            return Ok(());
        }
    }
    let like = like(payment.as_str(), recorded.iter().map(Name::as_str));
    let detail = format!("nothing is known of this payment{like}");
    Err(Problem::new(StatusCode::NOT_FOUND, "unknown_payment", detail))
}

fn unavailable(error: StoreError) -> Problem {
    Problem::unavailable("store_unavailable", error.to_string(), RETRY_AFTER)
}
