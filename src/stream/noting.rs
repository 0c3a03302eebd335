//! What is noted of a stream for receipts: that it opened or came back, what it was told, that it ended. The notes of a stream cost it
//! nothing while it is idle: whether there are any is decided when it opens, and stands in its seat.

use super::{
    census::{Holders, Seat},
    reason::Closing,
};
use crate::{
    hub::Frame,
    payment::Subject,
    receipts::{RECEIPT_STREAMS, ReceiptEvent, ReceiptReader, ReceiptWord},
    tally::Holder,
};
use std::sync::{Arc, atomic::Ordering};

/// One payment of a stream that opens.
pub(super) struct Opening {
    /// The payment.
    pub(super) subject: Subject,
    /// How many streams follow it on this node, with this one.
    pub(super) followers: usize,
    /// The last entry that the client has.
    pub(super) seq: u64,
}

/// Who reads, as receipts name them.
pub(super) fn reader(subject: Option<Arc<str>>, holders: Holders) -> ReceiptReader {
    ReceiptReader { subject, token: holders.token.map(Holder::number) }
}

impl Seat {
    /// Notes that a stream opens, and decides whether more is noted of it: if no more streams follow its payments than are noted of one.
    pub(super) fn note_opening(&mut self, payments: &[Opening], is_resumed: bool) {
        let Some(receipts) = self.receipts() else { return };
        let mut is_noted = true;
        for Opening { subject, followers, .. } in payments {
            if *followers > RECEIPT_STREAMS {
                is_noted = false;
                // Of a flood, few notes say that there is one.
                if *followers == RECEIPT_STREAMS + 1 || followers.is_power_of_two() {
                    receipts.note(subject, ReceiptEvent::LeftOut);
                }
            }
        }
        self.is_noted = is_noted;
        let word = if is_resumed { ReceiptWord::Resumed } else { ReceiptWord::Opened };
        payments.iter().for_each(|opening| self.note(&opening.subject, word, opening.seq, None));
    }

    /// Notes that the stream was told of an entry.
    pub(super) fn note_update(&self, frame: &Frame) {
        let Some(receipts) = self.receipts() else { return };
        let seq = frame.cursor.seq;
        if frame.streams.fetch_add(1, Ordering::Relaxed) == 0 {
            let streams = Arc::clone(&frame.streams);
            receipts.note(&frame.subject, ReceiptEvent::FannedOut { seq, streams });
        }
        self.note(&frame.subject, ReceiptWord::Update, seq, None);
    }

    /// Notes that the stream was told the whole payment, up to entry `seq`. If it was told because the payment is erased, nothing more is noted
    /// of it, and what waits of the payment on this node is dropped: a page that stays open must not bring back what was to be forgotten.
    pub(super) fn note_snapshot(&mut self, subject: &Subject, seq: u64, is_erased: bool) {
        if let (true, Some(receipts)) = (is_erased, self.receipts()) {
            receipts.note(subject, ReceiptEvent::Erased);
            self.is_noted = false;
        }
        self.note(subject, ReceiptWord::Snapshot, seq, None);
    }

    /// Notes that the stream has ended, with the last entry that it was told of.
    pub(super) fn note_end(&self, subject: &Subject, seq: u64) {
        self.note(subject, ReceiptWord::Closed, seq, Some(self.closed.map_or("gone", Closing::as_str)));
    }

    fn note(&self, subject: &Subject, word: ReceiptWord, seq: u64, reason: Option<&'static str>) {
        if let (Some(receipts), true) = (self.receipts(), self.is_noted) {
            let reader = reader(self.subject(), self.holders());
            receipts.note(subject, ReceiptEvent::Stream { reader, word, seq, reason });
        }
    }
}
