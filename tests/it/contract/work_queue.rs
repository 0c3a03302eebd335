//! What every store promises about the work queue of pending confirmations.

use super::{LONG, PATIENCE, backend::Backend};
use paystream::{
    payment::Name,
    store::{Backlog, Claim, ClaimTerms, Delay, MAX_PENDING, Pending, Settlement, Store, StoreError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const NOW: Duration = Duration::ZERO;
/// A time that is longer than a busy machine delays a test, and short enough to wait for.
const SOON: Duration = Duration::from_secs(2);
/// Terms of a claim with no spacing, and with a lease that does not end during a test.
const FREELY: ClaimTerms = ClaimTerms { spacing: NOW, lease: LONG };

fn name(payment: &str) -> Name {
    payment.parse().unwrap()
}

async fn enqueue(store: &dyn Store, payment: &str) {
    store.enqueue("acme", &name(payment), NOW).await.unwrap();
}

async fn claim(store: &dyn Store, terms: ClaimTerms) -> Pending {
    match store.claim("acme", terms).await.unwrap() {
        Claim::Pending(pending) => pending,
        other => panic!("{other:?}"),
    }
}

/// Claims until there is a claim, each time after the delay that the store asks for.
async fn claim_in_time(store: &dyn Store, terms: ClaimTerms) -> (Pending, Duration) {
    let began = Instant::now();
    loop {
        match store.claim("acme", terms).await.unwrap() {
            Claim::Pending(pending) => return (pending, began.elapsed()),
            Claim::Later(after) => {
                assert!(after <= PATIENCE && began.elapsed() < PATIENCE, "{after:?}");
                tokio::time::sleep(after).await;
            }
            Claim::Nothing => panic!("nothing is pending any more"),
        }
    }
}

async fn is_held_back(store: &dyn Store, at_most: Duration) {
    match store.claim("acme", FREELY).await.unwrap() {
        Claim::Later(after) => assert!(after <= at_most, "{after:?}"),
        other => panic!("{other:?}"),
    }
}

async fn backlog(store: &dyn Store, source: &str) -> Backlog {
    store.backlogs().await.unwrap().get(source).copied().unwrap_or_default()
}

async fn count(store: &dyn Store) -> u64 {
    backlog(store, "acme").await.count
}

pub(super) async fn a_confirmation_is_owed_once_however_often_it_is_hinted_at(place: impl Backend) {
    let store = place.open(LONG).await;
    assert_eq!(store.claim("acme", FREELY).await.unwrap(), Claim::Nothing);
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { enqueue(&*store, "pay_1").await });
    }
    tasks.join_all().await;
    assert_eq!(count(&*store).await, 1);
    let pending = claim(&*store, FREELY).await;
    assert_eq!((&*pending.source, pending.payment.as_str(), pending.attempts), ("acme", "pay_1", 0));
    assert_eq!(count(&*store).await, 1, "it is pending until it is settled");
    is_held_back(&*store, LONG).await;
    store.settle(pending, Settlement::Done).await.unwrap();
    assert_eq!(store.claim("acme", FREELY).await.unwrap(), Claim::Nothing);
    assert_eq!(store.backlogs().await.unwrap(), BTreeMap::new());
}

pub(super) async fn a_hint_during_the_work_is_pending_anew(place: impl Backend) {
    let store = place.open(LONG).await;
    enqueue(&*store, "pay_1").await;
    let mut last = claim(&*store, FREELY).await;
    let answered = [Settlement::Done, Settlement::Doubted { after: LONG }];
    for settlement in [Settlement::Postponed { after: LONG }, answered[0], answered[1]] {
        // The earliest of the hints counts.
        for after in [SOON, LONG] {
            store.enqueue("acme", &name("pay_1"), after).await.unwrap();
        }
        is_held_back(&*store, LONG).await;
        store.settle(last.clone(), settlement).await.unwrap();
        is_held_back(&*store, SOON).await;
        let (next, _) = claim_in_time(&*store, FREELY).await;
        assert_ne!(next.ticket, last.ticket);
        assert_eq!(next.attempts, 0, "{settlement:?}");
        assert_eq!(next.since > last.since, answered.contains(&settlement), "{settlement:?}");
        last = next;
    }
    store.settle(last, Settlement::Done).await.unwrap();
    assert_eq!(count(&*store).await, 0);
}

pub(super) async fn a_hint_brings_a_pending_confirmation_forward(place: impl Backend) {
    let mut store = place.open(LONG).await;
    store.enqueue("acme", &name("pay_1"), LONG).await.unwrap();
    for after in [SOON, LONG] {
        store.enqueue("acme", &name("pay_1"), after).await.unwrap();
        is_held_back(&*store, SOON).await;
    }
    let mut last = claim_in_time(&*store, FREELY).await.0;
    for put_off in [Settlement::Doubted { after: LONG }, Settlement::Postponed { after: LONG }] {
        store.settle(last, put_off).await.unwrap();
        is_held_back(&*store, LONG).await;
        enqueue(&*store, "pay_1").await;
        drop(store);
        store = place.open(LONG).await;
        last = claim(&*store, FREELY).await;
        assert_eq!(last.attempts, 0, "{put_off:?}");
    }
    let since = last.since;
    store.settle(last, Settlement::Paused { after: 2 * SOON }).await.unwrap();
    enqueue(&*store, "pay_1").await;
    let (last, waited) = claim_in_time(&*store, FREELY).await;
    assert!(waited >= SOON, "the pause is all payments': {waited:?}");
    assert_eq!(last.since, since, "nobody has answered it yet");
}

