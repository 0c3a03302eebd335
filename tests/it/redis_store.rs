//! What only the Redis store has to handle: a server that is checked, refused, lost, out of memory or ahead of its replicas.
//! `contract` holds what every store promises.

mod batches;
mod costs;
mod layout;

use crate::contract;
use crate::support::{RedisServer, eventually, free_address, now_s, store_at};
use paystream::{
    metrics::Metrics,
    payment::{Cursor, Event, Subject, Time},
    store::{
        Append, Appended, HELD_FOR, HeldId, Holding, OutcomeKind, ReasonCode, Record, RecordLog, Store,
        StoreError,
        redis::{Durability, Redis, ServerError, Settings},
    },
};
use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest that a call may take: two seconds, and half a second more for a busy machine.
const AT_MOST: Duration = Duration::from_millis(2_500);

async fn try_open(settings: Settings) -> Result<Redis, ServerError> {
    Redis::open(settings, Arc::new(Metrics::new())).await
}

async fn open(server: &RedisServer) -> Redis {
    try_open(store_at(&server.url())).await.unwrap()
}

fn subject(id: &str) -> Subject {
    contract::subject("default", id)
}

fn event(payment: &str, id: &str) -> Event {
    contract::event(payment, id, 4200)
}

async fn append(store: &Redis, payment: &str, id: &str) -> Result<Appended, StoreError> {
    store.append(Append { event: event(payment, id), shared_ids: false }).await
}

