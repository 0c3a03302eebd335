//! Secrets: what is no secret is refused, what is one becomes a keyed MAC that is cloned for each delivery.

use super::recipe::{Algorithm, KeyForm};
use crate::secret::{self, Weakness};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// A signature of the longest algorithm, decoded.
pub(super) type Signature = Vec<u8>;

/// The shortest secret that is taken as it is. Providers' have 20 and more; this only catches what was typed by hand.
const MIN_BYTES: usize = 8;

/// What the Standard Webhooks specification allows for a key, decoded.
const BASE64_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a text is no secret. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Empty, a placeholder, too short …
    #[error("it {0}")]
    Weak(Weakness),
    /// The provider hands out base 64.
    #[error("it is not base 64, with or without the prefix that the provider puts before it")]
    NotBase64,
    /// The standard's bounds.
    #[error("its key has not {} to {} bytes once decoded", BASE64_KEY_BYTES.start(), BASE64_KEY_BYTES.end())]
    KeySize,
}

/// A keyed MAC. Keying costs two compressions, so it is done once per secret.
#[derive(Clone)]
pub(super) enum Key {
    /// HMAC-SHA256.
    HmacSha256(Hmac<Sha256>),
}

impl Key {
    /// Checks a secret and keys the MAC with it.
    pub(super) fn new(
        algorithm: Algorithm,
        form: &KeyForm,
        secret: &SecretString,
    ) -> Result<Self, SecretError> {
        let secret = secret.expose_secret();
        check(secret)?;
        let bytes = match form {
            KeyForm::Utf8 => zeroize(secret.as_bytes().to_vec()),
            KeyForm::Base64 { strip } => {
                let text = secret.strip_prefix(strip.as_str()).unwrap_or(secret);
                let bytes = zeroize(STANDARD.decode(text).map_err(|_| SecretError::NotBase64)?);
                if !BASE64_KEY_BYTES.contains(&bytes.expose_secret().len()) {
                    return Err(SecretError::KeySize);
                }
                bytes
            }
        };
        match algorithm {
            // HMAC takes keys of any length; the error type is that of MACs which don't.
            Algorithm::HmacSha256 => Hmac::new_from_slice(bytes.expose_secret())
                .map(Self::HmacSha256)
                .map_err(|_| SecretError::KeySize),
        }
    }

    /// The MAC over the pieces, one after the other.
    pub(super) fn sign<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Signature {
        match self {
            Self::HmacSha256(keyed) => {
                let mut mac = keyed.clone();
                pieces.into_iter().for_each(|piece| mac.update(piece));
                mac.finalize().into_bytes().to_vec()
            }
        }
    }
}

fn zeroize(bytes: Vec<u8>) -> secrecy::SecretSlice<u8> {
    bytes.into()
}

/// The prefix that some providers put before a secret makes it no stronger.
fn check(secret: &str) -> Result<(), SecretError> {
    secret::check(secret.strip_prefix("whsec_").unwrap_or(secret), MIN_BYTES).map_err(SecretError::Weak)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_is_refused() {
        use SecretError::Weak;
        let base64 = || KeyForm::Base64 { strip: "whsec_".to_owned() };
        let encoded = |bytes: u8| STANDARD.encode((0..bytes).collect::<Vec<_>>());
        for (form, secret, expected) in [
            (KeyForm::Utf8, String::new(), Some(Weak(Weakness::Empty))),
            (KeyForm::Utf8, "whsec_".into(), Some(Weak(Weakness::Empty))),
            (KeyForm::Utf8, "whsec_replace-me".into(), Some(Weak(Weakness::Placeholder))),
            (KeyForm::Utf8, "whsec_8f3b1c2".into(), Some(Weak(Weakness::TooShort(8)))),
            (base64(), "your-secret-here".into(), Some(Weak(Weakness::Placeholder))),
            (KeyForm::Utf8, "whsec_8f3b1c2d".into(), None),
            (base64(), "whsec_!notbase64!".into(), Some(SecretError::NotBase64)),
            (base64(), encoded(23), Some(SecretError::KeySize)),
            (base64(), encoded(65), Some(SecretError::KeySize)),
            (base64(), encoded(24), None),
            (base64(), format!("whsec_{}", encoded(64)), None),
        ] {
            let result = Key::new(Algorithm::HmacSha256, &form, &secret.clone().into());
            assert_eq!(result.err(), expected, "{secret:?} as {form:?}");
        }
    }

    #[test]
    fn hmac_sha256_is_that_of_rfc_4231() {
        // Test case 2, whose key "Jefe" is too short for a webhook, so it is keyed here without the check.
        let key = Key::HmacSha256(Hmac::new_from_slice(b"Jefe").unwrap());
        let mac = key.sign([b"what do ya want ".as_slice(), b"for nothing?"]);
        assert_eq!(hex::encode(mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
