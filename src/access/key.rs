//! Keys: each has a name, one algorithm, and what it may sign for.

use crate::{
    payment::Name,
    secret::{self, Weakness},
};
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr, sync::Arc};

/// HS256 with less than its hash's width can be searched (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// An uncompressed point of P-256: a marker and two coordinates.
const P256_POINT_BYTES: usize = 65;

/// The algorithms that a key can be configured for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever can check tokens can make them.
    Hs256,
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::EdDsa, Self::Es256, Self::Rs256];

    /// The name that stands in a token's `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    const fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

impl FromStr for Algorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(KeyError::UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a key is made of.
#[derive(Clone, Debug)]
pub enum Material {
    /// For HS256: at least 32 bytes, used as they are.
    Secret(SecretString),
    /// For the other algorithms, in PEM.
    Pair {
        /// `-----BEGIN PUBLIC KEY-----`: checks tokens.
        public_key: String,
        /// `-----BEGIN PRIVATE KEY-----` (PKCS #8): makes tokens; only needed where this program mints them.
        private_key: Option<SecretString>,
    },
}

/// A key as configured.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// Its name, which tokens carry in their header.
    pub kid: String,
    /// The only algorithm that is accepted for it.
    pub algorithm: Algorithm,
    /// What it is made of.
    pub material: Material,
    /// The realms that it may sign for.
    pub realms: Vec<Name>,
    /// Whether it may sign for all payments of those realms.
    pub operator: bool,
}

/// Why a key cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// Another word than the four.
    #[error("unknown algorithm; allowed: HS256, EdDSA, ES256, RS256")]
    UnknownAlgorithm,
    /// No name.
    #[error("kid is empty; give the key a name, which its tokens carry")]
    NoKid,
    /// A second key of the same name.
    #[error("kid is used twice; give each key a name of its own")]
    Twice,
    /// It could sign for nothing.
    #[error("realms is empty; name at least one realm that the key may sign for")]
    NoRealm,
    /// A pair with HS256, or a secret with another algorithm.
    #[error("HS256 takes `secret`; EdDSA, ES256 and RS256 take `public_key` (and `private_key` to mint)")]
    WrongMaterial,
    /// Too short, a placeholder …
    #[error("secret {0}; make one with `openssl rand -base64 48`")]
    WeakSecret(Weakness),
    /// Not the PEM of a public key for the algorithm.
    #[error("public_key is no public key in PEM for {0}")]
    BadPublicKey(Algorithm),
    /// Not the PEM of a private key for the algorithm.
    #[error("private_key is no private key in PEM (PKCS #8) for {0}")]
    BadPrivateKey(Algorithm),
    /// The two are of different pairs.
    #[error("private_key does not belong to public_key")]
    NoPair,
}

/// Tells keys apart without showing them: a hash over all that decides whether a token is accepted by its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint([u8; 32]);

/// A key that can be used.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Arc<str>,
    pub(super) algorithm: Algorithm,
    pub(super) realms: Vec<Name>,
    pub(super) operator: bool,
    pub(super) fingerprint: Fingerprint,
    check: DecodingKey,
    sign: Option<EncodingKey>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {})", self.kid, self.algorithm)
    }
}

impl Key {
    pub(super) fn build(settings: KeySettings, audience: &str) -> Result<Self, KeyError> {
        let KeySettings { kid, algorithm, material, realms, operator } = settings;
        if kid.is_empty() {
            return Err(KeyError::NoKid);
        }
        if realms.is_empty() {
            return Err(KeyError::NoRealm);
        }
        let (check, sign) = match (&material, algorithm) {
            (Material::Secret(secret), Algorithm::Hs256) => {
                let secret = secret.expose_secret();
                secret::check(secret, MIN_SECRET_BYTES).map_err(KeyError::WeakSecret)?;
                (
                    DecodingKey::from_secret(secret.as_bytes()),
                    Some(EncodingKey::from_secret(secret.as_bytes())),
                )
            }
            (Material::Pair { public_key, private_key }, algorithm) => {
                let public = public(algorithm, public_key.as_bytes())?;
                let private =
                    private_key.as_ref().map(|pem| private(algorithm, pem.expose_secret().as_bytes()));
                (public, private.transpose()?)
            }
            (Material::Secret(_), _) => return Err(KeyError::WrongMaterial),
        };
        let fingerprint = fingerprint(&kid, algorithm, &material, audience);
        let key = Self { kid: kid.into(), algorithm, realms, operator, fingerprint, check, sign };
        key.try_pair()?;
        Ok(key)
    }

    /// Signs and checks a probe, so that a pair that does not fit is found at start and not by customers.
    fn try_pair(&self) -> Result<(), KeyError> {
        const PROBE: &[u8] = b"probe";
        match self.sign(PROBE) {
            None => Ok(()),
            Some(Err(_)) => Err(KeyError::BadPrivateKey(self.algorithm)),
            Some(Ok(signature)) if self.verify(PROBE, &signature) => Ok(()),
            Some(Ok(_)) => Err(KeyError::NoPair),
        }
    }

    /// Whether `signature` (base64url) is this key's for `message`, by its one algorithm.
    pub(super) fn verify(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.check, self.algorithm.jwt()).unwrap_or(false)
    }

    /// The signature in base64url; none if the private half is not configured.
    pub(super) fn sign(&self, message: &[u8]) -> Option<jsonwebtoken::errors::Result<String>> {
        self.sign.as_ref().map(|key| crypto::sign(message, key, self.algorithm.jwt()))
    }
}

fn public(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey, KeyError> {
    let key = match algorithm {
        Algorithm::Hs256 => return Err(KeyError::WrongMaterial),
        Algorithm::EdDsa => DecodingKey::from_ed_pem(pem),
        Algorithm::Es256 => DecodingKey::from_ec_pem(pem).and_then(|key| {
            let right_curve = key.try_get_as_bytes()?.len() == P256_POINT_BYTES;
            right_curve.then_some(key).ok_or_else(|| jsonwebtoken::errors::ErrorKind::InvalidEcdsaKey.into())
        }),
        Algorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
    };
    key.map_err(|_| KeyError::BadPublicKey(algorithm))
}

fn private(algorithm: Algorithm, pem: &[u8]) -> Result<EncodingKey, KeyError> {
    let key = match algorithm {
        Algorithm::Hs256 => return Err(KeyError::WrongMaterial),
        Algorithm::EdDsa => EncodingKey::from_ed_pem(pem),
        Algorithm::Es256 => EncodingKey::from_ec_pem(pem),
        Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
    };
    key.map_err(|_| KeyError::BadPrivateKey(algorithm))
}

fn fingerprint(kid: &str, algorithm: Algorithm, material: &Material, audience: &str) -> Fingerprint {
    let checks = match material {
        Material::Secret(secret) => secret.expose_secret(),
        Material::Pair { public_key, .. } => public_key.trim(),
    };
    let mut hash = Sha256::new();
    for part in [kid, algorithm.as_str(), audience, checks] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    Fingerprint(hash.finalize().into())
}
