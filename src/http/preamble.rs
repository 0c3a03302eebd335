//! Reads the header of the PROXY protocol from the beginning of a connection.
//!
//! Not a byte more is read, so that the request begins where it should. The caller bounds the time.

use crate::peer::proxy_protocol::{self, NotProxied, START_BYTES};
use std::{io, net::IpAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads the header. Returns the client that it names, or `None` if the connection is the balancer's own. An error if the
/// connection ends before, or begins with anything else.
pub(super) async fn client(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let refused = |why: NotProxied| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut start = [0; START_BYTES];
    stream.read_exact(&mut start).await?;
    let rest = proxy_protocol::rest_bytes(&start).map_err(refused)?;
    let mut header = start.to_vec();
    header.resize(START_BYTES + rest, 0);
    stream.read_exact(header.get_mut(START_BYTES..).unwrap_or_default()).await?;
    proxy_protocol::client(&header).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_follows_the_header_is_left_to_the_request() {
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x05\x0a\0\0\x01\0\x50\0\x50";
        let bytes = [&header[..], b"GET /"].concat();
        let mut stream = &bytes[..];
        assert_eq!(client(&mut stream).await.unwrap(), Some("203.0.113.5".parse().unwrap()));
        assert_eq!(stream, b"GET /");
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_or_speaks_http_is_an_error() {
        for bytes in
            [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb"[..], b"", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"]
        {
            assert!(client(&mut &*bytes).await.is_err(), "{bytes:?}");
        }
    }
}
