//! Carrying into the tree: whenever it happens, nothing that is read changes.

#![expect(clippy::cast_possible_truncation, reason = "a test counts small numbers")]

use super::*;
use crate::store::{FEED_LEN, OutcomeKind, RECORDS_PER_SOURCE, ReasonCode, Referent};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use std::collections::BTreeSet;

/// A pace at which the carrier is never idle.
const ALWAYS: Pace = Pace { bytes: 1, after: Duration::ZERO };

fn record(log: RecordLog, number: i64) -> Record {
    Record {
        log,
        source: "acme".into(),
        at: Time::from_unix_s(number).unwrap(),
        outcome: OutcomeKind::Quarantined,
        reason: ReasonCode::known("unknown_state"),
        event: None,
        unsigned_id: None,
        kind: None,
        payment: None,
        seq: None,
        place: None,
        part: None,
        failure_code: None,
        found: None,
        bytes: None,
        secret: None,
        diagnosis: None,
        confirmation: None,
        held: None,
    }
}

/// Payments of one partition, as many as an overflow of its feed takes.
fn payments() -> Vec<String> {
    let partition = |payment: &str| event(payment, "").subject.partition();
    let all = (0..).map(|number| format!("pay_{number}"));
    all.filter(|payment| partition(payment) == partition("pay_0")).take(4).collect()
}

/// What the store has to answer.
#[derive(Default)]
struct Expected {
    logs: BTreeMap<String, Vec<(String, Cursor)>>,
    feed: Vec<(u64, Cursor)>,
    records: BTreeMap<bool, Vec<Record>>,
    pending: BTreeSet<String>,
}

async fn check(store: &Embedded, expected: &Expected, random: &mut ChaCha8Rng) {
    for (payment, events) in &expected.logs {
        let log = read(store, payment).await;
        let kept = log.entries.iter().map(|entry| &*entry.event.id);
        assert!(kept.eq(events.iter().map(|(id, _)| id)), "{payment}");
        let (id, cursor) = &events[random.random_range(0..events.len())];
        assert_eq!(append(store, payment, id).await, Appended::Duplicate { cursor: *cursor });
    }
    let partition = event("pay_0", "").subject.partition();
    let head = expected.feed.len() as u64;
    assert_eq!(store.heads().await.unwrap()[usize::from(partition)].unwrap().pos, head);
    let oldest = (head + 1).saturating_sub(FEED_LEN).max(1);
    for from in [oldest, head, random.random_range(oldest..=head)] {
        let Feed::References(references) = store.feed(partition, from).await.unwrap() else {
            panic!("{from}")
        };
        let places = references.iter().map(|one| match one.to {
            Referent::Entry { seq, .. } => (one.pos, Cursor { tag: one.tag, seq }),
            Referent::Erased { .. } => panic!("{one:?}"),
        });
        assert!(places.eq(expected.feed[from as usize - 1..].iter().copied()), "from {from}");
    }
    if oldest > 1 {
        assert!(matches!(store.feed(partition, oldest - 1).await.unwrap(), Feed::Gone(_)));
    }
    for (is_quarantine, records) in &expected.records {
        let log = if *is_quarantine { RecordLog::Quarantine } else { RecordLog::Deliveries };
        let mut newest = records.iter().rev().take(RECORDS_PER_SOURCE);
        let (limit, mut before) = (random.random_range(1..400), None);
        loop {
            let page = store.records(log, "acme", before, limit).await.unwrap();
            assert!(page.records.iter().eq(newest.by_ref().take(page.records.len())));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(newest.next(), None);
    }
    let backlog = store.backlogs().await.unwrap().get("acme").map_or(0, |backlog| backlog.count);
    assert_eq!(backlog, expected.pending.len() as u64);
}

async fn change(store: &Embedded, expected: &mut Expected, number: i64, random: &mut ChaCha8Rng) {
    let payment = payments().remove(random.random_range(0..4));
    let id = number.to_string();
    let appended = append(store, &payment, &id).await;
    let Appended::New { cursor } = appended else { panic!("{appended:?}") };
    expected.feed.push((expected.feed.len() as u64 + 1, cursor));
    expected.logs.entry(payment.clone()).or_default().push((id, cursor));
    let is_quarantine = random.random_bool(0.5);
    let log = if is_quarantine { RecordLog::Quarantine } else { RecordLog::Deliveries };
    store.record(record(log, number)).await.unwrap();
    expected.records.entry(is_quarantine).or_default().push(record(log, number));
    match random.random_range(0..10) {
        0 => {
            store.enqueue("acme", &payment.parse().unwrap(), Duration::ZERO).await.unwrap();
            expected.pending.insert(payment);
        }
        1 => {
            let terms = ClaimTerms { spacing: Duration::ZERO, lease: Duration::from_secs(3600) };
            if let Claim::Pending(pending) = store.claim("acme", terms).await.unwrap() {
                expected.pending.remove(pending.payment.as_str());
                store.settle(pending, Settlement::Done).await.unwrap();
            }
        }
        _ => {}
    }
}

async fn whatever_is_carried(pace: Pace, changes: i64) {
    let dir = tempfile::tempdir().unwrap();
    let open = || open_by(Machinery { pace, ..Machinery::default() }, dir.path());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut store, mut expected) = (open(), Expected::default());
    for number in 0..changes {
        change(&store, &mut expected, number, &mut random).await;
        if number % 150 == 149 {
            check(&store, &expected, &mut random).await;
        }
        if number % 400 == 399 {
            store.close_blocking();
            store = open();
            check(&store, &expected, &mut random).await;
        }
    }
    // Twice the length of a ring has gone through; what it no longer holds is gone from the tree too, but for a chunk.
    store.close_blocking();
    let (tree, _files) = Tree::open(dir.path()).unwrap();
    let now = tree.now();
    let items = |prefix: &[u8]| -> usize {
        now.after(prefix, &[]).map(|pair| layout::items(&pair.unwrap().1).unwrap().len()).sum()
    };
    assert!(items(b"f") <= FEED_LEN as usize + layout::CHUNK, "{}", items(b"f"));
    assert!(items(b"q") <= RECORDS_PER_SOURCE && items(b"d") <= RECORDS_PER_SOURCE);
}

