//! The whole gateway over real sockets: what its three listeners answer.

use super::*;
use crate::{
    access::{Access, AccessSettings, KeySettings, Material, OperatorRole, TokenAlgorithm},
    clock,
    http::Public,
    hub::Hub,
    limits::Limits,
    payment::{Name, Phase},
    source::{Signer, UnsignedDelivery},
    store::{Store, fake::Fake},
    stream::Streams,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use std::{net::SocketAddr, path::Path, sync::atomic::Ordering};

const ORIGIN: &str = "https://shop.example";

struct Gateway {
    running: Running,
    token: String,
    client: Client,
    folder: tempfile::TempDir,
}

/// The secret that signs webhooks.
const SECRET: &str = "whsec_9d2Fb71c9d2Fb71c9d2Fb71c9d2Fb71c";

/// One operator.
fn operators() -> Operators {
    let mut operators = Operators::default();
    operators.add("admin", OperatorRole::Write, &"an-admin-token-of-some-length".into()).unwrap();
    operators
}

/// The configuration of the gateways in these tests.
fn config(data: &Path) -> Config {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let key = KeySettings {
        kid: "k1".into(),
        algorithm: TokenAlgorithm::Hs256,
        material: Material::Secret("Some-Secret-of-32-bytes-or-more-0123".into()),
        realms: vec!["default".parse().unwrap()],
        operator: false,
    };
    let access = AccessSettings { cors: vec![ORIGIN.into()], keys: vec![key], ..Default::default() };
    let limits = Limits { body_bytes: 1000, body_timeout: Duration::from_millis(200), ..Limits::default() };
    Config {
        listen: Listen { public: any, ingest: any, admin: any },
        operators: operators(),
        limits,
        access: Access::new(access).unwrap(),
        ..Config::dev(data.join("data"), &SECRET.into()).unwrap()
    }
}

impl Gateway {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = App::start(config(folder.path()), Role::All).await.unwrap();
        let payments: Vec<Name> = ["a", "b"].map(|id| id.parse().unwrap()).into();
        let ttl = Duration::from_secs(60);
        let realm = "default".parse().unwrap();
        let token = running
            .streaming
            .as_ref()
            .unwrap()
            .access
            .mint(None, &realm, &payments, ttl, clock::now())
            .unwrap();
        // A drain closes idle connections. The client must not reuse one at that moment, so it keeps none.
        let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { running, token, client, folder }
    }

    fn at(&self, address: SocketAddr, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{address}{path}"))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.at(self.running.listen.public, Method::GET, path).header("origin", ORIGIN)
    }
}

