//! What every store promises: one suite, stamped once for each store by [`suite!`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::needless_pass_by_value,
    reason = "a test may end where something is wrong, and counts small numbers"
)]

mod backend;
mod erase;
mod feeds;
mod held;
mod index;
mod labels;
mod parts;
mod receipts;
mod records;
mod trail;
mod work_queue;

pub(crate) use backend::redis_settings;
use backend::{Backend, Embedded, Redis, RedisCluster, RedisGroup, RedisShards};
use erase::{
    a_claim_that_was_erased_is_settled_without_effect, an_erasure_is_a_link_of_the_chain_of_its_partition,
    an_erasure_removes_all_that_bears_the_payment_and_nothing_else,
    appends_and_erasures_at_the_same_time_leave_no_hole, i2_i3_an_event_after_an_erasure_begins_a_new_log,
};
use feeds::{
    a_feed_is_read_from_a_place_on_or_gone, i3_a_watcher_that_lags_heals_from_the_feeds,
    i3_concurrent_appends_leave_no_hole, next, notices_come_in_order_with_an_unbroken_chain, references,
};
use held::{
    a_held_record_is_settled_once, an_erasure_removes_what_is_held_of_a_payment,
    i1_a_held_record_survives_with_its_body, nothing_displaces_what_is_held,
};
use index::{
    an_erased_payment_leaves_the_index, every_append_writes_its_place_in_the_index,
    i1_the_index_survives_a_reopening, i5_each_realm_has_an_index_of_its_own,
    the_index_is_bounded_and_says_since_when_it_is_complete, the_index_is_read_from_a_time_on,
    whoever_reads_on_from_the_last_change_misses_nothing, without_an_index_nothing_is_kept_for_one,
};
use labels::i1_a_label_is_bound_once_durably_and_in_the_partition_of_its_id;
use parts::{
    an_erasure_of_a_payment_leaves_the_work_of_a_part_of_the_same_name,
    i1_a_gateway_that_dies_between_a_binding_and_its_hand_over_strands_nothing,
    i1_what_waits_for_its_payment_survives_a_reopening,
    i4_any_order_of_bindings_and_of_events_of_parts_ends_alike,
};
use paystream::{
    payment::{Cursor, Event, Fact, Money, PARTITIONS, Phase, Subject, Tag, Time, Trust},
    store::{Append, Appended, Conflict, Erasure, Head, Log, MAX_LOG, RecordLog, Store},
};
use receipts::{
    a_receipt_has_bounds_and_keeps_what_came_first,
    a_receipt_outlives_a_restart_and_what_is_new_is_not_too_old,
    an_erasure_removes_the_receipt_of_its_payment_alone,
    lines_are_added_to_the_receipt_of_their_payment_alone,
};
pub(crate) use records::record;
use records::{
    i1_records_of_the_quarantine_survive_with_their_shares,
    nobody_s_junk_displaces_a_record_of_another_reason, records_are_bounded_and_newest_first,
    records_are_read_a_page_at_a_time,
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::broadcast::error::TryRecvError, task::JoinSet};
use trail::{
    i1_the_audit_trail_survives_is_bounded_and_read_a_page_at_a_time,
    what_is_too_old_is_removed_and_nothing_else,
};
use work_queue::{
    a_confirmation_is_owed_once_however_often_it_is_hinted_at, a_doubted_answer_is_pending_since_it_came,
    a_hint_brings_a_pending_confirmation_forward, a_hint_during_the_work_is_pending_anew,
    a_lease_that_is_over_leaves_its_holder_nothing_to_settle, a_source_has_so_many_pending_and_no_more,
    all_sources_with_a_backlog_are_listed, claims_of_a_source_keep_their_spacing_and_its_pauses,
    each_is_claimed_by_one_of_many, i1_what_is_owed_survives_a_reopening,
    what_delays_are_counted_by_is_their_reason, what_is_due_first_is_claimed_first,
    what_is_postponed_comes_back_with_its_attempts,
};

macro_rules! stamp {
    ($module:ident, $backend:ty: $($property:ident)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $property() {
                    super::$property(<$backend as super::Backend>::fresh().await).await;
                }
            )+
        }
    };
}

