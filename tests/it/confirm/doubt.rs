//! A provider whose API lags behind its webhooks: an answer that may be out of date is asked for again.

use super::{SECOND, confirmations, confirmed, hint, until_nothing_is_pending, until_status};
use crate::support::{Gateway, ProviderApi, eventually, next_message};
use serde_json::json;

#[tokio::test]
async fn an_answer_that_leaves_a_payment_open_is_asked_for_again_without_another_hint() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "open");
    let gateway = Gateway::with(api.setup()).await;
    let mut stream = gateway.stream("tr_1").await;
    hint(&gateway, "tr_1").await;
    while next_message(&mut stream).await.1["status"] != "created" {}
    // The webhook had said that it was paid; now the API says so too.
    api.set("tr_1", "paid");
    while next_message(&mut stream).await.1["status"] != "captured" {}
    until_nothing_is_pending(&gateway, &api).await;
    let gaps = api.gaps();
    assert_eq!(gaps.len(), 1, "what is new and final settles at once");
    assert!(gaps[0] >= 4 * SECOND, "{gaps:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_news_is_asked_for_again_without_another_hint() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "paid");
    let gateway = Gateway::with(api.setup()).await;
    hint(&gateway, "tr_1").await;
    until_status(&gateway, "tr_1", "captured").await;
    // Of the refund, the API does not know yet.
    hint(&gateway, "tr_1").await;
    eventually("it says the same", async || confirmations(&gateway, "same").await == 1.0).await;
    api.set_with("tr_1", "paid", &json!({ "amountRefunded": { "value": "10.00", "currency": "EUR" } }));
    until_status(&gateway, "tr_1", "refunded").await;
    assert_eq!(api.asked().len(), 3);
}

#[tokio::test]
async fn a_hint_is_not_kept_waiting_by_the_doubts_about_the_last_one() {
    let api = ProviderApi::start().await;
    api.set("tr_1", "open");
    let gateway = Gateway::with(api.setup()).await;
    hint(&gateway, "tr_1").await;
    // From now on it would be a minute.
    eventually("it was asked again", async || confirmations(&gateway, "same").await == 1.0).await;
    api.set("tr_1", "paid");
    hint(&gateway, "tr_1").await;
    let snapshot = until_status(&gateway, "tr_1", "captured").await;
    assert_eq!(confirmed(&snapshot), ["open", "paid"]);
    until_nothing_is_pending(&gateway, &api).await;
    assert_eq!(api.asked().len(), 3);
}
