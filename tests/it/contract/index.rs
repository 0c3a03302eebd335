//! What every store promises of the index of a realm's payments.

use super::{LONG, append, append_new, backend::Backend, event, subject};
use paystream::{
    payment::{Event, Name, PARTITIONS, Subject, Time},
    store::{Append, Appended, Erasure, IndexPart, Listed, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

fn realm(name: &str) -> Name {
    name.parse().unwrap()
}

async fn index(store: &dyn Store, of: &str, from: Time) -> Vec<IndexPart> {
    let from: Vec<_> = (0..=u8::MAX).map(|partition| (partition, from)).collect();
    let parts = store.index(&realm(of), &from).await.unwrap();
    assert_eq!(parts.len(), PARTITIONS);
    parts
}

/// All payments of realm `default` by their ids.
async fn listed(store: &dyn Store) -> BTreeMap<String, Listed> {
    let parts = index(store, "default", Time::default()).await;
    let listed = parts.into_iter().flat_map(|part| part.listed);
    listed.map(|listed| (listed.payment.to_string(), listed)).collect()
}

async fn part_of(store: &dyn Store, payment: &str) -> IndexPart {
    let partition = subject("default", payment).partition();
    let mut parts = store.index(&realm("default"), &[(partition, Time::default())]).await.unwrap();
    parts.pop().unwrap()
}

/// So many payments of one partition.
fn of_one_partition(count: usize) -> Vec<String> {
    let partition = subject("default", "pay").partition();
    let names = (0..).map(|number| format!("pay_{number}"));
    names.filter(|name| subject("default", name).partition() == partition).take(count).collect()
}

async fn erase(store: &dyn Store, payment: &str) {
    let (sources, others) = Default::default();
    store
        .erase(Erasure { subject: subject("default", payment), sources, others, parts: Default::default() })
        .await
        .unwrap();
}

pub(super) async fn every_append_writes_its_place_in_the_index(place: impl Backend) {
    let store = place.open(LONG).await;
    assert!(store.is_indexed());
    assert!(listed(&*store).await.is_empty());
    let before = part_of(&*store, "pay").await.now;
    append_new(&*store, event("pay", "evt_1", 1)).await;
    append_new(&*store, event("other", "evt_1", 1)).await;
    let first = listed(&*store).await;
    assert_eq!(first.keys().collect::<Vec<_>>(), ["other", "pay"]);
    assert_eq!((first["pay"].seq, first["pay"].first_seen), (1, first["pay"].changed));
    assert!(first["pay"].changed >= before, "{first:?} {before}");

    tokio::time::sleep(Duration::from_millis(5)).await;
    append_new(&*store, event("pay", "evt_2", 2)).await;
    let second = listed(&*store).await;
    assert_eq!(second["other"], first["other"]);
    assert_eq!((second["pay"].seq, second["pay"].first_seen), (2, first["pay"].first_seen));
    assert!(second["pay"].changed > first["pay"].changed);
    let part = part_of(&*store, "pay").await;
    assert_eq!((part.complete_since, part.erased), (None, None));
    assert!(part.now >= second["pay"].changed);

    // What changes nothing is no change.
    assert!(matches!(append(&*store, event("pay", "evt_1", 1)).await, Appended::Duplicate { .. }));
    assert!(matches!(append(&*store, event("pay", "evt_1", 7)).await, Appended::Conflict(_)));
    assert_eq!(listed(&*store).await, second);
}

pub(super) async fn the_index_is_read_from_a_time_on(place: impl Backend) {
    let store = place.open(LONG).await;
    let payments = of_one_partition(5);
    for payment in &payments {
        append_new(&*store, event(payment, "evt_1", 1)).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    append_new(&*store, event(&payments[0], "evt_2", 2)).await;
    let partition = subject("default", "pay").partition();
    let all = part_of(&*store, "pay").await;
    let order: Vec<_> = all.listed.iter().map(|listed| listed.payment.to_string()).collect();
    assert_eq!(order, [1, 2, 3, 4, 0].map(|place: usize| payments[place].clone()));
    for (index, listed) in all.listed.iter().enumerate() {
        // A time is included, since another append may have come within the same millisecond.
        let parts = store.index(&realm("default"), &[(partition, listed.changed)]).await.unwrap();
        assert_eq!(parts[0].listed, all.listed[index..]);
        assert_eq!(parts[0].count, 5);
    }
    let parts =
        store.index(&realm("default"), &[(7, Time::default()), (partition, all.now), (7, all.now)]).await;
    assert_eq!(parts.unwrap().len(), 3);
    assert_eq!(store.index(&realm("default"), &[]).await.unwrap(), []);
}

pub(super) async fn i5_each_realm_has_an_index_of_its_own(place: impl Backend) {
    let store = place.open(LONG).await;
    append_new(&*store, event("pay", "evt_1", 1)).await;
    for (realm, id) in [("test", "pay"), ("a", "b"), ("a/b", "c")] {
        let other = Event { subject: subject(realm, id), ..event("pay", "evt_1", 1) };
        append_new(&*store, other).await;
    }
    for (realm, expected) in [("default", "pay"), ("test", "pay"), ("a", "b"), ("a/b", "c")] {
        let parts = index(&*store, realm, Time::default()).await;
        let listed: Vec<_> = parts.iter().flat_map(|part| &part.listed).collect();
        assert_eq!(listed.len(), 1, "{realm}");
        assert_eq!(listed[0].payment.as_str(), expected);
    }
    assert!(index(&*store, "b", Time::default()).await.iter().all(|part| part.listed.is_empty()));
}

pub(super) async fn i1_the_index_survives_a_reopening(place: impl Backend) {
    let mut store = place.open(LONG).await;
    for round in 1..=3 {
        for number in 0..40 {
            append_new(&*store, event(&format!("pay_{number}"), &format!("evt_{round}"), round)).await;
        }
        let before = listed(&*store).await;
        assert_eq!(before.len(), 40);
        drop(store);
        store = place.open(LONG).await;
        assert_eq!(listed(&*store).await, before);
        assert_eq!(part_of(&*store, "pay").await.complete_since, None);
    }
}

pub(super) async fn the_index_is_bounded_and_says_since_when_it_is_complete(place: impl Backend) {
    // One payment for each partition and realm.
    let store = place.open_with(LONG, 256).await;
    let payments = of_one_partition(4);
    for payment in &payments {
        append_new(&*store, event(payment, "evt_1", 1)).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let part = part_of(&*store, "pay").await;
    let last = part.listed.last().unwrap();
    assert_eq!((part.count, part.listed.len(), last.payment.as_str()), (1, 1, payments[3].as_str()));
    let since = part.complete_since.unwrap();
    assert!(since <= last.changed && since > last.changed.earlier(3_600_000), "{since}");
    // One that had left comes back with its next event.
    append_new(&*store, event(&payments[0], "evt_2", 2)).await;
    let part = part_of(&*store, "pay").await;
    assert_eq!(
        (part.count, part.listed[0].payment.as_str(), part.listed[0].seq),
        (1, payments[0].as_str(), 2)
    );
    assert_eq!(part.listed[0].first_seen, part.listed[0].changed);
    assert!(part.complete_since > Some(since) && part.erased.is_none());
}

trait Earlier {
    fn earlier(self, ms: i64) -> Self;
}

impl Earlier for Time {
    fn earlier(self, ms: i64) -> Self {
        Self::from_unix_ms(self.unix_ms() - ms).unwrap()
    }
}

pub(super) async fn an_erased_payment_leaves_the_index(place: impl Backend) {
    let mut store = place.open(LONG).await;
    let payments = of_one_partition(2);
    for payment in &payments {
        append_new(&*store, event(payment, "evt_1", 1)).await;
    }
    let of_realm = Event { subject: subject("test", &payments[0]), ..event(&payments[0], "evt_1", 1) };
    append_new(&*store, of_realm).await;
    let before = part_of(&*store, "pay").await.now;
    erase(&*store, &payments[0]).await;
    for _ in 0..2 {
        let part = part_of(&*store, "pay").await;
        let left: Vec<_> = part.listed.iter().map(|listed| listed.payment.as_str()).collect();
        assert_eq!((part.count, left), (1, vec![payments[1].as_str()]));
        assert!(part.erased >= Some(before), "{part:?} {before}");
        assert_eq!(part.complete_since, None);
        let elsewhere = index(&*store, "test", Time::default()).await;
        assert_eq!(elsewhere.iter().map(|part| part.count).sum::<u64>(), 1, "another realm's");
        drop(store);
        store = place.open(LONG).await;
    }
    // A later event begins a new log, and a new place.
    append_new(&*store, event(&payments[0], "evt_1", 1)).await;
    let part = part_of(&*store, "pay").await;
    let back = part.listed.iter().find(|listed| listed.payment.as_str() == payments[0]).unwrap();
    assert_eq!((part.count, back.seq, back.first_seen), (2, 1, back.changed));
}

pub(super) async fn without_an_index_nothing_is_kept_for_one(place: impl Backend) {
    let store = place.open_with(LONG, 0).await;
    assert!(!store.is_indexed());
    append_new(&*store, event("pay", "evt_1", 1)).await;
    assert_eq!(part_of(&*store, "pay").await, IndexPart::default());
    drop(store);
    // One that is kept from now on does not know what came before, and says so.
    let store = place.open(LONG).await;
    assert_eq!(part_of(&*store, "pay").await.listed, []);
    assert!(part_of(&*store, "pay").await.complete_since.is_some());
    append_new(&*store, event("pay", "evt_2", 2)).await;
    let part = part_of(&*store, "pay").await;
    assert_eq!((part.listed.len(), part.listed[0].seq), (1, 2));
    assert!(part.complete_since <= Some(part.listed[0].changed) && part.complete_since.is_some());
    drop(store);
    // What a store without an index appends is unknown to the next one, however it was before.
    let store = place.open_with(LONG, 0).await;
    append_new(&*store, event("pay", "evt_3", 3)).await;
    let other = of_one_partition(1).remove(0);
    drop(store);
    let store = place.open(LONG).await;
    append_new(&*store, event(&other, "evt_1", 1)).await;
    let part = part_of(&*store, "pay").await;
    let listed: Vec<_> = part.listed.iter().map(|listed| listed.payment.as_str()).collect();
    assert_eq!(listed, [other.as_str()], "an old place would show an old state");
    assert_eq!(part.count, 1);
    assert!(part.complete_since <= Some(part.listed[0].changed) && part.complete_since.is_some());
}

pub(super) async fn whoever_reads_on_from_the_last_change_misses_nothing(place: impl Backend) {
    const PAYMENTS: u64 = 40;
    const ROUNDS: u64 = 10;
    let store = place.open(LONG).await;
    let mut tasks = JoinSet::new();
    for number in 0..PAYMENTS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for round in 1..=ROUNDS {
                let event = event(&format!("pay_{number}"), &format!("evt_{round}"), 1);
                store.append(Append { event, shared_ids: false }).await.unwrap();
            }
        });
    }
    let mut known: BTreeMap<Name, u64> = BTreeMap::new();
    let mut from = vec![Time::default(); PARTITIONS];
    let mut is_over = false;
    while !is_over {
        is_over = tasks.is_empty();
        while tasks.try_join_next().is_some() {}
        let asked: Vec<_> = (0..=u8::MAX).zip(from.iter().copied()).collect();
        let parts = store.index(&realm("default"), &asked).await.unwrap();
        for (part, from) in parts.into_iter().zip(&mut from) {
            for listed in part.listed {
                let of = Subject::payment(realm("default"), listed.payment.clone());
                let log = store.read(&of).await.unwrap();
                assert!(log.entries.len() as u64 >= listed.seq, "a place without its entry");
                assert!(listed.changed >= *from, "the time went back");
                *from = listed.changed;
                let seq = known.entry(listed.payment).or_default();
                *seq = listed.seq.max(*seq);
            }
        }
    }
    let seqs: BTreeSet<_> = known.values().copied().collect();
    assert_eq!((known.len() as u64, seqs), (PAYMENTS, BTreeSet::from([ROUNDS])));
}
