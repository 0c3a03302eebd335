//! Parts: events that name only a part of a payment find it, wait for it until it is known, and are seen by operators meanwhile. The source
//! names its payments by the shop's order number, which Stripe's refunds and disputes lack; they name Stripe's own id of the payment.

use crate::{
    labels::{Order, end_of},
    support::{
        ADMIN_TOKEN, Gateway, Random, RedisServer, STRIPE_SECRET, Setup, Source, Store, eventually, header,
        now_s,
    },
};
use load::http::{Response, request};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The lines of a source whose payments are orders of the shop.
pub(crate) const OF_ORDER: &str = "payment = [\"/data/object/metadata/order_id\"]";

/// How long anything may wait once its binding is durable and the store is well.
const AT_MOST: Duration = Duration::from_secs(2);

pub(crate) fn setup(store: Store) -> Setup {
    let stripe =
        Source { more: OF_ORDER.to_owned(), ..Source::new("stripe", "stripe", "default", STRIPE_SECRET) };
    Setup { store, sources: vec![stripe], ..Setup::default() }
}

/// The setup on an embedded store, and on a Redis server of its own, which has to be kept.
async fn setups() -> [(Setup, Option<RedisServer>); 2] {
    let redis = RedisServer::start().await;
    let store = Store::Redis { url: redis.url(), more: String::new() };
    [(setup(Store::Embedded), None), (setup(store), Some(redis))]
}

/// A webhook of an order that names the order, and one that names Stripe's payment alone.
pub(crate) fn pair(number: u64) -> (Order, Value, Value) {
    let order = Order::new(number);
    let (names, refund) =
        (webhook(&order, "payment_intent.succeeded", 1), webhook(&order, "charge.refunded", 2));
    (order, names, refund)
}

/// What an order's webhook of a type says, as an event of its own.
pub(crate) fn webhook(order: &Order, kind: &str, step: u64) -> Value {
    let mut webhook = bodies(order).into_iter().find(|body| body["type"] == kind).unwrap();
    webhook["id"] = json!(format!("evt_{}_{step}", order.payment));
    webhook["created"] = json!(1_790_000_000 + step);
    webhook
}

/// What the webhooks of an order say. The shop wrote its number beside the payment only after the charge was made, so its refund lacks it.
fn bodies(order: &Order) -> Vec<Value> {
    let body = |text: &str| {
        let mut body: Value = serde_json::from_str(text).unwrap();
        if body["type"] == "charge.refunded" {
            body["data"]["object"]["metadata"] = json!({});
        }
        body
    };
    order.webhooks.iter().map(|webhook| body(&webhook.body)).collect()
}

/// The answer of the admin listener to an operator.
pub(crate) async fn operator(gateway: &Gateway, path: &str) -> Response {
    let headers = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    request(gateway.admin, "GET", path, &headers, b"").await.unwrap()
}

async fn waiting(gateway: &Gateway) -> Vec<Value> {
    let answer = operator(gateway, "/admin/waiting?source=stripe").await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    answer.json()["waiting"].as_array().unwrap().clone()
}