async fn append_new(store: &Redis, payment: &str, id: &str) -> Cursor {
    match append(store, payment, id).await.unwrap() {
        Appended::New { cursor, .. } => cursor,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_keeps_less_than_configured_is_refused_with_remedies() {
    let server = RedisServer::with(&["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]).await;
    let refused = try_open(store_at(&server.url())).await.unwrap_err().to_string();
    for expected in
        ["CONFIG SET maxmemory-policy noeviction", "CONFIG SET appendonly yes", "durability = \"none\""]
    {
        assert!(refused.contains(expected), "{refused}");
    }
    let always = Settings { durability: Durability::Always, ..store_at(&server.url()) };
    let refused = try_open(always).await.unwrap_err().to_string();
    assert!(refused.contains("CONFIG SET appendfsync always"), "{refused}");
    let none = Settings { durability: Durability::None, ..store_at(&server.url()) };
    append_new(&try_open(none).await.unwrap(), "pay", "evt").await;
    let replicas = Settings { ack_replicas: 1, durability: Durability::None, ..store_at(&server.url()) };
    let refused = try_open(replicas).await.unwrap_err().to_string();
    assert!(refused.contains("it has 0 replicas online, fewer than ack_replicas = 1"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_missing_is_reported_and_one_that_starts_late_is_waited_for() {
    let nobody = format!("redis://user:hunter2@{}", free_address());
    let began = Instant::now();
    let refused = try_open(store_at(&nobody)).await.unwrap_err().to_string();
    assert!(refused.contains("cannot be used") && refused.contains("start it"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(15));

    let mut server = RedisServer::start().await;
    server.kill();
    let opening = tokio::spawn(try_open(store_at(&server.url())));
    server.restart().await;
    opening.await.unwrap().unwrap();
}

#[tokio::test]
async fn user_password_database_and_prefix_are_honoured() {
    let acl =
        ["--user", "default", "off", "--user", "gate", "on", ">s3cr3t-of-the-shop", "~*", "&*", "+@all"];
    let server = RedisServer::with_login(&acl, "gate", "s3cr3t-of-the-shop").await;
    let address = server.address;
    let wrong = try_open(store_at(&format!("redis://gate:wrong@{address}"))).await.unwrap_err().to_string();
    assert!(wrong.contains("it refuses user or password") && !wrong.contains("wrong@"), "{wrong}");

    let login = Settings {
        password: Some("s3cr3t-of-the-shop".to_owned().into()),
        prefix: "shop-1".to_owned(),
        ..store_at(&format!("redis://gate@{address}/3"))
    };
    assert!(!format!("{login} {login:?}").contains("s3cr3t"), "{login:?}");
    let store = try_open(login.clone()).await.unwrap();
    append_new(&store, "pay", "evt").await;
    // Redis checks permissions at each command; the store finds a missing one at the start already.
    for (rights, expected) in [
        ("-script", "SCRIPT"),
        ("resetchannels", "SPUBLISH"),
        ("-xadd", "XADD"),
        ("-sadd", "SADD"),
        ("-info", "INFO"),
        ("-get", "GET"),
        ("-set", "SET"),
        ("-exists", "EXISTS"),
    ] {
        server.ask(&[
            "ACL",
            "SETUSER",
            "poor",
            "reset",
            "on",
            ">s3cr3t-of-the-shop",
            "~*",
            "&*",
            "+@all",
            rights,
        ]);
        let poor = format!("redis://poor:s3cr3t-of-the-shop@{address}");
        let refused = try_open(store_at(&poor)).await.unwrap_err().to_string();
        assert!(
            refused.contains(expected) && refused.contains("a gateway's user needs"),
            "{rights}: {refused}"
        );
    }
    let keys = server.ask_in(3, &["KEYS", "*"]);
    assert!(keys.contains("shop-1:{") && !keys.contains("ps:{"), "{keys}");
    let other = try_open(Settings { prefix: "shop-2".to_owned(), ..login }).await.unwrap();
    assert!(other.read(&subject("pay")).await.unwrap().entries.is_empty());
}

#[tokio::test]
async fn a_server_behind_tls_is_trusted_only_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = free_address().port();
    let server = RedisServer::with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-ca-cert-file",
        &path("cert.pem"),
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let url = format!("rediss://localhost:{port}");
    let trusted = Settings { ca: Some(folder.path().join("cert.pem")), ..store_at(&url) };
    append_new(&try_open(trusted).await.unwrap(), "pay", "evt").await;
    let unknown = try_open(store_at(&url)).await.unwrap_err().to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    let missing = Settings { ca: Some(folder.path().join("none.pem")), ..store_at(&url) };
    assert!(matches!(try_open(missing).await, Err(ServerError::Ca { .. })));
    drop(server);
}

/// Makes a self-signed certificate for `localhost`.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("openssl; tests/run installs it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn an_append_sets_the_expiry_of_a_log_again_only_once_the_margin_is_used_up() {
    const HISTORY_MS: i64 = 180 * 1_000_000;
    const MARGIN_MS: i64 = HISTORY_MS / 180;
    let server = RedisServer::start().await;
    let history = Duration::from_millis(HISTORY_MS.unsigned_abs());
    let store = try_open(Settings { history, ..store_at(&server.url()) }).await.unwrap();
    append_new(&store, "pay", "evt_0").await;
    let log = server.log_key("pay").unwrap();
    let meta = log.replace(":log:", ":meta:");
    let left = |key: &str| -> i64 {
        server.ask(&["PTTL", key]).trim().trim_start_matches(':').parse().expect("a time to live")
    };
    // How long the keys have to live before an append, and whether the append changes it: a server of another history, or the
    // version before, may have set any time.
    for (number, (before, is_renewed)) in [
        (HISTORY_MS + MARGIN_MS / 2, false),
        (HISTORY_MS - 1, true),
        (1_000_000, true),
        (HISTORY_MS * 2, true),
    ]
    .into_iter()
    .enumerate()
    {
        for key in [&log, &meta] {
            assert_eq!(server.ask(&["PEXPIRE", key, &before.to_string()]).trim(), ":1");
        }
        append_new(&store, "pay", &format!("evt_{}", number + 1)).await;
        let expected = if is_renewed { HISTORY_MS + MARGIN_MS } else { before };
        for key in [&log, &meta] {
            let left = left(key);
            assert!((expected - 60_000..=expected).contains(&left), "{before} became {left}, not {expected}");
        }
    }
}

#[tokio::test]
async fn a_log_that_lost_one_of_its_keys_begins_again_instead_of_failing_midway() {
    for half in ["log", "meta"] {
        let server = RedisServer::start().await;
        let store = open(&server).await;
        for number in 0..3 {
            append_new(&store, "pay", &format!("evt_{number}")).await;
        }
        let key = server.log_key("pay").unwrap().replace(":log:", &format!(":{half}:"));
        assert_eq!(server.ask(&["DEL", &key]).trim(), ":1");
        assert_eq!(append_new(&store, "pay", "evt_1").await.seq, 1, "without its {half}");
        assert_eq!(append_new(&store, "pay", "evt_4").await.seq, 2);
        assert_eq!(store.read(&subject("pay")).await.unwrap().entries.len(), 2);
    }
}

#[tokio::test]
async fn a_server_that_lost_its_scripts_gets_them_again() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    for number in 1..=3 {
        assert_eq!(append_new(&store, "pay", &format!("evt_{number}")).await.seq, number);
        server.ask(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_gone_calls_fail_in_time_and_afterwards_they_succeed() {
    let mut server = RedisServer::start().await;
    let store = Arc::new(open(&server).await);
    append_new(&store, "pay", "evt_1").await;
    for stopped in [true, false] {
        match stopped {
            true => server.pause(),
            false => server.kill(),
        }
        let began = Instant::now();
        let subject = subject("pay");
        let (appended, read, heads, healthy) = tokio::join!(
            append(&store, "pay", "evt_2"),
            store.read(&subject),
            store.heads(),
            store.health(),
        );
        assert!(began.elapsed() < AT_MOST, "{:?}", began.elapsed());
        for failed in [appended.err(), read.err(), heads.err(), healthy.err()] {
            assert!(matches!(failed, Some(StoreError::Unavailable(_))), "{failed:?}");
        }
        match stopped {
            true => server.resume(),
            false => server.restart().await,
        }
        eventually("appends succeed", async || append(&store, "pay", "evt_2").await.is_ok()).await;
        assert_eq!(store.read(&subject).await.unwrap().entries.len(), 2);
        store.health().await.unwrap();
    }
}

#[tokio::test]
async fn an_append_waits_out_a_short_absence() {
    let server = RedisServer::start().await;
    let store = Arc::new(open(&server).await);
    server.pause();
    let waiting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { append(&store, "pay", "evt_1").await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.resume();
    assert!(matches!(waiting.await.unwrap(), Ok(Appended::New { .. })));
    assert_eq!(store.read(&subject("pay")).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn i1_acked_means_that_the_replicas_have_it_too() {
    let server = RedisServer::start().await;
    let port = server.address.port().to_string();
    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", &port]).await;
    eventually("the replica is online", async || server.info("connected_slaves") == "1").await;
    let wanted = Settings { ack_replicas: 1, ..store_at(&server.url()) };
    let mut opened = try_open(wanted.clone()).await;
    while opened.is_err() {
        opened = try_open(wanted.clone()).await;
    }
    let store = opened.unwrap();
    let first = append_new(&store, "pay", "evt_1").await;
    assert!(replica.ask(&["KEYS", "*"]).contains("log:default/payment/pay"));

    replica.pause();
    let began = Instant::now();
    let unacked = append(&store, "pay", "evt_2").await;
    assert!(matches!(unacked, Err(StoreError::Unavailable(_))), "{unacked:?}");
    let duplicate = append(&store, "pay", "evt_1").await;
    assert!(duplicate.is_err(), "it is unknown whether the replica has the original: {duplicate:?}");
    let record = contract::record(RecordLog::Quarantine, "acme", 1);
    assert!(store.record(record.clone()).await.is_err(), "a quarantined event is acknowledged too");
    assert!(began.elapsed() < 3 * AT_MOST, "{:?}", began.elapsed());
    store
        .record(Record { log: RecordLog::Deliveries, ..record })
        .await
        .expect("no acknowledgement depends on these");

    replica.resume();
    eventually("replicas acknowledge again", async || append(&store, "pay", "evt_2").await.is_ok()).await;
    assert_eq!(append(&store, "pay", "evt_1").await.unwrap(), Appended::Duplicate { cursor: first });
}

#[tokio::test]
async fn records_that_the_version_before_wrote_are_listed_beside_new_ones() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    let before = r#"{"log":"quarantine","source":"acme","at":"2026-09-21T14:13:20.000Z","reason":"unknown_state","detail":"{\"at\":\"/data/status\",\"bytes\":42,\"event\":\"evt_1\",\"payment\":\"pay_1\",\"type\":\"note\",\"unsigned_id\":null}"}"#;
    server.ask(&["XADD", "ps:{acme}:quarantine", "*", "r", before]);
    let page = store.records(RecordLog::Quarantine, "acme", None, 10).await.unwrap();
    let [old] = &*page.records else { panic!("{page:?}") };
    assert_eq!((old.outcome, &old.reason), (OutcomeKind::Quarantined, &ReasonCode::known("unknown_state")));
    assert_eq!((old.event.as_deref(), old.place.as_deref()), (Some("evt_1"), Some("/data/status")));
    assert_eq!((old.payment.as_ref().unwrap().as_str(), old.bytes), ("pay_1", Some(42)));
    let new = Record { event: Some("evt_2".into()), ..old.clone() };
    store.record(new.clone()).await.unwrap();
    let page = store.records(RecordLog::Quarantine, "acme", None, 1).await.unwrap();
    assert_eq!(page.records, [new]);
    let next = store.records(RecordLog::Quarantine, "acme", page.next, 1).await.unwrap();
    assert_eq!((&*next.records, next.next), (std::slice::from_ref(old), None));
}

/// The server itself removes a body when its time is over; the line in the list goes when its share needs the room.
#[tokio::test]
async fn what_is_held_too_long_ends_and_makes_room() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    let now = Time::from_unix_s(now_s().cast_signed()).unwrap();
    let held = || Record {
        at: now,
        reason: ReasonCode::known("bad_amount"),
        held: Some(HeldId::new(now)),
        ..contract::record(RecordLog::Quarantine, "acme", 1)
    };
    let (stream, share) = ("ps:{acme}:quarantine", "ps:{acme}:quarantine:held:bad_amount");
    for entry in ["1-0", "2-0"] {
        server.ask(&["XADD", stream, entry, "r", "{}"]);
        server.ask(&["RPUSH", share, entry]);
    }
    let record = held();
    let body = serde_json::json!({ "body": 1 });
    assert_eq!(store.hold(record.clone(), body.clone()).await.unwrap(), Holding::Held(1));
    assert!(server.ask(&["XLEN", stream]).contains(":1"), "what was over is removed");
    let key = format!("ps:{{acme}}:held:{}", record.held.unwrap());
    let left_ms: u64 = server.ask(&["PTTL", &key]).trim().trim_start_matches(':').parse().unwrap();
    let for_ms = u64::try_from(HELD_FOR.as_millis()).unwrap();
    assert!((for_ms - 60_000..=for_ms).contains(&left_ms), "{left_ms}");
    // A call whose answer was lost is made again, and holds nothing twice.
    assert_eq!(store.hold(record, body).await.unwrap(), Holding::Held(1));
    assert!(server.ask(&["XLEN", stream]).contains(":1"));
}

#[tokio::test]
async fn a_full_memory_refuses_appends_at_once_and_still_answers_reads() {
    let server = RedisServer::start().await;
    let store = open(&server).await;
    append_new(&store, "pay", "evt_1").await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let began = Instant::now();
    let Err(StoreError::Unavailable(why)) = append(&store, "pay", "evt_2").await else { panic!("appended") };
    assert!(why.contains("OOM"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(1), "waiting does not help");
    let Err(StoreError::Unavailable(why)) = store.health().await else { panic!("healthy") };
    assert!(why.contains("OOM"), "{why}");
    assert_eq!(store.read(&subject("pay")).await.unwrap().entries.len(), 1);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(append_new(&store, "pay", "evt_2").await.seq, 2);
}

#[tokio::test]
async fn after_a_failover_to_a_server_that_keeps_less_nothing_is_acknowledged() {
    let mut server = RedisServer::start().await;
    let store = open(&server).await;
    append_new(&store, "pay", "evt_1").await;
    server.kill();
    server.add_options(&["--appendonly", "no"]);
    server.restart().await;
    let Err(StoreError::Unavailable(why)) = append(&store, "pay", "evt_2").await else {
        panic!("acknowledged")
    };
    assert!(why.contains("CONFIG SET appendonly yes"), "{why}");
    store.read(&subject("pay")).await.expect("reads need no durability");
    server.ask(&["CONFIG", "SET", "appendonly", "yes"]);
    eventually("it is durable again", async || append(&store, "pay", "evt_2").await.is_ok()).await;
}