/// Stamps the whole suite for a backend.
macro_rules! suite {
    ($module:ident, $backend:ty) => {
        stamp! { $module, $backend:
            an_append_gets_the_next_seq_and_a_tag_of_its_own
            i1_what_was_acknowledged_survives_a_reopening
            i2_once_however_often_and_concurrently_it_is_delivered
            i2_a_duplicate_is_told_where_its_original_stands
            i2_other_facts_under_the_same_identity_are_refused
            another_providers_event_needs_shared_ids
            a_log_is_full_at_its_bound
            i5_realms_are_isolated
            a_subject_never_heard_of_reads_as_empty
            notices_come_in_order_with_an_unbroken_chain
            a_feed_is_read_from_a_place_on_or_gone
            i3_concurrent_appends_leave_no_hole
            i3_a_watcher_that_lags_heals_from_the_feeds
            records_are_bounded_and_newest_first
            records_are_read_a_page_at_a_time
            nobody_s_junk_displaces_a_record_of_another_reason
            i1_records_of_the_quarantine_survive_with_their_shares
            i1_a_held_record_survives_with_its_body
            a_held_record_is_settled_once
            nothing_displaces_what_is_held
            an_erasure_removes_what_is_held_of_a_payment
            i1_the_audit_trail_survives_is_bounded_and_read_a_page_at_a_time
            what_is_too_old_is_removed_and_nothing_else
            lines_are_added_to_the_receipt_of_their_payment_alone
            a_receipt_has_bounds_and_keeps_what_came_first
            an_erasure_removes_the_receipt_of_its_payment_alone
            a_receipt_outlives_a_restart_and_what_is_new_is_not_too_old
            a_log_ends_after_its_history_and_begins_anew
            a_store_that_is_open_is_healthy_and_a_closed_one_refuses
            a_confirmation_is_owed_once_however_often_it_is_hinted_at
            a_hint_during_the_work_is_pending_anew
            a_hint_brings_a_pending_confirmation_forward
            a_doubted_answer_is_pending_since_it_came
            what_is_due_first_is_claimed_first
            what_is_postponed_comes_back_with_its_attempts
            what_delays_are_counted_by_is_their_reason
            a_lease_that_is_over_leaves_its_holder_nothing_to_settle
            claims_of_a_source_keep_their_spacing_and_its_pauses
            all_sources_with_a_backlog_are_listed
            each_is_claimed_by_one_of_many
            i1_what_is_owed_survives_a_reopening
            a_source_has_so_many_pending_and_no_more
            an_erasure_removes_all_that_bears_the_payment_and_nothing_else
            an_erasure_is_a_link_of_the_chain_of_its_partition
            i2_i3_an_event_after_an_erasure_begins_a_new_log
            a_claim_that_was_erased_is_settled_without_effect
            appends_and_erasures_at_the_same_time_leave_no_hole
            i1_a_label_is_bound_once_durably_and_in_the_partition_of_its_id
            i4_any_order_of_bindings_and_of_events_of_parts_ends_alike
            i1_a_gateway_that_dies_between_a_binding_and_its_hand_over_strands_nothing
            i1_what_waits_for_its_payment_survives_a_reopening
            an_erasure_of_a_payment_leaves_the_work_of_a_part_of_the_same_name
            every_append_writes_its_place_in_the_index
            the_index_is_read_from_a_time_on
            i5_each_realm_has_an_index_of_its_own
            i1_the_index_survives_a_reopening
            the_index_is_bounded_and_says_since_when_it_is_complete
            an_erased_payment_leaves_the_index
            without_an_index_nothing_is_kept_for_one
            whoever_reads_on_from_the_last_change_misses_nothing
        }
    };
}

suite!(embedded_store, super::Embedded);
suite!(redis_store, super::Redis);
suite!(redis_store_in_a_cluster, super::RedisCluster);
suite!(redis_store_on_three_shards, super::RedisShards);
suite!(redis_store_that_sentinels_watch, super::RedisGroup);

const LONG: Duration = Duration::from_secs(180 * 86_400);
/// For conditions that come true in milliseconds unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn subject(realm: &str, id: &str) -> Subject {
    Subject::payment(realm.parse().unwrap(), id.parse().unwrap())
}

/// Event `id` about a payment of the default realm; the amount is what tells its facts from others.
pub(crate) fn event(payment: &str, id: &str, amount: i64) -> Event {
    Event {
        id: id.into(),
        source: "acme".into(),
        provider: "stripe".into(),
        kind: "payment_intent.succeeded".into(),
        occurred_at: Time::from_unix_s(1_700_000_000).ok(),
        received_at: Time::from_unix_s(1_700_000_001).unwrap(),
        subject: subject("default", payment),
        live: true,
        trust: Trust::Verified,
        facts: vec![Fact::phase(Phase::Captured, Some(Money { amount, currency: "EUR".parse().unwrap() }))],
        labels: Vec::new(),
        parts: Vec::new(),
        binding: None,
    }
}

async fn append(store: &dyn Store, event: Event) -> Appended {
    store.append(Append { event, shared_ids: false }).await.unwrap()
}

async fn append_new(store: &dyn Store, event: Event) -> Cursor {
    match append(store, event).await {
        Appended::New { cursor } => cursor,
        other => panic!("{other:?}"),
    }
}

async fn read(store: &dyn Store, payment: &str) -> Log {
    store.read(&subject("default", payment)).await.unwrap()
}

