//! `[source.api]`: how a source asks its provider.

use crate::{config::document::Section, ingest::ApiSettings};

/// None only where a mistake was reported, or a secret not followed.
pub(super) fn settings(mut section: Section<'_>) -> Option<ApiSettings> {
    let client_id = section.secret("client_id");
    let key = section.secret("key");
    let url = section.parsed("url", "https://HOST, e.g. that of the provider's sandbox", |text| {
        if text.is_empty() { Err("is empty") } else { Ok(text.to_owned()) }
    });
    let is_well = client_id.is_some() == section.has("client_id") && url.is_some() == section.has("url");
    if !section.has("key") {
        let example = "a reference, e.g. \"env:ACME_API_KEY\"";
        section.wrong(&section.place("key"), "key", &format!("is missing; allowed: {example}"));
    }
    section.end();
    key.filter(|_| is_well).map(|key| ApiSettings { client_id, key, url })
}
