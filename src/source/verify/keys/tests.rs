use super::*;
use crate::{
    ingest::{Delivery, Ingest, Reply, ReplyBody, tests::Fake},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    source::{
        ApiSettings, Provider, Source, SourceSettings, Sources,
        payload::{OptionValues, RequestParts},
        preset,
        verify::{
            adapter::{PlaidKey, tests::braintree_and_plaid::Signer as PlaidSigner},
            keys::key::FetchedKey,
            signature::{CertificateRule, Published},
        },
    },
};
use authority::{Authority, NAME, SIGNERS, Signer, Wanted};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use http::HeaderMap;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use stand_in::StandIn;
use std::collections::BTreeMap;

mod authority;
mod flood;
mod reload;
mod stand_in;

const NOW_S: i64 = 1_790_000_000;
const WEBHOOK_ID: &str = "8PT597110X687430LKGECATA";
const PAYPAL: &str = r#"{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","create_time":"2026-09-21T14:13:20Z",
    "resource":{"id":"CAP1","amount":{"value":"10.00","currency_code":"EUR"}}}"#;
const PLAID: &str = r#"{"webhook_type":"PAYMENT_INITIATION","webhook_code":"PAYMENT_STATUS_UPDATE","payment_id":"p1",
    "new_payment_status":"PAYMENT_STATUS_EXECUTED","timestamp":"2026-09-21T14:13:20Z"}"#;

fn now() -> Time {
    Time::from_unix_s(NOW_S).unwrap()
}

/// Returns a key that no test verifies with.
pub(super) fn key() -> Arc<FetchedKey> {
    let key = PlaidKey::read(&PlaidSigner::new().jwk("k", None)).unwrap();
    Arc::new(FetchedKey { public: key.public, chain: Vec::new(), expired_at: None })
}

/// Returns the rule of PayPal's preset, with the address of a stand-in in place of PayPal's.
fn rule(stand_in: &StandIn) -> CertificateRule {
    let place = |name: &str, folder: &str| Published {
        below: format!("{}/{folder}/", stand_in.url()),
        name: name.to_owned(),
    };
    CertificateRule {
        header: "paypal-cert-url".parse().unwrap(),
        issuers: Some(format!("{}/issuers/", stand_in.url())),
        live: place(NAME, "certs"),
        test: place("messageverificationcerts.sandbox.paypal.com", "test-certs"),
    }
}

fn paypal_ring(stand_in: &StandIn, authority: &Authority) -> KeyRing {
    let certificates = Certificates::new(rule(stand_in), None).with_roots(authority.roots());
    KeyRing::new("acme".into(), Origin::Certificates(certificates), Outbound::new().unwrap())
}

fn plaid_ring(stand_in: &StandIn) -> KeyRing {
    let api = ApiSettings { url: Some(stand_in.url()), ..api() };
    let keys = PlaidKeys::new(&api, None).unwrap().unwrap();
    KeyRing::new("acme".into(), Origin::Plaid(keys), Outbound::new().unwrap())
}

fn api() -> ApiSettings {
    ApiSettings { client_id: Some("client-5f0c".into()), key: "sandbox-77aa0c5b1e9d".into(), url: None }
}

