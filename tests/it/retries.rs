//! What operators learn while a source's webhooks fail by our own fault: how long the provider goes on, and what happens then.

use crate::support::{
    ADMIN_TOKEN, GENERIC_SECRET, Gateway, RedisServer, Setup, Source, eventually, generic, header, now_s,
};
use load::http::request;
use serde_json::Value;
use std::{fs, time::Duration};

async fn admin(gateway: &Gateway, path: &str) -> (u16, Value) {
    let token = [header("authorization", &format!("Bearer {ADMIN_TOKEN}"))];
    let answer = request(gateway.admin, "GET", path, &token, b"").await.unwrap();
    (answer.head.status, answer.json())
}

#[tokio::test]
async fn a_window_that_is_half_used_is_warned_of_once_and_shown_to_operators() {
    let folder = tempfile::tempdir().unwrap();
    let preset = folder.path().join("hasty.toml");
    let retries =
        "pauses_s = [1]\nlost_after_s = 6\ndisabled_after_s = 86_400\ntimeout_s = 60\nblocks = true";
    fs::write(&preset, format!("name = \"hasty\"\nextends = \"generic\"\n[retries]\n{retries}\n")).unwrap();
    let mut redis = RedisServer::start().await;
    let mut setup = Setup::on(&redis);
    setup.sources.push(Source::new("hasty", preset.to_str().unwrap(), "default", GENERIC_SECRET));
    let gateway = Gateway::with(setup).await;
    let shown =
        async |name: &str| gateway.metric(&format!("paystream_webhooks_{name}"), &["source=\"hasty\""]).await;
    let path = "/admin/sources/hasty";
    let (status, well) = admin(&gateway, path).await;
    assert_eq!((status, &well["failing"], &well["retries"]["lost_after_s"]), (200, &Value::Null, &6.into()));
    assert!((shown("retry_window_seconds").await - 6.0).abs() < 0.1);

    redis.kill();
    let body = generic("e1", "pending", "pay_1", now_s()).to_string().into_bytes();
    let headers = load::sign::generic(GENERIC_SECRET, &body);
    let post = async || gateway.post_raw("hasty", &headers, &body).await.head.status;
    assert_eq!(post().await, 503);
    let (_, failing) = admin(&gateway, path).await;
    let failing = &failing["failing"];
    assert_eq!(
        (&failing["failed"], &failing["share"], &failing["queue_blocked"]),
        (&1.into(), &1.0.into(), &true.into())
    );
    assert!(
        failing["lost_in_s"].as_u64().unwrap() <= 6 && failing["disabled_in_s"].as_u64().unwrap() > 86_000,
        "{failing}"
    );
    // The provider goes on, and so does the outage.
    let warnings = || gateway.log().lines().filter(|line| line.contains("half of the time is over")).count();
    eventually("the warning", async || {
        post().await;
        warnings() == 1
    })
    .await;
    assert!(shown("failing_seconds").await >= 3.0 && shown("queue_blocked").await > 0.5);
    assert!(shown("failed_total").await >= 2.0);
    let warned =
        gateway.log().lines().find(|line| line.contains("half of the time is over")).unwrap().to_owned();
    assert!(warned.contains("hasty") && warned.contains("lost_in_s"), "{warned}");
    // Two more looks at the windows, with failures going on: it is told once.
    for _ in 0..12 {
        post().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(warnings(), 1, "{}", gateway.log());
    let (_, all) = admin(&gateway, "/admin/sources").await;
    let names: Vec<&str> =
        all["sources"].as_array().unwrap().iter().map(|one| one["source"].as_str().unwrap()).collect();
    assert_eq!(names, ["acme", "hasty", "other", "stripe"]);
    assert_eq!(all["sources"][0]["failing"], Value::Null, "only the source whose webhooks fail");

    redis.restart().await;
    eventually("it is taken", async || post().await == 200).await;
    let (_, after) = admin(&gateway, path).await;
    assert!(after["failing"]["share"].as_f64().unwrap() < 1.0, "one success may be a lucky one: {after}");
}

#[tokio::test]
async fn the_sources_are_for_operators_alone() {
    let gateway = Gateway::start().await;
    for path in ["/admin/sources", "/admin/sources/acme", "/admin/sources/nobody"] {
        for token in [None, Some("Bearer wrong-token-of-some-length"), Some("Basic YTpi"), Some("Bearer ")] {
            let headers: Vec<_> = token.iter().map(|token| header("authorization", token)).collect();
            let answer = request(gateway.admin, "GET", path, &headers, b"").await.unwrap();
            assert_eq!(answer.head.status, 401, "{path} {token:?}");
            assert!(!answer.text().contains("acme"), "{}", answer.text());
        }
    }
    for (path, status) in [
        ("/admin/sources/nobody", 404),
        ("/admin/sources/%ff", 404),
        ("/admin/sources?limit=1", 400),
        ("/admin/sources/acme?x", 400),
        ("/admin/sources/acme", 200),
    ] {
        assert_eq!(admin(&gateway, path).await.0, status, "{path}");
    }
    let text = admin(&gateway, "/admin/sources").await.1.to_string();
    assert!(!text.contains(GENERIC_SECRET), "{text}");
}
