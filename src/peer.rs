//! Who a client is: the address by which its connections, streams and bytes are counted.
//!
//! A peer is an IPv4 address or the /64 prefix of an IPv6 address, which one customer of a provider has for itself. If the
//! connection comes from a proxy that the configuration declares, the client is who that proxy says, in a header of the
//! request (`forwarded`) or before the first request (`proxy_protocol`). What anyone else says is ignored.
//!
//! A connection from this machine that no declared proxy made has no cap, because the processes of one machine cannot be told
//! apart by their address, and because they could harm the gateway in other ways.
//!
//! | file | noun |
//! |---|---|
//! | `proxies`        | the proxies that are believed |
//! | `forwarded`      | the addresses in `X-Forwarded-For` and `Forwarded`; pure |
//! | `proxy_protocol` | the header of the PROXY protocol, version 2; pure |

mod forwarded;
mod proxies;
pub mod proxy_protocol;

pub use forwarded::ForwardedHeader;
pub use proxies::{Proxies, TRUSTED_ALLOWED};

use crate::tally::Holder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first 96 bits of the IPv6 addresses that stand for IPv4 addresses behind a translator (RFC 6052).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The client of a connection or of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    address: IpAddr,
    /// Whether the caps per peer apply to it.
    is_counted: bool,
}

impl Peer {
    /// The client that connected from `address` itself.
    #[must_use]
    pub fn direct(address: IpAddr) -> Self {
        let address = canonical(address);
        Self { address, is_counted: !address.is_loopback() }
    }

    /// The client that a declared proxy named, or the proxy itself where it named none.
    fn of_proxy(address: IpAddr) -> Self {
        Self { address: canonical(address), is_counted: true }
    }

    /// The address, for logs.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The address that stands for all addresses of this peer: an IPv4 address, or that of the /64.
    #[must_use]
    pub const fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        }
    }

    /// The holder by which the client is counted. `None` if the caps per peer do not apply to it.
    #[must_use]
    pub fn holder(&self) -> Option<Holder> {
        let number = match self.address {
            // No address in ::/64 is in use but the loopback, so the numbers of both families differ.
            IpAddr::V4(address) => u64::from(u32::from(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                [a, b, c, d].into_iter().fold(0, |prefix, part| prefix << 16 | u64::from(part))
            }
        };
        self.is_counted.then(|| Holder::new(number))
    }
}

/// The IPv4 address that an IPv6 address stands for; otherwise the address itself. Without this, all IPv4 clients of a socket
/// that takes both families would be one peer.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let [prefix @ .., high, low] = v6.segments();
    if prefix == TRANSLATED {
        return IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    }
    IpAddr::V6(v6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(address: &str) -> Option<Holder> {
        Peer::direct(address.parse().unwrap()).holder()
    }

    #[test]
    fn an_ipv6_peer_is_its_64_bit_prefix() {
        assert_eq!(holder("2001:db8:1:2::1"), holder("2001:db8:1:2:ffff::9"));
        assert_ne!(holder("2001:db8:1:2::1"), holder("2001:db8:1:3::1"));
        assert_ne!(holder("203.0.113.1"), holder("203.0.113.2"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_peer_in_each_of_its_forms() {
        for form in ["::ffff:203.0.113.7", "64:ff9b::203.0.113.7"] {
            assert_eq!(holder(form), holder("203.0.113.7"), "{form}");
        }
    }

    #[test]
    fn only_this_machine_itself_is_not_counted() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(holder(address), None, "{address}");
            assert!(Peer::of_proxy(address.parse().unwrap()).holder().is_some(), "{address}");
        }
        for address in ["10.0.0.1", "192.168.1.1", "2001:db8::1", "fe80::1"] {
            assert!(holder(address).is_some(), "{address}");
        }
    }
}
