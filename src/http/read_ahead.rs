//! A connection from which some bytes were read before it was known who reads the rest.
//!
//! [`ReadAhead`] gives those bytes back first and then reads from the connection itself, so that its next reader sees the
//! connection from its first byte. Writes go straight through. It does not know which protocol the bytes belong to.

use bytes::{Buf, Bytes};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The connection `S`, preceded by bytes that were read from it earlier.
pub(super) struct ReadAhead<S> {
    /// The bytes that are still to be given back. Empty for the rest of the connection's life.
    bytes: Bytes,
    stream: S,
}

impl<S> ReadAhead<S> {
    /// Wraps `stream` so that `bytes`, which were read from it, are read again.
    pub(super) const fn new(bytes: Bytes, stream: S) -> Self {
        Self { bytes, stream }
    }

    /// The bytes that were not read again, and the connection itself.
    pub(super) fn into_parts(self) -> (Bytes, S) {
        (self.bytes, self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let len = self.bytes.len().min(buffer.remaining());
        buffer.put_slice(self.bytes.get(..len).unwrap_or_default());
        self.bytes.advance(len);
        if self.bytes.is_empty() {
            // The empty remainder would keep the whole allocation alive.
            self.bytes = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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

    #[tokio::test]
    async fn bytes_that_were_read_ahead_come_first_and_the_rest_follows() {
        let (stream, mut client) = duplex(64);
        client.write_all(b" and the rest").await.unwrap();
        drop(client);
        let mut stream = ReadAhead::new(Bytes::from_static(b"the start"), stream);
        let mut read = String::new();
        stream.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "the start and the rest");
    }

    #[tokio::test]
    async fn a_reader_with_a_small_buffer_loses_nothing() {
        let (stream, mut client) = duplex(64);
        client.write_all(b"def").await.unwrap();
        let mut stream = ReadAhead::new(Bytes::from_static(b"abc"), stream);
        for pair in [&b"ab"[..], b"c", b"de", b"f"] {
            let mut buffer = [0; 2];
            let len = stream.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..len], pair);
        }
    }

    #[tokio::test]
    async fn writes_and_the_end_reach_the_stream_though_bytes_wait_to_be_read() {
        let (stream, mut client) = duplex(64);
        let mut stream = ReadAhead::new(Bytes::from_static(b"unread"), stream);
        stream.write_all(b"an answer").await.unwrap();
        stream.flush().await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "an answer");
    }
}
