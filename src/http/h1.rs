//! Serves one HTTP/1.1 connection by hyper, within its bounds.
//!
//! It promises that a head that is too long, has too many headers, could be read in two ways or does not arrive in time ends
//! the connection, that a connection which is open when the drain begins still gets the answer to its request, and that a
//! client which is still sending can read the answer. It does not know sockets or routes.
//!
//! | file | noun |
//! |---|---|
//! | `gate`    | the connection as hyper reads it, without the heads that are refused, and its close |
//! | `framing` | where requests begin and end, and which heads are refused |
//! | `chunks`  | where a chunked body ends |

mod chunks;
mod framing;
mod gate;

use super::service::Routed;
use crate::{limits::Limits, live::Live, shutdown::Shutdown};
use framing::HeadLimits;
use gate::Gate;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// The smallest read buffer for a connection, in bytes. Hyper accepts no bound below 8 KiB; twice that holds a whole head of
/// the default limit.
const MIN_BUFFER_BYTES: usize = 16 << 10;

/// Serves the connection until it ends. When the drain begins, the current request is answered and the connection closed.
///
/// Errors are the client's or its network's: the caller can only log them.
pub(super) async fn serve<S>(
    stream: S,
    service: Routed,
    limits: &Live<Limits>,
    shutdown: &Shutdown,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // `graceful_shutdown` before the first request would close the connection without an answer. A connection that is
    // accepted during the drain is therefore limited to one request instead.
    let is_late = shutdown.is_draining();
    let Limits { head_timeout, headers, head_bytes, .. } = limits.get();
    let stream = Gate::new(stream, HeadLimits::new(head_bytes, headers));
    let connection = http1::Builder::new()
        .keep_alive(!is_late)
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(headers)
        .max_header_size(head_bytes)
        .max_buf_size(head_bytes.max(MIN_BUFFER_BYTES))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // The connection is polled first, so that hyper reads what has arrived before it is told to shut down. Otherwise it
        // would close the connection without an answer here, too.
        biased;
        served = connection.as_mut() => return served,
        () = shutdown.draining(), if !is_late => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
