//! Connections from a chosen address, without waiting.

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Begins a connection. It is there once the socket can be written to without an error.
pub(crate) fn connect(to: SocketAddr, from: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&to.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

/// Makes the end of this connection a reset, so that its port is free at once.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    // A socket that is gone already has nothing to reset.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// A word for a failure of a connection, for counting.
pub(crate) fn word(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset => "reset",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => "closed",
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse => "no local port left",
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => "no descriptor left",
        _ => "failed",
    }
}
