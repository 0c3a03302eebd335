//! Appends that wait together share a call of the script: each has its own answer, none hinders another, and none happens twice.

use super::{append, append_new, event, open, store_at, subject, try_open};
use crate::support::{Proxy, RedisServer, Trouble, eventually};
use futures_util::future::join_all;
use paystream::{
    payment::Cursor,
    store::{Append, Appended, Conflict, Feed, Referent, Store, StoreError, redis::Redis},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::task::JoinSet;

const SCRIPT: &str = include_str!("../../../src/store/redis/append.lua");

/// What the script is told about one append.
#[derive(Clone, Copy)]
struct Told {
    payment: &'static str,
    tag: &'static str,
    identity: &'static str,
    digest: &'static str,
    provider: &'static str,
}

const fn told(payment: &'static str, tag: &'static str, identity: &'static str) -> Told {
    Told { payment, tag, identity, digest: "0123456789abcdef", provider: "stripe" }
}

/// Runs the script as the store does, with tags that the test chooses; returns the answer in one line.
fn run(server: &RedisServer, appends: &[Told]) -> String {
    let key = |what: &str, append: &Told| format!("ps:{{a}}:{what}:default/payment/{}", append.payment);
    let mut command = vec!["EVAL".to_owned(), SCRIPT.to_owned(), (4 * appends.len()).to_string()];
    for append in appends {
        command.extend([key("log", append), key("meta", append)]);
        command.extend(["ps:{a}:head".to_owned(), "ps:{a}:feed".to_owned()]);
    }
    // Without an index of all payments.
    command.extend(["512", "1024", "0", "0"].map(str::to_owned));
    for Told { tag, identity, digest, provider, .. } in appends {
        command
            .extend([tag, identity, digest, provider, "0", "ps:{a}", "{}", "", "1000000"].map(str::to_owned));
    }
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    server.ask(&command).replace("\r\n", " ")
}

#[tokio::test]
async fn i2_once_an_append_whose_answer_was_lost_is_not_called_a_duplicate() {
    let server = RedisServer::start().await;
    let first = told("x", "00000001", "identity");
    assert_eq!(run(&server, &[first]), "*1 :1 ");
    assert_eq!(run(&server, &[first]), "*1 :1 ", "the same append, sent again");
    let other = Told { tag: "00000002", ..first };
    assert_eq!(
        run(&server, &[other]),
        "*1 *3 $9 duplicate $1 1 $8 00000001 ",
        "another append of the same event"
    );
}

#[tokio::test]
async fn what_becomes_of_one_append_of_a_call_is_nothing_to_the_others() {
    let server = RedisServer::start().await;
    // A key of another type stands for whatever makes one append fail.
    server.ask(&["SET", "ps:{a}:meta:default/payment/broken", "x"]);
    let appends = [
        told("x", "00000001", "first"),
        Told { digest: "fedcba9876543210", ..told("x", "00000002", "first") },
        told("broken", "00000003", "first"),
        told("x", "00000004", "first"),
        Told { provider: "paypal", ..told("x", "00000005", "third") },
        told("y", "00000006", "first"),
        told("x", "00000007", "second"),
    ];
    let answer = run(&server, &appends);
    let (before, after) = answer.split_once("-WRONGTYPE").expect("the answer of the third");
    assert_eq!(before, "*7 :1 *1 $12 facts_differ ");
    let (_, after) = after.split_once("value ").unwrap();
    assert_eq!(after, "*3 $9 duplicate $1 1 $8 00000001 *1 $14 other_provider :1 :2 ");
    // The partition's chain has the three that are new and no hole.
    assert_eq!(server.ask(&["HGET", "ps:{a}:head", "pos"]), "$1\r\n3\r\n");
    assert_eq!(server.ask(&["HGET", "ps:{a}:head", "tag"]), "$8\r\n00000007\r\n");
    assert_eq!(server.ask(&["XLEN", "ps:{a}:feed"]).trim(), ":3");

    // Sent again as a whole, since its answer was lost: nothing is added, and what was new is new.
    let again = run(&server, &appends);
    assert_eq!(again, answer);
    assert_eq!(server.ask(&["HGET", "ps:{a}:head", "pos"]), "$1\r\n3\r\n");
}

#[tokio::test]
async fn a_log_of_another_type_fails_alone_and_leaves_its_partition_usable() {
    let server = RedisServer::start().await;
    assert_eq!(run(&server, &[told("x", "00000001", "first")]), "*1 :1 ");
    server.ask(&["SET", "ps:{a}:log:default/payment/x", "x"]);
    for (tag, pos) in [("00000003", 3), ("00000005", 5)] {
        let answer = run(&server, &[told("x", "00000002", "second"), told("y", tag, tag)]);
        assert!(
            answer.starts_with("*2 -WRONGTYPE") && answer.ends_with(&format!(" :{} ", pos / 2)),
            "{answer}"
        );
        assert_eq!(server.ask(&["HGET", "ps:{a}:head", "pos"]), format!("$1\r\n{pos}\r\n"));
        assert_eq!(server.ask(&["XLEN", "ps:{a}:feed"]).trim(), format!(":{pos}"));
    }
}

/// Appends events with these numbers to payments, all at once.
async fn append_all(store: &Arc<Redis>, payments: usize, events: std::ops::Range<usize>) -> Vec<Appended> {
    let mut appends = JoinSet::new();
    for payment in 0..payments {
        for number in events.clone() {
            let store = Arc::clone(store);
            appends.spawn(async move {
                append(&store, &format!("pay_{payment}"), &format!("evt_{number}")).await.unwrap()
            });
        }
    }
    appends.join_all().await
}

fn calls(server: &RedisServer) -> usize {
    let stats = server.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// Each log holds these events once, and the feeds refer to each entry once, in unbroken chains.
async fn assert_all_stand(store: &Redis, payments: usize, events: usize) {
    let mut referred = BTreeSet::new();
    for (partition, head) in (0..=u8::MAX).zip(store.heads().await.unwrap().into_iter().flatten()) {
        let Feed::References(references) = store.feed(partition, 1).await.unwrap() else {
            panic!("the feed of {partition} has a hole")
        };
        assert_eq!(references.len() as u64, head.pos);
        for reference in references {
            let Referent::Entry { subject, seq } = reference.to else { panic!("{reference:?}") };
            assert!(referred.insert((subject.id.to_string(), seq)));
        }
    }
    assert_eq!(referred.len(), payments * events);
    for payment in 0..payments {
        let log = store.read(&subject(&format!("pay_{payment}"))).await.unwrap();
        let ids: BTreeSet<_> = log.entries.iter().map(|entry| entry.event.id.to_string()).collect();
        assert_eq!((log.entries.len(), ids.len()), (events, events), "{ids:?}");
    }
}

#[tokio::test]
async fn appends_that_wait_together_share_calls_of_the_script() {
    // A server that is a cluster refuses a call with keys of several slots, so only those of a partition share one.
    for (server, most) in [(RedisServer::start().await, 80), (RedisServer::start_as_cluster().await, 360)] {
        let store = Arc::new(open(&server).await);
        append_new(&store, "warm", "up").await;
        let before = calls(&server);
        let new = append_all(&store, 40, 0..10).await;
        assert!(new.iter().all(|appended| matches!(appended, Appended::New { .. })), "{new:?}");
        let needed = calls(&server) - before;
        assert!(needed <= most, "{needed} calls for 400 appends");
        let again = append_all(&store, 40, 0..10).await;
        assert!(again.iter().all(|appended| matches!(appended, Appended::Duplicate { .. })), "{again:?}");
    }
}

#[tokio::test]
async fn i2_once_a_batch_whose_answer_was_lost_is_sent_again_and_happens_once() {
    const PAYMENTS: usize = 12;
    const EVENTS: usize = 5;
    let server = RedisServer::start().await;
    let proxy = Proxy::to(server.address).await;
    let store = Arc::new(try_open(store_at(&format!("redis://{}", proxy.address))).await.unwrap());
    // Both lanes are connected.
    eventually("connections", async || {
        append(&store, "pay_0", "evt_0").await.is_ok()
            && server.info("connected_clients").parse::<u32>().unwrap() >= 4
    })
    .await;
    proxy.set(Trouble::LostAnswers);
    let appends = tokio::spawn({
        let store = Arc::clone(&store);
        async move { append_all(&store, PAYMENTS, 0..EVENTS).await }
    });
    eventually("all of them are written", async || {
        let lengths = server.keys("ps:{*}:log:*").into_iter().map(|key| server.ask(&["XLEN", &key]));
        lengths.filter(|length| length.trim() == format!(":{EVENTS}")).count() == PAYMENTS
    })
    .await;
    proxy.set(Trouble::None);
    proxy.cut();
    let appended = appends.await.unwrap();
    let duplicates: Vec<_> =
        appended.iter().filter(|appended| !matches!(appended, Appended::New { .. })).collect();
    assert_eq!(duplicates.len(), 1, "only the event from before: {duplicates:?}");
    assert_all_stand(&store, PAYMENTS, EVENTS).await;
}

#[tokio::test]
async fn nodes_of_the_version_before_append_to_the_same_logs() {
    const BEFORE: &str = include_str!("../fixtures/append-one-by-one.lua");
    let server = RedisServer::start().await;
    let store = open(&server).await;
    let warm = append_new(&store, "pay", "evt_0").await;
    assert_eq!(warm.seq, 1);
    let log = server.log_key("pay").unwrap();
    let (channel, _) = log.split_once(":log:").unwrap();
    let (head, feed) = (format!("{channel}:head"), format!("{channel}:feed"));
    let meta = log.replace(":log:", ":meta:");
    let old = |number: u64| {
        let body = serde_json::to_string(&event("pay", &format!("evt_{number}"))).unwrap();
        let (tag, identity) = (format!("{number:08}"), format!("identity of {number:03}"));
        let history = "15552000000";
        let answer = server.ask(&[
            "EVAL",
            BEFORE,
            "4",
            &log,
            &meta,
            &head,
            &feed,
            &tag,
            &identity,
            "0123456789abcdef",
            "stripe",
            "1",
            &body,
            channel,
            history,
            "512",
            "1024",
            "0",
        ]);
        answer.replace("\r\n", " ")
    };
    for number in 1..200_u64 {
        let seq = number + 1;
        if number % 2 == 0 {
            assert_eq!(append_new(&store, "pay", &format!("evt_{number}")).await.seq, seq);
        } else {
            assert_eq!(old(number), format!("*2 $3 new ${} {seq} ", seq.to_string().len()));
        }
    }
    let entries = store.read(&subject("pay")).await.unwrap().entries;
    assert_eq!(entries.len(), 200);
    let Feed::References(references) = store.feed(subject("pay").partition(), 1).await.unwrap() else {
        panic!("the feed has a hole")
    };
    assert!(references.iter().map(|reference| reference.tag).eq(entries.iter().map(|entry| entry.tag)));
    // Each recognises what the other appended.
    let original = Cursor { tag: entries[0].tag, seq: 1 };
    assert_eq!(append(&store, "pay", "evt_0").await.unwrap(), Appended::Duplicate { cursor: original });
    assert_eq!(old(1), "*2 $3 new $1 2 ".replace("*2", "*3") + "$8 00000001 ");
}

#[tokio::test]
async fn a_call_is_answered_one_by_one_through_the_store_too() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    append_new(&store, "pay", "evt_1").await;
    let differs = Append {
        event: paystream::payment::Event { kind: "another".into(), ..event("pay", "evt_1") },
        shared_ids: false,
    };
    let broken = append_new(&store, "broken", "evt_1").await;
    assert_eq!(broken.seq, 1);
    let meta = server.log_key("broken").unwrap().replace(":log:", ":meta:");
    server.ask(&["SET", &meta, "x"]);
    let append = |append: Append| store.append(append);
    let new = |payment: &str, id: &str| Append { event: event(payment, id), shared_ids: false };
    let all =
        [new("a", "1"), differs, new("b", "1"), new("broken", "evt_2"), new("pay", "evt_1"), new("a", "2")];
    let before = calls(&server);
    let answers = join_all(all.map(append)).await;
    assert!(calls(&server) - before <= 2, "they share a call");
    assert!(
        matches!(
            answers[..],
            [
                Ok(Appended::New { .. }),
                Ok(Appended::Conflict(Conflict::FactsDiffer)),
                Ok(Appended::New { .. }),
                Err(StoreError::Unavailable(_)),
                Ok(Appended::Duplicate { .. }),
                Ok(Appended::New { .. })
            ]
        ),
        "{answers:?}"
    );
}
