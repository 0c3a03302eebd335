//! Secrets. A text that is too weak to be a secret is refused; any other becomes a key that is prepared once and used for each
//! delivery.

use super::recipe::{Algorithm, Encoding, KeyForm, Method, Recipe};
use crate::secret::{self, Weakness};
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq as _};

/// The shortest secret that is accepted, in bytes. Providers' secrets have 20 and more; this only catches what was typed by hand.
const MIN_BYTES: usize = 8;

/// The length of a key that the Standard Webhooks specification allows, in bytes once decoded.
const BASE64_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a text is not a secret. The message never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is empty, a placeholder or too short, or easily guessed in another way.
    #[error("it {0}")]
    Weak(Weakness),
    /// The provider hands out secrets in base 64, and the text is not base 64.
    #[error("it is not base 64, with or without the prefix that the provider puts before it")]
    NotBase64,
    /// The provider hands out secrets in hexadecimal, and the text is not hexadecimal.
    #[error("it is not hexadecimal")]
    NotHex,
    /// The key is shorter or longer than the Standard Webhooks specification allows.
    #[error("its key has not {} to {} bytes once decoded", BASE64_KEY_BYTES.start(), BASE64_KEY_BYTES.end())]
    KeySize,
    /// The provider signs with a private key, and the text is not a public key.
    #[error("it is not the public key that the provider shows")]
    NotPublicKey,
    /// The provider names the key that it signed with, and the text has no key id.
    #[error("it has no key id before it: this provider names its keys, so write `KEY-ID:SECRET`")]
    NoKeyId,
}

/// One of a source's secrets, prepared for verification.
#[derive(Clone)]
pub(super) struct SecretKey {
    /// The index of the method that the secret belongs to.
    pub(super) method: usize,
    /// The id by which signatures name the key, if they do.
    pub(super) id: Option<String>,
    /// The prepared key.
    material: Material,
}

/// The prepared key of a secret. Keying a MAC costs two compressions, so it is done once and cloned for each delivery.
#[derive(Clone)]
enum Material {
    HmacSha1(Hmac<Sha1>),
    HmacSha256(Hmac<Sha256>),
    HmacSha512(Hmac<Sha512>),
    Public(ParsedPublicKey),
    Token(SecretSlice<u8>),
}

impl SecretKey {
    /// Checks a secret and prepares its key.
    pub(super) fn new(recipe: &Recipe, secret: &SecretString) -> Result<Self, SecretError> {
        let secret = secret.expose_secret();
        let (id, secret) = if recipe.names_keys() {
            let named = secret.rsplit_once(':').filter(|(id, _)| !id.is_empty());
            let (id, secret) = named.ok_or(SecretError::NoKeyId)?;
            (Some(id.to_owned()), secret)
        } else {
            (None, secret)
        };
        let bears = |method: &Method| !method.prefix.is_empty() && secret.starts_with(&method.prefix);
        let index = recipe.methods.iter().position(bears).unwrap_or(0);
        let method = recipe.methods.get(index).ok_or(SecretError::NotPublicKey)?;
        Ok(Self { method: index, id, material: Material::new(method, secret)? })
    }

    /// Returns whether this key made one of these signatures over the message.
    pub(super) fn made_any(&self, signatures: &[&[u8]], message: &[&[u8]]) -> bool {
        self.material.made_any(signatures, message)
    }

    /// Returns the signature that the provider would send, or nothing if only a private key can make it.
    pub(super) fn sign(&self, message: &[&[u8]]) -> Vec<u8> {
        self.material.sign(message)
    }
}

/// One secret as a MAC, for adapters.
pub(crate) struct Mac(Material);

impl Mac {
    /// Prepares the MACs of all of a source's secrets. An error gives the index of the secret that it is about.
    pub(crate) fn all(
        algorithm: Algorithm,
        key: KeyForm,
        secrets: &[SecretString],
    ) -> Result<Vec<Self>, (usize, SecretError)> {
        let keyed = |(index, secret): (usize, &SecretString)| {
            Self::new(algorithm, key, secret.expose_secret()).map_err(|why| (index, why))
        };
        secrets.iter().enumerate().map(keyed).collect()
    }

