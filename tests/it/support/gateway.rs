//! One gateway process, with a data folder and ports of its own. Dropping it kills it.

use super::{
    GENERIC_SECRET, OTHER_SECRET, PATIENCE, RedisServer, STRIPE_SECRET, Setup, Store, TOKEN_KEY,
    bridge::bridge,
    cluster::{fresh_prefix, shared_cluster},
    header, now_s,
    sentinel::shared_group,
};
use load::{
    follow::Follower,
    http::{Response, request},
    sign,
    stream::Stream,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) struct Gateway {
    /// Where it is asked for streams and snapshots.
    pub(crate) public: SocketAddr,
    /// The public listener itself: another address where the run goes over HTTP/2.
    pub(crate) listener: SocketAddr,
    pub(crate) ingest: SocketAddr,
    pub(crate) admin: SocketAddr,
    role: &'static str,
    open_files: Option<(u32, u32)>,
    /// What its environment has besides.
    env: Vec<(&'static str, PathBuf)>,
    folder: TempDir,
    child: Option<Child>,
    /// Its own server, where the suite runs on Redis.
    redis: Option<RedisServer>,
    /// Where the run's own store is, if the setup leaves it to the run.
    own_store: Option<Store>,
}

/// A free loopback port below the range from which the kernel takes the ports of outgoing connections, so that no client
/// of another test can take it before the gateway does, nor between two lives of a gateway.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 12_000;
    const RANGE: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several runs at once start at different places.
    let start = u16::try_from(std::process::id() * 61 % u32::from(RANGE)).unwrap();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % RANGE) % RANGE;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The binary under test.
pub(crate) fn paystream() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paystream"));
    // What the developer's shell says must not change a test.
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PAYSTREAM")) {
        command.env_remove(name);
    }
    command
}

