//! Two sets of keys, old and new, in whatever form a recipe takes its secret.

use crate::source::verify::signature::recipe::{Algorithm, KeyForm, Recipe};
use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use std::sync::LazyLock;

/// The keys of one side of a rotation.
pub(crate) struct Pair {
    name: &'static str,
    seed: [u8; 32],
    rsa: RsaKeyPair,
}

static PAIRS: LazyLock<[Pair; 2]> = LazyLock::new(|| [Pair::make("old", 7), Pair::make("new", 8)]);

impl Pair {
    fn make(name: &'static str, seed: u8) -> Self {
        let seed = std::array::from_fn(|place| u8::try_from(place).unwrap().wrapping_mul(37) ^ seed);
        Self { name, seed, rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    pub(crate) fn two() -> [&'static Self; 2] {
        [&PAIRS[0], &PAIRS[1]]
    }

    pub(crate) fn new() -> &'static Self {
        &PAIRS[1]
    }

    /// Returns the secret that a source is configured with for the recipe's first method.
    pub(crate) fn secret(&self, recipe: &Recipe) -> SecretString {
        let method = &recipe.methods[0];
        let bare = match (method.algorithm, method.key) {
            (Algorithm::RsaSha256, form) => {
                let der: PublicKeyX509Der<'_> = self.rsa.public_key().as_der().unwrap();
                let (label, der) = match form {
                    KeyForm::Certificate => ("CERTIFICATE", certificate(der.as_ref())),
                    _ => ("PUBLIC KEY", der.as_ref().to_vec()),
                };
                format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", STANDARD.encode(der))
            }
            (Algorithm::Ed25519, _) => STANDARD.encode(self.ed25519_public()),
            (_, KeyForm::Hex) => hex::encode(self.seed),
            _ => STANDARD.encode(self.seed),
        };
        let id = if recipe.names_keys() { format!("{}:", self.name) } else { String::new() };
        format!("{id}{}{bare}", method.prefix).into()
    }

    /// Signs with the private key, if the source's secret is only the public half of the key.
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

/// Builds the smallest certificate that can be read: version 3, serial 1, SHA256withRSA, empty names and an empty signature.
fn certificate(public_key_info: &[u8]) -> Vec<u8> {
    let algorithm = hex::decode("300d06092a864886f70d01010b0500").unwrap();
    let validity = der(0x30, &[der(0x17, b"260101000000Z"), der(0x17, b"360101000000Z")].concat());
    let nobody = der(0x30, b"");
    let key = public_key_info.to_vec();
    let extensions = der(0xa3, &der(0x30, b""));
    let head = [der(0xa0, &der(2, &[2])), der(2, &[1]), algorithm.clone(), nobody.clone(), validity].concat();
    let body = der(0x30, &[head, nobody, key, extensions].concat());
    der(0x30, &[body, algorithm, der(3, &[0, 1])].concat())
}

/// Writes a value in DER: tag, length and value.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let mut out = match length {
        0..=127 => vec![tag, low],
        128..=255 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    out.extend(value);
    out
}
