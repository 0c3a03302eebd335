//! What one listener presents to its clients, and what it asks of them.

use super::{certificate::Certificate, clients::ClientAuthorities};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::sync::Arc;

/// The certificates of a listener, of which the first is the default, and the authorities of its clients, if clients need certificates.
#[derive(Clone, PartialEq, Debug)]
pub struct Identity {
    /// At least one.
    pub certificates: Vec<Arc<Certificate>>,
    /// Whose certificates clients have to present. `None` if they need none.
    pub clients: Option<ClientAuthorities>,
}

impl ResolvesServerCert for Identity {
    /// Chooses the first certificate that is for the host which the client names and whose key the client can verify. A host that no
    /// certificate is for, and a client that names none, get the default.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = || self.certificates.iter().filter(|known| known.signs(hello.signature_schemes()));
        let named = hello.server_name().and_then(|host| usable().find(|known| known.is_for(host)));
        named.or_else(|| usable().next()).map(|chosen| chosen.certified())
    }
}
