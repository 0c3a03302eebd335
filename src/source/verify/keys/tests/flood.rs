//! Strangers who make up names of keys: what they cost, and whom.

use super::*;

#[tokio::test]
async fn a_thousand_made_up_keys_cost_a_few_fetches_and_no_known_key() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let signer = PlaidSigner::new();
    stand_in.answer("good", 200, plaid_answer(&signer, "good", None));
    assert_eq!(bench.send(&plaid(&signer, "good", PLAID), PLAID).await, is(200, "accepted"));
    let junk = async |n: usize| {
        let kid = format!("junk-{n}");
        stand_in.answer(&kid, 400, plaid_error("INVALID_WEBHOOK_VERIFICATION_KEY_ID"));
        bench.send(&plaid(&signer, &kid, PLAID), PLAID).await
    };
    let mut said = BTreeMap::new();
    for n in 0..1000 {
        *said.entry(junk(n).await).or_insert(0) += 1;
    }
    assert_eq!(stand_in.asked().len(), 10);
    let expected = [(is(401, "untrusted_key"), 9), (is(503, "key_fetches"), 991)];
    assert_eq!(said, expected.into_iter().collect());
    let metrics = bench.metrics.render();
    assert!(metrics.contains(r#"limit_hits_total{reason="key_fetches"} 991"#), "{metrics}");
    assert!(
        !metrics.contains(r#"limit_hits_total{reason="failed_signatures_per_peer"} 0"#),
        "no line for each"
    );
    assert!(!metrics.contains("paystream_webhooks_failed_total{"), "strangers don't tell how well we do");
    assert_eq!(bench.send(&plaid(&signer, "good", PLAID), PLAID).await, is(200, "duplicate"));
}

#[tokio::test]
async fn one_host_that_makes_up_keys_keeps_no_provider_from_a_cold_ring() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let signer = PlaidSigner::new();
    stand_in.answer("good", 200, plaid_answer(&signer, "good", None));
    let post =
        async |peer: &str, kid: &str| said(&bench.post_from(peer, &plaid(&signer, kid, PLAID), PLAID).await);
    for n in 0..50 {
        post("192.0.2.66", &format!("junk-{n}")).await;
    }
    assert_eq!(post("192.0.2.66", "good").await, is(503, "key_fetches"));
    assert_eq!(post("192.0.2.1", "good").await, is(200, "accepted"));
    assert_eq!(post("192.0.2.66", "good").await, is(200, "duplicate"), "what is known is known to all");
    assert_eq!(stand_in.asked().len(), 11);
}

#[tokio::test]
async fn many_hosts_can_keep_a_cold_ring_cold_but_cost_no_held_key() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let signer = PlaidSigner::new();
    for kid in ["old", "new"] {
        stand_in.answer(kid, 200, plaid_answer(&signer, kid, None));
    }
    let post =
        async |peer: &str, kid: &str| said(&bench.post_from(peer, &plaid(&signer, kid, PLAID), PLAID).await);
    assert_eq!(post("192.0.2.1", "old").await, is(200, "accepted"));
    for n in 0..300 {
        post(&format!("198.51.100.{}", n % 30), &format!("junk-{n}")).await;
    }
    assert_eq!(stand_in.asked().len(), 120);
    assert_eq!(post("192.0.2.1", "new").await, is(503, "key_fetches"));
    assert_eq!(post("192.0.2.1", "old").await, is(200, "duplicate"));
}
