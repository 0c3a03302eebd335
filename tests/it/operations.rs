//! What operators rely on: health, metrics, logs, reloads.

use crate::support::{
    ADMIN_TOKEN, GENERIC_SECRET, Gateway, OTHER_SECRET, PATIENCE, RedisServer, STRIPE_SECRET, Setup, Store,
    TOKEN_KEY, eventually, generic, header, next_message, now_s, read_to_end, signed, stays_silent, token,
};
use load::{http::End, sign, sse::Item, stream::Next};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn the_health_routes_tell_life_from_readiness() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"5s\"")).await;
    for path in ["/livez", "/readyz", "/readyz/ingest"] {
        assert_eq!(gateway.admin(path).await.head.status, 200, "{path}");
    }
    // They are the operators', not the public's.
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(gateway.get(path, &[]).await.head.status, 404, "{path}");
    }
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    gateway.terminate();
    eventually("it is not ready", async || gateway.admin("/readyz").await.head.status == 503).await;
    assert_eq!(gateway.admin("/livez").await.head.status, 200, "draining is no reason to be shot");
    gateway.kill();
}

#[tokio::test]
async fn webhooks_are_taken_until_the_end_of_a_drain() {
    let mut gateway = Gateway::with(Setup::stream("drain = \"12s\"")).await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    gateway.terminate();
    eventually("it is not ready", async || gateway.admin("/readyz").await.head.status == 503).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    gateway.ended().await;
    gateway.restart().await;
    assert_eq!(gateway.snapshot("pay_1").await["seq"], 1);
}

#[tokio::test]
async fn the_metrics_are_there_and_make_sense() {
    let gateway = Gateway::start().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = gateway.stream("pay_1").await;
        next_message(&mut stream).await;
        streams.push(stream);
    }
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let mut cursor = String::new();
    for stream in &mut streams {
        cursor = next_message(stream).await.0;
    }
    next_message(&mut gateway.resume("pay_1", &cursor).await).await;
    let near = |value: f64, expected: f64| (value - expected).abs() < 0.001;
    for (name, labels, expected) in [
        ("paystream_events_total", &["source=\"acme\"", "outcome=\"accepted\""][..], 1.0),
        ("paystream_append_seconds_count", &[], 1.0),
        ("paystream_receipt_to_write_seconds_count", &[], 3.0),
        ("paystream_provider_to_write_seconds_count", &[], 3.0),
        ("paystream_stream_resumes_total", &["reason=\"fresh\""], 3.0),
        ("paystream_stream_resumes_total", &["reason=\"ready\""], 1.0),
        ("paystream_webhooks_total", &["source=\"acme\""], 1.0),
        ("paystream_webhooks_failed_total", &[], 0.0),
        ("paystream_stream_stale_seconds_total", &[], 0.0),
        ("paystream_store_ready", &[], 1.0),
        ("paystream_streams_open", &[], 3.0),
    ] {
        eventually(&format!("{name}{labels:?} is {expected}"), async || {
            near(gateway.metric(name, labels).await, expected)
        })
        .await;
    }
    streams.clear();
    eventually("closed streams are counted", async || {
        near(gateway.metric("paystream_stream_closes_total", &["reason=\"gone\""]).await, 4.0)
            && near(gateway.metric("paystream_streams_open", &[]).await, 0.0)
    })
    .await;
    let seconds = gateway.metric("paystream_receipt_to_write_seconds_sum", &[]).await;
    // Times are whole milliseconds, and a frame may be written within the one in which its webhook came.
    assert!((0.0..10.0).contains(&seconds), "{seconds}");
    let text = gateway.admin("/metrics").await;
    assert!(text.text().ends_with("# EOF\n"), "it is OpenMetrics");
    assert!(text.head.header("content-type").unwrap().contains("openmetrics"));
    assert!(!text.text().contains("pay_1"), "no label carries what a client chose");
}

#[tokio::test]
async fn the_metrics_describe_the_process_the_build_and_the_disk() {
    let embedded = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    let (free, size) = ("paystream_disk_free_bytes", "paystream_disk_size_bytes");
    eventually("the disk is looked at", async || embedded.metric(size, &[]).await > 0.0).await;
    assert!(embedded.metric(free, &[]).await <= embedded.metric(size, &[]).await);
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!((embedded.metric("paystream_build_info", &[&version]).await - 1.0).abs() < 0.1);
    let resident = embedded.metric("process_resident_memory_bytes", &[]).await;
    assert!(resident > 1e6 && resident < 1e10, "{resident}");
    assert!(embedded.metric("process_open_fds", &[]).await > 5.0);
    // A node without a data folder has no such disk: zero bytes would be an alarm.
    let redis = RedisServer::start().await;
    let shared = Gateway::with(Setup::on(&redis)).await;
    let text = shared.admin("/metrics").await.text();
    assert!(text.contains("process_open_fds") && !text.contains("disk_free"), "{text}");
}

