//! The interface that every store implements. It is small on purpose; `tests/it/contract.rs` holds each store to it.

use super::{
    Append, Appended, AuditEntry, AuditPage, Backlog, Backup, Claim, ClaimTerms, Erased, Erasure, Expiry,
    Feed, Head, Held, HeldId, Holding, IndexPart, Interruption, Log, Notice, Pending, Receipt, Record,
    RecordCursor, RecordLog, RecordPage, Settlement, Settling, StoreError,
};
use crate::{
    payment::{Name, Subject, Time},
    receipts::ReceiptBatch,
};
use async_trait::async_trait;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::broadcast;

/// The place where events are kept. All tasks share it; every method may be called concurrently.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Appends one event, durably and at most once, in one atomic step. Returns only after its answer is as durable as
    /// configured (a duplicate's original too), so the caller may acknowledge at once.
    async fn append(&self, append: Append) -> Result<Appended, StoreError>;

    /// Reads the whole log of a subject, in order. The log is empty if the subject is unknown or past its time to live.
    async fn read(&self, subject: &Subject) -> Result<Log, StoreError>;

    /// Subscribes to the notices from now on, in order within a partition. A receiver that lags, or that sees a broken chain of tags,
    /// reads the feed.
    async fn watch(&self) -> broadcast::Receiver<Arc<Notice>>;

    /// Reads the references of a partition's feed from place `from` on, in order, at most [`FEED_LEN`](super::FEED_LEN). The
    /// answer is [`Feed::Gone`] if the feed does not hold that place, because it is older than what is kept or newer than the
    /// head; an empty feed is read from 1.
    async fn feed(&self, partition: u8, from: u64) -> Result<Feed, StoreError>;

    /// The newest place of each partition's feed, indexed by partition: 256 of them, `None` where the server of that partition alone does
    /// not answer. An error means that none answers.
    async fn heads(&self) -> Result<Vec<Option<Head>>, StoreError>;

    /// Whether the store keeps an index of the payments of each realm.
    fn is_indexed(&self) -> bool;

    /// Reads the index of a realm: of each partition that is named, the payments that changed at or after the time beside it. The answer
    /// has one part for each of them, in their order. A store that keeps no index has empty parts.
    async fn index(&self, realm: &Name, from: &[(u8, Time)]) -> Result<Vec<IndexPart>, StoreError>;

    /// Keeps a record for the operators' tools in a bounded log of its source. The oldest records are removed first: of the delivery log those
    /// beyond [`RECORDS_PER_SOURCE`](super::RECORDS_PER_SOURCE), and of each share of the quarantine those beyond
    /// [`RECORDS_PER_SHARE`](super::RECORDS_PER_SHARE). A record of the quarantine is durable before this returns; one of the delivery log may be lost in a crash.
    async fn record(&self, record: Record) -> Result<(), StoreError>;

    /// Reads a page of a source's records, newest first: at most `limit` of those that are older than `before`, or else of all.
    async fn records(
        &self,
        log: RecordLog,
        source: &str,
        before: Option<RecordCursor>,
        limit: usize,
    ) -> Result<RecordPage, StoreError>;

    /// Keeps a record of the quarantine, which bears the id under which it is held, with its body. Durable before it returns. Nothing
    /// displaces it: if its share holds [`HELD_PER_SHARE`](super::HELD_PER_SHARE) already, and none of them is older than
    /// [`HELD_FOR`](super::HELD_FOR), it is not kept and the answer is [`Holding::Full`].
    async fn hold(&self, record: Record, body: Value) -> Result<Holding, StoreError>;

    /// Reads what is held under an id of a source. Nothing, if there never was a record or its time is over.
    async fn held(&self, source: &str, id: HeldId) -> Result<Option<Held>, StoreError>;

    /// Settles a held record: removes it with its body, so that its share has room again, and remembers `settlement` in its place for
    /// [`HELD_FOR`](super::HELD_FOR). All in one atomic step, durable before it returns. A record that was settled before stays as it is.
    async fn settle_held(&self, source: &str, id: HeldId, settlement: Value) -> Result<Settling, StoreError>;

    /// Adds an entry to the audit trail, durably before it returns. The oldest ones beyond [`AUDIT_ENTRIES`](super::AUDIT_ENTRIES) are
    /// removed.
    async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError>;

    /// Reads a page of the audit trail, newest first: at most `limit` of the entries that are older than `before`, or else of all.
    async fn audit_trail(&self, before: Option<RecordCursor>, limit: usize) -> Result<AuditPage, StoreError>;

    /// Adds lines to the receipts of payments, for [`RECEIPT_KEPT`](super::RECEIPT_KEPT) from now on. Of each payment, at most
    /// [`RECEIPT_STREAMS`](crate::receipts::RECEIPT_STREAMS) streams and [`RECEIPT_NODES`](crate::receipts::RECEIPT_NODES) processes are kept, those that came first, and of
    /// each at most [`RECEIPT_BYTES`](crate::receipts::RECEIPT_BYTES); what has no room is counted as left out. A crash may lose what was added last.
    async fn add_receipts(&self, batch: ReceiptBatch) -> Result<(), StoreError>;

    /// Removes the receipt of a payment, if there is one.
    async fn forget_receipt(&self, subject: &Subject) -> Result<(), StoreError>;

    /// Reads the receipt of a payment; nothing if there is none.
    async fn receipt(&self, subject: &Subject) -> Result<Option<Receipt>, StoreError>;

    /// Removes what is too old to be kept, and returns how much that was. It is called again and again, so a crash may undo it.
    async fn expire(&self, expiry: Expiry) -> Result<u64, StoreError>;

    /// Adds a confirmation of a source's payment to the work queue, due `after` from now, durably before it returns. A part for which events
    /// wait is such an item too, with the realm of its log in the source's place. If it is pending
    /// already, it is due no later than that, and its attempts begin anew; if it is claimed, it will be pending again after its
    /// settlement.
    async fn enqueue(&self, source: &str, payment: &Name, after: Duration) -> Result<(), StoreError>;

    /// Claims the pending confirmation of a source that has been due longest, for this caller alone until its lease ends.
    async fn claim(&self, source: &str, terms: ClaimTerms) -> Result<Claim, StoreError>;

    /// Settles a claimed confirmation. Does nothing if the lease has ended and another caller holds the claim.
    async fn settle(&self, pending: Pending, settlement: Settlement) -> Result<(), StoreError>;

    /// The backlog of each source that has pending confirmations, claimed or not, whether the source is still configured or not.
    async fn backlogs(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError>;

    /// The backlog of each queue of parts that holds any, by the queue's name: see [`QueueKind::Parts`](super::QueueKind::Parts).
    async fn backlogs_of_parts(&self) -> Result<BTreeMap<Arc<str>, Backlog>, StoreError>;

    /// The items of a queue that have been pending longest, and since when: at most `limit`, the oldest first.
    async fn oldest(&self, queue: &str, limit: usize) -> Result<Vec<(Name, Time)>, StoreError>;

    /// Removes all that the store holds about a payment: its log and what is remembered of its events, the references of the feed, the
    /// records of its realm's sources, its pending confirmations, its receipt. Watchers get a notice, and a later event begins a new log. Durable
    /// before it returns. The parts are not removed in one step, so after an error some may be left; another call removes them. What
    /// comes in at the same time may be kept.
    async fn erase(&self, erasure: Erasure) -> Result<Erased, StoreError>;

    /// Begins a backup of what the store holds now: everything that was acknowledged until then. Nothing, if the store is a server that others
    /// look after.
    async fn backup(&self) -> Result<Option<Backup>, StoreError> {
        Ok(None)
    }

    /// Checks whether an append would succeed now: the store is reachable, and durable as configured.
    async fn health(&self) -> Result<(), StoreError>;

    /// Returns each time that notices may have been lost, and says what else may be. There may be one waiter at a time. A store whose
    /// notices cannot be lost never returns.
    async fn interrupted(&self) -> Interruption {
        std::future::pending().await
    }

    /// Tells the store that the notice of place `pos` in `partition`'s feed should have come by now. A store that never received
    /// it subscribes again.
    fn missed(&self, _partition: u8, _pos: u64) {}

    /// Releases everything that the store holds. Nothing is lost, as all that must last was written before it was acknowledged.
    /// Later calls fail.
    async fn close(&self);
}
