//! Properties that hold for any request to the providers that are verified by code. See [`crate::fuzzing`].

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends the run, as in a test"
)]

use super::{Adapter, AdapterVerifier, nowpayments, unproven::parse_unproven};
use crate::{
    fuzzing::request::{Request, now},
    source::{
        payload::{OptionValues, RequestParts},
        verify::{
            TimeLimits, UnverifiedRequest,
            signature::{Algorithm, KeyForm, Mac},
        },
    },
};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use std::sync::LazyLock;

/// For each adapter, a secret that the corpus is signed with, and another that nothing is signed with.
const SECRETS: [(&str, Adapter, [&str; 2]); 5] = [
    (
        "adyen",
        Adapter::Adyen,
        [
            "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
            "54782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        ],
    ),
    ("braintree", Adapter::Braintree, ["public1:private-key-5f0c", "public1:private-key-6f0c"]),
    ("nowpayments", Adapter::Nowpayments, [NOWPAYMENTS, "9f3b1c2d9a7e55aa"]),
    ("opennode", Adapter::Opennode, ["8f3b1c2d9a7e55aa", "9f3b1c2d9a7e55aa"]),
    ("plaid", Adapter::Plaid, [PLAID, PLAID]),
];

/// The secret that the corpus of NOWPayments is signed with.
const NOWPAYMENTS: &str = "8f3b1c2d9a7e55aa";

/// The example key of RFC 7517, A.1. Nothing here is signed with its private half.
const PLAID: &str = r#"{"kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;

/// Returns the secret that a preset's corpus is signed with.
pub(crate) fn secret(preset: &str) -> &'static str {
    let known = SECRETS.iter().find(|(name, ..)| *name == preset);
    known.map_or_else(|| panic!("{preset} has no secret here"), |(_, _, [known, _])| known)
}

/// A verifier that knows the secret of the corpus, and one that does not.
type Pair = [Box<dyn AdapterVerifier>; 2];

fn ready(adapter: Adapter, secrets: [&str; 2]) -> Pair {
    secrets.map(|secret| adapter.ready(&[secret.into()], TimeLimits::default()).expect("it is a secret"))
}

/// Nobody passes without the secret; what passes is a payload, and the same one each time; only a challenge is answered, and the answer
/// makes no delivery of it.
pub fn adapter(input: &[u8]) {
    static READY: LazyLock<Vec<(&str, Pair)>> = LazyLock::new(|| {
        let vectors: Value = serde_json::from_str(include_str!("../../fixtures/signed-by-keys.json"))
            .expect("the vectors are JSON");
        let mut vectors = vectors.as_array().into_iter().flatten();
        let plaid = vectors.find(|vector| vector["preset"] == "plaid").expect("one is Plaid's");
        let known = |name, known| {
            if name == "plaid" { plaid["secret"].as_str().expect("it is a text") } else { known }
        };
        let all = SECRETS.into_iter();
        all.map(|(name, adapter, [secret, other])| (name, ready(adapter, [known(name, secret), other])))
            .collect()
    });
    let request = Request::read(input);
    let (name, [known, unknown]) = request.pick(&READY);
    let options = OptionValues::new();
    let parts = RequestParts { headers: &request.headers, query: request.query, options: &options };
    let unproven = UnverifiedRequest { parts, body: request.body, received_at: now(), key: None };
    assert!(unknown.open(unproven).is_err());
    if let Ok(payload) = known.open(unproven) {
        assert!(payload.is_object() || payload.is_null(), "{payload}");
        assert_eq!(known.open(unproven), Ok(payload));
    }
    if let Some(answer) = known.answer(parts) {
        let (public, mac) = answer.split_once('|').expect("it names the key");
        assert!(name == "braintree" && public == "public1" && mac.len() == 40, "{answer}");
        let challenge = parts.query("bt_challenge").expect("it was answered");
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair("bt_signature", &answer).append_pair("bt_payload", &challenge).finish();
        assert!(known.open(UnverifiedRequest { body: form.as_bytes(), ..unproven }).is_err(), "{form}");
    }
}

/// The sorted form of JSON equals what a plain model writes that sorts the keys itself; it does not depend on how the same value
/// was written; it is its own sorted form; and a request that is signed over it passes.
pub fn canonical(input: &[u8]) {
    static READY: LazyLock<Box<dyn AdapterVerifier>> = LazyLock::new(|| {
        Adapter::Nowpayments.ready(&[NOWPAYMENTS.into()], TimeLimits::default()).expect("it is a secret")
    });
    static MAC: LazyLock<Mac> = LazyLock::new(|| {
        Mac::new(Algorithm::HmacSha512, KeyForm::Utf8, NOWPAYMENTS).expect("it is a secret")
    });
    let Ok(value) = parse_unproven(input) else { return };
    let written = nowpayments::canonical(&value);
    let mut sorted = String::new();
    write_sorted(&value, &mut sorted);
    assert_eq!(written, sorted);
    let mut scrambled = String::new();
    scramble(&value, &mut scrambled);
    for text in [&written, &scrambled] {
        let again: Value = serde_json::from_str(text).expect("what is written is read");
        assert_eq!(nowpayments::canonical(&again), written, "{text}");
    }
    let signature = hex::encode(MAC.sign(&[written.as_bytes()]));
    let signature = HeaderValue::try_from(signature).expect("it is hexadecimal");
    let headers = HeaderMap::from_iter([(nowpayments::HEADER, signature)]);
    let parts = RequestParts { headers: &headers, query: "", options: &OptionValues::new() };
    let open = |body: &[u8]| READY.open(UnverifiedRequest { parts, body, received_at: now(), key: None });
    assert_eq!(open(input), Ok(value.clone()));
    assert_eq!(open(scrambled.as_bytes()), Ok(value));
}

/// The plain model: writes compact JSON, with the keys of each object sorted by their bytes.
fn write_sorted(value: &Value, out: &mut String) {
    let mut separator = "";
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                out.push_str(separator);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_sorted(value, out);
                separator = ",";
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for value in items {
                out.push_str(separator);
                write_sorted(value, out);
                separator = ",";
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// Writes the same value with the members of objects in reverse order, and with white space.
fn scramble(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push_str("{ ");
            for (index, (key, value)) in members.iter().rev().enumerate() {
                out.push_str(if index > 0 { " ,\n" } else { "" });
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(" :\t");
                scramble(value, out);
            }
            out.push_str(" }");
        }
        Value::Array(items) => {
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                out.push_str(if index > 0 { " , " } else { "" });
                scramble(value, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
