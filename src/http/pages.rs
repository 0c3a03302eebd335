//! Static pages: files that are part of the program, served from memory.
//!
//! Each is known by its `ETag`, and a browser asks each time whether it is still the same. A page loads nothing from another
//! origin, which its security policy enforces.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml";

/// The `Content-Security-Policy` of every page.
pub(super) const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file and where it is served.
pub(super) struct Page {
    /// The path of its route.
    pub(super) path: &'static str,
    /// Its `Content-Type`.
    pub(super) content_type: &'static str,
    text: &'static str,
}

/// A route for each of the pages.
pub(super) fn routes(pages: &'static [Page]) -> Router {
    pages.iter().fold(Router::new(), |router, page| {
        let tag = page.tag();
        router.route(page.path, get(move |headers: HeaderMap| async move { page.answer(&tag, &headers) }))
    })
}

impl Page {
    pub(super) const fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        Self { path, content_type, text }
    }

    /// The `ETag`: the text's hash, so that a newer program's page is never mixed with an older one's scripts.
    fn tag(&self) -> String {
        format!("\"{}\"", hex::encode(Sha256::digest(self.text)))
    }

    fn answer(&self, tag: &str, headers: &HeaderMap) -> Response {
        let common = [
            (header::ETAG, HeaderValue::from_str(tag).unwrap_or(HeaderValue::from_static("\"\""))),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ];
        if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(header::CONTENT_TYPE, self.content_type)], self.text).into_response()
    }
}
