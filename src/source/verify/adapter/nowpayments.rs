//! NOWPayments: the HMAC is over the payload written anew, compact and with the keys of every object sorted.
//!
//! Numbers keep the spelling in which they came, which is the one that was signed as long as the provider's JSON library wrote
//! both.

use super::{unproven::parse_unproven, verifier::AdapterVerifier};
use crate::source::verify::{
    rejection::Rejection,
    request::UnverifiedRequest,
    signature::{Algorithm, KeyForm, Mac, SecretError},
};
use secrecy::SecretString;
use serde_json::Value;

pub(super) const HEADER: http::HeaderName = http::HeaderName::from_static("x-nowpayments-sig");

pub(super) struct Nowpayments(Vec<Mac>);

impl Nowpayments {
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, (usize, SecretError)> {
        Mac::all(Algorithm::HmacSha512, KeyForm::Utf8, secrets).map(Self)
    }
}

impl AdapterVerifier for Nowpayments {
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection> {
        let signature = request.around.header(&HEADER).ok_or(Rejection::MissingSignature)?;
        let signature = hex::decode(signature).map_err(|_| Rejection::MalformedSignature)?;
        let payload = parse_unproven(request.body)?;
        let mut canonical = String::with_capacity(request.body.len());
        write(&payload, &mut canonical);
        if Mac::any_made(&self.0, &signature, &[canonical.as_bytes()]) {
            Ok(payload)
        } else {
            Err(Rejection::BadSignature)
        }
    }
}

/// Writes JSON without blanks, the keys of objects in the order of their bytes.
pub(super) fn write(value: &Value, out: &mut String) {
    let mut separator = "";
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                out.push_str(separator);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, out);
                separator = ",";
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for value in items {
                out.push_str(separator);
                write(value, out);
                separator = ",";
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
