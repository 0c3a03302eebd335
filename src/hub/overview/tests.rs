use super::*;
use crate::{
    limits::Limits,
    metrics::Metrics,
    payment::{Phase, Status},
    store::fake::Fake,
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::atomic::Ordering};

const ROOM: usize = 16 << 10;

fn hub_of(store: &Arc<Fake>) -> Arc<Hub> {
    Hub::new(Arc::clone(store) as Arc<dyn Store>, Arc::new(Metrics::new()), &Limits::default())
}

fn overview(hub: &Arc<Hub>) -> Arc<Overview> {
    hub.overview(&"default".parse().unwrap())
}

fn objects(payments: &[Bytes]) -> Vec<Value> {
    payments.iter().map(|json| serde_json::from_slice(json).unwrap()).collect()
}

fn ids(payments: &[Bytes]) -> Vec<String> {
    objects(payments).iter().map(|object| object["payment"].as_str().unwrap().to_owned()).collect()
}

async fn follow(overview: &Arc<Overview>, filter: Filter, cursor: Option<&str>) -> (Following, Beginning) {
    overview.follow(Arc::default(), filter, cursor, 100).await.unwrap()
}

/// All that a reader is told by now, as the statuses of payments; nothing of one that is gone.
fn told(following: &mut Following) -> HashMap<String, Option<String>> {
    let mut told = HashMap::new();
    while let Some(changes) = following.pull(ROOM).unwrap() {
        for object in objects(&changes.payments) {
            let word = |name: &str| object[name].as_str().unwrap().to_owned();
            told.insert(word("payment"), Some(word("status")));
        }
        told.extend(changes.gone.iter().map(|gone| (gone.to_string(), None)));
    }
    told
}

fn now(told: &HashMap<String, Option<String>>, payment: &str) -> Option<String> {
    told.get(payment).cloned().flatten()
}

#[tokio::test]
async fn a_slow_reader_gets_fewer_and_newer_states_and_never_a_queue() {
    let store = Arc::new(Fake::default());
    let hub = hub_of(&store);
    let overview = overview(&hub);
    store.say("pay", Phase::Created).await;
    let (mut following, _) = follow(&overview, Filter::default(), None).await;
    for phase in [Phase::Processing, Phase::Authorized, Phase::Captured] {
        store.say("pay", phase).await;
        overview.note(crate::store::fake::subject("pay").partition());
        overview.tick().await.unwrap();
    }
    let changes = following.pull(ROOM).unwrap().unwrap();
    let objects = objects(&changes.payments);
    assert_eq!(objects.len(), 1, "one state, and not three: {objects:?}");
    assert_eq!((&objects[0]["status"], &objects[0]["seq"]), (&"captured".into(), &4.into()));
    assert!(following.pull(ROOM).unwrap().is_none());
}

#[tokio::test]
async fn what_changed_is_read_once_for_all_readers() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    for number in 0..20 {
        store.say(&format!("pay_{number}"), Phase::Created).await;
    }
    let mut readers = Vec::new();
    for _ in 0..10 {
        readers.push(follow(&overview, Filter::default(), None).await.0);
    }
    let before = store.reads.load(Ordering::Relaxed);
    for number in 0..20 {
        store.say(&format!("pay_{number}"), Phase::Captured).await;
    }
    let by_saying = store.reads.load(Ordering::Relaxed) - before;
    lock(&overview.looks).noted = [true; PARTITIONS];
    overview.tick().await.unwrap();
    assert_eq!(store.reads.load(Ordering::Relaxed) - before - by_saying, 20);
    for reader in &mut readers {
        assert_eq!(told(reader).len(), 20);
    }
}

#[tokio::test]
async fn a_lost_notice_is_found_by_the_next_look_at_the_index() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    let (mut following, _) = follow(&overview, Filter::default(), None).await;
    store.say("pay", Phase::Created).await;
    lock(&overview.looks).whole = Instant::now().checked_sub(LOOK);
    overview.tick().await.unwrap();
    assert_eq!(now(&told(&mut following), "pay").as_deref(), Some("created"));
}

#[tokio::test]
async fn a_payment_that_leaves_the_filter_or_the_list_is_told_gone() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    for payment in ["leaves", "stays", "erased", "never"] {
        store.say(payment, Phase::Created).await;
    }
    store.say("never", Phase::Failed).await;
    let filter = Filter { statuses: vec![Status::Created], ..Filter::default() };
    let (mut following, beginning) = follow(&overview, filter, None).await;
    let Beginning::Page(page, None) = beginning else { panic!("{beginning:?}") };
    assert_eq!(ids(&page.payments).into_iter().collect::<BTreeSet<_>>().len(), 3);
    store.say("leaves", Phase::Captured).await;
    store.forget("erased").await;
    lock(&overview.looks).noted = [true; PARTITIONS];
    overview.tick().await.unwrap();
    let told = told(&mut following);
    assert_eq!(told, HashMap::from([("leaves".to_owned(), None), ("erased".to_owned(), None)]));
}

