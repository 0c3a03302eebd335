//! The beginning of a connection to a listener with TLS. The caller bounds its time.

use super::{guarded::Guarded, problem::Problem};
use crate::{
    metrics::{HandshakeOutcome, Metrics},
    tls::TlsServer,
};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
};
use rustls::HandshakeKind;
use std::{io, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// The most bytes of a response that wait, encrypted, for a client that does not read: one record. hyper buffers as many before that.
const BUFFER_BYTES: usize = 16 << 10;

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
    stream: Guarded,
    tls: &TlsServer,
    metrics: &Metrics,
) -> io::Result<Box<TlsStream<Guarded>>> {
    let acceptor = TlsAcceptor::from(tls.config());
    let accepted =
        acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(BUFFER_BYTES))).await;
    let outcome = match &accepted {
        Ok(stream) if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) => {
            HandshakeOutcome::Resumed
        }
        Ok(_) => HandshakeOutcome::Full,
        Err(_) => HandshakeOutcome::Failed,
    };
    metrics.tls_handshakes.count(outcome);
    accepted.map(Box::new)
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
