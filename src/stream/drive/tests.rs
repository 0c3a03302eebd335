//! The drive without a sink: a test says what time it is and looks at the decisions.

use super::{
    super::{
        census::{Census, Holders, SeatKind},
        lane::Lane,
        settings::Settings,
    },
    *,
};
use crate::{
    hub::{Bell, Hub, Watch},
    limits::Limits,
    metrics::Metrics,
    payment::{Cursor, PartitionSet, Phase, Time},
    shutdown::Shutdown,
    store::{
        Store,
        fake::{Fake, subject},
    },
};
use std::sync::atomic::{AtomicBool, Ordering};

/// A stream of one payment. Time passes only where a test says so.
struct Stream {
    store: Arc<Fake>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    hub: Arc<Hub>,
    drive: Drive,
    watch: Watch,
    /// What `begin` wrote.
    beginning: String,
    start: (Instant, Time),
    after: Duration,
    settings: Settings,
    is_stale: bool,
    is_draining: bool,
}

/// What a request asks for.
#[derive(Default)]
struct Request {
    cursor: Option<Cursor>,
    heartbeat_events: bool,
    until_finished: bool,
    token_lives: Option<Duration>,
    stands: Option<Stands>,
}

const STALL: Duration = Duration::from_secs(30);
const MS: Duration = Duration::from_millis(1);

impl Stream {
    async fn open(store: Fake, request: Request) -> Self {
        Self::with(store, request, Settings::default()).await
    }

