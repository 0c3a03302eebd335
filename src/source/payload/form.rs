//! Forms (`application/x-www-form-urlencoded`), read as objects of texts.

use serde_json::Value;

/// Reads a form. If a key occurs twice, its last text counts.
pub(crate) fn form(body: &[u8]) -> Value {
    let pairs = form_urlencoded::parse(body);
    pairs.map(|(key, value)| (key.into_owned(), Value::String(value.into_owned()))).collect()
}
