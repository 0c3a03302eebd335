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

/// The ingest half of a real gateway, and its store.
struct Desk {
    store: Arc<dyn Store>,
    ingest: Ingest,
    _folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let history = Duration::from_secs(45 * 86_400);
        let settings = Settings { path: folder.path().join("data"), history, recent: 0 };
        let store: Arc<dyn Store> = Arc::new(Embedded::open(&settings, Arc::clone(&metrics)).unwrap());
        let parts = crate::store::fake::parts(Arc::clone(&store), &metrics);
        let ingest = Ingest::new(Arc::clone(&store), parts, metrics, Live::default(), Arc::default());
        Self { store, ingest, _folder: folder }
    }

    /// Delivers a life of a payment of its own and returns the state that its log folds to.
    async fn outcome(&self, provider: &SimulatedProvider, receiver: &Source, life: Life) -> State {
        let id = format!("{provider}-{life}");
        let mut seen = Vec::new();
        for step in webhooks(provider, life, payment(&id), start()).unwrap() {
            let reply = deliver(&self.ingest, receiver, &step).await;
            assert_eq!(reply.status, 200, "{provider} {life} {}: {reply:?}", step.event_type);
            let ReplyBody::Json(body) = reply.body else { continue };
            let said: Value = serde_json::from_str(&body).unwrap();
            let expected: &[&str] = if provider.is_hint() {
                // Some of these events differ in nothing that is signed.
                &["accepted", "duplicate"]
            } else if seen.contains(&step.event_id) {
                &["duplicate"]
            } else {
                &["accepted"]
            };
            assert!(
                expected.contains(&said["outcome"].as_str().unwrap()),
                "{provider} {life} {}: {body}",
                step.event_type
            );
            seen.push(step.event_id);
        }
        let payment = Subject::payment("default".parse().unwrap(), id.parse().unwrap());
        let log = self.store.read(&payment).await.unwrap();
        State::fold(log.entries.iter().map(|entry| &*entry.event))
    }
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
    let desk = Desk::open();
    for provider in all().filter(|provider| !trial(provider.name()).unwrap().needs_private_key) {
        let receiver = source(&provider);
        for life in provider.lives() {
            // Whether a delivery is refused is not for ingest alone to say.
            if life.treatment().is_refused() || (life == Life::Shuffled && provider.name() == "xendit") {
                continue;
            }
            let state = desk.outcome(&provider, &receiver, life).await;
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