async fn problem(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(body["status"].to_string(), status.to_string());
    (status, body["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn i5_isolation_checks_come_in_order_and_every_answer_is_readable_by_an_allowed_page() {
    let gateway = Gateway::start().await;
    let good = format!("access_token={}", gateway.token);
    for (path, query, status, reason) in [
        ("/v1/payments/c/events", "", 401, "missing_token"),
        ("/v1/payments/%FF/events", "access_token=x", 401, "malformed_token"),
        ("/v1/payments/%FF/events", &good, 400, "bad_payment"),
        ("/v1/payments/a%20b", &good, 400, "bad_payment"),
        ("/v1/payments/c/events", &good, 403, "foreign_payment"),
        ("/v1/payments/c", &good, 403, "foreign_payment"),
        ("/v1/events", &good, 400, "bad_payment"),
        ("/v1/events?payment=a&payment=a", &good, 400, "bad_payment"),
        ("/v1/events?payment=a&payment=c", &good, 403, "foreign_payment"),
        // `*` was accepted as the id of a payment.
        ("/v1/events?payment=*", &good, 400, "bad_payment"),
        ("/v1/events?payment=a&payment=%2A", &good, 400, "bad_payment"),
        ("/v1/payments/*/events", &good, 400, "bad_payment"),
        ("/v1/payments/%2A", &good, 400, "bad_payment"),
        ("/v1/payments/a/events?until=never", &good, 400, "bad_parameter"),
        ("/v1/nothing", &good, 404, "unknown_route"),
    ] {
        let join = if path.contains('?') { '&' } else { '?' };
        let answer = gateway.get(&format!("{path}{join}{query}")).send().await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN, "{path}");
        assert_eq!(answer.headers()["vary"], "Origin", "{path}");
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401, "{path}");
        assert_eq!(problem(answer).await, (status, reason.to_owned()), "{path}");
    }
    let foreign = gateway.at(gateway.running.listen.public, Method::GET, "/v1/payments/a");
    let foreign = foreign.header("origin", "https://evil.example").send().await.unwrap();
    assert!(!foreign.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn the_dashboard_is_served_where_it_is_on_and_only_where_browsers_read() {
    for dashboard in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let ingest = "127.0.0.2:0".parse().unwrap();
        let listen = Listen { ingest, ..config(folder.path()).listen };
        let config = Config { dashboard, listen, ..config(folder.path()) };
        let running = App::start(config, Role::All).await.unwrap();
        let Listen { public, ingest, admin } = running.listen;
        for path in ["/dashboard", "/dashboard/dashboard.js"] {
            let status =
                async |address| reqwest::get(format!("http://{address}{path}")).await.unwrap().status();
            assert_eq!(status(public).await, if dashboard { 200 } else { 404 }, "{path}");
            assert_eq!([status(ingest).await, status(admin).await], [404, 404], "{path}");
        }
        running.kill().await;
    }
}

#[tokio::test]
async fn streams_snapshots_and_preflights_have_their_headers() {
    let gateway = Gateway::start().await;
    let token = &gateway.token;
    let mut stream = gateway.get("/v1/events?payment=a&payment=b").bearer_auth(token).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(stream.headers()["cache-control"], "no-cache, no-store, no-transform");
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    assert!(stream.chunk().await.unwrap().is_some());

    let json = gateway.get("/v1/payments/a/events").bearer_auth(token).header("accept", "application/json");
    assert_eq!(problem(json.send().await.unwrap()).await, (406, "not_acceptable".to_owned()));

    let fresh = gateway.get("/v1/payments/a").bearer_auth(token).send().await.unwrap();
    assert_eq!(fresh.status(), 200);
    let etag = fresh.headers()["etag"].to_str().unwrap().to_owned();
    let same = gateway.get("/v1/payments/a").bearer_auth(token).header("if-none-match", &etag);
    let same = same.header("prefer", "wait=1").send().await.unwrap();
    assert_eq!(same.status(), 304);
    assert_eq!(same.headers()["preference-applied"], "wait=1");

    let preflight = gateway.at(gateway.running.listen.public, Method::OPTIONS, "/v1/payments/a/events");
    let preflight = preflight.header("origin", ORIGIN).header("access-control-request-method", "GET");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-methods"], "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn webhooks_are_bounded_before_they_are_looked_at() {
    let gateway = Gateway::start().await;
    let at = |method, path: &str| gateway.at(gateway.running.listen.ingest, method, path);
    let post = |path: &str| at(Method::POST, path);
    assert_eq!(at(Method::GET, "/webhooks/dev").send().await.unwrap().status(), 200);
    assert_eq!(problem(post("/webhooks/none").send().await.unwrap()).await.1, "unknown_source");
    let put = at(Method::PUT, "/webhooks/dev").send().await.unwrap();
    assert_eq!(put.headers()["allow"], "POST,GET,HEAD");
    assert_eq!(problem(put).await.1, "method_not_allowed");
    assert_eq!(problem(post("/webhooks/dev").body("{}").send().await.unwrap()).await.0, 401);

    let chunks = || futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(500)));
    let chunked = reqwest::Body::wrap_stream(futures_util::StreamExt::take(chunks(), 3));
    for body in ["x".repeat(1001).into(), chunked] {
        let answer = post("/webhooks/dev").body(body).send().await.unwrap();
        assert_eq!(answer.headers()["connection"], "close");
        assert_eq!(problem(answer).await, (413, "body_too_large".to_owned()));
    }
    let slow = reqwest::Body::wrap_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let answer = post("/webhooks/dev").body(slow).send().await.unwrap();
    assert_eq!(problem(answer).await, (408, "body_timeout".to_owned()));
}

