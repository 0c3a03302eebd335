//! A line: one connection that has left HTTP, its socket and what waits to be written to it.

use super::arrival::Framing;
use crate::tls::Session;
use mio::{Interest, Registry, Token, net::TcpStream};
use socket2::SockRef;
use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    time::Duration,
};

/// How many bytes a client may send after its request; they are dropped. An impatient client pipelines one request, or two. With TLS,
/// all that comes counts, so that a client cannot have the protocol itself work for ever.
const STRAY_BYTES: usize = 16 << 10;

/// How much longer a piece is when it is sealed, if it fits into one record: the head of the record and what authenticates it. Longer
/// pieces grow the buffer.
const SEAL_BYTES: usize = 64;

/// The last chunk of a body (RFC 9112, section 7.1).
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One connection.
pub(super) struct Line {
    socket: TcpStream,
    /// What few connections have. `None` for a connection without TLS for which nothing waits.
    extra: Option<Box<Extra>>,
    framing: Framing,
    /// The last bytes of the stream are among those that wait.
    pub(super) is_ending: bool,
    /// How many bytes the client has sent after its request; as many as fit are too many.
    stray: u16,
    /// Held until the connection ends.
    _guard: Box<dyn Send>,
}

/// What a connection may have besides its socket.
#[derive(Default)]
struct Extra {
    /// What seals all that is written.
    tls: Option<Session>,
    /// What the kernel did not take yet.
    waiting: Option<Waiting>,
}

struct Waiting {
    bytes: Box<[u8]>,
    /// How many of them have left.
    sent: usize,
}

/// What the client's side of a connection does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    /// It is there.
    Present,
    /// It has closed the connection, or its side of it: as in HTTP, whoever does not listen any more says so by that.
    Gone,
    /// It sends more than any client has a reason for.
    Floods,
}

impl Line {
    /// A connection from which the client's first `stray` bytes after its request were taken already.
    pub(super) fn new(
        socket: std::net::TcpStream,
        tls: Option<Session>,
        framing: Framing,
        stray: usize,
        guard: Box<dyn Send>,
    ) -> Self {
        let (socket, stray) = (TcpStream::from_std(socket), u16::try_from(stray).unwrap_or(u16::MAX));
        let extra = tls.map(|tls| Box::new(Extra { tls: Some(tls), waiting: None }));
        Self { socket, extra, framing, is_ending: false, stray, _guard: guard }
    }

    /// Has the system tell `token` when there is something to read.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Has the system tell `token` also when there is room to write, as long as something waits for it.
    pub(super) fn await_room(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE;
        let interest = if self.is_waiting() { interest | Interest::WRITABLE } else { interest };
        registry.reregister(&mut self.socket, token, interest)
    }

    /// Whether bytes wait for room in the kernel's buffer. Meanwhile nothing else may be written.
    pub(super) fn is_waiting(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.waiting.is_some())
    }

    fn tls(&mut self) -> Option<&mut Session> {
        self.extra.as_mut()?.tls.as_mut()
    }

    /// Appends to `frame` a piece of the body, delimited as the head says.
    pub(super) fn frame(&self, piece: &[u8], frame: &mut Vec<u8>) {
        match self.framing {
            Framing::Chunked => {
                // Writing to a vector does not fail.
                let _ = write!(frame, "{:x}\r\n", piece.len());
                frame.extend_from_slice(piece);
                frame.extend_from_slice(b"\r\n");
            }
            Framing::UntilClose => frame.extend_from_slice(piece),
        }
    }

    /// The end of a body that is complete.
    pub(super) const fn last_frame(&self) -> &'static [u8] {
        match self.framing {
            Framing::Chunked => LAST_CHUNK,
            Framing::UntilClose => b"",
        }
    }

    /// Writes bytes, sealed if the connection has TLS; what the kernel does not take waits. Nothing may be waiting before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_ending = self.is_ending;
        let Some(tls) = self.tls() else { return self.pass(bytes) };
        let mut sealed = Vec::with_capacity(bytes.len() + SEAL_BYTES);
        tls.seal(bytes, &mut sealed)?;
        if is_ending {
            tls.close(&mut sealed)?;
        }
        self.pass(&sealed)
    }

    /// Writes bytes as they are.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = self.send(bytes)?;
        if let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            self.extra.get_or_insert_default().waiting = Some(Waiting { bytes: rest.into(), sent: 0 });
        }
        Ok(())
    }

    /// Writes what waits. Returns whether the kernel took any of it.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let waiting = self.extra.as_mut().and_then(|extra| extra.waiting.take());
        let Some(mut waiting) = waiting else { return Ok(false) };
        let sent = self.send(waiting.bytes.get(waiting.sent..).unwrap_or_default())?;
        waiting.sent += sent;
        if waiting.sent < waiting.bytes.len() {
            self.extra.get_or_insert_default().waiting = Some(waiting);
        } else if self.tls().is_none() {
            self.extra = None;
        }
        Ok(sent > 0)
    }

    /// Writes as much as the kernel takes.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Drops what the client has sent.
    pub(super) fn drain(&mut self, buffer: &mut [u8]) -> Peer {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Peer::Gone,
                Ok(length) => {
                    self.stray = self.stray.saturating_add(u16::try_from(length).unwrap_or(u16::MAX));
                    if usize::from(self.stray) > STRAY_BYTES {
                        return Peer::Floods;
                    }
                    let received = buffer.get(..length).unwrap_or_default();
                    if self.tls().is_some_and(|tls| tls.drop_received(received).is_err()) {
                        return Peer::Gone;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Peer::Present,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Peer::Gone,
            }
        }
    }

    /// Has the end of the connection be a reset, which drops what the kernel still holds for a client that does not read.
    pub(super) fn reset_at_end(&self) {
        // If it fails, the kernel gives up after some time by itself.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }
}
