//! Checks a token: its signature, its claims and its times.
//!
//! The library verifies signatures only. Header and claims are read here, and times are compared with the time that the
//! caller gives: the library's own check uses the system's clock and allows 60 s.

use super::{
    denied::Denied,
    grant::{Grant, Payments},
    key::{TokenAlgorithm, TokenKey},
    rules::Rules,
};
use crate::{
    jwt::Jwt,
    payment::{ALL_PAYMENTS, Name, Time},
    tally::Holder,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// The longest time from `iat` to `exp`.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The most payments that one token may name.
pub const MAX_PAYMENTS: usize = 64;

/// The longest token, in bytes. 64 ids of 128 bytes have about 11 KiB in base64, and request heads have 16 KiB by default.
const MAX_BYTES: usize = 16 << 10;

/// The members of a header or of claims.
type Members = Map<String, Value>;

/// Checks `token` at the time `now`. Returns what it grants, or the first reason to refuse it.
pub(super) fn admit(rules: &Rules, token: &str, now: Time) -> Result<Grant, Denied> {
    let jwt = Some(token).filter(|token| token.len() <= MAX_BYTES).and_then(Jwt::split);
    let jwt = jwt.ok_or(Denied::MalformedToken)?;
    let key = signer(rules, jwt)?;
    let claims: Members = jwt.claims().ok_or(Denied::MalformedToken)?;
    let expires_at = check_times(&claims, rules.leeway, now)?;
    if !is_for(&claims, &rules.audience)? {
        return Err(Denied::WrongAudience);
    }
    let realm = claims.get("realm").and_then(Value::as_str).and_then(|realm| realm.parse().ok());
    let realm: Name = realm.ok_or(Denied::BadClaim("realm"))?;
    // The key's own copy of the name, so that streams of one realm share its text.
    let realm = key.realms.iter().find(|known| **known == realm).cloned().ok_or(Denied::RealmNotAllowed)?;
    let payments = payments(&claims)?;
    if payments == Payments::All && !key.operator {
        return Err(Denied::OperatorNotAllowed);
    }
    Ok(Grant {
        realm,
        payments,
        expires_at: Some(expires_at),
        holder: Some(holder(jwt)),
        subject: subject(&claims),
        kid: Some(Arc::clone(&key.kid)),
        fingerprint: Some(key.fingerprint.clone()),
    })
}

/// By whom what a token opens is counted: the first 64 bits of the digest of what was signed. The signature is left out, because
/// its text can be changed so that it still verifies, and each change would be another holder.
fn holder(jwt: Jwt<'_>) -> Holder {
    let digest = Sha256::digest(jwt.signed.as_bytes());
    let first = digest.first_chunk().copied().unwrap_or_default();
    Holder::new(u64::from_be_bytes(first))
}

/// The claim `sub`, which decides nothing. One that is long or could break a line is not kept.
fn subject(claims: &Members) -> Option<Arc<str>> {
    let subject = claims.get("sub").and_then(Value::as_str)?;
    let is_plain = (1..=128).contains(&subject.len()) && !subject.chars().any(char::is_control);
    is_plain.then(|| subject.into())
}

/// Finds the key that signed the token. Nothing else in the token may be trusted before.
fn signer<'a>(rules: &'a Rules, jwt: Jwt<'_>) -> Result<&'a TokenKey, Denied> {
    let header: Members = jwt.header().ok_or(Denied::MalformedToken)?;
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(Denied::MalformedToken)?;
    // `None` is an algorithm that no key can have, such as `none`.
    let algorithm: Option<TokenAlgorithm> = algorithm.parse().ok();
    // A recipient has to understand every extension that a token calls critical (RFC 7515, 4.1.11). This one knows none.
    if header.contains_key("crit") {
        return Err(Denied::MalformedToken);
    }
    let key = match header.get("kid") {
        Some(Value::String(kid)) => {
            rules.keys.iter().find(|key| *key.kid == **kid).ok_or(Denied::UnknownKey)?
        }
        Some(_) => return Err(Denied::MalformedToken),
        None => {
            let mut fitting = rules.keys.iter().filter(|key| Some(key.algorithm) == algorithm);
            match (fitting.next(), fitting.next()) {
                (Some(key), None) => key,
                (Some(_), Some(_)) => return Err(Denied::MissingKid),
                (None, _) => return Err(Denied::UnknownKey),
            }
        }
    };
    if Some(key.algorithm) != algorithm {
        return Err(Denied::WrongAlgorithm);
    }
    if !key.verify(jwt.signed.as_bytes(), jwt.signature) {
        return Err(Denied::BadSignature);
    }
    Ok(key)
}

/// Checks `iat`, `nbf` and `exp`, against `now` and against each other. Returns the time from which the token is refused.
fn check_times(claims: &Members, leeway: Duration, now: Time) -> Result<Time, Denied> {
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
    // The leeway, which is for differing clocks, would else make a token valid whose own times contradict each other.
    if expires < not_before {
        return Err(Denied::NeverValid);
    }
    Ok(refused_from)
}

/// Reads a time claim: seconds since 1970, with or without a fraction (RFC 7519, section 2).
fn time(claims: &Members, name: &'static str) -> Result<Option<Time>, Denied> {
    let Some(claim) = claims.get(name) else { return Ok(None) };
    let seconds = match (claim.as_i64(), claim.as_f64()) {
        (Some(seconds), _) => Some(seconds),
        // The fraction is cut off, as in most implementations. A number beyond 64 bits saturates, and is refused below.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, which is intended")]
        (None, Some(seconds)) => Some(seconds.floor() as i64),
        (None, None) => None,
    };
    let time = seconds.and_then(|seconds| Time::from_unix_s(seconds).ok());
    time.map(Some).ok_or(Denied::BadClaim(name))
}

/// Whether `aud`, which is one text or several, names the audience.
fn is_for(claims: &Members, audience: &str) -> Result<bool, Denied> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(one == audience),
        Some(Value::Array(several)) => Ok(several.iter().any(|one| one == audience)),
        _ => Err(Denied::BadClaim("aud")),
    }
}

/// Reads the claim `payments`.
fn payments(claims: &Members) -> Result<Payments, Denied> {
    const WRONG: Denied = Denied::BadClaim("payments");
    let listed = claims.get("payments").and_then(Value::as_array).ok_or(WRONG)?;
    if listed.is_empty() || listed.len() > MAX_PAYMENTS {
        return Err(WRONG);
    }
    let ids =
        listed.iter().map(|id| id.as_str()?.parse().ok()).collect::<Option<Vec<Name>>>().ok_or(WRONG)?;
    match ids.iter().any(|id| id.as_str() == ALL_PAYMENTS) {
        true if ids.len() == 1 => Ok(Payments::All),
        true => Err(WRONG),
        false => Ok(Payments::Ids(ids)),
    }
}
