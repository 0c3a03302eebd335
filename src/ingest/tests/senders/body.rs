//! The bodies of deliveries: payloads as forms and XML.

use crate::source::testing::write_xml;
use serde_json::Value;

/// Writes a payload as a form.
pub(super) fn form(payload: &Value) -> String {
    let members = payload.as_object().unwrap().iter().map(|(key, value)| (key, text(Some(value))));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish()
}

/// Writes a payload as XML.
pub(super) fn xml_of(payload: &Value) -> String {
    let mut out = String::new();
    payload.as_object().into_iter().flatten().for_each(|(name, value)| write_xml(name, value, "", &mut out));
    out
}

/// Returns a scalar as a text.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
