//! Commands: what tasks ask of the writer's thread, each with the way back for its answer.

use super::layout::RecordKey;
use crate::{
    payment::{Event, Name},
    store::{
        Appended, AuditEntry, Backlog, Claim, ClaimTerms, Erased, Erasure, Pending, Record, Settlement,
        StoreError,
    },
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// The way back for an answer. The receiver may be dropped meanwhile, which changes nothing.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The backlog of each source that has pending confirmations.
pub(super) type Backlogs = BTreeMap<Arc<str>, Backlog>;

/// What the writer is asked to do.
pub(super) enum Command {
    /// Append an event.
    Append { event: Arc<Event>, shared_ids: bool, reply: Reply<Appended> },
    /// Keep a record. Without a reply, the record need not be durable.
    Record { record: Box<Record>, reply: Option<Reply<()>> },
    /// Add an entry to the audit trail.
    Audit { entry: Box<AuditEntry>, reply: Reply<()> },
    /// Remove these pairs, which are too old to be kept, and say how many there still were.
    Expire { keys: Vec<Vec<u8>>, reply: Reply<u64> },
    /// Add a pending confirmation.
    Enqueue { source: Arc<str>, payment: Name, after: Duration, reply: Reply<()> },
    /// Claim a pending confirmation.
    Claim { source: Arc<str>, terms: ClaimTerms, reply: Reply<Claim> },
    /// Settle a claimed confirmation.
    Settle { pending: Box<Pending>, settlement: Settlement, reply: Reply<()> },
    /// Report the backlogs.
    Backlogs { reply: Reply<Backlogs> },
    /// Erase a payment's log and its pending confirmations.
    Erase { erasure: Box<Erasure>, reply: Reply<Erased> },
    /// Remove these records, which bear an erased payment's id.
    EraseRecords { keys: Vec<RecordKey>, reply: Reply<Erased> },
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
            Self::Record { reply: None, .. } => {}
            Self::Record { reply: Some(reply), .. }
            | Self::Audit { reply, .. }
            | Self::Enqueue { reply, .. }
            | Self::Settle { reply, .. }
            | Self::Ping { reply } => send(reply, error),
            Self::Claim { reply, .. } => send(reply, error),
            Self::Expire { reply, .. } => send(reply, error),
            Self::Backlogs { reply } => send(reply, error),
            Self::Erase { reply, .. } | Self::EraseRecords { reply, .. } => send(reply, error),
        }
    }
}

/// An answer that waits until its batch is durable.
pub(super) enum Answer {
    Append(Reply<Appended>, Result<Appended, StoreError>),
    Done(Reply<()>, Result<(), StoreError>),
    Expired(Reply<u64>, Result<u64, StoreError>),
    Claim(Reply<Claim>, Claim),
    Backlogs(Reply<Backlogs>, Backlogs),
    Erased(Reply<Erased>, Result<Erased, StoreError>),
}

impl Answer {
    /// Sends the answer. A failed send means that nobody waits for it any more.
    pub(super) fn send(self) {
        let _gone = match self {
            Self::Append(reply, result) => reply.send(result).is_err(),
            Self::Done(reply, result) => reply.send(result).is_err(),
            Self::Expired(reply, result) => reply.send(result).is_err(),
            Self::Claim(reply, claim) => reply.send(Ok(claim)).is_err(),
            Self::Backlogs(reply, backlogs) => reply.send(Ok(backlogs)).is_err(),
            Self::Erased(reply, result) => reply.send(result).is_err(),
        };
    }
}
