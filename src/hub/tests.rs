//! The hub against a store whose notices fail in every way.

use super::*;
use crate::{
    payment::{Cursor, Phase},
    store::fake::{Fake, subject},
};
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::Instant;

mod labels;
mod shelf;

struct Node {
    store: Arc<Fake>,
    hub: Arc<Hub>,
    shutdown: Shutdown,
}

impl Node {
    async fn start(store: Fake) -> Self {
        let store = Arc::new(store);
        let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>, Arc::default(), &Limits::default());
        let shutdown = Shutdown::default();
        tokio::spawn(Arc::clone(&hub).run(shutdown.clone()));
        // The paused clock moves on when every task waits: by then the hub hears.
        tokio::time::sleep(Duration::from_millis(1)).await;
        Self { store, hub, shutdown }
    }

    fn watch(&self, id: &str) -> Watcher {
        let bell = Arc::new(Bell::default());
        let watch = self.hub.join(&subject(id), Arc::clone(&bell));
        Watcher { hub: Arc::clone(&self.hub), watch, bell, cursor: Cursor::START }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

/// What a stream is to the hub.
struct Watcher {
    hub: Arc<Hub>,
    watch: Watch,
    bell: Arc<Bell>,
    cursor: Cursor,
}

impl Watcher {
    async fn history(&self) -> Arc<History> {
        self.hub.history_in_time(self.watch.topic()).await
    }

    /// Waits until it has seen `cursor`; returns the `seq`s that came on the way, or nothing where the log had changed
    /// under it.
    async fn follow(&mut self, until: Cursor) -> Option<Vec<u64>> {
        let mut seen = Vec::new();
        let mut take = |at: &mut Cursor, frames: &[Arc<Frame>]| {
            seen.extend(frames.iter().map(|frame| frame.cursor.seq));
            *at = frames.last().map_or(*at, |frame| frame.cursor);
        };
        while self.cursor != until {
            match self.watch.topic().pull(self.cursor) {
                Pull::Frames(frames) => take(&mut self.cursor, &frames),
                Pull::Current => self.bell.rung().await,
                Pull::Behind => {
                    let history = self.history().await;
                    match history.after(self.cursor) {
                        Some(frames) => take(&mut self.cursor, frames),
                        None => return None,
                    }
                }
            }
        }
        Some(seen)
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_gets_each_event_once_in_order() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    node.store.say("b", Phase::Created).await;
    assert_eq!(watcher.follow(first).await.unwrap(), [1]);
    node.store.say("a", Phase::Processing).await;
    let last = node.store.say("a", Phase::Captured).await;
    assert_eq!(watcher.follow(last).await.unwrap(), [2, 3]);
    assert_eq!(watcher.watch.topic().log_end().phase, Some(Phase::Captured));
}

#[tokio::test(start_paused = true)]
async fn what_was_joined_before_the_hub_hears_is_read_again_when_it_does() {
    let store = Arc::new(Fake::default());
    let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>, Arc::default(), &Limits::default());
    let node = Node { store, hub, shutdown: Shutdown::default() };
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    let last = node.store.say("a", Phase::Captured).await;
    tokio::spawn(Arc::clone(&node.hub).run(node.shutdown.clone()));
    assert_eq!(watcher.follow(last).await.unwrap(), [2]);
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_a_lost_notice_is_healed_by_the_next_one() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    node.store.mute.store(true, Relaxed);
    node.store.say("a", Phase::Processing).await;
    node.store.mute.store(false, Relaxed);
    let last = node.store.say("a", Phase::Captured).await;
    assert_eq!(watcher.follow(last).await.unwrap(), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_a_notice_with_an_event_that_does_not_fit_sends_its_watchers_to_the_log() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    node.store.garble.store(true, Relaxed);
    node.store.say("b", Phase::Captured).await;
    let last = node.store.say("a", Phase::Captured).await;
    assert_eq!(watcher.follow(last).await.unwrap(), [2]);
    // That of the payment that nobody watches was not parsed.
    let metrics = node.hub.metrics.render();
    assert!(metrics.contains(r#"store_faults_total{reason="bad_notice"} 1"#), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_the_last_notice_of_a_quiet_payment_lost_is_healed_within_a_tick_and_a_half() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    node.store.mute.store(true, Relaxed);
    let last = node.store.say("a", Phase::Captured).await;
    let asked = Instant::now();
    assert_eq!(watcher.follow(last).await.unwrap(), [2]);
    assert!(asked.elapsed() <= TICK * 8 / 5, "{:?}", asked.elapsed());
    assert!(node.hub.metrics.render().contains(r#"heals_total{reason="deaf"} 1"#));
    // The store is told, so that it can subscribe anew if the notice never reached it.
    assert_eq!(*node.store.missed.lock().unwrap(), [(subject("a").partition(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_what_came_while_a_subscription_was_renewed_is_read_at_once() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    node.store.mute.store(true, Relaxed);
    let last = node.store.say("a", Phase::Captured).await;
    let asked = Instant::now();
    node.store.interruption.notify_one();
    assert_eq!(watcher.follow(last).await.unwrap(), [2]);
    assert!(asked.elapsed() < TICK / 2, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn twenty_thousand_watched_payments_heal_without_a_storm() {
    let node = Node::start(Fake::default()).await;
    let mut watchers = Vec::new();
    for n in 0..20_000 {
        let mut watcher = node.watch(&format!("p{n}"));
        let first = node.store.say(&format!("p{n}"), Phase::Created).await;
        watcher.follow(first).await.unwrap();
        watchers.push(watcher);
    }
    node.store.mute.store(true, Relaxed);
    let mut last = Vec::new();
    for n in 0..20_000 {
        last.push(node.store.say(&format!("p{n}"), Phase::Captured).await);
    }
    // Whatever a partition remembers is gone, so all that is watched in it has to be read.
    node.store.trim(0);
    let reads = node.store.reads.load(Relaxed);
    node.store.slow.store(true, Relaxed);
    node.store.most_reading.store(0, Relaxed);
    node.store.interruption.notify_one();
    // Side by side, as streams do: a history is not kept for long.
    let followed = watchers.iter_mut().zip(last).map(|(watcher, last)| watcher.follow(last));
    assert!(futures_util::future::join_all(followed).await.iter().all(Option::is_some));
    assert!(node.store.reads.load(Relaxed) - reads <= 20_100, "each log is read once");
    assert!(node.store.most_reading.load(Relaxed) <= Limits::default().log_reads);
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_a_trimmed_feed_sends_every_watcher_of_the_partition_to_its_log() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    node.store.mute.store(true, Relaxed);
    for _ in 0..5 {
        node.store.say("a", Phase::Processing).await;
    }
    node.store.trim(1);
    node.store.mute.store(false, Relaxed);
    let last = node.store.say("a", Phase::Captured).await;
    assert_eq!(watcher.follow(last).await.unwrap(), [2, 3, 4, 5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_a_rolled_back_tail_is_noticed_with_and_without_news() {
    for news in [false, true] {
        let node = Node::start(Fake::default()).await;
        let mut watcher = node.watch("a");
        node.store.say("a", Phase::Created).await;
        let saved = node.store.save();
        let lost = node.store.say("a", Phase::Captured).await;
        watcher.follow(lost).await.unwrap();
        node.store.roll_back(saved);
        if news {
            node.store.say("a", Phase::Failed).await;
        }
        while watcher.watch.topic().pull(watcher.cursor).is_current() {
            watcher.bell.rung().await;
        }
        let history = watcher.history().await;
        assert!(history.after(watcher.cursor).is_none(), "the cursor stands no more");
        assert_eq!(history.head.seq, if news { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_what_was_read_before_its_notice_and_rolled_back_is_noticed() {
    for news in [false, true] {
        let node = Node::start(Fake::default()).await;
        let mut watcher = node.watch("a");
        let first = node.store.say("a", Phase::Created).await;
        watcher.follow(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let saved = node.store.save();
        // The notice does not come, but a stream that opens reads the log.
        node.store.mute.store(true, Relaxed);
        let lost = node.store.say("a", Phase::Captured).await;
        node.watch("a").watch.history().await.unwrap();
        watcher.follow(lost).await.unwrap();
        // A replica takes over that never had the event; the partition's last known place stands there.
        node.store.roll_back(saved);
        node.store.mute.store(false, Relaxed);
        match news {
            true => _ = node.store.say("a", Phase::Failed).await,
            false => {
                node.store.elsewhere.store(true, Relaxed);
                node.store.interruption.notify_one();
            }
        }
        tokio::time::sleep(TICK * 5).await;
        assert!(
            !watcher.watch.topic().pull(watcher.cursor).is_current(),
            "news {news}: the cursor stands no more"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_erasure_reaches_the_watchers_by_its_notice_and_without_one() {
    for (hears, anew) in [(true, false), (true, true), (false, false), (false, true)] {
        let node = Node::start(Fake::default()).await;
        let mut watcher = node.watch("a");
        let first = node.store.say("a", Phase::Created).await;
        let last = node.store.say("a", Phase::Captured).await;
        watcher.follow(last).await.unwrap();
        node.store.mute.store(!hears, Relaxed);
        node.store.forget("a").await;
        if anew {
            node.store.say("a", Phase::Failed).await;
        }
        while watcher.watch.topic().pull(watcher.cursor).is_current() {
            watcher.bell.rung().await;
        }
        let history = node.hub.history_in_time(watcher.watch.topic()).await;
        assert!(history.after(watcher.cursor).is_none(), "hears {hears}: the cursor stands");
        assert_eq!(history.erased, first.tag, "hears {hears}: the history tells of the erasure");
        assert_eq!(history.head.seq, u64::from(anew));
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_read_while_it_is_erased_is_read_again() {
    let node = Node::start(Fake::default()).await;
    node.store.say("a", Phase::Created).await;
    let watcher = node.watch("a");
    node.store.slow.store(true, Relaxed);
    let reading = tokio::spawn(watcher.watch.history());
    while node.store.reads.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    node.store.forget("a").await;
    reading.await.unwrap().unwrap();
    tokio::time::sleep(TICK * 3).await;
    assert_eq!(watcher.watch.topic().log_end().cursor, Cursor::START, "the erased log is shown");
}

#[tokio::test(start_paused = true)]
async fn an_erasure_costs_the_watchers_of_other_logs_nothing() {
    let node = Node::start(Fake::default()).await;
    let partition = subject("a").partition();
    let other = (0..).map(|n| format!("b{n}")).find(|id| subject(id).partition() == partition).unwrap();
    node.store.say("a", Phase::Created).await;
    let last = node.store.say(&other, Phase::Created).await;
    let mut watcher = node.watch(&other);
    watcher.follow(last).await.unwrap();
    let reads = node.store.reads.load(Relaxed);
    node.store.forget("a").await;
    tokio::time::sleep(TICK * 3).await;
    assert_eq!(node.store.reads.load(Relaxed), reads);
    assert!(watcher.watch.topic().pull(watcher.cursor).is_current());
}

#[tokio::test(start_paused = true)]
async fn a_rolled_back_store_makes_no_node_unready() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    node.store.say("a", Phase::Created).await;
    let saved = node.store.save();
    let lost = node.store.say("a", Phase::Captured).await;
    watcher.follow(lost).await.unwrap();
    tokio::time::sleep(TICK * 2 + TICK / 5).await;
    node.store.roll_back(saved);
    node.store.interruption.notify_one();
    for _ in 0..30 {
        tokio::time::sleep(TICK / 10).await;
        assert!(!node.hub.misses_notices(), "/readyz would say 503 on every node");
    }
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_a_hub_that_lagged_reads_the_feeds() {
    let node = Node::start(Fake::with_backlog(4)).await;
    let mut watchers: Vec<_> = (0..8).map(|n| node.watch(&format!("p{n}"))).collect();
    let mut last = Vec::new();
    // The hub's task gets no turn before the backlog has overflown.
    for n in 0..8 {
        last.push(node.store.say(&format!("p{n}"), Phase::Created).await);
    }
    for (watcher, last) in watchers.iter_mut().zip(last) {
        assert_eq!(watcher.follow(last).await.unwrap(), [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_told_and_everything_is_caught_up_when_it_is_back() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    node.store.lost.store(true, Relaxed);
    while node.hub.stale().is_empty() {
        watcher.bell.rung().await;
    }
    node.store.mute.store(true, Relaxed);
    node.store.lost.store(false, Relaxed);
    let last = node.store.say("a", Phase::Captured).await;
    assert_eq!(watcher.follow(last).await.unwrap(), [2]);
    assert!(node.hub.stale().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_shard_marks_only_its_own_partitions_stale_and_is_caught_up_when_it_is_back() {
    let node = Node::start(Fake::default()).await;
    let (mut lost, mut other) = (node.watch("a"), node.watch("b"));
    let partitions = [lost.watch.topic(), other.watch.topic()].map(|topic| topic.subject().partition());
    assert_ne!(partitions[0], partitions[1]);
    let first = node.store.say("a", Phase::Created).await;
    lost.follow(first).await.unwrap();
    let set = [partitions[0]].into_iter().collect();
    *node.store.lost_partitions.lock().unwrap() = set;
    while node.hub.stale().is_empty() {
        lost.bell.rung().await;
    }
    assert_eq!(node.hub.stale(), set);
    // Another partition heals from its heads meanwhile.
    node.store.mute.store(true, Relaxed);
    let said = node.store.say("b", Phase::Created).await;
    assert_eq!(other.follow(said).await.unwrap(), [1]);
    let last = node.store.say("a", Phase::Captured).await;
    // The shard comes back on another server: what is watched there is read again, and not before it answers.
    node.store.elsewhere.store(true, Relaxed);
    node.store.interruption.notify_one();
    tokio::time::sleep(TICK * 2).await;
    *node.store.lost_partitions.lock().unwrap() = PartitionSet::NONE;
    assert_eq!(lost.follow(last).await.unwrap(), [2]);
    tokio::time::sleep(TICK * 2).await;
    assert!(node.hub.stale().is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_reader_reads_for_all_who_wait() {
    let node = Node::start(Fake::default()).await;
    node.store.say("a", Phase::Created).await;
    let reads = node.store.reads.load(Relaxed);
    node.store.slow.store(true, Relaxed);
    let watchers: Vec<_> = (0..1000).map(|_| node.watch("a")).collect();
    let read = futures_util::future::join_all(watchers.iter().map(|watcher| watcher.watch.history())).await;
    assert!(read.iter().all(Result::is_ok));
    // One that was under way when most came, and so may be too old for them, and one for all of those.
    assert_eq!(node.store.reads.load(Relaxed), reads + 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_topic_keeps_no_frames_and_an_unwatched_one_is_forgotten() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    let last = node.store.say("a", Phase::Captured).await;
    watcher.follow(last).await.unwrap();
    assert!(matches!(watcher.watch.topic().pull(first), Pull::Frames(_)), "kept for those who keep up");
    tokio::time::sleep(TICK * 4).await;
    assert!(matches!(watcher.watch.topic().pull(first), Pull::Behind));
    drop(watcher);
    let topics: usize = node.hub.partitions.iter().map(|partition| lock(partition).topics().count()).sum();
    assert_eq!(topics, 0);
}

#[tokio::test(start_paused = true)]
async fn idle_topics_keep_nothing_of_their_reads_and_the_hub_no_list_of_them() {
    let node = Node::start(Fake::default()).await;
    node.store.say("a", Phase::Created).await;
    let watchers: Vec<_> = (0..1000).map(|number| node.watch(&format!("b{number}"))).collect();
    let read = futures_util::future::join_all(watchers.iter().map(|watcher| watcher.watch.history())).await;
    assert!(read.iter().all(Result::is_ok));
    assert!(watchers.iter().all(|watcher| watcher.watch.topic().is_warm()), "for those who come next");
    drop(read);
    tokio::time::sleep(TICK * 4).await;
    assert!(!watchers.iter().any(|watcher| watcher.watch.topic().is_warm()));
    assert_eq!(lock(&node.hub.warm).capacity(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_topic_whose_log_cannot_be_read_stays_warm_and_cools_when_it_was_read() {
    let node = Node::start(Fake::default()).await;
    let mut watcher = node.watch("a");
    let first = node.store.say("a", Phase::Created).await;
    watcher.follow(first).await.unwrap();
    tokio::time::sleep(TICK * 4).await;
    node.store.lost.store(true, Relaxed);
    node.hub.reload(Arc::clone(watcher.watch.topic()));
    tokio::time::sleep(TICK * 10).await;
    assert!(watcher.watch.topic().is_warm(), "what was distrusted is not forgotten");
    node.store.lost.store(false, Relaxed);
    tokio::time::sleep(TICK * 10).await;
    assert!(!watcher.watch.topic().is_warm());
    let last = node.store.say("a", Phase::Captured).await;
    assert_eq!(watcher.follow(last).await.unwrap(), [2]);
}

impl Pull {
    const fn is_current(&self) -> bool {
        matches!(self, Self::Current)
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_lost_their_store_together_do_not_ask_it_again_together() {
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = Node::start(Fake::default()).await;
        let (begun, asked_at) = (Instant::now(), Mutex::new(Vec::new()));
        let ask = || {
            let mut asked_at = asked_at.lock().unwrap();
            asked_at.push(begun.elapsed());
            let answer =
                if asked_at.len() < 6 { Err(StoreError::Unavailable("it is lost".into())) } else { Ok(()) };
            std::future::ready(answer)
        };
        assert!(node.hub.ask(ask).await.is_some());
        nodes.push(asked_at.into_inner().unwrap());
    }
    assert_ne!(nodes[0], nodes[1]);
}
