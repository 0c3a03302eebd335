//! Commands: what tasks ask of the writer's thread, each with the way back for its answer.

use super::layout::KeysToErase;
use crate::{
    payment::{Event, Name, Subject, Time},
    receipts::ReceiptBatch,
    store::{
        Appended, AuditEntry, Backlog, Claim, ClaimTerms, Erased, Erasure, HeldId, Holding, Pending,
        QueueKind, Record, Settlement, Settling, StoreError,
    },
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// The way back for an answer. The receiver may be dropped meanwhile, which changes nothing.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The backlog of each queue that holds anything, by its name.
pub(super) type Backlogs = BTreeMap<Arc<str>, Backlog>;

/// What the writer is asked to do.
pub(super) enum Command {
    /// Append an event.
    Append { event: Arc<Event>, shared_ids: bool, reply: Reply<Appended> },
    /// Keep a record. Without a reply, the record need not be durable.
    Record { record: Box<Record>, reply: Option<Reply<()>> },
    /// Hold a record with its body.
    Hold { record: Box<(Record, Value)>, reply: Reply<Holding> },
    /// Settle a held record.
    SettleHeld { settled: Box<(Arc<str>, HeldId, Value)>, reply: Reply<Settling> },
    /// Add an entry to the audit trail.
    Audit { entry: Box<AuditEntry>, reply: Reply<()> },
    /// Add lines to receipts. They need not be durable.
    AddReceipts { batch: ReceiptBatch },
    /// Remove the receipt of a payment.
    ForgetReceipt { subject: Subject, reply: Reply<()> },
    /// Remove these pairs, which are too old to be kept, and say how many there still were.
    Expire { keys: Vec<Vec<u8>>, reply: Reply<u64> },
    /// Add a pending confirmation.
    Enqueue { source: Arc<str>, payment: Name, after: Duration, reply: Reply<()> },
    /// Claim a pending confirmation.
    Claim { source: Arc<str>, terms: ClaimTerms, reply: Reply<Claim> },
    /// Settle a claimed confirmation.
    Settle { pending: Box<Pending>, settlement: Settlement, reply: Reply<()> },
    /// Report the backlogs of one kind of work.
    Backlogs { of: QueueKind, reply: Reply<Backlogs> },
    /// List the items of a queue that have been pending longest.
    Oldest { queue: Arc<str>, limit: usize, reply: Reply<Vec<(Name, Time)>> },
    /// Erase a payment's log and its pending confirmations.
    Erase { erasure: Box<Erasure>, reply: Reply<Erased> },
    /// Remove these records, which bear an erased payment's id.
    EraseRecords { keys: KeysToErase, reply: Reply<Erased> },
    /// Answer, to show that the writer works.
    Ping { reply: Reply<()> },
}

impl Command {
    /// Answers that it was not done.
    pub(super) fn refuse(self, error: &StoreError) {
        fn send<T>(reply: Reply<T>, error: &StoreError) {
            // A failed send means that nobody waits for it any more.
            let _gone = reply.send(Err(error.clone()));
        }
        match self {
            Self::Append { reply, .. } => send(reply, error),
            Self::Record { reply: None, .. } | Self::AddReceipts { .. } => {}
            Self::Record { reply: Some(reply), .. }
            | Self::Audit { reply, .. }
            | Self::ForgetReceipt { reply, .. }
            | Self::Enqueue { reply, .. }
            | Self::Settle { reply, .. }
            | Self::Ping { reply } => send(reply, error),
            Self::Hold { reply, .. } => send(reply, error),
            Self::SettleHeld { reply, .. } => send(reply, error),
            Self::Claim { reply, .. } => send(reply, error),
            Self::Expire { reply, .. } => send(reply, error),
            Self::Backlogs { reply, .. } => send(reply, error),
            Self::Oldest { reply, .. } => send(reply, error),
            Self::Erase { reply, .. } | Self::EraseRecords { reply, .. } => send(reply, error),
        }
    }
}

/// An answer that waits until its batch is durable.
pub(super) enum Answer {
    Append(Reply<Appended>, Result<Appended, StoreError>),
    Done(Reply<()>, Result<(), StoreError>),
    Holding(Reply<Holding>, Result<Holding, StoreError>),
    Settling(Reply<Settling>, Result<Settling, StoreError>),
    Expired(Reply<u64>, Result<u64, StoreError>),
    Claim(Reply<Claim>, Claim),
    Backlogs(Reply<Backlogs>, Backlogs),
    Oldest(Reply<Vec<(Name, Time)>>, Vec<(Name, Time)>),
    Erased(Reply<Erased>, Result<Erased, StoreError>),
}

impl Answer {
    /// Sends the answer. A failed send means that nobody waits for it any more.
    pub(super) fn send(self) {
        let _gone = match self {
            Self::Append(reply, result) => reply.send(result).is_err(),
            Self::Done(reply, result) => reply.send(result).is_err(),
            Self::Holding(reply, result) => reply.send(result).is_err(),
            Self::Settling(reply, result) => reply.send(result).is_err(),
            Self::Expired(reply, result) => reply.send(result).is_err(),
            Self::Claim(reply, claim) => reply.send(Ok(claim)).is_err(),
            Self::Backlogs(reply, backlogs) => reply.send(Ok(backlogs)).is_err(),
            Self::Oldest(reply, oldest) => reply.send(Ok(oldest)).is_err(),
            Self::Erased(reply, result) => reply.send(result).is_err(),
        };
    }
}
