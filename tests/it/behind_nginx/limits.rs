//! The limits of `deploy/nginx.conf`: one address cannot take everything, and what is refused comes back by itself.

use super::Cluster;
use crate::support::{PATIENCE, eventually, generic, now_s};
use futures_util::future::join_all;
use tokio::time::timeout;

const HSTS: &str = "max-age=31536000";

#[tokio::test]
async fn every_answer_tells_browsers_to_stay_on_https() {
    let mut cluster = Cluster::start().await;
    let url = cluster.nginx.url();
    let nowhere = || cluster.client.get(format!("{url}/admin/quarantine"));
    for (asked, status) in [
        (cluster.get("pay_1", ""), 200),
        (cluster.events("pay_1"), 200),
        (cluster.client.get(format!("{url}/v1/payments/pay_1")), 401),
        (cluster.client.post(format!("{url}/webhooks/acme")), 401),
        (nowhere(), 404),
    ] {
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["strict-transport-security"], HSTS, "{status}");
        assert_eq!(answer.headers().get_all("strict-transport-security").iter().count(), 1, "{status}");
    }
    for node in &mut cluster.nodes {
        node.kill();
    }
    let answer = cluster.get("pay_1", "").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["strict-transport-security"]),
        (503, &HSTS.parse().unwrap())
    );
}

#[tokio::test]
async fn who_asks_too_often_gets_429_an_event_source_no_answer_and_webhooks_are_taken() {
    let swaps = [
        ("zone=reads:10m rate=100r/s", "zone=reads:10m rate=1r/m"),
        ("zone=reads burst=1000", "zone=reads burst=5"),
    ];
    let cluster = Cluster::with("", "", &swaps).await;
    let mut stream = cluster.events("pay_1").send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    for _ in 0..5 {
        assert_eq!(cluster.get("pay_1", "").send().await.unwrap().status(), 200);
    }
    let refused = cluster.get("pay_1", "").send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"2".parse().unwrap()));
    assert_eq!(refused.headers()["strict-transport-security"], HSTS);
    assert_eq!(refused.headers()["cache-control"], "no-store");
    let refused = cluster.events("pay_1").send().await;
    assert!(refused.is_err(), "any answer would end an EventSource for good: {refused:?}");
    // What is open stays open, and is fed.
    assert_eq!(cluster.post(&generic("e1", "pending", "pay_1", now_s())).await, 200);
    let mut heard = String::new();
    while !heard.contains(r#""seq":1"#) {
        let chunk = timeout(PATIENCE, stream.chunk()).await.unwrap().unwrap().expect("the stream goes on");
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    for log in cluster.nginx.logs() {
        assert!(!log.contains("access_token") && !log.contains("eyJ"), "{log}");
    }
}

#[tokio::test]
async fn an_address_holds_so_many_streams_and_gets_one_more_when_one_ends() {
    let cluster = Cluster::with(
        "",
        "",
        &[(
            "nodelay;\n            limit_conn clients 1000;\n            proxy_pass http://paystream_stream",
            "nodelay;\n            limit_conn clients 3;\n            proxy_pass http://paystream_stream",
        )],
    )
    .await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = cluster.events("pay_1").send().await.unwrap();
        assert!(stream.chunk().await.unwrap().is_some());
        streams.push(stream);
    }
    let refused = cluster.events("pay_1").send().await;
    assert!(refused.is_err(), "any answer would end an EventSource for good: {refused:?}");
    assert_eq!(cluster.get("pay_1", "").send().await.unwrap().status(), 429);
    assert_eq!(
        cluster.post(&generic("e1", "pending", "pay_1", now_s())).await,
        200,
        "webhooks are counted apart"
    );
    streams.pop();
    eventually("there is room for one", async || cluster.events("pay_1").send().await.is_ok()).await;
}

#[tokio::test]
async fn an_office_behind_one_address_and_a_burst_of_webhooks_are_no_attack() {
    let cluster = Cluster::start().await;
    // Each browser has a connection of its own, over which nginx allows 128 streams.
    let browsers: Vec<_> = (0..30).map(|_| cluster.another_client()).collect();
    let ten_each = browsers.iter().flat_map(|browser| std::iter::repeat_n(browser, 10));
    let opened = join_all(ten_each.map(|browser| cluster.events_by(browser, "pay_1").send())).await;
    let refused: Vec<_> =
        opened.iter().filter(|answer| !answer.as_ref().is_ok_and(|answer| answer.status() == 200)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let payloads: Vec<_> =
        (0..300).map(|number| generic(&format!("e{number}"), "pending", "pay_2", now_s())).collect();
    let answers = join_all(payloads.iter().map(|payload| cluster.post(payload))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
}
