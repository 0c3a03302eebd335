//! I3: `seq` without hole or repetition, across reconnects and faults.

use crate::support::{Gateway, PATIENCE, Setup, generic};
use std::time::Duration;
use tokio::time::timeout;

/// Retries as a provider does, until it is acknowledged.
async fn post_with_retries(gateway: &Gateway, id: u64) {
    let body = generic(&format!("e{id}"), "pending", "pay_1", 1_700_000_000 + id).to_string().into_bytes();
    let headers = crate::support::signed("acme", &body);
    crate::support::eventually("it is acknowledged", async || {
        let answer = load::http::request(gateway.ingest, "POST", "/webhooks/acme", &headers, &body).await;
        answer.is_ok_and(|answer| answer.head.status / 100 == 2)
    })
    .await;
}

#[tokio::test]
async fn i3_streams_resume_across_kill_9_without_a_gap() {
    let mut gateway = Gateway::start().await;
    let following: Vec<_> = (0..5)
        .map(|_| {
            let mut follower = gateway.follower("pay_1");
            tokio::spawn(async move {
                follower.follow(|seen, _| seen.seq == 100).await.unwrap();
                follower.seen
            })
        })
        .collect();
    for id in 1..=100 {
        if id % 20 == 0 {
            gateway.kill();
            gateway.restart().await;
        }
        post_with_retries(&gateway, id).await;
    }
    for task in following {
        let seen = timeout(PATIENCE, task).await.unwrap().unwrap();
        assert!(seen.is_exact(), "{seen:?}");
        assert_eq!(seen.snapshots, [""; 0], "a snapshot was not needed");
        assert_eq!(seen.events.len(), 100);
        assert!(seen.connections > 1);
    }
}

#[tokio::test]
async fn i3_streams_resume_across_a_drain_without_a_gap() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"1s\"")).await;
    let mut follower = gateway.follower("pay_1");
    let following = tokio::spawn(async move {
        follower.follow(|seen, _| seen.seq == 40).await.unwrap();
        follower.seen
    });
    for id in 1..=40 {
        if id % 20 == 0 {
            gateway.stop().await;
            gateway.restart().await;
        }
        post_with_retries(&gateway, id).await;
    }
    let seen = timeout(PATIENCE, following).await.unwrap().unwrap();
    assert!(seen.is_exact() && seen.snapshots.is_empty(), "{seen:?}");
    assert!(seen.closings.iter().all(|reason| reason == "drain"), "{seen:?}");
}

#[tokio::test]
async fn i3_a_client_that_comes_and_goes_all_the_time_misses_nothing() {
    let gateway = Gateway::start().await;
    let mut follower = gateway.follower("pay_1");
    let following = tokio::spawn(async move {
        while follower.seen.seq < 200 {
            // Hangs up after whatever comes first: messages, or a moment.
            let mut left = 3;
            let turn = follower.follow(|seen, _| {
                left -= 1;
                left == 0 || seen.seq == 200
            });
            let _ = timeout(Duration::from_millis(30), turn).await;
        }
        follower.seen
    });
    for id in 1..=200 {
        post_with_retries(&gateway, id).await;
    }
    let seen = timeout(PATIENCE, following).await.unwrap().unwrap();
    assert!(seen.is_exact() && seen.snapshots.is_empty(), "{seen:?}");
    assert_eq!(seen.events.len(), 200);
    assert!(seen.connections > 10);
}
