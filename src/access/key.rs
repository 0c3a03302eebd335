//! The keys that sign tokens. Each has a name, exactly one algorithm, and the realms that it may sign for.

use crate::{
    payment::Name,
    secret::{self, Weakness},
};
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr, sync::Arc};

/// The shortest secret for HS256, in bytes: the length of its hash (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// The length of an uncompressed point of P-256: a marker and two coordinates of 32 bytes.
const P256_POINT_BYTES: usize = 65;

/// The algorithm of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256. Whoever can verify a token can also sign one.
    Hs256,
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    Rs256,
}

impl TokenAlgorithm {
    /// All algorithms that a key can have.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::EdDsa, Self::Es256, Self::Rs256];

    /// The algorithm's name in the `alg` of a token.
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

impl FromStr for TokenAlgorithm {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(KeyError::UnknownAlgorithm)
    }
}

impl fmt::Display for TokenAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The secret of a key, or its pair of a public and a private key.
#[derive(Clone, Debug)]
pub enum Material {
    /// For HS256: at least 32 bytes, which are used as they are.
    Secret(SecretString),
    /// For the other algorithms: a pair in PEM.
    Pair {
        /// Begins with `-----BEGIN PUBLIC KEY-----`. It verifies tokens.
        public_key: String,
        /// Begins with `-----BEGIN PRIVATE KEY-----` (PKCS #8). It signs tokens, and is needed only if this program mints them.
        private_key: Option<SecretString>,
    },
}

/// A key as it is configured.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// The name of the key, which tokens carry in their header.
    pub kid: String,
    /// The only algorithm that is accepted for the key.
    pub algorithm: TokenAlgorithm,
    /// The secret, or the pair.
    pub material: Material,
    /// The realms that the key may sign for.
    pub realms: Vec<Name>,
    /// Whether the key may sign for all payments of those realms.
    pub operator: bool,
}

/// Why a key cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// The name of the algorithm is unknown.
    #[error("unknown algorithm; allowed: HS256, EdDSA, ES256, RS256")]
    UnknownAlgorithm,
    /// The key has no name.
    #[error("kid is empty; give the key a name, which its tokens carry")]
    NoKid,
    /// An earlier key has the same name.
    #[error("kid is used twice; give each key a name of its own")]
    Twice,
    /// The key may not sign for any realm.
    #[error("realms is empty; name at least one realm that the key may sign for")]
    NoRealm,
    /// HS256 was configured with a pair, or another algorithm with a secret.
    #[error("HS256 takes `secret`; EdDSA, ES256 and RS256 take `public_key` (and `private_key` to mint)")]
    WrongMaterial,
    /// The secret is too short, a placeholder or otherwise easy to guess.
    #[error("secret {0}; make one with `openssl rand -base64 48`")]
    WeakSecret(Weakness),
    /// `public_key` is not the PEM of a public key for the algorithm.
    #[error("public_key is no public key in PEM for {0}")]
    BadPublicKey(TokenAlgorithm),
    /// `private_key` is not the PEM of a private key for the algorithm.
    #[error("private_key is no private key in PEM (PKCS #8) for {0}")]
    BadPrivateKey(TokenAlgorithm),
    /// `public_key` and `private_key` are of different pairs.
    #[error("private_key does not belong to public_key")]
    NoPair,
}

/// Identifies a key without revealing it: a hash over everything that decides whether the signature of a token is accepted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Fingerprint([u8; 32]);

/// A key that was checked and can be used.
pub(super) struct TokenKey {
    pub(super) kid: Arc<str>,
    pub(super) algorithm: TokenAlgorithm,
    pub(super) realms: Vec<Name>,
    pub(super) operator: bool,
    pub(super) fingerprint: Fingerprint,
    verifying: DecodingKey,
    /// `None` if no private key is configured.
    signing: Option<EncodingKey>,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({:?}, {})", self.kid, self.algorithm)
    }
}

impl TokenKey {
    /// Checks a key and its pair. `audience` becomes part of the fingerprint.
    pub(super) fn build(settings: KeySettings, audience: &str) -> Result<Self, KeyError> {
        let KeySettings { kid, algorithm, material, realms, operator } = settings;
        if kid.is_empty() {
            return Err(KeyError::NoKid);
        }
        if realms.is_empty() {
            return Err(KeyError::NoRealm);
        }
        let (verifying, signing) = match (&material, algorithm) {
            (Material::Secret(secret), TokenAlgorithm::Hs256) => {
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
        let key = Self { kid: kid.into(), algorithm, realms, operator, fingerprint, verifying, signing };
        key.try_pair()?;
        Ok(key)
    }

    /// Signs and verifies a test message, so that keys of different pairs are found at start and not by the first customer.
    fn try_pair(&self) -> Result<(), KeyError> {
        const PROBE: &[u8] = b"probe";
        match self.sign(PROBE) {
            None => Ok(()),
            Some(Err(_)) => Err(KeyError::BadPrivateKey(self.algorithm)),
            Some(Ok(signature)) if self.verify(PROBE, &signature) => Ok(()),
            Some(Ok(_)) => Err(KeyError::NoPair),
        }
    }

    /// Whether `signature` (in base64url) is the signature of `message` by this key and its algorithm.
    pub(super) fn verify(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.verifying, self.algorithm.jwt()).unwrap_or(false)
    }

    /// Signs `message`. Returns the signature in base64url, or `None` if no private key is configured.
    pub(super) fn sign(&self, message: &[u8]) -> Option<jsonwebtoken::errors::Result<String>> {
        self.signing.as_ref().map(|key| crypto::sign(message, key, self.algorithm.jwt()))
    }
}

fn public(algorithm: TokenAlgorithm, pem: &[u8]) -> Result<DecodingKey, KeyError> {
    let key = match algorithm {
        TokenAlgorithm::Hs256 => return Err(KeyError::WrongMaterial),
        TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
        TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem).and_then(|key| {
            let right_curve = key.try_get_as_bytes()?.len() == P256_POINT_BYTES;
            right_curve.then_some(key).ok_or_else(|| jsonwebtoken::errors::ErrorKind::InvalidEcdsaKey.into())
        }),
        TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
    };
    key.map_err(|_| KeyError::BadPublicKey(algorithm))
}

fn private(algorithm: TokenAlgorithm, pem: &[u8]) -> Result<EncodingKey, KeyError> {
    let key = match algorithm {
        TokenAlgorithm::Hs256 => return Err(KeyError::WrongMaterial),
        TokenAlgorithm::EdDsa => EncodingKey::from_ed_pem(pem),
        TokenAlgorithm::Es256 => EncodingKey::from_ec_pem(pem),
        TokenAlgorithm::Rs256 => EncodingKey::from_rsa_pem(pem),
    };
    key.map_err(|_| KeyError::BadPrivateKey(algorithm))
}

fn fingerprint(kid: &str, algorithm: TokenAlgorithm, material: &Material, audience: &str) -> Fingerprint {
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