/// On both stores: the operator hears that the quarantine forgets.
#[tokio::test]
async fn records_that_the_quarantine_removes_are_counted() {
    // With bodies, nothing is removed, and further events are refused.
    let gateway = Gateway::with(Setup { quarantine_bodies: false, ..Setup::default() }).await;
    let removed =
        async || gateway.metric("paystream_limit_hits_total", &["reason=\"quarantine_records\""]).await;
    let body = b"{";
    let headers = signed("acme", body);
    let post = async |count: usize| {
        for _ in 0..count / 128 {
            let posts = (0..128).map(|_| gateway.post_raw("acme", &headers, body));
            futures_util::future::join_all(posts).await;
        }
    };
    post(512).await;
    assert!(removed().await.abs() < 0.1, "each share keeps 1024 records, and {} are gone", removed().await);
    // A write to Redis whose answer is late may be made twice, so a few may be gone by now.
    post(512).await;
    let before = removed().await;
    assert!(before < 500.0, "{before}");
    post(128).await;
    assert_eq!(gateway.events(&["reason=\"not_json\""]).await, 1152);
    assert!(removed().await > before + 127.5, "{} after {before}", removed().await);
}

#[tokio::test]
async fn a_reload_rotates_secrets_without_dropping_a_stream() {
    let mut setup = Setup::default();
    let gateway = Gateway::with(setup.clone()).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    let post = async |id: &str, secret: &str| {
        let body = generic(id, "pending", "pay_1", 1_700_000_000).to_string().into_bytes();
        gateway.post_raw("acme", &sign::generic(secret, &body), &body).await.head.status
    };
    let new = "c0ffee1d4be07d19c5f23a86907e1db4c83f5a2d";
    assert_eq!(post("e0", new).await, 401);
    // While rotating, both count.
    setup.sources[0].secrets.insert(0, new.to_owned());
    gateway.configure(&setup);
    gateway.hang_up();
    eventually("the new secret counts", async || post("e1", new).await / 100 == 2).await;
    assert_eq!(post("e2", GENERIC_SECRET).await / 100, 2);
    // Then the old one is taken away.
    setup.sources[0].secrets.truncate(1);
    gateway.configure(&setup);
    gateway.hang_up();
    eventually("the old secret counts no more", async || post("e2", GENERIC_SECRET).await == 401).await;
    assert_eq!(post("e3", new).await / 100, 2);
    for seq in 1..=3 {
        assert_eq!(next_message(&mut stream).await.1["seq"], seq, "the same stream, all the while");
    }
}

#[tokio::test]
async fn a_reload_revokes_a_key_and_closes_its_streams_only() {
    let mut setup = Setup::default();
    let gateway = Gateway::with(setup.clone()).await;
    let operator = sign::jwt_hs256(
        "ops",
        crate::support::OPERATOR_KEY.as_bytes(),
        &crate::support::claims("default", &["pay_1"]),
    );
    let operator = [header("authorization", &format!("Bearer {operator}"))];
    let mut theirs = gateway.open("/v1/payments/pay_1/events", &operator).await;
    let mut ours = gateway.stream("pay_1").await;
    next_message(&mut theirs).await;
    next_message(&mut ours).await;
    setup.keys.retain(|key| key.kid == "k1");
    gateway.configure(&setup);
    gateway.hang_up();
    let (messages, end) = read_to_end(&mut theirs).await;
    assert_eq!(messages.last().unwrap()["type"], "closing");
    assert_eq!(messages.last().unwrap()["reason"], "token_expired");
    assert_eq!(end, End::Unclean);
    assert_eq!(gateway.get("/v1/payments/pay_1", &operator).await.head.status, 401);
    stays_silent(&mut ours, Duration::from_millis(300)).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    assert_eq!(next_message(&mut ours).await.1["seq"], 1);
}

#[tokio::test]
async fn a_reload_changes_limits_and_heartbeats_without_dropping_a_stream() {
    let gateway = Gateway::with(Setup::stream("heartbeat = \"1h\"")).await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    let post = async |id: &str| {
        let mut payload = generic(id, "pending", "pay_1", 1_700_000_000);
        payload["note"] = "x".repeat(2000).into();
        gateway.post("acme", &payload).await.head.status
    };
    assert_eq!(post("e1").await / 100, 2);
    assert_eq!(next_message(&mut stream).await.1["seq"], 1);

    let limits = "body_bytes = 1000\npayments_per_stream = 1\nconnections = 5000\nlog_reads = 8";
    gateway.configure(&Setup { limits: limits.to_owned(), ..Setup::stream("heartbeat = \"100ms\"") });
    gateway.hang_up();
    let reloads = || gateway.log().matches("configuration reloaded").count();
    eventually("it is reloaded", async || reloads() == 1).await;
    assert_eq!(post("e1").await, 413);
    let two =
        gateway.get("/v1/events?payment=pay_1&payment=pay_2", &gateway.bearer(&["pay_1", "pay_2"])).await;
    assert_eq!(two.head.status, 400, "{}", two.text());
    // The stream that was to be silent for an hour speaks at once, and goes on to.
    for _ in 0..3 {
        let next = timeout(PATIENCE, stream.next()).await.unwrap().unwrap();
        assert!(matches!(next, Next::Item(Item::Comment(_))), "{next:?}");
    }
    let log = gateway.log();
    let told: Vec<_> = log.lines().filter(|line| line.contains("after a restart")).collect();
    assert_eq!(told.len(), 2, "what needs a restart is named, nothing else:\n{log}");
    assert!(told[0].contains("limits.connections") && told[0].contains("5000"), "{told:?}");
    assert!(told[1].contains("limits.log_reads"), "{told:?}");

    // As it was at the start: nothing waits for a restart any more.
    gateway.configure(&Setup::default());
    gateway.hang_up();
    eventually("it is reloaded again", async || reloads() == 2).await;
    assert_eq!(post("e2").await / 100, 2);
    assert_eq!(next_message(&mut stream).await.1["seq"], 2, "the same stream, all the while");
    assert_eq!(gateway.log().matches("after a restart").count(), 2);
}

