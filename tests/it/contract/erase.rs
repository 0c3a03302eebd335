//! What every store promises of an erasure.

use super::{
    LONG, append, append_new,
    backend::Backend,
    event,
    feeds::{self, references},
    read,
    records::{newest, record},
    subject,
};
use paystream::{
    payment::{Cursor, Event, Tag},
    store::{
        Append, Appended, Claim, ClaimTerms, Erased, Erasure, Feed, Head, NoticeBody, RecordLog, Reference,
        Referent, Store,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const AT_ONCE: Duration = Duration::ZERO;

/// The erasure of a payment of the default realm, in which `acme` is; `elsewhere` is of another realm.
pub(super) fn erasure(payment: &str) -> Erasure {
    let names = |name: &str| BTreeSet::from([Arc::from(name)]);
    Erasure {
        subject: subject("default", payment),
        sources: names("acme"),
        others: names("elsewhere"),
        parts: Default::default(),
    }
}

async fn feed_of(store: &dyn Store, partition: u8) -> Vec<Reference> {
    match store.feed(partition, 1).await.unwrap() {
        Feed::References(references) => references,
        Feed::Gone(head) => panic!("the feed is gone at {head:?}"),
    }
}

/// Another payment whose log is in the partition of `payment`.
fn neighbour(payment: &str) -> String {
    let partition = subject("default", payment).partition();
    let mut names = (0..).map(|number| format!("other_{number}"));
    names.find(|name| subject("default", name).partition() == partition).unwrap()
}

pub(super) async fn an_erasure_removes_all_that_bears_the_payment_and_nothing_else(place: impl Backend) {
    let mut store = place.open(LONG).await;
    let other = neighbour("pay");
    for seq in 1..=3 {
        append_new(&*store, event("pay", &format!("evt_{seq}"), seq)).await;
        append_new(&*store, event(&other, &format!("evt_{seq}"), seq)).await;
    }
    let of_realm = Event { subject: subject("test", "pay"), ..event("pay", "evt_1", 1) };
    append_new(&*store, of_realm).await;
    // `gone` is a source that was configured once; `elsewhere` is one of another realm.
    for source in ["acme", "gone", "elsewhere"] {
        for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
            let mut of_other = record(log, source, 1);
            of_other.payment = Some(other.parse().unwrap());
            let mut by_event = record(log, source, 3);
            (by_event.payment, by_event.event) = (None, Some("pay".into()));
            let mut longer = record(log, source, 4);
            longer.payment = Some("pay_2".parse().unwrap());
            for record in [of_other, record(log, source, 2), by_event, longer] {
                store.record(record).await.unwrap();
            }
        }
        store.enqueue(source, &"pay".parse().unwrap(), AT_ONCE).await.unwrap();
        store.enqueue(source, &other.parse().unwrap(), AT_ONCE).await.unwrap();
    }
    store.health().await.unwrap();

    let erased = store.erase(erasure("pay")).await.unwrap();
    let expected =
        Erased { events: 3, references: 3, deliveries: 4, quarantined: 4, confirmations: 2, receipts: 0 };
    assert_eq!(erased, expected);

    for _ in 0..2 {
        assert_eq!(read(&*store, "pay").await.head(), Cursor::START);
        assert_eq!(read(&*store, &other).await.entries.len(), 3);
        assert_eq!(store.read(&subject("test", "pay")).await.unwrap().entries.len(), 1, "another realm's");
        for (source, left) in [("acme", 2), ("gone", 2), ("elsewhere", 4)] {
            for log in [RecordLog::Deliveries, RecordLog::Quarantine] {
                assert_eq!(newest(&*store, log, source, 10).await.len(), left, "{log:?} of {source}");
            }
        }
        let backlogs = store.backlogs().await.unwrap();
        let counts: Vec<_> = backlogs.iter().map(|(source, backlog)| (&**source, backlog.count)).collect();
        assert_eq!(counts, [("acme", 1), ("elsewhere", 2), ("gone", 1)]);
        for reference in feed_of(&*store, subject("default", "pay").partition()).await {
            if let Referent::Entry { subject, .. } = reference.to {
                assert_eq!(subject.id.as_str(), other);
            }
        }
        drop(store);
        store = place.open(LONG).await;
    }
    let again = store.erase(erasure("pay")).await.unwrap();
    assert!(again.is_nothing(), "{again:?}");
}

pub(super) async fn an_erasure_is_a_link_of_the_chain_of_its_partition(place: impl Backend) {
    let store = place.open(LONG).await;
    let other = neighbour("pay");
    let partition = subject("default", "pay").partition();
    let mut cursors = Vec::new();
    for payment in ["pay", &other, "pay"] {
        let id = format!("evt_{}", cursors.len());
        cursors.push(append_new(&*store, event(payment, &id, 1)).await);
    }
    let mut watcher = store.watch().await;
    store.erase(erasure("pay")).await.unwrap();
    let notice = feeds::next(&mut watcher).await;
    let first = cursors[0].tag;
    assert_eq!((notice.partition, notice.pos, notice.previous), (partition, 4, cursors[2].tag));
    assert_eq!(notice.body, NoticeBody::Erased { first });
    assert_eq!(
        store.heads().await.unwrap()[usize::from(partition)].unwrap(),
        Head { pos: 4, tag: notice.tag },
        "the head is the erasure"
    );
    // A node that missed the notice finds the places and tags that it knows, and what was erased.
    let gone = Referent::Erased { first };
    let stays = Referent::Entry { subject: subject("default", &other), seq: 1 };
    let expected = [
        (1, cursors[0].tag, gone.clone()),
        (2, cursors[1].tag, stays),
        (3, cursors[2].tag, gone.clone()),
        (4, notice.tag, gone),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(pos, tag, to)| Reference { pos, tag, to }).collect();
    assert_eq!(feed_of(&*store, partition).await, expected);
    assert_eq!(references(&*store, partition, 3).await.unwrap().len(), 2);

    let unknown = store.erase(erasure("never")).await.unwrap();
    assert!(unknown.is_nothing(), "{unknown:?}");
    let next = append_new(&*store, event(&other, "evt_more", 1)).await;
    let notice = feeds::next(&mut watcher).await;
    assert_eq!((notice.pos, notice.tag), (5, next.tag), "an erasure of nothing is no link");
}

pub(super) async fn i2_i3_an_event_after_an_erasure_begins_a_new_log(place: impl Backend) {
    let store = place.open(LONG).await;
    let mut old = Vec::new();
    for seq in 1..=2 {
        old.push(append_new(&*store, event("pay", &format!("evt_{seq}"), seq)).await);
    }
    store.erase(erasure("pay")).await.unwrap();
    // Neither its identity nor its provider is remembered.
    let mut again = event("pay", "evt_1", 7);
    again.provider = "adyen".into();
    let anew = append_new(&*store, again.clone()).await;
    assert_eq!(anew.seq, 1);
    assert_eq!(append(&*store, again).await, Appended::Duplicate { cursor: anew });
    let log = read(&*store, "pay").await;
    for cursor in old {
        assert!(cursor.tag != anew.tag && log.after(cursor).is_none(), "the old cursor is honoured");
    }
    // The new log is erased like the first one.
    let erased = store.erase(erasure("pay")).await.unwrap();
    assert_eq!((erased.events, erased.references), (1, 1));
}

pub(super) async fn a_claim_that_was_erased_is_settled_without_effect(place: impl Backend) {
    let store = place.open(LONG).await;
    let terms = ClaimTerms { spacing: AT_ONCE, lease: Duration::from_secs(60) };
    store.enqueue("acme", &"pay".parse().unwrap(), AT_ONCE).await.unwrap();
    let Claim::Pending(pending) = store.claim("acme", terms).await.unwrap() else { panic!("nothing is due") };
    assert_eq!(store.erase(erasure("pay")).await.unwrap().confirmations, 1);
    let after = AT_ONCE;
    store.settle(pending, paystream::store::Settlement::Postponed { after }).await.unwrap();
    assert_eq!(store.claim("acme", terms).await.unwrap(), Claim::Nothing);
    assert!(store.backlogs().await.unwrap().is_empty());
}

pub(super) async fn appends_and_erasures_at_the_same_time_leave_no_hole(place: impl Backend) {
    let store = place.open(LONG).await;
    let other = neighbour("pay");
    let partition = subject("default", "pay").partition();
    let mut watcher = store.watch().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (store, other) = (Arc::clone(&store), other.clone());
        tasks.spawn(async move {
            for number in 0..25 {
                let payment = if number % 2 == 0 { "pay" } else { other.as_str() };
                let event = event(payment, &format!("evt_{task}_{number}"), 1);
                store.append(Append { event, shared_ids: false }).await.unwrap();
                if number % 5 == task % 5 {
                    store.erase(erasure("pay")).await.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    let head = store.heads().await.unwrap()[usize::from(partition)].unwrap();
    let (mut previous, mut chain) = (Tag::NONE, Vec::new());
    for pos in 1..=head.pos {
        let notice = feeds::next(&mut watcher).await;
        assert_eq!((notice.pos, notice.previous), (pos, previous));
        previous = notice.tag;
        chain.push((pos, notice.tag));
    }
    let feed = feed_of(&*store, partition).await;
    assert!(feed.iter().map(|reference| (reference.pos, reference.tag)).eq(chain));
    // What the feed still names is there, and what is there is named.
    let named = |id: &str| {
        let is_it = |reference: &&Reference| matches!(&reference.to, Referent::Entry { subject, .. } if subject.id.as_str() == id);
        feed.iter().filter(is_it).count()
    };
    for payment in ["pay", &other] {
        assert_eq!(read(&*store, payment).await.entries.len(), named(payment), "{payment}");
    }
}
