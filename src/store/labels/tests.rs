use super::*;
use crate::{
    payment::{Label, MAX_BOUND, Maker, Phase},
    store::{embedded, fake},
};
use std::sync::atomic::Ordering;

const HISTORY: Duration = Duration::from_secs(180 * 86_400);

/// A writer of labels into an embedded store, whose folder lasts as long as this.
struct Bench {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    labels: Labels,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings = embedded::Settings { path: folder.path().join("data"), history: HISTORY, recent: 0 };
    let store: Arc<dyn Store> = Arc::new(embedded::Embedded::open(&settings, Arc::clone(&metrics)).unwrap());
    let labels = Labels::new(Arc::clone(&store), Arc::clone(&metrics), HISTORY);
    Bench { _folder: folder, store, metrics, labels }
}

fn event(payment: &str, id: &str, second: i64) -> Event {
    let at = Time::from_unix_s(second).unwrap();
    let labels = vec![Label { id: "order-7".parse().unwrap(), maker: Maker::Shop }];
    Event { occurred_at: Some(at), received_at: at, labels, ..fake::event(payment, id, Phase::Created) }
}

fn label() -> Subject {
    Subject::label(&"default".parse().unwrap(), "order-7".parse().unwrap()).unwrap()
}

impl Bench {
    async fn take(&self, event: Event) {
        let bindings = Labels::of(&event);
        self.store.append(Append { event, shared_ids: false }).await.unwrap();
        self.labels.bind(bindings).await.unwrap();
    }

    async fn log(&self) -> Log {
        self.store.read(&label()).await.unwrap()
    }

    async fn payments(&self) -> Vec<String> {
        fold(&self.log().await).payments().iter().map(ToString::to_string).collect()
    }

