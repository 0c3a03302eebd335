//! Pending confirmations: each hint of a source whose provider can be asked leaves one in the store.

use super::*;
use crate::source::ApiSettings;

/// A bench whose source can ask its provider.
fn bench_with_api(preset: &str) -> Bench {
    let mut bench = bench_of(&Limits::default(), preset);
    let settings = SourceSettings {
        api: Some(ApiSettings { client_id: None, key: "sk_Zq81LmXw0tB7cYhKdN5v".into(), url: None }),
        ..settings_of("acme", preset)
    };
    bench.sources.replace(vec![Source::build(settings.clone()).unwrap()]);
    bench.signer = Source::build(settings).unwrap();
    bench
}

const ORDER: &str = r#"{"event":"ORDER_COMPLETED","order_id":"9fc01989-3f61"}"#;

#[tokio::test]
async fn each_hint_enqueues_a_confirmation_a_repeated_one_too() {
    let bench = bench_with_api("revolut");
    for (times, outcome) in [(1, "accepted"), (2, "duplicate"), (3, "duplicate")] {
        assert_eq!(bench.send(ORDER).await, (200, outcome.to_owned()));
        bench.hints.notified().await;
        assert_eq!(bench.store.pending.lock().unwrap().get("9fc01989-3f61"), Some(&times));
    }
    // A delivery that is not about a payment, or not signed, is no hint.
    bench.send(r#"{"event":"PAYOUT_COMPLETED","order_id":"9fc01989-3f62"}"#).await;
    bench.post(&HeaderMap::new(), ORDER.replace("61", "63").as_bytes()).await;
    assert_eq!(bench.store.pending.lock().unwrap().len(), 1);
    assert_eq!(bench.sources.confirming().len(), 1);
}

#[tokio::test]
async fn i1_a_hint_whose_confirmation_is_not_owed_is_not_acknowledged() {
    let bench = bench_with_api("revolut");
    for (why, hits) in [(StoreError::TooManyPending, 1), (StoreError::Overloaded, 0)] {
        *bench.store.refuses.lock().unwrap() = Some(why);
        assert_eq!(bench.send(ORDER).await, (503, "store".to_owned()));
        let hit = bench.metrics.render().contains(r#"limit_hits_total{reason="owed"} 1"#);
        assert!(hit || hits == 0);
    }
    *bench.store.refuses.lock().unwrap() = None;
    assert_eq!(bench.send(ORDER).await.0, 200);
}

#[tokio::test]
async fn a_source_without_credentials_enqueues_nothing() {
    let bench = bench_of(&Limits::default(), "revolut");
    assert_eq!(bench.send(ORDER).await, (200, "accepted".to_owned()));
    assert!(bench.store.pending.lock().unwrap().is_empty() && bench.sources.confirming().is_empty());
}

/// Otherwise a shop that adds [source.api] for `reconcile` alone would have its provider asked for every payment.
#[tokio::test]
async fn a_source_whose_webhooks_say_all_enqueues_nothing() {
    let bench = bench_with_api("checkout");
    const PAID: &str =
        r#"{"id":"evt_1","type":"payment_captured","data":{"id":"pay_1","amount":6540,"currency":"GBP"}}"#;
    for outcome in ["accepted", "duplicate"] {
        assert_eq!(bench.send(PAID).await, (200, outcome.to_owned()));
    }
    assert!(bench.store.pending.lock().unwrap().is_empty() && bench.sources.confirming().is_empty());
    // Whoever reconciles can ask all the same.
    assert!(bench.sources.get("acme").unwrap().api().is_some());
}
