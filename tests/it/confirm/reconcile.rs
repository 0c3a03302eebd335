//! Asking for a payment by hand.

use crate::support::{ADMIN_TOKEN, Gateway, ProviderApi, Scripted, Setup, header, paystream};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{process::Output, time::Duration};
use tokio::task::JoinSet;

async fn reconcile(gateway: &Gateway, source: &str, payment: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut command = paystream();
    command.arg("reconcile").arg("--config").arg(gateway.config_path());
    command.args(["--source", source, "--payment", payment]).args(more);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn reconcile_tells_where_gateway_and_provider_differ_and_mends_it() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    let mut setup = api.setup();
    setup.sources.extend(Setup::default().sources);
    let gateway = Gateway::with(setup).await;

    // The webhook was lost: the gateway knows nothing, and the provider was paid.
    let (code, said) = reconcile(&gateway, "mollie", "tr_1", &[]).await;
    assert_eq!(code, Some(1), "{said}");
    let paid = "captured, 10.00 EUR (captured 10.00, refunded 0.00)";
    for line in [
        "payment tr_1 of source mollie".to_owned(),
        "  gateway   unknown".to_owned(),
        format!("  provider  {paid}"),
        format!("they differ in status, amount, currency, captured; appended paid as event 1; now {paid}"),
    ] {
        assert!(said.lines().any(|said| said == line), "{line} is not in\n{said}");
    }
    assert_eq!(gateway.snapshot("tr_1").await["status"], "captured");

    let (code, said) = reconcile(&gateway, "mollie", "tr_1", &["--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&told["same"], &told["appended"]), (&json!(true), &Value::Null));
    assert_eq!(told["gateway"], told["provider"]);

    api.script([Scripted::Status(503, None), Scripted::Status(401, None)]);
    for (source, payment, expected) in [
        ("mollie", "tr_1", "the provider cannot be asked: it answers with status 503 (provider_unavailable)"),
        ("mollie", "tr_1", "refuses the source's api.key (status 401) (provider_denies)"),
        ("mollie", "tr_unknown", "the provider does not know the payment (status 404) (unknown_at_provider)"),
        ("acme", "tr_1", "add [source.api] to it (no_api)"),
        ("nobody", "tr_1", "(unknown_source)"),
    ] {
        let (code, said) = reconcile(&gateway, source, payment, &[]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "{said} should tell: {expected}");
    }
    let (code, said) = reconcile(&gateway, "mollie", "tr_1", &["--url", "http://127.0.0.1:1"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("check that the gateway is running"), "{said}");
}

#[tokio::test]
async fn reconciling_the_same_payment_at_once_appends_it_once() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    let gateway = Gateway::with(api.setup()).await;
    let mut tasks = JoinSet::new();
    let token = header("authorization", &format!("Bearer {ADMIN_TOKEN}"));
    for _ in 0..8 {
        let (admin, token) = (gateway.admin, token.clone());
        tasks.spawn(async move {
            let path = "/admin/sources/mollie/payments/tr_1/reconcile";
            load::http::request(admin, "POST", path, &[token], b"").await.unwrap().head.status
        });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(gateway.snapshot("tr_1").await["seq"], 1);
}

/// The webhooks of the preset `mollie` are signed and say all, so an answer is worth nothing until somebody asks for it.
#[tokio::test]
async fn a_provider_whose_webhooks_say_all_is_asked_by_operators_alone() {
    let api = ProviderApi::start().await;
    api.set_with("tr_1", "paid", &json!({ "amountRefunded": { "value": "2.50", "currency": "EUR" } }));
    let mut source = api.source_of("mollie");
    source.name = "mollie-next".to_owned();
    let secret = source.secrets[0].clone();
    let gateway = Gateway::with(Setup { sources: vec![source], ..Setup::default() }).await;
    let body = json!({
        "id": "event_1", "type": "payment.paid", "entityId": "tr_1", "createdAt": "2026-11-30T15:57:04Z",
        "_embedded": { "entity": { "mode": "live", "amount": { "value": "10.00", "currency": "EUR" } } },
    })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let signed = [header("x-mollie-signature", &signature)];
    let answer = gateway.post_raw("mollie-next", &signed, body.as_bytes()).await;
    assert_eq!(answer.head.status, 200, "{}", answer.text());
    assert_eq!(gateway.snapshot("tr_1").await["status"], "captured");
    // Longer than a hint takes to become a question, which is 200 ms and a poll each second.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(api.asked().is_empty(), "{:?}", api.asked());
    assert_eq!(gateway.metric("paystream_confirmations_owed", &[]).await, 0.0);

    let (code, said) = reconcile(&gateway, "mollie-next", "tr_1", &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("they differ in status, refunded; appended paid as event 2"), "{said}");
    assert_eq!(gateway.snapshot("tr_1").await["status"], "partially_refunded");
    assert_eq!(reconcile(&gateway, "mollie-next", "tr_1", &[]).await.0, Some(0));
    assert_eq!(api.asked(), ["tr_1", "tr_1"]);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_the_provider_revokes_it() {
    let api = ProviderApi::start().await;
    let amount = json!({ "value": "57.00", "currency_code": "USD" });
    let capture = json!({ "id": "27M47624FP291604U", "status": "COMPLETED", "amount": amount });
    let unit = json!({ "amount": amount, "payments": { "captures": [capture] } });
    api.set_with("5O190127TN364715T", "COMPLETED", &json!({ "purchase_units": [unit] }));
    let mut source = api.source_of("paypal");
    source.secrets.clear();
    source.more = format!("options = {{ webhook_id = \"8PT597110X687430LKGECATA\" }}\n{}", source.more);
    let gateway = Gateway::with(Setup { sources: vec![source], ..Setup::default() }).await;
    for (expected, given) in [(1, 1), (0, 1)] {
        let (code, said) = reconcile(&gateway, "mollie", "5O190127TN364715T", &[]).await;
        assert_eq!((code, api.tokens_given()), (Some(expected), given), "{said}");
        assert!(said.contains("captured, 57.00 USD"), "{said}");
    }
    api.revoke_token();
    let (code, said) = reconcile(&gateway, "mollie", "5O190127TN364715T", &[]).await;
    assert_eq!((code, api.tokens_given()), (Some(0), 2), "{said}");

    // What the provider refuses is the key, and no line tells it or the token.
    api.revoke_token();
    api.script([Scripted::Status(401, None), Scripted::Status(401, None)]);
    let (code, said) = reconcile(&gateway, "mollie", "5O190127TN364715T", &[]).await;
    assert_eq!((code, api.tokens_given()), (Some(2), 3), "{said}");
    assert!(said.contains("refuses the source's api.key (status 401)"), "{said}");
    assert!(!said.contains("A21AA") && !gateway.log().contains("A21AA"), "{said}");
}
