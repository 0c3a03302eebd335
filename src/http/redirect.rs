//! The listener without TLS that leads browsers to the one with it.
//!
//! Only reads are led on: whatever a POST carries has already crossed the network in the clear, so its sender is told of the mistake
//! instead of being helped to repeat it. The target is a host of a certificate, never merely what the request says.

use super::problem::Problem;
use crate::tls::TlsServer;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// The port of https:// (RFC 9110, section 4.2.2), which URLs leave out.
const HTTPS_PORT: u16 = 443;

/// Routes that redirect each GET and HEAD to the same address over TLS, on `port`.
pub fn to_tls(tls: Arc<TlsServer>, port: u16) -> Router {
    Router::new().fallback(move |request: Request| {
        let answer = answer(&tls, port, &request);
        async move { answer }
    })
}

fn answer(tls: &TlsServer, port: u16, request: &Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let detail = "send this request over TLS: use https:// instead of http://; what it carries, such as a token, was readable on the \
                      network and should be replaced";
        return Problem::bad_request("tls_required", detail).into_response();
    }
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| request.uri().authority().map(Authority::as_str));
    let host = named.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
    let Some(host) = host.filter(|host| tls.is_for(host)) else {
        let detail = "the request is for a host that no certificate of this gateway is for; use the name of the certificate";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail).into_response();
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let target = if port == HTTPS_PORT {
        format!("https://{host}{path}")
    } else {
        format!("https://{host}:{port}{path}")
    };
    let Ok(target) = HeaderValue::try_from(target) else {
        return Problem::bad_request("tls_required", "use https:// instead of http://").into_response();
    };
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response()
}
