//! Tokens: some APIs take no key with each request, but give a token for the key that is valid for a time (OAuth 2.0, RFC 6749,
//! section 4.4). The token is held until shortly before it expires, and is written nowhere.

use super::{
    answer::AnswerError,
    api::{ApiError, ApiSettings},
    headers::Headers,
};
use crate::source::payload::unclear;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header::CONTENT_TYPE};
use secrecy::SecretString;
use serde::Deserialize;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What is asked for, as a form.
const GRANT: &[u8] = b"grant_type=client_credentials";

/// How long before it expires a token is no longer used, so that it is still valid when a request arrives.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a token is held whose answer does not say when it expires; such an answer is allowed.
const UNKNOWN_LIFE_S: u64 = 300;

/// The longest that a token is held. PayPal's are valid for nine hours.
const MAX_LIFE_S: u64 = 86_400;

/// `[confirm.token]` of a preset, compiled: how a token is asked for.
#[derive(Clone, Debug)]
pub(crate) struct TokenRule {
    /// The path of the address at the API's host.
    pub(crate) path: String,
    /// The headers of the request, with placeholders for credentials in their texts.
    pub(crate) headers: Vec<(HeaderName, String)>,
}

/// The tokens of one source.
pub(super) struct Tokens {
    /// The address to ask.
    uri: Uri,
    /// The headers of the request.
    headers: Headers,
    /// The token that is held. A std mutex, because nothing is awaited while it is held.
    held: Mutex<Option<Held>>,
}

/// A token, and when it is no longer used.
struct Held {
    token: SecretString,
    until: Instant,
}

/// The answer to a request for a token. Other members are not read.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

impl Tokens {
    /// Completes the rule with the scheme and host and the credentials of a source.
    pub(super) fn new(
        rule: TokenRule,
        origin: &str,
        settings: &ApiSettings,
        provider: &Arc<str>,
    ) -> Result<Self, ApiError> {
        let uri = format!("{origin}{}", rule.path).parse().map_err(|_| ApiError::Url)?;
        Ok(Self { uri, headers: Headers::new(rule.headers, settings, provider)?, held: Mutex::default() })
    }

    /// Builds the request for a token. Returns `None` if one is held that is valid at `now`.
    pub(super) fn request(&self, now: Instant) -> Option<Request<Bytes>> {
        if self.lock().as_ref().is_some_and(|held| now < held.until) {
            return None;
        }
        let mut request = Request::new(Bytes::from_static(GRANT));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.with_token(None);
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        Some(request)
    }

    /// Holds the token in the answer to that request. Fails if there is none that a header can carry.
    pub(super) fn keep(&self, body: &[u8], now: Instant) -> Result<(), AnswerError> {
        let answer: Answer = serde_json::from_slice(body).map_err(|_| AnswerError::Malformed)?;
        let Answer { access_token: token, expires_in } = answer;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(unclear("bad_token", "access_token")?);
        }
        let life = Duration::from_secs(expires_in.unwrap_or(UNKNOWN_LIFE_S).min(MAX_LIFE_S));
        *self.lock() = Some(Held { token: token.into(), until: now + life.saturating_sub(MARGIN) });
        Ok(())
    }

    /// Forgets the token. Returns whether there was one.
    pub(super) fn forget(&self) -> bool {
        self.lock().take().is_some()
    }

    /// Returns the token that is held. It may be about to expire.
    pub(super) fn held(&self) -> Option<SecretString> {
        self.lock().as_ref().map(|held| held.token.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_held_until_shortly_before_it_expires_and_asked_for_again_when_it_is_forgotten() {
        let rule = TokenRule {
            path: "/token".to_owned(),
            headers: vec![(http::header::AUTHORIZATION, "Basic {key:base64}".to_owned())],
        };
        let settings = ApiSettings { client_id: None, key: "live_dHar4XY7LxsDOtmnkVtj".into(), url: None };
        let tokens = Tokens::new(rule, "https://api.example", &settings, &"acme".into()).unwrap();
        let now = Instant::now();
        let request = tokens.request(now).unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (&Method::POST, "https://api.example/token")
        );
        assert_eq!(&request.body()[..], b"grant_type=client_credentials");
        assert!(request.headers()["authorization"].is_sensitive());
        for (answer, valid_s) in [
            (r#"{"access_token":"A21AA","token_type":"Bearer","expires_in":32400}"#, 32_340),
            (r#"{"access_token":"A21AA"}"#, 240),
            (r#"{"access_token":"A21AA","expires_in":60}"#, 0),
            (r#"{"access_token":"A21AA","expires_in":18446744073709551615}"#, 86_340),
        ] {
            tokens.keep(answer.as_bytes(), now).unwrap();
            assert!(tokens.request(now + Duration::from_secs(valid_s)).is_some(), "{answer}");
            if let Some(before) = valid_s.checked_sub(1) {
                assert!(tokens.request(now + Duration::from_secs(before)).is_none(), "{answer}");
            }
        }
        assert!(tokens.forget() && !tokens.forget() && tokens.held().is_none());
        for bad in ["", "[]", "{}", r#"{"access_token":7}"#] {
            assert_eq!(tokens.keep(bad.as_bytes(), now), Err(AnswerError::Malformed), "{bad}");
        }
        for bad in [r#"{"access_token":""}"#, r#"{"access_token":"a\r\nx-evil: 1"}"#] {
            assert!(matches!(tokens.keep(bad.as_bytes(), now), Err(AnswerError::Unclear(_))), "{bad}");
        }
        assert!(tokens.held().is_none());
    }
}