fn settings(provider: &str) -> SourceSettings {
    let webhook_id = (provider == "paypal").then(|| ("webhook_id".to_owned(), WEBHOOK_ID.to_owned()));
    SourceSettings {
        name: "acme".into(),
        provider: Provider::Builtin(provider.to_owned()),
        realm: "shop".parse().unwrap(),
        secrets: Vec::new(),
        api: (provider == "plaid").then(api),
        payment: None,
        labels: Vec::new(),
        currency: None,
        shared_ids: false,
        live: None,
        max_age: None,
        max_future: None,
        options: webhook_id.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

fn source_with(provider: &str, ring: KeyRing) -> Source {
    Source { keys: Some(ring), ..Source::build(settings(provider)).unwrap() }
}

/// A gateway with one source, whose keys come from a stand-in for the provider.
struct Bench {
    sources: Sources,
    ingest: Ingest,
    metrics: Arc<Metrics>,
    ring: KeyRing,
}

impl Bench {
    fn new(provider: &str, ring: KeyRing) -> Self {
        let (metrics, store) = (Arc::new(Metrics::new()), Arc::new(Fake::default()));
        let sources = Sources::new(vec![source_with(provider, ring.clone())]);
        let parts = crate::store::fake::parts(store.clone(), &metrics);
        let ingest =
            Ingest::new(store, parts, Arc::clone(&metrics), Live::new(Limits::default()), Arc::default());
        Self { sources, ingest, metrics, ring }
    }

    async fn post(&self, headers: &HeaderMap, body: &str) -> Reply {
        self.post_from("192.0.2.1", headers, body).await
    }

    async fn post_from(&self, peer: &str, headers: &HeaderMap, body: &str) -> Reply {
        let (body, peer) = (body.as_bytes(), Some(peer.parse().unwrap()));
        let delivery = Delivery { headers, query: "", body, received_at: now(), peer };
        self.ingest.deliver(&self.sources.get("acme").unwrap(), delivery).await
    }

    async fn send(&self, headers: &HeaderMap, body: &str) -> (u16, String) {
        said(&self.post(headers, body).await)
    }

    /// Forgets that a name brought no key, as if the time until the next fetch had passed.
    fn forget(&self, name: &str) {
        let past = Instant::now().checked_sub(Duration::from_secs(120)).unwrap();
        self.ring.shelf().put(name, &Err(NoKey::Unavailable), past, None);
    }
}

fn said(reply: &Reply) -> (u16, String) {
    let word = match &reply.body {
        ReplyBody::Problem { reason, .. } => (*reason).to_owned(),
        ReplyBody::Json(body) | ReplyBody::Text(body) => {
            let body: Value = serde_json::from_str(body).unwrap();
            body.get("reason").or(body.get("outcome")).unwrap().as_str().unwrap().to_owned()
        }
    };
    (reply.status, word)
}

fn is(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

fn paypal(signer: &Signer, address: &str, body: &str) -> HeaderMap {
    let (id, time) = ("69cd13f0-d67a-11e5-baa3-778b53f4ae55", "2026-09-21T14:13:20Z");
    let message = format!("{id}|{time}|{WEBHOOK_ID}|{}", crc32fast::hash(body.as_bytes()));
    let signature = STANDARD.encode(signer.sign(message.as_bytes()));
    headers(&[
        ("paypal-transmission-id", id),
        ("paypal-transmission-time", time),
        ("paypal-transmission-sig", &signature),
        ("paypal-cert-url", address),
    ])
}

fn plaid(signer: &PlaidSigner, kid: &str, body: &str) -> HeaderMap {
    let head = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
    let claims = json!({ "iat": NOW_S, "request_body_sha256": hex::encode(Sha256::digest(body)) });
    headers(&[("plaid-verification", &signer.token(&head, &claims))])
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// Returns Plaid's answer to a request for a key.
fn plaid_answer(signer: &PlaidSigner, kid: &str, expired_at: Option<i64>) -> String {
    let key: Value = serde_json::from_str(&signer.jwk(kid, expired_at)).unwrap();
    json!({ "key": key, "request_id": "m8MDnv9okwxFNBV" }).to_string()
}

fn plaid_error(code: &str) -> String {
    json!({ "error_type": "INVALID_INPUT", "error_code": code, "request_id": "m8MDnv9okwxFNBV" }).to_string()
}

#[test]
fn nothing_is_asked_but_where_paypal_publishes_certificates() {
    let live = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-df8cd2d5";
    let test = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77";
    let rule = preset::recipe_of("paypal").certificates.unwrap();
    let may = |mode: Option<bool>, address: &str| {
        let (headers, options) = (headers(&[("paypal-cert-url", address)]), OptionValues::new());
        let parts = RequestParts { headers: &headers, query: "", options: &options };
        Certificates::new(rule.clone(), mode).name_of(parts)
    };
    for (mode, live_may, test_may) in
        [(None, true, true), (Some(true), true, false), (Some(false), false, true)]
    {
        for (address, may_be) in [(live, live_may), (test, test_may)] {
            let expected = if may_be { Ok(address.to_owned()) } else { Err(Rejection::KeyAddress) };
            assert_eq!(may(mode, address), expected, "{mode:?}");
        }
    }
    for address in [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "HTTPS://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/https://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api-m.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://evil@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com./v1/notifications/certs/CERT-1",
        "https://api.paypal.com\\@evil.example/v1/notifications/certs/CERT-1",
        "https://127.0.0.1/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://api.paypal.com/v1/notifications/certs/../webhooks",
        "https://api.paypal.com/v1/notifications/certs/..",
        "https://api.paypal.com/v1/notifications/certs/a/../../webhooks",
        "https://api.paypal.com/v1/notifications/certs/%2e%2e",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?x=1",
        "https://api.paypal.com/v1/notifications/certs/CERT-1#x",
        "https://api.paypal.com/v1/notifications/certs/CERT-1 ",
        "https://api.paypal.com/v1/oauth2/token",
        "",
        &format!("https://api.paypal.com/v1/notifications/certs/{}", "x".repeat(129)),
    ] {
        assert_eq!(may(None, address), Err(Rejection::KeyAddress), "{address}");
    }
    let none = RequestParts { headers: &HeaderMap::new(), query: "", options: &OptionValues::new() };
    assert_eq!(Certificates::new(rule, None).name_of(none), Err(Rejection::MissingHeader));
}

#[tokio::test]
async fn a_certificate_is_trusted_for_its_chain_its_name_and_its_time() {
    let (stand_in, authority, other) = (StandIn::start().await, Authority::new(), Authority::new());
    let [signer, _] = &*SIGNERS;
    let issuer = |name: &str| Some(format!("{}/{name}", stand_in.url()));
    let wanted = Wanted::default;
    stand_in.answer("/issuers/1.crt", 200, authority.intermediate());
    stand_in.answer("/issuers/2.crt", 200, other.intermediate());
    stand_in.answer("/elsewhere/1.crt", 200, authority.intermediate());
    let refused = is(401, "untrusted_key");
    for (case, status, pem, expected) in [
        ("good", 200, authority.chain(signer, &wanted()), is(200, "accepted")),
        ("another root", 200, other.chain(signer, &wanted()), refused.clone()),
        ("self-signed", 200, signer.self_signed(), refused.clone()),
        (
            "run out",
            200,
            authority.chain(signer, &Wanted { years: (2024, 2026), ..wanted() }),
            refused.clone(),
        ),
        (
            "not begun",
            200,
            authority.chain(signer, &Wanted { years: (2027, 2028), ..wanted() }),
            refused.clone(),
        ),
        (
            "web shop",
            200,
            authority.chain(signer, &Wanted { name: "www.paypal.com", ..wanted() }),
            refused.clone(),
        ),
        (
            "sandbox",
            200,
            authority
                .chain(signer, &Wanted { name: "messageverificationcerts.sandbox.paypal.com", ..wanted() }),
            refused.clone(),
        ),
        (
            "someone else",
            200,
            authority.chain(signer, &Wanted { name: "paypal.com.evil.example", ..wanted() }),
            refused.clone(),
        ),
        ("alone", 200, authority.leaf(signer, &wanted()), refused.clone()),
        (
            "its issuer's beside",
            200,
            authority.leaf(signer, &Wanted { issuer: issuer("issuers/1.crt"), ..wanted() }),
            is(200, "duplicate"),
        ),
        (
            "another issuer's beside",
            200,
            authority.leaf(signer, &Wanted { issuer: issuer("issuers/2.crt"), ..wanted() }),
            refused.clone(),
        ),
        (
            "its issuer's elsewhere",
            200,
            authority.leaf(signer, &Wanted { issuer: issuer("elsewhere/1.crt"), ..wanted() }),
            refused.clone(),
        ),
        ("no certificate", 200, "hello".to_owned(), refused.clone()),
        ("unknown", 404, String::new(), refused.clone()),
        ("moved", 302, String::new(), is(503, "key_unavailable")),
        ("down", 500, String::new(), is(503, "key_unavailable")),
    ] {
        // Each case has a ring of its own, since there are more cases than a source may fetch keys in a minute.
        let ring = paypal_ring(&stand_in, &authority);
        let bench = Bench::new("paypal", ring);
        stand_in.answer("/certs/CERT-1", status, pem);
        let signed = paypal(signer, &format!("{}/certs/CERT-1", stand_in.url()), PAYPAL);
        let expected = if expected.1 == "duplicate" { is(200, "accepted") } else { expected };
        assert_eq!(bench.send(&signed, PAYPAL).await, expected, "{case}");
    }
    assert!(stand_in.asked().iter().all(|(path, _)| !path.starts_with("/elsewhere")));
}

#[tokio::test]
async fn a_certificate_is_fetched_once_and_another_when_it_rotates() {
    let (stand_in, authority) = (StandIn::start().await, Authority::new());
    let [old, new] = &*SIGNERS;
    stand_in.answer("/certs/OLD", 200, authority.chain(old, &Wanted::default()));
    stand_in.answer("/certs/NEW", 200, authority.chain(new, &Wanted::default()));
    let bench = Bench::new("paypal", paypal_ring(&stand_in, &authority));
    let [at_old, at_new] = ["OLD", "NEW"].map(|name| format!("{}/certs/{name}", stand_in.url()));
    let second = PAYPAL.replace("WH-1", "WH-2");
    for (headers, body, expected, fetches) in [
        (paypal(old, &at_old, PAYPAL), PAYPAL, is(200, "accepted"), 1),
        (paypal(old, &at_old, PAYPAL), PAYPAL, is(200, "duplicate"), 1),
        (paypal(old, &at_old, PAYPAL), &second, is(401, "bad_signature"), 1),
        (paypal(new, &at_old, PAYPAL), PAYPAL, is(401, "bad_signature"), 1),
        (paypal(new, &at_new, &second), &second, is(200, "accepted"), 2),
        (paypal(old, &at_old, PAYPAL), PAYPAL, is(200, "duplicate"), 2),
        (
            paypal(old, &format!("{}/elsewhere/OLD", stand_in.url()), PAYPAL),
            PAYPAL,
            is(401, "key_address"),
            2,
        ),
    ] {
        assert_eq!(bench.send(&headers, body).await, expected);
        assert_eq!(stand_in.asked().len(), fetches);
    }
    // What else is wrong with a request is found before a key is fetched.
    let mut bare = paypal(old, &format!("{}/certs/THIRD", stand_in.url()), PAYPAL);
    bare.remove("paypal-transmission-sig");
    assert_eq!(bench.send(&bare, PAYPAL).await, is(401, "missing_signature"));
    assert_eq!(stand_in.asked().len(), 2);
}

#[tokio::test]
async fn a_certificate_that_runs_out_is_refused_from_then_on() {
    let (stand_in, authority) = (StandIn::start().await, Authority::new());
    let [signer, _] = &*SIGNERS;
    stand_in.answer("/certs/CERT-1", 200, authority.chain(signer, &Wanted::default()));
    let ring = paypal_ring(&stand_in, &authority);
    let headers = headers(&[("paypal-cert-url", &format!("{}/certs/CERT-1", stand_in.url()))]);
    let options = OptionValues::new();
    let parts = RequestParts { headers: &headers, query: "", options: &options };
    let at = |received_at: &str| {
        let received_at = received_at.parse().unwrap();
        let ring = ring.clone();
        async move {
            ring.key(UnverifiedRequest { parts, body: b"", received_at, key: None }, None).await.map(drop)
        }
    };
    assert_eq!(at("2026-12-31T23:59:59Z").await, Ok(()));
    assert_eq!(at("2027-01-01T00:00:01Z").await, Err(NoKey::Refused(Rejection::UntrustedKey)));
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn a_delivery_whose_key_can_t_be_fetched_is_deferred_and_taken_when_it_comes_again() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let signer = PlaidSigner::new();
    let signed = plaid(&signer, "k1", PLAID);
    for (status, answer) in [
        (500, String::new()),
        (400, plaid_error("INVALID_API_KEYS")),
        (429, plaid_error("RATE_LIMIT_EXCEEDED")),
        (200, "{}".to_owned()),
        (200, plaid_answer(&signer, "k2", None)),
    ] {
        stand_in.answer("k1", status, answer);
        let reply = bench.post(&signed, PLAID).await;
        assert_eq!(said(&reply), is(503, "key_unavailable"));
        let ReplyBody::Problem { retry_after, .. } = reply.body else { panic!("{reply:?}") };
        assert_eq!(retry_after, Some(Duration::from_secs(5)));
        let asked = stand_in.asked().len();
        assert_eq!(bench.send(&signed, PLAID).await, is(503, "key_unavailable"));
        assert_eq!(stand_in.asked().len(), asked, "a failure is remembered");
        bench.forget("k1");
    }
    let text = bench.metrics.render();
    let count =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("none").to_owned();
    let [all, failed] = ["webhooks_total", "webhooks_failed_total"]
        .map(|name| count(&format!("paystream_{name}{{source=\"acme\"}} ")));
    assert_eq!(all, failed, "{text}");
    stand_in.answer("k1", 200, plaid_answer(&signer, "k1", None));
    assert_eq!(bench.send(&signed, PLAID).await, is(200, "accepted"));
    let (path, body) = stand_in.asked().pop().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(path, "/webhook_verification_key/get");
    assert_eq!(body, json!({ "client_id": "client-5f0c", "secret": "sandbox-77aa0c5b1e9d", "key_id": "k1" }));
}

#[tokio::test]
async fn plaid_s_own_word_on_a_key_counts() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let (ours, theirs) = (PlaidSigner::new(), PlaidSigner::new());
    stand_in.answer("unknown", 400, plaid_error("INVALID_WEBHOOK_VERIFICATION_KEY_ID"));
    stand_in.answer("expired", 200, plaid_answer(&ours, "expired", Some(NOW_S)));
    stand_in.answer("expiring", 200, plaid_answer(&ours, "expiring", Some(NOW_S + 1)));
    stand_in.answer("theirs", 200, plaid_answer(&theirs, "theirs", None));
    for (kid, expected) in [
        ("unknown", is(401, "untrusted_key")),
        ("unknown", is(401, "untrusted_key")),
        ("expired", is(401, "untrusted_key")),
        ("expiring", is(200, "accepted")),
        ("theirs", is(401, "bad_signature")),
        ("with a blank", is(401, "malformed_signature")),
        ("", is(401, "malformed_signature")),
    ] {
        assert_eq!(bench.send(&plaid(&ours, kid, PLAID), PLAID).await, expected, "{kid}");
    }
    assert_eq!(stand_in.asked().len(), 4);
    assert_eq!(
        bench.send(&plaid(&ours, "fifth", PLAID), "{}").await,
        is(401, "bad_signature"),
        "another body"
    );
    assert_eq!(stand_in.asked().len(), 4, "for which no key is needed");
}

#[tokio::test]
async fn those_who_need_one_key_wait_for_one_fetch_and_not_for_ever() {
    let stand_in = StandIn::start().await;
    let bench = Bench::new("plaid", plaid_ring(&stand_in));
    let signer = PlaidSigner::new();
    stand_in.answer("k1", 200, plaid_answer(&signer, "k1", None));
    let signed = plaid(&signer, "k1", PLAID);
    let held = stand_in.hold().await;
    let started = Instant::now();
    let all = join_all((0..MAX_WAITING + 6).map(|_| bench.send(&signed, PLAID))).await;
    assert!((PATIENCE..PATIENCE * 2).contains(&started.elapsed()), "{:?}", started.elapsed());
    let count = |expected: &(u16, String)| all.iter().filter(|said| *said == expected).count();
    assert_eq!(count(&is(503, "key_unavailable")), MAX_WAITING);
    assert_eq!(count(&is(503, "key_fetches")), 6, "for whom there was no place to wait");
    drop(held);
    // The fetch goes on without the deliveries that waited for it.
    let word = loop {
        match bench.send(&signed, PLAID).await {
            (503, _) => tokio::task::yield_now().await,
            (_, word) => break word,
        }
    };
    assert_eq!((word.as_str(), stand_in.asked().len()), ("accepted", 1));
    let all = join_all((0..50).map(|_| bench.send(&signed, PLAID))).await;
    assert!(all.iter().all(|said| *said == is(200, "duplicate")));
    assert_eq!(stand_in.asked().len(), 1);
}

#[test]
fn keys_are_fetched_only_where_none_is_pinned() {
    let build = |provider: &str, change: &dyn Fn(&mut SourceSettings)| {
        let mut settings = settings(provider);
        change(&mut settings);
        Source::build(settings).map(|source| source.keys.is_some()).map_err(|why| why.to_string())
    };
    let jwk = PlaidSigner::new().jwk("k", None);
    assert_eq!(build("paypal", &|_| {}), Ok(true));
    assert_eq!(build("plaid", &|_| {}), Ok(true));
    assert_eq!(build("plaid", &|s| s.secrets = vec![jwk.as_str().into()]), Ok(false));
    assert_eq!(build("plaid", &|s| s.max_age = Some(Duration::from_secs(60))), Ok(true));
    let no_client = |s: &mut SourceSettings| s.api = Some(ApiSettings { client_id: None, ..api() });
    for missing in [&(|s: &mut SourceSettings| s.api = None) as &dyn Fn(&mut SourceSettings), &no_client] {
        let why = build("plaid", missing).unwrap_err();
        assert!(
            why.starts_with(
                "secrets: none is given; add the keys that `plaid` publishes, or add [source.api]"
            ),
            "{why}"
        );
    }
    assert!(
        build("stripe", &|_| {}).unwrap_err().starts_with("secrets: none is given; add the signing secret")
    );
}
