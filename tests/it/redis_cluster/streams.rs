//! Gateways on a cluster, over real sockets: streams stay open and are told, and webhooks of other shards are answered as ever.

use super::{payment_of, slot};
use crate::support::{
    Cluster, GENERIC_SECRET, Gateway, Setup, Store, eventually, generic, next_message, now_s, stays_silent,
};
use load::{follow::Seen, http::Connection, sign};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::sleep};

fn on(cluster: &Cluster) -> Setup {
    Setup { store: Store::Redis { url: cluster.url(), more: String::new() }, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_shard_makes_its_own_streams_stale_and_its_own_webhooks_fail() {
    let mut cluster = Cluster::with(3, 0, &[]).await;
    let gateway = Gateway::with(on(&cluster)).await;
    let [lost, other] = [0, 1].map(|place| payment_of(&cluster, place));
    let post = |payment: &str, id: &str| {
        let payload = generic(id, "pending", payment, now_s());
        let gateway = &gateway;
        async move { gateway.post("acme", &payload).await.head.status }
    };
    assert_eq!((post(&lost, "evt_1").await, post(&other, "evt_2").await), (200, 200));
    let (mut on_lost, mut on_other) = (gateway.stream(&lost).await, gateway.stream(&other).await);
    next_message(&mut on_lost).await;
    next_message(&mut on_other).await;

    cluster.servers[0].kill();
    let (_, told) = next_message(&mut on_lost).await;
    assert_eq!((told["type"].as_str(), told["stale"].as_bool()), (Some("stale"), Some(true)), "{told}");
    assert_eq!(post(&lost, "evt_3").await, 503);
    assert_eq!(post(&other, "evt_4").await, 200);
    let (_, told) = next_message(&mut on_other).await;
    assert_eq!(told["event"]["id"], "evt_4", "{told}");
    stays_silent(&mut on_other, Duration::from_millis(1_500)).await;
    // The node does its work for the others, so a load balancer must not take it out.
    for path in ["/readyz", "/readyz/ingest"] {
        assert_eq!(gateway.admin(path).await.head.status, 200, "{path}");
    }

    let server = |place: usize| format!("server=\"{}\"", cluster.servers[place].address);
    let (gone, stays) = (server(0), server(1));
    assert_eq!(gateway.metric("paystream_store_server_up", &[&gone]).await.to_bits(), 0.0_f64.to_bits());
    assert_eq!(gateway.metric("paystream_store_server_up", &[&stays]).await.to_bits(), 1.0_f64.to_bits());
    assert!(gateway.metric("paystream_store_server_write_seconds_count", &[&stays]).await >= 1.0);
    assert!(gateway.metric("paystream_store_server_writes_total", &[&stays]).await >= 2.0);

    cluster.servers[0].restart().await;
    let (_, told) = next_message(&mut on_lost).await;
    assert_eq!((told["type"].as_str(), told["stale"].as_bool()), (Some("stale"), Some(false)), "{told}");
    eventually("the shard takes webhooks again", async || post(&lost, "evt_3").await == 200).await;
    let (_, told) = next_message(&mut on_lost).await;
    assert_eq!(told["event"]["id"], "evt_3", "{told}");
}

/// Posts event after event about a payment, each until it is acknowledged. Returns how many were, and the longest time of one that was not
/// deferred.
fn provide(
    ingest: SocketAddr,
    payment: String,
    stop: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut connection = Connection::open(ingest).await.unwrap();
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) && number < 450 {
            let id = format!("{payment}-{number}");
            let body = generic(&id, "pending", &payment, 1_700_000_000 + number).to_string().into_bytes();
            let headers = sign::generic(GENERIC_SECRET, &body);
            loop {
                let answer = connection.request("POST", "/webhooks/acme", &headers, &body).await.unwrap();
                match answer.head.status {
                    200 => break,
                    status => assert_eq!(status, 503, "{}", answer.text()),
                }
                sleep(Duration::from_millis(20)).await;
            }
            number += 1;
            acked.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(15)).await;
        }
        number
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i3_slots_move_and_a_primary_hands_over_under_load_and_no_stream_is_closed() {
    let mut cluster = Cluster::start().await;
    // The node that streams takes no webhooks, so it learns of each move from its own reading and hearing.
    let taking = Gateway::with_role("ingest", on(&cluster)).await;
    let streaming = Gateway::with_role("stream", on(&cluster)).await;
    let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let payments: Vec<_> = (0..9).map(|number| format!("pay_{number}")).collect();
    for payment in &payments {
        taking.accept(&generic(&format!("{payment}-first"), "pending", payment, 1_600_000_000)).await;
    }
    let watchers: Vec<JoinHandle<Seen>> = payments
        .iter()
        .map(|payment| {
            let mut follower = streaming.follower(payment);
            tokio::spawn(async move {
                let followed = follower.follow(|_, message| {
                    message["event"]["id"].as_str().is_some_and(|id| id.ends_with("-end"))
                });
                followed.await.unwrap();
                follower.seen
            })
        })
        .collect();
    let providers: Vec<_> = payments
        .iter()
        .map(|payment| provide(taking.ingest, payment.clone(), Arc::clone(&stop), Arc::clone(&acked)))
        .collect();
    let added = cluster.add().await;
    for payment in payments.iter().take(6) {
        let place = slot(&cluster, payment);
        let from = cluster.owner(place);
        cluster.begin_move(place, from, added);
        while cluster.move_keys(place, from, added, 2) > 0 {
            sleep(Duration::from_millis(40)).await;
        }
        sleep(Duration::from_millis(300)).await;
        cluster.end_move(place, from, added);
    }
    // A replica takes over from a primary that goes on living, and has all that it had.
    let before = acked.load(Ordering::Relaxed);
    assert!(cluster.servers[3].ask(&["CLUSTER", "FAILOVER"]).starts_with("+OK"));
    let began = Instant::now();
    eventually("events are acknowledged after the failover", async || {
        acked.load(Ordering::Relaxed) > before + 60
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    stop.store(true, Ordering::Relaxed);
    for (payment, (provider, watcher)) in payments.iter().zip(providers.into_iter().zip(watchers)) {
        let count = provider.await.unwrap();
        taking.accept(&generic(&format!("{payment}-end"), "confirmed", payment, now_s())).await;
        let seen = tokio::time::timeout(Duration::from_secs(30), watcher)
            .await
            .unwrap_or_else(|_| panic!("{payment} never ends"))
            .unwrap();
        assert!(seen.is_exact(), "{payment}: {} {} {}", seen.lost, seen.repeated, seen.reordered);
        assert_eq!(
            (seen.connections, seen.snapshots.len()),
            (1, 0),
            "{payment}: {:?} {:?}",
            seen.closings,
            seen.snapshots
        );
        assert_eq!(seen.seq, count + 2, "{payment}");
    }
}
