//! Two gateways over one Redis server behind nginx, as `deploy/` has them: TLS and HTTP/2 in front, one node restarted,
//! one killed, both away. (Browsers and npm's clients are tested in `web-demo/e2e`.)

mod images;
mod limits;

use crate::support::{
    Gateway, Nginx, PATIENCE, Program, RedisServer, STRIPE_SECRET, Setup, eventually, generic, now_s,
    paystream, read_until, signed, token,
};
use reqwest::{Certificate, Client, RequestBuilder, StatusCode, Version};
use rustix::process::{Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tokio::time::timeout;

struct Cluster {
    redis: RedisServer,
    nodes: [Gateway; 2],
    nginx: Nginx,
    client: Client,
}

impl Cluster {
    async fn start() -> Self {
        Self::with("", "", &[]).await
    }

    /// Two gateways with these further lines under `[listen]` and `[limits]`, behind nginx with other values in `nginx.conf`.
    async fn with(listen: &str, limits: &str, swaps: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start().await;
        let setup = || Setup {
            stream: "linger = \"1s\"\ndrain = \"3s\"".to_owned(),
            listen: listen.to_owned(),
            limits: limits.to_owned(),
            ..Setup::on(&redis)
        };
        let nodes = [Gateway::with(setup()).await, Gateway::with(setup()).await];
        let nginx = Nginx::with([&nodes[0], &nodes[1]], swaps).await;
        let client = client_of(&nginx);
        Self { redis, nodes, nginx, client }
    }

    /// A client with connections of its own.
    fn another_client(&self) -> Client {
        client_of(&self.nginx)
    }

    /// Posts a payload of the source `acme` through nginx.
    async fn post(&self, payload: &Value) -> StatusCode {
        let body = payload.to_string();
        let post = self.client.post(format!("{}/webhooks/acme", self.nginx.url()));
        let signature = signed("acme", body.as_bytes());
        let post = signature.into_iter().fold(post, |post, (name, value)| post.header(name, value));
        post.body(body).send().await.unwrap().status()
    }

    /// As a page asks, with the token in the query.
    fn get(&self, payment: &str, what: &str) -> RequestBuilder {
        self.get_by(&self.client, payment, what)
    }

    fn get_by(&self, client: &Client, payment: &str, what: &str) -> RequestBuilder {
        let token = token("default", &[payment]);
        client.get(format!("{}/v1/payments/{payment}{what}?access_token={token}", self.nginx.url()))
    }

    fn events(&self, payment: &str) -> RequestBuilder {
        self.events_by(&self.client, payment)
    }

    fn events_by(&self, client: &Client, payment: &str) -> RequestBuilder {
        self.get_by(client, payment, "/events").header("accept", "text/event-stream")
    }
}

fn client_of(nginx: &Nginx) -> Client {
    let certificate = Certificate::from_pem(&fs::read(nginx.certificate()).unwrap()).unwrap();
    Client::builder().no_proxy().tls_certs_only([certificate]).build().unwrap()
}

fn python() -> PathBuf {
    let python = std::env::var("PAYSTREAM_PYTHON");
    python
        .expect("PAYSTREAM_PYTHON names a Python with tests/clients/requirements.txt; tests/run sets it")
        .into()
}

#[tokio::test]
async fn httpx_sse_follows_a_payment_over_a_restart_and_a_kill_to_its_end() {
    let mut cluster = Cluster::start().await;
    let mut client = Program::spawn(
        Command::new(python())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/follow.py"))
            .args([&cluster.nginx.url(), "pay_1", &token("default", &["pay_1"])])
            .env("SSL_CERT_FILE", cluster.nginx.certificate()),
    );
    assert_eq!(client.next().await["status"], "unknown");
    let mut seq = 0;
    for round in 0..4 {
        for _ in 0..5 {
            seq += 1;
            let payload = generic(&format!("e{seq}"), "pending", "pay_1", now_s() - 60);
            assert_eq!(cluster.post(&payload).await, 200);
        }
        for expected in seq - 4..=seq {
            let mut update = client.next().await;
            while update["type"] != "update" {
                assert!(update["type"] == "ready" || update["type"] == "closing", "round {round}: {update}");
                update = client.next().await;
            }
            assert_eq!(update["seq"].as_u64(), Some(expected), "round {round}");
        }
        // Each node is restarted and killed once; the client was on one of them.
        let node = &mut cluster.nodes[round / 2];
        if round % 2 == 0 {
            node.stop().await;
        } else {
            node.kill();
        }
        node.restart().await;
    }
    assert_eq!(cluster.post(&generic("last", "confirmed", "pay_1", now_s())).await, 200);
    let mut words = Vec::new();
    loop {
        let message = client.next().await;
        words.push(message["type"].as_str().unwrap().to_owned());
        if message["reason"] == "finished" {
            break;
        }
    }
    words.retain(|word| word == "update");
    assert_eq!(words.len(), 1);
    assert!(client.ended().await.success());
}

#[tokio::test]
async fn webhooks_are_taken_and_streams_opened_at_once_while_a_node_is_dead() {
    let mut cluster = Cluster::start().await;
    for dead in 0..2 {
        cluster.nodes[dead].kill();
        for number in 0..20 {
            let payload = generic(&format!("e{dead}-{number}"), "pending", "pay_1", now_s());
            assert_eq!(cluster.post(&payload).await, 200, "no provider has to come again");
            let mut stream = cluster.events("pay_1").send().await.unwrap();
            assert_eq!((stream.status(), stream.version()), (StatusCode::OK, Version::HTTP_2));
            assert!(stream.chunk().await.unwrap().is_some());
        }
        cluster.nodes[dead].restart().await;
    }
    assert_eq!(cluster.nodes[0].snapshot("pay_1").await["seq"], 40, "each once");
}

#[tokio::test]
async fn a_node_that_hangs_costs_a_webhook_a_few_seconds() {
    let cluster = Cluster::start().await;
    kill_process(cluster.nodes[0].pid(), Signal::STOP).unwrap();
    let payloads: Vec<_> =
        (0..4).map(|number| generic(&format!("e{number}"), "pending", "pay_1", now_s())).collect();
    let begun = Instant::now();
    let answers = futures_util::future::join_all(payloads.iter().map(|payload| cluster.post(payload))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert!(begun.elapsed() > Duration::from_secs(4), "nobody was sent to it");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    kill_process(cluster.nodes[0].pid(), Signal::CONT).unwrap();
    // It takes what it was sent meanwhile, and takes nothing twice.
    eventually("it answers", async || cluster.nodes[0].admin("/readyz").await.head.status == 200).await;
    assert_eq!(cluster.post(&payloads[0]).await, 200);
    assert_eq!(cluster.nodes[1].snapshot("pay_1").await["seq"], 4);
}

#[tokio::test]
async fn with_all_nodes_away_an_event_source_gets_no_answer_and_others_a_503() {
    let mut cluster = Cluster::start().await;
    let mut open = cluster.events("pay_1").send().await.unwrap();
    assert!(open.chunk().await.unwrap().is_some());
    cluster.nodes.iter_mut().for_each(Gateway::kill);
    let end = async {
        while open.chunk().await?.is_some() {}
        reqwest::Result::Ok(())
    };
    assert!(timeout(PATIENCE, end).await.unwrap().is_err(), "a clean end would stop some clients for good");

    let refused = cluster.events("pay_1").send().await;
    assert!(refused.is_err(), "any answer would end an EventSource for good: {refused:?}");
    let snapshot = cluster.get("pay_1", "").send().await.unwrap();
    assert_eq!(
        (snapshot.status().as_u16(), &snapshot.headers()["retry-after"]),
        (503, &"2".parse().unwrap())
    );
    assert_eq!(cluster.post(&generic("e1", "pending", "pay_1", now_s())).await, 502);
    for node in &mut cluster.nodes {
        node.restart().await;
    }
    let payload = generic("e1", "pending", "pay_1", now_s());
    assert_eq!(cluster.post(&payload).await, 200, "a gateway that is back is used at once");
    assert_eq!(cluster.events("pay_1").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_drained_stream_ends_as_uncleanly_behind_nginx_and_a_lost_store_takes_no_node_away() {
    let mut cluster = Cluster::start().await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = cluster.events("pay_1").send().await.unwrap();
        stream.chunk().await.unwrap();
        streams.push(stream);
    }
    for node in &mut cluster.nodes {
        node.stop().await;
    }
    for mut stream in streams {
        let mut heard = String::new();
        let end = loop {
            match timeout(PATIENCE, stream.chunk()).await.unwrap() {
                Ok(Some(chunk)) => heard.push_str(std::str::from_utf8(&chunk).unwrap()),
                end => break end,
            }
        };
        assert!(heard.contains(r#""reason":"drain""#), "{heard}");
        assert!(end.is_err(), "a clean end would stop some clients for good");
    }
    for node in &mut cluster.nodes {
        node.restart().await;
    }
    // A gateway that loses its store while it is still starting ends; these two have begun to hear theirs.
    let mut streams = [cluster.nodes[0].stream("pay_2").await, cluster.nodes[1].stream("pay_2").await];
    assert_eq!(cluster.post(&generic("e0", "pending", "pay_2", now_s())).await, 200);
    for stream in &mut streams {
        read_until(stream, 1).await;
    }
    cluster.redis.kill();
    for round in 0..2 {
        let payload = generic("e1", "pending", "pay_1", now_s());
        let answer = cluster.post(&payload).await;
        assert_eq!(answer, 503, "round {round}: not the gateway's own word:\n{}", cluster.nodes[0].log());
        assert_eq!(cluster.get("pay_1", "").send().await.unwrap().status(), 503);
        let stream = cluster.events("pay_1").send().await.unwrap();
        assert_eq!(stream.status(), 200, "round {round}: told to come back, by a gateway");
    }
    cluster.redis.restart().await;
    let payload = generic("e1", "pending", "pay_1", now_s());
    eventually("webhooks are taken", async || cluster.post(&payload).await == 200).await;
}

#[tokio::test]
async fn no_log_of_nginx_holds_a_token() {
    let mut cluster = Cluster::start().await;
    let mut stream = cluster.events("pay_1").send().await.unwrap();
    stream.chunk().await.unwrap();
    // What fails is what nginx would write about with the whole request.
    for node in &mut cluster.nodes {
        node.kill();
    }
    assert_eq!(cluster.get("pay_1", "").send().await.unwrap().status(), 503);
    assert!(cluster.events("pay_1").send().await.is_err());
    drop(stream);
    eventually("all is logged", async || cluster.nginx.logs()[0].lines().count() >= 3).await;
    let [accesses, errors] = cluster.nginx.logs();
    assert!(accesses.contains("GET /v1/payments/pay_1/events\""), "{accesses}");
    assert!(accesses.contains(&cluster.nodes[0].public.to_string()), "which gateway it was:\n{accesses}");
    for log in [accesses, errors] {
        assert!(!log.contains("access_token") && !log.contains("eyJ"), "{log}");
    }
}

/// What Docker would read; Docker itself is not needed.
fn compose() -> Value {
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.yaml");
    let output =
        Command::new(python()).args(["-c", read]).stdin(fs::File::open(file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn compose_names_files_and_secrets_that_are_there_and_settings_that_are_checked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let here = volume.as_str().unwrap().split(':').next().unwrap();
            let is_there =
                root.join(here).exists() || compose["volumes"].as_object().unwrap().contains_key(here);
            assert!(is_there, "{name}: {here}");
        }
        for needed in service["depends_on"].as_object().into_iter().flatten().map(|(needed, _)| needed) {
            assert!(services.contains_key(needed), "{name} depends on {needed}");
        }
    }
    let upstreams = fs::read_to_string(root.join("deploy/upstreams.conf")).unwrap();
    for gateway in ["gateway-1", "gateway-2"] {
        assert!(services.contains_key(gateway) && upstreams.contains(gateway), "{gateway}");
    }
    // The gateways' configuration is fine with just the secrets that compose gives them.
    let mut check = crate::support::paystream();
    check.args(["check", "--config"]).arg(root.join("deploy/paystream.toml"));
    for name in services["gateway-1"]["environment"].as_object().unwrap().keys() {
        let value = if name == "STRIPE_WEBHOOK_SECRET" { STRIPE_SECRET } else { crate::support::TOKEN_KEY };
        check.env(name, value);
    }
    let output = check.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_images_health_check_tells_a_live_gateway_from_a_dead_one() {
    let dockerfile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let check = dockerfile.lines().find(|line| line.starts_with("HEALTHCHECK")).unwrap();
    let words: Vec<String> = serde_json::from_str(check.split_once("CMD ").unwrap().1).unwrap();
    assert_eq!(words[0], "/usr/bin/paystream");
    let mut gateway = Gateway::start().await;
    let url = format!("http://{}", gateway.admin);
    let run = async || {
        let mut command = paystream();
        command.args(&words[1..]).args(["--url", &url]);
        let status = move || command.output().unwrap().status.success();
        timeout(Duration::from_secs(5), tokio::task::spawn_blocking(status)).await.unwrap().unwrap()
    };
    assert!(run().await);
    gateway.kill();
    assert!(!run().await);
}

/// Otherwise all clients of nginx would be one peer, or each as many as it likes.
#[tokio::test]
async fn nginx_says_who_a_client_is_whatever_the_client_says() {
    let cluster = Cluster::with("trusted_proxies = [\"127.0.0.1\"]", "streams_per_peer = 1", &[]).await;
    let mut streams = Vec::new();
    let mut words = Vec::new();
    // One for each node; then each node has as many of this client as it may have.
    for number in 0..4 {
        let asked = cluster.events("pay_1").header("x-forwarded-for", format!("198.51.100.{number}"));
        let mut stream = asked.header("forwarded", "for=198.51.100.9").send().await.unwrap();
        let chunk = timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().unwrap();
        words.push(String::from_utf8_lossy(&chunk).contains("overload"));
        streams.push(stream);
    }
    assert_eq!(words, [false, false, true, true]);
}
