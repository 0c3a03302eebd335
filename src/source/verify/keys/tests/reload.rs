//! Fetched keys across a reload, when sources are built again.

use super::*;
use futures_util::future::join;

/// Returns the settings of a source of Plaid's, as a configuration gives them.
fn plaid_settings(api: ApiSettings) -> SourceSettings {
    SourceSettings { api: Some(api), ..settings("plaid") }
}

#[tokio::test]
async fn a_reload_costs_plaid_s_keys_only_where_another_client_asks_or_elsewhere() {
    let (stand_in, other) = (StandIn::start().await, StandIn::start().await);
    let signer = PlaidSigner::new();
    stand_in.answer("k1", 200, plaid_answer(&signer, "k1", None));
    other.answer("k1", 200, plaid_answer(&signer, "k1", None));
    let signed = plaid(&signer, "k1", PLAID);
    let api = || ApiSettings { url: Some(stand_in.url()), ..api() };
    for (case, settings, fetches) in [
        ("nothing", plaid_settings(api()), 0),
        ("other terms", SourceSettings { shared_ids: true, ..plaid_settings(api()) }, 0),
        ("the secret", plaid_settings(ApiSettings { key: "sandbox-0b1e9d77aa0c".into(), ..api() }), 1),
        ("the client", plaid_settings(ApiSettings { client_id: Some("client-77aa".into()), ..api() }), 1),
        ("the address", plaid_settings(ApiSettings { url: Some(other.url()), ..api() }), 1),
    ] {
        let bench = Bench::new("plaid", plaid_ring(&stand_in));
        assert_eq!(bench.send(&signed, PLAID).await, is(200, "accepted"));
        let asked = || stand_in.asked().len() + other.asked().len();
        let before = asked();
        bench.sources.replace(vec![Source::build(settings).unwrap()]);
        assert_eq!(bench.send(&signed, PLAID).await, is(200, "duplicate"), "{case}");
        assert_eq!(asked() - before, fetches, "{case}");
    }
    assert_eq!(other.asked().len(), 1);
}

#[tokio::test]
async fn a_reload_costs_paypal_s_certificates_only_where_the_mode_changes() {
    let (stand_in, authority, another) = (StandIn::start().await, Authority::new(), Authority::new());
    let [signer, _] = &*SIGNERS;
    stand_in.answer("/certs/CERT-1", 200, authority.chain(signer, &Wanted::default()));
    let signed = paypal(signer, &format!("{}/certs/CERT-1", stand_in.url()), PAYPAL);
    let ring = |live, authority: &Authority| {
        let certificates = Certificates::new(rule(&stand_in), live).with_roots(authority.roots());
        KeyRing::new("acme".into(), Origin::Certificates(certificates), Outbound::new().unwrap())
    };
    for (later, expected, fetches) in [
        (ring(None, &authority), is(200, "duplicate"), 1),
        (ring(Some(true), &authority), is(200, "duplicate"), 2),
        (ring(Some(false), &authority), is(401, "key_address"), 1),
        (ring(None, &another), is(401, "untrusted_key"), 2),
    ] {
        let bench = Bench::new("paypal", ring(None, &authority));
        let before = stand_in.asked().len();
        assert_eq!(bench.send(&signed, PAYPAL).await, is(200, "accepted"));
        bench.sources.replace(vec![source_with("paypal", later)]);
        assert_eq!(bench.send(&signed, PAYPAL).await, expected);
        assert_eq!(stand_in.asked().len() - before, fetches, "{expected:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_being_fetched_at_a_reload_is_fetched_once() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let signer = PlaidSigner::new();
    stand_in.answer("k1", 200, plaid_answer(&signer, "k1", None));
    let signed = plaid(&signer, "k1", PLAID);
    let held = stand_in.hold().await;
    let later = async {
        while stand_in.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let settings = plaid_settings(ApiSettings { url: Some(stand_in.url()), ..api() });
        bench.sources.replace(vec![Source::build(settings).unwrap()]);
        let (said, ()) = join(bench.send(&signed, PLAID), async { drop(held) }).await;
        said
    };
    let (first, second) = join(bench.send(&signed, PLAID), later).await;
    let mut both = [first, second];
    both.sort();
    assert_eq!(both, [is(200, "accepted"), is(200, "duplicate")]);
    assert_eq!(stand_in.asked().len(), 1);
}