fn ids(snapshot: &Value) -> Vec<String> {
    let events = snapshot["timeline"].as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_event_that_waits_is_shown_to_operators_until_it_has_found_its_payment() {
    for (setup, _redis) in setups().await {
        let gateway = Gateway::with(setup).await;
        let (order, names, refund) = pair(1);
        for _ in 0..2 {
            let answer = gateway.post("stripe", &refund).await;
            assert_eq!((answer.head.status, answer.text().as_str()), (200, r#"{"outcome":"waiting"}"#));
        }
        let listed = waiting(&gateway).await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!((&listed[0]["part"], &listed[0]["event"]), (&json!(order.payment), &refund["id"]));
        assert_eq!(listed[0]["type"], "charge.refunded");
        eventually("it is counted", async || gateway.metric("paystream_parts_waiting", &[]).await == 1.0)
            .await;
        assert_eq!(gateway.events(&["stripe", "waiting"]).await, 2);
        assert!(gateway.log().lines().any(|line| line.contains("waiting") && line.contains(&order.payment)));
        eventually("it is recorded", async || {
            let page = operator(&gateway, "/admin/deliveries?source=stripe").await.json();
            let records = page["records"].as_array().unwrap().clone();
            let told = json!([records[0]["outcome"], records[0]["part"]]);
            records.len() == 2 && told == json!(["waiting", order.payment])
        })
        .await;
        assert_eq!(gateway.snapshot(&order.payment).await["status"], "unknown", "a part is no label");

        assert_eq!(gateway.post("stripe", &names).await.text(), r#"{"outcome":"accepted"}"#);
        let snapshot = gateway.snapshot(&order.number).await;
        assert_eq!(ids(&snapshot).len(), 2, "both were there before the answer: {snapshot}");
        assert_eq!(snapshot["status"], "partially_refunded");
        assert!(waiting(&gateway).await.is_empty());
        assert_eq!(gateway.metric("paystream_parts_total", &["handed_over"]).await, 1.0);
        assert_eq!(gateway.post("stripe", &refund).await.text(), r#"{"outcome":"duplicate"}"#);
        eventually("nothing is left", async || gateway.metric("paystream_parts_waiting", &[]).await == 0.0)
            .await;
        let dispute = webhook(&order, "charge.dispute.created", 3);
        assert_eq!(gateway.post("stripe", &dispute).await.text(), r#"{"outcome":"accepted"}"#);
        assert_eq!(gateway.snapshot(&order.number).await["status"], "disputed");
    }
}

/// A refund that names its payment's part alone comes while the source is configured for the wrong mode.
#[tokio::test]
async fn a_quarantined_event_that_names_only_a_part_is_replayed_to_its_payment_once() {
    for (setup, _redis) in setups().await {
        let gateway = Gateway::with(setup.clone()).await;
        let (order, names, refund) = pair(1);
        assert_eq!(gateway.post("stripe", &names).await.text(), r#"{"outcome":"accepted"}"#);
        let mut wrong = setup.clone();
        wrong.sources[0].more.push_str("\nlive = true");
        reload(&gateway, &wrong).await;
        assert!(gateway.post("stripe", &refund).await.text().contains("live_mismatch"));
        let held = operator(&gateway, "/admin/quarantine?source=stripe").await.json()["records"][0].clone();
        let path = format!("/admin/quarantine/{}/replay?reason=mended", held["id"].as_str().unwrap());
        let replay = async || {
            let headers = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
            request(gateway.admin, "POST", &path, &headers, b"").await.unwrap().json()
        };
        let before = replay().await;
        assert_eq!(
            (&before["settled"], gateway.snapshot(&order.number).await["status"].clone()),
            (&json!(false), json!("captured"))
        );
        reload(&gateway, &setup).await;
        let replayed = replay().await;
        let event = &replayed["events"][0];
        assert_eq!(
            (&replayed["settled"], &event["outcome"]),
            (&json!(true), &json!("accepted")),
            "{replayed}"
        );
        assert_eq!(
            (&event["before"]["status"], &event["after"]["status"]),
            (&json!("captured"), &json!("partially_refunded"))
        );
        assert_eq!(replay().await, replayed, "the same answer");
        let snapshot = gateway.snapshot(&order.number).await;
        assert_eq!(
            (snapshot["status"].as_str(), ids(&snapshot).len()),
            (Some("partially_refunded"), 2),
            "{snapshot}"
        );
        assert!(waiting(&gateway).await.is_empty());
    }
}

async fn reload(gateway: &Gateway, setup: &Setup) {
    let reloads = async || gateway.metric("paystream_reloads_total", &["outcome=\"done\""]).await;
    let before = reloads().await;
    gateway.configure(setup);
    gateway.hang_up();
    eventually("the configuration is reloaded", async || reloads().await > before + 0.5).await;
}

#[tokio::test]
async fn what_waits_is_listed_for_operators_alone_and_by_parameters_that_are_understood() {
    let gateway = Gateway::with(setup(Store::AsTheRunSays)).await;
    for token in [None, Some("wrong"), Some("")] {
        let headers: Vec<_> =
            token.map(|token| header("authorization", &format!("Bearer {token}"))).into_iter().collect();
        let answer =
            request(gateway.admin, "GET", "/admin/waiting?source=stripe", &headers, b"").await.unwrap();
        assert_eq!(answer.head.status, 401, "{token:?}");
    }
    for (query, status) in [
        ("?source=stripe", 200),
        ("?source=stripe&limit=1024", 200),
        ("", 400),
        ("?source=stripe&limit=0", 400),
        ("?source=stripe&limit=1025", 400),
        ("?source=stripe&part=x", 400),
        ("?source=nobody", 404),
    ] {
        assert_eq!(
            operator(&gateway, &format!("/admin/waiting{query}")).await.head.status,
            status,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i4_an_order_s_refunds_and_disputes_find_it_whatever_order_the_webhooks_come_in() {
    let seed = now_s();
    for (setup, redis) in setups().await {
        let mut gateways = vec![Gateway::with(setup.clone()).await];
        if redis.is_some() {
            gateways.push(Gateway::with(setup).await);
        }
        let mut random = Random::new(seed);
        let mut ends = Vec::new();
        for order in Order::several(0, 40) {
            let mut webhooks = bodies(&order);
            webhooks.extend(bodies(&order).into_iter().filter(|_| random.below(4) == 0));
            random.shuffle(&mut webhooks);
            for webhook in &webhooks {
                let gateway = &gateways[usize::try_from(random.below(gateways.len() as u64)).unwrap()];
                let answer = gateway.post("stripe", webhook).await;
                assert_eq!(answer.head.status, 200, "{}", answer.text());
            }
            let end = end_of(&gateways[0].snapshot(&order.number).await).to_string();
            let end =
                end.replace(&order.payment, "pi").replace(&format!("\"{}\"", order.number), "\"order\"");
            ends.push(end);
        }
        assert!(ends[0].contains("charge.dispute.closed"), "{}", ends[0]);
        assert!(ends.iter().all(|end| *end == ends[0]), "seed {seed}: {ends:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_an_event_that_waits_survives_kill_9_and_a_kill_during_its_hand_over_strands_it_nowhere() {
    let seed = now_s();
    for (setup, _redis) in setups().await {
        let mut gateway = Gateway::with(setup).await;
        let mut random = Random::new(seed);
        for number in 0..6 {
            let (order, names, refund) = pair(number);
            assert_eq!(gateway.post("stripe", &refund).await.text(), r#"{"outcome":"waiting"}"#);
            gateway.kill();
            gateway.restart().await;
            // The event that names both is on its way when the gateway dies.
            let body = names.to_string().into_bytes();
            let headers = load::sign::stripe(STRIPE_SECRET, now_s(), &body);
            let posting = request(gateway.ingest, "POST", "/webhooks/stripe", &headers, &body);
            let after = Duration::from_micros(random.below(6000));
            let acknowledged = tokio::time::timeout(after, posting).await.is_ok_and(|answer| answer.is_ok());
            gateway.kill();
            gateway.restart().await;
            let well = Instant::now();
            if !acknowledged {
                let answer = gateway.post("stripe", &names).await;
                assert_eq!(answer.head.status, 200, "{}", answer.text());
            }
            eventually(&format!("seed {seed}: order {number} has its refund"), async || {
                ids(&gateway.snapshot(&order.number).await).len() == 2
            })
            .await;
            assert!(well.elapsed() < AT_MOST, "seed {seed}: it took {:?}", well.elapsed());
        }
    }
}
