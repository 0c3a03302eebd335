//! Static pages: files that are compiled into the program and served from memory.
//!
//! A browser may keep a page but asks each time whether its `ETag` is still the same. The security policy of a page forbids it
//! to load anything from another origin.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use sha2::{Digest, Sha256};

/// The content types of the pages.
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const SVG: &str = "image/svg+xml";

/// The `Content-Security-Policy` of every page.
pub(super) const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file, and the path at which it is served.
pub(super) struct Page {
    /// The path of the route.
    pub(super) path: &'static str,
    /// The `Content-Type`.
    pub(super) content_type: &'static str,
    /// The content of the file.
    text: &'static str,
}

/// The routes of the pages.
pub(super) fn routes(pages: &'static [Page]) -> Router {
    pages.iter().fold(Router::new(), |router, page| {
        let tag = page.tag();
        router.route(
            page.path,
            get(move |headers: HeaderMap| async move { page.answer(tag.as_ref(), &headers) }),
        )
    })
}

impl Page {
    pub(super) const fn new(path: &'static str, content_type: &'static str, text: &'static str) -> Self {
        Self { path, content_type, text }
    }

    /// The `ETag` is a hash of the text, so that a new version's page is never combined with an old version's scripts.
    fn tag(&self) -> Option<ETag> {
        format!("\"{}\"", hex::encode(Sha256::digest(self.text))).parse().ok()
    }

    fn answer(&self, tag: Option<&ETag>, headers: &HeaderMap) -> Response {
        let common = [
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        ];
        let known = headers.typed_get::<IfNoneMatch>();
        let is_known = known.zip(tag).is_some_and(|(known, tag)| !known.precondition_passes(tag));
        let mut response = if is_known {
            (StatusCode::NOT_MODIFIED, common).into_response()
        } else {
            (common, [(header::CONTENT_TYPE, self.content_type)], self.text).into_response()
        };
        if let Some(tag) = tag {
            response.headers_mut().typed_insert(tag.clone());
        }
        response
    }
}

#[cfg(test)]
pub(super) use tests::{fetched, reached};

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt as _;
    use std::collections::BTreeSet;
    use tower::ServiceExt as _;

    /// The status, the security policy and the text of a page.
    pub(in crate::http) async fn fetched(routes: Router, path: &str) -> (u16, String, String) {
        let answer = routes.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, policy) =
            (answer.status().as_u16(), header("content-security-policy").unwrap_or_default());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, policy, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The addresses that a file of a page loads at `path`, resolved as a browser does.
    fn loaded(path: &str, text: &str) -> Vec<String> {
        let marks = [" from \"", "href=\"", "src=\"", "url(\""];
        let found = marks.iter().flat_map(|mark| text.split(mark).skip(1));
        let base = reqwest::Url::parse("http://gateway").unwrap().join(path).unwrap();
        let found = found.filter_map(|rest| rest.split('"').next()).filter(|link| !link.starts_with('#'));
        found.map(|link| base.join(link).unwrap().to_string()).collect()
    }

    /// All files that a browser loads for a page. Each is served, with the policy of pages, and none is of another origin.
    pub(in crate::http) async fn reached(routes: Router, page: &str) -> BTreeSet<String> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![format!("http://gateway{page}")]);
        while let Some(address) = next.pop() {
            let path =
                address.strip_prefix("http://gateway").unwrap_or_else(|| panic!("another origin: {address}"));
            if seen.insert(path.to_owned()) {
                let (status, policy, text) = fetched(routes.clone(), path).await;
                assert_eq!((status, &*policy), (200, POLICY), "{path}");
                next.extend(loaded(path, &text));
            }
        }
        seen
    }

    static PAGES: [Page; 1] = [Page::new("/", HTML, "<!doctype html>")];

    /// nginx makes a tag weak when it compresses an answer, and a cache may send several tags. Only the bare tag used to be
    /// recognised.
    #[tokio::test]
    async fn a_tag_that_a_proxy_made_weak_or_put_in_a_list_is_recognised() {
        let page = PAGES[0].answer(PAGES[0].tag().as_ref(), &HeaderMap::new());
        let tag = page.headers()["etag"].to_str().unwrap().to_owned();
        for (known, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            ("\"with a space\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
            (String::new(), 200),
        ] {
            let request = Request::get("/").header("if-none-match", &known).body(Body::empty()).unwrap();
            let answer = routes(&PAGES).oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{known}");
            assert_eq!(answer.headers()["etag"], tag, "{known}");
        }
    }
}