async fn an_append_gets_the_next_seq_and_a_tag_of_its_own(place: impl Backend) {
    let store = place.open(LONG).await;
    let mut tags = BTreeSet::new();
    for seq in 1..=20 {
        let cursor = append_new(&*store, event("pay", &format!("evt_{seq}"), seq)).await;
        assert_eq!(cursor.seq, seq.unsigned_abs());
        assert!(cursor.tag != Tag::NONE && tags.insert(cursor.tag), "a tag came twice");
        let log = read(&*store, "pay").await;
        assert_eq!(log.head(), cursor);
        assert_eq!(*log.entries.last().unwrap().event, event("pay", &format!("evt_{seq}"), seq));
    }
}

async fn i1_what_was_acknowledged_survives_a_reopening(place: impl Backend) {
    let payments = ["a", "b", "c"];
    let mut store = place.open(LONG).await;
    for round in 0..3 {
        for payment in payments {
            append_new(&*store, event(payment, &format!("evt_{round}"), round)).await;
        }
        store.record(record(RecordLog::Quarantine, "acme", round)).await.unwrap();
        let heads = store.heads().await.unwrap();
        let mut logs = Vec::new();
        let mut feeds = Vec::new();
        for payment in payments {
            logs.push(read(&*store, payment).await);
            feeds.push(references(&*store, subject("default", payment).partition(), 1).await);
        }

        drop(store);
        store = place.open(LONG).await;

        assert_eq!(store.heads().await.unwrap(), heads);
        for (index, payment) in payments.into_iter().enumerate() {
            assert_eq!(read(&*store, payment).await, logs[index]);
            let partition = subject("default", payment).partition();
            assert_eq!(references(&*store, partition, 1).await, feeds[index]);
            let again = append(&*store, event(payment, &format!("evt_{round}"), round)).await;
            assert_eq!(again, Appended::Duplicate { cursor: logs[index].head() });
        }
        let records = records::newest(&*store, RecordLog::Quarantine, "acme", 10).await;
        assert_eq!(records.len() as i64, round + 1);
    }
}

async fn i2_once_however_often_and_concurrently_it_is_delivered(place: impl Backend) {
    let store = place.open(LONG).await;
    let mut watcher = store.watch().await;
    let mut tasks = JoinSet::new();
    for _ in 0..1000 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { append(&*store, event("pay", "evt_1", 1)).await });
    }
    let mut new = 0;
    let mut cursors = BTreeSet::new();
    for appended in tasks.join_all().await {
        match appended {
            Appended::New { cursor, .. } => {
                new += 1;
                cursors.insert(cursor.to_string());
            }
            Appended::Duplicate { cursor } => _ = cursors.insert(cursor.to_string()),
            Appended::Conflict(why) => panic!("{why:?}"),
        }
    }
    assert_eq!((new, cursors.len()), (1, 1), "{cursors:?}");
    assert_eq!(read(&*store, "pay").await.entries.len(), 1);
    next(&mut watcher).await;
    assert_eq!(watcher.try_recv(), Err(TryRecvError::Empty), "a duplicate gave a notice");
}

async fn i2_a_duplicate_is_told_where_its_original_stands(place: impl Backend) {
    let store = place.open(LONG).await;
    let first = append_new(&*store, event("pay", "evt_1", 1)).await;
    append_new(&*store, event("pay", "evt_2", 2)).await;
    // A retry arrives later, and may say again when it happened; neither makes it another event.
    let mut retry = event("pay", "evt_1", 1);
    retry.received_at = Time::from_unix_s(1_800_000_000).unwrap();
    retry.occurred_at = None;
    assert_eq!(append(&*store, retry).await, Appended::Duplicate { cursor: first });
    // The same id from another source is another event, and so is the same id about another payment.
    let mut other = event("pay", "evt_1", 1);
    other.source = "acme-eu".into();
    assert_eq!(append_new(&*store, other).await.seq, 3);
    assert_eq!(append_new(&*store, event("other", "evt_1", 1)).await.seq, 1);
}

async fn i2_other_facts_under_the_same_identity_are_refused(place: impl Backend) {
    let store = place.open(LONG).await;
    append_new(&*store, event("pay", "evt_1", 1)).await;
    let before = read(&*store, "pay").await;
    let mut other_type = event("pay", "evt_1", 1);
    other_type.kind = "payment_intent.canceled".into();
    // The facts are compared before the provider.
    let mut other_provider = event("pay", "evt_1", 2);
    other_provider.provider = "adyen".into();
    for differing in [event("pay", "evt_1", 2), other_type, other_provider] {
        let appended = append(&*store, differing).await;
        assert_eq!(appended, Appended::Conflict(Conflict::FactsDiffer));
    }
    assert_eq!(read(&*store, "pay").await, before);
    assert_eq!(append_new(&*store, event("pay", "evt_2", 2)).await.seq, 2);
}

