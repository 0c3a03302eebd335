//! A thousand other orders of the webhooks of an order, at the level of ingest, store and hub: all ids end at the same view.

use super::{BY_ORDER, Order, Webhook, end_of};
use crate::contract::redis_settings;
use crate::support::{Random, RedisServer, STRIPE_SECRET, now_s};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use paystream::{
    hub::{Bell, Hub},
    ingest::{Delivery, Ingest},
    limits::Limits,
    live::Live,
    metrics::Metrics,
    payment::{Subject, Time},
    source::{Source, SourceSettings},
    store::{Labels, Store, embedded, redis},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

const ORDERS: u64 = 1000;

const HISTORY: Duration = Duration::from_secs(180 * 86_400);

/// The half that takes webhooks and the half that streams, on one store.
struct Node {
    ingest: Ingest,
    source: Source,
    hub: Arc<Hub>,
}

impl Node {
    fn on(store: &Arc<dyn Store>, metrics: &Arc<Metrics>) -> Self {
        let labels = Arc::new(Labels::new(Arc::clone(store), Arc::clone(metrics), HISTORY));
        let limits = Limits::default();
        let ingest =
            Ingest::new(Arc::clone(store), labels, Arc::clone(metrics), Live::new(limits), Arc::default());
        let settings =
            SourceSettings::new("stripe", "stripe", "default".parse().unwrap(), STRIPE_SECRET.into());
        let pointers = BY_ORDER.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        let source = Source::build(SourceSettings { labels: pointers, ..settings }).unwrap();
        Self { ingest, source, hub: Hub::new(Arc::clone(store), Arc::clone(metrics), &limits) }
    }

    async fn post(&self, webhook: &Webhook) {
        let mut headers = HeaderMap::new();
        for (name, value) in webhook.headers() {
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        let body = webhook.body.as_bytes();
        let received_at = Time::from_unix_s(now_s().try_into().unwrap()).unwrap();
        let delivery = Delivery { headers: &headers, query: "", body, received_at, peer: None };
        let reply = self.ingest.deliver(&self.source, delivery).await;
        assert_eq!(reply.status, 200, "{}: {reply:?}", webhook.body);
    }

    async fn snapshot(&self, id: &str) -> Value {
        let subject = Subject::payment("default".parse().unwrap(), id.parse().unwrap());
        let history = self.hub.join(&subject, Arc::<Bell>::default()).history().await.unwrap();
        let text = String::from_utf8(history.snapshot.to_vec()).unwrap();
        serde_json::from_str(&format!("{text}}}")).unwrap()
    }

    /// Posts the webhooks of one order in an order of its own, some of them twice, and returns its end, with the ids of a first order.
    async fn end_of_order(&self, order: Order, seed: u64) -> Value {
        let mut random = Random::new(seed);
        let mut webhooks = order.webhooks.clone();
        webhooks.extend(order.webhooks.iter().filter(|_| random.below(4) == 0).cloned());
        random.shuffle(&mut webhooks);
        for webhook in &webhooks {
            self.post(webhook).await;
        }
        let mut ends = Vec::new();
        for id in order.ids() {
            let snapshot = self.snapshot(id).await;
            assert_eq!(snapshot["payment"], order.payment, "seed {seed}: {id} leads elsewhere");
            ends.push(snapshot);
        }
        assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}, {}: {ends:#?}", order.number);
        let end = end_of(&ends[0]).to_string().replace(&order.payment, "pi");
        serde_json::from_str(&end).unwrap()
    }
}

async fn thousand_orders_on(store: Arc<dyn Store>, metrics: Arc<Metrics>) {
    let seed = now_s();
    let node = Node::on(&store, &metrics);
    let orders = Order::several(0, ORDERS).into_iter().zip(0..);
    let ends: Vec<Value> = stream::iter(orders)
        .map(|(order, number)| node.end_of_order(order, seed.wrapping_add(number)))
        .buffer_unordered(64)
        .collect()
        .await;
    assert_eq!(ends.len() as u64, ORDERS);
    assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}");
    assert_eq!(ends[0]["status"], "partially_refunded");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_a_thousand_orders_of_webhooks_end_alike_by_every_id_on_the_embedded_store() {
    let (folder, metrics) = (tempfile::tempdir().unwrap(), Arc::new(Metrics::new()));
    let settings = embedded::Settings { path: folder.path().join("data"), history: HISTORY, recent: 100_000 };
    let store = embedded::Embedded::open(&settings, Arc::clone(&metrics)).unwrap();
    thousand_orders_on(Arc::new(store), metrics).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_a_thousand_orders_of_webhooks_end_alike_by_every_id_on_redis() {
    let (server, metrics) = (RedisServer::start().await, Arc::new(Metrics::new()));
    let settings = redis_settings(&server, HISTORY, 100_000);
    let store = redis::Redis::open(settings, Arc::clone(&metrics)).await.unwrap();
    thousand_orders_on(Arc::new(store), metrics).await;
}
