//! Asking for a payment by hand.

use crate::support::{ADMIN_TOKEN, Gateway, ProviderApi, Scripted, Setup, header, paystream};
use serde_json::{Value, json};
use std::process::Output;
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
