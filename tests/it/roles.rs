//! Several processes over one Redis server: halves of a gateway, whole ones, and what each of them has and has not.

use crate::support::{
    Gateway, PATIENCE, RedisServer, Setup, eventually, generic, header, message, next_message, now_s,
    paystream, signed, token,
};
use load::{
    follow::Seen,
    http::request,
    sse::Item,
    stream::{Next, Stream},
};
use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// The half that takes webhooks. It has no key to admit anyone with.
async fn ingest_node(redis: &RedisServer) -> Gateway {
    Gateway::with_role("ingest", Setup { keys: Vec::new(), ..Setup::on(redis) }).await
}

/// The half that streams. It has no secret of any provider.
async fn stream_node(redis: &RedisServer) -> Gateway {
    Gateway::with_role("stream", Setup { sources: Vec::new(), ..Setup::on(redis) }).await
}

#[tokio::test]
async fn a_webhook_to_the_ingest_node_reaches_the_streams_of_every_stream_node() {
    let redis = RedisServer::start().await;
    let mut ingest = ingest_node(&redis).await;
    let (mut one, mut other) = (stream_node(&redis).await, stream_node(&redis).await);
    let mut streams = [one.stream("pay_1").await, other.stream("pay_1").await];
    for stream in &mut streams {
        assert_eq!(next_message(stream).await.1["seq"], 0);
    }
    ingest.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    for stream in &mut streams {
        assert_eq!(next_message(stream).await.1["event"]["id"], "e1");
    }
    assert_eq!(one.snapshot("pay_1").await, other.snapshot("pay_1").await);

    // A node that dies takes its own streams along and nothing else; they resume on the other.
    let [mut theirs, mut ours] = streams;
    one.kill();
    ingest.accept(&generic("e2", "pending", "pay_1", 1_700_000_001)).await;
    let (cursor, second) = next_message(&mut ours).await;
    assert_eq!(second["seq"], 2);
    assert!(theirs.rest(PATIENCE).await.is_ok_and(|(items, _)| items.is_empty()));
    let mut resumed = other.resume("pay_1", &cursor).await;
    assert_eq!(next_message(&mut resumed).await.1["type"], "ready");

    // Without the node that takes webhooks, streams stay open and have nothing to tell.
    ingest.kill();
    one.restart().await;
    let mut back = one.stream("pay_1").await;
    assert_eq!(next_message(&mut back).await.1["seq"], 2);
    ingest.restart().await;
    ingest.accept(&generic("e3", "confirmed", "pay_1", 1_700_000_002)).await;
    for stream in [&mut ours, &mut resumed, &mut back] {
        let news = next_message(stream).await.1;
        assert_eq!((&news["seq"], &news["status"]), (&3.into(), &"captured".into()));
    }
    // Each ends by itself, as it would with the others gone.
    ingest.stop().await;
    drop((ours, resumed, back));
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn what_a_role_does_not_have_is_not_found_and_not_listened_for() {
    let redis = RedisServer::start().await;
    let (ingest, stream) = (ingest_node(&redis).await, stream_node(&redis).await);
    for address in [ingest.public, stream.ingest] {
        assert!(TcpStream::connect(address).is_err(), "{address} is open");
    }
    let body = generic("e1", "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
    let bearer = stream.bearer(&["pay_1"]);
    for (address, method, path, headers) in [
        (ingest.ingest, "GET", "/v1/payments/pay_1", &bearer),
        (ingest.ingest, "GET", "/v1/payments/pay_1/events", &bearer),
        (stream.public, "POST", "/webhooks/acme", &signed("acme", &body)),
    ] {
        let answer = request(address, method, path, headers, &body).await.unwrap();
        assert_eq!((answer.head.status, &answer.json()["reason"]), (404, &"unknown_route".into()), "{path}");
    }
    let admin = [header("authorization", &format!("Bearer {}", crate::support::ADMIN_TOKEN))];
    for (node, path, status) in [
        (&ingest, "/livez", 200),
        (&ingest, "/readyz", 200),
        (&ingest, "/readyz/ingest", 200),
        (&ingest, "/metrics", 200),
        (&ingest, "/admin/sources/acme/deliveries", 200),
        (&stream, "/livez", 200),
        (&stream, "/readyz", 200),
        (&stream, "/readyz/ingest", 404),
        (&stream, "/metrics", 200),
        (&stream, "/admin/sources/acme/deliveries", 404),
        (&stream, "/admin/sources", 404),
        (&ingest, "/admin/realms/default/v1/payments/pay_1", 404),
        (&ingest, "/admin/realms/default/v1/events?payment=pay_1", 404),
        (&stream, "/admin/realms/default/v1/payments/pay_1", 200),
    ] {
        let answer = request(node.admin, "GET", path, &admin, b"").await.unwrap();
        assert_eq!(answer.head.status, status, "{path}: {}", answer.text());
        if status == 404 {
            assert_eq!(answer.json()["reason"], "other_role", "{path}");
        }
    }
    for node in [&ingest, &stream] {
        node.hang_up();
        eventually("it is reloaded", async || node.log().contains("configuration reloaded")).await;
    }
}

#[tokio::test]
async fn an_ingest_node_without_its_store_is_ready_but_not_to_ingest() {
    let mut redis = RedisServer::start().await;
    let ingest = ingest_node(&redis).await;
    redis.kill();
    eventually("it cannot append", async || ingest.admin("/readyz/ingest").await.head.status == 503).await;
    assert_eq!(ingest.admin("/readyz").await.head.status, 200, "a lost store is lost to all");
    let body = generic("e1", "pending", "pay_1", 1_700_000_000);
    assert_eq!(ingest.post("acme", &body).await.head.status, 503);
    redis.restart().await;
    eventually("it takes webhooks", async || ingest.post("acme", &body).await.head.status == 200).await;
}

#[test]
fn half_a_gateway_on_the_embedded_store_is_refused_with_a_remedy() {
    let folder = tempfile::TempDir::new().unwrap();
    let address = crate::support::free_address();
    Setup::default().write(folder.path(), [address; 3]);
    let path = folder.path().join("paystream.toml");
    let toml = fs::read_to_string(&path).unwrap();
    let admin = format!("admin = \"{}\"", crate::support::free_address());
    fs::write(&path, toml.replace(&format!("admin = \"{address}\""), &admin)).unwrap();
    for role in ["ingest", "stream"] {
        let output = paystream().args(["serve", "--role", role, "--config"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(role) && said.contains("kind = \"redis\""), "{said}");
    }
}

/// Follows a payment to its event `end`; each connection goes to the next node, as a balancer would have it.
async fn roam(nodes: Vec<SocketAddr>, payment: String, first: usize) -> Seen {
    let path = format!("/v1/payments/{payment}/events");
    let mut headers = vec![header("authorization", &format!("Bearer {}", token("default", &[&payment])))];
    let mut seen = Seen::default();
    for turn in first.. {
        // A node that is away refuses; the next one takes over.
        let Ok(mut stream) = Stream::open(nodes[turn % nodes.len()], &path, &headers).await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        assert_eq!(stream.head.status, 200, "anything else would end an EventSource for good");
        seen.connections += 1;
        let is_fresh = headers.len() == 1;
        while let Ok(Next::Item(item)) = stream.next().await {
            let Item::Event(event) = item else { continue };
            headers.truncate(1);
            headers.push(header("last-event-id", &event.id));
            let message = message(&event);
            seen.take(&message, is_fresh);
            if message["event"]["id"] == "end" {
                return seen;
            }
        }
    }
    unreachable!("there is always another turn")
}

/// Posts events until told to stop, each to the next node and again until it is acknowledged, as providers do.
async fn provide(
    nodes: Vec<SocketAddr>,
    payment: String,
    stop: tokio::sync::watch::Receiver<bool>,
) -> BTreeSet<String> {
    let mut acked = BTreeSet::new();
    let mut turn = 0;
    while !*stop.borrow() && acked.len() < 400 {
        let id = format!("{payment}-e{}", acked.len());
        let body = generic(&id, "pending", &payment, 1_700_000_000).to_string().into_bytes();
        loop {
            turn += 1;
            let node = nodes[turn % nodes.len()];
            match request(node, "POST", "/webhooks/acme", &signed("acme", &body), &body).await {
                Ok(answer) if answer.head.status == 200 => break,
                Ok(answer) => assert_eq!(answer.head.status, 503, "{}", answer.text()),
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
        acked.insert(id);
        sleep(Duration::from_millis(10)).await;
    }
    acked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_load_loses_nothing_and_repeats_nothing() {
    const PAYMENTS: usize = 4;
    let redis = RedisServer::start().await;
    let setup = || Setup { stream: "drain = \"2s\"".to_owned(), ..Setup::on(&redis) };
    let mut nodes = [Gateway::with(setup()).await, Gateway::with(setup()).await];
    let public: Vec<_> = nodes.iter().map(|node| node.public).collect();
    let ingest: Vec<_> = nodes.iter().map(|node| node.ingest).collect();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let lanes: Vec<_> = (0..PAYMENTS)
        .map(|lane| {
            let payment = format!("pay_{lane}");
            let provider = tokio::spawn(provide(ingest.clone(), payment.clone(), stopped.clone()));
            let follow = |first| tokio::spawn(roam(public.clone(), payment.clone(), first));
            (provider, [follow(0), follow(1)], payment.clone())
        })
        .collect();
    for _ in 0..2 {
        for node in &mut nodes {
            let streams = async |open: bool| (node.metric("paystream_streams_open", &[]).await > 0.0) == open;
            eventually("it has streams", async || streams(true).await).await;
            node.stop().await;
            node.restart().await;
        }
    }
    stop.send(true).unwrap();
    for (provider, watchers, payment) in lanes {
        let mut acked = timeout(PATIENCE, provider).await.unwrap().unwrap();
        nodes[0].accept(&generic("end", "confirmed", &payment, now_s())).await;
        acked.insert("end".to_owned());
        for watcher in watchers {
            let seen = timeout(PATIENCE, watcher).await.expect("the end comes").unwrap();
            assert!(seen.is_exact(), "{payment}: {seen:?}");
            assert!(seen.snapshots.is_empty(), "{payment}: {:?}", seen.snapshots);
            assert!(seen.connections > 2, "{payment}: it was never sent away");
            assert!(seen.closings.iter().all(|reason| reason == "drain"), "{:?}", seen.closings);
            let ids: BTreeSet<_> = seen.events.values().cloned().collect();
            assert_eq!((ids.len(), ids), (seen.events.len(), acked.clone()), "{payment}");
        }
    }
}
