//! What every store promises to those who watch: notices in an unbroken chain, and feeds to heal from.

use super::{LONG, PATIENCE, append, append_new, backend::Backend, event, read, subject};
use paystream::{
    payment::{Cursor, Event},
    store::{Appended, FEED_LEN, Feed, Head, NOTICE_BACKLOG, Notice, NoticeBody, Referent, Store},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError, error::TryRecvError},
    task::JoinSet,
};

pub(super) async fn references(store: &dyn Store, partition: u8, from: u64) -> Option<Vec<(u64, Cursor)>> {
    match store.feed(partition, from).await.unwrap() {
        Feed::References(all) => {
            let seq = |to: &Referent| match to {
                Referent::Entry { seq, .. } => *seq,
                Referent::Erased { .. } => 0,
            };
            Some(all.iter().map(|one| (one.pos, Cursor { tag: one.tag, seq: seq(&one.to) })).collect())
        }
        Feed::Gone(head) => {
            assert_eq!(Some(head), store.heads().await.unwrap()[usize::from(partition)]);
            None
        }
    }
}

/// The place of an appended event in its log, and the event.
fn appended(notice: &Notice) -> (Cursor, Arc<Event>) {
    match &notice.body {
        NoticeBody::Appended { seq, event } => {
            let parsed = event.event().unwrap();
            assert_eq!(*event.subject(), parsed.subject);
            (Cursor { tag: notice.tag, seq: *seq }, parsed)
        }
        NoticeBody::Erased { .. } => panic!("{notice:?}"),
    }
}

/// Checks that notices continue `last`, place by place and tag by tag, and moves it on.
fn follow(last: &mut HashMap<u8, Head>, notice: &Notice) {
    let head = last.entry(notice.partition).or_default();
    assert_eq!(notice.partition, appended(notice).1.subject.partition());
    assert_eq!((notice.pos, notice.previous), (head.pos + 1, head.tag));
    *head = Head { pos: notice.pos, tag: notice.tag };
}

pub(super) async fn next(watcher: &mut Receiver<Arc<Notice>>) -> Arc<Notice> {
    tokio::time::timeout(PATIENCE, watcher.recv()).await.expect("no notice").unwrap()
}

pub(super) async fn notices_come_in_order_with_an_unbroken_chain(place: impl Backend) {
    let store = place.open(LONG).await;
    let mut watcher = store.watch().await;
    let mut last = HashMap::new();
    for number in 0..300 {
        // There are so few payments that several events meet in one partition.
        let payment = format!("pay_{}", number % 50);
        let sent = event(&payment, &format!("evt_{number}"), number);
        let cursor = append_new(&*store, sent.clone()).await;
        assert!(matches!(append(&*store, sent.clone()).await, Appended::Duplicate { .. }));
        let notice = next(&mut watcher).await;
        follow(&mut last, &notice);
        assert_eq!(appended(&notice), (cursor, Arc::new(sent)));
    }
    assert_eq!(watcher.try_recv(), Err(TryRecvError::Empty), "more notices than appends");
    let heads = store.heads().await.unwrap();
    for (partition, head) in (0..=u8::MAX).zip(heads.into_iter().flatten()) {
        assert_eq!(head, last.remove(&partition).unwrap_or_default());
    }
}

pub(super) async fn a_feed_is_read_from_a_place_on_or_gone(place: impl Backend) {
    let store = place.open(LONG).await;
    // All payments are of one partition. One payment is not enough, since a log holds 512 events and a feed is longer.
    let partition = subject("default", "pay_0").partition();
    let in_one = |number: &u64| subject("default", &format!("pay_{number}")).partition() == partition;
    let payments: Vec<_> = (0..).filter(in_one).take(3).map(|number| format!("pay_{number}")).collect();
    let mut tasks = JoinSet::new();
    let mut watcher = store.watch().await;
    let length = FEED_LEN + 100;
    for number in 0..length {
        let store = Arc::clone(&store);
        let event = event(&payments[number as usize % 3], &format!("evt_{number}"), 1);
        tasks.spawn(async move { append_new(&*store, event).await });
    }
    tasks.join_all().await;
    let mut all = Vec::new();
    for _ in 0..length {
        let notice = next(&mut watcher).await;
        all.push((notice.pos, appended(&notice).0));
    }
    assert!(all.iter().map(|(pos, _)| *pos).eq(1..=length), "places are not gapless");

    let (oldest, head) = (length - FEED_LEN + 1, length);
    for from in [oldest, oldest + 1, head - 1, head] {
        let expected = all[from as usize - 1..].to_vec();
        assert_eq!(references(&*store, partition, from).await, Some(expected), "from {from}");
    }
    for gone in [0, 1, oldest - 1, head + 1, head + 2, u64::MAX] {
        assert_eq!(references(&*store, partition, gone).await, None, "from {gone}");
    }
    let empty = partition.wrapping_add(1);
    for (from, expected) in [(0, Some(Vec::new())), (1, Some(Vec::new())), (2, None)] {
        assert_eq!(references(&*store, empty, from).await, expected, "an empty feed from {from}");
    }
}

pub(super) async fn i3_concurrent_appends_leave_no_hole(place: impl Backend) {
    const TASKS: usize = 16;
    const EACH: usize = 50;
    const PAYMENTS: usize = 20;
    let store = place.open(LONG).await;
    let mut watcher = store.watch().await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for number in 0..EACH {
                let payment = format!("pay_{}", (task + number) % PAYMENTS);
                append_new(&*store, event(&payment, &format!("evt_{task}_{number}"), 1)).await;
            }
        });
    }
    tasks.join_all().await;
    let mut last = HashMap::new();
    let mut logs: HashMap<String, Vec<Cursor>> = HashMap::new();
    for _ in 0..TASKS * EACH {
        let notice = next(&mut watcher).await;
        follow(&mut last, &notice);
        let (cursor, event) = appended(&notice);
        logs.entry(event.subject.id.to_string()).or_default().push(cursor);
    }
    for (payment, cursors) in logs {
        assert!(cursors.iter().map(|cursor| cursor.seq).eq(1..=cursors.len() as u64), "{payment}");
        let log = read(&*store, &payment).await;
        assert!(log.entries.iter().map(|entry| entry.tag).eq(cursors.iter().map(|cursor| cursor.tag)));
    }
}

pub(super) async fn i3_a_watcher_that_lags_heals_from_the_feeds(place: impl Backend) {
    let store = place.open(LONG).await;
    let mut watcher = store.watch().await;
    let total = NOTICE_BACKLOG + 500;
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for number in (task..total).step_by(64) {
                append_new(&*store, event(&format!("pay_{number}"), "evt", 1)).await;
            }
        });
    }
    tasks.join_all().await;
    assert!(matches!(watcher.recv().await, Err(RecvError::Lagged(_))));
    // Before it heals, the watcher has only the newest notices; the feeds hold all events, in the same chain.
    let mut seen = BTreeSet::new();
    for (partition, head) in (0..=u8::MAX).zip(store.heads().await.unwrap().into_iter().flatten()) {
        let feed = references(&*store, partition, 1).await.expect("far below the bound");
        assert!(feed.iter().map(|(pos, _)| *pos).eq(1..=head.pos));
        assert_eq!(feed.last().map(|(_, cursor)| cursor.tag).unwrap_or_default(), head.tag);
        seen.extend(feed.into_iter().map(|(pos, cursor)| (partition, pos, cursor.tag)));
    }
    assert_eq!(seen.len(), total);
    while let Ok(notice) = watcher.try_recv() {
        assert!(seen.contains(&(notice.partition, notice.pos, notice.tag)));
    }
}
