//! A store in memory for tests, whose faults can be scripted: lost notices, trimmed feeds, tails that are rolled back, no answer at all. The
//! embedded store has none of these faults, and the rooms above have to stand all of them.

use super::{
    Append, Appended, AuditEntry, AuditPage, Backlog, Claim, ClaimTerms, Entry, Erased, Erasure, Expiry,
    Feed, Head, Held, HeldId, Holding, IndexPart, Interruption, Labels, Listed, Log, NOTICE_BACKLOG, Notice,
    NoticeBody, NoticedEvent, Parts, Pending, Receipt, Record, RecordCursor, RecordLog, RecordPage,
    Reference, Referent, Settlement, Settling, Store, StoreError,
};
use crate::metrics::Metrics;
use crate::payment::{Cursor, Event, Fact, Money, Name, PartitionSet, Phase, Subject, Tag, Time, Trust};
use crate::receipts::ReceiptBatch;
use async_trait::async_trait;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::broadcast;

pub(crate) struct Fake {
    inner: Mutex<Inner>,
    notices: broadcast::Sender<Arc<Notice>>,
    /// Appends succeed, but send no notice.
    pub(crate) mute: AtomicBool,
    /// The notices of appends have events whose JSON does not fit.
    pub(crate) garble: AtomicBool,
    /// Every call fails.
    pub(crate) lost: AtomicBool,
    /// Every call fails once something has been erased.
    pub(crate) fails_after_erasure: AtomicBool,
    /// An erasure begins after a millisecond. A read of a log takes one, and its answer is that of its beginning.
    pub(crate) slow: AtomicBool,
    /// The number of reads of logs so far.
    pub(crate) reads: AtomicUsize,
    /// The number of reads of the index so far.
    pub(crate) index_reads: AtomicUsize,
    /// The number of reads of logs that are under way.
    reading: AtomicUsize,
    /// The greatest number of such reads so far.
    pub(crate) most_reading: AtomicUsize,
    /// The partitions whose heads are not told.
    pub(crate) lost_partitions: Mutex<PartitionSet>,
    /// Makes the hub believe that its subscription was renewed.
    pub(crate) interruption: tokio::sync::Notify,
    /// Whether that subscription is to another server.
    pub(crate) elsewhere: AtomicBool,
    /// The notices that the hub reported as missed: partition and place.
    pub(crate) missed: Mutex<Vec<(u8, u64)>>,
}

#[derive(Clone, Default)]
pub(crate) struct Inner {
    logs: HashMap<Subject, Vec<Entry>>,
    feeds: HashMap<u8, Vec<Reference>>,
    /// When each payment came first and last.
    index: BTreeMap<Subject, (Time, Time)>,
    /// All payments that changed since this time are in the index.
    complete_since: Option<Time>,
    /// When a payment was last erased.
    erased: Option<Time>,
}

impl Default for Fake {
    fn default() -> Self {
        Self::with_backlog(NOTICE_BACKLOG)
    }
}

impl Fake {
    pub(crate) fn with_backlog(backlog: usize) -> Self {
        Self {
            inner: Mutex::default(),
            notices: broadcast::Sender::new(backlog),
            mute: AtomicBool::new(false),
            garble: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            fails_after_erasure: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
            index_reads: AtomicUsize::new(0),
            reading: AtomicUsize::new(0),
            most_reading: AtomicUsize::new(0),
            lost_partitions: Mutex::default(),
            interruption: tokio::sync::Notify::new(),
            elsewhere: AtomicBool::new(false),
            missed: Mutex::default(),
        }
    }

    /// A copy of what the store holds now, for a later roll-back.
    pub(crate) fn save(&self) -> Inner {
        self.inner.lock().unwrap().clone()
    }

    pub(crate) fn roll_back(&self, saved: Inner) {
        *self.inner.lock().unwrap() = saved;
    }

    /// Forgets all but the newest `keep` references of every feed.
    pub(crate) fn trim(&self, keep: usize) {
        for feed in self.inner.lock().unwrap().feeds.values_mut() {
            feed.drain(..feed.len().saturating_sub(keep));
        }
    }

    /// Leaves the payment that changed longest ago out of the index.
    pub(crate) fn trim_index(&self) {
        let mut inner = self.inner.lock().unwrap();
        let oldest = inner.index.iter().min_by_key(|(_, (_, changed))| *changed);
        let (subject, (_, changed)) = oldest.map(|(subject, times)| (subject.clone(), *times)).unwrap();
        inner.index.remove(&subject);
        inner.complete_since = Time::from_unix_ms(changed.unix_ms() + 1).ok();
    }

