//! Signing in to the console and out of it: the bearer token of an operator becomes a session, whose cookie no script can read.

use super::{
    answer::answer,
    audit::By,
    same_origin,
    sessions::{self, NewSession, Sessions},
};
use crate::{
    access::OperatorRole, http::problem::Problem, limits::LimitHit, metrics::Metrics, payment::Time,
    stream::Streams,
};
use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use std::sync::Arc;

/// What signing in and out touches.
#[derive(Clone)]
pub(super) struct Signing {
    pub(super) sessions: Arc<Sessions>,
    /// The open streams, which end with the session that opened them.
    pub(super) streams: Option<Arc<Streams>>,
    pub(super) metrics: Arc<Metrics>,
    /// Whether the listener speaks TLS itself.
    pub(super) is_tls: bool,
}

/// The path of the routes below `/admin`. Whoever may only read signs in and out too.
pub(super) const PATH: &str = "/session";

impl Signing {
    /// The routes.
    pub(super) fn routes(self) -> Router {
        Router::new().route("/session", get(who).post(sign_in).delete(sign_out)).with_state(self)
    }
}

/// Who asks, and until when.
async fn who(Extension(by): Extension<By>) -> Response {
    shown(&by, by.session().map(|session| session.ends_at))
}

async fn sign_in(
    Extension(by): Extension<By>,
    State(signing): State<Signing>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if by.session().is_some() {
        let detail = "a session is begun by the bearer token of an operator, and not by another session";
        return Err(Problem::bad_request("bad_parameter", detail));
    }
    let Signing { sessions, metrics, is_tls, .. } = signing;
    // The browser gets another one in its place.
    let port = same_origin::port(&uri, &headers);
    sessions.end(&headers, &port);
    let NewSession { value, ends_at, has_displaced } = sessions.begin(by.operator().clone());
    if has_displaced {
        metrics.limit_hits.count(LimitHit::ConsoleSessions);
    }
    tracing::info!(operator = &*by.operator().name, "an operator signed in to the console");
    let mut answer = shown(&by, Some(ends_at));
    let cookie = sessions::keep(&value, &port, is_tls || same_origin::is_secure(&headers));
    answer.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(answer)
}

async fn sign_out(
    Extension(by): Extension<By>,
    State(signing): State<Signing>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let port = same_origin::port(&uri, &headers);
    signing.sessions.end(&headers, &port);
    if let Some(streams) = signing.streams {
        streams.review();
    }
    tracing::info!(operator = &*by.operator().name, "an operator signed out of the console");
    let mut answer = (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response();
    for cookie in sessions::forget(&port) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

fn shown(by: &By, ends_at: Option<Time>) -> Response {
    let role = match by.operator().role {
        OperatorRole::Read => "read",
        OperatorRole::Write => "write",
    };
    answer(&json!({ "operator": by.operator().name, "role": role, "expires_at": ends_at }))
}
