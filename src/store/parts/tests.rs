use super::*;
use crate::{
    payment::Phase,
    store::{MAX_LOG, RecordPage, embedded, fake},
};
use std::sync::atomic::Ordering;

const HISTORY: Duration = Duration::from_secs(180 * 86_400);
const DAY: i64 = 86_400;

/// A writer of parts into an embedded store, whose folder lasts as long as this.
struct Bench {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    parts: Parts,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let settings = embedded::Settings { path: folder.path().join("data"), history: HISTORY, recent: 0 };
    let store: Arc<dyn Store> = Arc::new(embedded::Embedded::open(&settings, Arc::clone(&metrics)).unwrap());
    let parts = writer(&store, &metrics);
    Bench { _folder: folder, store, metrics, parts }
}

fn writer(store: &Arc<dyn Store>, metrics: &Arc<Metrics>) -> Parts {
    let labels = Arc::new(Labels::new(Arc::clone(store), Arc::clone(metrics), HISTORY));
    Parts::new(Arc::clone(store), labels, Arc::clone(metrics), HISTORY)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn at(second: i64) -> Time {
    Time::from_unix_s(second).unwrap()
}

/// An event that names a payment and its parts.
fn naming(payment: &str, id: &str, parts: &[&str]) -> Event {
    let parts = parts.iter().map(|part| name(part)).collect();
    Event { parts, received_at: at(100), ..fake::event(payment, id, Phase::Created) }
}

/// An event that names a part alone, the first one.
fn alone(id: &str, parts: &[&str]) -> Event {
    let event = naming("none", id, parts);
    let subject = event.part_log(&name("default"), &name(parts[0])).unwrap();
    Event { subject, ..event }
}

impl Bench {
    async fn take(&self, event: Event) {
        let (labels, parts) = (Labels::of(&event), Parts::of(&event));
        self.store.append(Append { event, shared_ids: false }).await.unwrap();
        self.parts.bind(labels, parts, false).await.unwrap();
    }

    async fn place(&self, event: &Event) -> Placement {
        self.parts.place(event, event.received_at).await.unwrap()
    }

    async fn ids(&self, subject: &Subject) -> Vec<String> {
        let log = self.store.read(subject).await.unwrap();
        log.entries.iter().map(|entry| entry.event.id.to_string()).collect()
    }

    async fn payment(&self, id: &str) -> Vec<String> {
        self.ids(&fake::subject(id)).await
    }

    async fn look(&self, part: &Subject, now: Time) -> Settlement {
        self.parts.look(part, 0, now, |_| false).await.unwrap()
    }

    async fn quarantine(&self) -> Vec<Record> {
        let page = self.store.records(RecordLog::Quarantine, "acme", None, 100).await;
        let RecordPage { records, .. } = page.unwrap();
        records
    }

    fn counted(&self, outcome: &str) -> u64 {
        let line = format!(r#"paystream_parts_total{{reason="{outcome}"}} "#);
        let text = self.metrics.render();
        text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
    }
}

fn under(payments: &[&str]) -> Placement {
    Placement::Under(payments.iter().map(|payment| name(payment)).collect())
}

#[tokio::test]
async fn a_new_pair_is_written_once_and_a_known_one_never() {
    let bench = bench();
    for id in ["evt_1", "evt_1", "evt_2", "evt_0"] {
        bench.take(naming("pi_1", id, &["ch_1"])).await;
    }
    let part = alone("evt_9", &["ch_1"]).subject;
    assert_eq!(bench.ids(&part).await, ["evt_1 pi_1"]);
    // Another node knows nothing yet, and reads what there is before it writes.
    let other = writer(&bench.store, &bench.metrics);
    let event = naming("pi_1", "evt_3", &["ch_1"]);
    other.bind(Vec::new(), Parts::of(&event), false).await.unwrap();
    assert_eq!(bench.ids(&part).await.len(), 1);
    assert_eq!((bench.counted("bound"), bench.counted("renewed")), (1, 0));
    let late = Event { received_at: at(100 + 31 * DAY), ..naming("pi_1", "evt_4", &["ch_1"]) };
    bench.take(late).await;
    assert_eq!(
        (bench.ids(&part).await.len(), bench.counted("renewed")),
        (2, 1),
        "it lives as long as its payment"
    );
}

#[tokio::test]
async fn an_event_that_names_a_part_alone_waits_until_the_part_is_bound_and_is_handed_over_then() {
    let bench = bench();
    let refund = alone("evt_refund", &["ch_1"]);
    assert_eq!(bench.place(&refund).await, Placement::Waits);
    assert_eq!(bench.place(&refund).await, Placement::Waits, "the provider sends it again");
    assert_eq!(bench.parts.waiting(&refund.subject).await.unwrap().len(), 1);
    let backlogs = bench.store.backlogs_of_parts().await.unwrap();
    assert_eq!(backlogs["part:live:generic:default"].count, 1);
    assert!(bench.store.backlogs().await.unwrap().is_empty(), "it is no confirmation");
    bench.take(naming("pi_1", "evt_1", &["ch_1"])).await;
    assert_eq!(bench.payment("pi_1").await, ["evt_1", "evt_refund"]);
    assert!(bench.parts.waiting(&refund.subject).await.unwrap().is_empty());
    assert_eq!(bench.place(&refund).await, under(&["pi_1"]));
    assert_eq!(bench.place(&alone("evt_2", &["ch_1"])).await, under(&["pi_1"]), "and at once from then on");
    let stored = bench.store.read(&fake::subject("pi_1")).await.unwrap();
    assert_eq!(stored.entries[1].event.parts, [name("ch_1")], "an erasure finds the part by it");
    assert_eq!(bench.look(&refund.subject, at(200)).await, Settlement::Done);
    assert_eq!(bench.payment("pi_1").await.len(), 2, "a repetition changes nothing");
    assert_eq!((bench.counted("waiting"), bench.counted("handed_over")), (2, 1));
}

#[tokio::test]
async fn a_crash_between_a_binding_and_its_hand_over_is_made_good() {
    let bench = bench();
    let refund = alone("evt_refund", &["ch_1"]);
    bench.place(&refund).await;
    let event = naming("pi_1", "evt_1", &["ch_1"]);
    let binding = Parts::of(&event).pop().unwrap();
    bench.store.append(Append { event, shared_ids: false }).await.unwrap();
    bench.store.append(Append { event: binding, shared_ids: true }).await.unwrap();
    assert_eq!(bench.payment("pi_1").await, ["evt_1"]);
    assert_eq!(bench.look(&refund.subject, at(100)).await, Settlement::Done);
    assert_eq!(bench.payment("pi_1").await, ["evt_1", "evt_refund"]);
    // The retry of the event that was not acknowledged does the same.
    let other = writer(&bench.store, &bench.metrics);
    let again = Parts::of(&naming("pi_1", "evt_1", &["ch_1"]));
    other.bind(Vec::new(), again, false).await.unwrap();
    assert_eq!(bench.payment("pi_1").await.len(), 2);
}

#[tokio::test]
async fn an_event_that_is_appended_after_the_binding_that_its_node_did_not_see_finds_it() {
    let bench = bench();
    // Both nodes read an empty log; the other node's binding comes before this node's append.
    let slow = writer(&bench.store, &bench.metrics);
    let refund = alone("evt_refund", &["ch_1"]);
    assert_eq!(slow.place(&alone("evt_0", &["ch_1"]), refund.received_at).await.unwrap(), Placement::Waits);
    bench.take(naming("pi_1", "evt_1", &["ch_1"])).await;
    assert_eq!(slow.place(&refund, refund.received_at).await.unwrap(), under(&["pi_1"]));
    assert_eq!(bench.payment("pi_1").await, ["evt_1", "evt_0"]);
}

#[tokio::test]
async fn what_is_handed_over_binds_its_own_labels_and_parts_which_may_hand_over_more() {
    let bench = bench();
    bench.place(&alone("evt_dispute", &["re_1"])).await;
    bench.place(&alone("evt_refund", &["ch_1", "re_1"])).await;
    // They name each other, which must end.
    bench.place(&alone("evt_loop", &["re_1", "ch_1"])).await;
    bench.take(naming("pi_1", "evt_1", &["ch_1"])).await;
    let mut ids = bench.payment("pi_1").await;
    ids.sort();
    assert_eq!(ids, ["evt_1", "evt_dispute", "evt_loop", "evt_refund"]);
}

#[tokio::test]
async fn what_waits_for_three_days_is_quarantined_and_still_handed_over_if_the_part_is_bound_later() {
    let bench = bench();
    let (early, late) = (alone("evt_early", &["ch_1"]), alone("evt_late", &["ch_1"]));
    let late = Event { received_at: at(100 + DAY), ..late };
    bench.place(&early).await;
    bench.place(&late).await;
    let part = &early.subject;
    assert!(matches!(bench.look(part, at(99 + 3 * DAY)).await, Settlement::Puzzled { .. }));
    assert!(bench.quarantine().await.is_empty());
    let Settlement::Puzzled { after } = bench.look(part, at(100 + 3 * DAY)).await else { panic!() };
    assert!(after <= AGAIN.delay(0, 1.0));
    let told = bench.quarantine().await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].reason.as_ref().unwrap().as_str(), "unknown_part");
    assert_eq!((told[0].event.as_deref(), &told[0].part), (Some("evt_early"), &Some(name("ch_1"))));
    assert_eq!(bench.parts.waiting(part).await.unwrap().len(), 1, "the other one has time left");
    bench.look(part, at(101 + 3 * DAY)).await;
    assert_eq!(bench.quarantine().await.len(), 1, "once");
    assert_eq!(bench.look(part, at(100 + 4 * DAY)).await, Settlement::Done);
    assert_eq!((bench.quarantine().await.len(), bench.counted("given_up")), (2, 2));
    assert_eq!(bench.place(&early).await, Placement::Nowhere(UNKNOWN_PART), "it was sent again in vain");
    bench.take(naming("pi_1", "evt_1", &["ch_1"])).await;
    assert_eq!(bench.payment("pi_1").await.len(), 3);
}

