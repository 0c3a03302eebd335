//! The beginning of a connection to a listener with TLS. The caller bounds its time.

use super::{guarded::Guarded, problem::Problem, secured::Secured};
use crate::{
    metrics::{HandshakeOutcome, Metrics},
    tls::{Session, TlsServer},
};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
};
use rustls::HandshakeKind;
use std::{future::poll_fn, io, sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// Whether the client begins with a letter, as every request of HTTP does and no record of TLS. Waits for the first byte.
pub(super) async fn is_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let length = stream.peek(&mut first).await?;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(first[0].is_ascii_alphabetic())
}

/// Answers each request that came without TLS.
pub(super) fn refusing_plain_http() -> Router {
    Router::new().fallback(async || {
        Problem::bad_request(
            "tls_required",
            "this listener speaks HTTP over TLS only; use https:// instead of http://",
        )
        .with(header::CONNECTION, HeaderValue::from_static("close"))
    })
}

/// Shakes hands with a client. An error has been told to the client, as far as the protocol has a word for it.
pub(super) async fn shake_hands(
    socket: Guarded,
    tls: &TlsServer,
    metrics: &Metrics,
) -> io::Result<Box<Secured>> {
    let session = Session::new(tls.config()).map_err(io::Error::other)?;
    let mut secured = Box::new(Secured::new(socket, session));
    let shaken = poll_fn(|context| secured.poll_handshake(context)).await;
    metrics.tls_handshakes.count(match (&shaken, secured.session().handshake_kind()) {
        (Ok(()), Some(HandshakeKind::Resumed)) => HandshakeOutcome::Resumed,
        (Ok(()), _) => HandshakeOutcome::Full,
        (Err(_), _) => HandshakeOutcome::Failed,
    });
    shaken.map(|()| secured)
}

/// The same routes, whose answers tell browsers to use TLS alone for this host for so long (RFC 6797). For routes that are served over
/// TLS only.
pub fn with_strict_transport(routes: Router, max_age: Duration) -> Router {
    let value = HeaderValue::try_from(format!("max-age={}", max_age.as_secs()));
    let value = Arc::new(value.unwrap_or(HeaderValue::from_static("max-age=0")));
    routes.layer(middleware::map_response(move |mut response: Response| {
        let value = HeaderValue::clone(&value);
        async move {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
            response
        }
    }))
}
