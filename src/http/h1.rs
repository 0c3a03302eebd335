//! Serves one HTTP/1.1 connection by hyper, within its bounds.
//!
//! It promises that a head that is too long, has too many headers, could be read in two ways or does not arrive in time ends
//! the connection, that a connection which is open when the drain begins still gets the answer to its request, and that a
//! client which is still sending can read the answer. A stream leaves the connection, which ends with it. It does not know routes.
//!
//! | file | noun |
//! |---|---|
//! | `gate`    | the connection as hyper reads it, without the heads that are refused, and its close |
//! | `framing` | where requests begin and end, and which heads are refused |
//! | `chunks`  | where a chunked body ends |

mod chunks;
mod framing;
mod gate;

use super::{
    leave::{Door, Exit, Leaver},
    read_ahead::ReadAhead,
    service::Routed,
    wire::Wire,
};
use crate::{limits::Limits, live::Live, shutdown::Shutdown};
use framing::HeadLimits;
use gate::Gate;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, future::poll_fn, pin::Pin, task::Poll};

/// The smallest read buffer for a connection, in bytes. Hyper accepts no bound below 8 KiB; twice that holds a whole head of
/// the default limit.
const MIN_BUFFER_BYTES: usize = 16 << 10;

/// Serves the connection until it ends, or returns the stream that leaves it. When the drain begins, the current request is
/// answered and the connection closed.
///
/// Errors are the client's or its network's: the caller can only log them.
pub(super) async fn serve(
    stream: ReadAhead<Wire>,
    service: Routed,
    limits: &Live<Limits>,
    shutdown: &Shutdown,
) -> hyper::Result<Option<Box<Leaver>>> {
    // `graceful_shutdown` before the first request would close the connection without an answer. A connection that is
    // accepted during the drain is therefore limited to one request instead.
    let is_late = shutdown.is_draining();
    let Limits { head_timeout, headers, head_bytes, .. } = limits.get();
    let stream = Gate::new(stream, HeadLimits::new(head_bytes, headers));
    let exit = Exit::default();
    let stopping = exit.clone();
    let routed = service_fn(move |request: Request<Incoming>| {
        let (version, exit) = (request.version(), stopping.clone());
        let response = hyper::service::Service::call(&service, request);
        async move {
            let response = match response.await {
                Ok(response) => exit.stop(response, version),
                Err(never) => match never {},
            };
            match response {
                Some(response) => Ok::<_, Infallible>(response),
                // The connection is about to be taken apart.
                None => std::future::pending().await,
            }
        }
    });
    let mut connection = http1::Builder::new()
        .keep_alive(!is_late)
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(headers)
        .max_header_size(head_bytes)
        .max_buf_size(head_bytes.max(MIN_BUFFER_BYTES))
        .serve_connection(TokioIo::new(Door::new(stream, exit.clone())), routed);
    let mut is_told = is_late;
    let ended = loop {
        // Ends with the connection, or with a stream that leaves it.
        let ends = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
            Poll::Ready(served) => Poll::Ready(served.map(|()| None)),
            Poll::Pending => exit.leaving().map_or(Poll::Pending, |leaving| Poll::Ready(Ok(Some(leaving)))),
        });
        tokio::select! {
            // The connection is polled first, so that hyper reads what has arrived before it is told to shut down. Otherwise it
            // would close the connection without an answer here, too.
            biased;
            ended = ends => break ended,
            () = shutdown.draining(), if !is_told => is_told = true,
        }
        Pin::new(&mut connection).graceful_shutdown();
    };
    Ok(ended?.map(|leaving| {
        let parts = connection.into_parts();
        let (socket, held) = parts.io.into_inner().into_inner().into_parts();
        Box::new(Leaver { leaving, socket, stray: parts.read_buf.len() + held })
    }))
}
