//! The index of all payments on disk: what a crash, a smaller bound and a gateway without an index leave of it.

use super::*;
use crate::store::{IndexPart, Listed};

/// A pace at which nothing is carried before the store is closed.
const NEVER: Pace = Pace { bytes: usize::MAX, after: Duration::from_secs(3600) };

async fn parts(store: &Embedded) -> Vec<IndexPart> {
    let all: Vec<_> = (0..=u8::MAX).map(|partition| (partition, Time::default())).collect();
    store.index(&"default".parse().unwrap(), &all).await.unwrap()
}

async fn listed(store: &Embedded) -> Vec<Listed> {
    let mut listed: Vec<_> = parts(store).await.into_iter().flat_map(|part| part.listed).collect();
    listed.sort_by(|one, other| one.payment.cmp(&other.payment));
    listed
}

fn open_with(recent: usize, pace: Pace, path: &Path) -> Embedded {
    let machinery = Machinery { pace, ..Machinery::default() };
    let settings = Settings { recent, ..settings(path) };
    Embedded::open_by(machinery, &settings, Arc::new(Metrics::new())).unwrap()
}

#[tokio::test]
async fn a_crash_loses_nothing_of_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let store = open_with(RECENT, PACE, &live);
    for payment in ["carried", "changed", "erased"] {
        append(&store, payment, "evt_1").await;
    }
    store.close_blocking();
    let store = open_with(RECENT, NEVER, &live);
    append(&store, "changed", "evt_2").await;
    append(&store, "new", "evt_1").await;
    append(&store, "new", "evt_2").await;
    let (sources, others) = Default::default();
    store
        .erase(Erasure { subject: event("erased", "").subject, sources, others, parts: Default::default() })
        .await
        .unwrap();
    let before = listed(&store).await;
    let seqs: Vec<_> = before.iter().map(|listed| (listed.payment.as_str(), listed.seq)).collect();
    assert_eq!(seqs, [("carried", 1), ("changed", 2), ("new", 2)]);

    let crashed = dir.path().join("crashed");
    copy(&live, &crashed);
    for _ in 0..2 {
        let revived = open_with(RECENT, PACE, &crashed);
        assert_eq!(listed(&revived).await, before);
        let parts = parts(&revived).await;
        assert!(parts.iter().all(|part| part.complete_since.is_none()));
        assert!(parts.iter().any(|part| part.erased.is_some()));
    }
}

#[tokio::test]
async fn a_smaller_bound_counts_from_the_next_start_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(RECENT, PACE, dir.path());
    for number in 0..2_000 {
        append(&store, &format!("pay_{number}"), "evt").await;
    }
    store.close_blocking();
    for _ in 0..2 {
        let store = open_with(256, PACE, dir.path());
        let parts = parts(&store).await;
        assert!(parts.iter().all(|part| part.count <= 1 && part.complete_since.is_some()));
        assert!(listed(&store).await.len() > 200);
        store.close_blocking();
    }
    // What was left out does not come back with a larger one, and the answer still says so.
    let store = open_with(RECENT, PACE, dir.path());
    assert!(listed(&store).await.len() <= 256);
    assert!(parts(&store).await.iter().all(|part| part.complete_since.is_some()));
    let tree = store.open.read().unwrap().as_ref().unwrap().recent.tree.clone();
    store.close_blocking();
    assert!(
        tree.now().after(layout::INDEX_PLACES, &[]).count() <= 256,
        "what was left out is on disk no more"
    );
}

#[tokio::test]
async fn nothing_is_written_for_an_index_that_is_off() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with(0, PACE, dir.path());
    append(&store, "pay", "evt").await;
    store.close_blocking();
    let (tree, _files) = Tree::open(dir.path()).unwrap();
    let now = tree.now();
    for prefix in [layout::INDEXED, layout::INDEX_HEADS, layout::INDEX_PLACES] {
        assert_eq!(now.after(prefix, &[]).count(), 0);
        assert!(tree.get(prefix).unwrap().is_none());
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_turn_the_index_back() {
    let dir = tempfile::tempdir().unwrap();
    let ms = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&ms);
    let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
    let mut store = open_by(Machinery { clock: Arc::clone(&clock), ..Machinery::default() }, dir.path());
    append(&store, "pay", "evt_1").await;
    let first = listed(&store).await.remove(0).changed;
    ms.fetch_sub(60_000, Ordering::SeqCst);
    for event in ["evt_2", "evt_3"] {
        append(&store, "pay", event).await;
        assert_eq!(listed(&store).await.remove(0).changed, first);
        store.close_blocking();
        store = open_by(Machinery { clock: Arc::clone(&clock), ..Machinery::default() }, dir.path());
    }
}

#[tokio::test]
async fn a_payment_whose_history_is_over_leaves_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let ms = Arc::new(AtomicI64::new(1_800_000_000_000));
    let clock = Arc::clone(&ms);
    let clock: Clock = Arc::new(move || Time::from_unix_ms(clock.load(Ordering::SeqCst)).unwrap());
    let store = open_by(Machinery { clock, ..Machinery::default() }, dir.path());
    append(&store, "old", "evt").await;
    ms.fetch_add(180 * DAY_MS + 1, Ordering::SeqCst);
    append(&store, "young", "evt").await;
    let started = Instant::now();
    while listed(&store).await.len() > 1 {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
