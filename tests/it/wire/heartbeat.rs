//! Signs of life on a silent stream.

use crate::support::{Gateway, PATIENCE, Setup, generic, next_message};
use load::{
    sse::Item,
    stream::{Next, Stream},
};
use std::time::{Duration, Instant};
use tokio::time::timeout;

async fn next(stream: &mut Stream) -> Item {
    match timeout(PATIENCE, stream.next()).await.unwrap().unwrap() {
        Next::Item(item) => item,
        Next::End(end) => panic!("the stream ended: {end:?}"),
    }
}

#[tokio::test]
async fn silence_is_broken_by_a_bare_comment_line() {
    let gateway = Gateway::with(Setup::stream("heartbeat = \"1s\"")).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    let begun = Instant::now();
    for _ in 0..3 {
        // A blank line after it would come as an event without lines or as one that holds only the comment.
        assert_eq!(next(&mut stream).await, Item::Comment(":".to_owned()));
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "it breaks silence only");
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let event = stream.event(PATIENCE).await.unwrap();
    let fields: Vec<_> = event.lines.iter().filter(|line| !line.starts_with(':')).collect();
    assert_eq!(fields.len(), 2, "an id and a data line: {:?}", event.lines);
    assert_eq!(stream.torn, 0);
}

#[tokio::test]
async fn heartbeats_come_as_events_where_asked_for() {
    let gateway = Gateway::with(Setup::stream("heartbeat = \"1s\"")).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    let path = "/v1/payments/pay_1/events?heartbeat=event";
    let mut stream = gateway.open(path, &gateway.bearer(&["pay_1"])).await;
    let (cursor, _) = next_message(&mut stream).await;
    for _ in 0..2 {
        let Item::Event(beat) = next(&mut stream).await else { panic!("no event") };
        assert_eq!(beat.kind, "heartbeat");
        assert_eq!(beat.data, r#"{"seq":1}"#);
        assert!(beat.lines.contains(&format!("id: {cursor}")), "{:?}", beat.lines);
    }
}

#[tokio::test]
async fn heartbeats_of_many_streams_are_spread_over_time() {
    let gateway = Gateway::with(Setup::stream("heartbeat = \"2s\"")).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    let begun = Instant::now();
    let beats = streams.iter_mut().map(|stream| async move {
        assert_eq!(next(stream).await, Item::Comment(":".to_owned()));
        begun.elapsed().as_millis()
    });
    let mut times = futures_util::future::join_all(beats).await;
    times.sort_unstable();
    assert!(times[19] - times[0] > 200, "all beat at once: {times:?}");
}
