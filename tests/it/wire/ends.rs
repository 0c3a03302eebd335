//! How streams end: with a closing that says why, cleanly only where nothing will follow.

use crate::support::{
    Gateway, PATIENCE, Setup, TOKEN_KEY, claims, eventually, generic, header, message, next_message, now_s,
    read_to_end, stays_silent,
};
use load::{http::End, sign, sse::Item};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_drain_says_so_asks_to_come_back_and_ends_uncleanly() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"2s\"")).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    gateway.terminate();
    for stream in &mut streams {
        let (items, end) = stream.rest(PATIENCE).await.unwrap();
        let last = items.iter().rev().find_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        });
        let last = last.expect("a closing before the end");
        let closing = message(last);
        assert_eq!((closing["type"].as_str(), closing["reason"].as_str()), (Some("closing"), Some("drain")));
        assert!(last.lines.iter().any(|line| line.starts_with("retry: ")), "{:?}", last.lines);
        assert_eq!(end, End::Unclean);
    }
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_drain_is_spread_over_its_window() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"3s\"")).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    gateway.terminate();
    let begun = Instant::now();
    let ends = streams.iter_mut().map(|stream| async move {
        read_to_end(stream).await;
        begun.elapsed()
    });
    let mut ends = futures_util::future::join_all(ends).await;
    ends.sort_unstable();
    assert!(ends[19] - ends[0] > Duration::from_millis(500), "all at once: {ends:?}");
    gateway.ended().await;
}

#[tokio::test]
async fn a_stream_that_comes_during_a_drain_is_refused_as_an_eventsource_survives_it() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"5s\"")).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    gateway.terminate();
    eventually("it is not ready", async || gateway.admin("/readyz").await.head.status == 503).await;
    let mut late = gateway.stream("pay_1").await;
    assert_refused(&mut late, "drain").await;
    gateway.kill();
}

#[tokio::test]
async fn a_stream_too_many_is_refused_as_an_eventsource_survives_it() {
    let gateway = Gateway::with(Setup::limits("streams = 2")).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        open.push(stream);
    }
    assert_refused(&mut gateway.stream("pay_1").await, "overload").await;
    drop(open.pop());
    eventually("there is room again", async || {
        next_message(&mut gateway.stream("pay_1").await).await.1["type"] == "snapshot"
    })
    .await;
}

/// 200, a retry, the closing and the end.
async fn assert_refused(stream: &mut load::stream::Stream, reason: &str) {
    assert!(stream.head.header("content-type").unwrap().starts_with("text/event-stream"));
    let (items, end) = stream.rest(PATIENCE).await.unwrap();
    let [Item::Retry(_), Item::Event(event)] = &items[..] else { panic!("{items:?}") };
    let closing = message(event);
    assert_eq!((closing["type"].as_str(), closing["reason"].as_str()), (Some("closing"), Some(reason)));
    assert_eq!(end, End::Unclean);
}

#[tokio::test]
async fn the_maximum_age_is_jittered_and_ends_uncleanly() {
    let gateway = Gateway::with(Setup::stream("max_age = \"5s\"")).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push((Instant::now(), gateway.stream("pay_1").await));
    }
    let ages = streams.iter_mut().map(|(begun, stream)| async move {
        let (messages, end) = read_to_end(stream).await;
        assert_eq!(messages.last().unwrap()["reason"], "max_age");
        assert_eq!(end, End::Unclean);
        begun.elapsed()
    });
    let mut ages = futures_util::future::join_all(ages).await;
    ages.sort_unstable();
    assert!(ages[0] >= Duration::from_millis(3900), "80 % of five seconds: {ages:?}");
    assert!(ages[9] - ages[0] > Duration::from_millis(50), "no jitter: {ages:?}");
}

#[tokio::test]
async fn a_token_that_runs_out_closes_its_stream() {
    let mut setup = Setup::default();
    setup.access.push_str("\nleeway = \"1s\"");
    let gateway = Gateway::with(setup).await;
    let mut claims = claims("default", &["pay_1"]);
    claims["exp"] = (now_s() + 2).into();
    let token = sign::jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims);
    let headers = [header("authorization", &format!("Bearer {token}"))];
    let mut stream = gateway.open("/v1/payments/pay_1/events", &headers).await;
    let (messages, end) = read_to_end(&mut stream).await;
    assert_eq!(messages.last().unwrap()["reason"], "token_expired");
    assert_eq!(end, End::Unclean);
    // Admission and expiry agree, so a client does not loop between them.
    let again = gateway.open("/v1/payments/pay_1/events", &headers).await;
    assert_eq!(again.head.status, 401);
}

#[tokio::test]
async fn a_finished_payment_ends_cleanly_and_stays_finished() {
    let gateway = Gateway::with(Setup::stream("linger = \"1s\"")).await;
    let path = "/v1/payments/pay_1/events?until=finished";
    let mut stream = gateway.open(path, &gateway.bearer(&["pay_1"])).await;
    next_message(&mut stream).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s() - 1)).await;
    stays_silent_but_for_one(&mut stream).await;
    gateway.accept(&generic("e2", "confirmed", "pay_1", now_s())).await;
    let (cursor, update) = next_message(&mut stream).await;
    assert_eq!(update["status"], "captured");
    let (messages, end) = read_to_end(&mut stream).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(
        (messages[0]["type"].as_str(), messages[0]["reason"].as_str()),
        (Some("closing"), Some("finished"))
    );
    assert_eq!(end, End::Clean);

    let mut headers = gateway.bearer(&["pay_1"]);
    headers.push(header("last-event-id", &cursor));
    let again = gateway.get(path, &headers).await;
    assert_eq!(again.head.status, 204);
    assert!(again.head.header("cache-control").unwrap().contains("no-store"));
}

/// One update, then nothing for longer than the linger: an open payment is not finished.
async fn stays_silent_but_for_one(stream: &mut load::stream::Stream) {
    assert_eq!(next_message(stream).await.1["status"], "processing");
    stays_silent(stream, Duration::from_secs(2)).await;
}

#[tokio::test]
async fn without_until_a_captured_payment_stays_open_for_what_may_follow() {
    let gateway = Gateway::with(Setup::stream("linger = \"1s\"")).await;
    gateway.accept(&generic("e1", "confirmed", "pay_1", now_s())).await;
    let mut stream = gateway.stream("pay_1").await;
    let (cursor, _) = next_message(&mut stream).await;
    stays_silent(&mut stream, Duration::from_secs(3)).await;
    let mut again = gateway.resume("pay_1", &cursor).await;
    assert_eq!(again.head.status, 200);
    assert_eq!(next_message(&mut again).await.1["type"], "ready");
}

#[tokio::test]
async fn a_finished_payment_that_has_news_for_a_cursor_tells_them_first() {
    let gateway = Gateway::with(Setup::stream("linger = \"1s\"")).await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s() - 5)).await;
    let (cursor, _) = next_message(&mut gateway.stream("pay_1").await).await;
    gateway.accept(&generic("e2", "confirmed", "pay_1", now_s())).await;
    let path = format!("/v1/payments/pay_1/events?until=finished&last_event_id={cursor}");
    let mut stream = gateway.open(&path, &gateway.bearer(&["pay_1"])).await;
    let (messages, end) = read_to_end(&mut stream).await;
    let words: Vec<_> = messages.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(words, ["update", "closing"]);
    assert_eq!(end, End::Clean);
}
