//! The header of the PROXY protocol, version 2, with which a balancer begins a connection to say who its client is. Pure.
//!
//! The format is HAProxy's (`doc/proxy-protocol.txt`, section 2.2): 16 bytes, the last two of which are the length of what
//! follows, then addresses and extensions.

use ppp::v2::{Addresses, Command, Header};
use std::net::IpAddr;

/// The length of the part that says how long the rest is, in bytes.
pub const START_BYTES: usize = 16;

/// The longest rest, in bytes. Addresses take 216 at most, and extensions of cloud providers some hundreds.
const MAX_REST_BYTES: usize = 4 << 10;

/// Why the first bytes of a connection are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProxied {
    /// The bytes are none of this protocol and version.
    #[error("the connection does not begin with a header of the PROXY protocol, version 2")]
    Foreign,
    /// The header claims to be longer than any that is in use.
    #[error(
        "the header of the PROXY protocol has {0} bytes of addresses and extensions; the most are {MAX_REST_BYTES}"
    )]
    TooLong(usize),
}

/// How many bytes follow the first [`START_BYTES`] of the header, which are `start`.
pub fn rest_bytes(start: &[u8; START_BYTES]) -> Result<usize, NotProxied> {
    if !start.starts_with(ppp::v2::PROTOCOL_PREFIX) {
        return Err(NotProxied::Foreign);
    }
    let [.., high, low] = *start;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_REST_BYTES { Err(NotProxied::TooLong(len)) } else { Ok(len) }
}

/// Reads a whole header. Returns the client's address. It is `None` if the connection is the balancer's own, such as a health
/// check, or if the client has no address of the internet's.
pub fn client(header: &[u8]) -> Result<Option<IpAddr>, NotProxied> {
    let header = Header::try_from(header).map_err(|_| NotProxied::Foreign)?;
    Ok(match (header.command, header.addresses) {
        (Command::Proxy, Addresses::IPv4(addresses)) => Some(addresses.source_address.into()),
        (Command::Proxy, Addresses::IPv6(addresses)) => Some(addresses.source_address.into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with this version and command, this family, and these bytes after it.
    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &len, rest].concat()
    }

    fn read(bytes: &[u8]) -> Result<Option<IpAddr>, NotProxied> {
        let rest = rest_bytes(bytes[..START_BYTES].try_into().unwrap())?;
        assert_eq!(rest, bytes.len() - START_BYTES);
        client(bytes)
    }

    #[test]
    fn the_client_is_the_source_address() {
        let v4 = [203, 0, 113, 5, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        assert_eq!(read(&header(0x21, 0x11, &v4)), Ok(Some("203.0.113.5".parse().unwrap())));
        let with_extension = [&v4[..], &[0x04, 0, 2, 1, 2]].concat();
        assert_eq!(read(&header(0x21, 0x11, &with_extension)), Ok(Some("203.0.113.5".parse().unwrap())));
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&"2001:db8::5".parse::<std::net::Ipv6Addr>().unwrap().octets());
        assert_eq!(read(&header(0x21, 0x21, &v6)), Ok(Some("2001:db8::5".parse().unwrap())));
    }

    #[test]
    fn a_health_check_of_the_balancer_names_nobody() {
        let v4 = [203, 0, 113, 5, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        assert_eq!(read(&header(0x20, 0x00, &[])), Ok(None));
        assert_eq!(read(&header(0x20, 0x11, &v4)), Ok(None), "LOCAL");
        assert_eq!(read(&header(0x21, 0x00, &[])), Ok(None), "UNSPEC");
    }

    #[test]
    fn everything_else_is_refused() {
        for (command, family, rest) in [
            (0x11, 0x11, &[0; 12][..]),
            (0x23, 0x11, &[0; 12]),
            (0x21, 0x11, &[0; 11]),
            (0x21, 0x21, &[0; 12]),
            (0x21, 0x91, &[0; 12]),
            (0x21, 0x11, &[]),
        ] {
            let bytes = header(command, family, rest);
            assert!(read(&bytes).is_err(), "{command:#x} {family:#x} {}", rest.len());
        }
        assert_eq!(rest_bytes(b"GET / HTTP/1.1\r\n"), Err(NotProxied::Foreign));
        assert_eq!(rest_bytes(b"PROXY TCP4 1.2.3"), Err(NotProxied::Foreign));
        let long = header(0x21, 0x11, &[0; 5000]);
        assert_eq!(read(&long), Err(NotProxied::TooLong(5000)));
    }
}
