//! The proxies that the configuration declares, and what they say about their clients.

use super::{ForwardedHeader, Peer, canonical};
use http::HeaderMap;
use ipnet::IpNet;
use std::{
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

/// The form of an entry of the list, for messages.
pub const TRUSTED_ALLOWED: &str = "a list of addresses and networks, e.g. [\"10.0.0.7\", \"10.1.0.0/16\"]";

/// How many proxies may stand one behind the other. What a longer list says before these is not read.
const MAX_HOPS: usize = 16;

/// The proxies that are believed. The default believes nobody.
#[derive(Debug, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    /// The header to which each of them adds its client. The other one is not read, since proxies pass on what clients put there.
    header: ForwardedHeader,
    /// Whether a proxy that is not declared was seen, and warned of.
    has_warned: AtomicBool,
}

impl Proxies {
    /// The proxies in these networks, which name their clients in `header`.
    #[must_use]
    pub const fn new(trusted: Vec<IpNet>, header: ForwardedHeader) -> Self {
        Self { trusted, header, has_warned: AtomicBool::new(false) }
    }

    /// Parses an entry of the list: one address, or a network as address and length of its prefix.
    pub fn parse(text: &str) -> Result<IpNet, &'static str> {
        let address = text.parse().map(|address| IpNet::from(canonical(address)));
        address.or_else(|_| text.parse()).map_err(|_| "is neither an address nor a network")
    }

    /// Whether no proxy is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    /// Whether what comes from this address is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// The client of a connection from `address`, which said nothing else about it.
    #[must_use]
    pub fn direct(&self, address: IpAddr) -> Peer {
        if self.trusts(address) { Peer::of_proxy(address) } else { Peer::direct(address) }
    }

    /// The client that a declared proxy named by the PROXY protocol.
    #[must_use]
    pub fn named(&self, client: IpAddr) -> Peer {
        Peer::of_proxy(client)
    }

    /// The client of a request on the connection of `peer`. Each proxy added to the list who connected to it, so the client is
    /// the last address that is not of a declared proxy. An entry that cannot be read hides who came before it; the client is
    /// then counted as the last proxy.
    pub fn client(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        if !self.trusts(peer.address()) {
            self.warn(peer, headers);
            return peer;
        }
        let mut last = peer;
        for named in self.header.addresses(headers).into_iter().take(MAX_HOPS) {
            let Some(address) = named else { break };
            last = Peer::of_proxy(address);
            if !self.trusts(address) {
                break;
            }
        }
        last
    }

    /// Warns, once, of a proxy in the own network that is not declared. Strangers cannot cause the warning.
    fn warn(&self, peer: Peer, headers: &HeaderMap) {
        let is_near = match peer.address() {
            IpAddr::V4(address) => address.is_private() || address.is_loopback(),
            IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
        };
        if is_near && self.header.is_in(headers) && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                proxy = %peer.address(),
                header = %self.header,
                "a proxy names its clients, but listen.trusted_proxies does not contain it: the limits per peer do not tell its \
                 clients apart"
            );
        }
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trusted: Vec<_> = self.trusted.iter().map(ToString::to_string).collect();
        write!(f, "[{}] by {}", trusted.join(", "), self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ForwardedHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "127.0.0.1", "2001:db8:9::/48"];
        Proxies::new(trusted.map(|text| Proxies::parse(text).unwrap()).into(), header)
    }

    /// The client of a request from `socket` with these lines of `X-Forwarded-For`.
    fn client(socket: &str, lines: &[&str]) -> String {
        let proxies = proxies(ForwardedHeader::XForwardedFor);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        headers.insert("forwarded", "for=203.0.113.66".parse().unwrap());
        proxies.client(proxies.direct(socket.parse().unwrap()), &headers).address().to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_of_a_declared_proxy() {
        for (socket, lines, expected) in [
            ("10.0.0.1", &["203.0.113.5"][..], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5, 10.2.2.2, 10.3.3.3"], "203.0.113.5"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.5, 10.2.2.2"], "203.0.113.5"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.5"], "203.0.113.5"),
            ("::ffff:10.0.0.1", &["203.0.113.5"], "203.0.113.5"),
            ("2001:db8:9::1", &["2001:db8::5"], "2001:db8::5"),
            // The proxy's own health check, and a client in the network of the proxies.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.7.7.7"], "10.7.7.7"),
            // What stands before an entry that cannot be read may be forged.
            ("10.0.0.1", &["203.0.113.5, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.5, ,10.2.2.2"], "10.2.2.2"),
        ] {
            assert_eq!(client(socket, lines), expected, "{socket} {lines:?}");
        }
    }

    #[test]
    fn nobody_else_is_believed() {
        for socket in ["203.0.113.9", "11.0.0.1", "127.0.0.2", "2001:db8:8::1"] {
            assert_eq!(client(socket, &["203.0.113.5"]), socket);
        }
        let nobody = Proxies::default();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.5".parse().unwrap());
        let own = Peer::direct("127.0.0.1".parse().unwrap());
        assert_eq!(nobody.client(own, &headers), own);
    }

    #[test]
    fn a_list_without_end_is_not_read_to_its_end() {
        let lines = "10.1.1.1,".repeat(500) + "10.1.1.1";
        assert_eq!(client("10.0.0.1", &[&format!("203.0.113.5,{lines}")]), "10.1.1.1");
    }

    #[test]
    fn an_entry_of_the_list_is_an_address_or_a_network() {
        for (text, shown) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("10.1.0.0/16", "10.1.0.0/16"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.7", "10.0.0.7/32"),
        ] {
            assert_eq!(Proxies::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0", "10.0.0.0/8/8", "*"] {
            assert!(Proxies::parse(text).is_err(), "{text:?}");
        }
    }
}