#[tokio::test]
async fn so_many_events_wait_for_a_part_and_no_more() {
    let bench = bench();
    for number in 0..MAX_WAITING {
        assert_eq!(bench.place(&alone(&format!("evt_{number}"), &["ch_1"])).await, Placement::Waits);
    }
    assert_eq!(bench.place(&alone("one_more", &["ch_1"])).await, Placement::Nowhere("too_many_waiting"));
    assert_eq!(bench.place(&alone("evt_7", &["ch_1"])).await, Placement::Waits, "it waits already");
    assert_eq!(bench.place(&alone("other", &["ch_2"])).await, Placement::Waits, "another part has room");
    bench.take(naming("pi_1", "evt", &["ch_1"])).await;
    assert_eq!(bench.payment("pi_1").await.len(), MAX_WAITING + 1);
}

/// A burst over many nodes may fill the log of a part, since each of them reads before it appends.
#[tokio::test]
async fn a_part_whose_log_is_full_hands_over_what_waits_all_the_same() {
    let bench = bench();
    let first = alone("evt_0", &["ch_1"]);
    for number in 0..MAX_LOG {
        let event = alone(&format!("evt_{number}"), &["ch_1"]);
        bench.store.append(Append { event, shared_ids: true }).await.unwrap();
    }
    bench.take(naming("pi_1", "evt", &["ch_1"])).await;
    // The payment's log holds as many events as that of the part, and one of them was its own.
    assert_eq!(bench.payment("pi_1").await.len(), MAX_LOG);
    assert_eq!(bench.quarantine().await.len(), 1, "the one for which there was no room");
    assert_eq!(bench.place(&first).await, under(&["pi_1"]));
}

