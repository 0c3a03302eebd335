//! Labels: logs of their own, beside those of the payments with their ids.

use super::{Backend, LONG, event, next, subject};
use paystream::{
    metrics::Metrics,
    payment::{Bindings, Event, Kind, Label, Maker, Subject},
    store::{Labels, NoticeBody, Store},
};
use std::sync::Arc;

/// An event that names the label.
fn labeled(payment: &str, id: &str) -> Event {
    Event {
        labels: vec![Label { id: "order-7".parse().unwrap(), maker: Maker::Shop }],
        ..event(payment, id, 1)
    }
}

async fn payments(store: &dyn Store, label: &Subject) -> Vec<String> {
    let log = store.read(label).await.unwrap();
    let bindings = Bindings::fold(log.entries.iter().map(|entry| &*entry.event));
    bindings.payments().iter().map(ToString::to_string).collect()
}

pub(super) async fn i1_a_label_is_bound_once_durably_and_in_the_partition_of_its_id(place: impl Backend) {
    let label = Subject::label(&"default".parse().unwrap(), "order-7".parse().unwrap()).unwrap();
    {
        let store = place.open(LONG).await;
        let mut notices = store.watch().await;
        let labels = Labels::new(Arc::clone(&store), Arc::new(Metrics::new()), LONG);
        for (payment, id) in [("pi_1", "evt_1"), ("pi_1", "evt_2"), ("pi_1", "evt_1"), ("pi_2", "evt_3")] {
            labels.bind(Labels::of(&labeled(payment, id))).await.unwrap();
        }
        for payment in ["pi_1", "pi_2"] {
            let notice = next(&mut notices).await;
            let NoticeBody::Appended { event, .. } = &notice.body else { panic!("{notice:?}") };
            assert_eq!((event.subject().kind(), event.subject()), (Kind::Label, &label));
            assert_eq!(notice.partition, subject("default", "order-7").partition());
            assert_eq!(event.event().unwrap().binding.as_ref().unwrap().payment.as_str(), payment);
        }
        assert_eq!(payments(&*store, &label).await, ["pi_1", "pi_2"]);
        assert!(
            store.read(&subject("default", "order-7")).await.unwrap().entries.is_empty(),
            "it is no payment's log"
        );
        store.close().await;
    }
    let store = place.open(LONG).await;
    assert_eq!(payments(&*store, &label).await, ["pi_1", "pi_2"]);
    assert_eq!(store.read(&label).await.unwrap().entries.len(), 2);
    store.close().await;
}
