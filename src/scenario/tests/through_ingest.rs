//! The payloads and the presets were written independently of each other; these tests compare them.

use super::*;
use crate::{
    ingest::{Delivery, Ingest, ReplyBody},
    live::Live,
    metrics::Metrics,
    payment::{State, Status, Subject as Payment},
    source::{Source, SourceSettings},
    store::{
        Store,
        embedded::{Embedded, Settings},
    },
};
use http::{HeaderMap, HeaderName};
use std::sync::Arc;

fn source(provider: SimulatedProvider) -> Source {
    let secret = "whsec_0123456789abcdef0123456789abcdef".into();
    let settings = SourceSettings::new("acme", provider.name(), "default".parse().unwrap(), secret);
    let live = Some(false).filter(|_| provider == SimulatedProvider::Stripe);
    Source::build(SourceSettings { live, ..settings }).unwrap()
}

/// Delivers a life to the ingest half of a real gateway and returns the state that its log folds to.
async fn outcome(provider: SimulatedProvider, life: Life) -> State {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings =
        Settings { path: folder.path().join("data"), history: Duration::from_secs(45 * 86_400), recent: 0 };
    let store: Arc<dyn Store> = Arc::new(Embedded::open(&settings, Arc::clone(&metrics)).unwrap());
    let parts = crate::store::fake::parts(Arc::clone(&store), &metrics);
    let ingest = Ingest::new(Arc::clone(&store), parts, metrics, Live::default(), Arc::default());
    let receiver = source(provider);
    let mut seen = Vec::new();
    for (step, _) in play(provider, life).unwrap() {
        let mut headers = HeaderMap::new();
        for (name, value) in source(provider).sign(&step.body, start(), &step.event_id) {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let body = step.body.as_slice();
        let delivery = Delivery { headers: &headers, query: "", body, received_at: start(), peer: None };
        let reply = ingest.deliver(&receiver, delivery).await;
        let expected = if seen.contains(&step.event_id) { "duplicate" } else { "accepted" };
        let ReplyBody::Json(body) = reply.body else { panic!("{provider} {life}: {reply:?}") };
        let word: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(word["outcome"], expected, "{provider} {life} {}: {body}", step.event_type);
        seen.push(step.event_id);
    }
    let payment = Payment::payment("default".parse().unwrap(), "pay_1".parse().unwrap());
    let log = store.read(&payment).await.unwrap();
    State::fold(log.entries.iter().map(|entry| &*entry.event))
}

#[tokio::test]
async fn every_life_of_every_provider_is_understood_and_ends_as_it_says() {
    for provider in SimulatedProvider::ALL {
        for life in provider.lives() {
            let expected = match life {
                Life::Canceled if provider == SimulatedProvider::Stripe => Status::Canceled,
                Life::Canceled => Status::Expired,
                Life::Refund => Status::Refunded,
                Life::PartialRefund => Status::PartiallyRefunded,
                Life::Dispute => Status::ChargedBack,
                _ => Status::Captured,
            };
            let state = outcome(provider, life).await;
            assert_eq!(state.status(), expected, "{provider} {life}");
            let stated = state.stated().map(|money| (money.amount, money.currency.to_string()));
            assert_eq!(stated, Some((4200, "EUR".to_owned())), "{provider} {life}");
            assert!(!state.conflict(), "{provider} {life}");
        }
    }
}
