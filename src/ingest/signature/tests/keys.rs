//! Two sets of keys, old and new, in whatever form a recipe wants its secret.

use super::*;
use crate::ingest::signature::recipe::{Algorithm, KeyForm};
use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use std::sync::LazyLock;

/// The keys of one side of a rotation.
pub(in crate::ingest) struct Pair {
    name: &'static str,
    seed: [u8; 32],
    rsa: RsaKeyPair,
}

static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| [Pair::make("old", 7), Pair::make("new", 8)]);

impl Pair {
    fn make(name: &'static str, seed: u8) -> Self {
        let seed = std::array::from_fn(|place| (place as u8).wrapping_mul(37) ^ seed);
        Self { name, seed, rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    pub(super) fn two() -> [&'static Self; 2] {
        [&PAIRS[0], &PAIRS[1]]
    }

    pub(in crate::ingest) fn new() -> &'static Self {
        &PAIRS[1]
    }

    /// What a source would be given for the recipe's first method.
    pub(in crate::ingest) fn secret(&self, recipe: &Recipe) -> SecretString {
        let method = &recipe.methods[0];
        let bare = match (method.algorithm, method.key) {
            (Algorithm::RsaSha256, _) => {
                let der: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().unwrap();
                let text = STANDARD.encode(der.as_ref());
                format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----")
            }
            (Algorithm::Ed25519, _) => STANDARD.encode(self.ed25519_public()),
            (_, KeyForm::Hex) => hex::encode(self.seed),
            _ => STANDARD.encode(self.seed),
        };
        let id = if recipe.names_keys() { format!("{}:", self.name) } else { String::new() };
        format!("{id}{}{bare}", method.prefix).into()
    }

    /// A signature by a key that the secret is only the public half of.
    pub(super) fn sign(&self, recipe: &Recipe, message: &[&[u8]]) -> Option<Vec<u8>> {
        match recipe.methods[0].algorithm {
            Algorithm::RsaSha256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let message = message.concat();
                self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).unwrap();
                Some(signature)
            }
            Algorithm::Ed25519 => Some(self.ed25519_sign(message)),
            _ => None,
        }
    }

    pub(super) fn ed25519_public(&self) -> Vec<u8> {
        self.ed25519().public_key().as_ref().to_vec()
    }

    pub(super) fn ed25519_sign(&self, message: &[&[u8]]) -> Vec<u8> {
        self.ed25519().sign(&message.concat()).as_ref().to_vec()
    }

    fn ed25519(&self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&self.seed).unwrap()
    }
}
