//! Why was a webhook not verified? The record says it, and `paystream verify` says it offline.

use crate::parts::operator;
use crate::support::{
    ADMIN_TOKEN, GENERIC_SECRET, Gateway, OTHER_SECRET, STRIPE_SECRET, Setup, eventually, generic, header,
    now_s, paystream, stripe,
};
use load::sign;
use serde_json::{Value, json};
use std::{fs, process::Output};

const NEW: &str = "c0ffee1d4be07d19c5f23a86907e1db4c83f5a2d";

/// The newest record of a source with that event or reason.
async fn newest(gateway: &Gateway, source: &str, reason: &str) -> Value {
    let path = format!("/admin/deliveries?source={source}&reason={reason}");
    let mut found = Value::Null;
    eventually("there is a record", async || {
        found = operator(gateway, &path).await.json()["records"][0].clone();
        !found.is_null()
    })
    .await;
    found
}

fn body() -> Vec<u8> {
    generic("e1", "pending", "pay_1", now_s()).to_string().into_bytes()
}

#[tokio::test]
async fn the_record_of_a_rejected_webhook_says_why_and_the_sender_learns_nothing() {
    let gateway = Gateway::start().await;
    let body = body();
    // Signed with the secret of another source.
    let answer = gateway.post_raw("acme", &sign::generic(OTHER_SECRET, &body), &body).await;
    assert_eq!((answer.head.status, &answer.json()["reason"]), (401, &json!("bad_signature")));
    let told = answer.text();
    let record = newest(&gateway, "acme", "bad_signature").await;
    let diagnosis = &record["diagnosis"];
    assert_eq!((&diagnosis["cause"], &diagnosis["sure"]), (&json!("secret_of_other_source"), &json!(true)));
    assert!(diagnosis["change"].as_str().unwrap().contains("the source other"), "{diagnosis}");
    assert!(record.get("secret").is_none(), "{record}");
    // The same answer, word by word, to whoever has no secret at all.
    let stranger = gateway.post_raw("acme", &sign::generic(NEW, &body), &body).await;
    assert_eq!(stranger.text(), told);
    let log = gateway.log();
    assert!(log.contains("secret_of_other_source"), "{log}");
    for secret in [GENERIC_SECRET, OTHER_SECRET, STRIPE_SECRET, ADMIN_TOKEN] {
        assert!(!format!("{record}{log}").contains(secret));
    }
}

#[tokio::test]
async fn the_record_of_a_verified_webhook_names_the_secret() {
    let gateway = Gateway::start().await;
    gateway.accept(&generic("e1", "pending", "pay_1", now_s())).await;
    let mut record = Value::Null;
    eventually("there is a record", async || {
        record = operator(&gateway, "/admin/deliveries?source=acme").await.json()["records"][0].clone();
        !record.is_null()
    })
    .await;
    let name = record["secret"].as_str().unwrap();
    assert!(name.starts_with("file:") && name.ends_with("acme-0.secret"), "{record}");
    let source = operator(&gateway, "/admin/sources/acme").await.json();
    let secret = &source["secrets"][0];
    assert_eq!((&secret["secret"], &secret["good"]), (&json!(name), &json!(true)));
    assert!(secret["last_used"].is_string(), "{source}");
}

#[tokio::test]
async fn a_secret_with_an_end_is_rotated_without_losing_a_webhook() {
    let mut setup = Setup::default();
    setup.sources[0].secrets = vec![GENERIC_SECRET.to_owned(), NEW.to_owned()];
    let gateway = Gateway::with(setup).await;
    let text = fs::read_to_string(gateway.config_path()).unwrap();
    let old = format!("\"file:{}\"", gateway.folder().join("acme-0.secret").display());
    assert!(text.contains(&old), "{text}");
    let with = |terms: &str| {
        fs::write(gateway.config_path(), text.replace(&old, &format!("{{ secret = {old}, {terms} }}")))
            .unwrap();
        gateway.hang_up();
    };
    let post = async |secret: &str| {
        let body = body();
        gateway.post_raw("acme", &sign::generic(secret, &body), &body).await.head.status
    };
    let terms_shown = async || {
        let source = operator(&gateway, "/admin/sources/acme").await.json();
        (source["secrets"][0]["not_after"].clone(), source["secrets"][0]["good"].clone())
    };
    assert_eq!([post(GENERIC_SECRET).await, post(NEW).await], [200, 200]);
    with("not_after = 2099-01-01T00:00:00Z");
    eventually("the end is shown", async || {
        terms_shown().await == (json!("2099-01-01T00:00:00.000Z"), json!(true))
    })
    .await;
    assert_eq!([post(GENERIC_SECRET).await, post(NEW).await], [200, 200]);
    with("not_after = \"2026-01-01T01:00:00+01:00\"");
    eventually("the old secret has ended", async || post(GENERIC_SECRET).await == 401).await;
    assert_eq!(terms_shown().await, (json!("2026-01-01T00:00:00.000Z"), json!(false)));
    assert_eq!(post(NEW).await, 200);
    eventually("the record says that the secret has ended", async || {
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        assert_eq!(post(GENERIC_SECRET).await, 401);
        newest(&gateway, "acme", "bad_signature").await["diagnosis"]["cause"] == "secret_out_of_time"
    })
    .await;
    // A mistake changes nothing.
    for (terms, mistake) in [
        ("not_after = \"soon\"", "not_after: the value must be a date and time with an offset"),
        ("not_before = 2027-01-01T00:00:00Z, not_after = 2026-01-01T00:00:00Z", "would never be good"),
        ("until = 2026-01-01T00:00:00Z", "this key is unknown"),
    ] {
        with(terms);
        eventually(mistake, async || gateway.log().contains(mistake)).await;
        assert_eq!([post(GENERIC_SECRET).await, post(NEW).await], [401, 200], "{terms}");
    }
}

