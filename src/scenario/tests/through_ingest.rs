//! The payloads and the presets were written independently of each other; these tests compare them.

use super::*;
use crate::{
    ingest::{Delivery, Ingest, Reply, ReplyBody},
    live::Live,
    metrics::Metrics,
    payment::{State, Subject},
    source::{Provider, Signer, Source, SourceSettings, UnsignedDelivery, trial},
    store::{
        Store,
        embedded::{Embedded, Settings},
    },
};
use http::{HeaderMap, HeaderName};
use std::{io::Write as _, sync::Arc};

/// The preset file of the documentation ("Add a provider") that extends a preset without a mapping.
const OWN: &str = r#"
name = "acme-pay"
extends = "standard-webhooks"

[event]
payment = ["/data/id"]
amounts = "minor"

[[map]]
type = ["invoice.paid"]
facts = [{ fact = "phase", is = "captured", amount = "/data/amount", currency = "/data/currency" }]
"#;

fn source(provider: &SimulatedProvider) -> Source {
    let name = provider.name();
    let secret = match name {
        "standard-webhooks" | "svix" => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "adyen" | "adyen-platform" => "8f3b1c2d9a7e55aa8f3b1c2d9a7e55aa",
        "braintree" | "klarna" | "worldpay" => "key-1:8f3b1c2d9a7e55aa",
        _ => "whsec_0123456789abcdef0123456789abcdef",
    };
    let mut settings = SourceSettings::new("acme", name, "default".parse().unwrap(), secret.into());
    let mut own = tempfile::NamedTempFile::new().unwrap();
    if ["standard-webhooks", "svix"].contains(&name) {
        own.write_all(OWN.replace("standard-webhooks", name).as_bytes()).unwrap();
        settings.provider = Provider::File(own.path().to_owned());
    }
    settings.currency = (name == "authorize-net").then(|| "EUR".parse().unwrap());
    for (preset, option, value) in [
        ("square", "notification_url", "https://pay.example/webhooks/square"),
        ("dlocal-go", "api_key", "api-key-1"),
    ] {
        if preset == name {
            settings.options.insert(option.to_owned(), value.to_owned());
        }
    }
    Source::build(settings).unwrap()
}

/// Delivers a life to the ingest half of a real gateway and returns the state that its log folds to.
async fn outcome(provider: &SimulatedProvider, life: Life) -> State {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings =
        Settings { path: folder.path().join("data"), history: Duration::from_secs(45 * 86_400), recent: 0 };
    let store: Arc<dyn Store> = Arc::new(Embedded::open(&settings, Arc::clone(&metrics)).unwrap());
    let parts = crate::store::fake::parts(Arc::clone(&store), &metrics);
    let ingest = Ingest::new(Arc::clone(&store), parts, metrics, Live::default(), Arc::default());
    let receiver = source(provider);
    let mut seen = Vec::new();
    for step in webhooks(provider, life, payment("pay_1"), start()).unwrap() {
        let reply = deliver(&ingest, &receiver, &step).await;
        assert_eq!(reply.status, 200, "{provider} {life} {}: {reply:?}", step.event_type);
        let ReplyBody::Json(body) = reply.body else { continue };
        let word: Value = serde_json::from_str(&body).unwrap();
        let expected: &[&str] = match &word["outcomes"] {
            // Some of these events differ in nothing that is signed.
            _ if provider.is_hint() => &["accepted", "duplicate"],
            _ if seen.contains(&step.event_id) => &["duplicate"],
            // A refund may come before the payment that it belongs to is known.
            _ if life == Life::Shuffled => &["accepted", "waiting"],
            _ => &["accepted"],
        };
        let said = word["outcome"]
            .as_str()
            .or_else(|| word["outcomes"].as_object()?.keys().next().map(String::as_str));
        assert!(expected.contains(&said.unwrap()), "{provider} {life} {}: {body}", step.event_type);
        seen.push(step.event_id);
    }
    let payment = Subject::payment("default".parse().unwrap(), "pay_1".parse().unwrap());
    let log = store.read(&payment).await.unwrap();
    State::fold(log.entries.iter().map(|entry| &*entry.event))
}

async fn deliver(ingest: &Ingest, receiver: &Source, step: &Webhook) -> Reply {
    let Webhook { headers, query, body, event_id, .. } = step;
    let delivery = UnsignedDelivery { headers, query, body, id: event_id, at: start() };
    let signed = receiver.sign(&delivery, Signer::Secret).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in &signed.headers {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&signed.query).finish();
    let delivery =
        Delivery { headers: &headers, query: &query, body: &signed.body, received_at: start(), peer: None };
    ingest.deliver(receiver, delivery).await
}

/// The queries of deliveries were dropped, and adapters signed nothing.
#[tokio::test]
async fn every_life_of_every_provider_is_understood_and_ends_as_it_says() {
    for provider in all().filter(|provider| !trial(provider.name()).unwrap().needs_private_key) {
        for life in provider.lives() {
            // Whether a delivery is refused is not for ingest alone to say.
            if life.treatment().is_refused() || (life == Life::Shuffled && provider.name() == "xendit") {
                continue;
            }
            let state = outcome(&provider, life).await;
            assert_eq!(state.status(), provider.status_after(life), "{provider} {life}");
            assert!(!state.conflict(), "{provider} {life}");
            let stated = state.stated().map(|money| (money.amount, money.currency.to_string()));
            // A cancellation may come without an amount.
            if life != Life::Canceled
                && ["stripe", "generic", "checkout", "shopify", "paypal"].contains(&provider.name())
            {
                assert_eq!(stated, Some((4200, "EUR".to_owned())), "{provider} {life}");
            }
        }
    }
}
