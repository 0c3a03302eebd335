//! Errors as `application/problem+json` (RFC 9457), with a reason code for programs.
//!
//! This is the only writer of the format: what other rooms refuse arrives here as a status, a reason and a detail.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::{borrow::Cow, time::Duration};

/// The media type of every error.
const CONTENT_TYPE: &str = "application/problem+json";

/// One error, as the client is told of it.
#[derive(Debug)]
pub(super) struct Problem {
    /// The status of the answer; the body repeats it, with its title.
    status: StatusCode,
    /// The code by which programs tell errors apart. It does not change between versions.
    reason: &'static str,
    /// A sentence for people. It names the remedy where there is one.
    detail: Cow<'static, str>,
    /// Further headers of the answer.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// An error with its reason code and its sentence.
    pub(super) fn new(
        status: StatusCode,
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, reason, detail: detail.into(), headers: Vec::new() }
    }

    /// 400: the request itself is wrong.
    pub(super) fn bad_request(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason, detail)
    }

    /// 503: the fault is the gateway's, and the client should try again after `retry_after`.
    pub(super) fn unavailable(
        reason: &'static str,
        detail: impl Into<Cow<'static, str>>,
        retry_after: Duration,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason, detail).with_retry_after(retry_after)
    }

    /// The code by which programs tell errors apart.
    pub(super) const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Adds `Retry-After`, in whole seconds.
    pub(super) fn with_retry_after(self, after: Duration) -> Self {
        self.with(header::RETRY_AFTER, after.as_secs().into())
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("/problems/{}", self.reason),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "reason": self.reason,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        // Without it, caches may store a 404 by their own rules.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// 404: the listener has no such route.
pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", "there is nothing at this address")
}

/// 404: no source of that name is configured.
pub(super) fn unknown_source() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_source", "no source of this name is configured")
}

/// 404: the route concerns webhooks, and the role of this node does not include them.
pub(super) fn other_role() -> Problem {
    let detail = "this node only streams; ask one that takes webhooks (--role ingest or all)";
    Problem::new(StatusCode::NOT_FOUND, "other_role", detail)
}

/// 405: the route exists, but not for this method. The router adds the header `Allow`.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this address does not accept the method; see the header Allow",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_problem_has_all_members_and_is_never_cached() {
        let problem = Problem::unavailable("overload", "too much at once", Duration::from_secs(3));
        let (head, body) = problem.into_response().into_parts();
        assert_eq!(head.status, 503);
        assert_eq!(head.headers["content-type"], CONTENT_TYPE);
        assert_eq!(head.headers["cache-control"], "no-store");
        assert_eq!(head.headers["retry-after"], "3");
        let body: serde_json::Value =
            serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!(
            body,
            json!({ "type": "/problems/overload", "title": "Service Unavailable", "status": 503,
                    "detail": "too much at once", "reason": "overload" })
        );
    }
}
