//! `[source.api]`: how a source asks its provider.

use crate::{config::document::Section, ingest::ApiSettings, secret};
use secrecy::ExposeSecret as _;

/// The shortest API key that is taken; what providers hand out is longer.
const MIN_KEY_BYTES: usize = 8;

const URL: &str = "https://HOST, or http:// on this machine alone, without a path";

/// What is typed of it, if anything is. None only where a mistake was reported.
#[expect(clippy::option_option, reason = "a mistake is something else than nothing typed")]
pub(super) fn settings(source: &mut Section<'_>) -> Option<Option<ApiSettings>> {
    let Some(mut section) = source.section("api") else { return (!source.has("api")).then_some(None) };
    let client_id = section.secret("client_id");
    let key = section.secret("key");
    let url = section.parsed("url", URL, url);
    if !section.has("key") {
        let example = "a reference, e.g. \"env:ACME_API_KEY\"";
        section.wrong(&section.place("key"), "key", &format!("is missing; allowed: {example}"));
    }
    let checked = key.as_ref().map_or(Ok(()), |key| secret::check(key.expose_secret(), MIN_KEY_BYTES));
    if let Err(weakness) = checked {
        section.wrong(
            &section.place("key"),
            "key",
            &format!("{weakness}; use the one that the provider shows"),
        );
    }
    let is_well = checked.is_ok()
        && client_id.is_some() == section.has("client_id")
        && url.is_some() == section.has("url");
    section.end();
    key.filter(|_| is_well).map(|key| Some(ApiSettings { client_id, key, url }))
}

/// Scheme and host. What is asked shows our key, so it goes over TLS unless it stays on the machine.
fn url(text: &str) -> Result<String, &'static str> {
    let url: http::Uri = text.parse().map_err(|_| "is no address")?;
    let host = url.host().unwrap_or_default();
    let is_near = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
    match url.scheme_str() {
        Some("https") if is_bare => {}
        Some("http") if is_bare && is_near => {}
        Some("http") if is_bare => return Err("would show the key to whoever listens"),
        _ => return Err("is no scheme and host"),
    }
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("holds credentials, which belong in `key`");
    }
    Ok(text.trim_end_matches('/').to_owned())
}
