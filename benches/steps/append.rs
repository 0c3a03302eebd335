//! Events to the embedded store, durably: sixteen payments with the four events of a life each, all appended at once, so that they share few
//! syncs of the disk. Once with no index, and once with that of all payments.

use crate::stubs::life;
use futures_util::future::join_all;
use paystream::{
    metrics::Metrics,
    store::{
        Append, Appended, RECENT, Store as _,
        embedded::{Embedded, Settings},
    },
};
use std::{sync::Arc, time::Duration};

const PAYMENTS: u64 = 16;

pub(crate) fn append() -> Box<dyn FnMut()> {
    append_with(0)
}

pub(crate) fn index() -> Box<dyn FnMut()> {
    append_with(RECENT)
}

fn append_with(recent: usize) -> Box<dyn FnMut()> {
    let folder = tempfile::tempdir().unwrap();
    let history = Duration::from_secs(180 * 86_400);
    let settings = Settings { path: folder.path().join("data"), history, recent };
    let store = Embedded::open(&settings, Arc::new(Metrics::new())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut first = 0;
    Box::new(move || {
        let _lives_as_long_as_the_store = &folder;
        let events = (first..first + PAYMENTS).flat_map(life);
        let appends = events.map(|event| store.append(Append { event, shared_ids: false }));
        for appended in runtime.block_on(join_all(appends)) {
            assert!(matches!(appended.unwrap(), Appended::New { .. }));
        }
        first += PAYMENTS;
    })
}
