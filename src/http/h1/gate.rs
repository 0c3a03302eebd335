//! The connection as hyper reads it: requests pass unchanged, and a head that is refused is replaced by one that says so.
//!
//! A head is held back until it is complete, since hyper must not see the beginning of one that is refused. A head that
//! comes in one piece, as nearly all do, is not copied, and neither are bodies.
//!
//! The close lingers if the client is still sending: the kernel answers bytes that nobody reads by a reset, on which the
//! client's kernel may discard the answer before the client has read it (RFC 9112, section 9.6). So the gateway first ends
//! its own direction, then reads and discards what comes, within bounds, until the client has ended its direction, too.

use super::framing::{Framing, HeadLimits, Passed};
use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long a close may linger: several round trips on any network, and the time to read a short answer.
const LINGER: Duration = Duration::from_secs(3);

/// The most bytes that a lingering close reads. A client that sends eight megabytes after the answer does not read it.
const LINGER_BYTES: usize = 8 << 20;

/// An HTTP/1 connection `S`.
pub(super) struct Gate<S> {
    stream: S,
    limits: HeadLimits,
    framing: Framing,
    /// What only few connections need, and those only for a short time.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// Bytes that were taken from hyper's buffer: `given..cleared` are to be read, the rest is an incomplete head.
    bytes: Vec<u8>,
    given: usize,
    cleared: usize,
    /// Runs while the close lingers.
    linger: Option<Pin<Box<Sleep>>>,
    /// Bytes that were read meanwhile.
    discarded: usize,
}

impl<S> Gate<S> {
    /// Guards a connection from its first byte.
    pub(super) const fn new(stream: S, limits: HeadLimits) -> Self {
        Self { stream, limits, framing: Framing::Head, rare: None }
    }

    /// Takes the connection out, with the number of bytes that were read from it and that nobody has seen.
    pub(super) fn into_parts(self) -> (S, usize) {
        (self.stream, self.rare.map_or(0, |rare| rare.bytes.len() - rare.given))
    }

    /// Gives bytes that were held and are cleared by now. Returns whether there were any.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let Some(rare) = &mut self.rare else { return false };
        let cleared = rare.bytes.get(rare.given..rare.cleared).unwrap_or_default();
        let len = cleared.len().min(buffer.remaining());
        buffer.put_slice(cleared.get(..len).unwrap_or_default());
        rare.given += len;
        if rare.given == rare.cleared {
            rare.bytes.drain(..mem::take(&mut rare.cleared));
            rare.given = 0;
            if rare.bytes.is_empty() {
                self.rare = None;
            }
        }
        len > 0
    }

    /// Takes what may not be read yet out of the part of `buffer` that was read after its first `before` bytes.
    fn check(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Some(mut rare) = self.rare.take() {
            rare.bytes.extend_from_slice(read);
            buffer.set_filled(before);
            match self.framing.follow(&rare.bytes, self.limits) {
                Passed::All => rare.cleared = rare.bytes.len(),
                Passed::Until(end) => rare.cleared = end,
                Passed::Refused(end, refusal) => {
                    rare.bytes.truncate(end);
                    rare.bytes.extend(refusal.head().as_bytes());
                    rare.cleared = rare.bytes.len();
                }
            }
            self.rare = Some(rare);
            return;
        }
        let (end, bytes, cleared) = match self.framing.follow(read, self.limits) {
            Passed::All => return,
            Passed::Until(end) => (end, read.get(end..).unwrap_or_default().to_vec(), 0),
            Passed::Refused(end, refusal) => {
                let head = refusal.head().into_bytes();
                let len = head.len();
                (end, head, len)
            }
        };
        buffer.set_filled(before + end);
        self.rare = Some(Box::new(Rare { bytes, cleared, ..Rare::default() }));
    }

    /// Whether the client has begun something that it has not finished, as far as was read.
    fn is_amid(&self) -> bool {
        self.framing != Framing::Head
            || self.rare.as_ref().is_some_and(|rare| !rare.bytes.is_empty() || rare.discarded > 0)
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Reads and discards until the client ends its direction, or a bound is reached.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut space = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut space);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            let len = buffer.filled().len();
            let is_amid = self.is_amid() || len > 0;
            let rare = self.rare.get_or_insert_default();
            rare.discarded += len;
            match read {
                Poll::Ready(Ok(())) if len > 0 && rare.discarded < LINGER_BYTES => {}
                Poll::Pending if is_amid => {
                    let timer = rare.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
                    return timer.as_mut().poll(context);
                }
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            if self.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            self.check(buffer, before);
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gate<S> {
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
        // Ended once: a second time is an error on a connection that the client has reset meanwhile.
        if self.rare.as_ref().is_none_or(|rare| rare.linger.is_none()) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        self.poll_discard(context).map(Ok)
    }
}

#[cfg(test)]
mod tests;
