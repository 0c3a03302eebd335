//! The origins whose pages may read answers: an exact list, which is empty by default.
//!
//! There is no wildcard, because answers are sent with credentials: every page could then read its visitors' payments. In
//! development, pages of every origin on the loopback interface may read answers too, but without credentials, which only an
//! origin on the list ever gets.

use crate::loopback::is_loopback;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// The list of allowed origins.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors {
    /// The origins in the form that browsers send.
    origins: Vec<HeaderValue>,
    /// Whether pages of loopback origins, at any port, may read answers too.
    loopback: bool,
}

/// Why a text is not an origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OriginError {
    /// The text has a `*`. Browsers refuse it with credentials, and it would let every page read payments.
    #[error("\"*\" is not allowed; list each origin, e.g. https://shop.example")]
    Wildcard,
    /// The text has another form than an origin.
    #[error(
        "not an origin; allowed: scheme://host or scheme://host:port without a path, e.g. https://shop.example"
    )]
    Shape,
}

/// How long a browser may keep the answer to a preflight, in seconds. Chromium keeps it for two hours at most.
const MAX_AGE_S: &str = "7200";

/// The request headers that a page may set.
const ALLOWED_HEADERS: &str = "Authorization, Last-Event-ID, If-None-Match, Prefer, Cache-Control";

impl Cors {
    /// Reads the list. Texts that are not origins are left out and returned with their position, text and reason.
    pub(super) fn new(origins: &[String]) -> (Self, Vec<(usize, String, OriginError)>) {
        let mut cors = Self::default();
        let mut wrong = Vec::new();
        for (index, origin) in origins.iter().enumerate() {
            match normalise(origin) {
                Ok(origin) => cors.origins.push(origin),
                Err(error) => wrong.push((index, origin.clone(), error)),
            }
        }
        (cors, wrong)
    }

    /// The same list, with pages of loopback origins allowed or not.
    pub(super) const fn with_loopback(mut self, loopback: bool) -> Self {
        self.loopback = loopback;
        self
    }

    /// Returns `origin` if its pages may read answers.
    fn allowed<'a>(&self, origin: Option<&'a HeaderValue>) -> Option<&'a HeaderValue> {
        origin.filter(|origin| self.lists(origin) || self.loopback && is_loopback_origin(origin))
    }

    /// Whether an origin is on the list.
    pub(super) fn lists(&self, origin: &HeaderValue) -> bool {
        self.origins.contains(origin)
    }

    /// Adds to an answer the headers that let a page of an allowed origin read it. Every answer gets `Vary: Origin`, so that
    /// no cache gives one origin's answer to another.
    pub(super) fn answer(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed(origin) {
            if self.lists(origin) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag"));
        }
    }

    /// The headers of the answer to a preflight. An origin that is not on the list gets only `Vary`, so that the browser
    /// refuses.
    pub(super) fn preflight(&self, origin: Option<&HeaderValue>) -> HeaderMap {
        let mut answer = HeaderMap::new();
        self.answer(origin, &mut answer);
        if answer.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            answer.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
            let more: [(HeaderName, &'static str); 3] = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, OPTIONS"),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS),
                (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
            ];
            for (name, value) in more {
                answer.insert(name, HeaderValue::from_static(value));
            }
        }
        answer
    }
}

/// Whether this is an origin on this machine, in the form that browsers send: `http://localhost:3000`, `https://127.0.0.1`,
/// `http://[::1]:5173`.
fn is_loopback_origin(origin: &HeaderValue) -> bool {
    let Ok(text) = origin.to_str() else { return false };
    // A browser sends no other form, so nothing can be hidden before or behind the host.
    if normalise(text).ok().as_ref() != Some(origin) {
        return false;
    }
    let uri: Option<http::Uri> = text.parse().ok();
    uri.as_ref().and_then(http::Uri::host).is_some_and(is_loopback)
}

