//! The addresses of the three listeners: `[listen]`.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _},
};

/// The default port of the public listener, and of the ingest listener unless it has an address of its own.
const PUBLIC_PORT: u16 = 8080;

/// The default port of the admin listener.
const ADMIN_PORT: u16 = 9090;

/// The form of an address, for messages.
pub(super) const ADDRESS: &str = "IP:port or host:port, e.g. 127.0.0.1:8080";

/// The addresses that the gateway listens on. If `ingest` equals `public`, one socket serves both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Serves streams and snapshots to browsers.
    pub public: SocketAddr,
    /// Receives webhooks from providers.
    pub ingest: SocketAddr,
    /// Serves health checks, metrics and the operators' tools.
    pub admin: SocketAddr,
}

/// One of the three listeners. It is displayed as its key under `[listen]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenerKind {
    /// Streams and snapshots.
    Public,
    /// Webhooks.
    Ingest,
    /// Health checks, metrics and the operators' tools.
    Admin,
}

impl ListenerKind {
    /// The key of the listener under `[listen]`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }

    /// The environment variable that sets the address of the listener.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Public => "PAYSTREAM__LISTEN__PUBLIC",
            Self::Ingest => "PAYSTREAM__LISTEN__INGEST",
            Self::Admin => "PAYSTREAM__LISTEN__ADMIN",
        }
    }
}

impl Listen {
    /// The given addresses. A missing `public` or `admin` is on loopback at its default port; a missing `ingest` is the same
    /// socket as `public`.
    pub(super) fn or_default(
        public: Option<SocketAddr>,
        ingest: Option<SocketAddr>,
        admin: Option<SocketAddr>,
    ) -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let public = public.unwrap_or(loopback(PUBLIC_PORT));
        Self { public, ingest: ingest.unwrap_or(public), admin: admin.unwrap_or(loopback(ADMIN_PORT)) }
    }
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parses an IP address and port, or looks up a host. The lookup happens only once, when the file is read. Of the host's addresses, it
/// takes the first IPv4 address, because the defaults are IPv4, or else the first one.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    const NONE: &str = "is not an address";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or(NONE)?;
    let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let port: u16 = port.parse().ok().filter(|_| is_host).ok_or(NONE)?;
    let found = (host, port).to_socket_addrs().map_err(|_| "names a host that cannot be found")?;
    let found: Vec<SocketAddr> = found.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or("names a host that has no address")
}
