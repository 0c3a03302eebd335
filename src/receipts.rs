//! Receipts: which page was told what of a payment and when, noted by those who write it and kept beside the payment's log.
//!
//! Whoever hears of an event or writes to a stream leaves a note and goes on: notes wait in a bounded queue, nobody waits for room in it, and
//! what finds none is dropped and counted. Once a second a task of the node takes them out, gathers them by payment, and hands them to the
//! store. So receipts never hold up a stream or a webhook; they may have gaps instead, which the metric `paystream_receipts_dropped_total` tells.
//!
//! No note holds a token: a stream is known by the `sub` of its token, or else by a digest of it. This room knows the store no more than its
//! writers.
//!
//! | file | noun |
//! |---|---|
//! | `line`   | one moment as the store keeps it, and whose it is |
//! | `gather` | the notes of a second, by payment |

mod gather;
mod line;

pub use gather::{Gathered, ReceiptBatch, ReceiptLines, gather};
pub use line::{ReceiptKeeper, ReceiptMoment, ReceiptReader, ReceiptWord, moments};

use crate::{
    clock,
    metrics::{Metrics, ReceiptDrop},
    payment::{Subject, Time},
};
use std::sync::{Arc, atomic::AtomicU32};
use tokio::sync::mpsc;

/// The most notes that wait on a node. An event on a payment with one stream leaves three, so this is what 2 700 events in a second leave.
const NOTES: usize = 8192;

/// Streams of one payment that are noted: on each node, those that open while no more are open, and in the store the first ones.
pub const RECEIPT_STREAMS: usize = 100;

/// Processes of the gateway whose moments are kept of one payment. Each start of a node is another one.
pub const RECEIPT_NODES: usize = 16;

/// The most that is kept of one stream or one process, in bytes: some 140 moments.
pub const RECEIPT_BYTES: usize = 4096;

/// Where notes are left. A clone leaves them in the same place.
#[derive(Clone, Debug)]
pub struct Receipts {
    notes: mpsc::Sender<ReceiptNote>,
    metrics: Arc<Metrics>,
}

/// The notes that wait to be gathered.
#[derive(Debug)]
pub struct ReceiptNotes(mpsc::Receiver<ReceiptNote>);

/// What happened, of which payment and when.
#[derive(Debug)]
pub struct ReceiptNote {
    subject: Subject,
    at: Time,
    what: ReceiptEvent,
}

/// What happened.
#[derive(Debug)]
pub enum ReceiptEvent {
    /// The node heard of entry `seq`.
    Heard {
        /// The entry.
        seq: u64,
    },
    /// The node began to write entry `seq` to its streams.
    FannedOut {
        /// The entry.
        seq: u64,
        /// To how many it was written since this was last looked at.
        streams: Arc<AtomicU32>,
    },
    /// Something happened to a stream.
    Stream {
        /// The stream.
        reader: ReceiptReader,
        /// What happened.
        word: ReceiptWord,
        /// The entry that it is about, or the last one that the client has.
        seq: u64,
        /// Why a stream was closed.
        reason: Option<&'static str>,
    },
    /// A stream opened that is not noted, since as many are open as may be noted.
    LeftOut,
    /// The payment was erased: what waits of it is dropped, and what was written of it in the meantime is removed.
    Erased,
}

impl Receipts {
    /// A place for notes, and what takes them out.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> (Self, ReceiptNotes) {
        let (notes, taken) = mpsc::channel(NOTES);
        (Self { notes, metrics }, ReceiptNotes(taken))
    }

    /// Leaves a note of what happened just now. One that finds no room is dropped and counted.
    pub fn note(&self, subject: &Subject, what: ReceiptEvent) {
        self.note_at(subject, clock::now(), what);
    }

    /// The same of what happened at a time that the caller knows.
    pub fn note_at(&self, subject: &Subject, at: Time, what: ReceiptEvent) {
        if self.notes.try_send(ReceiptNote { subject: subject.clone(), at, what }).is_err() {
            self.metrics.receipts_dropped.count(ReceiptDrop::Queue);
        }
    }
}

impl ReceiptNotes {
    /// Takes out the notes that wait.
    pub fn take(&mut self) -> Vec<ReceiptNote> {
        let mut notes = Vec::new();
        while notes.len() < NOTES {
            match self.0.try_recv() {
                Ok(note) => notes.push(note),
                Err(_) => break,
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts_and_holds_nobody_up() {
        let metrics = Arc::new(Metrics::new());
        let (receipts, mut notes) = Receipts::new(Arc::clone(&metrics));
        let subject = Subject::payment("default".parse().unwrap(), "pay".parse().unwrap());
        for seq in 0..NOTES as u64 + 3 {
            receipts.note(&subject, ReceiptEvent::Heard { seq });
        }
        assert!(metrics.render().contains(r#"paystream_receipts_dropped_total{reason="queue"} 3"#));
        assert_eq!(notes.take().len(), NOTES, "those that came first are there");
        receipts.note(&subject, ReceiptEvent::Heard { seq: 1 });
        assert_eq!(notes.take().len(), 1, "and there is room again");
        assert!(notes.take().is_empty());
    }
}
