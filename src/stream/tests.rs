//! The promises of the wire, kept by a body without a socket, on a paused clock. `tests/it` has the same over real sockets.

mod caps;

use super::*;
use crate::{
    hub::Hub,
    limits::Limits,
    live::Live,
    metrics::Metrics,
    payment::{Cursor, Phase},
    shutdown::Shutdown,
    store::{
        Store,
        fake::{Fake, subject},
    },
};
use http_body_util::BodyExt;
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

struct Node {
    store: Arc<Fake>,
    streams: Arc<Streams>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
}

impl Node {
    async fn start(settings: Settings, limits: Limits) -> Self {
        let store = Arc::new(Fake::default());
        let (metrics, shutdown) = (Arc::new(Metrics::new()), Shutdown::default());
        let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&metrics), &limits);
        tokio::spawn(Arc::clone(&hub).run(shutdown.clone()));
        let streams =
            Streams::new(hub, Live::new(settings), Live::new(limits), Arc::clone(&metrics), shutdown.clone());
        let run = Arc::clone(&streams);
        tokio::spawn(async move { run.run().await });
        tokio::time::sleep(Duration::from_millis(1)).await;
        Self { store, streams, metrics, shutdown }
    }

    async fn new() -> Self {
        Self::start(Settings::default(), Limits::default()).await
    }

    async fn open(&self, open: Open) -> Reader {
        match self.streams.open(open).await {
            Opened::Stream(body) => Reader { body, text: String::new() },
            Opened::Finished => panic!("finished"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

fn open(ids: &[&str], cursor: Option<&str>) -> Open {
    Open {
        subjects: ids.iter().map(|id| subject(id)).collect(),
        holders: Holders::default(),
        has_room: true,
        cursor: cursor.map(str::to_owned),
        heartbeat_events: false,
        until_finished: false,
        expires_at: None,
        stands: None,
        subject: None,
    }
}

struct Reader {
    body: Body,
    text: String,
}

/// How a body ended.
#[derive(PartialEq, Eq, Debug)]
enum End {
    Clean,
    Unclean,
}

impl Reader {
    /// The next block, up to its blank line or, for a comment, its newline. An end of the body is an error.
    async fn block(&mut self) -> Result<String, End> {
        loop {
            let end = match self.text.strip_prefix(":\n") {
                Some(_) => Some(2),
                None => self.text.find("\n\n").map(|at| at + 2),
            };
            if let Some(end) = end {
                return Ok(self.text.drain(..end).collect());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
                }
                Some(Err(Cut)) => return Err(End::Unclean),
                None => return Err(End::Clean),
            }
        }
    }

    /// The next event's id and JSON; skips heartbeats.
    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.expect("an event, not the end");
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                return (id, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// The block of the closing; skips what comes before it.
    async fn closing(&mut self) -> String {
        loop {
            let block = self.block().await.expect("a closing before the end");
            if block.contains("closing") {
                return block;
            }
        }
    }

    async fn json(&mut self) -> Value {
        self.event().await.1
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_cursor_begins_with_retry_and_a_snapshot() {
    let node = Node::new().await;
    let cursor = node.store.say("a", Phase::Authorized).await;
    let mut reader = node.open(open(&["a"], None)).await;
    let block = reader.block().await.unwrap();
    let retry: u64 = block.lines().next().unwrap().strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((1000..=2000).contains(&retry), "{retry}");
    assert!(block.contains(&format!("\nid: {cursor}\ndata: {{\"v\":1,\"type\":\"snapshot\"")), "{block}");
    let json: Value = serde_json::from_str(block.lines().last_data()).unwrap();
    for (key, expected) in [
        ("payment", Value::from("a")),
        ("seq", 1.into()),
        ("status", "authorized".into()),
        ("amount", 4200.into()),
        ("currency", "EUR".into()),
        ("exponent", 2.into()),
        ("up_to_date", true.into()),
    ] {
        assert_eq!(json[key], expected, "{key}");
    }
    assert_eq!(json["timeline"][0]["id"], "evt_1");
    assert!(json.get("reason").is_none());
}

trait LastData<'a> {
    fn last_data(self) -> &'a str;
}

impl<'a, I: Iterator<Item = &'a str>> LastData<'a> for I {
    fn last_data(mut self) -> &'a str {
        self.find_map(|line| line.strip_prefix("data: ")).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_payment_is_a_stream_that_waits() {
    let node = Node::new().await;
    let mut reader = node.open(open(&["a"], None)).await;
    let (id, json) = reader.event().await;
    assert_eq!((id.as_str(), &json["status"], &json["seq"]), ("0-0", &"unknown".into(), &0.into()));
    let cursor = node.store.say("a", Phase::Created).await;
    let (id, json) = reader.event().await;
    assert_eq!(id, cursor.to_string());
    assert_eq!(
        (&json["type"], &json["seq"], &json["prev"], &json["status"], &json["up_to_date"]),
        (&"update".into(), &1.into(), &0.into(), &"created".into(), &true.into())
    );
    assert_eq!(json["event"]["id"], "evt_1");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_gets_exactly_what_was_missed_or_ready() {
    let node = Node::new().await;
    let first = node.store.say("a", Phase::Created).await;
    node.store.say("a", Phase::Processing).await;
    let last = node.store.say("a", Phase::Captured).await;
    let mut reader = node.open(open(&["a"], Some(&first.to_string()))).await;
    for (seq, up_to_date) in [(2, false), (3, true)] {
        let json = reader.json().await;
        assert_eq!((&json["seq"], &json["up_to_date"]), (&seq.into(), &up_to_date.into()));
    }
    let mut reader = node.open(open(&["a"], Some(&last.to_string()))).await;
    let (id, json) = reader.event().await;
    assert_eq!((id, &json["type"], &json["seq"]), (last.to_string(), &"ready".into(), &3.into()));
    let text = node.metrics.render();
    assert!(
        text.contains(r#"resumes_total{reason="exact"} 1"#) && text.contains(r#"{reason="ready"} 1"#),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_cannot_be_honoured_gets_a_snapshot_with_the_reason() {
    let node = Node::new().await;
    let cursor = node.store.say("a", Phase::Created).await;
    let ahead = Cursor { seq: 9, ..cursor };
    let foreign = Cursor { tag: crate::payment::Tag::from_random(5), ..cursor };
    for (payment, sent, reason) in [
        ("a", "rubbish".to_owned(), "unknown_cursor"),
        ("a", format!("{cursor}.{cursor}"), "unknown_cursor"),
        ("a", foreign.to_string(), "unknown_cursor"),
        ("a", ahead.to_string(), "rolled_back"),
        ("never-heard-of", cursor.to_string(), "evicted"),
    ] {
        let json = node.open(open(&[payment], Some(&sent))).await.json().await;
        assert_eq!((&json["type"], &json["reason"]), (&"snapshot".into(), &reason.into()), "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn i3_gapless_a_stream_whose_log_is_rolled_back_gets_a_snapshot_that_says_so() {
    let node = Node::new().await;
    node.store.say("a", Phase::Created).await;
    let saved = node.store.save();
    node.store.say("a", Phase::Captured).await;
    let mut reader = node.open(open(&["a"], None)).await;
    assert_eq!(reader.json().await["status"], "captured");
    node.store.roll_back(saved);
    let json = reader.json().await;
    assert_eq!(
        (&json["reason"], &json["status"], &json["seq"]),
        (&"rolled_back".into(), &"created".into(), &1.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_payment_is_erased_gets_a_snapshot_that_says_so_and_goes_on() {
    for began_with in [None, Some(Cursor::START)] {
        let node = Node::new().await;
        let mut reader =
            node.open(open(&["a"], began_with.map(|cursor| cursor.to_string()).as_deref())).await;
        reader.json().await;
        let mut cursor = Cursor::START;
        for phase in [Phase::Created, Phase::Captured] {
            cursor = node.store.say("a", phase).await;
            assert_eq!(reader.event().await.0, cursor.to_string());
        }
        node.store.forget("a").await;
        let (id, json) = reader.event().await;
        assert_eq!(
            (id.as_str(), &json["reason"], &json["status"]),
            ("0-0", &"erased".into(), &"unknown".into())
        );
        assert!(json["timeline"].as_array().unwrap().is_empty(), "{json}");
        let anew = node.store.say("a", Phase::Created).await;
        let (id, json) = reader.event().await;
        assert_eq!((id, &json["type"], &json["seq"]), (anew.to_string(), &"update".into(), &1.into()));
        // The new log is another one: the old cursor is not honoured, and a roll-back is not called an erasure.
        let json = node.open(open(&["a"], Some(&cursor.to_string()))).await.json().await;
        assert_eq!((&json["type"], &json["reason"]), (&"snapshot".into(), &"rolled_back".into()));
        let text = node.metrics.render();
        assert!(text.contains(r#"resumes_total{reason="erased"} 1"#), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_after_silence_in_both_forms() {
    let node = Node::new().await;
    let cursor = node.store.say("a", Phase::Created).await;
    let event = format!("event: heartbeat\nid: {cursor}\ndata: {{\"seq\":1}}\n\n");
    for (heartbeat_events, expected) in [(false, ":\n".to_owned()), (true, event)] {
        let mut reader = node.open(Open { heartbeat_events, ..open(&["a"], None) }).await;
        reader.block().await.unwrap();
        for _ in 0..3 {
            let since = Instant::now();
            assert_eq!(reader.block().await.unwrap(), expected);
            assert!(since.elapsed() <= Duration::from_millis(15_001), "{:?}", since.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_end_but_finished_is_unclean_and_says_why() {
    let soon = crate::payment::Time::from_unix_ms(crate::clock::now().unix_ms() + 1000).ok();
    let revoked = Arc::new(AtomicBool::new(false));
    let stands = || -> Option<Stands> {
        let revoked = Arc::clone(&revoked);
        Some(Arc::new(Box::new(move || !revoked.load(Ordering::Relaxed))))
    };
    for why in ["max_age", "token_expired", "revoked", "drain", "overload", "drain at open"] {
        let limits = Limits { streams: usize::from(why != "overload"), ..Limits::default() };
        let node = Node::start(Settings::default(), limits).await;
        let expires_at = soon.filter(|_| why == "token_expired");
        if why == "drain at open" {
            node.shutdown.drain();
        }
        let mut reader = node.open(Open { expires_at, stands: stands(), ..open(&["a"], None) }).await;
        match why {
            "drain" => node.shutdown.drain(),
            "revoked" => {
                revoked.store(true, Ordering::Relaxed);
                node.streams.review();
            }
            _ => {}
        }
        let closing = reader.closing().await;
        let reason = match why {
            "revoked" => "token_expired",
            "drain at open" => "drain",
            other => other,
        };
        assert!(closing.starts_with("retry: ") && closing.contains("\nid: 0-0\n"), "{closing}");
        assert!(closing.contains(&format!(r#""reason":"{reason}""#)), "{why}: {closing}");
        assert_eq!(reader.block().await, Err(End::Unclean), "{why}");
        revoked.store(false, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_spreads_the_return_of_all_who_were_there_when_it_began() {
    let limits = Limits { accepts_per_second: 2, ..Limits::default() };
    let node = Node::start(Settings::default(), limits).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        readers.push(node.open(open(&["a"], None)).await);
    }
    node.shutdown.drain();
    let window = Duration::from_secs(20);
    let since = Instant::now();
    for closing in futures_util::future::join_all(readers.iter_mut().map(Reader::closing)).await {
        let retry: u64 = closing.lines().next().unwrap().strip_prefix("retry: ").unwrap().parse().unwrap();
        assert!((10_000..=20_000).contains(&retry), "20 clients at 2 per second: {retry}");
    }
    assert!(since.elapsed() <= window, "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_finished_payment_ends_cleanly_and_then_has_nothing_more_to_say() {
    let settings = Settings { linger: Duration::from_millis(50), ..Settings::default() };
    let node = Node::start(settings, Limits::default()).await;
    let cursor = node.store.say("a", Phase::Captured).await;
    let until_finished = |cursor: Option<&str>| Open { until_finished: true, ..open(&["a"], cursor) };
    let mut reader = node.open(until_finished(None)).await;
    assert_eq!(reader.json().await["status"], "captured");
    assert_eq!(reader.json().await["reason"], "finished");
    assert_eq!(reader.block().await, Err(End::Clean));
    let again = node.streams.open(until_finished(Some(&cursor.to_string()))).await;
    assert!(matches!(again, Opened::Finished));
    assert_eq!(
        node.open(until_finished(Some("0-0"))).await.json().await["seq"],
        1,
        "it has not seen all there is"
    );
}

#[tokio::test(start_paused = true)]
async fn several_payments_share_a_stream_and_a_joined_cursor() {
    let node = Node::new().await;
    let a = node.store.say("a", Phase::Created).await;
    let mut reader = node.open(open(&["a", "b"], None)).await;
    assert_eq!(reader.event().await.0, format!("{a}.0-0"));
    assert_eq!(reader.event().await.1["payment"], "b");
    let b = node.store.say("b", Phase::Created).await;
    let (id, json) = reader.event().await;
    assert_eq!((id.as_str(), &json["payment"]), (format!("{a}.{b}").as_str(), &"b".into()));
    let a2 = node.store.say("a", Phase::Captured).await;
    let mut resumed = node.open(open(&["a", "b"], Some(&id))).await;
    assert_eq!(resumed.json().await["seq"], 2);
    let (id, json) = resumed.event().await;
    assert_eq!((id, &json["type"]), (format!("{a2}.{b}"), &"ready".into()));
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_reported_to_open_streams_and_new_ones_are_refused() {
    let node = Node::new().await;
    let mut reader = node.open(open(&["a"], None)).await;
    reader.json().await;
    node.store.lost.store(true, Ordering::Relaxed);
    assert_eq!(reader.json().await["stale"], true);
    assert_eq!(node.open(open(&["b"], None)).await.json().await["reason"], "overload");
    node.store.lost.store(false, Ordering::Relaxed);
    assert_eq!(reader.json().await["stale"], false);
}

#[tokio::test(start_paused = true)]
async fn i6_bounded_a_reader_that_comes_back_too_late_is_closed_as_stalled() {
    let node = Node::new().await;
    let mut reader = node.open(open(&["a"], None)).await;
    reader.json().await;
    tokio::time::sleep(Limits::default().stall + Duration::from_secs(1)).await;
    assert_eq!(reader.json().await["reason"], "stalled");
    assert_eq!(reader.block().await, Err(End::Unclean));
}

#[tokio::test(start_paused = true)]
async fn i6_bounded_a_long_replay_is_handed_out_in_chunks() {
    let node = Node::new().await;
    let first = node.store.say("a", Phase::Created).await;
    for _ in 0..300 {
        node.store.say("a", Phase::Processing).await;
    }
    let mut reader = node.open(open(&["a"], Some(&first.to_string()))).await;
    let mut seqs = Vec::new();
    while seqs.len() < 300 {
        let frame = reader.body.frame().await.unwrap().unwrap();
        let data = std::str::from_utf8(frame.data_ref().unwrap()).unwrap().to_owned();
        assert!(data.len() < 20_000, "{}", data.len());
        seqs.extend(data.lines().filter_map(|line| line.strip_prefix("data: ")).map(|json| {
            let json: Value = serde_json::from_str(json).unwrap();
            assert_eq!(json["up_to_date"], json["seq"] == 301, "{json}");
            json["seq"].as_u64().unwrap()
        }));
    }
    assert_eq!(seqs, (2..=301).collect::<Vec<_>>());
    let observed = |count: u32| format!("receipt_to_write_seconds_count {count}\n");
    assert!(node.metrics.render().contains(&observed(0)), "a replay says nothing of how fast news travel");
    node.store.say("a", Phase::Captured).await;
    reader.body.frame().await.unwrap().unwrap();
    assert!(node.metrics.render().contains(&observed(1)));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_has_an_etag_and_waits_for_news_on_request() {
    let node = Node::new().await;
    let cursor = node.store.say("a", Phase::Created).await;
    let (payment, wait) = (subject("a"), Some(poll(Holders::default())));
    let Snapshot::Fresh { etag, body } = node.streams.snapshot(&payment, None, wait).await else { panic!() };
    assert_eq!(etag, format!("\"{cursor}.{}\"", crate::payment::FOLD_VERSION));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["status"], "created");
    let since = Instant::now();
    let unchanged = node.streams.snapshot(&payment, Some(&known(&etag)), wait).await;
    assert!(matches!(unchanged, Snapshot::NotModified { .. }) && since.elapsed() >= Duration::from_secs(30));
    let news = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        node.store.say("a", Phase::Captured).await
    };
    let since = Instant::now();
    let known = known(&etag);
    let (answer, _) = tokio::join!(node.streams.snapshot(&payment, Some(&known), wait), news);
    assert!(matches!(answer, Snapshot::Fresh { .. }) && since.elapsed() < Duration::from_secs(6));
    node.store.lost.store(true, Ordering::Relaxed);
    assert!(matches!(node.streams.snapshot(&subject("b"), None, None).await, Snapshot::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_over_when_the_last_stream_has_gone() {
    let node = Node::new().await;
    let reader = node.open(open(&["a"], None)).await;
    let drained = node.streams.drained();
    tokio::pin!(drained);
    assert!(futures_util::poll!(&mut drained).is_pending());
    drop(reader);
    drained.await;
    assert!(node.metrics.render().contains(r#"stream_closes_total{reason="gone"} 1"#));
}

/// A long poll of 30 seconds.
fn poll(holders: Holders) -> LongPoll {
    LongPoll { wait: Duration::from_secs(30), holders, has_room: true }
}

fn known(etag: &str) -> headers::IfNoneMatch {
    etag.parse::<headers::ETag>().unwrap().into()
}