#[tokio::test]
async fn what_never_passed_a_filter_is_not_told_gone() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    store.say("pay", Phase::Created).await;
    for filter in [
        Filter { statuses: vec![Status::Disputed], ..Filter::default() },
        Filter { providers: vec!["stripe".to_owned()], ..Filter::default() },
        Filter { currencies: vec!["JPY".to_owned()], ..Filter::default() },
        Filter { amount_min: Some(1_000_000), ..Filter::default() },
    ] {
        let (mut following, _) = follow(&overview, filter.clone(), None).await;
        store.say("pay", Phase::Processing).await;
        lock(&overview.looks).noted = [true; PARTITIONS];
        overview.tick().await.unwrap();
        assert_eq!(told(&mut following), HashMap::new(), "{filter:?}");
    }
}

#[tokio::test]
async fn pages_are_stable_while_payments_change_and_come() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    for number in 0..25 {
        store.say(&format!("pay_{number}"), Phase::Created).await;
    }
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = overview.page(&Filter::default(), before.as_ref(), 4).await.unwrap();
        seen.extend(ids(&page.payments));
        store.say(&seen[0], Phase::Processing).await;
        store.say("pay_3", Phase::Captured).await;
        store.say(&format!("new_{}", seen.len()), Phase::Created).await;
        let Some(next) = page.next else { break };
        before = Some(next.to_string().parse().unwrap());
    }
    let old: Vec<_> = seen.iter().filter(|id| id.starts_with("pay_")).collect();
    assert_eq!((old.len(), old.iter().collect::<BTreeSet<_>>().len()), (25, 25), "{seen:?}");
}

#[tokio::test]
async fn a_page_whose_filter_hides_most_reads_a_bounded_number_of_logs() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    for number in 0..READS_PER_PAGE + 500 {
        store.say(&format!("pay_{number}"), Phase::Created).await;
    }
    let before = store.reads.load(Ordering::Relaxed);
    let filter = Filter { statuses: vec![Status::Disputed], ..Filter::default() };
    let page = overview.page(&filter, None, 10).await.unwrap();
    let reads = store.reads.load(Ordering::Relaxed) - before;
    assert!(page.payments.is_empty() && reads < READS_PER_PAGE + READS * 8, "{reads}");
    let rest = overview.page(&filter, page.next.as_ref(), 10).await.unwrap();
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_what_it_missed_and_what_was_shortly_before() {
    let store = Arc::new(Fake::default());
    let hub = hub_of(&store);
    let first = overview(&hub);
    for payment in ["a", "b"] {
        store.say(payment, Phase::Created).await;
    }
    let (following, _) = follow(&first, Filter::default(), None).await;
    let cursor = following.cursor().to_string();
    drop(following);
    store.say("b", Phase::Captured).await;
    store.say("c", Phase::Created).await;
    // On this node, and on one that has just begun to read the list.
    for overview in [first, overview(&hub_of(&store))] {
        let (mut following, beginning) = follow(&overview, Filter::default(), Some(&cursor)).await;
        assert!(matches!(beginning, Beginning::Resumed), "{beginning:?}");
        let told = told(&mut following);
        assert_eq!(now(&told, "b").as_deref(), Some("captured"));
        assert_eq!(now(&told, "c").as_deref(), Some("created"));
    }
}

#[tokio::test]
async fn a_reader_that_cannot_go_on_is_told_why() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    store.say("old", Phase::Created).await;
    store.say("pay", Phase::Created).await;
    let beginning = async |cursor: &str| match follow(&overview, Filter::default(), Some(cursor)).await.1 {
        Beginning::Page(_, why) => why,
        Beginning::Resumed => None,
    };
    let now = crate::clock::now().unix_ms();
    for wrong in ["", "x", "-1", "0-0", "99999999999999999999", &(now + 3_600_000).to_string()] {
        assert_eq!(beginning(wrong).await, Some(Restart::UnknownCursor), "{wrong}");
    }
    assert_eq!(beginning("6000").await, None, "the list is as old as the store");
    store.trim_index();
    assert_eq!(beginning("6000").await, Some(Restart::Evicted));
    store.forget("pay").await;
    assert_eq!(beginning(&now.to_string()).await, Some(Restart::Evicted), "both, and the first counts");
}

