//! The accept loop: sockets in, hyper connections out, every wait of theirs bounded.
//!
//! It promises that no client can hold a connection for free: silence before the first byte, a half-sent head and a
//! reader that takes nothing all end by a timeout, and a full house waits in the kernel's backlog rather than in memory.
//! One connection's failure, a panic included, touches no other.
//!
//! HTTP/1.1 and HTTP/2 (by prior knowledge, as a proxy in front speaks it) are told apart by the first bytes. This is done
//! here rather than by hyper-util, whose detection waits for those bytes for ever.
//!
//! It knows sockets and a router; it must not know what the routes mean.

use super::guarded::Guarded;
use crate::{
    limits::{LimitHit, Limits},
    live::Live,
    metrics::Metrics,
    shutdown::Shutdown,
};
use axum::{Router, body::Body};
use bytes::Bytes;
use hyper::{
    Request,
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tower::Service as _;

/// Smallest read and write buffer that hyper can be held to is 8 KiB; twice that takes a head of the default bound whole.
const BUFFER_BYTES: usize = 16 << 10;

/// What the kernel may hold for a reader that takes nothing. A frame is about a kilobyte; this is a storm of them.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Streams on one HTTP/2 connection. A browser opens one connection per origin for all its tabs.
const H2_STREAMS: u32 = 128;

/// Bytes of one HTTP/2 request's body that may arrive before they are read; four such windows per connection.
const H2_WINDOW_BYTES: u32 = 64 << 10;

/// Silence after which a peer is asked whether it is still there. Under the minute after which NATs forget.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// How long to leave the kernel alone after it had no file or memory for a new connection.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How an HTTP/2 connection begins; no HTTP/1 request can (RFC 9113, section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The other end of the connection, as an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Binds `address` with the backlog of `limits`. Nothing is accepted before [`serve`]; clients wait until then.
pub fn bind(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Without it, a restart would wait for the minute in which the kernel remembers old connections.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(limits.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Serves `router` on `listener` until `shutdown` stops, then returns when the last connection is gone.
///
/// While draining, everything is still answered, so that the routes can refuse in the way that suits them, but
/// connections are not kept for a next request.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Live<Limits>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    let room = Arc::new(Semaphore::new(limits.get().connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    let host = Arc::new(Host { router, limits, metrics, shutdown });
    loop {
        let next = async {
            let permit = host.enter(&room).await?;
            Some((permit, host.accept(&listener).await))
        };
        let next = tokio::select! {
            next = next => next,
            () = host.shutdown.stopped() => None,
        };
        let Some((permit, (stream, peer))) = next else { break };
        let host = Arc::clone(&host);
        connections.spawn(async move {
            tokio::select! {
                () = host.connection(stream, peer) => {}
                () = host.shutdown.stopped() => {}
            }
            drop(permit);
        });
    }
    connections.close();
    connections.wait().await;
}

/// What all connections of one listener share. A connection keeps the bounds under which it began.
struct Host {
    router: Router,
    limits: Live<Limits>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
}

impl Host {
    /// Waits for a free place among the connections.
    async fn enter(&self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if room.available_permits() == 0 {
            self.metrics.limit_hits.count(LimitHit::Connections);
        }
        Arc::clone(room).acquire_owned().await.ok()
    }

    /// The next connection. Failures are waited out: a listener that works again is better than a process that ended.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                // The client left while it waited for us.
                Err(error) if is_of_the_client(&error) => {}
                // No file or no memory left; at once, accepting would fail again.
                Err(error) => {
                    self.metrics.limit_hits.count(LimitHit::OpenFiles);
                    tracing::error!(%error, "cannot accept connections; raise the limit of open files");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// One connection, from its first byte to its last. What goes wrong here is between the client and its network.
    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        let served = match timeout(self.limits.get().head_timeout, self.opened(stream)).await {
            Err(_) => {
                self.metrics.limit_hits.count(LimitHit::HeadTimeout);
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok((io, false))) => self.http1(io, peer).await,
            // Boxed, so that the many HTTP/1 connections do not pay for the size of this one.
            Ok(Ok((io, true))) => Box::pin(self.http2(io, peer)).await,
        };
        if let Err(error) = served {
            tracing::debug!(error = &*error, %peer, "a connection ended early");
        }
    }

    /// Sets the socket's options and reads until it is clear whether the client speaks HTTP/2.
    async fn opened(&self, mut stream: TcpStream) -> io::Result<(Guarded, bool)> {
        let stall = self.limits.get().stall;
        tune(&stream, stall)?;
        let mut start = [0; H2_PREFACE.len()];
        let mut len = 0;
        while let Some(free) = start.get_mut(len..).filter(|free| !free.is_empty()) {
            let read = stream.read(free).await?;
            len += read;
            if read == 0 || !start.get(..len).is_some_and(|start| H2_PREFACE.starts_with(start)) {
                break;
            }
        }
        let start = Bytes::copy_from_slice(start.get(..len).unwrap_or_default());
        let is_h2 = start == H2_PREFACE;
        Ok((Guarded::new(stream, start, stall * 2, Arc::clone(&self.metrics)), is_h2))
    }

    async fn http1(&self, io: Guarded, peer: SocketAddr) -> Result<(), Failed> {
        // Told to end before its first request, a connection would be closed without an answer.
        let is_late = self.shutdown.is_draining();
        let limits = self.limits.get();
        let connection = http1::Builder::new()
            .keep_alive(!is_late)
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_timeout)
            .max_headers(limits.headers)
            .max_header_size(limits.head_bytes)
            .max_buf_size(limits.head_bytes.max(BUFFER_BYTES))
            .serve_connection(TokioIo::new(io), self.service(peer));
        let mut connection = pin!(connection);
        tokio::select! {
            // First of all it reads what has come: before that, too, hyper would close it without an answer.
            biased;
            served = connection.as_mut() => return Ok(served?),
            () = self.shutdown.draining(), if !is_late => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }

    async fn http2(&self, io: Guarded, peer: SocketAddr) -> Result<(), Failed> {
        let requests = Requests { tasks: TaskTracker::new(), shutdown: self.shutdown.clone() };
        let limits = self.limits.get();
        let connection = http2::Builder::new(requests.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(limits.stall)
            .max_concurrent_streams(H2_STREAMS)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(BUFFER_BYTES)
            .initial_stream_window_size(H2_WINDOW_BYTES)
            .initial_connection_window_size(4 * H2_WINDOW_BYTES)
            .serve_connection(TokioIo::new(io), self.service(peer));
        let mut connection = pin!(connection);
        let is_late = self.shutdown.is_draining();
        let end = async {
            tokio::select! {
                () = self.idle(&requests) => {}
                () = self.shutdown.draining(), if !is_late => {}
            }
        };
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = end => {
                connection.as_mut().graceful_shutdown();
                // A client that is silent in the middle of a head does not answer the farewell either.
                tokio::select! {
                    served = connection.as_mut() => served,
                    () = self.idle(&requests) => Ok(()),
                }
            }
        };
        requests.tasks.close();
        requests.tasks.wait().await;
        Ok(served?)
    }

    /// Returns when no request was in work at the start nor at the end of a whole head timeout. Hyper bounds the wait for
    /// a head of HTTP/1 only.
    async fn idle(&self, requests: &Requests) {
        let mut ticks = interval(self.limits.get().head_timeout);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_idle = false;
        loop {
            ticks.tick().await;
            let is_idle = requests.tasks.is_empty();
            if was_idle && is_idle {
                return;
            }
            was_idle = is_idle;
        }
    }

    /// The router, told who asks.
    fn service(
        &self,
        peer: SocketAddr,
    ) -> impl Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = Infallible,
        Future = impl Future<Output = Result<axum::response::Response, Infallible>> + Send + 'static,
    > + 'static {
        let router = self.router.clone();
        service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            // A router is always ready.
            router.clone().call(request)
        })
    }
}

/// Why a connection ended early; only for the log.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Runs the requests of one HTTP/2 connection, which hyper wants as tasks of their own, and knows whether there are any.
#[derive(Clone)]
struct Requests {
    tasks: TaskTracker,
    shutdown: Shutdown,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Requests {
    fn execute(&self, request: F) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = request => {}
                () = shutdown.stopped() => {}
            }
        });
    }
}

/// Frames leave at once, and a peer that vanished is noticed: by a probe when there is nothing to send, by missing
/// acknowledgements when there is. The kernel's own patience is two hours and a quarter of an hour.
fn tune(stream: &TcpStream, stall: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 3))?;
    #[cfg(target_os = "linux")]
    // After the guard's own limit, which is counted.
    socket.set_tcp_user_timeout(Some(stall * 3))?;
    Ok(())
}

/// Whether an accept failed for something that the client did, so that the next may succeed at once.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut)
}

#[cfg(test)]
mod tests;
