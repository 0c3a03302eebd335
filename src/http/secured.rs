//! A socket with TLS. It has no buffer of its own while nothing is under way, so an idle connection costs the keys and little else.

use super::guarded::Guarded;
use crate::tls::Session;
use std::{
    io,
    mem::take,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How much is read from the socket at once.
const READ_BYTES: usize = 4 << 10;

/// The most bytes of a response that wait, sealed, for a client that does not read: one record. hyper buffers as many before that.
const BUFFER_BYTES: usize = 16 << 10;

/// A socket with TLS, from the handshake on.
pub(super) struct Secured {
    socket: Guarded,
    session: Session,
    /// What the client has said and nobody has read yet.
    received: Bytes,
    /// What the socket did not take yet.
    sealed: Bytes,
    is_closed: bool,
}

impl Secured {
    pub(super) fn new(socket: Guarded, session: Session) -> Self {
        Self { socket, session, received: Bytes::default(), sealed: Bytes::default(), is_closed: false }
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    /// Takes the connection apart: its socket, its TLS, and how many bytes the client had sent that nobody has read.
    pub(super) fn into_parts(self) -> (TcpStream, Session, usize) {
        let unread = self.received.rest().len() + self.session.incomplete();
        (self.socket.into_inner(), self.session, unread)
    }

    /// Shakes hands. An error has been told to the client, as far as the protocol has a word for it and the socket room.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(context))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Takes what the socket has, and answers what the protocol asks. Returns the number of bytes, which is 0 at the end of the socket.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; READ_BYTES];
        let mut space = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut space))?;
        let received = self.session.receive(space.filled(), &mut self.received.bytes);
        self.session.take_answers(&mut self.sealed.bytes);
        if let Err(error) = received {
            let _told = self.poll_send(context);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(space.filled().len()))
    }

    /// Sends what waits.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sealed.rest().is_empty() {
            let sent = ready!(Pin::new(&mut self.socket).poll_write(context, self.sealed.rest()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sealed.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.received.rest().is_empty() {
            if this.session.has_ended() {
                return Poll::Ready(Ok(()));
            }
            // What the protocol has answered leaves with or without a response. A client that makes it answer and does not read is not
            // read either.
            if this.sealed.rest().len() > BUFFER_BYTES {
                ready!(this.poll_send(context))?;
            }
            if ready!(this.poll_receive(context))? == 0 && !this.session.has_ended() {
                // Without the protocol's own word for the end, something was cut off.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Poll::Ready(Err(error)) = this.poll_send(context) {
                return Poll::Ready(Err(error));
            }
        }
        let length = this.received.rest().len().min(buffer.remaining());
        buffer.put_slice(this.received.rest().get(..length).unwrap_or_default());
        this.received.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        let piece = bytes.get(..BUFFER_BYTES).unwrap_or(bytes);
        this.session.seal(piece, &mut this.sealed.bytes)?;
        match this.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(piece.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.is_closed {
            this.is_closed = true;
            this.session.close(&mut this.sealed.bytes)?;
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.socket).poll_shutdown(context)
    }
}

/// Bytes that are taken from the front.
#[derive(Default)]
struct Bytes {
    bytes: Vec<u8>,
    taken: usize,
}

impl Bytes {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// Takes so many. The memory is given back with the last one.
    fn advance(&mut self, count: usize) {
        self.taken += count;
        if self.taken >= self.bytes.len() {
            take(self);
        }
    }
}
