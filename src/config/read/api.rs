//! Reads `[source.api]`: the credentials with which the gateway asks a provider about payments.

use crate::{config::document::Section, source::ApiSettings};

/// The settings of `[source.api]`. They are `None` only if a mistake was reported or a secret was not resolved.
pub(super) fn settings(mut section: Section<'_>) -> Option<ApiSettings> {
    let client_id = section.secret("client_id");
    let key = section.secret("key");
    let url = section.parsed("url", "https://HOST, e.g. the address of the provider's sandbox", |text| {
        if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
    });
    let is_valid = client_id.is_some() == section.has("client_id") && url.is_some() == section.has("url");
    if !section.has("key") {
        let example = "a reference, e.g. \"env:ACME_API_KEY\"";
        section.wrong(&section.place("key"), "key", &format!("this key is missing; allowed: {example}"));
    }
    section.end();
    key.filter(|_| is_valid).map(|key| ApiSettings { client_id, key, url })
}
