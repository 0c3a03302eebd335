//! The TLS of one connection: bytes in, bytes out, no I/O, and no buffer while nothing is under way.

use rustls::{
    Error, HandshakeKind, ServerConfig,
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus},
};
use std::{io, sync::Arc};

/// The most bytes that wait for the rest of what they belong to: the longest message of a handshake that the library takes, and a record.
const MAX_INCOMPLETE: usize = 0xffff + (18 << 10);

/// The longest piece of a record (RFC 8446, section 5.1).
const RECORD_BYTES: usize = 16 << 10;

/// How much longer a record is than what it carries, at the most: its head, its nonce, its type and what authenticates it.
const RECORD_OVERHEAD: usize = 64;

/// The TLS of one connection, as a server speaks it.
pub struct Session {
    connection: Box<UnbufferedServerConnection>,
    /// What came of a record or a message that is not complete yet.
    incomplete: Vec<u8>,
    /// What the protocol itself has to say, which leaves before anything else.
    answers: Vec<u8>,
    has_ended: bool,
    /// The client broke the protocol. The library must not see its bytes again, so nothing more is received or sealed.
    has_failed: bool,
}

/// That the client has ended its direction of the connection, or broke the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionEnd;

impl Session {
    /// A connection that begins.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = Box::new(UnbufferedServerConnection::new(config)?);
        Ok(Self {
            connection,
            incomplete: Vec::new(),
            answers: Vec::new(),
            has_ended: false,
            has_failed: false,
        })
    }

    /// Whether the handshake is not complete. Until it is, nothing can be sealed.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// How the handshake was made, as soon as that is known.
    #[must_use]
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.connection.handshake_kind()
    }

    /// The protocol that the client and the server have agreed on.
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Whether the client has said that it sends nothing more.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// How many bytes of the client wait for the rest of their record.
    #[must_use]
    pub const fn incomplete(&self) -> usize {
        self.incomplete.len()
    }

    /// Takes bytes that the client has sent, and appends to `plain` what they say. What the protocol answers leaves with
    /// [`Session::take_answers`] or the next [`Session::seal`]; after an error it says what was wrong.
    pub fn receive(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), Error> {
        if self.has_failed {
            return Err(Error::General("the connection has failed before".to_owned()));
        }
        self.incomplete.extend_from_slice(bytes);
        if let Err(error) = self.advance(plain, |_| ()) {
            self.has_failed = true;
            self.tell_error()?;
            return Err(error);
        }
        match self.incomplete.len() {
            0 => self.incomplete = Vec::new(),
            length if length > MAX_INCOMPLETE => {
                return Err(Error::General("a message is too long".to_owned()));
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes bytes that the client has sent, and drops what they say.
    pub fn drop_received(&mut self, bytes: &[u8]) -> Result<(), SessionEnd> {
        self.receive(bytes, &mut Vec::new()).map_err(|_| SessionEnd)?;
        if self.has_ended { Err(SessionEnd) } else { Ok(()) }
    }

    /// Appends to `out` what the protocol itself has to say.
    pub fn take_answers(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.answers);
        self.answers = Vec::new();
    }

    /// Appends the sealed form of `bytes` to `out`, after whatever the protocol has to say first.
    pub fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        // One record more, since new keys may be told of first.
        let room = bytes.len() + (bytes.len() / RECORD_BYTES + 2) * RECORD_OVERHEAD;
        self.write(room, out, |state, space| match state {
            ConnectionState::WriteTraffic(mut traffic) => {
                traffic.encrypt(bytes, space).map_err(io::Error::other)
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// Appends to `out` that nothing more follows, by which a client tells the end from a cut connection.
    pub fn close(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.has_failed {
            // The alert has said so.
            return Ok(());
        }
        self.write(RECORD_OVERHEAD, out, |state, space| match state {
            ConnectionState::WriteTraffic(mut traffic) => {
                traffic.queue_close_notify(space).map_err(io::Error::other)
            }
            _ => Ok(0),
        })
    }

    /// Appends to `out` what `seal` writes into `room` bytes, as soon as the connection waits for the client or for us.
    fn write(
        &mut self,
        room: usize,
        out: &mut Vec<u8>,
        seal: impl FnOnce(ConnectionState<'_, '_, ServerConnectionData>, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        if self.has_failed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let mut sealed = vec![0; room];
        // All complete records were taken when they came, so nothing is received here.
        let written = self
            .advance(&mut Vec::new(), |state| seal(state, &mut sealed))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))??;
        self.take_answers(out);
        out.extend_from_slice(sealed.get(..written).unwrap_or_default());
        Ok(())
    }

    /// Takes what the library says of an error. It must not see the wrong bytes a second time.
    fn tell_error(&mut self) -> Result<(), Error> {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut self.incomplete).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.answers)?,
                // What was understood before the error is of no use any more.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                _ => break,
            }
        }
        Ok(())
    }

    /// Has the library go on until it waits, for the client or for us, and returns what `finish` makes of that.
    fn advance<R>(
        &mut self,
        plain: &mut Vec<u8>,
        finish: impl FnOnce(ConnectionState<'_, '_, ServerConnectionData>) -> R,
    ) -> Result<R, Error> {
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut self.incomplete);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.answers)?,
                // Whoever takes the answers sends them before anything else.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.has_ended = true,
                Ok(
                    state @ (ConnectionState::BlockedHandshake
                    | ConnectionState::WriteTraffic(_)
                    | ConnectionState::Closed),
                ) => {
                    let finished = finish(state);
                    self.incomplete.drain(..discard);
                    return Ok(finished);
                }
                Ok(_) => return Err(Error::General("data came before the handshake".to_owned())),
                Err(error) => {
                    self.incomplete.drain(..discard);
                    return Err(error);
                }
            }
            self.incomplete.drain(..discard);
        }
    }
}

/// Appends a record that the library has ready.
fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) -> Result<(), Error> {
    let begin = out.len();
    let refused = match data.encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncodeError::InsufficientSize(size)) => {
            out.resize(begin + size.required_size, 0);
            data.encode(out.get_mut(begin..).unwrap_or_default()).err()
        }
        Err(refused) => Some(refused),
    };
    refused.map_or(Ok(()), |refused| Err(Error::General(refused.to_string())))
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{crypto::aws_lc_rs, server::ResolvesServerCertUsingSni};

    #[test]
    fn after_an_error_its_alert_is_told_and_nothing_else_is_received_or_sealed() {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let mut session = Session::new(Arc::new(config)).unwrap();
        let (mut plain, mut out) = (Vec::new(), Vec::new());
        session.receive(&[0xff; 64], &mut plain).unwrap_err();
        session.take_answers(&mut out);
        assert!(out.starts_with(&[21, 3]), "{out:?}");
        let told = out.len();
        session.receive(&[0xff; 64], &mut plain).unwrap_err();
        session.seal(b"x", &mut out).unwrap_err();
        session.close(&mut out).unwrap();
        assert!(plain.is_empty() && out.len() == told);
    }
}
