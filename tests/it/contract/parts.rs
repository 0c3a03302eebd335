//! Parts: events that name a part alone find their payment, in whatever order they and the bindings come, over whichever gateway, and
//! wherever a gateway dies.

use super::{Backend, LONG, PATIENCE, event, subject};
use crate::support::{Random, now_s};
use futures_util::{StreamExt as _, stream};
use paystream::{
    metrics::Metrics,
    payment::{Event, Kind, Name, PartLog, State, Subject},
    store::{Append, Appended, Claim, ClaimTerms, Labels, Parts, Placement, Settlement, Store},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// Payments of one run. Each has as many parts, and as many events that name one of these alone.
const PAYMENTS: usize = 12;
const PARTS: usize = 4;

/// How long anything may wait once its binding is durable and the store is well.
const AT_MOST: Duration = Duration::from_secs(2);

fn writer(store: &Arc<dyn Store>) -> Parts {
    let metrics = Arc::new(Metrics::new());
    let labels = Arc::new(Labels::new(Arc::clone(store), Arc::clone(&metrics), LONG));
    Parts::new(Arc::clone(store), labels, metrics, LONG)
}

fn named(event: Event, parts: &[String]) -> Event {
    Event { parts: parts.iter().map(|part| part.parse().unwrap()).collect(), ..event }
}

/// An event that names a part alone: the log of the part is its subject.
fn alone(id: &str, second: i64, parts: &[String]) -> Event {
    let event = named(event("none", id, second), parts);
    let log = event.part_log(&"default".parse().unwrap(), &event.parts[0]).unwrap();
    Event { subject: log, ..event }
}

/// The events of one payment: a part is bound by an event that names the payment too, or by one that names another part.
fn events(payment: &str, random: &mut Random) -> Vec<Event> {
    let part = |number: usize| format!("{payment}-part-{number}");
    let mut events = Vec::new();
    for number in 0..PARTS {
        let second = 1000 + i64::from(random.below(50) as u8);
        let binds = format!("{payment}-binds-{number}");
        events.push(match number {
            0 => named(event(payment, &binds, second), &[part(0)]),
            _ if random.below(2) == 0 => named(event(payment, &binds, second), &[part(number)]),
            _ => alone(&binds, second, &[part(number - 1), part(number)]),
        });
        events.push(alone(&format!("{payment}-alone-{number}"), second + 1, &[part(number)]));
    }
    events
}

/// Takes an event as ingest does. Returns once it may be acknowledged.
async fn take(store: &dyn Store, parts: &Parts, event: &Event) {
    let under = match event.subject.kind() {
        Kind::Part => match parts.place(event, event.received_at).await.unwrap() {
            Placement::Under(payments) => {
                payments.iter().map(|payment| event.under(payment).unwrap()).collect()
            }
            Placement::Waits => return,
            Placement::Nowhere(why) => panic!("{why}"),
        },
        _ => vec![event.clone()],
    };
    for event in under {
        let (labels, bound) = (Labels::of(&event), Parts::of(&event));
        let appended = store.append(Append { event, shared_ids: false }).await.unwrap();
        assert!(!matches!(appended, Appended::Conflict(_)));
        parts.bind(labels, bound, false).await.unwrap();
    }
}

async fn state(store: &dyn Store, payment: &str) -> (State, BTreeSet<String>) {
    let log = store.read(&subject("default", payment)).await.unwrap();
    let ids: Vec<_> = log.entries.iter().map(|entry| entry.event.id.to_string()).collect();
    let once: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(once.len(), ids.len(), "I2: twice in the log: {ids:?}");
    (State::fold(log.entries.iter().map(|entry| &*entry.event)), once)
}

/// Does all work that is due until none is left, as the gateways' workers do.
async fn work_off(store: &dyn Store, parts: &Parts) {
    let terms = ClaimTerms { spacing: Duration::ZERO, lease: Duration::from_secs(1) };
    let begun = Instant::now();
    loop {
        let queues = store.backlogs_of_parts().await.unwrap();
        if queues.is_empty() {
            return;
        }
        for queue in queues.keys() {
            while let Claim::Pending(pending) = store.claim(queue, terms).await.unwrap() {
                let part = Subject { realm: queue.parse().unwrap(), id: pending.payment.clone() };
                let now = event("any", "any", 1).received_at;
                let settlement = parts.look(&part, pending.attempts, now, |_| false).await.unwrap();
                store.settle(pending, settlement).await.unwrap();
            }
        }
        assert!(begun.elapsed() < PATIENCE, "work is left: {queues:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn i4_any_order_of_bindings_and_of_events_of_parts_ends_alike(place: impl Backend) {
    let (store, seed) = (place.open(LONG).await, now_s());
    let mut random = Random::new(seed);
    let gateways = [writer(&store), writer(&store)];
    let payments: Vec<_> = (0..PAYMENTS).map(|number| format!("pay_{number}")).collect();
    let by_payment: Vec<_> = payments.iter().map(|payment| events(payment, &mut random)).collect();
    let mut all: Vec<Event> = by_payment.concat();
    all.extend(by_payment.concat().into_iter().filter(|_| random.below(4) == 0));
    random.shuffle(&mut all);
    let deliveries = all.iter().map(|event| (event, &gateways[usize::from(random.below(2) == 0)]));
    let deliveries: Vec<_> = deliveries.collect();
    let taken = stream::iter(deliveries).map(|(event, gateway)| take(&*store, gateway, event));
    taken.buffer_unordered(16).collect::<Vec<()>>().await;
    for (payment, events) in payments.iter().zip(&by_payment) {
        let expected = State::fold(events);
        let (found, ids) = state(&*store, payment).await;
        let posted: BTreeSet<_> = events.iter().map(|event| event.id.to_string()).collect();
        assert_eq!(ids, posted, "seed {seed}: an acknowledged event is not under {payment}");
        assert_eq!(found, expected, "seed {seed}: {payment}");
    }
    work_off(&*store, &gateways[0]).await;
    store.close().await;
}

pub(super) async fn i1_a_gateway_that_dies_between_a_binding_and_its_hand_over_strands_nothing(
    place: impl Backend,
) {
    let (store, seed) = (place.open(LONG).await, now_s());
    let mut random = Random::new(seed);
    let mut acknowledged = Vec::new();
    for number in 0..60 {
        let (payment, parts) = (format!("pay_{number}"), [format!("part_{number}")]);
        let gateways = [writer(&store), writer(&store)];
        let (refund, binds) = (
            alone(&format!("refund_{number}"), 1, &parts),
            named(event(&payment, &format!("evt_{number}"), 2), &parts),
        );
        // One gateway dies at some moment of the one delivery or the other; nobody sends it again.
        let (dies, after) = (random.below(2), Duration::from_micros(random.below(4000)));
        let refunded = async {
            let taken = take(&*store, &gateways[0], &refund);
            match dies {
                0 => tokio::time::timeout(after, taken).await.is_ok(),
                _ => {
                    taken.await;
                    true
                }
            }
        };
        let bound = async {
            let taken = take(&*store, &gateways[1], &binds);
            match dies {
                1 => drop(tokio::time::timeout(after, taken).await),
                _ => taken.await,
            }
        };
        let (is_acknowledged, ()) = tokio::join!(refunded, bound);
        acknowledged.extend(is_acknowledged.then_some((payment, refund)));
    }
    let durable = Instant::now();
    assert!(!acknowledged.is_empty());
    // A gateway that starts anew.
    let next = writer(&store);
    for (payment, refund) in &acknowledged {
        let log = store.read(&refund.subject).await.unwrap();
        if PartLog::fold(log.entries.iter().map(|entry| &entry.event)).payments().is_empty() {
            let (_, ids) = state(&*store, payment).await;
            let is_there = ids.contains(&*refund.id);
            assert!(
                is_there || next.waiting(&refund.subject).await.unwrap().len() == 1,
                "seed {seed}: {payment}"
            );
            // The provider sends what was not acknowledged again.
            let parts: Vec<_> = refund.parts.iter().map(Name::to_string).collect();
            take(&*store, &next, &named(event(payment, &format!("again_{payment}"), 2), &parts)).await;
        }
    }
    work_off(&*store, &next).await;
    assert!(durable.elapsed() < AT_MOST + PATIENCE / 4, "it took {:?}", durable.elapsed());
    for (payment, refund) in &acknowledged {
        let (_, ids) = state(&*store, payment).await;
        assert!(ids.contains(&*refund.id), "seed {seed}: {} is stranded; {payment} has {ids:?}", refund.id);
    }
    store.close().await;
}

pub(super) async fn i1_what_waits_for_its_payment_survives_a_reopening(place: impl Backend) {
    let refund = alone("evt_refund", 1, &["cap_1".to_owned()]);
    {
        let store = place.open(LONG).await;
        assert_eq!(writer(&store).place(&refund, refund.received_at).await.unwrap(), Placement::Waits);
        assert!(
            store.backlogs().await.unwrap().is_empty(),
            "gateways that know no parts see no work of theirs"
        );
        store.close().await;
    }
    let store = place.open(LONG).await;
    let backlogs = store.backlogs_of_parts().await.unwrap();
    let (queue, backlog) = backlogs.first_key_value().unwrap();
    assert_eq!((&**queue, backlog.count), (refund.subject.realm.as_str(), 1));
    let oldest = store.oldest(queue, 10).await.unwrap();
    assert_eq!(oldest.iter().map(|(part, _)| part.as_str()).collect::<Vec<_>>(), ["cap_1"]);
    let parts = writer(&store);
    assert_eq!(parts.waiting(&refund.subject).await.unwrap().len(), 1);
    let looked = parts.look(&refund.subject, 0, refund.received_at, |_| false).await.unwrap();
    assert!(matches!(looked, Settlement::Puzzled { .. }), "{looked:?}");
    take(&*store, &parts, &named(event("pay", "evt_1", 1), &["cap_1".to_owned()])).await;
    assert_eq!(state(&*store, "pay").await.1.len(), 2);
    work_off(&*store, &parts).await;
    store.close().await;
}

pub(super) async fn an_erasure_of_a_payment_leaves_the_work_of_a_part_of_the_same_name(place: impl Backend) {
    let store = place.open(LONG).await;
    let refund = alone("evt_refund", 1, &["cap_1".to_owned()]);
    assert_eq!(writer(&store).place(&refund, refund.received_at).await.unwrap(), Placement::Waits);
    store.erase(super::erase::erasure("cap_1")).await.unwrap();
    assert_eq!(store.backlogs_of_parts().await.unwrap().len(), 1);
    assert_eq!(writer(&store).waiting(&refund.subject).await.unwrap().len(), 1);
    store.close().await;
}
