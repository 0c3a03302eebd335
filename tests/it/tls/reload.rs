//! Certificates are replaced while connections are open.

use super::{NAME, Secure};
use crate::support::{Certified, eventually, generic, next_message, now_s};
use load::stream::Stream;
use std::fs;

/// The certificate that a new connection gets.
async fn presented(secure: &Secure) -> Vec<u8> {
    let stream = secure.connect(secure.gateway.listener, &["http/1.1"], NAME).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn reloads(secure: &Secure, outcome: &str) -> f64 {
    let outcome = format!("outcome=\"{outcome}\"");
    secure.gateway.metric("paystream_reloads_total", &[&outcome]).await
}

#[tokio::test]
async fn certificates_are_replaced_by_their_files_or_at_a_signal_and_no_stream_is_dropped() {
    let secure = Secure::start("").await;
    let Secure { gateway, authority, files } = &secure;
    let (bridge, http) = (secure.bridge().await, secure.http().build().unwrap());
    let bearer = gateway.bearer(&["pay_1"]);
    let mut old = Stream::open(bridge, "/v1/payments/pay_1/events", &bearer).await.unwrap();
    next_message(&mut old).await;
    let url = secure.url("/v1/payments/pay_1/events");
    let mut over_http2 = http.get(url).header(&bearer[0].0, &bearer[0].1).send().await.unwrap();
    for seq in 1..=3 {
        let before = presented(&secure).await;
        authority.certify(&[NAME]).write(files.path(), "own");
        if seq == 2 {
            gateway.hang_up();
        }
        eventually("new connections get the new one", async || presented(&secure).await != before).await;
        gateway.accept(&generic(&format!("e{seq}"), "pending", "pay_1", now_s())).await;
        assert_eq!(next_message(&mut old).await.1["seq"], seq, "the same stream, all the while");
        let (mut text, awaited) = (String::new(), format!("\"seq\":{seq}"));
        while !text.contains(&awaited) {
            text.push_str(&String::from_utf8_lossy(&over_http2.chunk().await.unwrap().unwrap()));
        }
    }
    assert!(secure.gateway.metric("paystream_stream_closes_total", &[]).await < 0.5);
}

#[tokio::test]
async fn broken_files_leave_the_old_certificate_in_use() {
    let secure = Secure::start("").await;
    let before = presented(&secure).await;
    let Certified { chain, key } = secure.authority.certify(&[NAME]);
    let at = |name: &str| secure.files.path().join(name);
    let mut refused = 0.0;
    // The chain of another key, as between two steps of a renewal; then half a file; then none.
    for step in [
        || -> (&str, Option<&str>) { ("own.pem", Some("chain")) },
        || ("own.pem", Some("half")),
        || ("own.key", None),
    ] {
        match step() {
            (name, Some("chain")) => fs::write(at(name), &chain).unwrap(),
            (name, Some(_)) => fs::write(at(name), &chain[..chain.len() / 2]).unwrap(),
            (name, None) => fs::remove_file(at(name)).unwrap(),
        }
        eventually("it is refused", async || reloads(&secure, "refused").await > refused).await;
        refused = reloads(&secure, "refused").await;
        assert_eq!(presented(&secure).await, before);
    }
    assert!(secure.gateway.log().contains("the private key does not belong to the first certificate"));
    Certified { chain, key }.write(secure.files.path(), "own");
    eventually("the new one is in use", async || presented(&secure).await != before).await;
}
