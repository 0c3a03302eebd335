//! What comes to a reactor: a stream, and the socket on which its response goes on.

use crate::{hub::Watch, stream::drive::Drive, tls::Session};
use bytes::BytesMut;
use std::net::TcpStream;

/// A stream that comes to a reactor.
pub(in crate::stream) struct Arrival {
    pub(in crate::stream) drive: Drive,
    /// Hold the topics of the stream until the reactor does.
    pub(in crate::stream) watches: Vec<Watch>,
    /// The first bytes of the stream, not framed.
    pub(in crate::stream) out: BytesMut,
    pub(in crate::stream) departure: Departure,
}

/// The socket of a response that leaves HTTP: no byte of the response was written, and nothing else writes to it any more.
pub struct Departure {
    /// The socket, not blocking.
    pub socket: TcpStream,
    /// The TLS of the connection, if it has any. Everything that goes through the socket is sealed by it.
    pub tls: Option<Session>,
    /// The head of the response, with its blank line.
    pub head: Vec<u8>,
    /// How the body is delimited; the head says the same.
    pub framing: Framing,
    /// How many bytes the client has sent beyond its request. They were dropped.
    pub stray: usize,
    /// What the connection holds until it ends, such as its place among those that are allowed.
    pub guard: Box<dyn Send>,
}

/// How the body of a response is delimited on its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Chunks, as HTTP/1.1 has them; the last one says that the end is clean.
    Chunked,
    /// The end of the connection, as HTTP/1.0 has it.
    UntilClose,
}
