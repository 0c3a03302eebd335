//! Slots that move from one primary to another.

use super::{append, append_new, deliver, open, owner, payment_of, slot, subject, until_noticed};
use crate::support::Cluster;
use paystream::store::{Store, StoreError};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_slot_moves_known_payments_go_on_and_are_heard_and_new_ones_wait() {
    let cluster = Cluster::with(3, 0, &[]).await;
    let (store, other) = (open(&cluster).await, open(&cluster).await);
    let mut watcher = other.watch().await;
    let payment = payment_of(&cluster, 0);
    append_new(&store, &payment, "evt_0").await;
    let place = slot(&cluster, &payment);
    until_noticed(&mut watcher, &payment, 1).await;

    cluster.begin_move(place, 0, 1);
    append_new(&store, &payment, "evt_1").await;
    until_noticed(&mut watcher, &payment, 2).await;
    // Keys one by one, until some are here and some there.
    cluster.move_keys(place, 0, 1, 1);
    let began = Instant::now();
    let split = append(&store, &payment, "evt_2").await;
    assert!(matches!(&split, Err(StoreError::Unavailable(why)) if why.contains("TRYAGAIN")), "{split:?}");
    assert!(began.elapsed() < Duration::from_millis(2_500));
    // Others of the same primary are not held up by those that wait.
    let waiting = tokio::spawn({
        let (store, payment) = (Arc::clone(&store), payment.clone());
        async move { append(&store, &payment, "evt_2").await }
    });
    let neighbour = (0..)
        .map(|number| format!("near_{number}"))
        .find(|near| subject(near).partition() != subject(&payment).partition() && owner(&cluster, near) == 0)
        .unwrap();
    for number in 0..20 {
        let began = Instant::now();
        append_new(&store, &neighbour, &format!("evt_{number}")).await;
        assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
    }
    while cluster.move_keys(place, 0, 1, 100) > 0 {}
    drop(waiting.await.unwrap());
    // All keys are there, and the slot is not closed: the append runs there after ASKING, and is heard there alone.
    let seq = deliver(&store, &payment, "evt_2").await.seq;
    assert_eq!(seq, 3);
    // The other gateway does not write. It learns from its heads where to listen.
    other.heads().await.unwrap();
    let mut sent = seq;
    loop {
        sent += 1;
        assert_eq!(append_new(&store, &payment, &format!("evt_{sent}")).await.seq, sent);
        let heard =
            tokio::time::timeout(Duration::from_millis(300), until_noticed(&mut watcher, &payment, sent));
        if heard.await.is_ok() {
            break;
        }
        assert!(sent < 40, "nobody hears the server that imports the slot");
    }
    cluster.end_move(place, 0, 1);
    for more in 1..5 {
        append_new(&store, &payment, &format!("last_{more}")).await;
        until_noticed(&mut watcher, &payment, sent + more).await;
    }
    let log = store.read(&subject(&payment)).await.unwrap();
    assert_eq!(log.entries.len() as u64, sent + 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_under_load_and_nothing_is_lost_or_repeated() {
    let mut cluster = Cluster::with(3, 0, &[]).await;
    let store = open(&cluster).await;
    let mut watcher = store.watch().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut first = Vec::new();
    for lane in 0..8 {
        first.push(append_new(&store, &format!("lane_{lane}"), "evt_0").await);
    }
    let writers: Vec<_> = (0..8)
        .map(|lane| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            let first = first[lane];
            tokio::spawn(async move {
                let (payment, mut acked) = (format!("lane_{lane}"), vec![first]);
                while !stop.load(Ordering::Relaxed) && acked.len() < 500 {
                    acked.push(deliver(&store, &payment, &format!("evt_{}", acked.len())).await);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                (payment, acked)
            })
        })
        .collect();
    let added = cluster.add().await;
    // The slots of all payments move to the new primary, and those of the quiet ones between too.
    for lane in 0..8 {
        let place = slot(&cluster, &format!("lane_{lane}"));
        let from = cluster.owner(place);
        if from != added {
            cluster.move_slot(place, from, added);
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        let (payment, acked) = writer.await.unwrap();
        let log = store.read(&subject(&payment)).await.unwrap();
        let tags: Vec<_> = log.entries.iter().map(|entry| entry.tag).collect();
        assert_eq!(tags, acked.iter().map(|cursor| cursor.tag).collect::<Vec<_>>(), "{payment}");
    }
    while watcher.try_recv().is_ok() {}
    let cursor = append_new(&store, "lane_0", "the_end").await;
    until_noticed(&mut watcher, "lane_0", cursor.seq).await;
}
