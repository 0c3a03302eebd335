//! How a stream leaves HTTP/1: its socket goes on without hyper, which keeps 16 KiB of buffers for each connection.
//!
//! The answer to a request for a stream carries its stream as an extension ([`Detachable`]). [`Exit::stop`] takes it out of the
//! finished response, so with the headers of all layers, and never gives the response to hyper. When everything that hyper has
//! written before has left, the connection is taken apart, and the stream writes its own head. It says `connection: close`: what
//! the client sends after that request is not answered on this connection, and it may send it again on another one.

use super::{read_ahead::ReadAhead, wire::Wire};
use crate::stream::{Begun, Departure, Detachable, Framing};
use axum::response::Response;
use hyper::{Version, header, http::response::Parts};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::SystemTime,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The way out of one connection, shared by its service and its socket.
#[derive(Clone, Default)]
pub(super) struct Exit(Arc<Doorway>);

#[derive(Default)]
struct Doorway {
    leaving: Mutex<Option<Leaving>>,
    /// hyper has written, or tried to, since it last flushed everything.
    is_unflushed: AtomicBool,
}

/// A stream that wants to leave, and the head of its response.
pub(super) struct Leaving {
    begun: Box<Begun>,
    head: Parts,
    version: Version,
}

impl Exit {
    /// Takes the stream out of the response to a request of this version, if there is one that can leave. Otherwise returns the
    /// response, which is for hyper.
    pub(super) fn stop(&self, response: Response, version: Version) -> Option<Response> {
        let begun = response.extensions().get::<Detachable>().and_then(Detachable::detach);
        let Some(begun) = begun else { return Some(response) };
        let (head, _) = response.into_parts();
        *self.0.leaving.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Leaving { begun, head, version });
        None
    }

    /// The stream that leaves, as soon as there is one and the socket has taken all that was written before it.
    pub(super) fn leaving(&self) -> Option<Leaving> {
        if self.0.is_unflushed.load(Ordering::Relaxed) {
            return None;
        }
        self.0.leaving.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A stream that leaves, with the socket of its connection.
pub(super) struct Leaver {
    pub(super) leaving: Leaving,
    pub(super) socket: ReadAhead<Wire>,
    /// How many bytes were read after the request.
    pub(super) stray: usize,
}

impl Leaver {
    /// Goes on with the stream on the socket. `guard` is held until the connection ends.
    pub(super) fn leave(self, guard: Box<dyn Send>) -> io::Result<()> {
        let Self { leaving: Leaving { begun, head, version }, socket, stray } = self;
        let (unread, wire) = socket.into_parts();
        let (socket, tls, unread_within) = wire.into_parts();
        let socket = socket.into_std()?;
        let stray = stray + unread.len() + unread_within;
        let framing = if version < Version::HTTP_11 { Framing::UntilClose } else { Framing::Chunked };
        let head = write_head(&head, framing, SystemTime::now());
        begun.leave(Departure { socket, tls, head, framing, stray, guard });
        Ok(())
    }
}

/// The head of a response as bytes, with the headers that hyper would have added.
fn write_head(head: &Parts, framing: Framing, now: SystemTime) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    // A client of HTTP/1.0 gets no other version.
    let version = if framing == Framing::Chunked { "HTTP/1.1" } else { "HTTP/1.0" };
    let reason = head.status.canonical_reason().unwrap_or_default();
    bytes.extend_from_slice(format!("{version} {} {reason}\r\n", head.status.as_str()).as_bytes());
    let own = [header::CONNECTION, header::CONTENT_LENGTH, header::DATE, header::TRANSFER_ENCODING];
    for (name, value) in head.headers.iter().filter(|(name, _)| !own.contains(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    match framing {
        Framing::Chunked => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        // A proxy that asks so passes the answer on as HTTP/1.1 or HTTP/2, and its clients cannot see why a stream that breaks looks
        // complete. `paystream doctor` reads it.
        Framing::UntilClose => bytes.extend_from_slice(b"paystream-http: 1.0\r\n"),
    }
    let date = httpdate::fmt_http_date(now);
    bytes.extend_from_slice(format!("connection: close\r\ndate: {date}\r\n\r\n").as_bytes());
    bytes
}

/// A socket that tells the exit of its connection whether hyper has flushed what it has written. hyper flushes a socket only after
/// it has written to it all that it holds.
pub(super) struct Door<S> {
    socket: S,
    exit: Exit,
}

impl<S> Door<S> {
    pub(super) const fn new(socket: S, exit: Exit) -> Self {
        Self { socket, exit }
    }

    pub(super) fn into_inner(self) -> S {
        self.socket
    }

    fn set_unflushed(&self, is_unflushed: bool) {
        // Service and socket are polled by one task.
        self.exit.0.is_unflushed.store(is_unflushed, Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Door<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Door<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.set_unflushed(true);
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.set_unflushed(true);
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.set_unflushed(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_door_is_shut_from_a_write_to_the_next_flush() {
        let (exit, (socket, mut client)) = (Exit::default(), duplex(4));
        let mut door = Door::new(socket, exit.clone());
        let is_shut = || exit.0.is_unflushed.load(Ordering::Relaxed);
        assert!(!is_shut());
        for _ in 0..2 {
            door.write_all(b"1234").await.unwrap();
            assert!(is_shut(), "hyper may hold more");
            door.flush().await.unwrap();
            assert!(!is_shut());
            client.read_exact(&mut [0; 4]).await.unwrap();
        }
    }

    #[test]
    fn the_head_has_the_headers_of_all_layers_and_those_of_the_connection() {
        let response = Response::builder()
            .header("content-type", "text/event-stream")
            .header("vary", "origin")
            .header("content-length", "0")
            .body(Body::empty())
            .unwrap();
        let (head, _) = response.into_parts();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (framing, version, delimiter) in [
            (Framing::Chunked, "HTTP/1.1", "transfer-encoding: chunked\r\n"),
            (Framing::UntilClose, "HTTP/1.0", "paystream-http: 1.0\r\n"),
        ] {
            let expected = format!(
                "{version} 200 OK\r\ncontent-type: text/event-stream\r\nvary: origin\r\n{delimiter}connection: close\r\n\
                 date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
            );
            assert_eq!(String::from_utf8(write_head(&head, framing, now)).unwrap(), expected);
        }
    }
}
