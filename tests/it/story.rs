//! The story for which the operators' tools are there, by command line: a customer says "I paid and the page says pending".
//!
//! A source has the wrong secret, and its diagnosis says so; the secret is replaced, and the provider's retries lose nothing; a mistake in the
//! preset puts ten events in quarantine; it is mended and they are replayed; the page shows paid, and the receipt proves what it saw and when.

use crate::support::{
    GENERIC_SECRET, Gateway, Setup, eventually, generic, header, next_message, now_s, paystream, token,
};
use load::{http::request, sign};
use serde_json::{Value, json};
use std::fs;

/// Runs a command of the operator, and returns its exit code and what it printed.
async fn run(gateway: &Gateway, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = paystream();
    let names = arguments.iter().take_while(|argument| !argument.starts_with('-')).count();
    let (named, rest) = arguments.split_at(names);
    command.args(named).arg("--config").arg(gateway.config_path()).args(rest);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn reload(gateway: &Gateway) {
    let reloads = async || gateway.metric("paystream_reloads_total", &["outcome=\"done\""]).await;
    let before = reloads().await;
    gateway.hang_up();
    eventually("the configuration is reloaded", async || reloads().await > before + 0.5).await;
}

/// The preset of the shop's own provider: that of `generic`, with a word for the state of a payment that it does not know.
fn preset(word: &str) -> String {
    format!(
        "name = \"acme-pay\"\nextends = \"generic\"\n[[map]]\ntype = [\"payment.settled\"]\n[[map.facts]]\nfact = \"phase\"\n\
         at = \"/payment/state\"\nwords = {{ {word} = \"captured\" }}\namount = \"/payment/amount\"\ncurrency = \"/payment/currency\"\n"
    )
}

#[tokio::test]
async fn a_customer_says_i_paid_and_the_page_says_pending() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme-pay.toml");
    fs::write(&file, preset("done")).unwrap();
    let mut setup = Setup::default();
    setup.sources[0].provider = file.display().to_string();
    // The operator copied the secret with its quotes.
    setup.sources[0].secrets = vec![format!("\"{GENERIC_SECRET}\"")];
    let gateway = Gateway::with(setup).await;
    let mut page = gateway.stream("pay_0").await;
    assert_eq!(next_message(&mut page).await.1["status"], "unknown");
    let bodies: Vec<Vec<u8>> = (0..10)
        .map(|number| {
            let mut body = generic(&format!("e{number}"), "settled", &format!("pay_{number}"), now_s() - 60);
            body["payment"]["state"] = json!("settled");
            body.to_string().into_bytes()
        })
        .collect();
    let deliver = async || {
        let mut statuses = Vec::new();
        for body in &bodies {
            statuses
                .push(gateway.post_raw("acme", &sign::generic(GENERIC_SECRET, body), body).await.head.status);
        }
        statuses
    };

    // 1. The provider is refused, and the record of a delivery names the cause.
    assert_eq!(deliver().await, [401; 10]);
    let mut cause = Value::Null;
    eventually("a record of a rejected delivery names the cause", async || {
        let (code, said) =
            run(&gateway, &["deliveries", "--source", "acme", "--outcome", "rejected", "--json"]).await;
        assert_eq!(code, Some(0), "{said}");
        let records = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        cause = records
            .map(|record| record["diagnosis"].clone())
            .find(|cause| !cause.is_null())
            .unwrap_or_default();
        !cause.is_null()
    })
    .await;
    assert_eq!((&cause["cause"], &cause["sure"]), (&json!("secret_quotes"), &json!(true)));

    // 2. The operator mends the file, and tries it on a recorded webhook. The gateway reads the file again by itself, and the provider's
    //    retries are taken from then on.
    let secret = gateway.folder().join("acme-0.secret");
    fs::write(&secret, GENERIC_SECRET).unwrap();
    let [headers, body] = ["headers.txt", "body.json"].map(|name| folder.path().join(name));
    let signed = sign::generic(GENERIC_SECRET, &bodies[0]);
    let lines: String = signed.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    fs::write(&headers, lines).unwrap();
    fs::write(&body, &bodies[0]).unwrap();
    let tried = [
        "verify",
        "--source",
        "acme",
        "--headers",
        headers.to_str().unwrap(),
        "--body",
        body.to_str().unwrap(),
    ];
    let (code, said) = run(&gateway, &tried).await;
    assert!(code == Some(0) && said.contains("Verified, with the secret file:"), "{said}");
    eventually("the new secret counts", async || deliver().await == [200; 10]).await;

    // 3. They are verified and not understood.
    let (code, said) = run(&gateway, &["quarantine", "list", "--source", "acme"]).await;
    assert_eq!(code, Some(0), "{said}");
    let waiting = said.lines().filter(|line| line.contains("unknown_state")).count();
    assert!(waiting >= 10, "{said}");

    // 4. The preset is mended, and they are replayed.
    fs::write(&file, preset("settled")).unwrap();
    reload(&gateway).await;
    let (code, said) = run(
        &gateway,
        &[
            "quarantine",
            "replay",
            "--source",
            "acme",
            "--code",
            "unknown_state",
            "--reason",
            "acme-pay says settled",
        ],
    )
    .await;
    assert_eq!(code, Some(0), "{said}");

    // 5. The page shows it, and says so.
    let shown = next_message(&mut page).await.1;
    assert_eq!((shown["status"].as_str(), shown["seq"].as_u64()), (Some("captured"), Some(1)), "{shown}");
    let bearer = [header("authorization", &format!("Bearer {}", token("default", &["pay_0"])))];
    let beacon =
        request(gateway.public, "POST", "/v1/payments/pay_0/shown", &bearer, br#"{"seq":1}"#).await.unwrap();
    assert_eq!(beacon.head.status, 204, "{}", beacon.text());

    // 6. The receipt proves all of it.
    let mut receipt = Value::Null;
    let moments = |receipt: &Value| -> Vec<String> {
        let all = receipt["timeline"].as_array().into_iter().flatten();
        all.map(|moment| moment["what"].as_str().unwrap().to_owned()).collect()
    };
    eventually("the receipt is complete", async || {
        let (code, said) = run(&gateway, &["receipts", "pay_0", "--json"]).await;
        assert_eq!(code, Some(0), "{said}");
        receipt = serde_json::from_str(&said).unwrap();
        moments(&receipt).contains(&"shown".to_owned())
    })
    .await;
    let order = ["opened", "received", "appended", "written", "shown"];
    let told = moments(&receipt);
    // The last of each, since what is written first is the snapshot.
    let places: Vec<_> = order.iter().map(|what| told.iter().rposition(|told| told == what)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{receipt:#}");
    let verified =
        receipt["timeline"].as_array().unwrap().iter().find(|moment| moment["what"] == "verified").unwrap();
    assert!(verified["key"].as_str().unwrap().ends_with("acme-0.secret"), "{receipt:#}");
    // The page's word came with a token of its own, so it is a stream of its own.
    let mut streams = receipt["streams"].as_array().unwrap().iter();
    assert!(streams.any(|stream| stream["shown"][0]["seq"] == 1), "{receipt:#}");
    assert!(!receipt.to_string().contains(GENERIC_SECRET));
    let (_, audit) = run(&gateway, &["audit", "--json"]).await;
    assert!(audit.contains("acme-pay says settled"), "{audit}");
}