    fn answer(&self) -> Result<std::sync::MutexGuard<'_, Inner>, StoreError> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("scripted".into()));
        }
        Ok(self.inner.lock().unwrap())
    }

    fn send(&self, mut notice: Notice) {
        if self.garble.load(Ordering::Relaxed)
            && let NoticeBody::Appended { event, .. } = &mut notice.body
        {
            let subject = serde_json::to_string(event.subject()).unwrap();
            *event = NoticedEvent::from_json(format!("{{\"subject\":{subject}}}").into()).unwrap();
        }
        if !self.mute.load(Ordering::Relaxed) {
            let _ = self.notices.send(Arc::new(notice));
        }
    }

    /// Erases payment `id`.
    pub(crate) async fn forget(&self, id: &str) {
        let (sources, others) = Default::default();
        let erased = self
            .erase(Erasure { subject: subject(id), sources, others, parts: Default::default() })
            .await
            .unwrap();
        assert!(!erased.is_nothing());
    }

    /// Appends an event that says `phase` of payment `id`, and returns its cursor.
    pub(crate) async fn say(&self, id: &str, phase: Phase) -> Cursor {
        let seq = self.read(&subject(id)).await.unwrap().head().seq + 1;
        let event = event(id, &format!("evt_{seq}"), phase);
        match self.append(Append { event, shared_ids: false }).await.unwrap() {
            Appended::New { cursor, .. } => cursor,
            other => panic!("{other:?}"),
        }
    }
}

/// A writer of labels into a store.
pub(crate) fn labels(store: Arc<dyn Store>, metrics: &Arc<Metrics>) -> Arc<Labels> {
    Arc::new(Labels::new(store, Arc::clone(metrics), Duration::from_secs(180 * 86_400)))
}

/// A writer of parts and labels into a store.
pub(crate) fn parts(store: Arc<dyn Store>, metrics: &Arc<Metrics>) -> Arc<Parts> {
    let (labels, history) = (labels(Arc::clone(&store), metrics), Duration::from_secs(180 * 86_400));
    Arc::new(Parts::new(store, labels, Arc::clone(metrics), history))
}

pub(crate) fn subject(id: &str) -> Subject {
    Subject::payment("default".parse().unwrap(), id.parse().unwrap())
}

pub(crate) fn event(payment: &str, id: &str, phase: Phase) -> Event {
    let money = Some(Money { amount: 4200, currency: "EUR".parse().unwrap() });
    Event {
        id: id.into(),
        source: "acme".into(),
        provider: "generic".into(),
        kind: "test".into(),
        occurred_at: Some(crate::clock::now()),
        received_at: crate::clock::now(),
        subject: subject(payment),
        live: true,
        trust: Trust::Verified,
        facts: vec![Fact::phase(phase, money)],
        labels: Vec::new(),
        parts: Vec::new(),
        binding: None,
    }
}

