//! Signatures as providers make them and tokens as merchants mint them, written from the public descriptions and not from
//! the gateway's code, so that a mistake there is not repeated here.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write as _;

/// Computes HMAC-SHA256.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so this cannot fail; every verifier would refuse the empty signature that is returned otherwise.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// The headers of a delivery of the `generic` provider: HMAC-SHA256 over the body, in hex.
#[must_use]
pub fn generic(secret: &str, body: &[u8]) -> Vec<(String, String)> {
    vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-signature".to_owned(), hex::encode(hmac_sha256(secret.as_bytes(), body))),
    ]
}

/// The headers of a delivery by Stripe at `unix_s`: HMAC-SHA256 over `{t}.{body}`, in hex.
#[must_use]
pub fn stripe(secret: &str, unix_s: u64, body: &[u8]) -> Vec<(String, String)> {
    let mut message = format!("{unix_s}.").into_bytes();
    message.extend_from_slice(body);
    let signature = hex::encode(hmac_sha256(secret.as_bytes(), &message));
    vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("stripe-signature".to_owned(), format!("t={unix_s},v1={signature}")),
    ]
}

/// Makes a JWT that is signed with HS256.
#[must_use]
pub fn jwt_hs256(kid: &str, secret: &[u8], claims: &serde_json::Value) -> String {
    let header = serde_json::json!({ "alg": "HS256", "typ": "JWT", "kid": kid });
    let mut token = format!(
        "{}.{}",
        base64_url(header.to_string().as_bytes()),
        base64_url(claims.to_string().as_bytes())
    );
    let signature = base64_url(&hmac_sha256(secret, token.as_bytes()));
    // Writing to a string can't fail.
    let _ = write!(token, ".{signature}");
    token
}

/// Base64 with the alphabet for URLs, without padding.
#[must_use]
pub fn base64_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_vector_holds() {
        // RFC 4231, test case 2.
        assert_eq!(
            hex::encode(hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_token_has_three_parts_and_verifies() {
        let token = jwt_hs256("k1", b"secret", &serde_json::json!({ "aud": "paystream" }));
        let parts: Vec<_> = token.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("{token}") };
        let expected = hmac_sha256(b"secret", format!("{header}.{claims}").as_bytes());
        assert_eq!(signature, base64_url(&expected));
    }
}