pub(super) async fn a_doubted_answer_is_pending_since_it_came(place: impl Backend) {
    let store = place.open(LONG).await;
    store.enqueue("acme", &name("pay_1"), SOON / 2).await.unwrap();
    let mut last = claim_in_time(&*store, FREELY).await.0;
    for attempts in 1..=2 {
        let first = last.clone();
        store.settle(last, Settlement::Doubted { after: SOON }).await.unwrap();
        is_held_back(&*store, SOON).await;
        last = claim_in_time(&*store, FREELY).await.0;
        assert_eq!((last.attempts, last.since > first.since), (attempts, true));
    }
}

pub(super) async fn what_is_due_first_is_claimed_first(place: impl Backend) {
    let store = place.open(LONG).await;
    for (payment, after) in [("c", 3 * SOON), ("a", NOW), ("b", SOON)] {
        store.enqueue("acme", &name(payment), after).await.unwrap();
    }
    for (payment, least) in [("a", NOW), ("b", SOON / 2), ("c", SOON)] {
        let (pending, waited) = claim_in_time(&*store, FREELY).await;
        assert_eq!(pending.payment.as_str(), payment);
        assert!(waited >= least, "{payment} was claimed after {waited:?}");
    }
}

pub(super) async fn what_is_postponed_comes_back_with_its_attempts(place: impl Backend) {
    let store = place.open(LONG).await;
    enqueue(&*store, "pay_1").await;
    let mut last = claim(&*store, FREELY).await;
    for attempts in 1..=3 {
        let since = last.since;
        store.settle(last, Settlement::Postponed { after: SOON }).await.unwrap();
        is_held_back(&*store, SOON).await;
        last = claim_in_time(&*store, FREELY).await.0;
        assert_eq!((last.attempts, last.since), (attempts, since));
    }
    let oldest = backlog(&*store, "acme").await.oldest;
    assert!(oldest >= 2 * SOON && oldest < PATIENCE, "{oldest:?}");
}

pub(super) async fn what_delays_are_counted_by_is_their_reason(place: impl Backend) {
    let mut store = place.open(LONG).await;
    enqueue(&*store, "pay_1").await;
    let mut last = claim(&*store, FREELY).await;
    assert_eq!((last.delay, last.attempts), (None, 0));
    let (doubted, puzzled) = (Settlement::Doubted { after: NOW }, Settlement::Puzzled { after: NOW });
    let (postponed, paused) = (Settlement::Postponed { after: NOW }, Settlement::Paused { after: NOW });
    for (settlement, delay, attempts) in [
        (postponed, Delay::Failed, 1),
        (paused, Delay::Failed, 2),
        (puzzled, Delay::Puzzled, 1),
        (puzzled, Delay::Puzzled, 2),
        (doubted, Delay::Doubted, 1),
        (postponed, Delay::Failed, 1),
        (doubted, Delay::Doubted, 1),
        (doubted, Delay::Doubted, 2),
    ] {
        let before = last.delayed_since;
        // The time is later than before by any clock.
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.settle(last, settlement).await.unwrap();
        drop(store);
        store = place.open(LONG).await;
        last = claim(&*store, FREELY).await;
        let is_first = attempts == 1;
        let told = (last.delay, last.attempts, last.delayed_since > before);
        assert_eq!(told, (Some(delay), attempts, is_first), "{settlement:?}");
    }
}

pub(super) async fn a_lease_that_is_over_leaves_its_holder_nothing_to_settle(place: impl Backend) {
    let store = place.open(LONG).await;
    enqueue(&*store, "pay_1").await;
    let first = claim(&*store, ClaimTerms { lease: SOON, ..FREELY }).await;
    let (second, waited) = claim_in_time(&*store, FREELY).await;
    assert!(waited >= SOON / 2 && second.ticket != first.ticket, "{waited:?}");
    for settlement in
        [Settlement::Done, Settlement::Postponed { after: NOW }, Settlement::Paused { after: NOW }]
    {
        store.settle(first.clone(), settlement).await.unwrap();
        assert_eq!(count(&*store).await, 1);
        is_held_back(&*store, LONG).await;
    }
    store.settle(second.clone(), Settlement::Done).await.unwrap();
    assert_eq!(count(&*store).await, 0);
    // A caller repeats a settlement whose answer was lost.
    store.settle(second, Settlement::Done).await.unwrap();
}