#[tokio::test]
async fn whoever_floods_a_source_with_bad_signatures_uses_up_a_share_of_its_own() {
    let mut setup = Setup::limits("failed_signatures_per_second = 100\nfailed_signatures_per_peer = 5");
    setup.listen.push_str("trusted_proxies = [\"127.0.0.1/32\"]\n");
    let gateway = Gateway::with(setup).await;
    let body = body();
    let from = async |peer: &str, secret: &str| {
        let mut headers = sign::generic(secret, &body);
        headers.push(header("x-forwarded-for", peer));
        gateway.post_raw("acme", &headers, &body).await.head.status
    };
    let mut statuses = Vec::new();
    for _ in 0..200 {
        statuses.push(from("192.0.2.1", NEW).await);
    }
    assert!(
        statuses.contains(&429) && statuses.iter().all(|status| [401, 429].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(
        from("192.0.2.7", OTHER_SECRET).await,
        401,
        "the provider, whose secret is wrong, still leaves a record"
    );
    assert_eq!(from("192.0.2.1", GENERIC_SECRET).await, 200, "what is verified is never limited");
    eventually("the provider's record says why", async || {
        let all = operator(&gateway, "/admin/deliveries?source=acme&reason=bad_signature").await.json();
        let all = all["records"].as_array().unwrap().clone();
        let known = all.iter().any(|record| record["diagnosis"]["cause"] == "secret_of_other_source");
        if !known {
            // One delivery of a source is examined in a second.
            tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
            assert_eq!(from("192.0.2.7", OTHER_SECRET).await, 401);
        }
        known
    })
    .await;
    let peers = operator(&gateway, "/admin/sources/acme").await.json()["unverified"].clone();
    assert_eq!((&peers[0]["peer"], &peers[0]["failed"]), (&json!("192.0.2.1"), &json!(200)), "{peers}");
    assert!(peers[0]["refused"].as_u64().unwrap() > 100, "{peers}");
    assert_eq!((&peers[1]["peer"], &peers[1]["refused"]), (&json!("192.0.2.7"), &json!(0)));
    assert!(
        gateway.metric("paystream_limit_hits_total", &["reason=\"failed_signatures_per_peer\""]).await
            > 100.0
    );
}

/// Runs `paystream verify` on a recorded request.
async fn verify(
    gateway: &Gateway,
    source: &str,
    headers: &[(String, String)],
    body: &[u8],
    more: &[&str],
) -> Output {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let [headers, recorded] = ["headers.txt", "body.json"].map(|name| gateway.folder().join(name));
    fs::write(&headers, format!("POST /webhooks/{source} HTTP/1.1\r\n{lines}\r\n")).unwrap();
    fs::write(&recorded, body).unwrap();
    let mut command = paystream();
    command.arg("verify").arg("--config").arg(gateway.config_path()).args(["--source", source]);
    command.arg("--headers").arg(headers).arg("--body").arg(recorded).args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_recorded_webhook_is_verified_offline_and_its_mistake_is_named() {
    let gateway = Gateway::start().await;
    let body = stripe("evt_1", "payment_intent.succeeded", "pi_1", now_s()).to_string().into_bytes();
    let signed = |secret: &str| sign::stripe(secret, now_s(), &body);
    let said = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();
    let good = verify(&gateway, "stripe", &signed(STRIPE_SECRET), &body, &[]).await;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    assert!(said(&good).contains("Verified, with the secret file:"), "{good:?}");
    assert!(said(&good).contains("event payment_intent.succeeded of payment pi_1"), "{good:?}");
    for (headers, body, more, cause) in [
        (signed(STRIPE_SECRET), [&body[..], b"\n"].concat(), &[][..], "Cause (line_break)"),
        (signed(OTHER_SECRET), body.clone(), &[], "Cause (secret_of_other_source)"),
        (signed(STRIPE_SECRET), body.clone(), &["--at", "2020-01-01T00:00:00Z"], "Cause (clock)"),
        (signed(NEW), body.clone(), &[], "No known mistake explains it"),
        (Vec::new(), body.clone(), &[], "Probable cause (no_signature)"),
    ] {
        let bad = verify(&gateway, "stripe", &headers, &body, more).await;
        assert_eq!(bad.status.code(), Some(1), "{bad:?}");
        assert!(said(&bad).contains(cause), "{cause}: {bad:?}");
    }
    let json = verify(&gateway, "stripe", &signed(OTHER_SECRET), &body, &["--json"]).await;
    let json: Value = serde_json::from_str(&said(&json)).unwrap();
    assert_eq!((&json["valid"], &json["diagnosis"]["sure"]), (&json!(false), &json!(true)), "{json}");
    let unknown = verify(&gateway, "strip", &signed(STRIPE_SECRET), &body, &[]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("the configured sources are:"), "{unknown:?}");
}
