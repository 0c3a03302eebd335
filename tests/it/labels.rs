//! Labels: a page watches by the id that it has. The payloads are those of Stripe, as its official library types them.

mod answers;
mod order;
mod orders;
mod wire;

use crate::support::{RedisServer, STRIPE_SECRET, Setup, Source, Store};
use serde_json::{Value, json};

/// The ids of one order and of its payment.
#[derive(Clone)]
pub(crate) struct Order {
    /// The number that the shop gave it: a label that the source names.
    pub(crate) number: String,
    /// Stripe's checkout session: a label that the preset names.
    pub(crate) session: String,
    /// Stripe's payment intent: the payment.
    pub(crate) payment: String,
    /// The charge of the attempt that succeeded.
    charge: String,
}

impl Order {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number: format!("order-{number}"),
            session: format!("cs_test_{number}"),
            payment: format!("pi_{number}"),
            charge: format!("ch_{number}"),
        }
    }

    /// The three ids by which a page may watch.
    pub(crate) fn ids(&self) -> [&str; 3] {
        [&self.session, &self.number, &self.payment]
    }

    /// The webhooks of an order that is paid at the second attempt, refunded in part, disputed and won, in their order.
    pub(crate) fn webhooks(&self) -> Vec<Value> {
        let steps = [
            "payment_intent.created",
            "payment_intent.requires_action",
            "charge.failed",
            "payment_intent.payment_failed",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed.paid",
            "charge.refunded",
            "charge.dispute.created.needs_response",
            "charge.dispute.funds_reinstated.won",
        ];
        steps.iter().zip(1..).map(|(name, step)| self.webhook(name, step)).collect()
    }

    /// A webhook of the shape of a fixture, about this order.
    pub(crate) fn webhook(&self, fixture: &str, step: u64) -> Value {
        let path = format!("{}/src/source/fixtures/stripe/{fixture}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let Self { number, session, payment, charge } = self;
        let text = text.replace("pi_3PqJt2KZvKYlo2C1", payment).replace("cs_test_a1B2c3D4", session);
        // The failed attempt has a charge of its own.
        let charge = if fixture == "charge.failed" { format!("{charge}_failed") } else { charge.clone() };
        let mut webhook: Value = serde_json::from_str(&text.replace("ch_3PqJt2KZvKYlo2C1", &charge)).unwrap();
        webhook["id"] = json!(format!("evt_{payment}_{step}"));
        webhook["created"] = json!(1_790_000_000 + step);
        // Refunds and disputes do not carry what the shop wrote beside the payment.
        let has_number = !fixture.starts_with("charge.dispute") && fixture != "charge.refunded";
        webhook["data"]["object"]["metadata"] = if has_number { json!({ "order_id": number }) } else { json!({}) };
        webhook
    }
}

/// The lines of a source whose order numbers are labels.
pub(crate) const BY_ORDER: &str = "labels = [\"/data/object/metadata/order_id\"]";

/// A gateway whose Stripe source names the order number as a label.
pub(crate) fn setup(store: Store) -> Setup {
    let stripe = Source { more: BY_ORDER.to_owned(), ..Source::new("stripe", "stripe", "default", STRIPE_SECRET) };
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
