//! Nodes that die, freeze and take over.

use super::{
    append, append_new, deliver, notice, open, payment_of, store_at, subject, try_open, until_noticed,
};
use crate::support::{Cluster, eventually, paystream};
use paystream::store::{Interruption, Store, StoreError};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_shard_is_missing_alone_and_comes_back() {
    let mut cluster = Cluster::with(3, 0, &[]).await;
    let store = open(&cluster).await;
    let _watcher = store.watch().await;
    let payments: Vec<_> = (0..3).map(|place| payment_of(&cluster, place)).collect();
    for payment in &payments {
        append_new(&store, payment, "evt_0").await;
    }
    assert!(store.heads().await.unwrap().iter().all(Option::is_some));

    cluster.servers[0].kill();
    let mut number = 0;
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        number += 1;
        let id = format!("evt_{number}");
        let lost = append(&store, &payments[0], &id);
        let (lost, _, took) = tokio::join!(lost, tokio::time::sleep(Duration::from_millis(50)), async {
            let began = Instant::now();
            append_new(&store, &payments[1], &id).await;
            append_new(&store, &payments[2], &id).await;
            began.elapsed()
        });
        assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
        slowest = slowest.max(took);
    }
    assert!(slowest < Duration::from_millis(500), "the other shards took {slowest:?} for two appends");
    // Whoever has been gone for long refuses at once.
    let began = Instant::now();
    let refused = append(&store, &payments[0], "evt_x").await.unwrap_err().to_string();
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    assert!(refused.contains(&cluster.servers[0].address.to_string()), "{refused}");
    let heads = store.heads().await.unwrap();
    let missing: Vec<_> =
        (0..=u8::MAX).zip(&heads).filter(|(_, head)| head.is_none()).map(|(p, _)| p).collect();
    assert!((85..=86).contains(&missing.len()), "{missing:?}");
    assert!(missing.contains(&subject(&payments[0]).partition()));
    assert!(!missing.contains(&subject(&payments[1]).partition()));
    store.health().await.unwrap();

    cluster.servers[0].restart().await;
    deliver(&store, &payments[0], "evt_x").await;
    eventually("all heads are told again", async || {
        store.heads().await.is_ok_and(|heads| heads.iter().all(Option::is_some))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_replica_takes_over_and_what_was_acknowledged_by_both_stands() {
    let mut cluster = Cluster::start().await;
    let settings = paystream::store::redis::Settings { ack_replicas: 1, ..store_at(&cluster.url()) };
    let store = try_open(settings).await.unwrap();
    let mut watcher = store.watch().await;
    let payment = payment_of(&cluster, 0);
    let mut acked = Vec::new();
    for number in 0..20 {
        acked.push(append_new(&store, &payment, &format!("evt_{number}")).await);
        notice(&mut watcher).await;
    }
    cluster.servers[0].kill();
    // With the primary, the only replica of the shard is used up, so nobody can acknowledge as configured.
    cluster.until_ok().await;
    eventually("the promoted replica is read", async || {
        store.read(&subject(&payment)).await.is_ok_and(|log| log.entries.len() == 20)
    })
    .await;
    // The old primary comes back as the replica of the new one.
    cluster.servers[0].restart().await;
    acked.push(deliver(&store, &payment, "evt_20").await);
    until_noticed(&mut watcher, &payment, 21).await;
    let log = store.read(&subject(&payment)).await.unwrap();
    let tags: Vec<_> = log.entries.iter().map(|entry| entry.tag).collect();
    assert_eq!(tags, acked.iter().map(|cursor| cursor.tag).collect::<Vec<_>>());
    assert!(
        matches!(store.interrupted().await, Interruption::Elsewhere(partitions) if partitions.contains(subject(&payment).partition()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_is_followed_while_the_old_primary_lives() {
    let cluster = Cluster::start().await;
    let store = open(&cluster).await;
    let mut watcher = store.watch().await;
    let payment = payment_of(&cluster, 1);
    append_new(&store, &payment, "evt_0").await;
    notice(&mut watcher).await;
    assert!(cluster.servers[4].ask(&["CLUSTER", "FAILOVER"]).starts_with("+OK"));
    for number in 1..40 {
        deliver(&store, &payment, &format!("evt_{number}")).await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(cluster.owner(super::slot(&cluster, &payment)), 4);
    eventually("notices come from the new primary", async || {
        let log = store.read(&subject(&payment)).await.unwrap();
        let seq = log.entries.len() as u64 + 1;
        deliver(&store, &payment, &format!("late_{seq}")).await;
        tokio::time::timeout(Duration::from_secs(1), until_noticed(&mut watcher, &payment, seq)).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_primary_is_left_for_its_replica() {
    let cluster = Cluster::start().await;
    let store = open(&cluster).await;
    let payment = payment_of(&cluster, 2);
    append_new(&store, &payment, "evt_0").await;
    cluster.servers[2].pause();
    let cursor = deliver(&store, &payment, "evt_1").await;
    assert_eq!(cursor.seq, 2);
    cluster.servers[2].resume();
    assert_eq!(deliver(&store, &payment, "evt_2").await.seq, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_goes_to_each_primary_and_says_what_it_found() {
    let mut cluster = Cluster::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("paystream.toml");
    std::fs::write(&config, format!("[store]\nkind = \"redis\"\nurl = \"{}\"\n", cluster.url())).unwrap();
    let check = || {
        let output = paystream().args(["check", "--connect", "--config"]).arg(&config).output().unwrap();
        (
            output.status.code(),
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        )
    };
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("fit: version 7.").count(), 3, "{said}");
    assert!(said.contains("it has 1 replicas and ack_replicas is 0, so a failover may lose"), "{said}");
    for place in [0, 3] {
        cluster.servers[place].kill();
    }
    let (code, said) = check();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("an append to {} would fail now", cluster.servers[0].address)), "{said}");
}
