//! `paystream demo` on a Redis server. (The page itself is tested in `web-demo/e2e`.)

use crate::support::{RedisServer, eventually, header, paystream};
use load::http::request;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Stdio},
};

struct Demo {
    child: Child,
    address: SocketAddr,
}

impl Demo {
    fn start(redis: &RedisServer) -> Self {
        let mut child = paystream()
            .args(["demo", "--port", "0", "--redis", &redis.url()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let address = said.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Self { address: address.unwrap_or_else(|| panic!("no address: {said}")).parse().unwrap(), child }
    }

    /// Has a payment live to its capture.
    async fn pay(&self) {
        let json = [header("content-type", "application/json")];
        let body = json!({ "life": "happy" }).to_string();
        let order = request(self.address, "POST", "/demo/payments", &json, body.as_bytes()).await.unwrap();
        assert_eq!(order.head.status, 201, "{}", order.text());
        let order = order.json();
        let (payment, token) = (order["payment"].as_str().unwrap(), order["token"].as_str().unwrap());
        let (path, bearer) =
            (format!("/v1/payments/{payment}"), [header("authorization", &format!("Bearer {token}"))]);
        eventually("it is captured", async || {
            request(self.address, "GET", &path, &bearer, b"").await.unwrap().json()["status"] == "captured"
        })
        .await;
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_demo_on_redis_leaves_no_key_behind_and_touches_no_other() {
    let redis = RedisServer::start().await;
    redis.ask(&["SET", "paystream-demo", "of somebody else"]);
    let mut demo = Demo::start(&redis);
    demo.pay().await;
    let mut other = Demo::start(&redis);
    other.pay().await;
    let keys = || redis.ask(&["KEYS", "*"]).matches("paystream-demo").count();
    assert!(keys() > 10, "{}", redis.ask(&["KEYS", "*"]));
    for demo in [&mut demo, &mut other] {
        kill_process(Pid::from_child(&demo.child), Signal::TERM).unwrap();
        eventually("it ends", async || demo.child.try_wait().unwrap().is_some()).await;
        assert!(demo.child.wait().unwrap().success());
    }
    assert_eq!(redis.ask(&["KEYS", "*"]), "*1\r\n$14\r\npaystream-demo\r\n");
}

#[test]
fn what_is_no_redis_server_is_refused() {
    for (url, code, words) in [("http://127.0.0.1:6379", 2, "--redis"), ("nonsense", 2, "redis://")] {
        let output = paystream().args(["demo", "--port", "0", "--redis", url]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
