//! What the tests share: a gateway process of their own, tokens, signed webhooks, streams, and waiting on conditions.

mod bridge;
mod cluster;
mod front;
mod gateway;
mod nginx;
mod program;
mod prometheus;
mod provider_api;
mod proxy;
mod redis;
mod sentinel;
mod serving;
mod setup;
mod tls;

pub(crate) use cluster::{Cluster, fresh_prefix, shared_cluster};
pub(crate) use front::Front;
pub(crate) use gateway::{Gateway, claims, free_address, paystream, signed, token};
pub(crate) use nginx::Nginx;
pub(crate) use program::Program;
pub(crate) use prometheus::Prometheus;
pub(crate) use provider_api::{ProviderApi, Scripted};
pub(crate) use proxy::{Proxy, Trouble};
pub(crate) use redis::{RedisServer, ask_at, store_at};
pub(crate) use sentinel::{GROUP, Group, Sentinel, shared_group};
pub(crate) use serving::Serving;
pub(crate) use setup::{Key, Setup, Source, Store};
pub(crate) use tls::{Authority, Certified, tls_bridge};

use load::{
    http::End,
    sse::{Event, Item},
    stream::{Next, Stream},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};
use serde_json::{Value, json};
use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{OnceCell, oneshot};

/// How long anything may take before a test gives up. Generous: it is only waited for where something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Secrets of the tests. Long and random, as real ones are.
pub(crate) const GENERIC_SECRET: &str = "9f2c61d0a7e84b35bd0c1e6f7a92d4c8e15b3f60";
pub(crate) const OTHER_SECRET: &str = "4be07d19c5f23a86907e1db4c83f5a2d6b90e7f1";
pub(crate) const STRIPE_SECRET: &str = "whsec_Zq81LmXw0tB7cYhKdN5vRsE3uGfJpA2x";
pub(crate) const TOKEN_KEY: &str = "b1946ac92492d2347c6235b4d2611184f1c9b8e07a6d5342";
pub(crate) const OPERATOR_KEY: &str = "e59ff97941044f85df5297e1c302d260c3b7a1908f6e5d42";
pub(crate) const ADMIN_TOKEN: &str = "7d793037a0760186574b0282f2f435e7a9c1b3d5";

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A payload of the `generic` provider: `event` is one of pending, confirmed, expired, failed.
pub(crate) fn generic(id: &str, event: &str, payment: &str, timestamp: u64) -> Value {
    json!({
        "id": id,
        "event": format!("payment.{event}"),
        "timestamp": timestamp,
        "payment": { "id": payment, "status": event, "amount": "100.00", "currency": "EUR" },
    })
}

/// A payload of Stripe about the payment intent `payment`.
pub(crate) fn stripe(id: &str, kind: &str, payment: &str, created: u64) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2025-03-31.basil", "type": kind,
        "created": created, "livemode": false,
        "data": { "object": {
            "id": payment, "object": "payment_intent", "amount": 10_000, "amount_received": 10_000,
            "amount_capturable": 10_000, "currency": "eur", "status": "succeeded",
        } },
    })
}

/// The JSON of an event's data.
pub(crate) fn message(event: &Event) -> Value {
    serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("{error}: {event:?}"))
}

/// A header as the client wants it.
pub(crate) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The next message of a stream: an unnamed event's JSON, with its id.
pub(crate) async fn next_message(stream: &mut Stream) -> (String, Value) {
    loop {
        let event = stream.event(PATIENCE).await.unwrap();
        if event.kind == "message" {
            return (event.id.clone(), message(&event));
        }
    }
}

/// Reads updates until `seq` has come.
pub(crate) async fn read_until(stream: &mut Stream, seq: u64) -> Vec<Value> {
    let mut messages = Vec::new();
    while messages.last().and_then(|message: &Value| message["seq"].as_u64()) != Some(seq) {
        messages.push(next_message(stream).await.1);
    }
    messages
}

/// Reads to the end: all messages, and how it ended.
pub(crate) async fn read_to_end(stream: &mut Stream) -> (Vec<Value>, End) {
    let (items, end) = stream.rest(PATIENCE).await.unwrap();
    let messages = items.iter().filter_map(|item| match item {
        Item::Event(event) if event.kind == "message" => Some(message(event)),
        _ => None,
    });
    (messages.collect(), end)
}

/// Asserts that nothing but comments and heartbeats comes for a while.
pub(crate) async fn stays_silent(stream: &mut Stream, time: Duration) {
    let deadline = Instant::now() + time;
    while let Ok(next) = tokio::time::timeout_at(deadline.into(), stream.next()).await {
        match next.unwrap() {
            Next::Item(Item::Event(event)) if event.kind == "message" => panic!("unexpected: {event:?}"),
            Next::Item(_) => {}
            Next::End(end) => panic!("the stream ended: {end:?}"),
        }
    }
}

/// The address of servers that all tests of this run share. `start` is called once, and what it returns beside the address ends with the
/// run.
async fn shared<S>(
    url: &OnceCell<String>,
    start: impl AsyncFnOnce() -> (String, S) + Send + 'static,
) -> String {
    let start = async || {
        let (sender, started) = oneshot::channel();
        // The servers are children of this thread, and killed with it.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (url, _servers) = start().await;
                sender.send(url).unwrap();
                std::future::pending::<()>().await;
            });
        });
        started.await.unwrap()
    };
    url.get_or_init(start).await.clone()
}

/// Waits until `holds` does.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Random numbers from a seed, the same on every machine.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }
}
