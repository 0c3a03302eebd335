//! Plaid: a JWT in a header, which holds the hash of the body and the time of signing.
//!
//! The token is signed by ES256 with a key that rotates, and it names that key. A source's secrets are these keys as JWK, as
//! `/webhook_verification_key/get` returns them; without any, they are fetched from there. Tokens with another algorithm are
//! rejected.

use super::{unproven::parse_unproven, verifier::AdapterVerifier};
use crate::{
    jwt::Jwt,
    payment::Time,
    source::{
        payload::RequestParts,
        verify::{
            rejection::Rejection,
            request::UnverifiedRequest,
            signature::{CannotSign, SecretError, SignedDelivery, Signer, UnsignedDelivery},
            window::{TimeLimits, Window},
        },
    },
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// The header that carries the token.
const HEADER: http::HeaderName = http::HeaderName::from_static("plaid-verification");

/// The greatest age of the signed time, by Plaid's manual.
pub(super) const MAX_AGE: Duration = Duration::from_secs(300);

/// The window of the signed time.
const WINDOW: Window = Window { max_age: Some(MAX_AGE), max_future: Duration::from_secs(60) };

/// The length of a signature by ES256, in bytes.
const ES256_BYTES: usize = 64;

/// The longest id of a key that is asked for, in bytes. Plaid's are UUIDs.
const MAX_KID: usize = 128;

/// The verifier of Plaid's webhooks.
pub(super) struct Plaid {
    /// The keys that the source pins, or none if they are fetched.
    keys: Vec<PlaidKey>,
    /// How far the signed time may lie from our clock.
    window: Window,
}

/// One of Plaid's keys.
pub(crate) struct PlaidKey {
    /// The id by which tokens name the key.
    pub(crate) kid: String,
    /// The public half of the key, which is all that Plaid shows.
    pub(crate) public: ParsedPublicKey,
    /// When Plaid took the key out of use.
    pub(crate) expired_at: Option<Time>,
}

/// A key as Plaid's API returns it.
#[derive(Deserialize)]
struct Jwk {
    kid: String,
    x: String,
    y: String,
    expired_at: Option<i64>,
}

/// The header of a token.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: String,
}

/// The claims of a token.
#[derive(Deserialize)]
struct Claims {
    /// When the token was signed, in seconds since 1970.
    iat: i64,
    /// The SHA-256 of the body, in hexadecimal.
    request_body_sha256: String,
}

impl Plaid {
    /// Checks the keys and builds the verifier. The limits of the source replace Plaid's own. An error gives the index of the key that
    /// it is about.
    pub(super) fn new(secrets: &[SecretString], limits: TimeLimits) -> Result<Self, (usize, SecretError)> {
        let key = |(index, secret): (usize, &SecretString)| {
            PlaidKey::read(secret.expose_secret()).ok_or((index, SecretError::NotPublicKey))
        };
        let keys = secrets.iter().enumerate().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, window: limits.instead_of(WINDOW) })
    }

    /// Returns whether the key that the token names made its signature: the key that was fetched, or else one of the source's own.
    fn made(
        &self,
        kid: &str,
        request: UnverifiedRequest<'_>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, Rejection> {
        if let Some(public) = request.key {
            return Ok(public.verify_sig(signed, signature).is_ok());
        }
        if self.keys.is_empty() {
            return Err(Rejection::UntrustedKey);
        }
        Ok(self.keys.iter().any(|key| {
            key.kid == kid
                && key.expired_at.is_none_or(|expired_at| request.received_at < expired_at)
                && key.public.verify_sig(signed, signature).is_ok()
        }))
    }
}

impl PlaidKey {
    /// Reads a key from a JWK. Returns `None` if the text is not a P-256 key with an id.
    pub(crate) fn read(jwk: &str) -> Option<Self> {
        let Jwk { kid, x, y, expired_at } = serde_json::from_str(jwk).ok()?;
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.decode(half));
        // The uncompressed form of a point: 4, x, y (SEC 1, 2.3.3).
        let point = [&[4][..], &x.ok()?, &y.ok()?].concat();
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        let expired_at = expired_at.map(Time::from_unix_s).transpose().ok()?;
        Some(Self { kid, public, expired_at })
    }
}

/// Returns the id of the key that the request's token names.
pub(crate) fn key_id(parts: RequestParts<'_>) -> Result<String, Rejection> {
    let token = parts.header(&HEADER).ok_or(Rejection::MissingSignature)?;
    let jwt = Jwt::split(token).ok_or(Rejection::MalformedSignature)?;
    let Head { kid, .. } = jwt.header().ok_or(Rejection::MalformedSignature)?;
    let is_plain = (1..=MAX_KID).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(kid) } else { Err(Rejection::MalformedSignature) }
}

impl AdapterVerifier for Plaid {
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection> {
        let token = request.parts.header(&HEADER).ok_or(Rejection::MissingSignature)?;
        let jwt = Jwt::split(token).ok_or(Rejection::MalformedSignature)?;
        let Head { alg, kid } = jwt.header().ok_or(Rejection::MalformedSignature)?;
        if alg != "ES256" {
            return Err(Rejection::MalformedSignature);
        }
        let signature = URL_SAFE_NO_PAD.decode(jwt.signature).map_err(|_| Rejection::MalformedSignature)?;
        let Claims { iat, request_body_sha256 } = jwt.claims().ok_or(Rejection::MalformedSignature)?;
        let hash = hex::encode(Sha256::digest(request.body));
        // The hash is compared first, since this needs no key.
        let is_of_body = bool::from(hash.as_bytes().ct_eq(request_body_sha256.as_bytes()));
        if !is_of_body || !self.made(&kid, request, jwt.signed.as_bytes(), &signature)? {
            return Err(Rejection::BadSignature);
        }
        let signed_at = Time::from_unix_s(iat).map_err(|_| Rejection::MalformedTimestamp)?;
        self.window.check(signed_at, request.received_at)?;
        // A signed body that cannot be read is not rejected but quarantined, because it has no type.
        Ok(parse_unproven(request.body).unwrap_or_default())
    }
    /// Signs with the private half of the first key, if the signer has it.
    fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
    ) -> Result<SignedDelivery, CannotSign> {
        let key = self.keys.first();
        let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let kid = key.map_or("unknown", |key| key.kid.as_str());
        let head = json!({ "alg": "ES256", "kid": kid, "typ": "JWT" });
        let hash = hex::encode(Sha256::digest(delivery.body));
        let claims = json!({ "iat": delivery.at.unix_ms().div_euclid(1000), "request_body_sha256": hash });
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = match signer {
            Signer::Forger => vec![1; ES256_BYTES],
            Signer::Secret if key.is_none() => return Err(CannotSign::FetchedKeys),
            Signer::Secret => return Err(CannotSign::NoKey),
            Signer::Key(private) => private
                .sign_es256(signed.as_bytes())
                .ok_or(CannotSign::OtherKey("a key on the curve P-256"))?,
        };
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        Ok(delivery.with(vec![(HEADER.to_string(), token)], Vec::new(), delivery.body.to_vec()))
    }

    fn max_age(&self) -> Option<Duration> {
        self.window.max_age
    }
}