#[tokio::test]
async fn what_the_store_went_back_on_is_read_again() {
    let store = Arc::new(Fake::default());
    let hub = hub_of(&store);
    let overview = overview(&hub);
    store.say("pay", Phase::Created).await;
    let saved = store.save();
    store.say("pay", Phase::Captured).await;
    store.say("lost", Phase::Created).await;
    let (mut following, _) = follow(&overview, Filter::default(), None).await;
    store.roll_back(saved);
    hub.doubt_overviews();
    lock(&overview.looks).noted = [true; PARTITIONS];
    overview.tick().await.unwrap();
    let told = told(&mut following);
    assert_eq!(now(&told, "pay").as_deref(), Some("created"));
    assert_eq!(told.get("lost"), Some(&None));
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_loses_no_change() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    let (mut following, _) = follow(&overview, Filter::default(), None).await;
    store.say("pay", Phase::Created).await;
    overview.note(crate::store::fake::subject("pay").partition());
    let before = following.cursor();
    store.lost.store(true, Ordering::Relaxed);
    assert!(overview.tick().await.is_err());
    assert_eq!((told(&mut following), following.cursor()), (HashMap::new(), before));
    store.lost.store(false, Ordering::Relaxed);
    overview.tick().await.unwrap();
    assert_eq!(now(&told(&mut following), "pay").as_deref(), Some("created"));
}

#[tokio::test]
async fn a_reader_that_is_behind_what_has_left_has_to_begin_anew() {
    let mut board = Board::default();
    let part = |listed: Vec<Listed>| crate::store::IndexPart {
        count: listed.len() as u64,
        listed,
        now: crate::clock::now(),
        ..crate::store::IndexPart::default()
    };
    let time = crate::clock::now();
    for number in 0..10_000 {
        let payment: Name = format!("pay_{number}").parse().unwrap();
        let listed = Listed { payment, first_seen: time, changed: time, seq: 1 };
        board.take(vec![((0, Time::default()), part(vec![listed]))], true);
    }
    assert!(board.news(1, &Filter::default(), ROOM).is_behind);
    assert!(!board.news(board.last() - 10, &Filter::default(), ROOM).is_behind);
}

#[tokio::test(start_paused = true)]
async fn an_overview_that_nobody_reads_is_forgotten() {
    let store = Arc::new(Fake::default());
    let hub = hub_of(&store);
    let overview = overview(&hub);
    let (following, _) = follow(&overview, Filter::default(), None).await;
    drop(overview);
    tokio::time::sleep(IDLE * 2).await;
    assert_eq!(lock(&hub.overviews).len(), 1, "somebody follows it");
    drop(following);
    tokio::time::sleep(IDLE * 2).await;
    assert_eq!(lock(&hub.overviews).len(), 0);
}

/// Tells the overview of the last event of a payment, as a notice does.
async fn announce(overview: &Overview, store: &Fake, payment: &str) {
    let subject = crate::store::fake::subject(payment);
    let log = store.read(&subject).await.unwrap();
    overview.announce(log.head(), &log.entries.last().unwrap().event);
    overview.note(subject.partition());
}

#[tokio::test]
async fn a_change_that_a_notice_announced_costs_no_read_of_its_log() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    let (mut following, _) = follow(&overview, Filter::default(), None).await;
    for phase in [Phase::Created, Phase::Authorized, Phase::Captured] {
        store.say("pay", phase).await;
        announce(&overview, &store, "pay").await;
        let before = store.reads.load(Ordering::Relaxed);
        overview.tick().await.unwrap();
        assert_eq!(store.reads.load(Ordering::Relaxed), before);
        let word = serde_json::to_value(Status::from(Some(phase))).unwrap();
        assert_eq!(now(&told(&mut following), "pay"), word.as_str().map(ToOwned::to_owned));
    }
}

#[tokio::test]
async fn an_announced_event_that_does_not_follow_has_the_log_read() {
    let store = Arc::new(Fake::default());
    let overview = overview(&hub_of(&store));
    let (mut following, _) = follow(&overview, Filter::default(), None).await;
    store.say("pay", Phase::Authorized).await;
    announce(&overview, &store, "pay").await;
    overview.tick().await.unwrap();
    // One of two notices is lost.
    store.say("pay", Phase::Captured).await;
    store.say("pay", Phase::Created).await;
    announce(&overview, &store, "pay").await;
    overview.tick().await.unwrap();
    assert_eq!(now(&told(&mut following), "pay").as_deref(), Some("captured"));
    // The log begins anew, and the notice of its first event is lost.
    store.forget("pay").await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    for phase in [Phase::Created, Phase::Created, Phase::Created, Phase::Processing] {
        store.say("pay", phase).await;
    }
    announce(&overview, &store, "pay").await;
    overview.tick().await.unwrap();
    assert_eq!(now(&told(&mut following), "pay").as_deref(), Some("processing"));
}