#[tokio::test]
async fn hints_neither_bind_nor_wait_but_follow_a_part_that_is_bound() {
    let bench = bench();
    let hint = Event { trust: Trust::Hint, ..naming("pi_evil", "evt_0", &["ch_1"]) };
    assert_eq!(Parts::of(&hint), []);
    let hint = Event { trust: Trust::Hint, ..alone("evt_1", &["ch_1"]) };
    assert_eq!(bench.place(&hint).await, Placement::Nowhere(UNKNOWN_PART));
    assert!(
        bench.ids(&hint.subject).await.is_empty()
            && bench.store.backlogs_of_parts().await.unwrap().is_empty()
    );
    bench.take(naming("pi_1", "evt_2", &["ch_1"])).await;
    assert_eq!(bench.place(&hint).await, under(&["pi_1"]));
}

#[tokio::test]
async fn a_part_that_a_provider_binds_to_two_payments_gives_its_events_to_both_and_takes_them_from_neither() {
    for turn in 0..2 {
        let bench = bench();
        let bindings = ["pi_1", "pi_2"].map(|payment| naming(payment, &format!("evt_{payment}"), &["ch_1"]));
        let [one, other] = bindings;
        let (first, second) = if turn == 0 { (one, other) } else { (other, one) };
        bench.take(first).await;
        for payment in ["pi_1", "pi_2"] {
            assert!(bench.payment(payment).await.len() <= 1);
        }
        let refund = alone("evt_refund", &["ch_1"]);
        bench.store.append(Append { event: refund.clone(), shared_ids: true }).await.unwrap();
        bench.take(second).await;
        assert_eq!(bench.place(&refund).await, under(&["pi_1", "pi_2"]));
        bench.look(&refund.subject, at(100)).await;
        for payment in ["pi_1", "pi_2"] {
            assert_eq!(bench.payment(payment).await, [format!("evt_{payment}"), "evt_refund".to_owned()]);
        }
    }
}

