//! Braintree and Plaid, whose tests need more preparation.

use super::*;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

const XML: &str = r#"<notification><kind>transaction_settled</kind>
    <timestamp type="datetime">2026-09-21T14:13:20Z</timestamp>
    <subject><transaction><id>t1</id><amount>10.00</amount><currency-iso-code>EUR</currency-iso-code></transaction></subject>
    </notification>"#;

/// Signs a message as Braintree describes it, independently of the code under test.
pub(crate) fn braintree_hmac(private: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(&Sha1::digest(private)).unwrap();
    mac.update(message.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn braintree_form(signature: &str, payload: &str) -> String {
    let pairs = [("bt_signature", signature), ("bt_payload", payload)];
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[test]
fn braintree_signs_its_form_with_the_hash_of_the_private_key() {
    let payload = STANDARD.encode(XML) + "\n";
    let signature = |public: &str, private: &str| format!("{public}|{}", braintree_hmac(private, &payload));
    let ours = signature("pub1", "private-key-5f0c");
    let others = signature("pub2", "private-key-77aa");
    let without_break = format!("pub1|{}", braintree_hmac("private-key-5f0c", payload.trim_end()));
    let verdict = |secrets: &[&str], body: &str| open(Adapter::Braintree, secrets, &HeaderMap::new(), body);
    for (secrets, body, expected) in [
        (vec!["pub1:private-key-5f0c"], braintree_form(&ours, &payload), Ok(())),
        (vec!["pub1:private-key-5f0c"], braintree_form(&format!("{others}&{ours}"), &payload), Ok(())),
        (vec!["pub2:private-key-77aa", "pub1:private-key-5f0c"], braintree_form(&ours, &payload), Ok(())),
        (vec!["pub1:private-key-5f0c"], braintree_form(&ours, payload.trim_end()), Ok(())),
        (vec!["pub1:private-key-5f0c"], braintree_form(&without_break, payload.trim_end()), Ok(())),
        (vec!["pub1:private-key-77aa"], braintree_form(&ours, &payload), Err(Rejection::BadSignature)),
        (vec!["pub2:private-key-5f0c"], braintree_form(&ours, &payload), Err(Rejection::BadSignature)),
        (
            vec!["pub1:private-key-5f0c"],
            braintree_form(&ours, &payload.replacen('P', "Q", 1)),
            Err(Rejection::BadSignature),
        ),
        (vec!["pub1:private-key-5f0c"], braintree_form("junk", &payload), Err(Rejection::BadSignature)),
        (vec!["pub1:private-key-5f0c"], "bt_payload=x".to_owned(), Err(Rejection::MissingSignature)),
        (vec!["pub1:private-key-5f0c"], "bt_signature=x".to_owned(), Err(Rejection::MalformedSignature)),
    ] {
        assert_eq!(verdict(&secrets, &body).map(drop), expected, "{secrets:?} {body}");
    }
    let read = verdict(&["pub1:private-key-5f0c"], &braintree_form(&ours, &payload)).unwrap();
    assert_eq!(read.pointer("/notification/subject/transaction/id"), Some(&json!("t1")));
    let unreadable = format!("pub1|{}", braintree_hmac("private-key-5f0c", "no xml"));
    assert_eq!(verdict(&["pub1:private-key-5f0c"], &braintree_form(&unreadable, "no xml")), Ok(Value::Null));
}

/// Braintree's library made the form and the answer, as `check.mjs` shows.
#[test]
fn braintree_s_own_sample_is_verified_and_its_own_answer_given() {
    let form = include_str!("../../../fixtures/adapters/braintree.txt").trim();
    let secret = "public1:private-key-5f0c";
    let payload = open(Adapter::Braintree, &[secret], &HeaderMap::new(), form).unwrap();
    assert_eq!(payload.pointer("/notification/kind"), Some(&json!("dispute_opened")));
    assert_eq!(payload.pointer("/notification/subject/dispute/transaction/id"), Some(&json!("d1")));
    let parts = RequestParts {
        headers: &HeaderMap::new(),
        query: "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53",
        options: &OptionValues::new(),
    };
    let answer =
        Adapter::Braintree.ready(&[secret.into()], TimeLimits::default()).ok().unwrap().answer(parts);
    assert_eq!(
        answer.as_deref(),
        Some(include_str!("../../../fixtures/adapters/braintree-answer.txt").trim())
    );
}

#[test]
fn braintree_s_question_is_answered_and_nothing_else_is_signed() {
    let adapter =
        Adapter::Braintree.ready(&["pub1:private-key-5f0c".into()], TimeLimits::default()).ok().unwrap();
    let answer = |query: &str| {
        adapter.answer(RequestParts { headers: &HeaderMap::new(), query, options: &OptionValues::new() })
    };
    let challenge = "20f9f8ed05f77439fe955c977e4c8a53";
    let expected = format!("pub1|{}", braintree_hmac("private-key-5f0c", challenge));
    assert_eq!(answer(&format!("bt_challenge={challenge}")), Some(expected));
    for query in ["", "bt_challenge=", "bt_challenge=20f9", "bt_challenge=20F9F8ED05F77439FE95", "x=1"] {
        assert_eq!(answer(query), None, "{query}");
    }
    // What is answered is not taken for a delivery, in whatever way it is written.
    for challenge in [challenge, "20f9f8ed05f77439fe95"] {
        let signature = answer(&format!("bt_challenge={challenge}")).unwrap();
        for payload in [challenge.to_owned(), format!("{challenge}\n"), format!(" {challenge}")] {
            let form = braintree_form(&signature, &payload);
            let verdict = open(Adapter::Braintree, &["pub1:private-key-5f0c"], &HeaderMap::new(), &form);
            assert_eq!(verdict, Err(Rejection::BadSignature), "{payload:?}");
        }
    }
    for (secret, why) in
        [("private-key-5f0c", SecretError::NoKeyId), (":private-key-5f0c", SecretError::NoKeyId)]
    {
        assert_eq!(Adapter::Braintree.ready(&[secret.into()], TimeLimits::default()).err(), Some((0, why)));
    }
}

/// The signing key of Plaid, played by the tests.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn jwk(&self, kid: &str, expired_at: Option<i64>) -> String {
        let point = self.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": x, "y": y,
                "created_at": 1, "expired_at": expired_at })
        .to_string()
    }

    pub(crate) fn token(&self, head: &Value, claims: &Value) -> String {
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Another library signed the token with the key and accepts it, as `check.py` shows.
#[test]
fn plaid_s_token_by_another_library_is_verified_and_no_changed_byte_of_it() {
    let vectors: Value = serde_json::from_str(include_str!("../../../fixtures/signed-by-keys.json")).unwrap();
    let vector = vectors.as_array().unwrap().iter().find(|vector| vector["preset"] == "plaid").unwrap();
    let text = |at: &str| vector.pointer(at).and_then(Value::as_str).unwrap();
    let (token, body) = (text("/headers/plaid-verification"), text("/body"));
    let verdict = |token: &[u8], body: &str| {
        let token = http::HeaderValue::from_bytes(token).unwrap();
        let headers = HeaderMap::from_iter([("plaid-verification".parse().unwrap(), token)]);
        open(Adapter::Plaid, &[text("/secret")], &headers, body).map(drop)
    };
    assert_eq!(verdict(token.as_bytes(), body), Ok(()));
    assert_eq!(verdict(token.as_bytes(), &body.replacen('1', "2", 1)), Err(Rejection::BadSignature));
    for place in 0..token.len() {
        let mut changed = token.as_bytes().to_vec();
        changed[place] ^= 1;
        assert!(verdict(&changed, body).is_err(), "{place}");
    }
}

#[test]
fn plaid_s_token_vouches_for_the_body_and_the_time() {
    let (old, new) = (Signer::new(), Signer::new());
    let body = r#"{"webhook_type":"PAYMENT_INITIATION","payment_id":"p1"}"#;
    let head = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid, "typ": "JWT" });
    let claims = |iat: i64| json!({ "iat": iat, "request_body_sha256": hex::encode(Sha256::digest(body)) });
    let good = new.token(&head("ES256", "new"), &claims(NOW_S));
    let keys = [old.jwk("old", None), new.jwk("new", None)];
    let verdict = |keys: &[&str], token: &str, body: &str| {
        let headers: HeaderMap =
            [("plaid-verification".parse().unwrap(), token.parse().unwrap())].into_iter().collect();
        open(Adapter::Plaid, keys, &headers, body).map(drop)
    };
    let both = [keys[0].as_str(), keys[1].as_str()];
    assert_eq!(verdict(&both, &good, body), Ok(()));
    assert_eq!(verdict(&[both[1], both[0]], &good, body), Ok(()));
    assert_eq!(verdict(&both[..1], &good, body), Err(Rejection::BadSignature));
    assert_eq!(verdict(&[&new.jwk("new", Some(NOW_S + 1))], &good, body), Ok(()));
    assert_eq!(verdict(&[&new.jwk("new", Some(NOW_S))], &good, body), Err(Rejection::BadSignature));
    assert_eq!(verdict(&both, &good, "{}"), Err(Rejection::BadSignature), "another body");
    for (head, at_s, expected) in [
        (head("ES256", "old"), 0, Err(Rejection::BadSignature)),
        (head("none", "new"), 0, Err(Rejection::MalformedSignature)),
        (head("HS256", "new"), 0, Err(Rejection::MalformedSignature)),
        (head("ES256", "new"), -300, Ok(())),
        (head("ES256", "new"), -301, Err(Rejection::StaleTimestamp)),
        (head("ES256", "new"), 61, Err(Rejection::FutureTimestamp)),
    ] {
        let token = new.token(&head, &claims(NOW_S + at_s));
        assert_eq!(verdict(&both, &token, body), expected, "{head} at {at_s}");
    }
    for token in ["", "a.b", "a.b.c", "..", &good[..good.len() - 3]] {
        assert!(verdict(&both, token, body).is_err(), "{token}");
    }
    assert_eq!(
        Adapter::Plaid.ready(&["{}".into()], TimeLimits::default()).err(),
        Some((0, SecretError::NotPublicKey))
    );
}
