//! What the store does on a Redis cluster whose nodes fail, take over from each other, and pass slots on. `contract` runs on a cluster too.

mod faults;
mod moves;
mod streams;

use crate::{
    contract,
    support::{Cluster, PATIENCE, store_at},
};
use paystream::{
    metrics::Metrics,
    payment::{Cursor, Subject},
    store::{
        Append, Appended, Notice, NoticeBody, Store, StoreError,
        redis::{Redis, ServerError, Settings},
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast::Receiver;

async fn try_open(settings: Settings) -> Result<Redis, ServerError> {
    Redis::open(settings, Arc::new(Metrics::new())).await
}

async fn open(cluster: &Cluster) -> Arc<Redis> {
    Arc::new(try_open(store_at(&cluster.url())).await.unwrap())
}

fn subject(payment: &str) -> Subject {
    contract::subject("default", payment)
}

async fn append(store: &Redis, payment: &str, id: &str) -> Result<Appended, StoreError> {
    store.append(Append { event: contract::event(payment, id, 4200), shared_ids: false }).await
}

async fn append_new(store: &Redis, payment: &str, id: &str) -> Cursor {
    match append(store, payment, id).await.unwrap() {
        Appended::New { cursor } => cursor,
        other => panic!("{payment} {id}: {other:?}"),
    }
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

/// A payment whose keys the primary at this place serves now.
fn payment_of(cluster: &Cluster, place: usize) -> String {
    (0..).map(|number| format!("pay_{number}")).find(|payment| owner(cluster, payment) == place).unwrap()
}

/// The place of the primary that serves a payment's keys. They lie within two slots of the middle of their partition's range.
fn owner(cluster: &Cluster, payment: &str) -> usize {
    cluster.owner(u16::from(subject(payment).partition()) * 64 + 32)
}

/// The slot of a payment that has a log.
fn slot(cluster: &Cluster, payment: &str) -> u16 {
    let key = cluster
        .servers
        .iter()
        .filter(|server| server.is_running())
        .find_map(|server| server.log_key(payment));
    cluster.slot(&key.expect("it has no log"))
}

/// The next notice, which has to come soon.
async fn notice(watcher: &mut Receiver<Arc<Notice>>) -> Arc<Notice> {
    tokio::time::timeout(Duration::from_secs(20), watcher.recv()).await.expect("no notice").unwrap()
}

/// Waits for the notice of an append.
async fn until_noticed(watcher: &mut Receiver<Arc<Notice>>, payment: &str, seq: u64) {
    loop {
        let notice = notice(watcher).await;
        if let NoticeBody::Appended { seq: told, event } = &notice.body
            && *event.subject() == subject(payment)
            && *told == seq
        {
            return;
        }
    }
}

#[tokio::test]
async fn the_wrong_kind_of_address_is_refused_with_the_right_one() {
    let cluster = Cluster::with(3, 0, &[]).await;
    let one = cluster.servers[0].url();
    let refused = try_open(store_at(&one)).await.unwrap_err().to_string();
    assert!(refused.contains("let [store] url begin with redis+cluster://"), "{refused}");
    let single = crate::support::RedisServer::start().await;
    let refused =
        try_open(store_at(&single.url().replace("redis://", "redis+cluster://"))).await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("is no node of a cluster; let [store] url begin with redis://"), "{refused}");
    // One seed is enough, and those that are dead do not matter.
    let dead = crate::support::free_address();
    let url = format!("redis+cluster://{dead},{}", cluster.servers[1].address);
    let store = try_open(store_at(&url)).await.unwrap();
    for number in 0..50 {
        append_new(&store, &format!("pay_{number}"), "evt").await;
    }
    let fault = Cluster::with(3, 0, &["--maxmemory-policy", "allkeys-lru"]).await;
    let refused = try_open(store_at(&fault.url())).await.unwrap_err().to_string();
    assert!(refused.contains("CONFIG SET maxmemory-policy noeviction"), "{refused}");
}