/// The same command, with these limits of open files.
fn limited(command: Command, open_files: Option<(u32, u32)>) -> Command {
    let Some((soft, hard)) = open_files else { return command };
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--nofile={soft}:{hard}")).arg(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}

impl Gateway {
    /// A gateway with the default setup, ready.
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// A gateway with this setup, ready. Where the setup leaves the store to the run, `PAYSTREAM_TEST_STORE` decides: with
    /// `redis`, each gateway gets a server of its own; with `cluster` or `sentinel`, all share one of these, each with a prefix of its own. With `PAYSTREAM_TEST_HTTP=2`, streams and snapshots are asked for over
    /// HTTP/2, whose streams do not leave HTTP.
    pub(crate) async fn with(setup: Setup) -> Self {
        Self::with_role("all", setup).await
    }

    /// A gateway with this setup and these paths in its environment, ready.
    pub(crate) async fn with_env(setup: Setup, env: &[(&'static str, &Path)]) -> Self {
        Self::with_role_and_env("all", setup, env).await
    }

    /// One half of a gateway, or both, with this setup, ready.
    pub(crate) async fn with_role(role: &'static str, setup: Setup) -> Self {
        Self::with_role_and_env(role, setup, &[]).await
    }

    /// A gateway with this setup, of which nobody has asked whether it is ready: its admin listener does not speak plain HTTP.
    pub(crate) async fn unready(setup: Setup) -> Self {
        let mut gateway = Self::configured("all", setup, &[]).await;
        gateway.spawn();
        gateway
    }

    async fn with_role_and_env(role: &'static str, setup: Setup, env: &[(&'static str, &Path)]) -> Self {
        let mut gateway = Self::configured(role, setup, env).await;
        gateway.restart().await;
        gateway
    }

    /// A gateway that does not run yet.
    async fn configured(role: &'static str, setup: Setup, env: &[(&'static str, &Path)]) -> Self {
        let mut redis = None;
        let own_store = match std::env::var("PAYSTREAM_TEST_STORE").as_deref() {
            _ if setup.store != Store::AsTheRunSays => None,
            Err(_) | Ok("embedded") => None,
            Ok("redis") => {
                let server = redis.insert(RedisServer::start().await);
                Some(Store::Redis { url: server.url(), more: String::new() })
            }
            Ok("cluster") => {
                let more = format!("prefix = \"{}\"", fresh_prefix());
                Some(Store::Redis { url: shared_cluster().await, more })
            }
            Ok("sentinel") => {
                let more = format!("prefix = \"{}\"", fresh_prefix());
                Some(Store::Redis { url: shared_group().await, more })
            }
            Ok(other) => {
                panic!("PAYSTREAM_TEST_STORE is {other:?}; allowed: embedded, redis, cluster, sentinel")
            }
        };
        let listener = free_address();
        let public = match std::env::var("PAYSTREAM_TEST_HTTP").as_deref() {
            Err(_) | Ok("1") => listener,
            Ok("2") => bridge(listener).await,
            Ok(other) => panic!("PAYSTREAM_TEST_HTTP is {other:?}; allowed: 1, 2"),
        };
        let gateway = Self {
            public,
            listener,
            ingest: if setup.one_socket { listener } else { free_address() },
            admin: free_address(),
            role,
            open_files: setup.open_files,
            env: env.iter().map(|(name, path)| (*name, path.to_path_buf())).collect(),
            folder: TempDir::new().unwrap(),
            child: None,
            redis,
            own_store,
        };
        gateway.configure(&setup);
        gateway
    }

    /// Writes another configuration; it counts from the next reload or restart on.
    pub(crate) fn configure(&self, setup: &Setup) {
        let store = self.own_store.as_ref().unwrap_or(&setup.store).clone();
        let setup = Setup { store, ..setup.clone() };
        setup.write(self.folder.path(), [self.listener, self.ingest, self.admin]);
    }

    /// Starts the process on the same folder and ports, and waits until it is ready.
    pub(crate) async fn restart(&mut self) {
        self.spawn();
        self.until_ready().await;
    }

    /// Starts the process without waiting for it.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "it is still running");
        let log = fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = limited(paystream(), self.open_files)
            .args(["serve", "--role", self.role, "--config"])
            .arg(self.config_path())
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Waits until it is ready; panics with its log if it ends instead.
    pub(crate) async fn until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the gateway ended ({status}):\n{}", self.log());
            }
            let ready = request(self.admin, "GET", "/readyz", &[], b"").await;
            if ready.is_ok_and(|answer| answer.head.status == 200) {
                return;
            }
            assert!(Instant::now() < deadline, "the gateway is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// `SIGSTOP`: it keeps its sockets, and does nothing.
    pub(crate) fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// `SIGCONT`.
    pub(crate) fn unpause(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// Asks it to drain and end.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Asks it to read its configuration again.
    pub(crate) fn hang_up(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "the gateway does not end:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Drains it and waits for its end.
    pub(crate) async fn stop(&mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("paystream.toml")
    }

    /// Where the store keeps its data. To be touched only while the gateway and its store are stopped.
    pub(crate) fn data_path(&self) -> PathBuf {
        self.redis.as_ref().map_or_else(|| self.folder.path().join("data"), RedisServer::data_path)
    }

    /// Stops a store that lives outside the gateway.
    pub(crate) fn stop_store(&mut self) {
        if let Some(redis) = &mut self.redis {
            redis.kill();
        }
    }

    /// Starts it again.
    pub(crate) async fn start_store(&mut self) {
        if let Some(redis) = &mut self.redis {
            redis.restart().await;
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("gateway.log")
    }

    /// All that it has written to stdout and stderr.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Posts a payload, signed as the source's provider signs.
    pub(crate) async fn post(&self, source: &str, payload: &Value) -> Response {
        let body = payload.to_string().into_bytes();
        self.post_raw(source, &signed(source, &body), &body).await
    }

    /// Posts a body with these headers.
    pub(crate) async fn post_raw(&self, source: &str, headers: &[(String, String)], body: &[u8]) -> Response {
        request(self.ingest, "POST", &format!("/webhooks/{source}"), headers, body).await.unwrap()
    }

    /// Posts a payload to `acme` and expects the acknowledgement.
    pub(crate) async fn accept(&self, payload: &Value) {
        let answer = self.post("acme", payload).await;
        assert_eq!(answer.head.status / 100, 2, "{payload}: {} {}", answer.head.status, answer.text());
    }

    /// Opens the stream of a payment in realm `default`, with a token for it.
    pub(crate) async fn stream(&self, payment: &str) -> Stream {
        let stream = self.open(&format!("/v1/payments/{payment}/events"), &self.bearer(&[payment])).await;
        assert_eq!(stream.head.status, 200, "{:?}", stream.head);
        stream
    }

    /// Opens the stream of a payment where `cursor` left off.
    pub(crate) async fn resume(&self, payment: &str, cursor: &str) -> Stream {
        let mut headers = self.bearer(&[payment]);
        headers.push(header("last-event-id", cursor));
        self.open(&format!("/v1/payments/{payment}/events"), &headers).await
    }

    /// Opens a stream at `path`.
    pub(crate) async fn open(&self, path: &str, headers: &[(String, String)]) -> Stream {
        Stream::open(self.public, path, headers).await.unwrap()
    }

    /// A follower of a payment that is in a hurry to reconnect.
    pub(crate) fn follower(&self, payment: &str) -> Follower {
        let path = format!("/v1/payments/{payment}/events");
        let mut follower = Follower::new(self.public, path, self.bearer(&[payment]));
        follower.longest_wait = Duration::from_millis(50);
        follower
    }

    /// `GET` of a public path.
    pub(crate) async fn get(&self, path: &str, headers: &[(String, String)]) -> Response {
        request(self.public, "GET", path, headers, b"").await.unwrap()
    }

    /// The JSON snapshot of a payment in realm `default`.
    pub(crate) async fn snapshot(&self, payment: &str) -> Value {
        let answer = self.get(&format!("/v1/payments/{payment}"), &self.bearer(&[payment])).await;
        assert_eq!(answer.head.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The header with a token for these payments in realm `default`.
    #[expect(clippy::unused_self, reason = "all that a request needs is asked of the gateway")]
    pub(crate) fn bearer(&self, payments: &[&str]) -> Vec<(String, String)> {
        vec![header("authorization", &format!("Bearer {}", token("default", payments)))]
    }

    /// `GET` of an admin path.
    pub(crate) async fn admin(&self, path: &str) -> Response {
        request(self.admin, "GET", path, &[], b"").await.unwrap()
    }

    /// The sum of the metric's series whose labels contain all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").await.text();
        let series = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// How many events ended in this outcome; the labels are `outcome="…"` and the like.
    pub(crate) async fn events(&self, labels: &[&str]) -> u64 {
        let count = self.metric("paystream_events_total", labels).await.round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let count = count as u64;
        count
    }

    /// Resident memory, in bytes, that is not backed by files.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The headers with which the provider of `source` would sign.
pub(crate) fn signed(source: &str, body: &[u8]) -> Vec<(String, String)> {
    match source {
        "stripe" => sign::stripe(STRIPE_SECRET, now_s(), body),
        "other" => sign::generic(OTHER_SECRET, body),
        _ => sign::generic(GENERIC_SECRET, body),
    }
}

/// A token of key `k1` for these payments, for ten minutes.
pub(crate) fn token(realm: &str, payments: &[&str]) -> String {
    let claims = claims(realm, payments);
    sign::jwt_hs256("k1", TOKEN_KEY.as_bytes(), &claims)
}

/// The claims of [`token`].
pub(crate) fn claims(realm: &str, payments: &[&str]) -> Value {
    let now = now_s();
    json!({ "aud": "paystream", "realm": realm, "payments": payments, "iat": now, "exp": now + 600 })
}
