//! The accept loop: takes connections from a listener and serves each of them within bounds.
//!
//! It promises that no client holds a connection for free: silence before the first request, an incomplete request head and a
//! reader that does not read each end by a timeout. How many there may be is decided by `admission`: connections beyond the
//! limit wait in the kernel's backlog and not in memory. An error or a panic of one connection does not affect the others.
//!
//! With TLS, the handshake is a part of the silence before the first request, and its negotiation decides between `h1` and `h2`. Where
//! nothing was negotiated, the first bytes decide. They are read here and not by hyper-util, because its detection of the
//! version has no timeout.
//!
//! The loop knows sockets and a router. It must not know what the routes mean.

use super::{
    admission::{Admission, Entrance},
    guarded::Guarded,
    h1, h2,
    idle::Quiet,
    leave::Leaver,
    preamble,
    read_ahead::ReadAhead,
    service::Routed,
    tls,
    wire::Wire,
};
use crate::{
    limits::{LimitHit, Limits},
    live::Live,
    metrics::{HandshakeOutcome, Metrics},
    peer::Peer,
    shutdown::Shutdown,
    tls::{HTTP_1_1, HTTP_2, TlsServer},
};
use axum::Router;
use bytes::Bytes;
use futures_util::future::Abortable;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// Bytes that the kernel buffers for a client that does not read. A frame has about 1 KiB, so a burst of some 60 fits.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Silence after which the kernel probes whether the peer is still there. NATs may forget a connection after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// Pause after an accept that failed for want of file descriptors or memory.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Binds `address` with the backlog of `limits`. Nothing is accepted before [`serve`]; clients wait until then.
pub fn bind(address: SocketAddr, limits: &Limits) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Otherwise a restart fails while the kernel remembers old connections, for about a minute.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(limits.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Takes a listening socket that somebody else has bound, with the backlog of `limits`. Nothing is accepted before [`serve`].
pub fn adopt(listener: std::net::TcpListener, limits: &Limits) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    SockRef::from(&listener).listen(i32::try_from(limits.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(listener)
}

/// Serves `router` on `listener`, over TLS if there is one, until `shutdown` stops, then returns when the last connection has ended.
///
/// During the drain, requests are still answered, so that each route can refuse in its own way, but connections are not kept
/// for further requests.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    entrance: Arc<Entrance>,
    tls: Option<Arc<TlsServer>>,
    limits: Live<Limits>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
) {
    let connections = TaskTracker::new();
    let server = Arc::new(Server { router, entrance, tls, limits, metrics, shutdown });
    loop {
        let next = async {
            let admission = server.entrance.admit().await;
            (admission, server.accept(&listener).await)
        };
        let (admission, (stream, address)) = tokio::select! {
            next = next => next,
            () = server.shutdown.stopped() => break,
        };
        let server = Arc::clone(&server);
        let (quiet, registration) = server.entrance.idle.quiet();
        // Lasts as long as the connection, wherever it is served.
        let token = connections.token();
        connections.spawn(async move {
            let served = server.connection(stream, address, (admission, token), quiet);
            tokio::select! {
                // Ended early if it is idle while others wait for its place.
                _ = Abortable::new(served, registration) => {}
                () = server.shutdown.stopped() => {}
            }
        });
    }
    connections.close();
    connections.wait().await;
}

/// What all connections of one listener share.
struct Server {
    router: Router,
    entrance: Arc<Entrance>,
    /// `None` for a listener without TLS.
    tls: Option<Arc<TlsServer>>,
    /// Read once for each connection, which keeps the limits that it began with.
    limits: Live<Limits>,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
}

impl Server {
    /// Accepts the next connection. Errors do not end the loop, since most of them pass: it tries again, after a pause where
    /// the next attempt would fail too.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            match listener.accept().await {
                Ok(accepted) => return accepted,
                // The client left while its connection was in the backlog.
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    self.metrics.limit_hits.count(LimitHit::OpenFiles);
                    tracing::error!(%error, "cannot accept connections; raise the limit of open files");
                    sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Serves one connection to its end. Its errors are only logged, because the client or its network causes them.
    async fn connection(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        (mut admission, token): (Admission, TaskTrackerToken),
        quiet: Arc<Quiet>,
    ) {
        admission.open();
        let limits = self.limits.get();
        let deadline = Instant::now() + limits.first_head_timeout.min(limits.head_timeout);
        let Some(peer) = self.client(&mut stream, address, deadline).await else { return };
        let (silent, silence) = match admission.enter(peer, &limits) {
            Ok(entered) => entered,
            Err(hit) => return self.metrics.limit_hits.count(hit),
        };
        let service = Routed::new(self.router.clone(), peer, Arc::clone(&self.entrance), silent, quiet);
        let mut served = pin!(self.requests(stream, service));
        // Boxed, so that it takes no memory once the first request is there.
        let silence = Box::pin(silence.end(deadline));
        let served = tokio::select! {
            served = served.as_mut() => served,
            spoke = silence => match spoke {
                Ok(()) => served.await,
                Err(hit) => return self.metrics.limit_hits.count(hit),
            },
        };
        let left = served.and_then(|leaver| match leaver {
            Some(leaver) => leaver.leave(Box::new((admission, token))).map_err(Failed::from),
            None => Ok(()),
        });
        if let Err(error) = left {
            tracing::debug!(error = &*error, peer = %peer.address(), "a connection ended early");
        }
    }

    /// Reads who the client of a new connection is. `None` if the connection has to be closed, because a declared proxy does
    /// not say so in time.
    async fn client(&self, stream: &mut TcpStream, address: SocketAddr, deadline: Instant) -> Option<Peer> {
        let proxies = self.entrance.proxies();
        let direct = proxies.direct(address.ip());
        if !self.entrance.takes_proxy_protocol || !proxies.trusts(address.ip()) {
            return Some(direct);
        }
        match timeout_at(deadline, preamble::client(stream)).await {
            Ok(Ok(client)) => Some(client.map_or(direct, |client| proxies.named(client))),
            Ok(Err(error)) => {
                tracing::warn!(proxy = %address.ip(), %error, "a connection of a trusted proxy is closed");
                None
            }
            Err(_) => {
                self.metrics.limit_hits.count(LimitHit::FirstHeadTimeout);
                None
            }
        }
    }

    /// Serves the requests of one connection, until it ends or a stream leaves it.
    async fn requests(&self, stream: TcpStream, service: Routed) -> Result<Option<Box<Leaver>>, Failed> {
        let stall = self.limits.get().stall;
        tune(&stream, stall)?;
        let guarded = |stream| Guarded::new(stream, stall * 2, Arc::clone(&self.metrics));
        let Some(tls) = &self.tls else {
            return self.speak(Wire::Plain(guarded(stream)), None, service).await;
        };
        if tls::is_plain_http(&stream).await? {
            self.metrics.tls_handshakes.count(HandshakeOutcome::PlainHttp);
            let service = service.answered_by(tls::refusing_plain_http());
            return self.speak(Wire::Plain(guarded(stream)), None, service).await;
        }
        // Boxed, because a handshake takes kilobytes, and only for a moment.
        let stream = Box::pin(tls::shake_hands(guarded(stream), tls, &self.metrics)).await?;
        let negotiated = match stream.session().alpn_protocol() {
            Some(HTTP_2) => Some(Version::H2),
            Some(HTTP_1_1) => Some(Version::H1),
            _ => None,
        };
        self.speak(Wire::Tls(stream), negotiated, service).await
    }

    /// Serves the requests of a connection in the version that was negotiated, or else the one that its first bytes tell.
    async fn speak(
        &self,
        mut stream: Wire,
        negotiated: Option<Version>,
        service: Routed,
    ) -> Result<Option<Box<Leaver>>, Failed> {
        let start = match negotiated {
            Some(Version::H1) => Bytes::new(),
            _ => h2::read_preface(&mut stream).await?,
        };
        let is_preface = start == h2::PREFACE;
        let sniffed = if is_preface { Version::H2 } else { Version::H1 };
        let stream = ReadAhead::new(start, stream);
        match negotiated.unwrap_or(sniffed) {
            Version::H2 if !is_preface => {
                Err("the client negotiated HTTP/2 and speaks something else".into())
            }
            Version::H1 => Ok(h1::serve(stream, service, &self.limits, &self.shutdown).await?),
            // Boxed, so that the many HTTP/1 connections do not reserve memory for the larger future.
            Version::H2 => {
                Box::pin(h2::serve(stream, service, &self.limits, &self.metrics, &self.shutdown)).await?;
                Ok(None)
            }
        }
    }
}

/// The version of HTTP that a client speaks.
#[derive(Clone, Copy)]
enum Version {
    H1,
    H2,
}

/// Why a connection ended early; for the log only.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Sets the options of an accepted socket, so that frames leave at once and a peer that vanished is noticed: by keep-alive
/// probes while there is nothing to send, by missing acknowledgements otherwise. The kernel's defaults are two hours and a
/// quarter of an hour.
fn tune(stream: &TcpStream, stall: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 3))?;
    #[cfg(target_os = "linux")]
    // Longer than the limit of `Guarded`, which should act first because it counts.
    socket.set_tcp_user_timeout(Some(stall * 3))?;
    Ok(())
}

/// Whether the client caused the error of an accept, so that the next accept may succeed at once.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut)
}

#[cfg(test)]
mod tests;
