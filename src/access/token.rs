//! What a token says, and whether that holds now.
//!
//! The library below checks signatures only. Header and claims are read here, and times are compared here with the time
//! that the caller tells: the library's own check would use its own clock and allow 60 s.

use super::{Denied, Grant, MintError, Payments, Rules, key::Key};
use crate::payment::{Name, Time};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

/// The longest time from `iat` to `exp`.
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The most payments that one token can name.
pub const MAX_PAYMENTS: usize = 64;

/// 64 ids of 128 bytes, in base64, with room for the rest; no honest token is longer, and no request head either.
const MAX_BYTES: usize = 16 << 10;

/// What stands for all payments, alone in the `payments` of an operator's token.
pub use crate::payment::ALL_PAYMENTS as ALL;

pub(super) fn admit(rules: &Rules, token: &str, now: Time) -> Result<Grant, Denied> {
    let key = signer(rules, token)?;
    let claims = claims(token)?;
    let expires_at = check_times(&claims, rules.leeway, now)?;
    if !is_for(&claims, &rules.audience)? {
        return Err(Denied::WrongAudience);
    }
    let realm = claims.get("realm").and_then(Value::as_str).and_then(|realm| realm.parse().ok());
    let realm: Name = realm.ok_or(Denied::BadClaim("realm"))?;
    if !key.realms.contains(&realm) {
        return Err(Denied::RealmNotAllowed);
    }
    let payments = payments(&claims)?;
    if payments == Payments::All && !key.operator {
        return Err(Denied::OperatorNotAllowed);
    }
    Ok(Grant {
        realm,
        payments,
        expires_at: Some(expires_at),
        kid: Some(Arc::clone(&key.kid)),
        fingerprint: Some(key.fingerprint.clone()),
    })
}

/// The key whose signature the token bears. Nothing else of the token may be believed before.
fn signer<'a>(rules: &'a Rules, token: &str) -> Result<&'a Key, Denied> {
    let (message, signature) = split(token)?;
    let header = part(message.split_once('.').ok_or(Denied::MalformedToken)?.0)?;
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Denied::MalformedToken)?;
    // An extension that the token declares critical must be understood; this gateway knows none (RFC 7515, 4.1.11).
    if header.contains_key("crit") {
        return Err(Denied::MalformedToken);
    }
    let key = match header.get("kid") {
        Some(Value::String(kid)) => {
            rules.keys.iter().find(|key| *key.kid == **kid).ok_or(Denied::UnknownKey)?
        }
        Some(_) => return Err(Denied::MalformedToken),
        None => {
            let mut fitting = rules.keys.iter().filter(|key| key.algorithm.as_str() == algorithm);
            match (fitting.next(), fitting.next()) {
                (Some(key), None) => key,
                (Some(_), Some(_)) => return Err(Denied::MissingKid),
                (None, _) => return Err(Denied::UnknownKey),
            }
        }
    };
    if key.algorithm.as_str() != algorithm {
        return Err(Denied::WrongAlgorithm);
    }
    if !key.verify(message.as_bytes(), signature) {
        return Err(Denied::BadSignature);
    }
    Ok(key)
}

/// Splits `header.claims.signature` before the signature.
fn split(token: &str) -> Result<(&str, &str), Denied> {
    let three_parts = token.len() <= MAX_BYTES && token.bytes().filter(|b| *b == b'.').count() == 2;
    token.rsplit_once('.').filter(|_| three_parts).ok_or(Denied::MalformedToken)
}

fn claims(token: &str) -> Result<Map<String, Value>, Denied> {
    part(token.split('.').nth(1).ok_or(Denied::MalformedToken)?)
}

fn part(text: &str) -> Result<Map<String, Value>, Denied> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Denied::MalformedToken)?;
    serde_json::from_slice(&bytes).map_err(|_| Denied::MalformedToken)
}