#[tokio::test]
async fn a_store_that_always_carries_answers_as_if_it_never_did() {
    whatever_is_carried(ALWAYS, 1500).await;
}

#[tokio::test]
async fn a_store_that_carries_when_it_is_closed_answers_as_if_it_never_did() {
    whatever_is_carried(Pace { bytes: usize::MAX, after: Duration::from_secs(3600) }, 1500).await;
}

/// What is sent of an open store.
pub(super) async fn sent(store: &Embedded) -> Vec<u8> {
    let (mut backup, mut bytes) = (store.backup().await.unwrap().unwrap(), Vec::new());
    while let Some(chunk) = backup.recv().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

/// Backups in the midst of all this, of what only the journal holds, what is being carried and what the tree holds.
async fn backups_whatever_is_carried(pace: Pace) {
    let dir = tempfile::tempdir().unwrap();
    let store = open_by(Machinery { pace, ..Machinery::default() }, &dir.path().join("live"));
    let (mut random, mut expected) = (ChaCha8Rng::seed_from_u64(11), Expected::default());
    for number in 0..1500 {
        change(&store, &mut expected, number, &mut random).await;
        if number % 250 == 249 {
            let copy = dir.path().join(number.to_string());
            // Nobody waits for the record of a delivery. What is answered after it says that it is written.
            store.health().await.unwrap();
            copy_from_gateway(&*sent(&store).await, None, &copy).unwrap();
            for _ in 0..2 {
                check(&open(&copy).unwrap(), &expected, &mut random).await;
            }
        }
    }
    check(&store, &expected, &mut random).await;
}

#[tokio::test]
async fn a_backup_of_what_the_journal_holds_answers_like_the_store() {
    backups_whatever_is_carried(Pace { bytes: usize::MAX, after: Duration::from_secs(3600) }).await;
}

#[tokio::test]
async fn a_backup_of_what_is_carried_in_part_answers_like_the_store() {
    backups_whatever_is_carried(Pace { bytes: 30_000, after: Duration::from_secs(3600) }).await;
}

#[test]
fn subjects_are_read_back_from_the_keys_of_their_metas() {
    for payment in ["pay", "order/7:a"] {
        let subject = event(payment, "").subject;
        assert_eq!(layout::subject_of_meta(&layout::meta(&subject)).unwrap(), subject);
    }
    for key in [
        &b"m"[..],
        b"mdefault\0payment\0",
        b"mdefault\0payout\0x\0",
        b"mdefault\0payment\0x\0y\0",
        b"edefault\0payment\0x\0",
    ] {
        assert!(layout::subject_of_meta(key).is_err());
    }
}
