//! Labels: a page watches by the id that it has. The webhooks are made and signed by Stripe's official library, whose types say what they look
//! like: `tests/clients/oracles/order.mjs`.

mod answers;
mod costs;
mod order;
mod orders;
mod wire;

use crate::support::{Gateway, RedisServer, STRIPE_SECRET, Setup, Source, Store, header};
use load::http::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// The ids of an order and of its payment, and its webhooks: it is paid at the second attempt, refunded in part, disputed and won.
#[derive(Clone, Deserialize)]
pub(crate) struct Order {
    /// The number that the shop gave it: a label that the source names.
    pub(crate) number: String,
    /// Stripe's checkout session: a label that the preset names.
    pub(crate) session: String,
    /// Stripe's payment intent: the payment.
    pub(crate) payment: String,
    /// In the order in which things happened.
    pub(crate) webhooks: Vec<Webhook>,
}

/// A webhook as Stripe sends it.
#[derive(Clone, Deserialize)]
pub(crate) struct Webhook {
    /// The header `stripe-signature`.
    signature: String,
    pub(crate) body: String,
}

impl Order {
    pub(crate) fn new(number: u64) -> Self {
        Self::several(number, 1).remove(0)
    }

    /// So many orders, of consecutive numbers.
    pub(crate) fn several(first: u64, count: u64) -> Vec<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/oracles/order.mjs");
        let mut node = Command::new("node");
        node.arg(program).args([STRIPE_SECRET, &first.to_string(), &count.to_string()]);
        let output = node.output().expect("node");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/run installs what order.mjs needs: {said}");
        output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(order_of).collect()
    }

    /// The three ids by which a page may watch.
    pub(crate) fn ids(&self) -> [&str; 3] {
        [&self.session, &self.number, &self.payment]
    }
}

fn order_of(line: &[u8]) -> Order {
    serde_json::from_slice(line).unwrap()
}

impl Webhook {
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        vec![header("content-type", "application/json"), header("stripe-signature", &self.signature)]
    }

    pub(crate) async fn post_to(&self, gateway: &Gateway) -> Response {
        gateway.post_raw("stripe", &self.headers(), self.body.as_bytes()).await
    }
}

/// The lines of a source whose order numbers are labels.
pub(crate) const BY_ORDER: &str = "labels = [\"/data/object/metadata/order_id\"]";

/// A gateway whose Stripe source names the order number as a label.
pub(crate) fn setup(store: Store) -> Setup {
    let stripe =
        Source { more: BY_ORDER.to_owned(), ..Source::new("stripe", "stripe", "default", STRIPE_SECRET) };
    Setup { store, sources: vec![stripe], ..Setup::default() }
}

/// The setup on an embedded store, and on a Redis server of its own, which has to be kept.
pub(crate) async fn setups() -> [(Setup, Option<RedisServer>); 2] {
    let redis = RedisServer::start().await;
    let store = Store::Redis { url: redis.url(), more: String::new() };
    [(setup(Store::Embedded), None), (setup(store), Some(redis))]
}

/// What must be the same whatever order the webhooks came in: the view, and the events of the timeline.
pub(crate) fn end_of(snapshot: &Value) -> Value {
    let mut end = snapshot.clone();
    let object = end.as_object_mut().unwrap();
    let timeline = object.remove("timeline").unwrap();
    for key in ["asked", "reason"] {
        object.remove(key);
    }
    let mut events: Vec<_> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["id"], entry["type"], entry["occurred_at"]]).to_string())
        .collect();
    events.sort_unstable();
    object.insert("events".to_owned(), json!(events));
    end
}
