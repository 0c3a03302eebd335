//! The store of ingest's tests.

use super::*;
use crate::{
    payment::{Cursor, Subject, Tag},
    receipts::ReceiptBatch,
    store::{
        AuditEntry, AuditPage, Backlog, Claim, ClaimTerms, Conflict, Entry, Erased, Erasure, Expiry, Feed,
        Head, Held, HeldId, Holding, IndexPart, Log, Notice, Pending, Receipt, Record, RecordCursor,
        RecordLog, RecordPage, Settlement, Settling,
    },
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::Duration,
};
use tokio::sync::broadcast;

/// A store that keeps what it is given in memory, and fails or waits where a test wants it to.
#[derive(Default)]
pub(crate) struct Fake {
    pub(super) events: Mutex<Vec<Event>>,
    pub(super) records: Mutex<Vec<Record>>,
    /// What is held, with its bodies.
    pub(super) held: Mutex<Vec<(Record, Value)>>,
    /// The error with which the next settlement fails, if it fails.
    pub(super) unsettled: Mutex<Option<StoreError>>,
    /// Whether there is no room to hold any more.
    pub(super) is_full: Mutex<bool>,
    recorded: Notify,
    pub(super) fails: Mutex<Option<StoreError>>,
    pub(super) conflicts: Mutex<Option<Conflict>>,
    /// How often a confirmation of each payment became pending.
    pub(super) pending: Mutex<HashMap<String, usize>>,
    /// The error with which noting a pending confirmation fails, if it fails.
    pub(super) refuses: Mutex<Option<StoreError>>,
    /// Appends wait while a test holds this lock.
    pub(super) gate: tokio::sync::Mutex<()>,
}

impl Fake {
    fn check(&self) -> Result<(), StoreError> {
        self.fails.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    /// Returns the first record of a log, once it is there.
    pub(super) async fn first(&self, log: RecordLog) -> Record {
        loop {
            let recorded = self.recorded.notified();
            if let Some(record) = self.records.lock().unwrap().iter().find(|record| record.log == log) {
                return record.clone();
            }
            recorded.await;
        }
    }
}

#[async_trait]
impl Store for Fake {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let _open = self.gate.lock().await;
        self.check()?;
        if let Some(conflict) = *self.conflicts.lock().unwrap() {
            return Ok(Appended::Conflict(conflict));
        }
        let mut events = self.events.lock().unwrap();
        let cursor = |place: usize| Cursor { tag: Tag::from_random(1), seq: place as u64 + 1 };
        let mut log = events.iter().filter(|event| event.subject == append.event.subject);
        let place = log.clone().count();
        if let Some(place) = log.position(|event| event.id == append.event.id) {
            return Ok(Appended::Duplicate { cursor: cursor(place) });
        }
        events.push(append.event);
        Ok(Appended::New { cursor: cursor(place) })
    }

    fn is_indexed(&self) -> bool {
        false
    }

    async fn index(&self, _: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        Ok(vec![IndexPart::default(); from.len()])
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        self.check()?;
        self.records.lock().unwrap().push(record);
        self.recorded.notify_waiters();
        Ok(())
    }

    async fn read(&self, subject: &Subject) -> Result<Log, StoreError> {
        let events = self.events.lock().unwrap();
        let own = events.iter().filter(|event| event.subject == *subject);
        let entry = |event: &Event| Entry { tag: Tag::from_random(1), event: Arc::new(event.clone()) };
        Ok(Log { entries: own.map(entry).collect() })
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        broadcast::channel(1).1
    }

    async fn feed(&self, _: u8, _: u64) -> Result<Feed, StoreError> {
        Ok(Feed::Gone(Head::default()))
    }

    async fn heads(&self) -> Result<Vec<Option<Head>>, StoreError> {
        Ok(Vec::new())
    }

    async fn records(
        &self,
        _: RecordLog,
        _: &str,
        _: Option<RecordCursor>,
        _: usize,
    ) -> Result<RecordPage, StoreError> {
        Ok(RecordPage { records: self.records.lock().unwrap().clone(), ..RecordPage::default() })
    }

    async fn hold(&self, record: Record, body: Value) -> Result<Holding, StoreError> {
        self.check()?;
        if *self.is_full.lock().unwrap() {
            return Ok(Holding::Full);
        }
        self.held.lock().unwrap().push((record.clone(), body));
        self.records.lock().unwrap().push(record);
        self.recorded.notify_waiters();
        Ok(Holding::Held(1))
    }

    async fn held(&self, _: &str, id: HeldId) -> Result<Option<Held>, StoreError> {
        let held = self.held.lock().unwrap();
        let found = held.iter().find(|(record, _)| record.held == Some(id));
        Ok(found.map(|(record, body)| Held::Waiting(Box::new(record.clone()), body.clone())))
    }

    async fn settle_held(&self, _: &str, _: HeldId, _: Value) -> Result<Settling, StoreError> {
        self.unsettled.lock().unwrap().take().map_or(Ok(Settling::Now), Err)
    }

    async fn audit(&self, _: AuditEntry) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("keeps no audit trail".into()))
    }

    async fn audit_trail(&self, _: Option<RecordCursor>, _: usize) -> Result<AuditPage, StoreError> {
        Err(StoreError::Unavailable("keeps no audit trail".into()))
    }

    async fn add_receipts(&self, _: ReceiptBatch) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget_receipt(&self, _: &Subject) -> Result<(), StoreError> {
        Ok(())
    }

    async fn receipt(&self, _: &Subject) -> Result<Option<Receipt>, StoreError> {
        Ok(None)
    }

    async fn expire(&self, _: Expiry) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn enqueue(&self, _: &str, payment: &Name, _: Duration) -> Result<(), StoreError> {
        *self.pending.lock().unwrap().entry(payment.to_string()).or_default() += 1;
        self.refuses.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    async fn claim(&self, _: &str, _: ClaimTerms) -> Result<Claim, StoreError> {
        Ok(Claim::Nothing)
    }

    async fn settle(&self, _: Pending, _: Settlement) -> Result<(), StoreError> {
        Ok(())
    }

    async fn backlogs_of_parts(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn oldest(&self, _: &str, _: usize) -> Result<Vec<(Name, Time)>, StoreError> {
        Ok(Vec::new())
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn erase(&self, _: Erasure) -> Result<Erased, StoreError> {
        Ok(Erased::default())
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.check()
    }

    async fn close(&self) {}
}