#[tokio::test]
async fn the_admin_listener_tells_health_openly_and_records_to_operators() {
    let gateway = Gateway::start().await;
    let get = |path: &str| gateway.at(gateway.running.listen.admin, Method::GET, path);
    for path in ["/livez", "/readyz", "/readyz/ingest"] {
        assert_eq!(get(path).send().await.unwrap().status(), 200, "{path}");
    }
    let metrics = get("/metrics").send().await.unwrap();
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    for (path, token, status) in [
        ("/admin/sources/dev/quarantine", "wrong", 401),
        ("/admin/nothing", "wrong", 401),
        ("/admin/sources/dev/quarantine", "an-admin-token-of-some-length", 200),
        ("/admin/sources/dev/deliveries?limit=5", "an-admin-token-of-some-length", 200),
        ("/admin/sources/dev/deliveries?limit=0", "an-admin-token-of-some-length", 400),
        ("/admin/deliveries?source=dev&before=7-0", "an-admin-token-of-some-length", 400),
        ("/admin/deliveries?source=dev&before=yesterday", "an-admin-token-of-some-length", 400),
        ("/admin/deliveries?source=dev&limit=0", "an-admin-token-of-some-length", 400),
        ("/admin/deliveries", "an-admin-token-of-some-length", 200),
        ("/admin/quarantine?source=dev", "an-admin-token-of-some-length", 200),
        ("/admin/quarantine?source=dev", "wrong", 401),
        ("/admin/quarantine?source=none", "an-admin-token-of-some-length", 404),
        ("/admin/sources/none/deliveries", "an-admin-token-of-some-length", 404),
    ] {
        assert_eq!(get(path).bearer_auth(token).send().await.unwrap().status(), status, "{path} {token}");
    }
    gateway.running.common.shutdown.drain();
    assert_eq!(problem(get("/readyz").send().await.unwrap()).await, (503, "draining".to_owned()));
    assert_eq!(get("/livez").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_gateway_can_end_and_start_again_on_the_same_folder() {
    let Gateway { running, token, client, folder } = Gateway::start().await;
    let url = format!("http://{}/v1/payments/a/events?access_token={token}", running.listen.public);
    let mut stream = client.get(url).send().await.unwrap();
    running.kill().await;
    while let Ok(Some(_)) = stream.chunk().await {}
    let again = App::start(config(folder.path()), Role::All).await.unwrap();
    again.shutdown().await;
    App::start(config(folder.path()), Role::All).await.unwrap().kill().await;
}

/// Sources were built to check the configuration, dropped, and built again for the start. If a preset file changed or disappeared in
/// between, a configuration that had been checked did not start.
#[tokio::test]
async fn what_was_checked_is_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (preset, file) = (folder.path().join("acme.toml"), folder.path().join("paystream.toml"));
    std::fs::write(&preset, "name = \"acme-pay\"\nextends = \"generic\"\n").unwrap();
    std::fs::write(
        &file,
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         [[source]]\nname = \"acme\"\nprovider = \"acme.toml\"\nsecrets = [\"env:SECRET\"]\n",
    )
    .unwrap();
    let environment = [("SECRET".to_owned(), SECRET.to_owned())].into();
    let load = || Config::load(&file, &environment).unwrap();
    let (checked, again) = (load(), load());
    std::fs::remove_file(&preset).unwrap();
    let running = App::start(checked, Role::All).await.unwrap();
    running.reload(again).unwrap();
    assert!(running.ingest.as_ref().unwrap().sources.get("acme").is_some());
    running.kill().await;
}

#[tokio::test]
async fn a_reload_takes_over_all_or_nothing() {
    let gateway = Gateway::start().await;
    let knows_dev = || gateway.running.ingest.as_ref().unwrap().sources.get("dev").is_some();
    let changed = || {
        let mut config = config(gateway.folder.path());
        config.sources.clear();
        config.limits.body_bytes = 10;
        config.stream.drain = Duration::ZERO;
        config
    };
    let mut bad = changed();
    bad.listen.admin = "127.0.0.1:9000".parse().unwrap();
    bad.listen.public = bad.listen.admin;
    assert!(gateway.running.reload(bad).is_err(), "it could not start");
    let Config { limits, stream, .. } = config(gateway.folder.path());
    assert_eq!((gateway.running.common.limits.get(), gateway.running.common.stream.get()), (limits, stream));
    assert!(knows_dev());
    gateway.running.reload(changed()).unwrap();
    assert_eq!(gateway.running.common.limits.get().body_bytes, 10);
    assert_eq!(gateway.running.common.stream.get().drain, Duration::ZERO);
    assert!(!knows_dev());
}

#[tokio::test]
async fn a_lost_store_defers_webhooks_refuses_streams_gently_and_is_told_to_those_that_are_open() {
    let gateway = Gateway::start().await;
    let token = &gateway.token;
    let open = || gateway.get("/v1/payments/a/events").bearer_auth(token).send();
    let mut stream = open().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    gateway.running.common.store.close().await;

    let source = &config(gateway.folder.path()).sources[0];
    let body = br#"{"id":"e1","event":"payment.confirmed","timestamp":1700000000,"payment":{"id":"a","status":"confirmed","amount":1}}"#;
    let mut post =
        gateway.at(gateway.running.listen.ingest, Method::POST, "/webhooks/dev").body(body.to_vec());
    let delivery = UnsignedDelivery::new(body, "e1", clock::now());
    for (name, value) in source.sign(&delivery, Signer::Secret).unwrap().headers {
        post = post.header(name, value);
    }
    let deferred = post.send().await.unwrap();
    assert!(deferred.headers().contains_key("retry-after"));
    assert_eq!(problem(deferred).await, (503, "store".to_owned()));

    let mut refused = open().await.unwrap();
    assert_eq!(refused.status(), 200, "anything else would end an EventSource for good");
    let words = String::from_utf8(refused.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(words.starts_with("retry: ") && words.contains(r#""reason":"overload""#), "{words}");
    assert!(refused.chunk().await.is_err(), "an unclean end, so that every client comes back");

    let snapshot = gateway.get("/v1/payments/a").bearer_auth(token).send().await.unwrap();
    assert_eq!(problem(snapshot).await, (503, "store_unavailable".to_owned()));
    let told = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(told.contains(r#""stale":true"#), "{told}");
    let ready = |path: &'static str| gateway.at(gateway.running.listen.admin, Method::GET, path).send();
    assert_eq!(
        ready("/readyz").await.unwrap().status(),
        200,
        "a store lost to all must not empty the balancer"
    );
    assert_eq!(ready("/readyz/ingest").await.unwrap().status(), 503);
}

#[tokio::test]
async fn a_store_that_comes_back_is_told_to_the_streams_which_then_have_all_they_missed() {
    let store = Arc::new(Fake::default());
    let (limits, metrics) = (Live::new(Limits::default()), Arc::new(Metrics::new()));
    let shutdown = Shutdown::default();
    let hub = Hub::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&metrics), &limits.get());
    let settings = Live::new(crate::stream::Settings::default());
    let streams =
        Streams::new(Arc::clone(&hub), settings, limits.clone(), Arc::clone(&metrics), shutdown.clone());
    let open = Some("default".parse().unwrap());
    let access = Arc::new(Access::new(crate::access::AccessSettings { open, ..Default::default() }).unwrap());
    let public = Public::new(streams, access, limits.clone(), Arc::clone(&metrics));
    let routes = http::public_routes(public);
    let listener = http::bind("127.0.0.1:0".parse().unwrap(), &limits.get()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(hub.run(shutdown.clone()));
    let places = http::Places::new(10, 0);
    let entrance = http::Entrance::new("public", 10, places, Arc::default(), false, Arc::clone(&metrics));
    tokio::spawn(http::serve(listener, routes, entrance, None, limits, metrics, shutdown.clone()));

    let mut stream = reqwest::get(format!("http://{address}/v1/payments/a/events")).await.unwrap();
    let mut heard = String::new();
    let mut until = async |word: &str| {
        while !heard.contains(word) {
            heard.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
        }
    };
    until(r#""status":"unknown""#).await;
    store.lost.store(true, Ordering::Relaxed);
    until(r#""stale":true"#).await;
    store.lost.store(false, Ordering::Relaxed);
    store.mute.store(true, Ordering::Relaxed);
    store.say("a", Phase::Captured).await;
    until(r#""stale":false"#).await;
    until(r#""status":"captured""#).await;
    shutdown.stop();
}
