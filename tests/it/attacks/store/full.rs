//! A disk that takes no more.

use crate::support::{Gateway, PATIENCE, Setup, Store, eventually, generic, now_s, paystream};
use load::http::request;
use std::{
    process::{Command, Stdio},
    time::Instant,
};

/// Starts the gateway on its folder so that none of its files can grow beyond 64 KiB: a write fails then as on a full disk, in the middle
/// of a batch.
fn with_little_room(gateway: &Gateway) -> std::process::Child {
    let mut command = Command::new("sh");
    // An ignored signal stays ignored in the program that `exec` starts. The limit is in blocks of 512 bytes.
    command.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" serve --config \"$1\" 2>/dev/null"]);
    command.arg(paystream().get_program()).arg(gateway.config_path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn a_disk_that_is_full_ends_the_process_and_loses_nothing_that_was_acknowledged() {
    let mut gateway = Gateway::with(Setup { store: Store::Embedded, ..Setup::default() }).await;
    gateway.stop().await;
    let mut little = with_little_room(&gateway);
    eventually("it is ready", async || {
        let ready = request(gateway.admin, "GET", "/readyz", &[], b"").await;
        ready.is_ok_and(|answer| answer.head.status == 200)
    })
    .await;
    let (mut acknowledged, started) = (Vec::new(), Instant::now());
    let status = loop {
        assert!(started.elapsed() < PATIENCE, "it never ran out of room");
        if let Some(status) = little.try_wait().unwrap() {
            break status;
        }
        let payment = format!("pay_{}", acknowledged.len());
        let body = generic("e1", "pending", &payment, now_s()).to_string().into_bytes();
        let headers = crate::support::signed("acme", &body);
        match request(gateway.ingest, "POST", "/webhooks/acme", &headers, &body).await {
            Ok(answer) if answer.head.status / 100 == 2 => acknowledged.push(payment),
            Ok(answer) => assert_eq!(answer.head.status, 503, "{}", answer.text()),
            Err(_) => {}
        }
    };
    assert!(!status.success() && acknowledged.len() > 20, "{status}, {} events", acknowledged.len());
    // What the last write left of itself is cut; the rest is there.
    gateway.restart().await;
    for payment in &acknowledged {
        assert_eq!(gateway.snapshot(payment).await["seq"], 1, "{payment} of {}", acknowledged.len());
    }
}
