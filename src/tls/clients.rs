//! The authorities whose certificates clients have to present: mutual TLS.

use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use std::{fmt, sync::Arc};

/// The authorities of one listener. A client needs a certificate for client authentication that one of them signed, directly or through
/// issuers that the client sends along.
#[derive(Clone)]
pub struct ClientAuthorities {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Of their certificates.
    digest: [u8; 32],
}

/// Why the authorities cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the file has no certificates of authorities in PEM ({0})")]
pub struct ClientAuthoritiesError(String);

impl ClientAuthorities {
    /// Reads the certificates of the authorities, in PEM.
    pub fn parse(pem: &str) -> Result<Self, ClientAuthoritiesError> {
        let failed = |error: &dyn fmt::Display| ClientAuthoritiesError(error.to_string());
        let (mut roots, mut digest) = (RootCertStore::empty(), Sha256::new());
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| failed(&error))?;
            digest.update(certificate.len().to_be_bytes());
            digest.update(&certificate);
            roots.add(certificate).map_err(|error| failed(&error))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| failed(&error))?;
        Ok(Self { verifier, digest: digest.finalize().into() })
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }
}

impl PartialEq for ClientAuthorities {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for ClientAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthorities").finish_non_exhaustive()
    }
}
