//! A store that keeps nothing, and the events of payments. The stores of the tests keep everything, and that would be measured too.

use async_trait::async_trait;
use paystream::{
    payment::{Cursor, Event, Fact, Money, Name, PARTITIONS, Phase, Subject, Tag, Time, Trust},
    receipts::ReceiptBatch,
    store::{
        Append, Appended, AuditEntry, AuditPage, Backlog, Claim, ClaimTerms, Entry, Erased, Erasure, Expiry,
        Feed, Head, Held, HeldId, Holding, IndexPart, Log, Notice, Pending, Receipt, Record, RecordCursor,
        RecordLog, RecordPage, Settlement, Settling, Store, StoreError,
    },
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::broadcast;

/// A store that takes everything and keeps nothing.
pub(crate) struct Scripted {
    log: Log,
    notices: broadcast::Sender<Arc<Notice>>,
    heads: Mutex<Vec<Head>>,
}

impl Scripted {
    /// A store of which every log that is read is this one.
    pub(crate) fn of(log: Log) -> Self {
        let heads = vec![Head::default(); PARTITIONS].into();
        Self { log, notices: broadcast::Sender::new(1_024), heads }
    }

    /// Tells those who watch the store of an event, as if it had just been appended.
    pub(crate) fn announce(&self, notice: Notice) {
        let head = Head { pos: notice.pos, tag: notice.tag };
        *self.heads.lock().unwrap().get_mut(usize::from(notice.partition)).unwrap() = head;
        self.notices.send(Arc::new(notice)).unwrap();
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.notices.receiver_count() > 0
    }
}

#[async_trait]
impl Store for Scripted {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        black_box(append);
        Ok(Appended::New { cursor: Cursor { tag: Tag::from_random(1), seq: 1 } })
    }

    fn is_indexed(&self) -> bool {
        false
    }

    async fn index(&self, _: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        Ok(vec![IndexPart::default(); from.len()])
    }

    async fn record(&self, record: Record) -> Result<(), StoreError> {
        black_box(record);
        Ok(())
    }

    async fn read(&self, _: &Subject) -> Result<Log, StoreError> {
        Ok(self.log.clone())
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    async fn feed(&self, _: u8, _: u64) -> Result<Feed, StoreError> {
        Ok(Feed::Gone(Head::default()))
    }

    async fn heads(&self) -> Result<Vec<Option<Head>>, StoreError> {
        Ok(self.heads.lock().unwrap().iter().copied().map(Some).collect())
    }

    async fn records(
        &self,
        _: RecordLog,
        _: &str,
        _: Option<RecordCursor>,
        _: usize,
    ) -> Result<RecordPage, StoreError> {
        Ok(RecordPage::default())
    }

    async fn hold(&self, record: Record, body: Value) -> Result<Holding, StoreError> {
        black_box((record, body));
        Ok(Holding::Held(1))
    }

    async fn held(&self, _: &str, _: HeldId) -> Result<Option<Held>, StoreError> {
        Ok(None)
    }

    async fn settle_held(&self, _: &str, _: HeldId, _: Value) -> Result<Settling, StoreError> {
        Ok(Settling::Unknown)
    }

    async fn audit(&self, _: AuditEntry) -> Result<(), StoreError> {
        Ok(())
    }

    async fn audit_trail(&self, _: Option<RecordCursor>, _: usize) -> Result<AuditPage, StoreError> {
        Ok(AuditPage::default())
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

    async fn enqueue(&self, _: &str, _: &Name, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn claim(&self, _: &str, _: ClaimTerms) -> Result<Claim, StoreError> {
        Ok(Claim::Nothing)
    }

    async fn settle(&self, _: Pending, _: Settlement) -> Result<(), StoreError> {
        Ok(())
    }

    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn backlogs_of_parts(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError> {
        Ok(BTreeMap::new())
    }

    async fn oldest(&self, _: &str, _: usize) -> Result<Vec<(Name, Time)>, StoreError> {
        Ok(Vec::new())
    }

    async fn erase(&self, _: Erasure) -> Result<Erased, StoreError> {
        Ok(Erased::default())
    }

    async fn health(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

/// The log's subject of a payment.
pub(crate) fn subject(payment: u64) -> Subject {
    let id: Name = format!("pay_{payment}").parse().unwrap();
    Subject::payment("default".parse().unwrap(), id)
}

/// The four events of a payment that is tried, approved, captured, and told of once more.
pub(crate) fn life(payment: u64) -> impl Iterator<Item = Event> + Clone {
    let phases = [Phase::Created, Phase::Processing, Phase::Authorized, Phase::Captured];
    phases.into_iter().zip(0_i64..).map(move |(phase, n)| {
        let money = Money { amount: 1_250, currency: "EUR".parse().unwrap() };
        Event {
            id: format!("evt_{payment}_{n}").into(),
            source: "acme".into(),
            provider: "stripe".into(),
            kind: "payment_intent.changed".into(),
            occurred_at: Time::from_unix_s(1_790_000_000 + n).ok(),
            received_at: Time::from_unix_s(1_790_000_001 + n).unwrap(),
            subject: subject(payment),
            live: true,
            trust: Trust::Verified,
            facts: vec![Fact::phase(phase, Some(money))],
            labels: Vec::new(),
            parts: Vec::new(),
            binding: None,
        }
    })
}

/// The log of a payment's life.
pub(crate) fn log(payment: u64) -> Log {
    let entry = |(event, tag)| Entry { tag: Tag::from_random(tag), event: Arc::new(event) };
    Log { entries: life(payment).zip(1..).map(entry).collect() }
}
