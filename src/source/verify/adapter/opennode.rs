//! OpenNode: a form whose `hashed_order` is the HMAC of its `id` alone. Anyone could have written the status beside it, and even
//! the whole form once its hash was seen; the preset therefore sets its trust to a hint.

use super::{unproven::MAX_UNPROVEN_BYTES, verifier::AdapterVerifier};
use crate::source::verify::{
    rejection::Rejection,
    request::UnverifiedRequest,
    signature::{Algorithm, CannotSign, KeyForm, Mac, SecretError, SignedDelivery, Signer, UnsignedDelivery},
};
use secrecy::SecretString;
use serde_json::Value;

/// The verifier of OpenNode's webhooks.
pub(super) struct Opennode(Vec<Mac>);

impl Opennode {
    /// Checks the secrets and builds the verifier. An error gives the index of the secret that it is about.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, (usize, SecretError)> {
        Mac::all(Algorithm::HmacSha256, KeyForm::Utf8, secrets).map(Self)
    }
}

impl AdapterVerifier for Opennode {
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection> {
        if request.body.len() > MAX_UNPROVEN_BYTES {
            return Err(Rejection::MalformedSignature);
        }
        let form = crate::source::payload::form(request.body);
        let text = |key| form.get(key).and_then(Value::as_str);
        let signature = text("hashed_order").ok_or(Rejection::MissingSignature)?;
        let signature = hex::decode(signature).map_err(|_| Rejection::MalformedSignature)?;
        let id = text("id").ok_or(Rejection::MalformedSignature)?;
        if Mac::any_made(&self.0, &signature, &[id.as_bytes()]) {
            Ok(form)
        } else {
            Err(Rejection::BadSignature)
        }
    }

    /// Adds the hash to a form that has none.
    fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
    ) -> Result<SignedDelivery, CannotSign> {
        let mac = self.0.first().ok_or(CannotSign::NoKey)?;
        let form = crate::source::payload::form(delivery.body);
        let id = form.get("id").and_then(Value::as_str).ok_or(CannotSign::Body)?;
        let hash = hex::encode(signer.mac(mac.sign(&[id.as_bytes()])));
        let body = [delivery.body, b"&hashed_order=", hash.as_bytes()].concat();
        Ok(delivery.with(Vec::new(), Vec::new(), body))
    }
}
