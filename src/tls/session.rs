//! The TLS of one connection whose socket has left HTTP: bytes in, bytes out, no I/O.

use rustls::ServerConnection;
use std::io::{self, Read as _, Write as _};

/// The TLS of one connection after its handshake. What is sent is sealed at once, and nothing of it stays here.
pub struct Session(Box<ServerConnection>);

/// That the client has ended its direction of the connection, or broke the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionEnd;

impl Session {
    /// Goes on with a connection whose handshake is complete. Returns the number of bytes that the client had sent and that nobody has
    /// read; they are dropped.
    #[must_use]
    pub fn new(connection: ServerConnection) -> (Self, usize) {
        let mut session = Self(Box::new(connection));
        // Whoever seals takes all the bytes.
        session.0.set_buffer_limit(None);
        let unread = session.drop_received();
        (session, unread)
    }

    /// Appends the sealed form of `bytes` to `out`, after whatever the protocol has to say first.
    pub fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.0.writer().write_all(bytes)?;
        self.flush(out)
    }

    /// Appends to `out` that nothing more follows, by which a client tells the end from a cut connection.
    pub fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.0.send_close_notify();
        self.flush(out)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(out)?;
        }
        Ok(())
    }

    /// Takes bytes that the client has sent, and drops what they say. What the protocol answers waits for the next [`Session::seal`].
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<(), SessionEnd> {
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).map_err(|_| SessionEnd)?;
            let state = self.0.process_new_packets().map_err(|_| SessionEnd)?;
            if state.peer_has_closed() {
                return Err(SessionEnd);
            }
            self.drop_received();
        }
        Ok(())
    }

    fn drop_received(&mut self) -> usize {
        let (mut space, mut dropped) = ([0; 1024], 0);
        // An error says that nothing is there, or that the client has closed, which the next read of the socket tells too.
        while let Ok(length @ 1..) = self.0.reader().read(&mut space) {
            dropped += length;
        }
        dropped
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
