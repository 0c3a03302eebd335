//! What the store does in a group that sentinels watch, when its primary dies, freezes or hands over. `contract` runs on such a group too.

use crate::{
    contract,
    support::{GROUP, Group, PATIENCE, Sentinel, ask_at, free_address, store_at},
};
use paystream::{
    metrics::Metrics,
    payment::{Cursor, Subject},
    store::{
        Append, Appended, Interruption, NoticeBody, Store, StoreError,
        redis::{Redis, ServerError, Settings},
    },
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

fn settings(url: &str, ack_replicas: u32) -> Settings {
    Settings { ack_replicas, ..store_at(url) }
}

async fn try_open(settings: Settings) -> Result<Redis, ServerError> {
    Redis::open(settings, Arc::new(Metrics::new())).await
}

fn subject(payment: &str) -> Subject {
    contract::subject("default", payment)
}

async fn append(store: &Redis, payment: &str, id: &str) -> Result<Appended, StoreError> {
    store.append(Append { event: contract::event(payment, id, 4200), shared_ids: false }).await
}

/// Appends as a provider does: again until it is acknowledged.
async fn deliver(store: &Redis, payment: &str, id: &str) -> Cursor {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match append(store, payment, id).await {
            Ok(Appended::New { cursor } | Appended::Duplicate { cursor }) => return cursor,
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(Instant::now() < deadline, "{payment} {id}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Delivers event after event until told to stop, and returns what was acknowledged.
fn provide(store: &Arc<Redis>, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<Cursor>> {
    let (store, stop) = (Arc::clone(store), Arc::clone(stop));
    tokio::spawn(async move {
        let mut acked = Vec::new();
        while !stop.load(Ordering::Relaxed) && acked.len() < 500 {
            acked.push(deliver(&store, "pay", &format!("evt_{}", acked.len())).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        acked
    })
}

/// All that was acknowledged stands in the log, once, and nothing else does.
async fn assert_stands(store: &Redis, acked: &[Cursor]) {
    let log = store.read(&subject("pay")).await.unwrap();
    let tags: Vec<_> = log.entries.iter().map(|entry| entry.tag).collect();
    assert_eq!(tags, acked.iter().map(|cursor| cursor.tag).collect::<Vec<_>>());
    assert_eq!(tags.iter().collect::<BTreeSet<_>>().len(), tags.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_after_the_death_of_the_primary_nothing_that_all_replicas_had_is_missing() {
    let mut group = Group::start(2).await;
    // It counts every replica that may be promoted. After the failover, one of two is left.
    let store = Arc::new(try_open(settings(&group.url(), 2)).await.unwrap());
    let mut watcher = store.watch().await;
    let stop = Arc::new(AtomicBool::new(false));
    let provider = provide(&store, &stop);
    while watcher.recv().await.is_ok_and(|notice| notice.pos < 30) {}
    group.servers[0].kill();
    group.until_failed_over(0).await;
    group.servers[0].restart().await;
    let began = Instant::now();
    // With the old primary as the second replica again, events are acknowledged.
    while watcher.recv().await.is_ok_and(|notice| notice.pos < 60) {
        assert!(began.elapsed() < PATIENCE);
    }
    stop.store(true, Ordering::Relaxed);
    let acked = provider.await.unwrap();
    assert!(acked.len() >= 60);
    assert_stands(&store, &acked).await;
    assert!(matches!(store.interrupted().await, Interruption::Elsewhere(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_primary_that_was_frozen_acknowledges_nothing_after_its_successor_is_known() {
    let group = Group::start(2).await;
    let store = Arc::new(try_open(settings(&group.url(), 2)).await.unwrap());
    let mut watcher = store.watch().await;
    let stop = Arc::new(AtomicBool::new(false));
    let provider = provide(&store, &stop);
    while watcher.recv().await.is_ok_and(|notice| notice.pos < 20) {}
    group.servers[0].pause();
    group.until_failed_over(0).await;
    group.servers[0].resume();
    while watcher.recv().await.is_ok_and(|notice| notice.pos < 40) {}
    stop.store(true, Ordering::Relaxed);
    let acked = provider.await.unwrap();
    assert_stands(&store, &acked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_is_followed_and_notices_come_from_the_new_primary() {
    let group = Group::start(2).await;
    let store = Arc::new(try_open(settings(&group.url(), 0)).await.unwrap());
    let mut watcher = store.watch().await;
    deliver(&store, "pay", "evt_0").await;
    assert!(group.sentinels[0].ask(&["SENTINEL", "FAILOVER", GROUP]).starts_with("+OK"));
    group.until_failed_over(0).await;
    let deadline = Instant::now() + PATIENCE;
    for number in 1_u64.. {
        let cursor = deliver(&store, "pay", &format!("evt_{number}")).await;
        let heard = async {
            loop {
                let notice = watcher.recv().await.unwrap();
                if matches!(notice.body, NoticeBody::Appended { seq, .. } if seq == cursor.seq)
                    && notice.tag == cursor.tag
                {
                    return;
                }
            }
        };
        let is_heard = tokio::time::timeout(Duration::from_millis(500), heard).await.is_ok();
        let log = group.servers[group.primary()].log_key("pay").map_or_else(String::new, |key| {
            group.servers[group.primary()].ask(&["XRANGE", &key, &format!("{}-0", cursor.seq), "+"])
        });
        if is_heard && log.contains(&cursor.tag.to_string()) {
            return;
        }
        assert!(Instant::now() < deadline, "the new primary is not heard");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_knows_an_older_primary_does_not_count() {
    let mut group = Group::start(1).await;
    let old = group.servers[0].address;
    group.servers[0].kill();
    group.until_failed_over(0).await;
    // Nobody tells this one of the failover, since it cannot reach the old primary either.
    let stale = Sentinel::start(old, None).await;
    assert!(stale.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP]).contains(&old.port().to_string()));
    let url = group
        .url()
        .replace("redis+sentinel://", &format!("redis+sentinel://{},{},", stale.address, free_address()));
    // Another server has taken the old address meanwhile.
    group.servers[0].wipe();
    group.servers[0].restart().await;
    assert!(group.servers[0].ask(&["ROLE"]).contains("master"));
    let store = try_open(settings(&url, 0)).await.unwrap();
    deliver(&store, "pay", "evt").await;
    assert!(group.servers[1].log_key("pay").is_some(), "it was written elsewhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_sentinels_the_present_primary_serves_on() {
    let mut group = Group::start(1).await;
    let store = try_open(settings(&group.url(), 0)).await.unwrap();
    deliver(&store, "pay", "evt_0").await;
    group.sentinels.clear();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(matches!(append(&store, "pay", "evt_1").await, Ok(Appended::New { .. })));
    store.health().await.unwrap();
}

#[tokio::test]
async fn faults_of_sentinels_are_told_with_what_to_do() {
    let group = Group::start(0).await;
    let wrong_name = group.url().replace(GROUP, "theirs");
    let refused = try_open(settings(&wrong_name, 0)).await.unwrap_err().to_string();
    assert!(refused.contains("watches no group theirs; mend the name"), "{refused}");
    let locked = Sentinel::start(group.servers[0].address, Some("s3cr3t-of-the-watch")).await;
    assert!(ask_at(locked.address, &["PING"]).unwrap().contains("NOAUTH"));
    let url = format!("redis+sentinel://{}/{GROUP}", locked.address);
    let refused = try_open(settings(&url, 0)).await.unwrap_err().to_string();
    assert!(refused.contains("mend sentinel_password"), "{refused}");
    let with = Settings { sentinel_password: Some("s3cr3t-of-the-watch".into()), ..settings(&url, 0) };
    deliver(&try_open(with).await.unwrap(), "pay", "evt").await;
}