    /// Checks a secret and keys the MAC with it.
    pub(crate) fn new(algorithm: Algorithm, key: KeyForm, secret: &str) -> Result<Self, SecretError> {
        let (items, encoding, prefix) = (Vec::new(), Encoding::Hex, String::new());
        Material::new(&Method { items, algorithm, encoding, key, prefix }, secret).map(Self)
    }

    /// Returns whether one of the MACs made this signature over the message.
    pub(crate) fn any_made(macs: &[Self], signature: &[u8], message: &[&[u8]]) -> bool {
        macs.iter().any(|mac| mac.made(signature, message))
    }

    /// Returns whether this MAC made the signature over the message.
    pub(crate) fn made(&self, signature: &[u8], message: &[&[u8]]) -> bool {
        self.0.made_any(&[signature], message)
    }

    /// Returns the MAC over the message.
    pub(crate) fn sign(&self, message: &[&[u8]]) -> Vec<u8> {
        self.0.sign(message)
    }
}

impl Material {
    /// Returns whether this key made one of these signatures. For MACs this takes the same time wherever they differ.
    fn made_any(&self, signatures: &[&[u8]], message: &[&[u8]]) -> bool {
        if let Self::Public(key) = self {
            let message = message.concat();
            return signatures.iter().any(|signature| key.verify_sig(&message, signature).is_ok());
        }
        let expected = self.sign(message);
        let mut any = Choice::from(0);
        signatures.iter().for_each(|signature| any |= expected.as_slice().ct_eq(signature));
        any.into()
    }

    /// Returns the signature that the provider would send, or nothing if only a private key can make it.
    fn sign(&self, message: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::HmacSha1(mac) => digest(mac.clone(), message),
            Self::HmacSha256(mac) => digest(mac.clone(), message),
            Self::HmacSha512(mac) => digest(mac.clone(), message),
            Self::Public(_) => Vec::new(),
            Self::Token(token) => token.expose_secret().to_vec(),
        }
    }
}

fn digest<M: hmac::Mac>(mut mac: M, message: &[&[u8]]) -> Vec<u8> {
    message.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().to_vec()
}

impl Material {
    /// Checks a secret and prepares its key for a method.
    fn new(method: &Method, secret: &str) -> Result<Self, SecretError> {
        let bare = secret.strip_prefix(method.prefix.as_str()).unwrap_or(secret);
        if !method.algorithm.is_public() {
            // The prefix that a provider puts before a secret makes the secret no stronger.
            let bare = bare.strip_prefix("whsec_").unwrap_or(bare);
            secret::check(bare, MIN_BYTES).map_err(SecretError::Weak)?;
        }
        let bytes: SecretSlice<u8> = match method.key {
            KeyForm::Utf8 => secret.as_bytes().to_vec(),
            KeyForm::Hex => hex::decode(bare).map_err(|_| SecretError::NotHex)?,
            KeyForm::Base64 => STANDARD.decode(bare).map_err(|_| SecretError::NotBase64)?,
            KeyForm::Pem => public_key(secret).ok_or(SecretError::NotPublicKey)?,
            KeyForm::Certificate => certified_key(secret).ok_or(SecretError::NotPublicKey)?,
        }
        .into();
        let bytes = bytes.expose_secret();
        let is_hmac = !matches!(method.algorithm, Algorithm::Token) && !method.algorithm.is_public();
        if is_hmac && method.key == KeyForm::Base64 && !BASE64_KEY_BYTES.contains(&bytes.len()) {
            return Err(SecretError::KeySize);
        }
        // HMAC accepts keys of any length; the error type belongs to MACs which do not.
        let size = |_| SecretError::KeySize;
        let public = |_| SecretError::NotPublicKey;
        Ok(match method.algorithm {
            Algorithm::HmacSha1 => Self::HmacSha1(Hmac::new_from_slice(bytes).map_err(size)?),
            Algorithm::HmacSha256 => Self::HmacSha256(Hmac::new_from_slice(bytes).map_err(size)?),
            Algorithm::HmacSha512 => Self::HmacSha512(Hmac::new_from_slice(bytes).map_err(size)?),
            Algorithm::Ed25519 => Self::Public(ParsedPublicKey::new(&ED25519, bytes).map_err(public)?),
            Algorithm::RsaSha256 => {
                Self::Public(ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes).map_err(public)?)
            }
            Algorithm::Token => Self::Token(bytes.to_vec().into()),
        })
    }
}

