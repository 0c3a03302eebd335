//! How many streams and long polls a peer, a token and a payment have.

use super::*;
use crate::tally::Holder;

fn holders(peer: u64, token: u64) -> Holders {
    Holders { peer: Some(Holder::new(peer)), token: Some(Holder::new(token)) }
}

/// Whether a stream for these holders opens and stays; a refusal is one that an `EventSource` survives.
async fn opens(node: &Node, id: &str, holders: Holders) -> Option<Reader> {
    let mut reader = node.open(Open { holders, ..open(&[id], None) }).await;
    let first = reader.block().await.unwrap();
    if first.contains(r#""type":"closing""#) {
        assert!(first.starts_with("retry: ") && first.contains(r#""reason":"overload""#), "{first}");
        assert_eq!(reader.block().await, Err(End::Unclean));
        return None;
    }
    assert!(first.contains(r#""type":"snapshot""#), "{first}");
    Some(reader)
}

fn hits(node: &Node, limit: &str) -> bool {
    !node.metrics.render().contains(&format!("limit_hits_total{{reason=\"{limit}\"}} 0\n"))
}

#[tokio::test(start_paused = true)]
async fn a_peer_a_token_and_a_payment_each_have_a_cap_and_others_are_not_kept_out() {
    for (limits, full, other, limit) in [
        (
            Limits { streams_per_peer: 2, ..Limits::default() },
            [("a", holders(1, 1)), ("b", holders(1, 2)), ("c", holders(1, 3))],
            ("a", holders(2, 1)),
            "streams_per_peer",
        ),
        (
            Limits { streams_per_token: 2, ..Limits::default() },
            [("a", holders(1, 1)), ("b", holders(2, 1)), ("c", holders(3, 1))],
            ("a", holders(1, 2)),
            "streams_per_token",
        ),
        (
            Limits { streams_per_payment: 2, ..Limits::default() },
            [("a", holders(1, 1)), ("a", holders(2, 2)), ("a", holders(3, 3))],
            ("b", holders(1, 1)),
            "streams_per_payment",
        ),
    ] {
        let node = Node::start(Settings::default(), limits).await;
        let [first, second, third] = full;
        let first_open = opens(&node, first.0, first.1).await.unwrap();
        let _second = opens(&node, second.0, second.1).await.unwrap();
        assert!(!hits(&node, limit));
        assert!(opens(&node, third.0, third.1).await.is_none(), "{limit}");
        assert!(hits(&node, limit));
        let _other = opens(&node, other.0, other.1).await.expect(limit);
        drop(first_open);
        let _third = opens(&node, third.0, third.1).await.expect(limit);
        assert!(opens(&node, third.0, third.1).await.is_none(), "a refusal gave nothing back: {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn whom_nobody_counts_has_no_cap() {
    let limits = Limits { streams_per_peer: 1, streams_per_token: 1, ..Limits::default() };
    let node = Node::start(Settings::default(), limits).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(opens(&node, "a", Holders::default()).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_counts_as_a_stream_and_is_refused_by_a_status() {
    for limits in [
        Limits { streams: 1, ..Limits::default() },
        Limits { streams_per_peer: 1, ..Limits::default() },
        Limits { streams_per_token: 1, ..Limits::default() },
        Limits { streams_per_payment: 1, ..Limits::default() },
    ] {
        let node = Node::start(Settings::default(), limits).await;
        node.store.say("a", Phase::Created).await;
        let (payment, holders) = (subject("a"), holders(1, 1));
        let Snapshot::Fresh { etag, .. } = node.streams.snapshot(&payment, None, None).await else {
            panic!()
        };
        let known = known(&etag);

        let waiting = tokio::spawn({
            let (streams, payment, known) = (Arc::clone(&node.streams), payment.clone(), known.clone());
            async move { streams.snapshot(&payment, Some(&known), Some(poll(holders))).await }
        });
        while !node.metrics.render().contains("paystream_long_polls_open 1") {
            tokio::task::yield_now().await;
        }
        assert!(opens(&node, "a", holders).await.is_none(), "the long poll has the place: {limits:?}");
        let second = node.streams.snapshot(&payment, Some(&known), Some(poll(holders))).await;
        assert!(matches!(second, Snapshot::Overload), "{limits:?}");
        let at_once = node.streams.snapshot(&payment, Some(&known), None).await;
        assert!(matches!(at_once, Snapshot::NotModified { .. }), "what does not wait takes no place");

        assert!(matches!(waiting.await.unwrap(), Snapshot::NotModified { .. }));
        assert!(node.metrics.render().contains("paystream_long_polls_open 0"));
        let _stream = opens(&node, "a", holders).await.unwrap();
        let third = node.streams.snapshot(&payment, Some(&known), Some(poll(holders))).await;
        assert!(matches!(third, Snapshot::Overload), "a stream has the place: {limits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_for_their_connections_streams_and_long_polls_are_refused() {
    let node = Node::new().await;
    node.store.say("a", Phase::Created).await;
    let mut reader = node.open(Open { has_room: false, ..open(&["a"], None) }).await;
    assert!(reader.closing().await.contains(r#""reason":"overload""#));
    let poll = LongPoll { has_room: false, ..poll(Holders::default()) };
    assert!(matches!(node.streams.snapshot(&subject("a"), None, Some(poll)).await, Snapshot::Overload));
    assert!(hits(&node, "open_files"));
}