/// Gives the moment from which the token is refused.
fn check_times(claims: &Map<String, Value>, leeway: Duration, now: Time) -> Result<Time, Denied> {
    let leeway_ms = i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX);
    let issued_at = time(claims, "iat")?.ok_or(Denied::BadClaim("iat"))?;
    let expires = time(claims, "exp")?.ok_or(Denied::BadClaim("exp"))?;
    let not_before = time(claims, "nbf")?.unwrap_or(issued_at).max(issued_at);
    if u128::try_from(expires.since_ms(issued_at)).is_ok_and(|lifetime| lifetime > MAX_LIFETIME.as_millis()) {
        return Err(Denied::LifetimeTooLong);
    }
    let refused_from = Time::from_unix_ms(expires.unix_ms().saturating_add(leeway_ms));
    let refused_from = refused_from.map_err(|_| Denied::BadClaim("exp"))?;
    if now >= refused_from {
        return Err(Denied::Expired);
    }
    if not_before.since_ms(now) > leeway_ms {
        return Err(Denied::NotYetValid);
    }
    Ok(refused_from)
}

/// A time claim: seconds since 1970, perhaps with a fraction (RFC 7519, section 2).
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Time>, Denied> {
    let Some(claim) = claims.get(name) else { return Ok(None) };
    let seconds = match (claim.as_i64(), claim.as_f64()) {
        (Some(seconds), _) => Some(seconds),
        // A fraction is cut off, as most checkers do. What does not fit 64 bits is saturated, and refused below.
        #[expect(clippy::cast_possible_truncation, reason = "a saturating cast is what is wanted")]
        (None, Some(seconds)) => Some(seconds.floor() as i64),
        (None, None) => None,
    };
    let time = seconds.and_then(|seconds| Time::from_unix_s(seconds).ok());
    time.map(Some).ok_or(Denied::BadClaim(name))
}

/// `aud` is one text or several.
fn is_for(claims: &Map<String, Value>, audience: &str) -> Result<bool, Denied> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(one == audience),
        Some(Value::Array(several)) => Ok(several.iter().any(|one| one == audience)),
        _ => Err(Denied::BadClaim("aud")),
    }
}

fn payments(claims: &Map<String, Value>) -> Result<Payments, Denied> {
    const WRONG: Denied = Denied::BadClaim("payments");
    let listed = claims.get("payments").and_then(Value::as_array).ok_or(WRONG)?;
    if listed.is_empty() || listed.len() > MAX_PAYMENTS {
        return Err(WRONG);
    }
    let ids =
        listed.iter().map(|id| id.as_str()?.parse().ok()).collect::<Option<Vec<Name>>>().ok_or(WRONG)?;
    match ids.iter().any(|id| id.as_str() == ALL) {
        true if ids.len() == 1 => Ok(Payments::All),
        true => Err(WRONG),
        false => Ok(Payments::Ids(ids)),
    }
}

pub(super) fn mint(
    rules: &Rules,
    kid: Option<&str>,
    realm: &Name,
    payments: &[Name],
    ttl: Duration,
    now: Time,
) -> Result<String, MintError> {
    let all = payments.iter().any(|id| id.as_str() == ALL);
    if payments.is_empty() || payments.len() > MAX_PAYMENTS || (all && payments.len() > 1) {
        return Err(MintError::Payments(payments.len()));
    }
    if ttl < Duration::from_secs(1) || ttl > MAX_LIFETIME {
        return Err(MintError::Lifetime);
    }
    if let Some(kid) = kid.filter(|kid| !rules.keys.iter().any(|key| *key.kid == **kid)) {
        let known: Vec<&str> = rules.keys.iter().map(|key| &*key.kid).collect();
        return Err(MintError::UnknownKey(kid.to_owned(), known.join(", ")));
    }
    let may = |key: &&Key| {
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

/// The words for what no key can do.
fn needed(kid: Option<&str>, realm: &Name, all: bool) -> String {
    let which = kid.map(|kid| format!("{kid:?} ")).unwrap_or_default();
    let operator = if all { ", has operator = true" } else { "" };
    format!("{which}may sign for realm {realm:?}{operator} and has a secret or private_key to sign with")
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
