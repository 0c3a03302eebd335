//! Receipts have an end, and a backup has them.

use super::{carrying::sent, *};
use crate::receipts::{ReceiptKeeper, ReceiptLines};

fn pay(id: &str) -> Subject {
    event(id, "").subject
}

async fn add(store: &Embedded, id: &str) {
    let lines = [(ReceiptKeeper::Anonymous, "opened 1 0\n".to_owned())].into();
    store.add_receipts(vec![(pay(id), ReceiptLines { lines, left_out: 0 })]).await.unwrap();
    store.health().await.unwrap();
}

#[tokio::test]
async fn a_receipt_is_removed_once_nothing_was_added_for_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&now);
    let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
    let open = || open_by(Machinery { clock: Arc::clone(&clock), ..Machinery::default() }, dir.path());
    let store = open();
    for id in ["old", "renewed"] {
        add(&store, id).await;
    }
    store.close_blocking();
    let store = open();
    now.fetch_add(40 * DAY_MS, Ordering::SeqCst);
    add(&store, "renewed").await;
    now.fetch_add(6 * DAY_MS, Ordering::SeqCst);
    add(&store, "new").await;
    let expiry = || Expiry::at(Time::from_unix_ms(now.load(Ordering::SeqCst)).unwrap());
    assert_eq!(store.expire(expiry()).await.unwrap(), 2, "the head and the text of one");
    assert_eq!(store.receipt(&pay("old")).await.unwrap(), None);
    assert_eq!(store.expire(expiry()).await.unwrap(), 0);
    store.close_blocking();
    let store = open();
    assert_eq!(store.receipt(&pay("old")).await.unwrap(), None, "it stays away");
    let renewed = store.receipt(&pay("renewed")).await.unwrap().unwrap();
    assert_eq!(renewed.lines["anonymous"], "opened 1 0\nopened 1 0\n");
    assert!(store.receipt(&pay("new")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_backup_has_the_receipts_that_no_journal_holds() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("live")).unwrap();
    append(&store, "pay", "e1").await;
    add(&store, "pay").await;
    let stream = sent(&store).await;
    let copy = dir.path().join("copy");
    copy_from_gateway(&*stream, None, &copy).unwrap();
    let copied = open(&copy).unwrap();
    assert_eq!(copied.receipt(&pay("pay")).await.unwrap().unwrap().lines["anonymous"], "opened 1 0\n");
}