#[async_trait]
impl Store for Fake {
    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let mut inner = self.answer()?;
        let event = Arc::new(append.event);
        let partition = event.subject.partition();
        let tag = Tag::from_random(rand::random());
        let log = inner.logs.entry(event.subject.clone()).or_default();
        log.push(Entry { tag, event: Arc::clone(&event) });
        let cursor = Cursor { tag, seq: log.len() as u64 };
        let now = crate::clock::now();
        inner.index.entry(event.subject.clone()).or_insert((now, now)).1 = now;
        let feed = inner.feeds.entry(partition).or_default();
        let (pos, previous) = feed.last().map_or((1, Tag::NONE), |last| (last.pos + 1, last.tag));
        let to = Referent::Entry { subject: event.subject.clone(), seq: cursor.seq };
        feed.push(Reference { pos, tag, to });
        self.send(Notice {
            partition,
            pos,
            previous,
            tag,
            body: NoticeBody::Appended { seq: cursor.seq, event: event.into() },
        });
        Ok(Appended::New { cursor })
    }

    async fn read(&self, subject: &Subject) -> Result<Log, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let reading = self.reading.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_reading.fetch_max(reading, Ordering::Relaxed);
        let log = self.answer().map(|inner| inner.logs.get(subject).cloned());
        if self.slow.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.reading.fetch_sub(1, Ordering::Relaxed);
        Ok(Log { entries: log?.unwrap_or_default() })
    }

    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.notices.subscribe()
    }

    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError> {
        let inner = self.answer()?;
        let feed = inner.feeds.get(&partition).map(Vec::as_slice).unwrap_or_default();
        let head = feed.last().map_or(0, |last| last.pos);
        let is_gone = feed.first().is_some_and(|first| from < first.pos) || from > head.max(1);
        Ok(match is_gone {
            true => {
                Feed::Gone(feed.last().map_or(Head::default(), |last| Head { pos: last.pos, tag: last.tag }))
            }
            false => Feed::References(feed.iter().filter(|r| r.pos >= from).cloned().collect()),
        })
    }

    async fn heads(&self) -> Result<Vec<Option<Head>>, StoreError> {
        let lost = *self.lost_partitions.lock().unwrap();
        let inner = self.answer()?;
        let head = |p| {
            inner
                .feeds
                .get(&p)
                .and_then(|f| f.last())
                .map_or(Head::default(), |r| Head { pos: r.pos, tag: r.tag })
        };
        Ok((0..=u8::MAX).map(|p| (!lost.contains(p)).then(|| head(p))).collect())
    }

    fn is_indexed(&self) -> bool {
        true
    }

    async fn index(&self, realm: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError> {
        self.index_reads.fetch_add(1, Ordering::Relaxed);
        let inner = self.answer()?;
        let part = |(partition, from): &(u8, Time)| {
            let own = inner
                .index
                .iter()
                .filter(|(subject, _)| subject.realm == *realm && subject.partition() == *partition);
            let count = own.clone().count() as u64;
            let mut listed: Vec<_> = own
                .filter(|(_, (_, changed))| changed >= from)
                .map(|(subject, (first_seen, changed))| Listed {
                    payment: subject.id.clone(),
                    first_seen: *first_seen,
                    changed: *changed,
                    seq: inner.logs.get(subject).map_or(0, |log| log.len() as u64),
                })
                .collect();
            listed.sort_by_key(|listed| (listed.changed, listed.seq));
            let (complete_since, erased) = (inner.complete_since, inner.erased);
            IndexPart { listed, count, now: crate::clock::now(), complete_since, erased }
        };
        Ok(from.iter().map(part).collect())
    }

    async fn record(&self, _: Record) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("keeps no records".into()))
    }

    async fn records(
        &self,
        _: RecordLog,
        _: &str,
        _: Option<RecordCursor>,
        _: usize,
    ) -> Result<RecordPage, StoreError> {
        Err(StoreError::Unavailable("keeps no records".into()))
    }

    async fn hold(&self, _: Record, _: Value) -> Result<Holding, StoreError> {
        Err(StoreError::Unavailable("keeps no records".into()))
    }

    async fn held(&self, _: &str, _: HeldId) -> Result<Option<Held>, StoreError> {
        Err(StoreError::Unavailable("keeps no records".into()))
    }

    async fn settle_held(&self, _: &str, _: HeldId, _: Value) -> Result<Settling, StoreError> {
        Err(StoreError::Unavailable("keeps no records".into()))
    }

    async fn audit(&self, _: AuditEntry) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("keeps no audit trail".into()))
    }

    async fn audit_trail(&self, _: Option<RecordCursor>, _: usize) -> Result<AuditPage, StoreError> {
        Err(StoreError::Unavailable("keeps no audit trail".into()))
    }

    async fn add_receipts(&self, _: ReceiptBatch) -> Result<(), StoreError> {
        self.answer().map(drop)
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
        Err(StoreError::Unavailable("has no work queue".into()))
    }

    async fn claim(&self, _: &str, _: ClaimTerms) -> Result<Claim, StoreError> {
        Ok(Claim::Nothing)
    }

    async fn settle(&self, _: Pending, _: Settlement) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("has no work queue".into()))
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

    async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError> {
        if self.slow.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut inner = self.answer()?;
        let Some(log) = inner.logs.remove(&erasure.subject) else { return Ok(Erased::default()) };
        if self.fails_after_erasure.load(Ordering::Relaxed) {
            self.lost.store(true, Ordering::Relaxed);
        }
        inner.index.remove(&erasure.subject);
        inner.erased = Some(crate::clock::now());
        let (partition, tag) = (erasure.subject.partition(), Tag::from_random(rand::random()));
        let first = log.first().map_or(Tag::NONE, |first| first.tag);
        let feed = inner.feeds.entry(partition).or_default();
        for reference in feed.iter_mut() {
            if matches!(&reference.to, Referent::Entry { subject, .. } if *subject == erasure.subject) {
                reference.to = Referent::Erased { first };
            }
        }
        let (pos, previous) = feed.last().map_or((1, Tag::NONE), |last| (last.pos + 1, last.tag));
        feed.push(Reference { pos, tag, to: Referent::Erased { first } });
        self.send(Notice { partition, pos, previous, tag, body: NoticeBody::Erased { first } });
        Ok(Erased { events: log.len() as u64, ..Erased::default() })
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.answer().map(drop)
    }

    async fn interrupted(&self) -> Interruption {
        self.interruption.notified().await;
        match self.elsewhere.load(Ordering::Relaxed) {
            true => Interruption::Elsewhere(PartitionSet::ALL),
            false => Interruption::Missed(PartitionSet::ALL),
        }
    }

    fn missed(&self, partition: u8, pos: u64) {
        self.missed.lock().unwrap().push((partition, pos));
    }

    async fn close(&self) {}
}

/// The record of a delivery that was accepted.
pub(crate) fn delivery(source: &str, at: Time) -> Record {
    Record {
        log: RecordLog::Deliveries,
        source: source.into(),
        at,
        outcome: super::OutcomeKind::Accepted,
        reason: None,
        event: None,
        unsigned_id: None,
        kind: None,
        payment: None,
        part: None,
        failure_code: None,
        seq: None,
        place: None,
        found: None,
        bytes: None,
        took_us: None,
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: None,
    }
}
