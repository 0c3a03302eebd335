//! Adyen's standard webhooks: each item carries the HMAC of eight of its fields.
//!
//! So only these fields are proven, and only they are passed on, with three exceptions that change no status: `eventDate`, which
//! orders events, `live`, and `reason`, which says why a payment was refused. The identity of an item consists of proven fields alone, so replaying it under another date adds
//! nothing. The fields are joined without escaping, as Adyen's own libraries do.

use super::{unproven::parse_unproven, verifier::AdapterVerifier};
use crate::source::verify::{
    rejection::Rejection,
    request::UnverifiedRequest,
    signature::{Algorithm, CannotSign, KeyForm, Mac, SecretError, SignedDelivery, Signer, UnsignedDelivery},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

/// The pointers to the fields that are signed, in order.
const SIGNED: [&str; 8] = [
    "/pspReference",
    "/originalReference",
    "/merchantAccountCode",
    "/merchantReference",
    "/amount/value",
    "/amount/currency",
    "/eventCode",
    "/success",
];

/// The verifier of Adyen's standard webhooks.
pub(super) struct Adyen(Vec<Mac>);

impl Adyen {
    /// Checks the secrets and builds the verifier. An error gives the index of the secret that it is about.
    pub(super) fn new(secrets: &[SecretString]) -> Result<Self, (usize, SecretError)> {
        Mac::all(Algorithm::HmacSha256, KeyForm::Hex, secrets).map(Self)
    }

    /// Verifies an item and returns its proven part.
    fn item(&self, item: &Value, live: &Value) -> Result<Value, Rejection> {
        let item = item.get("NotificationRequestItem").ok_or(Rejection::MalformedSignature)?;
        let signature = item.pointer("/additionalData/hmacSignature").and_then(Value::as_str);
        let signature = STANDARD.decode(signature.ok_or(Rejection::MissingSignature)?);
        let signature = signature.map_err(|_| Rejection::MalformedSignature)?;
        let fields = SIGNED.map(|at| text(item.pointer(at)));
        if !Mac::any_made(&self.0, &signature, &[fields.join(":").as_bytes()]) {
            return Err(Rejection::BadSignature);
        }
        let [psp, original, account, reference, value, currency, code, success] = fields;
        let mut proven = Map::new();
        proven.insert("id".to_owned(), format!("{psp}:{code}:{success}").into());
        proven.insert("amount".to_owned(), json!({ "value": value, "currency": currency }));
        proven.insert("eventDate".to_owned(), item.get("eventDate").cloned().unwrap_or_default());
        proven.insert("live".to_owned(), live.clone());
        proven.insert("reason".to_owned(), item.get("reason").cloned().unwrap_or_default());
        for (key, text) in [
            ("pspReference", psp),
            ("originalReference", original),
            ("merchantAccountCode", account),
            ("merchantReference", reference),
            ("eventCode", code),
            ("success", success),
        ] {
            // An empty field counts as missing, so that the mapping looks at the next place.
            if !text.is_empty() {
                proven.insert(key.to_owned(), text.into());
            }
        }
        Ok(Value::Object(proven))
    }
}

impl AdapterVerifier for Adyen {
    fn open(&self, request: UnverifiedRequest<'_>) -> Result<Value, Rejection> {
        let body = parse_unproven(request.body)?;
        let items = body.get("notificationItems").and_then(Value::as_array);
        let items = items.filter(|items| !items.is_empty()).ok_or(Rejection::MissingSignature)?;
        let live = body.get("live").unwrap_or(&Value::Null);
        let items: Vec<Value> = items.iter().map(|item| self.item(item, live)).collect::<Result<_, _>>()?;
        Ok(json!({ "items": items }))
    }

    /// Signs each item of a delivery whose items are not signed.
    fn sign(
        &self,
        delivery: &UnsignedDelivery<'_>,
        signer: Signer<'_>,
    ) -> Result<SignedDelivery, CannotSign> {
        let mac = self.0.first().ok_or(CannotSign::NoKey)?;
        let mut body: Value = serde_json::from_slice(delivery.body).map_err(|_| CannotSign::Body)?;
        let items = body.get_mut("notificationItems").and_then(Value::as_array_mut);
        for item in items.ok_or(CannotSign::Body)? {
            let item = item.get_mut("NotificationRequestItem").ok_or(CannotSign::Body)?;
            let fields = SIGNED.map(|at| text(item.pointer(at)));
            let signature = signer.mac(mac.sign(&[fields.join(":").as_bytes()]));
            let more = item.get_mut("additionalData").and_then(Value::as_object_mut);
            more.ok_or(CannotSign::Body)?
                .insert("hmacSignature".to_owned(), STANDARD.encode(signature).into());
        }
        Ok(delivery.with(Vec::new(), Vec::new(), body.to_string().into_bytes()))
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
