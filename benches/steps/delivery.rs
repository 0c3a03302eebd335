//! A Stripe event of 2 KB: the whole delivery apart from the store (verifying, parsing, mapping, masking, accounting), and its parts. The bare
//! HMAC-SHA256 of the same bytes is the lower bound.

use crate::stubs::Scripted;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use paystream::{
    ingest::{Delivery, Ingest},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    payment::Time,
    source::{Signer, Source, SourceSettings, UnsignedDelivery},
    store::{Labels, Log, Parts},
};
use sha2::Sha256;
use std::{hint::black_box, sync::Arc, time::Duration};

const SECRET: &str = "whsec_8f3b1c2d9a7e55aa";
/// An event with all of its members, on as many lines as Stripe sends it.
const EVENT: &[u8] = include_bytes!("stripe.json");

fn source() -> Source {
    Source::build(SourceSettings::new("stripe", "stripe", "default".parse().unwrap(), SECRET.into())).unwrap()
}

fn received_at() -> Time {
    Time::from_unix_s(1_790_000_000).unwrap()
}

fn headers(source: &Source) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let delivery = UnsignedDelivery::new(EVENT, "", received_at());
    for (name, value) in source.sign(&delivery, Signer::Secret).unwrap().headers {
        headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    headers
}

pub(crate) fn deliver() -> Box<dyn FnMut()> {
    let source = source();
    let headers = headers(&source);
    let (metrics, limits) = (Arc::new(Metrics::new()), Live::new(Limits::default()));
    let store = Arc::new(Scripted::of(Log::default()));
    let history = Duration::from_secs(180 * 86_400);
    let labels = Arc::new(Labels::new(store.clone(), Arc::clone(&metrics), history));
    let parts = Arc::new(Parts::new(store.clone(), labels, Arc::clone(&metrics), history));
    let ingest = Ingest::new(store, parts, metrics, limits, Arc::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Box::new(move || {
        let delivery =
            Delivery { headers: &headers, query: "", body: EVENT, received_at: received_at(), peer: None };
        assert_eq!(runtime.block_on(ingest.deliver(&source, black_box(delivery))).status, 200);
    })
}

pub(crate) fn verify() -> Box<dyn FnMut()> {
    let source = source();
    let headers = headers(&source);
    Box::new(move || {
        assert!(black_box(source.open_alone(&headers, black_box(EVENT), received_at())).is_some());
    })
}

pub(crate) fn map() -> Box<dyn FnMut()> {
    let source = source();
    let headers = headers(&source);
    let payload = source.open_alone(&headers, EVENT, received_at()).unwrap();
    Box::new(move || assert!(black_box(source.map_alone(&headers, black_box(&payload), received_at())) > 0))
}

pub(crate) fn hmac() -> Box<dyn FnMut()> {
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    Box::new(move || {
        let mut mac = keyed.clone();
        mac.update(black_box(EVENT));
        black_box(mac.finalize().into_bytes());
    })
}
