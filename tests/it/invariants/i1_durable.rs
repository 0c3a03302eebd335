//! I1: what was acknowledged is durable.

use crate::support::{GENERIC_SECRET, Gateway, PATIENCE, generic};
use load::{http::Connection, sign};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    sync::{Arc, Mutex},
};

/// The ids of the events in a payment's timeline.
async fn timeline(gateway: &Gateway, payment: &str) -> BTreeSet<String> {
    let snapshot = gateway.snapshot(payment).await;
    let entries = snapshot["timeline"].as_array().unwrap();
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

/// Posts events of one payment until the connection breaks; gives back those that were acknowledged.
async fn post_until_killed(ingest: SocketAddr, payment: String, acked: Arc<AtomicUsize>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let mut connection = Connection::open(ingest).await.unwrap();
    for number in 0..500_u64 {
        let id = format!("{payment}-{number}");
        let body = generic(&id, "pending", &payment, 1_700_000_000 + number).to_string().into_bytes();
        let headers = sign::generic(GENERIC_SECRET, &body);
        match connection.request("POST", "/webhooks/acme", &headers, &body).await {
            Ok(answer) if answer.head.status / 100 == 2 => {
                known.insert(id);
                acked.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => panic!("{}: {}", answer.head.status, answer.text()),
            Err(_) => break,
        }
    }
    known
}

#[tokio::test]
async fn i1_what_was_acknowledged_survives_kill_9() {
    let mut gateway = Gateway::start().await;
    let count = Arc::new(AtomicUsize::new(0));
    let posting: Vec<_> = (0..8)
        .map(|n| tokio::spawn(post_until_killed(gateway.ingest, format!("pay_{n}"), Arc::clone(&count))))
        .collect();
    crate::support::eventually("some are acknowledged", async || count.load(Ordering::Relaxed) > 100).await;
    gateway.kill();
    let mut acked = Vec::new();
    for task in posting {
        acked.push(tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap());
    }
    gateway.restart().await;
    for (n, acked) in acked.iter().enumerate() {
        let kept = timeline(&gateway, &format!("pay_{n}")).await;
        let lost: Vec<_> = acked.difference(&kept).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        // One more may have been stored whose acknowledgement never arrived.
        assert!(kept.len() <= acked.len() + 1);
    }
}

#[tokio::test]
async fn i1_an_acknowledged_duplicate_is_as_durable_as_its_original() {
    let mut gateway = Gateway::start().await;
    let ingest = gateway.ingest;
    let acked = Arc::new(Mutex::new(BTreeSet::new()));
    // Original and duplicate race each other; whichever is answered first, its 2xx counts.
    let posting: Vec<_> = (0..16)
        .map(|_| {
            let acked = Arc::clone(&acked);
            tokio::spawn(async move {
                let Ok(mut connection) = Connection::open(ingest).await else { return };
                for number in 0..300_u64 {
                    let id = format!("e{number}");
                    let body =
                        generic(&id, "pending", "pay_1", 1_700_000_000 + number).to_string().into_bytes();
                    let headers = sign::generic(GENERIC_SECRET, &body);
                    match connection.request("POST", "/webhooks/acme", &headers, &body).await {
                        Ok(answer) if answer.head.status / 100 == 2 => drop(acked.lock().unwrap().insert(id)),
                        Ok(_) => {}
                        Err(_) => return,
                    }
                }
            })
        })
        .collect();
    crate::support::eventually("some are acknowledged", async || acked.lock().unwrap().len() > 30).await;
    gateway.kill();
    for task in posting {
        task.await.unwrap();
    }
    gateway.restart().await;
    let kept = timeline(&gateway, "pay_1").await;
    let acked = acked.lock().unwrap();
    assert!(acked.is_subset(&kept), "lost: {:?}", acked.difference(&kept));
}

#[tokio::test]
async fn i1_a_provider_that_retries_after_the_kill_changes_nothing() {
    let mut gateway = Gateway::start().await;
    for number in 0..20 {
        gateway.accept(&generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000)).await;
    }
    let before = gateway.snapshot("pay_1").await;
    gateway.kill();
    gateway.restart().await;
    for number in 0..20 {
        gateway.accept(&generic(&format!("e{number}"), "pending", "pay_1", 1_700_000_000)).await;
    }
    assert_eq!(gateway.snapshot("pay_1").await, before);
}