    async fn with(store: Fake, request: Request, settings: Settings) -> Self {
        let (store, metrics, shutdown) = (Arc::new(store), Arc::new(Metrics::new()), Shutdown::default());
        let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&metrics), &Limits::default());
        tokio::spawn(Arc::clone(&hub).run(shutdown.clone()));
        // Until the hub receives notices.
        tokio::time::sleep(MS).await;
        let watch = hub.join(&subject("a"), Arc::new(Bell::default()));
        let history = watch.history().await.unwrap();
        let start = (Instant::now(), crate::clock::now());
        let Request { cursor, heartbeat_events, until_finished, token_lives, stands } = request;
        let expires_at = token_lives.map(|life| wall(start.1, life));
        let session = Session::new(vec![Lane::new(Arc::clone(watch.topic()), cursor.map(Some))]);
        let terms = Terms { until_finished, heartbeat_events, expires_at, stands };
        let (is_stale, is_draining, after) = (false, false, Duration::ZERO);
        let census = Census::new(Arc::clone(&metrics));
        let seat = Seat::take(&census, SeatKind::Stream, Holders::default(), &Limits::default()).unwrap();
        let mut out = BytesMut::new();
        let at = moment(start, after, settings, (is_stale, is_draining), &metrics);
        let drive = Drive::begin(seat, session, terms, &[history], &at, &mut out);
        let beginning = text(&out);
        Self {
            store,
            metrics,
            shutdown,
            hub,
            drive,
            watch,
            beginning,
            start,
            after,
            settings,
            is_stale,
            is_draining,
        }
    }

    fn moment(&self) -> Moment<'_> {
        let conditions = (self.is_stale, self.is_draining);
        moment(self.start, self.after, self.settings, conditions, &self.metrics)
    }

    /// One step at the present time, and what it wrote.
    fn step(&mut self) -> (Next, String) {
        self.decide(Drive::step)
    }

    /// The same for a sink whose timer has fired.
    fn tick(&mut self) -> (Next, String) {
        self.decide(Drive::tick)
    }

    fn decide(
        &mut self,
        step: impl FnOnce(&mut Drive, &Moment<'_>, &mut BytesMut) -> Next,
    ) -> (Next, String) {
        let conditions = (self.is_stale, self.is_draining);
        let at = moment(self.start, self.after, self.settings, conditions, &self.metrics);
        let mut out = BytesMut::new();
        let next = step(&mut self.drive, &at, &mut out);
        assert_eq!(next == Next::Write, !out.is_empty(), "{next:?}");
        (next, text(&out))
    }

    /// Steps when there is nothing to do, and returns how long the sink may wait.
    fn wait(&mut self) -> Duration {
        match self.step() {
            (Next::Wait(until), _) => until - self.moment().now,
            (next, wrote) => panic!("{next:?}: {wrote}"),
        }
    }

    /// Lets the sink sleep until its deadline, and takes what the drive then writes.
    fn sleep(&mut self) -> String {
        let wait = self.wait();
        self.after += wait;
        let (next, wrote) = self.step();
        assert_eq!(next, Next::Write);
        wrote
    }

    /// Appends an event and waits until the hub has it.
    async fn say(&self, phase: Phase) -> Cursor {
        let cursor = self.store.say("a", phase).await;
        tokio::time::sleep(MS).await;
        cursor
    }

    fn ends(&mut self, wrote: &str, reason: &str, ending: Ending) {
        assert!(
            wrote.starts_with("retry: ") && wrote.contains(&format!(r#""reason":"{reason}""#)),
            "{wrote}"
        );
        assert_eq!(self.step(), (Next::End(ending), String::new()));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

fn moment(
    (began, start): (Instant, Time),
    after: Duration,
    settings: Settings,
    (is_stale, is_draining): (bool, bool),
    metrics: &Metrics,
) -> Moment<'_> {
    let (now, wall) = (began + after, wall(start, after));
    let stale = if is_stale { PartitionSet::ALL } else { PartitionSet::NONE };
    Moment { now, start: began, wall, settings, stall: STALL, retry_ms: 1000, stale, is_draining, metrics }
}

fn wall(start: Time, after: Duration) -> Time {
    Time::from_unix_ms(start.unix_ms() + i64::try_from(after.as_millis()).unwrap()).unwrap()
}

fn text(out: &[u8]) -> String {
    String::from_utf8(out.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_with_retry_and_a_snapshot_and_then_waits_for_its_heartbeat() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    assert!(stream.beginning.starts_with("retry: "), "{}", stream.beginning);
    assert!(stream.beginning.contains(r#""type":"snapshot""#), "{}", stream.beginning);
    for least in [0.73, 0.95, 0.95] {
        let wait = stream.wait();
        let span = stream.settings.heartbeat;
        assert!(span.mul_f64(least) <= wait && wait <= span, "{wait:?}");
        assert_eq!(stream.sleep(), ":\n");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_writes_a_heartbeat_without_a_look_at_the_topic() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    let wait = stream.wait();
    stream.after += wait;
    stream.say(Phase::Created).await;
    assert_eq!(stream.tick(), (Next::Write, ":\n".to_owned()));
    assert!(matches!(stream.tick().0, Next::Wait(_)));
    assert!(stream.step().1.contains(r#""seq":1"#), "the bell brings what the tick has left alone");
}

#[tokio::test(start_paused = true)]
async fn a_tick_ends_no_stream_before_its_news_is_written() {
    let settings = Settings { heartbeat: Duration::from_secs(3600), ..Settings::default() };
    let mut stream = Stream::with(Fake::default(), Request::default(), settings).await;
    let age = stream.wait();
    stream.after += age;
    stream.say(Phase::Created).await;
    let (next, wrote) = stream.tick();
    assert!(next == Next::Write && wrote.contains(r#""seq":1"#), "{wrote}");
    let (_, wrote) = stream.tick();
    stream.ends(&wrote, "max_age", Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_many_streams_share_few_times() {
    let mut times = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let mut stream = Stream::open(Fake::default(), Request::default()).await;
        stream.sleep();
        times.insert(stream.after);
    }
    // A quarter of the silence, in which there are 64 times.
    assert!((8..=17).contains(&times.len()), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn news_is_written_at_the_next_step_and_postpones_the_heartbeat() {
    let request = Request { heartbeat_events: true, ..Request::default() };
    let mut stream = Stream::open(Fake::default(), request).await;
    let wait = stream.wait();
    stream.after += wait - MS;
    let cursor = stream.say(Phase::Created).await;
    let (next, wrote) = stream.step();
    assert_eq!(next, Next::Write);
    assert!(wrote.starts_with(&format!("id: {cursor}\ndata: ")) && wrote.contains(r#""seq":1"#), "{wrote}");
    assert!(stream.wait() >= stream.settings.heartbeat.mul_f64(0.73));
    assert_eq!(stream.sleep(), format!("event: heartbeat\nid: {cursor}\ndata: {{\"seq\":1}}\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_lane_behind_its_topic_asks_for_its_history_once_and_heartbeats_go_on_meanwhile() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    stream.say(Phase::Created).await;
    let last = stream.say(Phase::Captured).await;
    // After a few ticks the topic has dropped the frames.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(stream.step().0, Next::Read);
    assert_eq!(stream.sleep(), ":\n");
    let history = stream.hub.history_in_time(stream.drive.behind().unwrap().1).await;
    let mut out = BytesMut::new();
    let at = moment(stream.start, stream.after, stream.settings, (false, false), &stream.metrics);
    stream.drive.catch_up(&history, &at, &mut out);
    assert_eq!(stream.drive.step(&at, &mut out), Next::Write);
    let wrote = text(&out);
    assert!(wrote.contains(r#""seq":1"#) && wrote.contains(&format!("id: {last}\n")), "{wrote}");
    stream.wait();
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_older_than_what_the_stream_has_written_is_not_taken_for_a_loss() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    // It is read while the log is empty, and comes when the log has an event that the stream has written.
    let old = stream.watch.history().await.unwrap();
    stream.say(Phase::Created).await;
    assert!(stream.step().1.contains(r#""seq":1"#));
    stream.wait();
    stream.drive.reading = Some(0);
    let mut out = BytesMut::new();
    let at = moment(stream.start, stream.after, stream.settings, (false, false), &stream.metrics);
    stream.drive.catch_up(&old, &at, &mut out);
    assert_eq!(text(&out), "");
    stream.say(Phase::Captured).await;
    assert!(stream.step().1.contains(r#""seq":2"#), "the stream goes on where it was");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_took_nothing_for_the_stall_limit_is_closed_as_stalled() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    stream.say(Phase::Created).await;
    assert_eq!(stream.step().0, Next::Write);
    stream.after += STALL;
    assert_eq!(stream.step().0, Next::Write, "the limit is not passed yet");
    stream.after += STALL + MS;
    let (_, wrote) = stream.step();
    stream.ends(&wrote, "stalled", Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_no_stall_however_long() {
    let settings = Settings { heartbeat: STALL * 10, ..Settings::default() };
    let mut stream = Stream::with(Fake::default(), Request::default(), settings).await;
    assert_eq!(stream.sleep(), ":\n");
}

#[tokio::test(start_paused = true)]
async fn the_maximum_age_ends_a_stream_within_its_last_fifth() {
    let settings = Settings { heartbeat: Duration::from_secs(3600), ..Settings::default() };
    let mut stream = Stream::with(Fake::default(), Request::default(), settings).await;
    let age = stream.wait();
    assert!(settings.max_age.mul_f64(0.8) <= age && age <= settings.max_age, "{age:?}");
    let wrote = stream.sleep();
    stream.ends(&wrote, "max_age", Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_its_stream_at_its_expiry_even_if_there_is_news() {
    let life = Duration::from_secs(2);
    let request = Request { token_lives: Some(life), ..Request::default() };
    let mut stream = Stream::open(Fake::default(), request).await;
    assert_eq!(stream.wait(), life);
    stream.say(Phase::Created).await;
    stream.after += life;
    let (_, wrote) = stream.step();
    assert!(!wrote.contains("update"), "{wrote}");
    stream.ends(&wrote, "token_expired", Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_removed_ends_the_streams_that_it_signed() {
    let stands = Arc::new(AtomicBool::new(true));
    let asks = Arc::clone(&stands);
    let request = Request {
        stands: Some(Arc::new(Box::new(move || asks.load(Ordering::Relaxed)))),
        ..Request::default()
    };
    let mut stream = Stream::open(Fake::default(), request).await;
    stream.wait();
    stands.store(false, Ordering::Relaxed);
    let (_, wrote) = stream.step();
    stream.ends(&wrote, "token_expired", Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_drain_closes_a_stream_within_four_fifths_of_its_time_but_not_before_its_news_is_written() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    stream.is_draining = true;
    stream.say(Phase::Created).await;
    assert!(stream.step().1.contains("update"));
    let mut wrote = stream.sleep();
    while wrote == ":\n" {
        wrote = stream.sleep();
    }
    assert!(stream.after <= stream.settings.drain.mul_f64(0.8), "{:?}", stream.after);
    stream.ends(&wrote, "drain", Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_finished_payment_ends_a_stream_cleanly_after_its_linger_if_the_client_asked_for_it() {
    let settings = Settings { linger: Duration::from_secs(5), ..Settings::default() };
    for (until_finished, expected) in [(true, "finished"), (false, "")] {
        let request = Request { until_finished, ..Request::default() };
        let mut stream = Stream::with(Fake::default(), request, settings).await;
        stream.say(Phase::Captured).await;
        assert!(stream.step().1.contains(r#""status":"captured""#));
        let wrote = stream.sleep();
        if expected.is_empty() {
            assert_eq!(wrote, ":\n");
            continue;
        }
        assert!(stream.after.abs_diff(settings.linger) < Duration::from_secs(1), "{:?}", stream.after);
        stream.ends(&wrote, expected, Ending::Clean);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_reported_once_and_so_is_its_return() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    for is_stale in [true, false] {
        stream.is_stale = is_stale;
        assert!(stream.step().1.contains(&format!(r#""stale":{is_stale}"#)));
        stream.wait();
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_a_reload_shortened_comes_within_the_new_silence() {
    let mut stream = Stream::open(Fake::default(), Request::default()).await;
    stream.wait();
    stream.settings.heartbeat = Duration::from_secs(2);
    assert!(stream.wait() <= Duration::from_secs(2));
    assert_eq!(stream.sleep(), ":\n");
}
