//! The notes of a second, gathered by payment, so that the store writes each payment once. Pure.

use super::{
    ReceiptEvent, ReceiptNote,
    line::{ReceiptKeeper, ReceiptMoment, ReceiptWord},
};
use crate::{metrics::ReceiptDrop, payment::Subject, redact};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::atomic::Ordering,
};

/// Payments that are written at once. A store needs some 10 µs for each, so this takes a hundredth of its time.
const PAYMENTS: usize = 1024;

/// What is to be added to the receipt of one payment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReceiptLines {
    /// The lines to add, by whose they are. Each ends with a line break.
    pub lines: BTreeMap<ReceiptKeeper, String>,
    /// Moments that were left out already.
    pub left_out: u64,
}

/// What is to be added to the receipts of several payments.
pub type ReceiptBatch = Vec<(Subject, ReceiptLines)>;

/// What the notes of a second come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gathered {
    /// The payments whose receipts are to be removed, before anything is added.
    pub erased: Vec<Subject>,
    /// What is to be added.
    pub batch: ReceiptBatch,
    /// Moments that were dropped, by reason.
    pub dropped: Vec<ReceiptDrop>,
}

/// Gathers notes of the process `node`.
#[must_use]
pub fn gather(notes: Vec<ReceiptNote>, node: &str) -> Gathered {
    let mut payments: HashMap<Subject, ReceiptLines> = HashMap::new();
    let (mut dropped, mut erased) = (Vec::new(), HashSet::new());
    for ReceiptNote { subject, at, what } in notes {
        if matches!(what, ReceiptEvent::Erased) {
            payments.remove(&subject);
            erased.insert(subject);
            continue;
        }
        if payments.len() >= PAYMENTS && !payments.contains_key(&subject) {
            dropped.push(ReceiptDrop::Payments);
            continue;
        }
        // Anyone who has a token may ask for any id that it names, whether there is such a payment or not.
        if !payments.contains_key(&subject) && redact::is_pan_like(subject.id.as_str()) {
            dropped.push(ReceiptDrop::PanLikeId);
            continue;
        }
        let of_node = || ReceiptKeeper::Node(node.to_owned());
        let (keeper, word, seq, streams, reason) = match what {
            ReceiptEvent::Heard { seq } => (of_node(), ReceiptWord::Heard, seq, None, None),
            ReceiptEvent::FannedOut { seq, streams } => {
                // Whoever writes after this begins to count anew, and leaves another note.
                let streams = streams.swap(0, Ordering::Relaxed);
                (of_node(), ReceiptWord::FannedOut, seq, Some(streams), None)
            }
            ReceiptEvent::Stream { reader, word, seq, reason } => {
                (ReceiptKeeper::of(&reader), word, seq, None, reason)
            }
            ReceiptEvent::LeftOut => {
                payments.entry(subject).or_default().left_out += 1;
                continue;
            }
            ReceiptEvent::Erased => continue,
        };
        let moment = ReceiptMoment { word, at, seq, streams, reason: reason.map(str::to_owned) };
        moment.write_to(payments.entry(subject).or_default().lines.entry(keeper).or_default());
    }
    Gathered { erased: erased.into_iter().collect(), batch: payments.into_iter().collect(), dropped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payment::Time,
        receipts::{ReceiptReader, moments},
    };
    use std::sync::{Arc, atomic::AtomicU32};

    fn note(payment: &str, what: ReceiptEvent) -> ReceiptNote {
        let subject = Subject::payment("default".parse().unwrap(), payment.parse().unwrap());
        ReceiptNote { subject, at: Time::from_unix_ms(5).unwrap(), what }
    }

    fn opened(token: u64) -> ReceiptEvent {
        let reader = ReceiptReader { subject: None, token: Some(token) };
        ReceiptEvent::Stream { reader, word: ReceiptWord::Opened, seq: 0, reason: None }
    }

    #[test]
    fn notes_are_gathered_by_payment_and_streams_are_counted_when_they_are_taken() {
        let streams = Arc::new(AtomicU32::new(1));
        let notes = vec![
            note("a", opened(1)),
            note("b", opened(2)),
            note("a", ReceiptEvent::FannedOut { seq: 3, streams: Arc::clone(&streams) }),
            note("a", ReceiptEvent::LeftOut),
            note("a", opened(1)),
        ];
        streams.store(70, Ordering::Relaxed);
        let Gathered { mut batch, dropped, erased } = gather(notes, "web-1");
        batch.sort_by_key(|(subject, _)| subject.id.clone());
        assert_eq!((batch.len(), dropped.len(), erased.len()), (2, 0, 0));
        let (_, ReceiptLines { lines, left_out }) = &batch[0];
        assert_eq!(lines[&ReceiptKeeper::Node("web-1".to_owned())], "fanned_out 5 3 70\n");
        assert_eq!(lines[&ReceiptKeeper::Token(1)], "opened 5 0\nopened 5 0\n");
        assert_eq!(moments(&lines[&ReceiptKeeper::Token(1)]).len(), 1);
        assert_eq!((*left_out, streams.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn an_erasure_drops_what_waits_and_too_many_payments_are_dropped_and_counted() {
        let notes = vec![note("a", opened(1)), note("a", ReceiptEvent::Erased), note("b", opened(1))];
        let Gathered { batch, erased, .. } = gather(notes, "n");
        assert_eq!((batch.len(), batch[0].0.id.as_str()), (1, "b"));
        assert_eq!(erased[0].id.as_str(), "a");
        let many = (0..PAYMENTS + 5).map(|number| note(&format!("p{number}"), opened(1))).collect();
        let Gathered { batch, dropped, .. } = gather(many, "n");
        assert_eq!((batch.len(), dropped), (PAYMENTS, vec![ReceiptDrop::Payments; 5]));
    }

    #[test]
    fn i8_nothing_is_kept_of_a_payment_whose_id_is_a_card_number() {
        let notes = vec![note("4242424242424242", opened(1)), note("order-7", opened(1))];
        let Gathered { batch, dropped, .. } = gather(notes, "n");
        assert_eq!((batch.len(), batch[0].0.id.as_str()), (1, "order-7"));
        assert_eq!(dropped, [ReceiptDrop::PanLikeId]);
    }
}