#[tokio::test]
async fn a_part_counts_within_its_provider_and_its_mode() {
    let bench = bench();
    bench.take(naming("pi_1", "evt_1", &["ch_1"])).await;
    for other in [
        Event { live: false, ..naming("none", "evt_2", &["ch_1"]) },
        Event { provider: "other".into(), ..naming("none", "evt_2", &["ch_1"]) },
    ] {
        let subject = other.part_log(&name("default"), &name("ch_1")).unwrap();
        assert_eq!(bench.place(&Event { subject, ..other }).await, Placement::Waits);
    }
    let elsewhere = naming("none", "evt_2", &["ch_1"]).part_log(&name("other-realm"), &name("ch_1")).unwrap();
    assert_eq!(bench.place(&alone("evt_2", &["ch_1"]).of_log(elsewhere)).await, Placement::Waits);
    assert_eq!(bench.payment("pi_1").await, ["evt_1"]);
}

impl Event {
    fn of_log(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }
}

#[tokio::test]
async fn an_erasure_takes_what_the_parts_say_of_the_payment_and_leaves_other_payments_alone() {
    let bench = bench();
    let (own, shared) = (alone("evt_own", &["ch_1"]), alone("evt_shared", &["ch_2"]));
    bench.place(&own).await;
    bench.place(&shared).await;
    bench.take(naming("pi_1", "evt_1", &["ch_1", "ch_2"])).await;
    bench.take(naming("pi_2", "evt_2", &["ch_2"])).await;
    let erasure = Erasure {
        subject: fake::subject("pi_1"),
        sources: ["acme".into()].into(),
        others: BTreeSet::new(),
        parts: BTreeSet::new(),
    };
    assert!(!bench.parts.erase(erasure.clone()).await.unwrap().is_nothing());
    assert!(bench.payment("pi_1").await.is_empty() && bench.ids(&own.subject).await.is_empty());
    assert_eq!(bench.place(&shared).await, under(&["pi_2"]));
    let left = bench.ids(&shared.subject).await;
    assert!(left.iter().all(|id| !id.contains("pi_1")), "{left:?}");
    assert_eq!(bench.payment("pi_2").await, ["evt_2", "evt_shared"]);
    assert!(bench.parts.erase(erasure).await.unwrap().is_nothing());
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_of_an_erasure_takes_no_other_payment_s_part() {
    let (fake, metrics) = (Arc::new(fake::Fake::default()), Arc::default());
    let store = Arc::clone(&fake) as Arc<dyn Store>;
    let parts = writer(&store, &metrics);
    let bench = Bench { _folder: tempfile::tempdir().unwrap(), store, metrics, parts };
    bench.take(naming("pi_1", "evt_1", &["ch_1"])).await;
    bench.take(naming("pi_2", "evt_2", &["ch_1"])).await;
    let erasure = Erasure {
        subject: crate::store::fake::subject("pi_1"),
        sources: ["acme".into()].into(),
        others: BTreeSet::new(),
        parts: BTreeSet::new(),
    };
    fake.fails_after_erasure.store(true, Ordering::Relaxed);
    assert!(bench.parts.erase(erasure.clone()).await.is_err());
    fake.fails_after_erasure.store(false, Ordering::Relaxed);
    fake.lost.store(false, Ordering::Relaxed);
    let alone = alone("evt_alone", &["ch_1"]);
    assert!(bench.ids(&alone.subject).await.is_empty(), "the part's log was erased, and nothing written yet");
    bench.parts.erase(erasure).await.unwrap();
    assert_eq!(bench.place(&alone).await, under(&["pi_2"]));
}
