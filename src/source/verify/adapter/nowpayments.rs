//! NOWPayments: the HMAC covers the payload written anew, as compact JSON with the keys of every object sorted.
//!
//! Numbers keep the spelling in which they came, which is the one that was signed as long as the provider's JSON library wrote
//! both.

use super::{unproven::parse_unproven, verifier::AdapterVerifier};
use crate::source::verify::{
    rejection::Rejection,
    request::UnverifiedRequest,
    signature::{Algorithm, CannotSign, KeyForm, Mac, SecretError, SignedDelivery, Signer, UnsignedDelivery},
};
use secrecy::SecretString;
use serde_json::Value;

/// The header that carries the signature.
pub(super) const HEADER: http::HeaderName = http::HeaderName::from_static("x-nowpayments-sig");

/// The verifier of NOWPayments' webhooks.
pub(super) struct Nowpayments(Vec<Mac>);

impl Nowpayments {
    /// Checks the secrets and builds the verifier. An error gives the index of the secret that it is about.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, (usize, SecretError)> {
        Mac::all(Algorithm::HmacSha512, KeyForm::Utf8, secrets).map(Self)
    }
}

impl AdapterVerifier for Nowpayments {
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection> {
        let signature = request.parts.header(&HEADER).ok_or(Rejection::MissingSignature)?;
        let signature = hex::decode(signature).map_err(|_| Rejection::MalformedSignature)?;
        let payload = parse_unproven(request.body)?;
        if Mac::any_made(&self.0, &signature, &[canonical(&payload).as_bytes()]) {
            Ok(payload)
        } else {
            Err(Rejection::BadSignature)
        }
    }

    fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
    ) -> Result<SignedDelivery, CannotSign> {
        let mac = self.0.first().ok_or(CannotSign::NoKey)?;
        let payload = serde_json::from_slice(delivery.body).map_err(|_| CannotSign::Body)?;
        let signature = hex::encode(signer.mac(mac.sign(&[canonical(&payload).as_bytes()])));
        Ok(delivery.with(vec![(HEADER.to_string(), signature)], Vec::new(), delivery.body.to_vec()))
    }
}

/// Returns the payload as the provider signs it: compact JSON, with the keys of objects sorted by their bytes. `serde_json` keeps
/// the members of objects sorted unless something in the program enables its feature `preserve_order`, which a test guards.
pub(super) fn canonical(payload: &Value) -> String {
    payload.to_string()
}
