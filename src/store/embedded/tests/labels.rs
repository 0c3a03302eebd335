//! What labels cost the journal.

use super::{
    faults::{EXTENT, on},
    *,
};
use crate::{
    payment::{Label, Maker},
    store::{Labels, embedded::journal::tests::simulated::SimulatedDisk},
};
use std::sync::atomic::AtomicU64;

#[tokio::test]
async fn a_new_pair_costs_one_write_of_the_journal_and_a_known_one_none() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SimulatedDisk::new(EXTENT);
    let store: Arc<dyn Store> = Arc::new(open_by(on(&disk), folder.path()));
    let labels = Labels::new(Arc::clone(&store), Arc::default(), Duration::from_secs(180 * 86_400));
    let syncs = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&syncs);
    disk.at_sync(move || _ = counter.fetch_add(1, Ordering::Relaxed));
    // The journal has one write and one sync for what waits at the same time, and here nothing does.
    let writes_of = async |id: &str, named: &[&str]| {
        let before = syncs.load(Ordering::Relaxed);
        let label = |name: &&str| Label { id: name.parse().unwrap(), maker: Maker::Shop };
        let event = Event { labels: named.iter().map(label).collect(), ..event("pay", id) };
        let bindings = Labels::of(&event);
        store.append(Append { event, shared_ids: false }).await.unwrap();
        labels.bind(bindings).await.unwrap();
        syncs.load(Ordering::Relaxed) - before
    };
    // The ids are in order: an event that comes late and is the earlier one by its id is bound too.
    assert_eq!(writes_of("0_none", &[]).await, 1, "nothing is configured");
    assert_eq!(writes_of("1_new", &["order"]).await, 2);
    for number in 0..50 {
        assert_eq!(writes_of(&format!("2_known_{number}"), &["order"]).await, 1);
    }
    assert_eq!(writes_of("3_another", &["order", "session"]).await, 2);
    assert_eq!(writes_of("4_both", &["order", "session"]).await, 1);
}
