//! The proxies in front of the gateway, and how they name their clients: part of `[listen]`.

use super::{document::Section, listen::ListenerKind};
use crate::peer::{ForwardedHeader, Proxies, TRUSTED_ALLOWED};
use std::{fmt, sync::Arc};

/// The form of `proxy_protocol`, for messages.
const PROTOCOL_ALLOWED: &str = "a list of \"public\" and \"ingest\"";

/// Which proxies are believed, and how.
#[derive(Clone, Debug, Default)]
pub struct Proxying {
    /// The declared proxies.
    pub proxies: Arc<Proxies>,
    /// The listeners on which each connection from a declared proxy begins with a header of the PROXY protocol, version 2.
    pub protocol: Vec<ListenerKind>,
}

impl Proxying {
    /// Reads the keys of `[listen]` that are about proxies.
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let mut trusted = Vec::new();
        for (place, text) in section.texts("trusted_proxies", TRUSTED_ALLOWED).unwrap_or_default() {
            match Proxies::parse(&text) {
                Ok(network) => trusted.push(network),
                Err(error) => {
                    let message = format!("{text:?} {error}; allowed: {TRUSTED_ALLOWED}");
                    section.wrong(&place, "trusted_proxies", &message);
                }
            }
        }
        let header = section.parsed("client_header", "\"x-forwarded-for\" or \"forwarded\"", |text| {
            text.parse::<ForwardedHeader>().map_err(|_| "is not a header that names clients")
        });
        let mut protocol = Vec::new();
        for (place, text) in section.texts("proxy_protocol", PROTOCOL_ALLOWED).unwrap_or_default() {
            match [ListenerKind::Public, ListenerKind::Ingest].into_iter().find(|kind| kind.as_str() == text)
            {
                Some(kind) => protocol.push(kind),
                None => {
                    let message = format!("{text:?} is not such a listener; allowed: {PROTOCOL_ALLOWED}");
                    section.wrong(&place, "proxy_protocol", &message);
                }
            }
        }
        if !protocol.is_empty() && trusted.is_empty() {
            let message =
                "no proxy is declared that could use the protocol; name the balancers in trusted_proxies";
            section.wrong(&section.place("proxy_protocol"), "proxy_protocol", message);
        }
        Self { proxies: Arc::new(Proxies::new(trusted, header.unwrap_or_default())), protocol }
    }
}

impl fmt::Display for Proxying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol: Vec<_> = self.protocol.iter().map(|kind| kind.as_str()).collect();
        write!(f, "{}, PROXY protocol on [{}]", self.proxies, protocol.join(", "))
    }
}
