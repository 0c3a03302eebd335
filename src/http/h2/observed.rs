//! A connection that ends when its client floods it with control frames.
//!
//! hyper and its HTTP/2 library answer such frames without a bound, and tell nobody of them. So their heads are read here as
//! they pass, in both directions. What is read and written is not changed, except that a flood ends with GOAWAY
//! (ENHANCE_YOUR_CALM) and an error of the next read.

use super::{
    frames::{Frames, GOAWAY, HEADERS, PREFACE},
    overhead::{Flood, Overhead},
};
use crate::{limits::LimitHit, metrics::Metrics};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// The error code ENHANCE_YOUR_CALM (RFC 9113, section 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// An HTTP/2 connection `S` whose frames are counted.
pub(super) struct Observed<S> {
    stream: S,
    received: Frames,
    sent: Frames,
    overhead: Overhead,
    /// The last stream that the client opened.
    last_opened: u32,
    metrics: Arc<Metrics>,
}

impl<S> Observed<S> {
    /// Observes a connection from its first byte.
    pub(super) fn new(stream: S, metrics: Arc<Metrics>) -> Self {
        Self {
            stream,
            received: Frames::after(PREFACE.len()),
            sent: Frames::after(0),
            overhead: Overhead::new(Instant::now()),
            last_opened: 0,
            metrics,
        }
    }

    fn received(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        let now = Instant::now();
        while let Some((head, rest)) = self.received.next(bytes) {
            bytes = rest;
            if head.kind == HEADERS {
                self.last_opened = self.last_opened.max(head.stream);
            }
            self.overhead.received(&head, now)?;
        }
        Ok(())
    }

    fn sent(&mut self, mut bytes: &[u8]) {
        while let Some((head, rest)) = self.sent.next(bytes) {
            bytes = rest;
            self.overhead.sent(&head);
        }
    }
}

impl<S: AsyncWrite + Unpin> Observed<S> {
    /// Says goodbye, if that is possible at once and between two frames.
    fn go_away(&mut self, context: &mut Context<'_>) {
        if !self.sent.is_between() {
            return;
        }
        let mut frame = vec![0, 0, 8, GOAWAY, 0, 0, 0, 0, 0];
        frame.extend(self.last_opened.to_be_bytes());
        frame.extend(ENHANCE_YOUR_CALM.to_be_bytes());
        // The connection ends in any case; the frame only says why.
        let _unsent = Pin::new(&mut self.stream).poll_write(context, &frame);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Err(flood) = self.received(buffer.filled().get(before..).unwrap_or_default()) {
            self.metrics.limit_hits.count(LimitHit::ControlFrames);
            self.go_away(context);
            return Poll::Ready(Err(io::Error::other(flood)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.sent(bytes.get(..wrote).unwrap_or_default());
        Poll::Ready(Ok(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        let mut left = wrote;
        for slice in slices {
            let len = left.min(slice.len());
            self.sent(slice.get(..len).unwrap_or_default());
            left -= len;
        }
        Poll::Ready(Ok(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    const REQUEST: [u8; 10] = [0, 0, 1, HEADERS, 5, 0, 0, 0, 7, 0x82];

    /// Floods a connection after `sent` was written to the client, and gives what the client reads.
    async fn flood(sent: &[u8]) -> Vec<u8> {
        let (stream, mut client) = duplex(1 << 20);
        let metrics = Arc::new(Metrics::new());
        let mut observed = Observed::new(stream, Arc::clone(&metrics));
        observed.write_all(sent).await.unwrap();
        client.write_all(&[PREFACE, &REQUEST, &PING.repeat(10_000)].concat()).await.unwrap();
        let error = tokio::io::copy(&mut observed, &mut tokio::io::sink()).await.unwrap_err();
        assert!(error.to_string().contains("floods"), "{error}");
        assert!(metrics.render().contains(r#"reason="control_frames"} 1"#));
        drop(observed);
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        read.split_off(sent.len())
    }

    #[tokio::test]
    async fn a_flood_ends_with_a_goaway_that_names_the_last_stream() {
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let goaway = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0xb];
        assert_eq!(flood(&settings).await, goaway);
    }

    #[tokio::test]
    async fn no_goaway_is_put_into_the_middle_of_a_frame() {
        assert!(flood(&[0, 0, 5, 0, 0, 0, 0, 0, 1, b'h', b'a']).await.is_empty());
    }
}
