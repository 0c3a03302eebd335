//! The providers that are verified by code: their secrets, and how they sign, written independently of the adapters.

use super::{
    body::{form, text, xml_of},
    post::{Keys, Post, Signed},
};
use crate::{
    payment::Time,
    source::testing::{Adapter, Signer, braintree_form, braintree_hmac},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use std::sync::LazyLock;

static PLAID: LazyLock<[Signer; 2]> = LazyLock::new(|| [Signer::new(), Signer::new()]);

const ADYEN: [&str; 2] = [
    "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00",
    "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
];
const BRAINTREE: [(&str, &str); 2] = [("old", "private-key-77aa"), ("new", "private-key-5f0c")];
const PLAIN: [&str; 2] = ["77aa5f0c8f3b1c2d", "8f3b1c2d9a7e55aa"];

/// The names of the fields that Adyen signs, in order.
const ADYEN_FIELDS: [&str; 8] = [
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    "/merchantReference",
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
];

/// Returns the secret of a source.
pub(super) fn secret(adapter: Adapter, keys: Keys) -> String {
    match adapter {
        Adapter::Adyen => ADYEN[keys as usize].to_owned(),
        Adapter::Braintree => {
            let (public, private) = BRAINTREE[keys as usize];
            format!("{public}:{private}")
        }
        Adapter::Nowpayments | Adapter::Opennode => PLAIN[keys as usize].to_owned(),
        Adapter::Plaid => PLAID[keys as usize].jwk(&format!("{keys:?}"), None),
    }
}

/// Builds the signed delivery of a payload.
pub(super) fn post(adapter: Adapter, keys: Keys, payload: &Value, at: Time) -> Post {
    match adapter {
        Adapter::Adyen => adyen(ADYEN[keys as usize], payload),
        Adapter::Braintree => braintree(BRAINTREE[keys as usize], payload),
        Adapter::Nowpayments => nowpayments(PLAIN[keys as usize], payload),
        Adapter::Opennode => opennode(PLAIN[keys as usize], payload),
        Adapter::Plaid => plaid(keys, payload, at),
    }
}

/// Signs each item as Adyen describes it.
fn adyen(key: &str, payload: &Value) -> Post {
    let items = payload["items"].as_array().unwrap().iter().map(|item| {
        let fields = ADYEN_FIELDS.map(|at| text(item.pointer(at)));
        let mut mac = Hmac::<Sha256>::new_from_slice(&hex::decode(key).unwrap()).unwrap();
        mac.update(fields.join(":").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let mut item = item.clone();
        item.as_object_mut().unwrap().retain(|key, _| key != "id" && key != "live");
        item["additionalData"] = json!({ "hmacSignature": signature });
        json!({ "NotificationRequestItem": item })
    });
    let delivery = json!({ "live": "false", "notificationItems": items.collect::<Vec<_>>() });
    let body = delivery.to_string();
    let names = ADYEN_FIELDS.iter().map(|at| at.rsplit('/').next().unwrap()).chain(["hmacSignature"]);
    let places = names.flat_map(|name| {
        let start = body.find(&format!("\"{name}\":\"")).map_or(0, |at| at + name.len() + 4);
        let end = body[start..].find('"').unwrap();
        if start == 0 { 0..0 } else { start..start + end }
    });
    let signed = Signed { body: places.collect(), ..Signed::default() };
    Post { headers: HeaderMap::new(), query: String::new(), body: body.into_bytes(), signed }
}

fn braintree((public, private): (&str, &str), payload: &Value) -> Post {
    let document = STANDARD.encode(xml_of(payload)) + "\n";
    let signature = format!("{public}|{}", braintree_hmac(private, &document));
    let body = braintree_form(&signature, &document).into_bytes();
    let signed = Signed { body: (0..body.len()).collect(), ..Signed::default() };
    Post { headers: HeaderMap::new(), query: String::new(), body, signed }
}

fn nowpayments(secret: &str, payload: &Value) -> Post {
    // The JSON library sorts the members of objects.
    let body = payload.to_string().into_bytes();
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(&body);
    let signature = hex::encode(mac.finalize().into_bytes());
    with_header("x-nowpayments-sig", &signature, body)
}

fn opennode(secret: &str, payload: &Value) -> Post {
    let mut payload = payload.clone();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text(payload.get("id")).as_bytes());
    payload["hashed_order"] = hex::encode(mac.finalize().into_bytes()).into();
    let body = form(&payload);
    let places = ["id=", "hashed_order="].into_iter().flat_map(|name| {
        let mut at = body.match_indices(name).map(|(at, _)| at);
        let start = at.find(|at| *at == 0 || body.as_bytes()[at - 1] == b'&').unwrap();
        start..body[start..].find('&').map_or(body.len(), |end| start + end)
    });
    let signed = Signed { body: places.collect(), ..Signed::default() };
    Post { headers: HeaderMap::new(), query: String::new(), body: body.into_bytes(), signed }
}

fn plaid(keys: Keys, payload: &Value, at: Time) -> Post {
    let body = payload.to_string().into_bytes();
    let head = json!({ "alg": "ES256", "kid": format!("{keys:?}"), "typ": "JWT" });
    let claims =
        json!({ "iat": at.unix_ms() / 1000, "request_body_sha256": hex::encode(Sha256::digest(&body)) });
    with_header("plaid-verification", &PLAID[keys as usize].token(&head, &claims), body)
}

/// Builds the delivery of a body that one header signs as a whole.
fn with_header(name: &'static str, value: &str, body: Vec<u8>) -> Post {
    let name = HeaderName::from_static(name);
    let headers = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
    let signed = Signed { body: (0..body.len()).collect(), headers: vec![name], query: false };
    Post { headers, query: String::new(), body, signed }
}
