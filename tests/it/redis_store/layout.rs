//! The layout of the keys: hash tags that spread evenly over a cluster's slots, streams of records in several of them, and a
//! number that every connection checks.

use super::{append, append_new, event, open, store_at, subject, try_open};
use crate::support::{PATIENCE, RedisServer, eventually};
use paystream::{
    payment::{PARTITIONS, Time},
    store::{Append, OutcomeKind, RECORDS_PER_SOURCE, Record, RecordLog, Store, StoreError, redis::Settings},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Asks the server for the slot of a key. The server has to be part of a cluster.
fn slot(server: &RedisServer, key: &str) -> usize {
    let answer = server.ask(&["CLUSTER", "KEYSLOT", key]);
    answer.trim().trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{key}: {answer}"))
}

/// Counts the slots in the fullest of `shards` equal ranges.
fn largest_share(slots: &BTreeSet<usize>, shards: usize) -> usize {
    let mut shares = vec![0; shards];
    slots.iter().for_each(|slot| shares[slot * shards / 16_384] += 1);
    shares.into_iter().max().unwrap()
}

#[tokio::test]
async fn partitions_lie_at_equal_distances_over_the_slots_of_a_cluster() {
    let server = RedisServer::start_as_cluster().await;
    let store = open(&server).await;
    // One payment of each partition.
    let payments: BTreeMap<u8, String> = (0..20_000)
        .map(|number| format!("pay_{number}"))
        .map(|payment| (subject(&payment).partition(), payment))
        .collect();
    assert_eq!(payments.len(), PARTITIONS);
    for payment in payments.values() {
        store.append(Append { event: event(payment, "evt"), shared_ids: false }).await.unwrap();
    }
    let logs: HashMap<String, String> = server
        .keys("ps:{*}:log:default/payment/*")
        .into_iter()
        .map(|key| (key.rsplit_once('/').unwrap().1.to_owned(), key))
        .collect();
    let mut slots = BTreeSet::new();
    for (partition, payment) in &payments {
        let slot = slot(&server, &logs[payment]);
        let middle = 64 * usize::from(*partition) + 32;
        assert!(slot.abs_diff(middle) <= 4, "partition {partition}: {} in slot {slot}", logs[payment]);
        slots.insert(slot);
    }
    assert_eq!(slots.len(), PARTITIONS, "each partition has a slot of its own");
    for (shards, most) in [(3, 86), (6, 43), (12, 22), (24, 11), (64, 4)] {
        assert!(largest_share(&slots, shards) <= most, "{shards} shards: {}", largest_share(&slots, shards));
    }
}

fn delivery(number: usize) -> Record {
    Record {
        log: RecordLog::Deliveries,
        source: "acme".into(),
        at: Time::from_unix_s(number as i64).unwrap(),
        outcome: OutcomeKind::Accepted,
        reason: None,
        event: Some(format!("evt_{number}").into()),
        unsigned_id: None,
        part: None,
        failure_code: None,
        kind: Some("note".into()),
        payment: None,
        seq: Some(1),
        place: None,
        found: None,
        bytes: Some(300),
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: None,
    }
}

#[tokio::test]
async fn delivery_records_of_a_source_are_spread_over_sixteen_slots_and_read_as_one_log() {
    const TOTAL: usize = 3 * RECORDS_PER_SOURCE;
    let server = RedisServer::start_as_cluster().await;
    let store = open(&server).await;
    for number in 0..TOTAL {
        store.record(delivery(number)).await.unwrap();
        // With one counter for all sources, each of these two would fill only every second stream.
        store.record(Record { source: "other".into(), ..delivery(number) }).await.unwrap();
    }
    for source in ["acme", "other"] {
        let streams = server.keys(&format!("ps:{{*}}:deliveries:{source}"));
        let mut slots: Vec<_> = streams.iter().map(|key| slot(&server, key)).collect();
        slots.sort_unstable();
        assert_eq!(slots.len(), 16, "{streams:?}");
        assert!(slots.windows(2).all(|pair| (pair[1] - pair[0]).abs_diff(1024) <= 4), "{slots:?}");
        for key in &streams {
            // The server trims whole nodes of 100 entries or 4 KB, so it keeps up to one node more.
            let kept: usize = server.ask(&["XLEN", key]).trim().trim_start_matches(':').parse().unwrap();
            assert!((64..=164).contains(&kept), "{key} keeps {kept}");
        }
    }
    let expected: Vec<_> = (0..TOTAL).rev().map(delivery).collect();
    for limit in [0, 1, 5, 100, RECORDS_PER_SOURCE, usize::MAX] {
        let newest = store.records(RecordLog::Deliveries, "acme", None, limit).await.unwrap();
        assert_eq!(newest.records, expected[..limit.min(RECORDS_PER_SOURCE)], "{limit}");
    }
    // Page by page the same records come, each once.
    let (mut before, mut listed) = (None, Vec::new());
    while listed.len() < RECORDS_PER_SOURCE {
        let page = store.records(RecordLog::Deliveries, "acme", before, 37).await.unwrap();
        assert!(!page.records.is_empty() && page.records.len() <= 37);
        listed.extend(page.records);
        before = page.next;
    }
    assert_eq!(listed[..], expected[..listed.len()]);
}

#[tokio::test]
async fn an_older_layout_is_refused_at_the_start_with_what_to_do() {
    let server = RedisServer::start().await;
    // What layout 1 leaves behind of a partition, whose hash tag was its number.
    server.ask(&["HSET", "ps:{17}:head", "pos", "3", "tag", "00000001"]);
    let began = Instant::now();
    let refused = try_open(store_at(&server.url())).await.unwrap_err().to_string();
    assert!(began.elapsed() < PATIENCE / 10, "waiting does not help");
    for part in [
        "the keys of prefix ps have layout 1 (ps:{17}:head exists, ps:layout does not)",
        "this version of Paystream needs layout 2",
        "give another prefix under [store], or delete all keys that begin with ps:",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(server.keys("*"), ["ps:{17}:head"], "a refused store is left as it is");

    let other = Settings { prefix: "ps-2".to_owned(), ..store_at(&server.url()) };
    try_open(other).await.expect("another prefix has its own layout");
    server.ask(&["DEL", "ps:{17}:head"]);
    append_new(&open(&server).await, "pay", "evt").await;
}

#[tokio::test]
async fn another_number_of_the_layout_is_refused_at_the_start() {
    let server = RedisServer::start().await;
    for number in ["1", "3"] {
        server.ask(&["SET", "ps:layout", number]);
        let refused = try_open(store_at(&server.url())).await.unwrap_err().to_string();
        let expected = format!("have layout {number} (ps:layout says so)");
        assert!(refused.contains(&expected) && refused.contains("needs layout 2"), "{refused}");
        assert_eq!(server.keys("*"), ["ps:layout"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_start_at_once_on_an_empty_server_agree_on_the_layout() {
    let server = RedisServer::start().await;
    let number = |prefix: &str| server.ask(&["GET", &format!("{prefix}:layout")]).replace("\r\n", " ");
    for round in 0..20 {
        let prefix = format!("ps-{round}");
        let mut opening = JoinSet::new();
        for _ in 0..4 {
            opening.spawn(try_open(Settings { prefix: prefix.clone(), ..store_at(&server.url()) }));
        }
        // In every other round a gateway of another version starts too, a little later each time, and does the same with its
        // number.
        if round % 2 == 1 {
            tokio::time::sleep(Duration::from_micros(200 * round)).await;
            server.ask(&["SET", &format!("{prefix}:layout"), "3", "NX"]);
        }
        let opened = opening.join_all().await;
        match number(&prefix).trim() {
            "$1 2" => opened.into_iter().for_each(|store| drop(store.unwrap())),
            "$1 3" => assert!(opened.iter().all(Result::is_err), "one writes to another version's keys"),
            other => panic!("{prefix} has layout {other}"),
        }
    }
}

#[tokio::test]
async fn every_connection_checks_the_layout() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    append_new(&store, "pay", "evt_1").await;
    let reconnect = || server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);

    // The number comes with the other answers; only an empty prefix needs more questions.
    server.ask(&["CONFIG", "RESETSTAT"]);
    drop(open(&server).await);
    let stats = server.ask(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_get:"), "{stats}");
    assert!(!stats.contains("cmdstat_exists:") && !stats.contains("cmdstat_set:"), "{stats}");

    server.ask(&["SET", "ps:layout", "3"]);
    reconnect();
    let subject = subject("pay");
    eventually("appends and reads are refused", async || {
        let refused = [append(&store, "pay", "evt_2").await.err(), store.read(&subject).await.err()];
        refused
            .iter()
            .all(|error| matches!(error, Some(StoreError::Unavailable(why)) if why.contains("have layout 3")))
    })
    .await;
    let Err(StoreError::Unavailable(why)) = store.health().await else { panic!("healthy") };
    assert!(why.contains("needs layout 2"), "{why}");

    server.ask(&["SET", "ps:layout", "2"]);
    eventually("it is ours again", async || append(&store, "pay", "evt_2").await.is_ok()).await;

    // A server that lost everything is an empty one, which gets our number again.
    server.ask(&["FLUSHALL"]);
    reconnect();
    eventually("appends succeed", async || append(&store, "pay", "evt_1").await.is_ok()).await;
    eventually("the layout is named", async || server.ask(&["GET", "ps:layout"]).contains("\r\n2\r\n")).await;
}
