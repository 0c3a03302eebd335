//! The loop over real sockets, against clients that misbehave.

use super::{super::admission::Places, *};
use crate::peer::Proxies;
use axum::{
    body::{Body, Bytes},
    routing::{get, post},
};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::timeout,
};

const SHORT: Duration = Duration::from_millis(200);

/// Far longer than any step of these tests takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

/// The entrance of a listener alone; connections from `proxy` begin with a header of the PROXY protocol.
fn entrance(limits: &Limits, proxy: Option<&str>, metrics: &Arc<Metrics>) -> Arc<Entrance> {
    let trusted = proxy.map(|proxy| Proxies::parse(proxy).unwrap());
    let proxies = Proxies::new(trusted.into_iter().collect(), crate::peer::ForwardedHeader::default());
    let places = Places::new(1000, 0);
    let takes_proxy_protocol = proxy.is_some();
    Entrance::new(
        "public",
        limits.connections,
        places,
        Arc::new(proxies),
        takes_proxy_protocol,
        Arc::clone(metrics),
    )
}

impl Running {
    fn start(limits: Limits) -> Self {
        Self::behind(None, limits)
    }

    /// A server behind a balancer at this address.
    fn behind(proxy: Option<&str>, limits: Limits) -> Self {
        let router = Router::new()
            .route("/", get("hello"))
            .route("/echo", post(|body: String| async { body }))
            .route("/panic", get(|| async { panic!("on purpose") as &'static str }))
            .route("/endless", get(|| async { Body::from_stream(stream::repeat_with(kilobyte)) }))
            .route("/quiet", get(|| async { once_then(stream::pending()) }))
            .route("/cut", get(|| async { once_then(stream::iter([Err(io::Error::other("cut"))])) }));
        let listener = bind("127.0.0.1:0".parse().unwrap(), &limits).unwrap();
        let address = listener.local_addr().unwrap();
        let (metrics, shutdown) = (Arc::new(Metrics::new()), Shutdown::default());
        let entrance = entrance(&limits, proxy, &metrics);
        let served = serve(
            listener,
            router,
            entrance,
            None,
            Live::new(limits),
            Arc::clone(&metrics),
            shutdown.clone(),
        );
        let task = tokio::spawn(served);
        Self { address, metrics, shutdown, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` on a new connection and returns all that comes until the server closes it.
    async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _unread = stream.write_all(request).await;
        rest(&mut stream).await
    }

    async fn until_hit(&self, limit: &str) {
        let none = format!("paystream_limit_hits_total{{reason=\"{limit}\"}} 0\n");
        let hit = async {
            while self.metrics.render().contains(&none) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, hit).await.unwrap_or_else(|_| panic!("the limit {limit} was not hit"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an item of a fallible stream")]
fn kilobyte() -> io::Result<Bytes> {
    Ok(Bytes::from_static(&[b'x'; 1024]))
}

fn once_then(rest: impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static) -> Body {
    use futures_util::StreamExt;
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"first")))]);
    Body::new(StreamBody::new(first.chain(rest)))
}

/// Reads until the connection ends, in order or by an error.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server has to close");
    drop(read);
    String::from_utf8_lossy(&answer).into_owned()
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.contains(end) {
        let mut chunk = [0; 1024];
        let len = timeout(LONG, stream.read(&mut chunk)).await.expect("an answer").unwrap();
        assert_ne!(len, 0, "closed after {answer:?}");
        answer.push_str(&String::from_utf8_lossy(&chunk[..len]));
    }
    answer
}

fn http2() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().build().unwrap()
}

#[tokio::test]
async fn the_first_head_has_little_time_and_later_ones_have_more() {
    let limits = Limits { first_head_timeout: SHORT, head_timeout: 4 * SHORT, ..Limits::default() };
    let server = Running::start(limits);
    let mut half = h2::PREFACE.to_vec();
    half.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let sent: [&[u8]; 6] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: a\r\nx-more: ",
        // A whole preface and empty settings, but no request.
        &half,
    ];
    for sent in sent {
        let begun = Instant::now();
        let answer = server.exchange(sent).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{sent:?} got {answer:?}");
        assert!(begun.elapsed() >= SHORT, "{sent:?} after {:?}", begun.elapsed());
    }
    server.until_hit("first_head_timeout").await;

    let mut kept = server.connect().await;
    for idle in [Duration::ZERO, 2 * SHORT] {
        sleep(idle).await;
        kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        read_until(&mut kept, "hello").await;
    }
    assert_eq!(rest(&mut kept).await, "", "it is not kept for ever");
}

#[tokio::test]
async fn behind_a_balancer_every_connection_says_who_its_client_is() {
    let server =
        Running::behind(Some("127.0.0.1"), Limits { first_head_timeout: SHORT, ..Limits::default() });
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x05\x0a\0\0\x01\0\x50\0\x50";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for preamble in [&header[..], local] {
        assert!(server.exchange(&[preamble, request].concat()).await.ends_with("hello"), "{preamble:?}");
    }
    // Without the header, with a part of it, or with nonsense in its place.
    let two = [&header[..], header, request].concat();
    for sent in [&request[..], &header[..14], &[header[..12].to_vec(), request.to_vec()].concat(), &two] {
        let answer = server.exchange(sent).await;
        assert!(!answer.contains("200 OK"), "{sent:?} got {answer:?}");
    }
    let elsewhere = Running::behind(Some("203.0.113.1"), Limits::default());
    assert!(elsewhere.exchange(request).await.ends_with("hello"), "nobody else needs the header");
    let answer = elsewhere.exchange(&[&header[..], request].concat()).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "nor is anybody else believed: {answer}"
    );
}

#[tokio::test]
async fn a_silent_http2_connection_is_closed_and_one_with_a_running_request_is_not() {
    let server = Running::start(Limits { head_timeout: SHORT, ..Limits::default() });
    let running = http2().get(format!("http://{}/quiet", server.address)).send().await.unwrap();

    // The preface, empty settings, and the first 5 of 9 bytes of a frame of headers.
    let mut half = h2::PREFACE.to_vec();
    half.extend([0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, 1, 4]);
    server.exchange(&half).await;

    let mut running = running;
    assert_eq!(running.chunk().await.unwrap().unwrap(), "first");
    let more = timeout(4 * SHORT, running.chunk()).await;
    assert!(more.is_err(), "the stream should still be open: {more:?}");
}

#[tokio::test]
async fn heads_over_their_bounds_get_431() {
    let server = Running::start(Limits { headers: 20, head_bytes: 2048, ..Limits::default() });
    let many: String = (0..30).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(4096));
    for (headers, status) in [(many, 431), (long, 431), (String::new(), 200)] {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        let answer = server.exchange(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[tokio::test]
async fn both_http_versions_are_served_on_one_port() {
    let server = Running::start(Limits::default());
    let url = format!("http://{}/echo", server.address);
    for (client, version) in
        [(reqwest::Client::new(), reqwest::Version::HTTP_11), (http2(), reqwest::Version::HTTP_2)]
    {
        let answer = client.post(&url).body("ping").send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), "ping");
    }
}

#[tokio::test]
async fn i6_bounded_a_reader_that_takes_nothing_is_cut_off() {
    let server = Running::start(Limits { stall: SHORT, ..Limits::default() });
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.until_hit("stall").await;
}

#[tokio::test]
async fn i6_bounded_connections_beyond_the_limit_wait_their_turn() {
    let server = Running::start(Limits { connections: 1, ..Limits::default() });
    let mut first = server.connect().await;
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut first, "hello").await;
    server.until_hit("connections").await;

    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(timeout(SHORT, second.read(&mut byte)).await.is_err(), "there was no room");
    drop(first);
    assert!(rest(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let server = Running::start(Limits::default());
    server.exchange(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn a_body_that_fails_ends_without_the_last_chunk() {
    let server = Running::start(Limits::default());
    let answer = server.exchange(b"GET /cut HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!answer.contains("0\r\n\r\n"), "{answer}");
    let url = format!("http://{}/cut", server.address);
    for client in [reqwest::Client::new(), http2()] {
        let ended = match client.get(&url).send().await {
            Ok(answer) => answer.bytes().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(ended.is_err());
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_while_its_stream_is_silent() {
    let (is_gone, body_dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
    struct Gone(Arc<AtomicBool>, Arc<tokio::sync::Notify>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
            self.1.notify_one();
        }
    }
    let (flag, dropped) = (Arc::clone(&is_gone), Arc::clone(&body_dropped));
    let router = Router::new().route(
        "/",
        get(move || async move {
            let gone = Gone(flag, dropped);
            once_then(stream::once(async move {
                let _gone = gone;
                std::future::pending().await
            }))
        }),
    );
    let limits = Limits::default();
    let listener = bind("127.0.0.1:0".parse().unwrap(), &limits).unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let metrics = Arc::default();
    let entrance = entrance(&limits, None, &metrics);
    let served =
        tokio::spawn(serve(listener, router, entrance, None, Live::new(limits), metrics, shutdown.clone()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut client, "first").await;
    assert!(!is_gone.load(Ordering::SeqCst));
    drop(client);
    timeout(LONG, body_dropped.notified()).await.unwrap();
    shutdown.stop();
    served.await.unwrap();
}

#[tokio::test]
async fn a_drain_answers_everyone_but_keeps_no_connection() {
    let server = Running::start(Limits::default());
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut idle, "hello").await;
    let mut running = server.connect().await;
    running.write_all(b"GET /quiet HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut running, "first").await;

    server.shutdown.drain();
    assert_eq!(rest(&mut idle).await, "");
    let late = server.exchange(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(late.contains("connection: close") && late.ends_with("hello"), "{late}");
    let mut byte = [0];
    assert!(timeout(SHORT, running.read(&mut byte)).await.is_err(), "a running stream is left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_as_the_drain_begins_is_answered() {
    for turn in 0..300 {
        let server = Arc::new(Running::start(Limits::default()));
        let asked = (0..20).map(|_| {
            let server = Arc::clone(&server);
            let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            tokio::spawn(async move { server.exchange(request).await })
        });
        let mut asked: Vec<_> = asked.collect();
        // The drain begins while the other requests are at any stage.
        let first = asked.remove(turn % asked.len());
        let early = first.await.unwrap();
        assert!(early.ends_with("hello"), "{early:?}");
        server.shutdown.drain();
        for answer in asked.into_iter() {
            let answer = answer.await.unwrap();
            assert!(answer.ends_with("hello"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_stop_cuts_every_connection_and_then_returns() {
    let mut server = Running::start(Limits::default());
    let mut plain = server.connect().await;
    plain.write_all(b"GET /quiet HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    read_until(&mut plain, "first").await;
    let mut multiplexed = http2().get(format!("http://{}/quiet", server.address)).send().await.unwrap();
    multiplexed.chunk().await.unwrap();

    let begun = Instant::now();
    server.shutdown.stop();
    timeout(LONG, &mut server.task).await.expect("serve has to return").unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(rest(&mut plain).await, "");
    assert!(multiplexed.chunk().await.is_err());
    assert!(TcpStream::connect(server.address).await.is_err());
}