#[tokio::test]
async fn a_reload_of_a_broken_file_changes_nothing_and_says_so() {
    let gateway = Gateway::start().await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    let limits = "body_bytes = 10".to_owned();
    gateway.configure(&Setup { limits, ..Setup::stream("heartbeat = \"never\"") });
    gateway.hang_up();
    eventually("it is logged", async || gateway.log().contains("heartbeat")).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    assert_eq!(next_message(&mut stream).await.1["seq"], 1);
}

#[tokio::test]
async fn each_delivery_is_one_line_and_no_secret_is_in_any() {
    for format in ["text", "json"] {
        let mut gateway =
            Gateway::with(Setup { log: format!("format = \"{format}\""), ..Setup::default() }).await;
        let token = token("default", &["pay_1"]);
        let path = format!("/v1/payments/pay_1/events?access_token={token}&last_event_id=0-0");
        let mut stream = gateway.open(&path, &[]).await;
        gateway.get(&format!("/v1/payments/pay_2?access_token={token}"), &[]).await;
        gateway.get("/v1/payments/pay_1?access_token=wrong-token-4711", &[]).await;
        for _ in 0..2 {
            gateway.accept(&generic("evt_logged", "pending", "pay_1", 1_700_000_000)).await;
        }
        let body = b"{}";
        gateway.post_raw("acme", &sign::generic("a wrong secret", body), body).await;
        next_message(&mut stream).await;
        drop(stream);
        gateway.stop().await;
        let log = gateway.log();
        let deliveries: Vec<_> =
            log.lines().filter(|line| line.contains("acme") && line.contains("deliver")).collect();
        assert_eq!(deliveries.len(), 3, "one line for each delivery:\n{log}");
        for (line, outcome) in deliveries.iter().zip(["accepted", "duplicate", "rejected"]) {
            assert!(line.contains(outcome), "{outcome}: {line}");
        }
        assert!(log.contains("pay_1"), "what did this customer see?");
        let signature = signed("acme", b"{}")[1].1.clone();
        for secret in [
            GENERIC_SECRET,
            OTHER_SECRET,
            STRIPE_SECRET,
            TOKEN_KEY,
            ADMIN_TOKEN,
            &token,
            token.rsplit('.').next().unwrap(),
            "wrong-token-4711",
            &signature,
        ] {
            assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        }
        if format == "json" {
            for line in log.lines() {
                let fields: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                for (name, value) in fields {
                    let text = value.as_str().unwrap_or("text");
                    assert!(!text.is_empty(), "{name} is empty, and could be left out: {line}");
                    assert!(text.parse::<f64>().is_err(), "{name} is a number in quotes: {line}");
                    assert!(!value.is_null(), "{name}: {line}");
                }
            }
            let accepted: serde_json::Value = serde_json::from_str(deliveries[0]).unwrap();
            for number in ["seq", "bytes", "duration_us", "suppressed"] {
                assert!(accepted[number].is_u64(), "{number}: {accepted}");
            }
            let rejected: serde_json::Value = serde_json::from_str(deliveries[2]).unwrap();
            assert_eq!((rejected.get("event"), rejected.get("payment")), (None, None), "{rejected}");
        }
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_folder_is_refused() {
    let gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    let text = std::fs::read_to_string(gateway.config_path()).unwrap();
    let mut other = text.clone();
    for address in [gateway.public, gateway.ingest, gateway.admin] {
        other = other.replace(&address.to_string(), &crate::support::free_address().to_string());
    }
    let path = gateway.folder().join("second.toml");
    std::fs::write(&path, other).unwrap();
    let output = crate::support::paystream().args(["serve", "--config"]).arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("data"), "{said}");
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
}

#[tokio::test]
async fn public_and_ingest_may_share_a_socket() {
    let mut gateway = Gateway::start().await;
    gateway.stop().await;
    gateway.ingest = gateway.public;
    gateway.configure(&Setup::default());
    gateway.restart().await;
    let mut stream = gateway.stream("pay_1").await;
    next_message(&mut stream).await;
    gateway.accept(&generic("e1", "pending", "pay_1", 1_700_000_000)).await;
    assert_eq!(next_message(&mut stream).await.1["seq"], 1);
}
