//! Redis away for a while, under load and with streams open: webhooks are deferred in time, streams stay, and all is caught
//! up as soon as it is back.
//!
//! `PAYSTREAM_OUTAGE_S` and `PAYSTREAM_OUTAGE_STREAMS` make it longer and larger.

use super::{lane, number, provider::Post, watcher::Watcher};
use crate::support::{Gateway, PATIENCE, Random, RedisServer, Setup};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

/// Watchers of each payment.
const WATCHERS: usize = 10;

/// Webhooks under way at once.
const PROVIDERS: usize = 32;

/// How long a webhook's answer may take, whatever the server does.
const ANSWER: Duration = Duration::from_millis(2500);

/// How long catching up may take; a provider's retry after 20 ms is in it.
const CAUGHT_UP: Duration = Duration::from_secs(2);

/// How the server goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Its process is gone: connections are reset and refused.
    Killed,
    /// Its process stands still: connections are taken by the kernel, and nothing is answered.
    Frozen,
}

/// One payment.
struct Payment {
    post: Post,
    watchers: Vec<Watcher>,
}

async fn open(nodes: &[Gateway; 2], streams: usize) -> Arc<Vec<Payment>> {
    let public = nodes.each_ref().map(|node| node.public);
    let ingest = nodes.each_ref().map(|node| node.ingest);
    let mut payments = Vec::new();
    for index in 0..streams.div_ceil(WATCHERS) {
        let name = format!("pay_{index}_outage");
        let watchers = (0..WATCHERS).map(|watcher| Watcher::start(public, &name, watcher % 2));
        let payment = Payment { watchers: watchers.collect(), post: Post::new(ingest, name) };
        for watcher in &payment.watchers {
            timeout(PATIENCE, watcher.until(|shown| shown.messages > 0)).await.expect("a stream opens");
        }
        payments.push(payment);
    }
    Arc::new(payments)
}

/// Posts event after event about every [`PROVIDERS`]th payment.
fn provide(payments: &Arc<Vec<Payment>>, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut providers = JoinSet::new();
    for provider in 0..PROVIDERS.min(payments.len()) {
        let (payments, stop) = (Arc::clone(payments), stop.clone());
        let mut random = Random::new(provider as u64);
        providers.spawn(async move {
            for payment in payments.iter().skip(provider).step_by(PROVIDERS).cycle() {
                if *stop.borrow() {
                    return;
                }
                let (id, body) = payment.post.next(&mut random);
                payment.post.event(&id, &body, provider % 2).await;
                sleep(Duration::from_millis(50 + random.below(50))).await;
            }
        });
    }
    providers
}

async fn outage(way: Way) {
    let time = Duration::from_secs(number("PAYSTREAM_OUTAGE_S").unwrap_or(10));
    let streams = usize::try_from(number("PAYSTREAM_OUTAGE_STREAMS").unwrap_or(300)).unwrap();
    let mut server = RedisServer::start().await;
    let nodes = [Gateway::with(Setup::on(&server)).await, Gateway::with(Setup::on(&server)).await];
    let payments = open(&nodes, streams).await;
    let (stop, stopped) = watch::channel(false);
    let mut providers = provide(&payments, &stopped);
    sleep(Duration::from_secs(1)).await;

    match way {
        Way::Killed => server.kill(),
        Way::Frozen => server.pause(),
    }
    let told = async {
        for watcher in payments.iter().flat_map(|payment| &payment.watchers) {
            watcher.until(|shown| shown.stale).await;
        }
    };
    timeout(time.max(PATIENCE), async { tokio::join!(told, sleep(time)) }).await.expect("streams are told");
    match way {
        Way::Killed => server.restart().await,
        Way::Frozen => server.resume(),
    }
    let back = Instant::now();

    stop.send_replace(true);
    while let Some(done) = timeout(PATIENCE, providers.join_next()).await.expect("webhooks are taken again") {
        done.unwrap();
    }
    let taken = back.elapsed();
    let mut slowest = Duration::ZERO;
    let (mut acked, mut deferred) = (0, 0);
    for payment in payments.iter() {
        let truth = lane::truth(&server, &payment.post.payment);
        for watcher in &payment.watchers {
            let shown = watcher.until(|shown| shown.seen.events == truth || shown.gave_up.is_some());
            timeout(PATIENCE, shown).await.expect("every stream catches up");
        }
        let book = payment.post.book();
        let ids: Vec<_> = truth.values().collect();
        assert!(book.acked.keys().all(|id| ids.contains(&id)), "acknowledged and lost: {truth:?}");
        assert_eq!(ids.len() as u64, book.posted, "each event once: {truth:?}");
        slowest = slowest.max(book.slowest_answer);
        acked += book.acks;
        deferred += book.deferred;
    }
    let shown = back.elapsed();
    for watcher in payments.iter().flat_map(|payment| &payment.watchers) {
        timeout(PATIENCE, watcher.until(|shown| !shown.stale)).await.expect("streams are told of the end");
        let seen = watcher.shows().seen;
        assert_eq!((seen.lost, seen.repeated, seen.reordered), (0, 0, 0));
        assert_eq!(
            (seen.connections, &seen.snapshots[..]),
            (1, &[][..]),
            "a stream was lost: {:?}",
            seen.closings
        );
    }
    eprintln!(
        "{way:?} for {time:?}: {} streams, {acked} acknowledged, {deferred} deferred, slowest answer {slowest:.2?}; \
         back: webhooks taken after {taken:.2?}, all streams right after {shown:.2?}",
        payments.len() * WATCHERS
    );
    assert!(deferred > 0, "there was no load");
    assert!(slowest <= ANSWER, "an answer took {slowest:?}");
    assert!(shown <= CAUGHT_UP, "caught up after {shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_costs_no_stream_and_all_is_caught_up_once_it_is_back() {
    outage(Way::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_costs_no_stream_and_all_is_caught_up_once_it_is_back() {
    outage(Way::Frozen).await;
}
