//! A socket whose writes do not wait for ever.
//!
//! If a client does not read, a write waits for room in the kernel's buffer. After the configured time all writes fail, so
//! that hyper drops the connection. While writes succeed this costs nothing: the timer exists only while a write waits.

use crate::{limits::LimitHit, metrics::Metrics};
use socket2::SockRef;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// A TCP stream with a bound on how long a write may wait.
pub(super) struct Guarded {
    stream: TcpStream,
    /// The longest wait of a write.
    patience: Duration,
    /// Runs while a write waits. Boxed, because most connections never need it.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Counts the connections that are cut off.
    metrics: Arc<Metrics>,
}

impl Guarded {
    /// Wraps `stream` so that a write fails after it has waited for `patience`.
    pub(super) const fn new(stream: TcpStream, patience: Duration, metrics: Arc<Metrics>) -> Self {
        Self { stream, patience, waiting: None, metrics }
    }

    /// The socket, without the bound.
    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    /// Returns the result of a write, or an error if writes have been waiting for too long.
    fn bounded(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.waiting = None;
            return wrote;
        }
        let patience = self.patience;
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        self.metrics.limit_hits.count(LimitHit::Stall);
        // Reset the connection instead of closing it in order: a close would wait until the client has read what the kernel
        // still holds, and this client does not read.
        let _refused = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.bounded(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
