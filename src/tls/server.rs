//! The TLS of one listener.

use super::{HTTP_1_1, HTTP_2, identity::Identity};
use rustls::{ServerConfig, crypto::aws_lc_rs, server::NoServerSessionStorage, version};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

/// The TLS of one listener. Its identity can be replaced while connections are open; they keep the one that they began with.
pub struct TlsServer {
    current: RwLock<(Identity, Arc<ServerConfig>)>,
}

impl TlsServer {
    /// The TLS of a listener with this identity.
    pub fn new(identity: Identity) -> Result<Self, rustls::Error> {
        let config = config_of(&identity)?;
        Ok(Self { current: RwLock::new((identity, config)) })
    }

    /// Replaces the identity for connections that begin from now on. Returns whether it is another one: an equal one changes nothing,
    /// so that clients keep their session tickets.
    pub fn replace(&self, identity: Identity) -> Result<bool, rustls::Error> {
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == identity {
            return Ok(false);
        }
        let config = config_of(&identity)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (identity, config);
        Ok(true)
    }

    /// Whether one of the certificates is for this host.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.0.certificates.iter().any(|certificate| certificate.is_for(host))
    }

    /// The configuration of a connection that begins now.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).1)
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

/// The protocol as all listeners speak it. What is not set here is the library's default: no data before the handshake is complete, no
/// compression, no renegotiation, and cipher suites with forward secrecy and authenticated encryption alone.
fn config_of(identity: &Identity) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions = [&version::TLS13, &version::TLS12];
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&versions)?;
    let builder = match &identity.clients {
        Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(identity.clone()));
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
    // The keys of tickets are this configuration's own. A ticket says that its client has shown a certificate, so one of another
    // listener or of authorities that were replaced must not be accepted.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}
