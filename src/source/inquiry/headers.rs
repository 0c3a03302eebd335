//! The headers of requests to a provider's API, with the credentials of a source.

use super::api::{ApiError, ApiSettings};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::ACCEPT};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

/// The placeholder for the source's API key in the texts of headers.
pub(crate) const KEY: &str = "{key}";

/// The placeholder for the API key in base 64, as `Basic` authentication needs it of `USER:PASSWORD` (RFC 7617).
pub(crate) const KEY_BASE64: &str = "{key:base64}";

/// The placeholder for the client's id.
pub(crate) const CLIENT_ID: &str = "{client_id}";

/// The placeholder for the token that the API gives for a time.
pub(crate) const TOKEN: &str = "{token}";

/// The headers of each request.
pub(super) struct Headers {
    /// Those that are always the same.
    fixed: HeaderMap,
    /// Those that contain the token, with the place of it left open.
    with_token: Vec<(HeaderName, String)>,
}

impl Headers {
    /// Fills the credentials in. Fails if one of them is missing, or cannot be sent in a header.
    pub(super) fn new(
        texts: Vec<(HeaderName, String)>,
        settings: &ApiSettings,
        provider: &Arc<str>,
    ) -> Result<Self, ApiError> {
        let key = settings.checked_key()?;
        let mut fixed = HeaderMap::new();
        fixed.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut with_token = Vec::new();
        for (name, text) in texts {
            let mut filled = text.replace(KEY_BASE64, &STANDARD.encode(key)).replace(KEY, key);
            if text.contains(CLIENT_ID) {
                let id = settings.client_id().ok_or_else(|| ApiError::NoClientId(Arc::clone(provider)))?;
                filled = filled.replace(CLIENT_ID, id);
            }
            if text.contains(TOKEN) {
                with_token.push((name, filled));
                continue;
            }
            let is_secret = filled != text;
            let mut value = HeaderValue::try_from(filled).map_err(|_| ApiError::Unsendable)?;
            value.set_sensitive(is_secret);
            fixed.insert(name, value);
        }
        Ok(Self { fixed, with_token })
    }

    /// Returns the headers with this token, which a header can carry. Without a token, those that need one are left out.
    pub(super) fn with_token(&self, token: Option<&SecretString>) -> HeaderMap {
        let mut headers = self.fixed.clone();
        let Some(token) = token else { return headers };
        for (name, text) in &self.with_token {
            if let Ok(mut value) = HeaderValue::try_from(text.replace(TOKEN, token.expose_secret())) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        headers
    }
}
