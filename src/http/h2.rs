//! Serves one HTTP/2 connection by hyper, within its bounds, and recognises one by its first bytes.
//!
//! HTTP/2 is spoken by prior knowledge, as a proxy in front of the gateway does. It promises that a connection on which no
//! request runs is closed after some head timeouts, that a peer which vanished is noticed by pings, that a response which makes
//! no progress is reset and a connection that collects such is closed, that a flood of control frames ends the connection, and
//! that no request runs on when [`serve`] returns. It does not know sockets or routes.
//!
//! | file | noun |
//! |---|---|
//! | `requests` | the tasks of the requests |
//! | `progress` | whether one response gets on, from the bytes that leave; the decision: `backlog` |
//! | `stalls`   | the responses of a connection that stalled |
//! | `observed` | the connection whose frames are counted; what they are: `frames`, and cost: `overhead` |
//! | `counted`  | the service, with its limit of headers |

mod backlog;
mod counted;
mod frames;
mod observed;
mod overhead;
mod progress;
mod requests;
mod stalls;

pub(super) use frames::PREFACE;

use super::service::Routed;
use crate::{limits::Limits, live::Live, metrics::Metrics, shutdown::Shutdown};
use bytes::Bytes;
use counted::Counted;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use observed::Observed;
use requests::Requests;
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// Silence after which the peer is pinged, so that NATs do not forget the connection: some do after a minute.
const PING_INTERVAL: Duration = Duration::from_secs(45);

/// Concurrent requests on one connection. A browser opens one connection per origin for all its tabs.
const MAX_REQUESTS: u32 = 128;

/// Bytes of one request's body that the client may send before they are read; a connection has four such windows.
const WINDOW_BYTES: u32 = 64 << 10;

/// Bytes of one response that hyper buffers for a client that does not read.
const SEND_BUFFER_BYTES: usize = 16 << 10;

/// Reads from a new connection until it is clear whether the client speaks HTTP/2. Returns what was read: [`PREFACE`] if it
/// does; otherwise at most as many bytes, which belong to an HTTP/1 request or to no request at all.
pub(super) async fn read_preface(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut start = [0; PREFACE.len()];
    let mut len = 0;
    while let Some(free) = start.get_mut(len..).filter(|free| !free.is_empty()) {
        let read = stream.read(free).await?;
        len += read;
        if read == 0 || !start.get(..len).is_some_and(|start| PREFACE.starts_with(start)) {
            break;
        }
    }
    Ok(Bytes::copy_from_slice(start.get(..len).unwrap_or_default()))
}

/// Serves the connection until it ends. When the drain begins, current requests are answered and the connection closed.
///
/// Errors are the client's or its network's: the caller can only log them.
pub(super) async fn serve<S>(
    stream: S,
    service: Routed,
    limits: &Live<Limits>,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Limits { head_timeout, head_bytes, headers, stall, .. } = limits.get();
    let requests = Requests::new(stall, shutdown.clone(), Arc::clone(metrics));
    let stream = Observed::new(stream, Arc::clone(metrics));
    let connection = http2::Builder::new(requests.clone())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(stall)
        .max_concurrent_streams(MAX_REQUESTS)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(4 * WINDOW_BYTES)
        .serve_connection(TokioIo::new(stream), Counted::new(service, headers));
    let is_late = shutdown.is_draining();
    let end = async {
        tokio::select! {
            () = requests.idle(head_timeout) => {}
            () = shutdown.draining(), if !is_late => {}
        }
    };
    let served = async {
        let mut connection = pin!(connection);
        tokio::select! {
            served = connection.as_mut() => return served,
            () = end => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            served = connection.as_mut() => served,
            // A client that is silent in the middle of a head does not answer the GOAWAY either.
            () = requests.idle(head_timeout) => Ok(()),
        }
    };
    // Whichever ends first, the connection is dropped here, which ends the requests that still run.
    let served = tokio::select! {
        served = served => served,
        () = requests.stalls.too_many() => Ok(()),
    };
    requests.tasks.close();
    requests.tasks.wait().await;
    served
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    #[tokio::test]
    async fn reading_stops_at_the_first_byte_that_is_not_of_http2() {
        for (sent, read) in [
            (&b""[..], &b""[..]),
            (b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n"),
            (b"PRI * HTTP/1.1\r\n\r\n", b"PRI * HTTP/1.1\r\n\r\n"),
            (b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n"),
            (PREFACE, PREFACE),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", PREFACE),
        ] {
            let (mut stream, mut client) = duplex(64);
            client.write_all(sent).await.unwrap();
            drop(client);
            assert_eq!(read_preface(&mut stream).await.unwrap(), read, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn an_http1_request_shorter_than_the_preface_is_not_waited_for() {
        let (mut stream, mut client) = duplex(64);
        client.write_all(b"PRO").await.unwrap();
        assert_eq!(read_preface(&mut stream).await.unwrap(), "PRO");
    }
}
