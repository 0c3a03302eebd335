//! Private keys, with which only a provider signs. Whoever tries a source out gives it the public half of a key of their own.

use super::recipe::Algorithm;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};

/// A private key. It is never printed.
pub struct PrivateKey(PrivatePair);

enum PrivatePair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The text is not a private key that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "it is no private key in PEM; allowed are RSA keys of 2048 bits and more, P-256 and Ed25519, as `openssl genpkey` writes them"
)]
pub struct NoPrivateKey;

impl PrivateKey {
    /// Reads a private key in PEM: PKCS #8, or PKCS #1 for RSA.
    pub fn read(pem: &str) -> Result<Self, NoPrivateKey> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| NoPrivateKey)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(PrivatePair::Rsa).ok()
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let rsa = || RsaKeyPair::from_pkcs8(der).map(PrivatePair::Rsa).ok();
                let p256 = || {
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                        .map(PrivatePair::P256)
                        .ok()
                };
                let ed25519 =
                    || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(PrivatePair::Ed25519).ok();
                rsa().or_else(p256).or_else(ed25519)
            }
            _ => None,
        };
        pair.map(Self).ok_or(NoPrivateKey)
    }

    /// Signs a message, if the key is of that algorithm.
    pub(in crate::source::verify) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        match (algorithm, &self.0) {
            (Algorithm::RsaSha256, PrivatePair::Rsa(pair)) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            (Algorithm::Ed25519, PrivatePair::Ed25519(pair)) => Some(pair.sign(message).as_ref().to_vec()),
            _ => None,
        }
    }

    /// Signs a message as JWT does by ES256, if the key is on the curve P-256.
    pub(in crate::source::verify) fn sign_es256(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            PrivatePair::P256(pair) => Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
            PrivatePair::Rsa(_) | PrivatePair::Ed25519(_) => None,
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, KeyPair as _, UnparsedPublicKey};
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    #[test]
    fn a_private_key_signs_by_its_own_algorithm_alone_and_is_never_printed() {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap().public_key().as_ref().to_vec();
        let body = STANDARD.encode(pkcs8.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let key = PrivateKey::read(&pem).unwrap();
        let signature = key.sign(Algorithm::Ed25519, b"paid").unwrap();
        assert!(UnparsedPublicKey::new(&ED25519, &public).verify(b"paid", &signature).is_ok());
        assert_eq!(key.sign(Algorithm::RsaSha256, b"paid"), None);
        assert_eq!(key.sign(Algorithm::HmacSha256, b"paid"), None);
        assert_eq!(key.sign_es256(b"paid"), None);
        assert_eq!(format!("{key:?}"), "PrivateKey");
        for text in ["", "whsec_8f3b1c2d", &pem.replace(&body, "AAAA"), &pem.replace("PRIVATE", "PUBLIC")] {
            assert!(PrivateKey::read(text).is_err(), "{text}");
        }
    }
}