    fn counted(&self, outcome: &str) -> u64 {
        let line = format!(r#"paystream_labels_total{{reason="{outcome}"}} "#);
        let text = self.metrics.render();
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

#[tokio::test]
async fn a_new_pair_is_written_once_and_a_known_one_never() {
    let bench = bench();
    for (id, second) in [("evt_1", 1), ("evt_1", 1), ("evt_2", 2), ("evt_3", 3)] {
        bench.take(event("pi_1", id, second)).await;
    }
    assert_eq!(bench.log().await.entries.len(), 1, "one payment, by its earliest event");
    bench.take(event("pi_1", "evt_0", 0)).await;
    assert_eq!(bench.log().await.entries.len(), 2, "an earlier event came late");
    bench.take(event("pi_2", "evt_9", 9)).await;
    assert_eq!(bench.payments().await, ["pi_1", "pi_2"]);
    assert_eq!((bench.counted("bound"), bench.counted("renewed")), (3, 0));
    // Another node knows nothing yet, and reads what there is before it writes.
    let other = Labels::new(Arc::clone(&bench.store), Arc::clone(&bench.metrics), HISTORY);
    other.bind(Labels::of(&event("pi_1", "evt_3", 3))).await.unwrap();
    assert_eq!(bench.log().await.entries.len(), 3);
}

#[tokio::test]
async fn a_label_that_is_named_again_is_renewed_at_most_every_sixth_of_the_history() {
    let bench = bench();
    let day = 86_400;
    for (id, at) in
        [("evt_1", 0), ("evt_2", 29 * day), ("evt_3", 30 * day), ("evt_4", 59 * day), ("evt_5", 60 * day)]
    {
        bench.take(event("pi_1", id, at)).await;
    }
    assert_eq!((bench.log().await.entries.len(), bench.counted("renewed")), (3, 2));
    assert_eq!(life_ms(180, Kind::Label), 210, "an event that did not renew the label leaves it alive");
    assert_eq!(life_ms(180, Kind::Payment), 180);
}

#[tokio::test]
async fn a_full_label_is_counted_and_refuses_no_event() {
    let bench = bench();
    for n in 0..MAX_BOUND + 2 {
        bench.take(event(&format!("pi_{n}"), &format!("evt_{n}"), 1)).await;
    }
    assert_eq!(bench.payments().await.len(), MAX_BOUND);
    assert_eq!(bench.counted("full"), 2);
    assert_eq!(bench.log().await.entries.len(), MAX_BOUND, "what finds no room is not written");
}

#[tokio::test]
async fn an_event_is_bound_again_when_it_is_repeated_after_a_crash() {
    let bench = bench();
    let event = event("pi_1", "evt_1", 1);
    // The process died between the two writes.
    bench.store.append(Append { event: event.clone(), shared_ids: false }).await.unwrap();
    assert!(bench.payments().await.is_empty());
    bench.take(event).await;
    assert_eq!(bench.payments().await, ["pi_1"]);
}

#[tokio::test]
async fn an_erased_payment_leaves_nothing_in_its_labels_and_other_payments_stay_bound() {
    let bench = bench();
    bench.take(event("pi_1", "evt_1", 1)).await;
    bench.take(event("pi_2", "evt_2", 2)).await;
    let subject = event("pi_1", "evt_1", 1).subject;
    let erasure =
        Erasure { subject, sources: BTreeSet::new(), others: BTreeSet::new(), parts: Default::default() };
    let erased = bench.labels.erase(erasure.clone()).await.unwrap();
    assert!(erased.events >= 2, "{erased:?}");
    assert_eq!(bench.payments().await, ["pi_2"]);
    let told =
        serde_json::to_string(&bench.log().await.entries.iter().map(|it| &*it.event).collect::<Vec<_>>())
            .unwrap();
    assert!(!told.contains("pi_1") && !told.contains("evt_1"), "{told}");
    assert!(bench.labels.erase(erasure).await.unwrap().is_nothing());
    // The payment comes back, as the provider sends a refund.
    bench.take(event("pi_1", "evt_3", 3)).await;
    assert_eq!(bench.payments().await, ["pi_1", "pi_2"]);
}

fn erasure_of(payment: &str) -> Erasure {
    let (sources, others) = (BTreeSet::new(), BTreeSet::new());
    Erasure { subject: event(payment, "evt_1", 1).subject, sources, others, parts: BTreeSet::new() }
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_of_an_erasure_takes_no_other_payment_s_binding() {
    for goes_on_by_erasing in [true, false] {
        let store = Arc::new(fake::Fake::default());
        let labels = Labels::new(Arc::clone(&store) as Arc<dyn Store>, Arc::default(), HISTORY);
        for event in [event("pi_1", "evt_1", 1), event("pi_2", "evt_2", 2), event("pi_3", "evt_3", 3)] {
            let bindings = Labels::of(&event);
            store.append(Append { event, shared_ids: false }).await.unwrap();
            labels.bind(bindings).await.unwrap();
        }
        store.fails_after_erasure.store(true, Ordering::Relaxed);
        labels.erase(erasure_of("pi_1")).await.unwrap_err();
        store.fails_after_erasure.store(false, Ordering::Relaxed);
        store.lost.store(false, Ordering::Relaxed);
        if goes_on_by_erasing {
            labels.erase(erasure_of("pi_1")).await.unwrap();
        } else {
            let other = Label { id: "order-8".parse().unwrap(), maker: Maker::Shop };
            let event = Event { labels: vec![other], ..event("pi_4", "evt_4", 4) };
            labels.bind(Labels::of(&event)).await.unwrap();
        }
        let payments = fold(&store.read(&label()).await.unwrap()).payments();
        assert_eq!(payments.iter().map(ToString::to_string).collect::<Vec<_>>(), ["pi_2", "pi_3"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_that_is_bound_during_an_erasure_takes_no_other_payment_s_binding() {
    let store = Arc::new(fake::Fake::default());
    let labels = Arc::new(Labels::new(Arc::clone(&store) as Arc<dyn Store>, Arc::default(), HISTORY));
    for event in [event("pi_1", "evt_1", 1), event("pi_2", "evt_2", 2)] {
        let bindings = Labels::of(&event);
        store.append(Append { event, shared_ids: false }).await.unwrap();
        labels.bind(bindings).await.unwrap();
    }
    store.slow.store(true, Ordering::Relaxed);
    let erasing = {
        let labels = Arc::clone(&labels);
        tokio::spawn(async move { labels.erase(erasure_of("pi_1")).await.unwrap() })
    };
    // At each of its steps, somebody binds another label.
    for number in 0..20 {
        let other = Label { id: format!("order-{}", 100 + number).parse().unwrap(), maker: Maker::Shop };
        let event = Event { labels: vec![other], ..event("pi_9", "evt_9", 9) };
        labels.bind(Labels::of(&event)).await.unwrap();
    }
    erasing.await.unwrap();
    let payments = fold(&store.read(&label()).await.unwrap()).payments();
    assert_eq!(payments.iter().map(ToString::to_string).collect::<Vec<_>>(), ["pi_2"]);
}

#[tokio::test]
async fn a_payment_that_another_node_erased_is_bound_again_when_it_begins_anew() {
    let bench = bench();
    bench.take(event("pi_1", "evt_1", 1)).await;
    let other = Labels::new(Arc::clone(&bench.store), Arc::clone(&bench.metrics), HISTORY);
    other.erase(erasure_of("pi_1")).await.unwrap();
    assert!(bench.payments().await.is_empty());
    // Ingest sees by the number of the entry that the log begins.
    let event = event("pi_1", "evt_2", 2);
    let bindings = Labels::of(&event);
    let appended = bench.store.append(Append { event, shared_ids: false }).await.unwrap();
    assert!(matches!(appended, Appended::New { cursor } if cursor.seq == 1), "{appended:?}");
    bench.labels.doubt(&bindings);
    bench.labels.bind(bindings).await.unwrap();
    assert_eq!(bench.payments().await, ["pi_1"]);
}
