//! What every store promises about receipts.

use super::{LONG, backend::Backend, event, subject};
use paystream::{
    payment::Subject,
    receipts::{RECEIPT_BYTES, RECEIPT_NODES, RECEIPT_STREAMS, ReceiptBatch, ReceiptKeeper, ReceiptLines},
    store::{Append, Erasure, Expiry, Receipt, Store},
};
use std::collections::BTreeMap;

/// A batch with these lines for one payment.
fn batch(of: &Subject, lines: &[(ReceiptKeeper, &str)], left_out: u64) -> ReceiptBatch {
    let lines: BTreeMap<_, _> =
        lines.iter().map(|(keeper, text)| (keeper.clone(), (*text).to_owned())).collect();
    vec![(of.clone(), ReceiptLines { lines, left_out })]
}

fn ann() -> ReceiptKeeper {
    ReceiptKeeper::Subject("ann".to_owned())
}

fn node(number: usize) -> ReceiptKeeper {
    ReceiptKeeper::Node(format!("web-{number}"))
}

/// Reads the receipt until it holds what was added: the embedded store adds behind everything else.
async fn receipt(store: &dyn Store, of: &Subject, has: impl Fn(&Receipt) -> bool) -> Receipt {
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    loop {
        let found = store.receipt(of).await.unwrap().unwrap_or_default();
        if has(&found) {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

pub(super) async fn lines_are_added_to_the_receipt_of_their_payment_alone(place: impl Backend) {
    let store = place.open(LONG).await;
    let (ours, theirs, other) =
        (subject("default", "pay"), subject("other", "pay"), subject("default", "pay2"));
    assert_eq!(store.receipt(&ours).await.unwrap(), None);
    store.add_receipts(batch(&ours, &[(ann(), "opened 1 0\n"), (node(1), "heard 2 1\n")], 0)).await.unwrap();
    let more = [batch(&ours, &[(ann(), "update 3 1\n")], 2), batch(&theirs, &[(ann(), "opened 9 0\n")], 0)];
    store.add_receipts(more.concat()).await.unwrap();
    let found = receipt(&*store, &ours, |receipt| receipt.left_out == 2).await;
    let lines = [("node:web-1", "heard 2 1\n"), ("sub:ann", "opened 1 0\nupdate 3 1\n")];
    assert_eq!(found.lines, lines.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    let found = receipt(&*store, &theirs, |receipt| !receipt.lines.is_empty()).await;
    assert_eq!(found.lines["sub:ann"], "opened 9 0\n");
    assert_eq!(store.receipt(&other).await.unwrap(), None);
    store.forget_receipt(&ours).await.unwrap();
    store.forget_receipt(&other).await.unwrap();
    assert_eq!(store.receipt(&ours).await.unwrap(), None);
    assert!(store.receipt(&theirs).await.unwrap().is_some());
}

pub(super) async fn a_receipt_has_bounds_and_keeps_what_came_first(place: impl Backend) {
    let store = place.open(LONG).await;
    let pay = subject("default", "pay");
    for number in 0..RECEIPT_STREAMS + 7 {
        let stream = ReceiptKeeper::Token(number as u64);
        store.add_receipts(batch(&pay, &[(stream, "opened 1 0\nupdate 1 1\n")], 0)).await.unwrap();
    }
    for number in 0..RECEIPT_NODES + 2 {
        store.add_receipts(batch(&pay, &[(node(number), "heard 1 1\n")], 0)).await.unwrap();
    }
    let found = receipt(&*store, &pay, |receipt| receipt.left_out == 16).await;
    assert_eq!(found.lines.len(), RECEIPT_STREAMS + RECEIPT_NODES);
    assert!(found.lines.contains_key("token:0000000000000000") && found.lines.contains_key("node:web-0"));
    // One that is known goes on, up to its own bound, and each line is there as a whole or not at all.
    let line = "update 1800000000000 12\n";
    let most = RECEIPT_BYTES / line.len() + 10;
    for _ in 0..2 {
        store.add_receipts(batch(&pay, &[(ReceiptKeeper::Token(0), &line.repeat(most))], 0)).await.unwrap();
    }
    let found = receipt(&*store, &pay, |receipt| receipt.left_out > 16 + most as u64).await;
    let text = &found.lines["token:0000000000000000"];
    assert!(text.len() <= RECEIPT_BYTES && text.len() + line.len() > RECEIPT_BYTES, "{}", text.len());
    assert!(text.starts_with("opened 1 0\n") && text.ends_with(line));
    let kept = (text.len() - "opened 1 0\nupdate 1 1\n".len()) / line.len();
    assert_eq!(found.left_out, 16 + (2 * most - kept) as u64);
}

pub(super) async fn an_erasure_removes_the_receipt_of_its_payment_alone(place: impl Backend) {
    let store = place.open(LONG).await;
    let [pay, other, unheard] = ["pay", "other", "unheard"].map(|id| subject("default", id));
    store.append(Append { event: event("pay", "e1", 100), shared_ids: false }).await.unwrap();
    for of in [&pay, &other, &unheard] {
        let lines = [(ann(), "opened 1 0\n"), (node(1), "heard 2 1\n")];
        store.add_receipts(batch(of, &lines, 1)).await.unwrap();
        receipt(&*store, of, |receipt| receipt.lines.len() == 2).await;
    }
    let erasure = |subject: &Subject| Erasure {
        subject: subject.clone(),
        sources: Default::default(),
        others: Default::default(),
        parts: Default::default(),
    };
    assert_eq!(store.erase(erasure(&pay)).await.unwrap().receipts, 2);
    assert_eq!(store.receipt(&pay).await.unwrap(), None);
    // A page may have asked for what never came.
    let erased = store.erase(erasure(&unheard)).await.unwrap();
    assert_eq!((erased.receipts, erased.events, erased.is_nothing()), (2, 0, false));
    assert!(store.erase(erasure(&unheard)).await.unwrap().is_nothing());
    assert!(store.receipt(&other).await.unwrap().is_some());
    drop(store);
    let store = place.open(LONG).await;
    assert_eq!(store.receipt(&pay).await.unwrap(), None, "it stays away");
}

pub(super) async fn a_receipt_outlives_a_restart_and_what_is_new_is_not_too_old(place: impl Backend) {
    let store = place.open(LONG).await;
    let pay = subject("default", "pay");
    store.add_receipts(batch(&pay, &[(ann(), "opened 1 0\n")], 0)).await.unwrap();
    receipt(&*store, &pay, |receipt| !receipt.lines.is_empty()).await;
    store.close().await;
    drop(store);
    let store = place.open(LONG).await;
    assert_eq!(store.receipt(&pay).await.unwrap().unwrap().lines["sub:ann"], "opened 1 0\n");
    store.expire(Expiry::at(paystream::clock::now())).await.unwrap();
    assert!(store.receipt(&pay).await.unwrap().is_some(), "it is new");
}
