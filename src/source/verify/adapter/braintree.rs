//! Braintree: a form that holds XML in base 64, and pairs of a public key and the HMAC over that text.
//!
//! A source's secret is `PUBLIC-KEY:PRIVATE-KEY`, as the control panel shows them; the key of the HMAC is the SHA-1 of the private
//! key. Before Braintree sends anything, it asks by GET whether the receiver knows the keys: it sends a challenge, which has to be signed
//! in the same way. Since anybody can send one, what [`is_challenge`] says is a challenge is all that is signed, and never a delivery.

use super::{unproven::MAX_UNPROVEN_BYTES, verifier::AdapterVerifier};
use crate::source::{
    payload::{RequestParts, XmlBounds, form, parse_xml_within},
    verify::{
        rejection::Rejection,
        request::UnverifiedRequest,
        signature::{
            Algorithm, CannotSign, KeyForm, Mac, SecretError, SignedDelivery, Signer, UnsignedDelivery,
        },
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha1::{Digest as _, Sha1};

/// The most pairs of a delivery that are looked at.
const MAX_PAIRS: usize = 16;

/// The verifier of Braintree's webhooks: for each secret, the public key and the MAC.
pub(super) struct Braintree(Vec<(String, Mac)>);

impl Braintree {
    /// Checks the secrets and builds the verifier. An error gives the index of the secret that it is about.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, (usize, SecretError)> {
        let mut keys = Vec::new();
        for (index, secret) in secrets.iter().enumerate() {
            let named = secret.expose_secret().split_once(':').filter(|(id, _)| !id.is_empty());
            let (id, private) = named.ok_or((index, SecretError::NoKeyId))?;
            // The private key is checked as it is, then hashed.
            Mac::new(Algorithm::HmacSha1, KeyForm::Utf8, private).map_err(|why| (index, why))?;
            let hashed = hex::encode(Sha1::digest(private));
            let mac = Mac::new(Algorithm::HmacSha1, KeyForm::Hex, &hashed).map_err(|why| (index, why))?;
            keys.push((id.to_owned(), mac));
        }
        Ok(Self(keys))
    }

    /// Returns whether one of the pairs signs the payload.
    fn is_good(&self, signatures: &str, payload: &str) -> bool {
        signatures.split('&').take(MAX_PAIRS).filter_map(|pair| pair.split_once('|')).any(
            |(id, signature)| {
                let Ok(signature) = hex::decode(signature) else { return false };
                let theirs = self.0.iter().filter(|(known, _)| known == id).map(|(_, mac)| mac);
                // Some of their systems sign the line break at the end, and others do not.
                theirs.into_iter().any(|mac| {
                    mac.made(&signature, &[payload.as_bytes()])
                        || mac.made(&signature, &[payload.as_bytes(), b"\n"])
                })
            },
        )
    }
}

impl AdapterVerifier for Braintree {
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection> {
        if request.body.len() > MAX_UNPROVEN_BYTES {
            return Err(Rejection::MalformedSignature);
        }
        let form = form(request.body);
        let text = |key| form.get(key).and_then(Value::as_str);
        let signatures = text("bt_signature").ok_or(Rejection::MissingSignature)?;
        let payload = text("bt_payload").ok_or(Rejection::MalformedSignature)?;
        // Whoever asks for it gets the signature of a challenge.
        if is_challenge(payload) || !self.is_good(signatures, payload) {
            return Err(Rejection::BadSignature);
        }
        let read = |document: Vec<u8>| parse_xml_within(&document, XmlBounds::BRAINTREE).ok();
        let encoded: String = payload.split_ascii_whitespace().collect();
        let document = STANDARD.decode(encoded).ok().and_then(read);
        // A signed document that cannot be read is not rejected but quarantined, because it has no type.
        Ok(document.unwrap_or_default())
    }

    /// Makes the form around an XML document.
    fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
    ) -> Result<SignedDelivery, CannotSign> {
        let (id, mac) = self.0.first().ok_or(CannotSign::NoKey)?;
        let payload = STANDARD.encode(delivery.body) + "\n";
        let signature = hex::encode(signer.mac(mac.sign(&[payload.as_bytes()])));
        let pairs = [("bt_signature", format!("{id}|{signature}")), ("bt_payload", payload)];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let form_type = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        Ok(delivery.with(vec![form_type], Vec::new(), form.into_bytes()))
    }

    fn answer(&self, parts: RequestParts<'_>) -> Option<String> {
        let challenge = parts.query("bt_challenge")?;
        let (id, mac) = self.0.first().filter(|_| is_challenge(&challenge))?;
        Some(format!("{id}|{}", hex::encode(mac.sign(&[challenge.as_bytes()]))))
    }
}

/// Returns whether a text has the form of Braintree's challenges. The payload of a delivery is longer.
fn is_challenge(text: &str) -> bool {
    (20..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
