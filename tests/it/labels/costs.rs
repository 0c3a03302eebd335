//! What labels cost the Redis server, by its own counts.

use crate::{
    contract::{event, redis_settings},
    support::RedisServer,
};
use paystream::{
    payment::{Event, Label, Maker},
    store::{Append, Labels, Store, redis::Redis},
};
use std::{sync::Arc, time::Duration};

const HISTORY: Duration = Duration::from_secs(180 * 86_400);

const EVENTS: u64 = 50;

/// Appends events and binds their labels, as ingest does, one after the other.
struct Bench {
    server: RedisServer,
    store: Arc<dyn Store>,
    labels: Labels,
}

/// What appends and reads of logs consist of.
const COMMANDS: [&str; 6] = ["evalsha", "xadd", "hset", "pexpire", "spublish", "xrange"];

fn labelled(payment: &str, id: &str, named: &[&str]) -> Event {
    let label = |name: &&str| Label { id: name.parse().unwrap(), maker: Maker::Shop };
    Event { labels: named.iter().map(label).collect(), ..event(payment, id, 1) }
}

impl Bench {
    async fn take(&self, payment: &str, id: &str, named: &[&str]) {
        let event = labelled(payment, id, named);
        let bindings = Labels::of(&event);
        self.store.append(Append { event, shared_ids: false }).await.unwrap();
        self.labels.bind(bindings).await.unwrap();
    }

    /// How often each of these commands ran, by itself or in a script.
    fn calls(&self) -> [u64; 6] {
        let stats = self.server.ask(&["INFO", "commandstats"]);
        COMMANDS.map(|name| {
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
            line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
        })
    }

    /// What these steps cost.
    async fn spent(&self, steps: impl Future<Output = ()>) -> [u64; 6] {
        self.server.ask(&["CONFIG", "RESETSTAT"]);
        steps.await;
        self.calls()
    }
}

#[tokio::test]
async fn a_new_pair_costs_redis_one_small_append_and_a_known_one_nothing() {
    let server = RedisServer::start().await;
    let settings = redis_settings(&server, HISTORY, 0);
    let store: Arc<dyn Store> = Arc::new(Redis::open(settings, Arc::default()).await.unwrap());
    let labels = Labels::new(Arc::clone(&store), Arc::default(), HISTORY);
    let bench = Bench { server, store, labels };
    for payment in ["plain", "known", "new"] {
        bench.take(payment, "a_first", &[]).await;
    }
    bench.take("known", "b_second", &["order", "session"]).await;
    let all = async |payment: &str, named: &dyn Fn(u64) -> Vec<String>| {
        for number in 0..EVENTS {
            let named = named(number);
            let named: Vec<_> = named.iter().map(String::as_str).collect();
            bench.take(payment, &format!("e{number}"), &named).await;
        }
    };
    let plain = bench.spent(all("plain", &|_| Vec::new())).await;
    let known = bench.spent(all("known", &|_| vec!["order".to_owned(), "session".to_owned()])).await;
    let new = bench.spent(all("new", &|number| vec![format!("order-{number}")])).await;
    assert_eq!(plain, [1, 2, 2, 0, 1, 0].map(|calls| calls * EVENTS), "nothing is configured: {COMMANDS:?}");
    assert_eq!(known, plain, "{COMMANDS:?}");
    // One append more, to a log that is new, after one read that finds none.
    assert_eq!(new, [2, 4, 4, 2, 2, 1].map(|calls| calls * EVENTS), "{COMMANDS:?}");
    let event = labelled("new", "e1", &["order-1"]);
    let [event, binding] = [&event, &Labels::of(&event)[0]].map(|it| serde_json::to_vec(it).unwrap().len());
    assert!(binding <= event && binding <= 400, "a binding takes {binding} bytes, its event {event}");
}
