//! Watchers of ids that are labels.

use super::*;
use crate::{
    payment::{Event, Label, Maker, Name},
    store::{Append, Erasure, fake},
};

impl Fake {
    /// Appends an event that says `phase` of payment `id`, and binds `label` to it, as ingest does.
    async fn say_with_label(&self, id: &str, label: &str, phase: Phase) -> Cursor {
        let cursor = self.say(id, phase).await;
        self.bind(id, label).await;
        cursor
    }

    async fn bind(&self, id: &str, label: &str) {
        let label = Label { id: label.parse().unwrap(), maker: Maker::Shop };
        let event = Event { labels: vec![label.clone()], ..fake::event(id, "evt_b", Phase::Created) };
        let event = event.binding(&label).unwrap();
        self.append(Append { event, shared_ids: true }).await.unwrap();
    }
}

impl Watcher {
    fn target(&self) -> Option<String> {
        self.watch.topic().target().map(|target| target.subject().id.to_string())
    }

    /// Waits until its label points at this payment.
    async fn led_to(&self, payment: Option<&str>) {
        let led = async {
            while self.target().as_deref() != payment {
                self.bell.rung().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), led)
            .await
            .unwrap_or_else(|_| panic!("it is led to {:?}", self.target()));
    }
}

/// The watched logs of all partitions.
fn watched(hub: &Hub) -> Vec<String> {
    let mut watched: Vec<_> = hub
        .partitions
        .iter()
        .flat_map(|partition| {
            lock(partition).topics().map(|topic| topic.subject().id.to_string()).collect::<Vec<_>>()
        })
        .collect();
    watched.sort_unstable();
    watched
}

#[tokio::test(start_paused = true)]
async fn a_label_leads_to_its_payment_whether_it_was_watched_before_or_after_it_was_bound() {
    let node = Node::start(Fake::default()).await;
    let mut early = node.watch("order-7");
    assert!(early.history().await.asked.is_none(), "nobody knows it yet");
    let first = node.store.say_with_label("pi_1", "order-7", Phase::Created).await;
    early.led_to(Some("pi_1")).await;
    let late = node.watch("order-7");
    for watcher in [&early, &late] {
        let history = watcher.watch.history().await.unwrap();
        assert_eq!((history.head, history.payment.as_str()), (first, "pi_1"));
        assert_eq!(history.asked.as_ref().map(Name::as_str), Some("order-7"));
    }
    early.cursor = first;
    let second = node.store.say("pi_1", Phase::Captured).await;
    loop {
        match early.watch.topic().follow(early.cursor, true) {
            Pull::Frames(frames) => {
                assert_eq!(frames.last().unwrap().cursor, second);
                break;
            }
            Pull::Current => early.bell.rung().await,
            Pull::Behind => panic!("the payment's frames are at hand"),
        }
    }
    assert_eq!(early.watch.topic().followed_end().phase, Some(Phase::Captured));
}

#[tokio::test(start_paused = true)]
async fn the_payment_with_money_takes_over_and_a_log_of_its_own_goes_before_any_label() {
    let node = Node::start(Fake::default()).await;
    let watcher = node.watch("order-7");
    watcher.history().await;
    node.store.say_with_label("pi_1", "order-7", Phase::Created).await;
    watcher.led_to(Some("pi_1")).await;
    node.store.say_with_label("pi_2", "order-7", Phase::Created).await;
    watcher.led_to(Some("pi_2")).await;
    node.store.say("pi_1", Phase::Captured).await;
    watcher.led_to(Some("pi_1")).await;
    let own = node.store.say("order-7", Phase::Created).await;
    watcher.led_to(None).await;
    assert_eq!(watcher.history().await.head, own);
    node.store.say_with_label("pi_3", "order-7", Phase::Captured).await;
    let again = node.watch("order-7");
    assert_eq!(again.watch.history().await.unwrap().head, own, "nobody takes a payment's id over");
}

