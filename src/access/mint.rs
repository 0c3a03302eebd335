//! Mints tokens, for the command line and the demo. Merchants' backends usually mint their own.

use super::{
    key::TokenKey,
    rules::Rules,
    token::{MAX_LIFETIME, MAX_PAYMENTS},
};
use crate::payment::{ALL_PAYMENTS, EVENTS, Name, Time};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::time::Duration;

/// Why no token was minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No key has the name that was asked for. Holds that name and the names of the configured keys.
    #[error("there is no key {0:?}; configured are: {1}")]
    UnknownKey(String, String),
    /// No key, or not the one that was asked for, may sign such a token. Holds what the key would need.
    #[error("no configured key {0}")]
    NotAllowed(String),
    /// The number of payments is wrong, or `"*"` is not alone.
    #[error("a token names 1 to {MAX_PAYMENTS} payments, or \"*\" alone; this one has {0}")]
    Payments(usize),
    /// One of the ids is no payment's.
    #[error(
        "\"{EVENTS}\" is no payment's id: /v1/payments/{EVENTS} is the stream of all payments, which needs the token for \"*\""
    )]
    Reserved,
    /// The lifetime is too short or too long.
    #[error("a token is valid for 1 second to 24 hours")]
    Lifetime,
    /// The library failed to sign.
    #[error("signing failed: {0}")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// Signs a token with the key `kid`, or else with the first key that may sign it.
pub(super) fn mint(
    rules: &Rules,
    kid: Option<&str>,
    realm: &Name,
    payments: &[Name],
    ttl: Duration,
    now: Time,
) -> Result<String, MintError> {
    let all = payments.iter().any(|id| id.as_str() == ALL_PAYMENTS);
    if payments.is_empty() || payments.len() > MAX_PAYMENTS || (all && payments.len() > 1) {
        return Err(MintError::Payments(payments.len()));
    }
    if payments.iter().any(|id| id.as_str() == EVENTS) {
        return Err(MintError::Reserved);
    }
    if ttl < Duration::from_secs(1) || ttl > MAX_LIFETIME {
        return Err(MintError::Lifetime);
    }
    if let Some(kid) = kid.filter(|kid| !rules.keys.iter().any(|key| *key.kid == **kid)) {
        let known: Vec<&str> = rules.keys.iter().map(|key| &*key.kid).collect();
        return Err(MintError::UnknownKey(kid.to_owned(), known.join(", ")));
    }
    let may = |key: &&TokenKey| {
        kid.is_none_or(|kid| *key.kid == *kid) && key.realms.contains(realm) && (key.operator || !all)
    };
    let not_allowed = || MintError::NotAllowed(needed(kid, realm, all));
    let issued_at = now.unix_ms().div_euclid(1000);
    let expires = issued_at.saturating_add_unsigned(ttl.as_secs());
    let claims = json!({"aud": rules.audience, "realm": realm, "payments": payments, "iat": issued_at, "exp": expires});
    rules
        .keys
        .iter()
        .filter(may)
        .find_map(|key| {
            let header = json!({"typ": "JWT", "alg": key.algorithm.as_str(), "kid": &*key.kid});
            let message = format!("{}.{}", encoded(&header), encoded(&claims));
            Some(key.sign(message.as_bytes())?.map(|signature| format!("{message}.{signature}")))
        })
        .ok_or_else(not_allowed)?
        .map_err(MintError::Signing)
}

/// Says what a key would need in order to sign such a token.
fn needed(kid: Option<&str>, realm: &Name, all: bool) -> String {
    let which = kid.map(|kid| format!("{kid:?} ")).unwrap_or_default();
    let operator = if all { ", has operator = true" } else { "" };
    format!("{which}may sign for realm {realm:?}{operator} and has a secret or private_key to sign with")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