/// Brings an origin into the form that browsers send: scheme and host in lower case, no default port, no trailing slash.
fn normalise(text: &str) -> Result<HeaderValue, OriginError> {
    let text = text.trim();
    if text.contains('*') {
        return Err(OriginError::Wildcard);
    }
    let uri: http::Uri = text.to_ascii_lowercase().parse().map_err(|_| OriginError::Shape)?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(OriginError::Shape) };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(OriginError::Shape),
    };
    // The host is followed by nothing or by a port. `Uri::port` is not used, because it ignores a port that is out of range.
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let port = match authority.strip_prefix(host).map(|rest| (rest.is_empty(), rest.strip_prefix(':'))) {
        Some((true, _)) => default_port,
        Some((false, Some(port))) => port.parse::<u16>().map_err(|_| OriginError::Shape)?,
        _ => return Err(OriginError::Shape),
    };
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('#');
    if !bare || host.is_empty() {
        return Err(OriginError::Shape);
    }
    let origin =
        if port == default_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") };
    HeaderValue::try_from(origin).map_err(|_| OriginError::Shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        for (text, expected) in [
            ("https://shop.example", Ok("https://shop.example")),
            ("https://Shop.Example/", Ok("https://shop.example")),
            ("HTTPS://shop.example:443", Ok("https://shop.example")),
            ("http://localhost:3000", Ok("http://localhost:3000")),
            ("http://[::1]:3000", Ok("http://[::1]:3000")),
            ("*", Err(OriginError::Wildcard)),
            ("https://*.shop.example", Err(OriginError::Wildcard)),
            ("", Err(OriginError::Shape)),
            ("null", Err(OriginError::Shape)),
            ("shop.example", Err(OriginError::Shape)),
            ("shop.example:443", Err(OriginError::Shape)),
            ("https://", Err(OriginError::Shape)),
            ("https://shop.example/checkout", Err(OriginError::Shape)),
            ("https://shop.example?x", Err(OriginError::Shape)),
            ("https://shop.example#x", Err(OriginError::Shape)),
            ("https://u:p@shop.example", Err(OriginError::Shape)),
            ("https://shop.example:", Err(OriginError::Shape)),
            ("https://shop.example:99999", Err(OriginError::Shape)),
            ("ftp://shop.example", Err(OriginError::Shape)),
            ("https://shop example", Err(OriginError::Shape)),
        ] {
            let read = normalise(text).map(|origin| origin.to_str().unwrap().to_owned());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn in_development_loopback_origins_may_read_without_credentials_and_no_other_may() {
        let (listed, wrong) = Cors::new(&["https://shop.example".into(), "http://localhost:4000".into()]);
        assert!(wrong.is_empty());
        for (origin, is_loopback) in [
            ("http://localhost:3000", true),
            ("http://localhost", true),
            ("https://localhost:8443", true),
            ("http://127.0.0.1:5173", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:3000", true),
            ("https://[::1]", true),
            ("null", false),
            ("", false),
            ("file://", false),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("http://evil-localhost", false),
            ("http://127.0.0.1.evil.example:3000", false),
            ("http://localhost:3000.evil.example", false),
            ("http://localhost@evil.example", false),
            ("http://evil.example@localhost", false),
            ("http://localhost:3000/", false),
            ("http://localhost:3000#evil", false),
            ("http://localhost, https://evil.example", false),
            ("ftp://localhost", false),
            ("http://192.168.0.1:3000", false),
            ("http://0.0.0.0:3000", false),
            ("http://[::]:3000", false),
            ("http://2130706433", false),
        ] {
            let value = HeaderValue::from_static(origin);
            assert_eq!(listed.allowed(Some(&value)), None, "{origin}: only in development");
            let preflight = listed.clone().with_loopback(true).preflight(Some(&value));
            let allowed = preflight.get("access-control-allow-origin");
            assert_eq!(allowed, is_loopback.then_some(&value), "{origin}");
            assert!(!preflight.contains_key("access-control-allow-credentials"), "{origin}");
            assert_eq!(preflight["vary"], "Origin");
        }
        // An origin on the list keeps its credentials.
        let listed_there = HeaderValue::from_static("http://localhost:4000");
        let answer = listed.with_loopback(true).preflight(Some(&listed_there));
        assert_eq!(answer["access-control-allow-credentials"], "true");
    }

    #[test]
    fn only_listed_origins_may_read_and_all_answers_vary() {
        let (cors, wrong) = Cors::new(&["https://shop.example".into(), "*".into()]);
        assert_eq!(wrong, [(1, "*".to_owned(), OriginError::Wildcard)]);
        for (origin, allowed) in [
            (Some("https://shop.example"), true),
            (Some("https://shop.example.evil"), false),
            (Some("http://shop.example"), false),
            (Some("https://shop.example:8443"), false),
            (Some("null"), false),
            (None, false),
        ] {
            let origin = origin.map(HeaderValue::from_static);
            let preflight = cors.preflight(origin.as_ref());
            let mut answer = HeaderMap::new();
            cors.answer(origin.as_ref(), &mut answer);
            for headers in [&preflight, &answer] {
                assert_eq!(headers["vary"], "Origin");
                let expected = origin.as_ref().filter(|_| allowed);
                assert_eq!(headers.get("access-control-allow-origin"), expected, "{origin:?}");
                assert_eq!(headers.contains_key("access-control-allow-credentials"), allowed);
            }
            assert_eq!(preflight.contains_key("access-control-allow-headers"), allowed);
            assert_eq!(answer.contains_key("access-control-expose-headers"), allowed);
        }
    }
}
