//! The compact form of a JSON Web Token: `header.claims.signature`, each part in base64url (RFC 7515, section 7.1).
//!
//! It takes a token apart and decodes its parts. It does not check the signature, so nothing in the token is proven yet, and
//! it does not know what any member of the header or of the claims means.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

/// A token in its parts, which are not decoded yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Jwt<'a> {
    /// The bytes that the signature covers: header and claims with the dot between them.
    pub signed: &'a str,
    /// The header in base64url.
    header: &'a str,
    /// The claims in base64url.
    claims: &'a str,
    /// The signature in base64url.
    pub signature: &'a str,
}

impl<'a> Jwt<'a> {
    /// Splits `token` at its dots. `None` if it does not have exactly three parts.
    #[must_use]
    pub fn split(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        (!claims.contains('.')).then_some(Self { signed, header, claims, signature })
    }

    /// Decodes the header. `None` if it is not base64url of JSON in the shape of `T`.
    #[must_use]
    pub fn header<T: DeserializeOwned>(self) -> Option<T> {
        decode(self.header)
    }

    /// Decodes the claims. `None` if they are not base64url of JSON in the shape of `T`.
    #[must_use]
    pub fn claims<T: DeserializeOwned>(self) -> Option<T> {
        decode(self.claims)
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_token_has_three_parts_and_the_signature_covers_the_first_two() {
        // {"alg":"none"} and {"a":1}.
        let jwt = Jwt::split("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln").unwrap();
        assert_eq!(jwt.header(), Some(json!({ "alg": "none" })));
        assert_eq!(jwt.claims(), Some(json!({ "a": 1 })));
        assert_eq!((jwt.signed, jwt.signature), ("eyJhbGciOiJub25lIn0.eyJhIjoxfQ", "c2ln"));
        for token in ["", ".", "a.b", "a.b.c.d", "...."] {
            assert_eq!(Jwt::split(token), None, "{token}");
        }
    }

    #[test]
    fn a_part_that_is_not_base64url_of_the_expected_json_is_not_decoded() {
        for part in ["", "e30=", "e3 0", "bm8", "W10", "+/+/"] {
            let token = format!("{part}.{part}.");
            let jwt = Jwt::split(&token).unwrap();
            assert_eq!(jwt.header::<serde_json::Map<String, Value>>(), None, "{part}");
            assert_eq!(jwt.claims::<serde_json::Map<String, Value>>(), None, "{part}");
        }
    }
}
