//! Non-blocking connections from a chosen local address.

use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// The receive buffer of a reader that stops reading, in bytes, so that what waits for it waits at the server.
const LEAST_BUFFER: usize = 4 << 10;

/// Begins to connect. The connection is established when the socket is writable without an error. `stalls` says that it is for a reader that
/// will stop reading.
pub(crate) fn connect(to: SocketAddr, from: Option<Ipv4Addr>, stalls: bool) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    if stalls {
        socket.set_recv_buffer_size(LEAST_BUFFER)?;
    }
    match socket.connect(&to.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

/// Makes this connection end with a reset, so that its port is free at once.
pub(crate) fn reset_on_close(socket: &TcpStream) {
    // A socket that is already closed cannot be reset, which does not matter.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Names a failure of a connection, for counting.
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
