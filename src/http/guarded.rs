//! A socket that does not wait for ever for its reader.
//!
//! Once written bytes have found no room for the stall limit, every write fails, and hyper drops the connection. Costs
//! nothing while writes succeed: the timer exists only while one waits.

use crate::{limits::LimitHit, metrics::Metrics};
use bytes::{Buf, Bytes};
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
    /// What was read to learn the protocol; it is read again first.
    start: Bytes,
    stall: Duration,
    /// Runs while the reader takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
    metrics: Arc<Metrics>,
}

impl Guarded {
    /// `stream`, as if `start` had not been read from it yet.
    pub(super) const fn new(stream: TcpStream, start: Bytes, stall: Duration, metrics: Arc<Metrics>) -> Self {
        Self { stream, start, stall, waiting: None, metrics }
    }

    /// Passes on what a write came to, unless it has been waiting for too long.
    fn bounded(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.waiting = None;
            return wrote;
        }
        let stall = self.stall;
        ready!(self.waiting.get_or_insert_with(|| Box::pin(sleep(stall))).as_mut().poll(cx));
        self.metrics.limit_hits.count(LimitHit::Stall);
        // Cut at once: what the kernel still holds for this reader is dropped, and the reader learns of the end by a reset.
        // An orderly close would leave both to wait for a reader that takes nothing.
        let _refused = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the reader takes nothing")))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let len = self.start.len().min(buf.remaining());
        buf.put_slice(self.start.get(..len).unwrap_or_default());
        self.start.advance(len);
        Poll::Ready(Ok(()))
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