/// Returns the DER of the first public key of a PEM text.
fn public_key(text: &str) -> Option<Vec<u8>> {
    Some(SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).ok()?.to_vec())
}

/// Returns the public key of the first certificate of a PEM text.
fn certified_key(text: &str) -> Option<Vec<u8>> {
    let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
    let certificate = webpki::EndEntityCert::try_from(&der).ok()?;
    Some(certificate.subject_public_key_info().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::preset;

    #[test]
    fn what_is_no_secret_is_refused() {
        use SecretError::*;
        let encoded = |bytes: u8| STANDARD.encode((0..bytes).collect::<Vec<_>>());
        let pem = |der: &str| format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----");
        for (preset, secret, expected) in [
            ("stripe", String::new(), Some(Weak(Weakness::Empty))),
            ("stripe", "whsec_".into(), Some(Weak(Weakness::Empty))),
            ("stripe", "whsec_replace-me".into(), Some(Weak(Weakness::Placeholder))),
            ("stripe", "whsec_8f3b1c2".into(), Some(Weak(Weakness::TooShort(8)))),
            ("standard-webhooks", "your-secret-here".into(), Some(Weak(Weakness::Placeholder))),
            ("stripe", "whsec_8f3b1c2d".into(), None),
            ("standard-webhooks", "whsec_!notbase64!".into(), Some(NotBase64)),
            ("standard-webhooks", encoded(23), Some(KeySize)),
            ("standard-webhooks", encoded(65), Some(KeySize)),
            ("standard-webhooks", encoded(24), None),
            ("standard-webhooks", format!("whsec_{}", encoded(64)), None),
            ("standard-webhooks", format!("whpk_{}", encoded(32)), None),
            ("standard-webhooks", format!("whpk_{}", encoded(31)), Some(NotPublicKey)),
            ("standard-webhooks", "whpk_".into(), Some(NotPublicKey)),
            ("adyen-platform", "8f3b1c2d".into(), None),
            ("adyen-platform", "8f3b1c2g".into(), Some(NotHex)),
            ("worldpay", "8f3b1c2d".into(), Some(NoKeyId)),
            ("worldpay", ":8f3b1c2d".into(), Some(NoKeyId)),
            ("worldpay", "1:".into(), Some(Weak(Weakness::Empty))),
            ("worldpay", "1:8f3b1c2d".into(), None),
            ("wise", "8f3b1c2d".into(), Some(NotPublicKey)),
            ("wise", pem(&encoded(40)), Some(NotPublicKey)),
        ] {
            let result = SecretKey::new(&preset::recipe_of(preset), &secret.clone().into());
            assert_eq!(result.err(), expected, "{secret:?} for {preset}");
        }
    }

    #[test]
    fn macs_are_those_of_the_standards() {
        // RFC 2202 and RFC 4231, test case 2, whose key "Jefe" is too short for a webhook, so it is keyed without the check.
        let message: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        for (material, expected) in [
            (
                Material::HmacSha1(Hmac::new_from_slice(b"Jefe").unwrap()),
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                Material::HmacSha256(Hmac::new_from_slice(b"Jefe").unwrap()),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Material::HmacSha512(Hmac::new_from_slice(b"Jefe").unwrap()),
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
                 caeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let key = SecretKey { method: 0, id: None, material };
            assert_eq!(hex::encode(key.sign(&message)), expected);
        }
    }
}
