//! Plaid: a JWT beside the body, which holds the body's hash and the time. It is signed by ES256 with a key that rotates; a source's
//! secrets are these keys as JWK, as `/webhook_verification_key/get` gives them. Another algorithm is never looked at.

use super::{Coded, Unproven};
use crate::{
    ingest::signature::{Rejection, SecretError, Window},
    payment::Time,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

const HEADER: http::HeaderName = http::HeaderName::from_static("plaid-verification");

/// Plaid's manual asks for five minutes.
pub(super) const WINDOW: Window =
    Window { max_age: Duration::from_secs(300), max_future: Duration::from_secs(60) };

pub(super) struct Plaid(Vec<Key>);

struct Key {
    kid: String,
    public: ParsedPublicKey,
    expired_at: Option<Time>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    x: String,
    y: String,
    expired_at: Option<i64>,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    request_body_sha256: String,
}

impl Plaid {
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, (usize, SecretError)> {
        let key = |(index, secret): (usize, &SecretString)| {
            key(secret.expose_secret()).ok_or((index, SecretError::NotPublicKey))
        };
        secrets.iter().enumerate().map(key).collect::<Result<_, _>>().map(Self)
    }
}

fn key(jwk: &str) -> Option<Key> {
    let Jwk { kid, x, y, expired_at } = serde_json::from_str(jwk).ok()?;
    let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.decode(half));
    // The uncompressed form of a point: 4, x, y (SEC 1, 2.3.3).
    let point = [&[4][..], &x.ok()?, &y.ok()?].concat();
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
    let expired_at = expired_at.map(Time::from_unix_s).transpose().ok()?;
    Some(Key { kid, public, expired_at })
}

impl Coded for Plaid {
    fn open(&self, request: Unproven<'_>) -> Result<Value, Rejection> {
        let token = request.around.header(&HEADER).ok_or(Rejection::MissingSignature)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::MalformedSignature)?;
        let (head, claims) = signed.split_once('.').ok_or(Rejection::MalformedSignature)?;
        let Head { alg, kid } = part(head)?;
        if alg != "ES256" {
            return Err(Rejection::MalformedSignature);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Rejection::MalformedSignature)?;
        let is_good = self.0.iter().any(|key| {
            key.kid == kid
                && key.expired_at.is_none_or(|expired_at| request.received_at < expired_at)
                && key.public.verify_sig(signed.as_bytes(), &signature).is_ok()
        });
        if !is_good {
            return Err(Rejection::BadSignature);
        }
        let Claims { iat, request_body_sha256 } = part(claims)?;
        let hash = hex::encode(Sha256::digest(request.body));
        if !bool::from(hash.as_bytes().ct_eq(request_body_sha256.as_bytes())) {
            return Err(Rejection::BadSignature);
        }
        let signed_at = Time::from_unix_s(iat).map_err(|_| Rejection::MalformedTimestamp)?;
        WINDOW.check(signed_at, request.received_at)?;
        // What is signed and can't be read is not refused, but quarantined for want of a type.
        Ok(super::parse_unproven(request.body).unwrap_or_default())
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, Rejection> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| Rejection::MalformedSignature)?;
    serde_json::from_slice(&json).map_err(|_| Rejection::MalformedSignature)
}
