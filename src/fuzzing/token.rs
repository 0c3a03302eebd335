//! Properties of tokens, wherever a request carries them. See [`crate::fuzzing`].

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a property that does not hold ends the run, as in a test"
)]

use super::request::{NOW_S, Request, now};
use crate::{
    access::{self, Access, AccessSettings, Grant, KeySettings, Material, Payments},
    payment::{Name, Time},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use sha2::Sha256;
use std::sync::LazyLock;

const TOKEN_KEY: &str = "b1946ac92492d2347c6235b4d2611184f1c9b8e07a6d5342";
const OTHER_KEY: &str = "c1946ac92492d2347c6235b4d2611184f1c9b8e07a6d5342";
const LEEWAY_S: i64 = 30;

/// Builds the access control of a gateway with two keys made from a secret.
fn doorkeeper(secret: &str) -> Access {
    let key = |kid: &str, operator| KeySettings {
        kid: kid.to_owned(),
        algorithm: access::TokenAlgorithm::Hs256,
        material: Material::Secret(format!("{secret}{kid}").into()),
        realms: vec!["default".parse().expect("it is a name")],
        operator,
    };
    let settings =
        AccessSettings { keys: vec![key("k1", false), key("ops", true)], ..AccessSettings::default() };
    Access::new(settings).expect("the settings are good")
}

/// Nobody is admitted without a key, wherever a request carries its token; and of the claims (the body) that the holder of a key signs,
/// only valid ones count.
pub fn token(input: &[u8]) {
    static KNOWN: LazyLock<Access> = LazyLock::new(|| doorkeeper(TOKEN_KEY));
    static UNKNOWN: LazyLock<Access> = LazyLock::new(|| doorkeeper(OTHER_KEY));
    let Request { preset: kid, headers, query, body } = Request::read(input);
    assert!(UNKNOWN.admit(&headers, Some(query), now()).is_err());
    // The corpus has valid tokens.
    if let Ok(grant) = KNOWN.admit(&headers, Some(query), now()) {
        assert!(KNOWN.stands(&grant) && !UNKNOWN.stands(&grant));
    }
    let kid = if kid == b"ops" { "ops" } else { "k1" };
    let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#));
    let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(body));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(format!("{TOKEN_KEY}{kid}").as_bytes()).expect("any length will do");
    mac.update(message.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    let bearer = HeaderValue::try_from(format!("Bearer {message}.{signature}")).expect("it is base 64");
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    assert!(UNKNOWN.admit(&headers, None, now()).is_err());
    if let Ok(grant) = KNOWN.admit(&headers, None, now()) {
        check_grant(&grant, body, kid == "ops");
    }
}

/// Checks that a grant says the same as the claims that were admitted.
fn check_grant(grant: &Grant, claims: &[u8], operator: bool) {
    let claims: Value = serde_json::from_slice(claims).expect("what is no JSON is not admitted");
    assert_eq!(claims["realm"], "default");
    assert_eq!(grant.realm.as_str(), "default");
    let audience = &claims["aud"];
    assert!(
        audience == "paystream"
            || audience.as_array().is_some_and(|several| several.contains(&"paystream".into()))
    );
    match &grant.payments {
        Payments::All => assert!(operator && claims["payments"] == serde_json::json!(["*"])),
        Payments::Ids(ids) => {
            let ids: Vec<&str> = ids.iter().map(Name::as_str).collect();
            assert_eq!(claims["payments"], serde_json::json!(ids));
            assert!((1..=access::MAX_PAYMENTS).contains(&ids.len()) && !ids.contains(&"*"));
        }
    }
    // The gateway cuts fractions off; times with fractions are not checked here.
    if let (Some(issued), Some(expires)) = (claims["iat"].as_i64(), claims["exp"].as_i64()) {
        assert!(expires + LEEWAY_S > NOW_S && expires - issued <= 24 * 60 * 60 && issued <= NOW_S + LEEWAY_S);
        assert_eq!(grant.expires_at, Time::from_unix_s(expires + LEEWAY_S).ok());
    }
    if let Some(not_before) = claims["nbf"].as_i64() {
        assert!(not_before <= NOW_S + LEEWAY_S);
    }
}
