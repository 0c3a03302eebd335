//! Where the sockets belong that the service manager has passed: each takes the place of the listener with its name, and of the address
//! that the configuration gives to that listener.

use crate::{
    config::{Listen, ListenerKind, Role, Tls},
    systemd::PassedSockets,
};
use std::{io, net::SocketAddr};

/// The name of the socket that redirects to TLS.
pub(super) const REDIRECT: &str = "redirect";

/// A socket was passed that no listener takes, so its clients would wait for ever.
#[derive(Debug, thiserror::Error)]
pub enum MisplacedSocket {
    /// No listener has this name.
    #[error(
        "the service manager passes a socket with the name {0:?}; allowed: public, ingest, admin, redirect; set FileDescriptorName= in \
         its socket unit"
    )]
    Unknown(String),
    /// The listener is not opened in this role.
    #[error(
        "the service manager passes the socket {0:?}, which --role {1} does not serve; disable its socket unit on this node"
    )]
    OtherRole(String, Role),
    /// The socket would redirect to a listener without TLS.
    #[error(
        "the service manager passes the socket \"redirect\", but the public listener has no TLS to redirect to; disable its socket \
         unit, or add \"public\" to listeners under [tls]"
    )]
    NothingToRedirectTo,
    /// The operating system does not tell the address of a socket.
    #[error("the address of a socket that the service manager passes cannot be read")]
    Address(#[source] io::Error),
}

/// Puts the addresses of the passed sockets in the place of the configured ones.
pub(super) fn place(
    sockets: &PassedSockets,
    role: Role,
    listen: &mut Listen,
    tls: &mut Tls,
) -> Result<(), MisplacedSocket> {
    let is_shared = listen.ingest == listen.public;
    let passed = sockets.addresses().map_err(MisplacedSocket::Address)?;
    let has_ingest = passed.iter().any(|(name, _)| name == ListenerKind::Ingest.as_str());
    for (name, address) in passed {
        let (is_served, place): (bool, &mut SocketAddr) = match &*name {
            "public" => (role.streams(), &mut listen.public),
            "ingest" => (role.takes_webhooks(), &mut listen.ingest),
            "admin" => (true, &mut listen.admin),
            REDIRECT if !tls.is_on(ListenerKind::Public) => return Err(MisplacedSocket::NothingToRedirectTo),
            REDIRECT => (role.streams(), tls.redirect.insert(address)),
            _ => return Err(MisplacedSocket::Unknown(name)),
        };
        if !is_served {
            return Err(MisplacedSocket::OtherRole(name, role));
        }
        tracing::info!(listener = name, %address, "the service manager passes the socket");
        *place = address;
    }
    if is_shared && !has_ingest && role.streams() {
        listen.ingest = listen.public;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn placed(names: &[&'static str], role: Role, is_shared: bool) -> Result<(Listen, Tls), MisplacedSocket> {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let ingest = address(if is_shared { "127.0.0.1:1" } else { "127.0.0.1:2" });
        let mut listen = Listen { public: address("127.0.0.1:1"), ingest, admin: address("127.0.0.1:3") };
        let mut tls = Tls::default();
        let mut sockets = PassedSockets::default();
        for name in names {
            sockets.insert(name, TcpListener::bind("127.0.0.1:0").unwrap());
        }
        place(&sockets, role, &mut listen, &mut tls)?;
        let ports = [listen.public.port() > 3, listen.ingest.port() > 3, listen.admin.port() > 3];
        let expected = ["public", "ingest", "admin"].map(|name| names.contains(&name));
        assert_eq!(ports[0], expected[0]);
        assert_eq!(ports[2], expected[2]);
        Ok((listen, tls))
    }

    #[test]
    fn each_socket_takes_the_place_of_its_listener() {
        for is_shared in [true, false] {
            let (listen, _) = placed(&["public", "ingest", "admin"], Role::All, is_shared).unwrap();
            assert!(listen.ingest.port() > 3 && listen.ingest != listen.public);
        }
        let (listen, _) = placed(&["admin"], Role::All, false).unwrap();
        assert_eq!((listen.public.port(), listen.ingest.port()), (1, 2));
    }

    #[test]
    fn webhooks_stay_on_the_public_socket_if_the_configuration_says_so() {
        let (listen, _) = placed(&["public"], Role::All, true).unwrap();
        assert_eq!(listen.ingest, listen.public);
        let (listen, _) = placed(&["public"], Role::All, false).unwrap();
        assert_eq!(listen.ingest.port(), 2);
        let (listen, _) = placed(&["ingest"], Role::All, true).unwrap();
        assert_eq!(listen.public.port(), 1);
    }

    #[test]
    fn a_socket_that_nobody_would_serve_is_refused() {
        for (name, role, expected) in [
            ("paystream.socket", Role::All, "with the name \"paystream.socket\"; allowed: public, ingest"),
            ("public", Role::Ingest, "which --role ingest does not serve"),
            ("ingest", Role::Stream, "which --role stream does not serve"),
            ("redirect", Role::All, "has no TLS to redirect to"),
        ] {
            let refused = placed(&[name], role, true).unwrap_err().to_string();
            assert!(refused.contains(expected), "{name}: {refused}");
        }
    }
}