#[tokio::test(start_paused = true)]
async fn a_label_costs_memory_only_while_it_is_watched() {
    let node = Node::start(Fake::default()).await;
    node.store.say_with_label("pi_1", "order-7", Phase::Created).await;
    node.store.say_with_label("pi_2", "order-7", Phase::Created).await;
    let watchers = [node.watch("order-7"), node.watch("order-7"), node.watch("pi_1")];
    for watcher in &watchers {
        watcher.watch.history().await.unwrap();
    }
    assert_eq!(watched(&node.hub), ["order-7", "pi_1", "pi_2"]);
    let [one, other, payment] = watchers;
    drop(one);
    assert_eq!(watched(&node.hub).len(), 3);
    drop(other);
    assert_eq!(watched(&node.hub), ["pi_1"]);
    drop(payment);
    assert!(watched(&node.hub).is_empty());
    // An id that no label knows costs a topic and nothing else.
    let unknown = node.watch("pi_9");
    unknown.history().await;
    let partition = node.hub.partition(subject("pi_9").partition());
    assert!(partition.pointing(&subject("pi_9")).is_none());
}

#[tokio::test(start_paused = true)]
async fn labels_that_cross_or_lead_to_nothing_neither_hang_nor_chain() {
    let node = Node::start(Fake::default()).await;
    let (a, b) = (node.watch("a"), node.watch("b"));
    node.store.bind("b", "a").await;
    node.store.bind("a", "b").await;
    node.store.say_with_label("pi_1", "b", Phase::Created).await;
    b.led_to(Some("pi_1")).await;
    // `a` points at `b`, which is no payment, and not at what `b` points at.
    assert_eq!((a.watch.history().await.unwrap().head, a.target()), (Cursor::START, None));
    let of_b = node.store.say("b", Phase::Captured).await;
    a.led_to(Some("b")).await;
    b.led_to(None).await;
    assert_eq!(a.watch.history().await.unwrap().head, of_b);
    drop((a, b));
    assert!(watched(&node.hub).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_notice_of_a_label_is_healed_and_a_binding_that_was_rolled_back_leads_nowhere() {
    let node = Node::start(Fake::default()).await;
    let watcher = node.watch("order-7");
    watcher.history().await;
    let before = node.store.save();
    node.store.mute.store(true, Relaxed);
    node.store.say_with_label("pi_1", "order-7", Phase::Created).await;
    watcher.led_to(Some("pi_1")).await;
    node.store.roll_back(before);
    watcher.led_to(None).await;
    assert_eq!(watcher.watch.history().await.unwrap().head, Cursor::START);
    assert_eq!(watched(&node.hub), ["order-7"]);
}

#[tokio::test(start_paused = true)]
async fn a_label_that_is_erased_leads_nowhere() {
    let node = Node::start(Fake::default()).await;
    node.store.say_with_label("pi_1", "order-7", Phase::Created).await;
    let watcher = node.watch("order-7");
    watcher.watch.history().await.unwrap();
    let label =
        crate::payment::Subject::label(&"default".parse().unwrap(), "order-7".parse().unwrap()).unwrap();
    let (sources, others) = Default::default();
    node.store.erase(Erasure { subject: label, sources, others, parts: Default::default() }).await.unwrap();
    watcher.led_to(None).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_while_a_label_is_read_leaves_nothing_behind() {
    let node = Node::start(Fake::default()).await;
    node.store.say_with_label("pi_1", "order-7", Phase::Created).await;
    let watcher = node.watch("order-7");
    node.store.lost.store(true, Relaxed);
    assert!(watcher.watch.history().await.is_err());
    node.store.lost.store(false, Relaxed);
    node.store.slow.store(true, Relaxed);
    // Dropped after the label's log was read and before the payment's was.
    let history = watcher.watch.history();
    assert!(tokio::time::timeout(Duration::from_micros(2500), history).await.is_err());
    assert_eq!(watched(&node.hub), ["order-7", "pi_1"]);
    drop(watcher);
    assert!(watched(&node.hub).is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_many_who_arrive_at_an_unknown_id_at_once_one_reads_its_label_for_all_who_wait() {
    let node = Node::start(Fake::default()).await;
    node.store.slow.store(true, Relaxed);
    let watchers: Vec<Watcher> = (0..1000).map(|_| node.watch("order-7")).collect();
    let before = node.store.reads.load(Relaxed);
    let arrived = watchers.iter().map(Watcher::history);
    let arrived = futures_util::future::join_all(arrived).await;
    assert!(arrived.iter().all(|history| history.asked.is_none()));
    let reads = node.store.reads.load(Relaxed) - before;
    assert!(reads <= 6, "{reads} reads for a thousand");
    // Who comes later still learns what came meanwhile.
    node.store.slow.store(false, Relaxed);
    node.store.say_with_label("pi_1", "order-7", Phase::Captured).await;
    let late = node.watch("order-7");
    late.history().await;
    assert_eq!(late.target().as_deref(), Some("pi_1"));
}