async fn another_providers_event_needs_shared_ids(place: impl Backend) {
    let store = place.open(LONG).await;
    append_new(&*store, event("pay", "evt_1", 1)).await;
    let mut foreign = event("pay", "psp_1", 1);
    foreign.provider = "adyen".into();
    foreign.source = "adyen-live".into();
    let appended = append(&*store, foreign.clone()).await;
    assert_eq!(appended, Appended::Conflict(Conflict::OtherProvider));
    assert_eq!(read(&*store, "pay").await.entries.len(), 1);
    let shared = store.append(Append { event: foreign, shared_ids: true }).await.unwrap();
    assert!(matches!(shared, Appended::New { cursor: Cursor { seq: 2, .. }, .. }), "{shared:?}");
    // The log still belongs to the provider of its first event.
    assert_eq!(append_new(&*store, event("pay", "evt_2", 1)).await.seq, 3);
}

async fn a_log_is_full_at_its_bound(place: impl Backend) {
    let store = place.open(LONG).await;
    let mut first = None;
    let mut tasks = JoinSet::new();
    for number in 0..MAX_LOG {
        let event = event("pay", &format!("evt_{number}"), 1);
        if number == 0 {
            first = Some(append_new(&*store, event).await);
            continue;
        }
        let store = Arc::clone(&store);
        tasks.spawn(async move { append_new(&*store, event).await.seq });
    }
    assert_eq!(tasks.join_all().await.into_iter().max(), Some(MAX_LOG as u64));
    let full = append(&*store, event("pay", "evt_more", 1)).await;
    assert_eq!(full, Appended::Conflict(Conflict::LogFull));
    assert_eq!(read(&*store, "pay").await.entries.len(), MAX_LOG);
    let known = append(&*store, event("pay", "evt_0", 1)).await;
    assert_eq!(known, Appended::Duplicate { cursor: first.unwrap() });
}

async fn i5_realms_are_isolated(place: impl Backend) {
    let store = place.open(LONG).await;
    append_new(&*store, event("pay", "evt_1", 1)).await;
    let mut test = event("pay", "evt_1", 2);
    test.subject = subject("test", "pay");
    assert_eq!(append_new(&*store, test.clone()).await.seq, 1);
    assert_eq!(read(&*store, "pay").await.entries.len(), 1);
    let log = store.read(&subject("test", "pay")).await.unwrap();
    assert_eq!(*log.entries[0].event, test);
    // These names would be the same if realm and id were merely joined.
    for (realm, id) in
        [("defaultp", "ay"), ("default", "pa"), ("default", "payment/pay"), ("default/payment", "pay")]
    {
        assert_eq!(store.read(&subject(realm, id)).await.unwrap(), Log::default(), "{realm} {id}");
    }
}

async fn a_subject_never_heard_of_reads_as_empty(place: impl Backend) {
    let store = place.open(LONG).await;
    let log = read(&*store, "never").await;
    assert_eq!((log.head(), log), (Cursor::START, Log::default()));
    assert_eq!(store.heads().await.unwrap(), vec![Some(Head::default()); PARTITIONS]);
    assert_eq!(references(&*store, 7, 1).await, Some(Vec::new()));
}

async fn a_log_ends_after_its_history_and_begins_anew(place: impl Backend) {
    let store = place.open(Duration::from_millis(300)).await;
    let old = append_new(&*store, event("pay", "evt_1", 1)).await;
    let started = Instant::now();
    while read(&*store, "pay").await.head() != Cursor::START {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // With the log, the memory of its events and its claim on the payment have ended.
    let mut anew = event("pay", "evt_1", 7);
    anew.provider = "adyen".into();
    let cursor = append_new(&*store, anew).await;
    assert_eq!(cursor.seq, 1, "the log begins anew");
    let head = store.heads().await.unwrap()[usize::from(subject("default", "pay").partition())].unwrap();
    assert_eq!(head, Head { pos: 2, tag: cursor.tag }, "the feed goes on");
    assert_ne!(cursor.tag, old.tag);
}

async fn a_store_that_is_open_is_healthy_and_a_closed_one_refuses(place: impl Backend) {
    let store = place.open(LONG).await;
    store.health().await.unwrap();
    store.close().await;
    assert!(store.health().await.is_err());
    assert!(store.append(Append { event: event("pay", "evt_1", 1), shared_ids: false }).await.is_err());
    assert!(store.read(&subject("default", "pay")).await.is_err());
    assert!(store.heads().await.is_err());
    assert!(store.feed(0, 1).await.is_err());
    assert!(store.backlogs().await.is_err());
    let (sources, others) = Default::default();
    assert!(
        store
            .erase(Erasure { subject: subject("default", "pay"), sources, others, parts: Default::default() })
            .await
            .is_err()
    );
}