pub(super) async fn claims_of_a_source_keep_their_spacing_and_its_pauses(place: impl Backend) {
    let store = place.open(LONG).await;
    for payment in ["a", "b", "c"] {
        enqueue(&*store, payment).await;
    }
    store.enqueue("other", &name("a"), NOW).await.unwrap();
    let spaced = ClaimTerms { spacing: SOON, lease: LONG };
    let first = claim(&*store, spaced).await;
    is_held_back(&*store, SOON).await;
    assert!(matches!(store.claim("other", spaced).await.unwrap(), Claim::Pending(_)), "sources are apart");
    let (_, waited) = claim_in_time(&*store, FREELY).await;
    assert!(waited >= SOON / 2, "{waited:?}");
    store.settle(first, Settlement::Paused { after: 2 * SOON }).await.unwrap();
    let (_, waited) = claim_in_time(&*store, FREELY).await;
    assert!(waited >= SOON, "{waited:?}");
}

pub(super) async fn all_sources_with_a_backlog_are_listed(place: impl Backend) {
    let mut store = place.open(LONG).await;
    for (source, payment) in [("acme", "a"), ("acme", "b"), ("pending", "a"), ("pending:{acme}", "a")] {
        store.enqueue(source, &name(payment), NOW).await.unwrap();
    }
    for settled in [false, true] {
        if settled {
            // A source whose confirmations are all settled has no backlog.
            let Claim::Pending(pending) = store.claim("pending", FREELY).await.unwrap() else { panic!() };
            store.settle(pending, Settlement::Done).await.unwrap();
        }
        let counts = async |store: &dyn Store| {
            let backlogs = store.backlogs().await.unwrap().into_iter();
            backlogs.map(|(source, backlog)| (source.to_string(), backlog.count)).collect::<Vec<_>>()
        };
        let mut expected =
            vec![("acme".to_owned(), 2), ("pending".to_owned(), 1), ("pending:{acme}".to_owned(), 1)];
        expected.retain(|(source, _)| !settled || source != "pending");
        assert_eq!(counts(&*store).await, expected);
        drop(store);
        store = place.open(LONG).await;
        assert_eq!(counts(&*store).await, expected);
    }
}

pub(super) async fn each_is_claimed_by_one_of_many(place: impl Backend) {
    const PAYMENTS: usize = 60;
    let store = place.open(LONG).await;
    for number in 0..PAYMENTS {
        enqueue(&*store, &format!("pay_{number}")).await;
    }
    let mut tasks = JoinSet::new();
    for _ in 0..PAYMENTS {
        let store = Arc::clone(&store);
        tasks.spawn(async move { claim(&*store, FREELY).await.payment.to_string() });
    }
    let claimed: BTreeSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(claimed.len(), PAYMENTS);
}

pub(super) async fn i1_what_is_owed_survives_a_reopening(place: impl Backend) {
    let mut store = place.open(LONG).await;
    enqueue(&*store, "pay_1").await;
    enqueue(&*store, "pay_2").await;
    let postponed = claim(&*store, FREELY).await;
    store.settle(postponed, Settlement::Postponed { after: NOW }).await.unwrap();
    // This one is claimed and not settled, as by a node that died.
    let held = claim(&*store, ClaimTerms { lease: SOON, ..FREELY }).await;
    drop(store);
    store = place.open(LONG).await;
    assert_eq!(count(&*store).await, 2);
    let mut again = Vec::new();
    for _ in 0..2 {
        again.push(claim_in_time(&*store, FREELY).await.0);
    }
    again.sort_by(|a, b| a.payment.cmp(&b.payment));
    assert_eq!(again.iter().map(|pending| pending.payment.as_str()).collect::<Vec<_>>(), ["pay_1", "pay_2"]);
    assert_eq!(again.iter().map(|pending| pending.attempts).sum::<u32>(), 1);
    assert!(again.iter().any(|pending| (&pending.payment, pending.since) == (&held.payment, held.since)));
    for pending in again {
        store.settle(pending, Settlement::Done).await.unwrap();
    }
    drop(store);
    assert_eq!(count(&*place.open(LONG).await).await, 0, "what is settled stays settled");
}

pub(super) async fn a_source_has_so_many_pending_and_no_more(place: impl Backend) {
    let store = place.open(LONG).await;
    // As many run at once as the writer takes in one batch.
    const AT_ONCE: usize = 2048;
    for first in (0..MAX_PENDING).step_by(AT_ONCE) {
        let mut tasks = JoinSet::new();
        for number in first..first + AT_ONCE {
            let store = Arc::clone(&store);
            tasks.spawn(async move { enqueue(&*store, &format!("pay_{number}")).await });
        }
        tasks.join_all().await;
    }
    assert_eq!(count(&*store).await, MAX_PENDING as u64);
    let refused = store.enqueue("acme", &name("one_more"), NOW).await;
    assert!(matches!(refused, Err(StoreError::TooManyPending)), "{refused:?}");
    enqueue(&*store, "pay_7").await;
    store.enqueue("other", &name("one_more"), NOW).await.unwrap();
    let pending = claim(&*store, FREELY).await;
    store.settle(pending, Settlement::Done).await.unwrap();
    enqueue(&*store, "one_more").await;
}
