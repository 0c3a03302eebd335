use super::{
    unproven::{MAX_UNPROVEN_BYTES, MAX_UNPROVEN_DEPTH},
    *,
};
use crate::payment::Time;
use crate::source::{
    payload::{OptionValues, RequestParts},
    verify::{Rejection, TimeLimits, UnverifiedRequest},
};
use http::HeaderMap;
use serde_json::{Value, json};

pub(crate) mod braintree_and_plaid;

const NOW_S: i64 = 1_790_000_000;

/// The key of Adyen's documentation and of the tests of its libraries, which also have the item.
const ADYEN_KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

fn open(adapter: Adapter, secrets: &[&str], headers: &HeaderMap, body: &str) -> Result<Value, Rejection> {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
    let parts = RequestParts { headers, query: "", options: &OptionValues::new() };
    let received_at = Time::from_unix_s(NOW_S).unwrap();
    let request = UnverifiedRequest { parts, body: body.as_bytes(), received_at, key: None };
    adapter.ready(&secrets, TimeLimits::default()).ok().unwrap().open(request)
}

fn adyen_item() -> Value {
    let delivery: Value = serde_json::from_str(include_str!("../../fixtures/adapters/adyen.json")).unwrap();
    delivery["notificationItems"][0].clone()
}

fn adyen(secrets: &[&str], items: &[Value]) -> Result<Value, Rejection> {
    let body = json!({ "live": "false", "notificationItems": items }).to_string();
    open(Adapter::Adyen, secrets, &HeaderMap::new(), &body)
}

#[test]
fn adyen_s_published_item_is_verified_and_reduced_to_what_it_signs() {
    let old = "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00".to_owned();
    for secrets in [vec![ADYEN_KEY], vec![&old, ADYEN_KEY], vec![ADYEN_KEY, &old]] {
        let payload = adyen(&secrets, &[adyen_item()]).unwrap();
        let item = &payload["items"][0];
        assert_eq!(item["id"], "7914073381342284:AUTHORISATION:true");
        assert_eq!(item["amount"], json!({ "value": "1130", "currency": "EUR" }));
        assert_eq!(
            (&item["live"], &item["additionalData"], &item["originalReference"]),
            (&json!("false"), &Value::Null, &Value::Null)
        );
    }
    assert_eq!(adyen(&[&old], &[adyen_item()]), Err(Rejection::BadSignature));
}

#[test]
fn an_adyen_delivery_with_one_bad_item_is_refused_whole() {
    for (at, value) in [
        ("/pspReference", json!("7914073381342285")),
        ("/originalReference", json!("1")),
        ("/merchantAccountCode", json!("Other")),
        ("/merchantReference", json!("x")),
        ("/amount/value", json!(1131)),
        ("/amount/currency", json!("USD")),
        ("/eventCode", json!("CAPTURE")),
        ("/success", json!("false")),
    ] {
        let mut item = adyen_item();
        let inner = &mut item["NotificationRequestItem"];
        if at == "/originalReference" {
            inner["originalReference"] = value;
        } else {
            *inner.pointer_mut(at).unwrap() = value;
        }
        assert_eq!(adyen(&[ADYEN_KEY], &[adyen_item(), item]), Err(Rejection::BadSignature), "{at}");
    }
    let mut bare = adyen_item();
    bare["NotificationRequestItem"]["additionalData"] = json!({});
    assert_eq!(adyen(&[ADYEN_KEY], &[bare]), Err(Rejection::MissingSignature));
    assert_eq!(adyen(&[ADYEN_KEY], &[]), Err(Rejection::MissingSignature));
    assert_eq!(adyen(&[ADYEN_KEY], &[json!(1)]), Err(Rejection::MalformedSignature));
}

#[test]
fn what_is_parsed_before_it_is_verified_is_bounded() {
    let deep = "[".repeat(MAX_UNPROVEN_DEPTH + 1);
    let long = format!("\"{}\"", "x".repeat(MAX_UNPROVEN_BYTES));
    let mut headers = HeaderMap::new();
    headers.insert("x-nowpayments-sig", "00".parse().unwrap());
    for body in [deep.as_str(), &long, "{", ""] {
        for adapter in [Adapter::Adyen, Adapter::Nowpayments] {
            let result = open(adapter, &[ADYEN_KEY], &headers, body);
            assert_eq!(result, Err(Rejection::MalformedSignature));
        }
    }
}

#[test]
fn nowpayments_signs_sorted_json() {
    let body = r#"{"payment_status": "finished", "payment_id": 5524759814, "fee": {"z": 0, "a": {"y": 1.50, "b": "\u00e9\n/"}}, "list": [{"b": 1, "a": null}]}"#;
    let canonical = nowpayments::canonical(&serde_json::from_str(body).unwrap());
    let expected = r#"{"fee":{"a":{"b":"é\n/","y":1.50},"z":0},"list":[{"a":null,"b":1}],"payment_id":5524759814,"payment_status":"finished"}"#;
    assert_eq!(canonical, expected);
    // The signature was made by `openssl dgst -sha512 -hmac 8f3b1c2d9a7e55aa` over `expected`.
    let signature = "7ded4332e4d91ae1062922f6819a6e195fbb72ac7eaf9d1c41e8357171c15fa0d520af9c68a7d931d79e4b89851869877e4a82421be8da72f9b7af8cee1f2896";
    let verdict = |secrets: &[&str], signature: &str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-nowpayments-sig", signature.parse().unwrap());
        open(Adapter::Nowpayments, secrets, &headers, body).map(drop)
    };
    assert_eq!(verdict(&["8f3b1c2d9a7e55aa"], signature, body), Ok(()));
    assert_eq!(verdict(&["another-55aa7e9d", "8f3b1c2d9a7e55aa"], signature, body), Ok(()));
    assert_eq!(verdict(&["another-55aa7e9d"], signature, body), Err(Rejection::BadSignature));
    let tampered = body.replace("finished", "waiting");
    assert_eq!(verdict(&["8f3b1c2d9a7e55aa"], signature, &tampered), Err(Rejection::BadSignature));
    assert_eq!(verdict(&["8f3b1c2d9a7e55aa"], "xy", body), Err(Rejection::MalformedSignature));
    let unsigned = open(Adapter::Nowpayments, &["8f3b1c2d9a7e55aa"], &HeaderMap::new(), body);
    assert_eq!(unsigned, Err(Rejection::MissingSignature));
}

#[test]
fn opennode_signs_the_id_alone() {
    let (_, hash) =
        include_str!("../../fixtures/adapters/opennode.txt").trim().split_once("hashed_order=").unwrap();
    let verdict = |body: &str| open(Adapter::Opennode, &["8f3b1c2d9a7e55aa"], &HeaderMap::new(), body);
    let form = |id: &str, status: &str| format!("id={id}&status={status}&hashed_order={hash}");
    let payload = verdict(&form("47bb9ac4-df40", "paid")).unwrap();
    assert_eq!((&payload["id"], &payload["status"]), (&json!("47bb9ac4-df40"), &json!("paid")));
    assert!(verdict(&form("47bb9ac4-df40", "expired")).is_ok(), "so its word is a hint");
    assert_eq!(verdict(&form("47bb9ac4-df41", "paid")), Err(Rejection::BadSignature));
    assert_eq!(verdict("id=1&hashed_order=x"), Err(Rejection::MalformedSignature));
    assert_eq!(verdict("id=1"), Err(Rejection::MissingSignature));
    assert_eq!(verdict(&"x".repeat(MAX_UNPROVEN_BYTES + 1)), Err(Rejection::MalformedSignature));
}
